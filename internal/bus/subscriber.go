package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	amqp091 "github.com/rabbitmq/amqp091-go"

	"kassa/internal/wait"
)

// subscriber consumes messages of one kind from its queue for Watermill. Where the
// connection, the channel or the queue is lost it consumes again as soon as it can.
//
// It is our own because watermill-amqp's has a data race in its reconnection, holds
// one message a subscription, declares what it consumes, and cannot refuse a message
// (docs/decisions/0016-own-subscriber.md).
type subscriber struct {
	link *link
	kind string
	// queue gives the queue to consume. It is called before each consumer, and makes
	// the queue where that is this process's right.
	queue    func(*amqp091.Channel) (string, error)
	prefetch int // how many messages it has in hand at most
	// optional: a bus runs, and is ready, also while it does not consume.
	optional bool
	// once: what was delivered before is refused, and so becomes a dead letter.
	once bool
	// alone is the queue that is drained before this one is consumed; "" for none.
	alone  string
	logger *slog.Logger

	asked          atomic.Bool // Subscribe was called
	consuming      atomic.Bool
	began          chan struct{} // closed when it consumes for the first time
	begin          sync.Once
	draining       <-chan struct{} // closed when it takes no more from its queue; nil: it never is
	rest           chan struct{}   // closed when after that all was delivered that the broker had sent
	closing        chan struct{}
	close          sync.Once
	subscriptions  sync.WaitGroup // goroutines of subscriptions
	unacknowledged sync.WaitGroup // messages that are not acknowledged yet
}

// consumer is a subscription's consumer, until its channel is lost.
type consumer struct {
	channel    *amqp091.Channel
	deliveries <-chan amqp091.Delivery
	closed     chan *amqp091.Error // closed with the channel
}

// consumerTag names the only consumer of its channel.
const consumerTag = "kassa"

// Subscribe consumes until it is closed. The topic only appears in the log.
func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.asked.Store(true)
	var first *consumer
	if !s.optional && s.alone == "" {
		var err error
		if first, err = s.consume(); err != nil {
			return nil, err
		}
		s.consuming.Store(true)
	}
	out := make(chan *message.Message)
	s.subscriptions.Go(func() {
		defer close(out)
		for c := first; ; c = nil {
			if c == nil {
				if c = s.reconsume(ctx, topic); c == nil {
					return
				}
			}
			s.consuming.Store(true)
			s.begin.Do(func() { close(s.began) })
			over := s.deliverAll(ctx, c, out)
			s.consuming.Store(false)
			if over {
				return
			}
		}
	})
	return out, nil
}

// drainTime bounds how long a queue waits for another to be drained.
const drainTime = 5 * time.Second

// drain waits until the jobs that are tried alone are done, or a moment is over. When this
// process crashes on one of them, it then has nothing else in flight that would be
// redelivered; and one of its other messages on which it crashes finds none of them.
func (s *subscriber) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		channel, err := s.link.channel()
		if err != nil {
			return // consume meets it
		}
		queue, err := channel.QueueDeclarePassive(s.alone, true, false, false, false, nil)
		_ = channel.Close() // after a failure it is closed
		if err != nil || queue.Messages == 0 {
			return
		}
		select {
		case <-time.After(wait):
		case <-s.closing:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (s *subscriber) consume() (*consumer, error) {
	channel, err := s.link.channel()
	if err != nil {
		return nil, err
	}
	queue, err := s.queue(channel)
	if err == nil {
		err = channel.Qos(s.prefetch, 0, false)
	}
	c := &consumer{channel: channel, closed: channel.NotifyClose(make(chan *amqp091.Error, 1))}
	if err == nil {
		c.deliveries, err = channel.Consume(queue, consumerTag, false, false, false, false, nil)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("consume %s: %w", s.kind, err), channel.Close())
	}
	return c, nil
}

// reconsume consumes with growing pauses until the broker lets it, or gives nil when it is
// closed.
func (s *subscriber) reconsume(ctx context.Context, topic string) *consumer {
	retry := wait.NewRetry(100*time.Millisecond, 3*time.Second)
	for {
		select {
		case <-s.draining:
			s.end(ctx)
			return nil
		case <-s.closing:
			return nil
		case <-ctx.Done():
			return nil
		default:
		}
		if s.alone != "" {
			s.drain(ctx)
		}
		c, err := s.consume()
		if err == nil {
			return c
		}
		s.logger.Warn("the broker does not let us consume", "topic", topic, "error", err)
		select {
		case <-time.After(retry.Next()):
		case <-s.draining:
		case <-s.closing:
		case <-ctx.Done():
		}
	}
}

