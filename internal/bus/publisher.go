package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/cenkalti/backoff/v5"
	amqp091 "github.com/rabbitmq/amqp091-go"
)

// publishTimeout is how long the broker may take to confirm. It may block for
// ever, with its memory alarm raised.
const publishTimeout = 10 * time.Second

// errNotPublished: it is unknown whether the broker has the message. The message
// itself is not at fault.
var errNotPublished = errors.New("the broker did not take the message")

// publisher sends over one channel for all who publish, and each waits for the
// confirm of its own message. watermill-amqp's publisher would open and close a
// channel for every message, which costs more than the message, and wait without
// an end.
type publisher struct {
	link     *link
	topology names
	timeout  time.Duration

	mu      sync.Mutex
	channel *confirming // nil before the first message
}

// route publishes messages of one kind to an exchange; a topic is its routing key.
type route struct {
	*publisher
	exchange, kind string
}

func (p *publisher) to(exchange, kind string) message.Publisher { return route{p, exchange, kind} }

// Publish sends, and returns when the broker has the messages on disk. After an
// error it is unknown whether they arrived.
func (r route) Publish(topic string, messages ...*message.Message) error {
	kind := r.kind
	if topic != ownQueue {
		kind = kindReplies
	}
	for _, m := range messages {
		if err := r.publish(r.exchange, topic, marshal(r.link.broker.Key, kind, m)); err != nil {
			return err
		}
	}
	return nil
}

// record sends the record of a dead letter, which has no body to seal.
func (p *publisher) record(sent amqp091.Publishing) error {
	return p.publish(p.topology.sendKept, ownQueue, sent)
}

// publish waits for the confirm. When the broker takes too long, the connection is
// given up, which ends all waits on it; the next message makes a new one.
func (p *publisher) publish(exchange, key string, sent amqp091.Publishing) error {
	done := make(chan error, 1)
	go func() { done <- p.send(exchange, key, sent) }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("%w: %w", errNotPublished, err)
		}
		return nil
	case <-time.After(p.timeout):
		p.link.abandon()
		return fmt.Errorf("%w within %s", errNotPublished, p.timeout)
	}
}

// send publishes once, or a second time where a queue was deleted and it is this
// process's right to make it again.
func (p *publisher) send(exchange, key string, sent amqp091.Publishing) error {
	err := p.sendOnce(exchange, key, sent)
	if !errors.Is(err, errReturned) || !p.link.broker.Declares {
		return err
	}
	if err := p.declare(); err != nil {
		return err
	}
	return p.sendOnce(exchange, key, sent)
}

func (p *publisher) sendOnce(exchange, key string, sent amqp091.Publishing) error {
	channel, err := p.open()
	if err != nil {
		return err
	}
	// A reply to an asker that has gone is dropped; anything else must reach a queue.
	return channel.publish(exchange, key, key == ownQueue, sent)
}

// open gives the channel. One that broke is replaced, and then the topology is
// declared before anything is published: the broker may have lost it.
func (p *publisher) open() (*confirming, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.channel != nil && !p.channel.IsClosed() {
		return p.channel, nil
	}
	channel, err := p.link.channel()
	if err != nil {
		return nil, err
	}
	if p.link.broker.Declares {
		if err := p.topology.declare(channel); err != nil {
			return nil, errors.Join(err, channel.Close())
		}
	}
	if p.channel, err = confirmed(channel); err != nil {
		return nil, errors.Join(err, channel.Close())
	}
	return p.channel, nil
}

// declare makes the topology again, on a channel of its own.
func (p *publisher) declare() error {
	channel, err := p.link.channel()
	if err != nil {
		return err
	}
	return errors.Join(p.topology.declare(channel), channel.Close())
}

// Close ends the connection.
func (p *publisher) Close() error {
	p.link.close()
	return nil
}

// confirming is a channel on which every message is confirmed, or returned first
// where no queue takes it.
type confirming struct {
	*amqp091.Channel
	asked chan query
	ended chan struct{}
}

// query asks whether a message was returned.
type query struct {
	id       string
	returned chan bool
}

// errReturned: no queue takes the message.
var errReturned = errors.New("no queue takes it")

func confirmed(channel *amqp091.Channel) (*confirming, error) {
	if err := channel.Confirm(false); err != nil {
		return nil, fmt.Errorf("ask for confirms: %w", err)
	}
	c := &confirming{channel, make(chan query), make(chan struct{})}
	go c.note(channel.NotifyReturn(make(chan amqp091.Return)))
	return c, nil
}

// note keeps the ids of returned messages until they are asked for. A return comes
// before the confirm of its message, and is in our hands before the confirm is read:
// a check after the confirm sees it.
func (c *confirming) note(returns <-chan amqp091.Return) {
	defer close(c.ended)
	returned := map[string]bool{}
	for {
		select {
		case r, open := <-returns:
			if !open {
				return
			}
			returned[r.MessageId] = true
		case q := <-c.asked:
			q.returned <- returned[q.id]
			delete(returned, q.id)
		}
	}
}

func (c *confirming) publish(exchange, key string, mandatory bool, sent amqp091.Publishing) error {
	confirm, err := c.PublishWithDeferredConfirmWithContext(context.Background(), exchange, key, mandatory, false, sent)
	if err != nil {
		return err
	}
	if !confirm.Wait() {
		return errors.New("refused, or the connection was lost")
	}
	if !mandatory {
		return nil
	}
	q := query{sent.MessageId, make(chan bool, 1)}
	select {
	case c.asked <- q:
	case <-c.ended:
		return amqp091.ErrClosed
	}
	if <-q.returned {
		return errReturned
	}
	return nil
}

// hinter publishes hints of how far the log has come, of which only the newest counts.
// It keeps nobody waiting, whatever state the broker is in: who misses a hint reads
// the store a moment later.
type hinter struct {
	link     *link
	exchange string
	log      *slog.Logger
	newest   chan *message.Message // one place
	close    context.CancelFunc
	closed   chan struct{}
}

func newHinter(l *link, exchange string, log *slog.Logger) *hinter {
	ctx, cancel := context.WithCancel(context.Background())
	h := &hinter{l, exchange, log, make(chan *message.Message, 1), cancel, make(chan struct{})}
	go h.run(ctx)
	return h
}

// Publish takes the place of a hint that waits.
func (h *hinter) Publish(_ string, messages ...*message.Message) error {
	for _, m := range messages {
		for placed := false; !placed; {
			select {
			case h.newest <- m:
				placed = true
			case <-h.newest:
			}
		}
	}
	return nil
}

func (h *hinter) run(ctx context.Context) {
	defer close(h.closed)
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, 5*time.Second
	var channel *amqp091.Channel
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-h.newest:
			var err error
			if channel == nil || channel.IsClosed() {
				channel, err = h.link.channel()
			}
			if err == nil {
				sent := marshal(h.link.broker.Key, kindHints, m)
				sent.DeliveryMode = amqp091.Transient
				err = channel.PublishWithContext(ctx, h.exchange, "", false, false, sent)
			}
			if err == nil {
				wait.Reset()
				continue
			}
			h.log.Warn("hints of new entries do not reach the broker; the views look for themselves", "error", err)
			pause(ctx, wait.NextBackOff())
		}
	}
}

// Close ends it. A hint that the broker does not take is left.
func (h *hinter) Close() error {
	h.close()
	h.link.close()
	<-h.closed
	return nil
}
