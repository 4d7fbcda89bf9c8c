package bus

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	amqp091 "github.com/rabbitmq/amqp091-go"
)

// Broker is how a process reaches RabbitMQ, and as what.
type Broker struct {
	Addresses []string // amqp:// or amqps:// URLs of the nodes of one cluster, tried in turn
	Key       Key
	Process   string // what the process is, in the names of its connections: worker, relay …
	Version   string // of the build, in the same place
	// Declares: this process makes the queues and exchanges, and makes them
	// again where they are lost. All others wait until they are there, so that their
	// users need no right to configure anything.
	Declares bool
}

// ParseAddresses reads the addresses of a cluster's nodes, separated by spaces, line
// breaks or commas. A comma in a password is written as %2C.
func ParseAddresses(text string) ([]string, error) {
	list := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
	for _, address := range list {
		// The text is not repeated: it has a password.
		if u, err := url.Parse(address); err != nil || u.Scheme != "amqp" && u.Scheme != "amqps" || u.Host == "" {
			return nil, errors.New("the broker's address is not an amqp:// URL")
		}
	}
	if len(list) == 0 {
		return nil, errors.New("the broker's address is not an amqp:// URL")
	}
	return list, nil
}

// connectTimeout bounds how long one address may take to answer.
const connectTimeout = 5 * time.Second

// link is a connection to the broker that is made when it is needed, and made again
// when it was lost. Each purpose has its own, so that none waits for another: a broker
// that takes nothing for want of memory stops reading a whole connection.
type link struct {
	broker  Broker
	purpose string

	mu     sync.Mutex
	conn   *amqp091.Connection
	next   int // the address that is tried first
	closed bool
}

// errClosed: the bus was closed.
var errClosed = errors.New("the connection to the broker was closed")

// channel opens a channel, over a new connection where there is none.
func (l *link) channel() (*amqp091.Channel, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errClosed
	}
	if l.conn == nil || l.conn.IsClosed() {
		if err := l.connect(); err != nil {
			return nil, err
		}
	}
	channel, err := l.conn.Channel()
	if err != nil {
		return nil, fmt.Errorf("open a channel: %w", err)
	}
	return channel, nil
}

// connect tries each address once, beginning with the one that answered last; after a
// failure the next call begins with another.
func (l *link) connect() error {
	var failures []error
	for range l.broker.Addresses {
		conn, err := amqp091.DialConfig(l.broker.Addresses[l.next], l.config())
		if err == nil {
			l.conn = conn
			return nil
		}
		failures = append(failures, err)
		l.next = (l.next + 1) % len(l.broker.Addresses)
	}
	return fmt.Errorf("connect to the broker: %w", errors.Join(failures...))
}

func (l *link) config() amqp091.Config {
	properties := amqp091.NewConnectionProperties()
	host, _ := os.Hostname() // "" where it is unknown
	properties.SetClientConnectionName(fmt.Sprintf("kassa %s@%s:%d %s %s", l.broker.Process, host, os.Getpid(), l.purpose, l.broker.Version))
	properties["product"], properties["version"] = "kassa", l.broker.Version
	return amqp091.Config{Heartbeat: 5 * time.Second, Dial: amqp091.DefaultDial(connectTimeout), Properties: properties}
}

// abandon closes the connection without waiting for the broker to agree, which ends
// all that waits on it.
func (l *link) abandon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.CloseDeadline(time.Now().Add(time.Second)) // it is broken already
	}
}

// closeTimeout bounds the farewell: a broker with its memory alarm raised reads nothing
// from a connection that publishes, not even that.
const closeTimeout = 3 * time.Second

// close ends the connection for good. That the broker did not agree in time is no fault
// of anything.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn != nil {
		_ = l.conn.CloseDeadline(time.Now().Add(closeTimeout))
	}
}

// isRefused reports whether an error is one that waiting does not change: a user that may
// not do it, or a queue with other arguments.
func isRefused(err error) bool {
	var refused *amqp091.Error
	return errors.As(err, &refused) && (refused.Code == amqp091.PreconditionFailed || refused.Code == amqp091.AccessRefused)
}