// deliverAll delivers messages, as many at once as the channel's prefetch. It returns when
// the consumer is lost, or, with over, when the subscription is.
func (s *subscriber) deliverAll(ctx context.Context, c *consumer, out chan<- *message.Message) (over bool) {
	for {
		select {
		case d, open := <-c.deliveries:
			if !open {
				_ = c.channel.Close() // the broker ended the consumer, or the channel is gone already
				return false
			}
			if !s.deliver(ctx, c, d, out) {
				s.cancel(c)
				return true
			}
		case <-s.draining:
			s.deliverRest(ctx, c, out)
			return true
		case <-s.closing:
			s.cancel(c)
			return true
		case <-ctx.Done():
			s.cancel(c)
			return true
		}
	}
}

// deliverRest ends the consumer, and delivers what the broker has sent until then. Put
// back it would come to another process as what this one has died of.
func (s *subscriber) deliverRest(ctx context.Context, c *consumer, out chan<- *message.Message) {
	if err := c.channel.Cancel(consumerTag, false); err == nil {
		for d := range c.deliveries {
			s.deliver(ctx, c, d, out)
		}
	}
	s.end(ctx)
}

// end waits for the end of the subscription, for which nothing is left to deliver.
func (s *subscriber) end(ctx context.Context) {
	close(s.rest)
	select {
	case <-s.closing:
	case <-ctx.Done():
	}
}

// cancel ends the consumer, and puts back what was not delivered. The channel stays open
// for acknowledgements.
func (s *subscriber) cancel(c *consumer) {
	if err := c.channel.Cancel(consumerTag, false); err != nil {
		return // the channel is gone, and its messages are the broker's again
	}
	for d := range c.deliveries {
		_ = d.Nack(false, true)
	}
}

func (s *subscriber) deliver(ctx context.Context, c *consumer, d amqp091.Delivery, out chan<- *message.Message) bool {
	if s.once && d.Redelivered { // a process died that had it in hand, perhaps of it
		s.logger.Warn("a message was delivered before; its jobs are tried alone", "kind", s.kind, "message", watermillID(d))
		_ = d.Reject(false) // an error means that the channel is gone
		return true
	}
	m, err := unmarshal(s.link.broker.Key, s.kind, d)
	if err != nil {
		s.logger.Error("a message cannot be read", "kind", s.kind, "message", watermillID(d), "error", err)
		_ = d.Reject(false) // dead where its queue has dead letters, and else dropped
		return true
	}
	select {
	case out <- m:
	case <-s.closing:
		_ = d.Nack(false, true)
		return false
	case <-ctx.Done():
		_ = d.Nack(false, true)
		return false
	}
	s.unacknowledged.Go(func() {
		// An error means that the channel is gone, and the broker delivers again.
		select {
		case <-m.Acked():
			_ = d.Ack(false)
		case <-m.Nacked():
			if m.Metadata.Get(verdict) == rejected {
				_ = d.Reject(false)
			} else {
				_ = d.Nack(false, true)
			}
		case <-c.closed:
		}
	})
	return true
}

// Close ends the subscription; delivered messages may still be acknowledged.
func (s *subscriber) Close() error {
	s.close.Do(func() { close(s.closing) })
	s.subscriptions.Wait()
	return nil
}

// settled is closed when every delivered message is acknowledged.
func (s *subscriber) settled() <-chan struct{} {
	done := make(chan struct{})
	go func() { s.unacknowledged.Wait(); close(done) }()
	return done
}

// missing gives what keeps the process from being ready.
func (s *subscriber) missing() error {
	if s.optional || !s.asked.Load() || s.consuming.Load() {
		return nil
	}
	return fmt.Errorf("the broker delivers no %s", s.kind)
}

// watermillID is a message's id, for the log.
func watermillID(d amqp091.Delivery) string {
	if id, _ := d.Headers[headerID].(string); len(id) <= len(watermill.NewUUID()) {
		return id
	}
	return ""
}
