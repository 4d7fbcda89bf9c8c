// Package bus carries what the log says to those who act on it: to the views how far it
// has come, one errand a prediction to the workers, and their answers back. It is the only
// package that knows Watermill.
//
// Delivery is at least once and may be out of order, and anybody who can publish to the
// broker can lie. A message only says how far the log has come, or brings a vector for a
// question that the log has; an errand may be done twice, and who settles it relies on the
// account's own state.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
	"github.com/cenkalti/backoff/v5"
	"golang.org/x/time/rate"

	"kassa/eventstore"
)

// Errand names the prediction that a message is about. It travels in the
// message's headers. Whose prediction it is, only the log says.
type Errand struct {
	Prediction string
	Position   eventstore.Position // of the request in the log
}

// Failed is what becomes of an errand whose worker gave up, in the failure header
// of its answer.
const Failed = "worker_failed"

// Handlers are those who act. Each may be called by several goroutines, and more
// than once for the same message. What a handler answers with an error is tried
// again a few times, unless the error is Permanent.
type Handlers struct {
	// Hint hears how far the log is said to have come. It must not wait.
	Hint func(at eventstore.Position)
	// Work does an errand: it gives the answer, or says in a stable word why there
	// is none and never will be.
	Work func(ctx context.Context, request []byte) (answer []byte, failure string, err error)
	// Answer settles an errand by its answer, or by its failure.
	Answer func(ctx context.Context, e Errand, answer []byte, failure string) error
}

// lanes is how many messages of a kind one process has in its hands.
const lanes = 16

// Bus is a connection to a broker, or to none.
type Bus struct {
	log    *slog.Logger
	router *message.Router
	channels
	broker  *connections // nil in one process
	odd     rate.Sometimes
	closing chan struct{} // closed when Run begins to end
}

// channels are all kinds of messages. What cannot be done goes to dead: there the
// errand is answered for, and its prediction fails.
type channels struct{ events, work, answers, dead *channel }

// channel is one kind of message: where it is published, in turn, and where it is
// taken from, side by side.
type channel struct {
	publisher   message.Publisher
	subscriber  message.Subscriber
	publishTo   []string
	subscribeTo []string
	hands       int // how many of its messages are handled at once
	turn        atomic.Uint64
}

// InProcess gives a bus of Go channels. It forgets all that is under way when the
// process ends: a relay must then start again before the oldest open errand.
func InProcess(log *slog.Logger) (*Bus, error) {
	adapter := adapt(log)
	pubsub := gochannel.NewGoChannel(gochannel.Config{OutputChannelBuffer: 64}, adapter)
	through := func(name string, n int) *channel {
		c := &channel{publisher: pubsub, subscriber: pubsub, hands: n}
		for i := range n {
			c.publishTo = append(c.publishTo, name+"."+strconv.Itoa(i))
		}
		c.subscribeTo = c.publishTo
		return c
	}
	return newBus(log, adapter, channels{events: through("events", 1), work: through("work", lanes),
		answers: through("answers", lanes), dead: through("dead", 1)}, nil)
}

func newBus(log *slog.Logger, adapter watermill.LoggerAdapter, all channels, broker *connections) (*Bus, error) {
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 10 * time.Second}, adapter)
	if err != nil {
		return nil, fmt.Errorf("make a message router: %w", err)
	}
	return &Bus{log: log, router: router, channels: all, broker: broker, odd: rate.Sometimes{Interval: time.Minute},
		closing: make(chan struct{})}, nil
}

// adapt gives Watermill's own chatter a lower level.
func adapt(log *slog.Logger) watermill.LoggerAdapter {
	return watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug})
}

