package bus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	amqp091 "github.com/rabbitmq/amqp091-go"
)

// Inspection looks at a broker with the rights of its user, and changes nothing.
type Inspection struct {
	link   *link
	names  names
	alarms chan amqp091.Blocking
	// Version of the broker that answered.
	Version string
	// Away has the reason for each address that does not answer, with what to do.
	Away map[string]string
}

// Inspect connects. Its error has the reason for each address.
func (b Broker) Inspect(ctx context.Context) (*Inspection, error) {
	i := &Inspection{names: namesOf(b.Key.Installation), Away: map[string]string{}}
	for _, address := range b.Addresses {
		one := b
		one.Addresses = []string{address}
		l := &link{broker: one, purpose: "inspection"}
		channel, err := l.channel()
		if err != nil {
			i.Away[hostOf(address)] = whyNot(err)
			continue
		}
		_ = channel.Close()
		if i.link != nil { // one is enough, and the others answer
			l.close()
			continue
		}
		i.link = l
		i.Version, _ = l.conn.Properties["version"].(string)
		i.alarms = l.conn.NotifyBlocked(make(chan amqp091.Blocking, 1))
	}
	if i.link == nil {
		var all []string
		for _, host := range slices.Sorted(maps.Keys(i.Away)) {
			all = append(all, host+": "+i.Away[host])
		}
		return nil, errors.New(strings.Join(all, "; "))
	}
	return i, ctx.Err()
}

// Close ends the connection.
func (i *Inspection) Close() { i.link.close() }

// hostOf is an address without its password.
func hostOf(address string) string {
	uri, err := amqp091.ParseURI(address)
	if err != nil {
		return "an address"
	}
	return net.JoinHostPort(uri.Host, strconv.Itoa(uri.Port))
}

// whyNot describes the fault of a connection.
func whyNot(err error) string {
	var answer *amqp091.Error
	var name *net.DNSError
	var record tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var timeout net.Error
	switch {
	case errors.As(err, &answer) && answer.Code == amqp091.NotAllowed:
		return "there is no such virtual host, or this user may not enter it: the last part of the address, and rabbitmqctl list_vhosts and list_permissions"
	case errors.Is(err, amqp091.ErrCredentials) || errors.As(err, &answer) && answer.Code == amqp091.AccessRefused:
		return "the user or the password is wrong: rabbitmqctl authenticate_user tries it"
	case errors.As(err, &name):
		return "there is no such host"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: is RabbitMQ running, and is the port right (5672, with TLS 5671)?"
	case errors.As(err, &certificate) || errors.As(err, &unknown):
		return "its certificate is not trusted here, or has another name"
	case strings.Contains(err.Error(), "tls: certificate required") || answer != nil && strings.Contains(answer.Reason, "tls: certificate required"):
		return "it wants a certificate of its clients: certfile and keyfile in the address"
	case errors.As(err, &record):
		return "it does not speak TLS: amqp:// or the TLS port 5671?"
	case errors.As(err, &timeout) && timeout.Timeout() || answer != nil && strings.Contains(answer.Reason, "i/o timeout"):
		return "it does not answer in time: a firewall, or a server that is stuck"
	case errors.As(err, &answer):
		// A server that wants a certificate may close before its reason is read.
		return fmt.Sprintf("it closes the connection (%d): is it RabbitMQ, and its AMQP port? By TLS, does it want certfile and keyfile in the address?", answer.Code)
	}
	return "it does not answer as RabbitMQ does"
}

// try runs one look on a channel of its own, because a failed one closes its channel.
func (i *Inspection) try(look func(*amqp091.Channel) error) error {
	channel, err := i.link.channel()
	if err != nil {
		return err
	}
	err = look(channel)
	_ = channel.Close()
	return err
}

func codeOf(err error) int {
	var answer *amqp091.Error
	if errors.As(err, &answer) {
		return answer.Code
	}
	return 0
}

// Queues gives the queues of this installation that are missing, and those that are
// there with other arguments, with the broker's word on what differs. Without the
// right to configure it cannot compare, and gives none of the latter.
func (i *Inspection) Queues() (missing []string, different map[string]string, err error) {
	different = map[string]string{}
	for queue, arguments := range i.names.queues() {
		err := i.try(func(c *amqp091.Channel) error { return exists(c, queue) })
		if errors.Is(err, errNotDeclared) {
			missing = append(missing, queue)
			continue
		}
		if err == nil { // it is there, so this only compares
			err = i.try(func(c *amqp091.Channel) error {
				_, err := c.QueueDeclare(queue, true, false, false, false, arguments)
				return err
			})
		}
		switch codeOf(err) {
		case amqp091.PreconditionFailed:
			different[queue] = err.Error()
		case amqp091.AccessRefused:
		default:
			if err != nil {
				return nil, nil, fmt.Errorf("look at the queue %s: %w", queue, err)
			}
		}
	}
	slices.Sort(missing)
	return missing, different, nil
}

