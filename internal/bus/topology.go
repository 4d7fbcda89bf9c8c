package bus

import (
	"errors"
	"fmt"
	"regexp"

	amqp091 "github.com/rabbitmq/amqp091-go"
)

// The topology of one installation. Work and answers are quorum queues: they survive
// the loss of a node, and count deliveries, so that a message on which consumers die is
// a dead letter. What is dead is settled by a matcher, which keeps a record without its
// body for people. What was in hand when a process died is tried again in the queues
// alone, from which a process takes one message at a time: so a death counts for the
// message that caused it, and for no other. Hints only carry how far the log has come: each process that wants
// them has a queue of its own, which goes with its connection.
//
// Nothing is published by way of the default exchange: who may do that may publish to
// every queue of the virtual host. Exchanges and queues have different names, because
// a right to a name is a right to both.
type names struct {
	work, answers, aloneWork, aloneAnswers, dead, kept   string // queues
	sendWork, sendAnswers, sendHints, sendDead, sendKept string // exchanges
	sendAloneWork, sendAloneAnswers                      string // exchanges too
	hints, replies                                       string // beginnings of the names of queues
}

func namesOf(installation string) names {
	at := "kassa." + installation + "."
	return names{work: at + kindWork, answers: at + kindAnswers, aloneWork: at + aloneSuffix[1:] + kindWork, aloneAnswers: at + aloneSuffix[1:] + kindAnswers,
		sendAloneWork: at + "send.alone.work", sendAloneAnswers: at + "send.alone.answers", dead: at + "dead", kept: at + "kept",
		sendWork: at + "send.work", sendAnswers: at + "send.answers", sendHints: at + "send.hints", sendDead: at + "send.dead", sendKept: at + "send.kept",
		hints: at + "hints.", replies: at + "replies."}
}

// aloneSuffix is before the kind at the end of the name of a queue in which jobs are tried alone.
const aloneSuffix = ".alone."

const (
	// Consumers of this version refuse what was delivered before, so these limits are for
	// those of older ones; the arguments of a queue cannot be changed.
	workDeliveries    = 10
	answersDeliveries = 20
	// A message that is tried alone is delivered again so often.
	aloneDeliveries = 2
	maxKept         = 10_000
	day             = int64(24 * 60 * 60 * 1000) // milliseconds; no question is open for longer
	keptFor         = 30 * day                   // an int would be sent as 32 bits
	// ownQueue is the routing key of what goes to an exchange's own queue.
	ownQueue = "queue"
)

// exchanges lists every exchange with its kind.
func (n names) exchanges() map[string]string {
	return map[string]string{n.sendWork: amqp091.ExchangeDirect, n.sendAnswers: amqp091.ExchangeDirect, n.sendKept: amqp091.ExchangeDirect,
		n.sendAloneWork: amqp091.ExchangeDirect, n.sendAloneAnswers: amqp091.ExchangeDirect,
		n.sendHints: amqp091.ExchangeFanout, n.sendDead: amqp091.ExchangeFanout}
}

// queues lists every queue with its arguments; a queue that is there with others is
// refused by the broker, and so found at the start. A dead letter stays where it was
// until the queue of the dead has it.
func (n names) queues() map[string]amqp091.Table {
	jobs := func(deliveries int) amqp091.Table {
		return amqp091.Table{"x-queue-type": "quorum", "x-delivery-limit": deliveries, "x-dead-letter-exchange": n.sendDead,
			"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish", "x-message-ttl": day}
	}
	return map[string]amqp091.Table{
		n.work:         jobs(workDeliveries),
		n.answers:      jobs(answersDeliveries),
		n.aloneWork:    jobs(aloneDeliveries),
		n.aloneAnswers: jobs(aloneDeliveries),
		n.dead:         {"x-queue-type": "quorum", "x-delivery-limit": -1, "x-message-ttl": day},
		n.kept:         {"x-queue-type": "quorum", "x-delivery-limit": -1, "x-max-length": maxKept, "x-overflow": "drop-head", "x-message-ttl": keptFor},
	}
}

// bindings are the exchange of each queue.
func (n names) bindings() map[string]string {
	return map[string]string{n.work: n.sendWork, n.answers: n.sendAnswers, n.aloneWork: n.sendAloneWork, n.aloneAnswers: n.sendAloneAnswers, n.dead: n.sendDead, n.kept: n.sendKept}
}

// declare makes what is missing of the topology.
func (n names) declare(channel *amqp091.Channel) error {
	for exchange, kind := range n.exchanges() {
		if err := channel.ExchangeDeclare(exchange, kind, true, false, false, false, nil); err != nil {
			return fmt.Errorf("declare exchange %s: %w", exchange, err)
		}
	}
	for queue, arguments := range n.queues() {
		if _, err := channel.QueueDeclare(queue, true, false, false, false, arguments); err != nil {
			return fmt.Errorf("declare queue %s: %w", queue, err)
		}
	}
	for queue, exchange := range n.bindings() {
		if err := channel.QueueBind(queue, ownQueue, exchange, false, nil); err != nil {
			return fmt.Errorf("bind queue %s: %w", queue, err)
		}
	}
	return nil
}

// errNotDeclared: the queues are made by the process that relays the log.
var errNotDeclared = errors.New("the queues are not there: the service that relays the log makes them, and its broker key must be ours")

// exists asks for one queue, which needs no right. A failed look closes the channel.
func exists(channel *amqp091.Channel, queue string) error {
	_, err := channel.QueueDeclarePassive(queue, true, false, false, false, nil)
	var missing *amqp091.Error
	if errors.As(err, &missing) && missing.Code == amqp091.NotFound {
		return fmt.Errorf("%w (%s)", errNotDeclared, queue)
	}
	return err
}

// ensure makes the whole topology, or looks whether one queue of it is there.
func (n names) ensure(channel *amqp091.Channel, declares bool, queue string) error {
	if declares {
		return n.declare(channel)
	}
	return exists(channel, queue)
}

// hintsMost is how many hints wait for a process; only the newest counts.
const maxHints = 100

// declareHints makes a queue of hints for this process. It is on no disk, and on the
// node to which the process is connected.
func (n names) declareHints(channel *amqp091.Channel) (string, error) {
	queue := n.hints + randomHex(8)
	_, err := channel.QueueDeclare(queue, false, true, true, false, amqp091.Table{"x-max-length": maxHints, "x-overflow": "drop-head"})
	if err == nil {
		err = channel.QueueBind(queue, "", n.sendHints, false, nil)
	}
	if err != nil {
		return "", fmt.Errorf("declare a queue for hints: %w", err)
	}
	return queue, nil
}

// Rights are what a user of the broker may do in its virtual host: regular expressions
// over the names of queues and exchanges, as rabbitmqctl set_permissions takes them.
type Rights struct{ Configure, Write, Read string }

// ServiceRights are those of the processes with the roles relay, projector or matcher,
// and of an import by the workers.
func (k Key) ServiceRights() Rights {
	all := "^" + regexp.QuoteMeta("kassa."+k.Installation+".")
	return Rights{Configure: all, Write: all, Read: all}
}

// WorkerRights are those of a worker, which takes work and gives answers.
func (k Key) WorkerRights() Rights {
	n := namesOf(k.Installation)
	return Rights{Configure: "^$", Write: "^" + regexp.QuoteMeta(n.sendAnswers) + "$", Read: "^(" + regexp.QuoteMeta(n.work) + "|" + regexp.QuoteMeta(n.aloneWork) + ")$"}
}