// Run delivers messages until ctx ends; handlers that run are let finish. It is called
// once.
func (b *Bus) Run(ctx context.Context, h Handlers) error {
	// Handlers keep a living context while the router closes: what they have in
	// hand is finished, not cut off. Watermill ends a message's own context as soon
	// as its subscription closes.
	alive, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	if h.Hint != nil {
		b.consume(ctx.Done(), alive, "events", b.events, brief, b.onHint(h), b.noHint)
	}
	if h.Work != nil {
		b.consume(ctx.Done(), alive, "work", b.work, brief, b.onWork(h), b.bury)
	}
	if h.Answer != nil {
		b.consume(ctx.Done(), alive, "answers", b.answers, patient, b.onAnswer(h), b.bury)
		b.consume(ctx.Done(), alive, "dead", b.dead, patient, b.onDead(h), b.forget)
	}
	if b.broker != nil {
		defer b.broker.keepTopology(ctx)()
	}
	done := make(chan error, 1)
	go func() { done <- b.router.Run(alive) }()
	select { // a router that is closed before it runs waits in vain for its handlers
	case err := <-done:
		if ctx.Err() != nil {
			err = nil // told to stop while the broker did not let us consume
		}
		b.Close()
		return err
	case <-b.router.Running():
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	close(b.closing)
	err := errors.Join(b.router.Close(), <-done)
	b.Close()
	return err
}

// Connected says, by an error, that the broker is away, or gives this process nothing.
func (b *Bus) Connected() error {
	if b.broker == nil {
		return nil
	}
	return b.broker.missing()
}

// Close ends the connections. Run does so itself.
func (b *Bus) Close() {
	if b.broker != nil {
		b.broker.close()
	}
}

// Running is closed when every subscription stands. What is published before
// would reach nobody on a bus without a broker.
func (b *Bus) Running() <-chan struct{} { return b.router.Running() }

// How often a handler is tried again. The worker's own faults do not go away by
// waiting; a database that restarts does.
var (
	brief   = middleware.Retry{MaxRetries: 4, InitialInterval: 50 * time.Millisecond, MaxInterval: time.Second, Multiplier: 3}
	patient = middleware.Retry{MaxRetries: 15, InitialInterval: 50 * time.Millisecond, MaxInterval: 3 * time.Second, Multiplier: 2}
)

// consume subscribes a handler to every lane of a channel. An error is tried
// again with growing pauses; after that giveUp answers for the message. Where
// giveUp fails too, the message goes back to the bus.
func (b *Bus) consume(stop <-chan struct{}, alive context.Context, name string, c *channel, again middleware.Retry, handle func(*message.Message) error, giveUp func(*message.Message, error) error) {
	again.ShouldRetry = func(p middleware.RetryParams) bool { return !IsPermanent(p.Err) && !b.isClosing() }
	// Go channels bring any number of messages at once, so hands are counted here.
	hands := make(chan struct{}, c.hands)
	for i, topic := range c.subscribeTo {
		added := b.router.AddConsumerHandler(name+"-"+strconv.Itoa(i), topic, insistent{c.subscriber, b.log, stop}, handle)
		added.AddMiddleware(func(next message.HandlerFunc) message.HandlerFunc {
			return func(m *message.Message) ([]*message.Message, error) {
				select {
				case hands <- struct{}{}:
					defer func() { <-hands }()
				case <-b.closing:
				}
				m.SetContext(alive)
				return nil, b.deliver(m, next, giveUp)
			}
		}, again.Middleware, middleware.Recoverer)
	}
}

// insistent subscribes until the broker lets it: it may be away, or refuse, in the
// very moment when a process starts.
type insistent struct {
	message.Subscriber
	log  *slog.Logger
	stop <-chan struct{} // ends the tries, and not the subscription
}

func (s insistent) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, 3*time.Second
	for {
		messages, err := s.Subscriber.Subscribe(ctx, topic)
		if err == nil {
			return messages, nil
		}
		s.log.Warn("the broker does not let us consume yet", "error", err)
		select {
		case <-time.After(pause.NextBackOff()):
		case <-s.stop:
			return nil, err
		}
	}
}

// errPutBack gives a message back to the bus; Watermill says nothing of it.
var errPutBack = fmt.Errorf("put back: %w", context.Canceled)