// older are the queues of versions whose names had no installation in them, and of
// which some kept questions in clear.
var older = []string{"kassa.work", "kassa.answers", "kassa.events.views", "kassa.events.hints", "kassa.dead.settle", "kassa.dead.kept"}

// Older gives the queues that an older version has left, with how many messages wait
// in each.
func (i *Inspection) Older() (map[string]int, error) {
	left := map[string]int{}
	for _, queue := range older {
		err := i.try(func(c *amqp091.Channel) error {
			found, err := c.QueueDeclarePassive(queue, true, false, false, false, nil)
			if err == nil {
				left[queue] = found.Messages
			}
			return err
		})
		if err != nil && codeOf(err) != amqp091.NotFound {
			return nil, fmt.Errorf("look at the queue %s: %w", queue, err)
		}
	}
	return left, nil
}

// DeadLetters is how many records of dead letters are kept.
func (i *Inspection) DeadLetters() (n int, err error) {
	err = i.try(func(c *amqp091.Channel) error {
		found, err := c.QueueDeclarePassive(i.names.kept, true, false, false, false, nil)
		n = found.Messages
		return err
	})
	if codeOf(err) == amqp091.NotFound {
		return 0, nil
	}
	return n, err
}

// Depth is what waits in a queue. What was delivered and is not yet acknowledged does not
// count: the broker gives it to its management interface only.
type Depth struct{ Ready, Consumers int }

// Depths gives the queues of this installation by the end of their names: work, answers,
// alone.work, alone.answers, dead, kept. A queue that is not there is left out.
func (i *Inspection) Depths() (map[string]Depth, error) {
	depths := map[string]Depth{}
	for name, queue := range map[string]string{"work": i.names.work, "answers": i.names.answers, "alone.work": i.names.aloneWork,
		"alone.answers": i.names.aloneAnswers, "dead": i.names.dead, "kept": i.names.kept} {
		err := i.try(func(c *amqp091.Channel) error {
			found, err := c.QueueDeclarePassive(queue, true, false, false, false, nil)
			if err == nil {
				depths[name] = Depth{found.Messages, found.Consumers}
			}
			return err
		})
		if err != nil && codeOf(err) != amqp091.NotFound {
			return nil, fmt.Errorf("look at the queue %s: %w", queue, err)
		}
	}
	return depths, nil
}

// Excess gives what this user may do and should not. It sends one message that no queue
// takes.
func (i *Inspection) Excess() (may []string, err error) {
	err = i.sends("", i.names.work+".no-queue-"+randomHex(8))
	var taken blocked
	switch {
	case err == nil:
		return []string{"publish to every queue of the virtual host (amq.default)"}, nil
	case codeOf(err) == amqp091.AccessRefused || errors.As(err, &taken):
		return nil, nil
	}
	return nil, err
}

// Blocked gives the broker's word for why it takes no messages, or "". It sends one
// message that no queue takes.
func (i *Inspection) Blocked() (reason string, err error) {
	err = i.sends(i.names.sendAnswers, "no-queue-"+randomHex(8))
	var taken blocked
	if errors.As(err, &taken) {
		return taken.reason, nil
	}
	return "", err
}

// blocked: the broker reads nothing from a connection that publishes.
type blocked struct{ reason string }

func (b blocked) Error() string { return "the broker takes no messages: " + b.reason }

// confirmMost is how long the broker may take to confirm an empty message.
const confirmTimeout = 2 * time.Second

// sends publishes an empty message, and waits for the confirm. A connection that is
// blocked stays so, and a channel of it cannot even be closed.
func (i *Inspection) sends(exchange, key string) error {
	sent := make(chan error, 1)
	go func() {
		sent <- i.try(func(c *amqp091.Channel) error { return sendEmpty(c, exchange, key) })
	}()
	select {
	case err := <-sent:
		return err
	case b := <-i.alarms:
		return blocked{b.Reason}
	case <-time.After(confirmTimeout):
		return blocked{"it confirms nothing"}
	}
}

func sendEmpty(c *amqp091.Channel, exchange, key string) error {
	refused := c.NotifyClose(make(chan *amqp091.Error, 1))
	if err := c.Confirm(false); err != nil {
		return err
	}
	confirm, err := c.PublishWithDeferredConfirmWithContext(context.Background(), exchange, key, false, false, amqp091.Publishing{})
	if err != nil {
		return err
	}
	if confirm.Wait() {
		return nil
	}
	if why := <-refused; why != nil {
		return why
	}
	return errors.New("it did not confirm")
}
