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
	"github.com/cenkalti/backoff/v5"
	amqp091 "github.com/rabbitmq/amqp091-go"
)

// subscriber takes messages of one kind from its queue for Watermill. Where the
// connection, the channel or the queue is lost it consumes again as soon as it can.
//
// It is our own because watermill-amqp's has a data race in its reconnection, holds
// one message a subscription, declares what it consumes, and cannot refuse a message
// (docs/decisions/0016-own-subscriber.md).
type subscriber struct {
	link *link
	kind string
	// queue says from where to consume. It is called before each consumer, and makes
	// the queue where that is this process's right.
	queue func(*amqp091.Channel) (string, error)
	// optional: a bus runs, and is ready, also while it does not consume.
	optional bool
	log      *slog.Logger

	asked     atomic.Bool // somebody subscribed
	consuming atomic.Bool
	closing   chan struct{}
	once      sync.Once
	takers    sync.WaitGroup // goroutines that hand out messages
	inHand    sync.WaitGroup // messages that are not acknowledged yet
}

// consumer is one life of a subscription.
type consumer struct {
	channel    *amqp091.Channel
	deliveries <-chan amqp091.Delivery
	gone       chan *amqp091.Error // closed with the channel
}

// consumerTag names the only consumer of its channel.
const consumerTag = "kassa"

// Subscribe consumes until it is closed. The topic only appears in the log.
func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.asked.Store(true)
	var first *consumer
	if !s.optional {
		var err error
		if first, err = s.consume(); err != nil {
			return nil, err
		}
		s.consuming.Store(true)
	}
	out := make(chan *message.Message)
	s.takers.Go(func() {
		defer close(out)
		for c := first; ; c = nil {
			if c == nil {
				if c = s.again(ctx, topic); c == nil {
					return
				}
			}
			s.consuming.Store(true)
			over := s.handOut(ctx, c, out)
			s.consuming.Store(false)
			if over {
				return
			}
		}
	})
	return out, nil
}

func (s *subscriber) consume() (*consumer, error) {
	channel, err := s.link.channel()
	if err != nil {
		return nil, err
	}
	queue, err := s.queue(channel)
	if err == nil {
		err = channel.Qos(lanes, 0, false)
	}
	c := &consumer{channel: channel, gone: channel.NotifyClose(make(chan *amqp091.Error, 1))}
	if err == nil {
		c.deliveries, err = channel.Consume(queue, consumerTag, false, false, false, false, nil)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("consume %s: %w", s.kind, err), channel.Close())
	}
	return c, nil
}

// again consumes with growing pauses until the broker lets it, or gives nil when it is
// closed.
func (s *subscriber) again(ctx context.Context, topic string) *consumer {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, 3*time.Second
	for {
		select {
		case <-s.closing:
			return nil
		case <-ctx.Done():
			return nil
		default:
		}
		c, err := s.consume()
		if err == nil {
			return c
		}
		s.log.Warn("the broker does not let us consume", "topic", topic, "error", err)
		select {
		case <-time.After(wait.NextBackOff()):
		case <-s.closing:
		case <-ctx.Done():
		}
	}
}

// handOut gives messages out, as many at once as the channel's prefetch. It returns
// when the consumer is lost, or, with over, when the subscription is.
func (s *subscriber) handOut(ctx context.Context, c *consumer, out chan<- *message.Message) (over bool) {
	for {
		select {
		case d, open := <-c.deliveries:
			if !open {
				_ = c.channel.Close() // the broker ended the consumer, or the channel is gone already
				return false
			}
			if !s.handOutOne(ctx, c, d, out) {
				s.leave(c)
				return true
			}
		case <-s.closing:
			s.leave(c)
			return true
		case <-ctx.Done():
			s.leave(c)
			return true
		}
	}
}

// leave ends the consumer, and puts back what it had not handed out. The channel stays
// open for the acknowledgements of what is in hand.
func (s *subscriber) leave(c *consumer) {
	if err := c.channel.Cancel(consumerTag, false); err != nil {
		return // the channel is gone, and its messages are the broker's again
	}
	for d := range c.deliveries {
		_ = d.Nack(false, true)
	}
}

func (s *subscriber) handOutOne(ctx context.Context, c *consumer, d amqp091.Delivery, out chan<- *message.Message) bool {
	m, err := unmarshal(s.link.broker.Key, s.kind, d)
	if err != nil {
		s.log.Error("a message cannot be read", "kind", s.kind, "message", watermillID(d), "error", err)
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
	s.inHand.Go(func() {
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
		case <-c.gone:
		}
	})
	return true
}

// Close ends the subscription; what is in hand may still be acknowledged.
func (s *subscriber) Close() error {
	s.once.Do(func() { close(s.closing) })
	s.takers.Wait()
	return nil
}

// settled is closed when nothing is in hand any more.
func (s *subscriber) settled() <-chan struct{} {
	done := make(chan struct{})
	go func() { s.inHand.Wait(); close(done) }()
	return done
}

// missing says what keeps the process from being ready.
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