// deliver brings a message to its handler. While the bus closes, what has not
// begun, and what fails, is put back and not given up: the broker, or the relay of
// the next start, brings it again.
func (b *Bus) deliver(m *message.Message, next message.HandlerFunc, giveUp func(*message.Message, error) error) error {
	if b.isClosing() {
		return errPutBack
	}
	_, err := next(m)
	switch {
	case err == nil:
		return nil
	case b.isClosing() || errors.Is(err, errNotPublished):
		return errPutBack // the message is not at fault
	}
	return giveUp(m, err)
}

func (b *Bus) isClosing() bool {
	select {
	case <-b.closing:
		return true
	default:
		return false
	}
}

// permanent is an error that stays however often the same message is tried.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks an error of a handler that no retry changes: the message is given
// up at once, and does not keep others waiting.
func Permanent(err error) error { return permanent{err} }

// IsPermanent says whether an error is marked so.
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
}

// errMalformed marks what is no message of ours.
var errMalformed = Permanent(errors.New("malformed message"))

func (b *Bus) onHint(h Handlers) func(*message.Message) error {
	return func(m *message.Message) error {
		at, err := decodeHint(m.Payload)
		if err == nil {
			h.Hint(at)
		}
		return err
	}
}

// noHint drops what is no hint. Nothing is lost with it: who follows the log also looks by
// itself. The log names one of many, so that it cannot be filled from outside.
func (b *Bus) noHint(m *message.Message, err error) error {
	b.odd.Do(func() { b.log.Warn("a message on the channel of events is dropped", "message", m.UUID, "error", err) })
	return nil
}

func (b *Bus) onWork(h Handlers) func(*message.Message) error {
	return func(m *message.Message) error {
		e, err := errandOf(m)
		waits := m.Metadata.Get(headerReply) != ""
		if err != nil && !waits {
			return err
		}
		answer, failure, err := h.Work(m.Context(), m.Payload)
		switch {
		case err != nil:
			return err
		case waits:
			return b.reply(m, answer, failure)
		}
		return b.PublishAnswer(e, answer, failure)
	}
}

func (b *Bus) onAnswer(h Handlers) func(*message.Message) error {
	return func(m *message.Message) error {
		e, err := errandOf(m)
		if err != nil {
			return err
		}
		return h.Answer(m.Context(), e, m.Payload, m.Metadata.Get(headerFailure))
	}
}

// onDead answers for an errand that a worker, or the settling of its answer,
// failed at time and again: its credits come back now, not at the hold's expiry.
func (b *Bus) onDead(h Handlers) func(*message.Message) error {
	return func(m *message.Message) error {
		if m.Metadata.Get(deadReason) == "expired" {
			return nil // and so does its hold
		}
		if m.Metadata.Get(headerReply) != "" {
			return b.reply(m, nil, Failed)
		}
		e, err := errandOf(m)
		if err != nil {
			return err
		}
		if err := h.Answer(m.Context(), e, nil, Failed); err != nil {
			return err
		}
		b.record(m, true)
		return nil
	}
}

// bury takes a message that cannot be handled off its channel.
func (b *Bus) bury(m *message.Message, err error) error {
	b.log.Error("a message failed for good", "message", m.UUID, "position", m.Metadata.Get(headerPosition), "prediction", m.Metadata.Get(headerPrediction), "error", err)
	if b.broker != nil {
		m.Metadata.Set(verdict, rejected)
		return errPutBack
	}
	return b.dead.publish(copyOf(m))
}

// forget drops what not even its failure could be told of; its hold expires.
func (b *Bus) forget(m *message.Message, err error) error {
	b.log.Error("an errand's failure cannot be settled; its hold will expire", "message", m.UUID,
		"position", m.Metadata.Get(headerPosition), "prediction", m.Metadata.Get(headerPrediction), "error", err)
	b.record(m, false)
	return nil
}
