package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	amqp091 "github.com/rabbitmq/amqp091-go"

	"kassa/internal/wait"
)

// publishTimeout is how long the broker may take to confirm. It may block for
// ever, with its memory alarm raised.
const publishTimeout = 10 * time.Second

// errNotPublished: it is unknown whether the broker has the message. The message
// itself is not at fault.
var errNotPublished = errors.New("the broker did not take the message")

// publisher sends over one channel for all who publish, and each waits for the
// confirms of its own messages. watermill-amqp's publisher would open and close a
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
	sent := make([]amqp091.Publishing, len(messages))
	for i, m := range messages {
		sent[i] = marshal(r.link.broker.Key, kind, m)
	}
	return r.publish(r.exchange, topic, sent...)
}

// record sends the record of a dead letter, which has no body to seal.
func (p *publisher) record(sent amqp091.Publishing) error {
	return p.publish(p.topology.sendKept, ownQueue, sent)
}

// publish waits for all confirms. When the broker takes too long, the connection is
// given up, which ends all waits on it; the next message makes a new one.
func (p *publisher) publish(exchange, key string, sent ...amqp091.Publishing) error {
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

// send publishes once, or all of it a second time where a queue was deleted and it is
// this process's right to make it again.
func (p *publisher) send(exchange, key string, sent []amqp091.Publishing) error {
	err := p.sendOnce(exchange, key, sent)
	if !errors.Is(err, errReturned) || !p.link.broker.Declares {
		return err
	}
	if err := p.declare(); err != nil {
		return err
	}
	return p.sendOnce(exchange, key, sent)
}

func (p *publisher) sendOnce(exchange, key string, sent []amqp091.Publishing) error {
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
	queries chan query
	ended   chan struct{}
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
	go c.collectReturns(channel.NotifyReturn(make(chan amqp091.Return)))
	return c, nil
}

// collectReturns keeps the ids of returned messages until they are queried. A return
// comes, and is received here, before the confirm of its message: a query after the
// confirm sees it.
func (c *confirming) collectReturns(returns <-chan amqp091.Return) {
	defer close(c.ended)
	returned := map[string]bool{}
	for {
		select {
		case r, open := <-returns:
			if !open {
				return
			}
			returned[r.MessageId] = true
		case q := <-c.queries:
			q.returned <- returned[q.id]
			delete(returned, q.id)
		}
	}
}

// publish sends all messages, and then waits for all confirms.
func (c *confirming) publish(exchange, key string, mandatory bool, sent []amqp091.Publishing) error {
	confirms := make([]*amqp091.DeferredConfirmation, len(sent))
	for i, m := range sent {
		var err error
		if confirms[i], err = c.PublishWithDeferredConfirmWithContext(context.Background(), exchange, key, mandatory, false, m); err != nil {
			return err
		}
	}
	for _, confirm := range confirms {
		if !confirm.Wait() {
			return errors.New("refused, or the connection was lost")
		}
	}
	var err error
	for _, m := range sent {
		if mandatory {
			err = errors.Join(err, c.returned(m.MessageId))
		}
	}
	return err
}

// returned gives an error where a message that was confirmed came back.
func (c *confirming) returned(id string) error {
	q := query{id, make(chan bool, 1)}
	select {
	case c.queries <- q:
	case <-c.ended:
		return amqp091.ErrClosed
	}
	if <-q.returned {
		return errReturned
	}
	return nil
}

// hinter publishes hints of how far the log has come, of which only the newest counts.
// It blocks no caller, whatever state the broker is in: a follower that misses a hint
// polls the store a moment later.
type hinter struct {
	link     *link
	exchange string
	logger   *slog.Logger
	newest   chan *message.Message // one place
	close    context.CancelFunc
	closed   chan struct{}

	channel *amqp091.Channel      // nil before the first hint
	untaken <-chan amqp091.Return // of the channel: hints that no queue took
}

func newHinter(l *link, exchange string, logger *slog.Logger) *hinter {
	ctx, cancel := context.WithCancel(context.Background())
	h := &hinter{link: l, exchange: exchange, logger: logger, newest: make(chan *message.Message, 1), close: cancel, closed: make(chan struct{})}
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

// hintsApart is between two hints. The views rest as long between their batches, and a hint
// costs the broker and both processes as much as the message of a question.
const hintsApart = 20 * time.Millisecond

// hintsUntaken is the pause after a hint that no queue took: every process gets the
// notifications of the database. One that takes hints from then on polls meanwhile.
const hintsUntaken = time.Second

func (h *hinter) run(ctx context.Context) {
	defer close(h.closed)
	retry := wait.NewRetry(100*time.Millisecond, 5*time.Second)
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-h.newest:
			if err := h.send(ctx, m); err != nil {
				h.logger.Warn("hints of new entries do not reach the broker; the views poll the log", "error", err)
				retry.Pause(ctx)
				continue
			}
			retry.Reset()
			h.rest(ctx)
		}
	}
}

func (h *hinter) send(ctx context.Context, m *message.Message) (err error) {
	if h.channel == nil || h.channel.IsClosed() {
		if h.channel, err = h.link.channel(); err != nil {
			return err
		}
		h.untaken = h.channel.NotifyReturn(make(chan amqp091.Return, 1))
	}
	sent := marshal(h.link.broker.Key, kindHints, m)
	sent.DeliveryMode = amqp091.Transient
	return h.channel.PublishWithContext(ctx, h.exchange, "", true, false, sent)
}

// rest waits until the next hint may be sent. All returns are received: one that is not
// stops the connection.
func (h *hinter) rest(ctx context.Context) {
	over := time.NewTimer(hintsApart)
	defer over.Stop()
	for untaken := h.untaken; ; {
		select {
		case <-over.C:
			return
		case <-ctx.Done():
			return
		case _, open := <-untaken:
			if !open { // as is the channel
				untaken = nil
				continue
			}
			over.Reset(hintsUntaken)
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
