// Package bus carries the log's consequences between processes: to the views how far the
// log has come, one job a prediction to the workers, and their answers back. It is the
// only package that knows Watermill.
//
// Delivery is at least once and may be out of order, and any client that can publish to the
// broker can lie. A message only carries how far the log has come, or a vector for a
// question that the log has; a job may be done twice, and settling it relies on the
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
	"golang.org/x/time/rate"

	"kassa/eventstore"
	"kassa/internal/wait"
)

// Job names the prediction that a message is about. It travels in the message's headers.
// Whose prediction it is, is read from the log.
type Job struct {
	Prediction string
	Position   eventstore.Position // of the request in the log
}

// Failed is the failure of a job whose worker gave up, in the failure header of its
// answer.
const Failed = "worker_failed"

// Handlers handle messages. Each may be called by several goroutines, and more than once
// for the same message. A message whose handler gives an error is tried again a few
// times, unless the error is Permanent.
type Handlers struct {
	// Hint gets how far the log has come, if the message is true. It must not wait.
	Hint func(at eventstore.Position)
	// Work does jobs together, and gives for each its own outcome.
	Work func(ctx context.Context, requests [][]byte) []Outcome
	// Answer settles jobs by their answers or failures, and gives for each what was wrong,
	// or nil.
	Answer func(ctx context.Context, items []Item) []error
}

// Outcome is what became of a job: an answer, in a stable word why there is none and never
// will be, or an error, after which it is tried again.
type Outcome struct {
	Answer  []byte
	Failure string
	Err     error
}

// concurrency is how many messages of a kind one process handles at once.
const concurrency = 16

// Bus is a connection to a broker, or to none.
type Bus struct {
	logger *slog.Logger
	router *message.Router
	channels
	broker    *connections   // nil in one process
	malformed rate.Sometimes // limits the logging of malformed hints
	running   chan struct{}  // closed when every subscription is made
	closing   chan struct{}  // closed when Run begins to end

	observer func(kind string, jobs []Job, began time.Time) // nil: there is none
}

// Observe has fn called after each message of jobs was handled: of the kind work or
// answers. fn must not wait. It is set before Run.
func (b *Bus) Observe(fn func(kind string, jobs []Job, began time.Time)) { b.observer = fn }

func (b *Bus) observe(kind string, items []Item, began time.Time) {
	if b.observer == nil {
		return
	}
	jobs := make([]Job, len(items))
	for i, item := range items {
		jobs[i] = item.Job
	}
	b.observer(kind, jobs, began)
}

// channels are all kinds of messages. What cannot be handled, or was in hand when its
// process died, goes to dead, and from there each of its jobs to a channel where one is
// handled at a time. What is dead after that has failed.
type channels struct{ events, work, answers, dead, aloneWork, aloneAnswers *channel }

// channel is one kind of message: the topics to which it is published in turn, and those
// that are consumed side by side.
type channel struct {
	publisher   message.Publisher
	subscriber  message.Subscriber
	publishTo   []string
	subscribeTo []string
	concurrency int // how many of its messages are handled at once, where no prefetch limits it
	published   atomic.Uint64
}

// InProcess gives a bus of Go channels. It loses all that is under way when the process
// ends: a relay must then start again before the oldest open job.
func InProcess(logger *slog.Logger) (*Bus, error) {
	adapter := adapt(logger)
	pubsub := gochannel.NewGoChannel(gochannel.Config{OutputChannelBuffer: 64}, adapter)
	through := func(name string, n int) *channel {
		c := &channel{publisher: pubsub, subscriber: pubsub, concurrency: n}
		for i := range n {
			c.publishTo = append(c.publishTo, name+"."+strconv.Itoa(i))
		}
		c.subscribeTo = c.publishTo
		return c
	}
	return newBus(logger, adapter, channels{events: through("events", 1), work: through("work", concurrency),
		answers: through("answers", concurrency), dead: through("dead", 1),
		aloneWork: through("alone.work", 1), aloneAnswers: through("alone.answers", 1)}, nil)
}

func newBus(logger *slog.Logger, adapter watermill.LoggerAdapter, all channels, broker *connections) (*Bus, error) {
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 10 * time.Second}, adapter)
	if err != nil {
		return nil, fmt.Errorf("make a message router: %w", err)
	}
	return &Bus{logger: logger, router: router, channels: all, broker: broker, malformed: rate.Sometimes{Interval: time.Minute},
		running: make(chan struct{}), closing: make(chan struct{})}, nil
}

// adapt logs Watermill's own messages at a lower level.
func adapt(logger *slog.Logger) watermill.LoggerAdapter {
	return watermill.NewSlogLoggerWithLevelMapping(logger, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug})
}

// Run delivers messages until ctx ends; then those that the broker has sent are handled
// still, and handlers that run are let finish. It is called once.
func (b *Bus) Run(ctx context.Context, h Handlers) error {
	// Handlers keep a context of their own while the router closes, so that they finish
	// what they have begun: Watermill ends a message's context as soon as its
	// subscription closes.
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	for _, c := range b.consumptions(h) {
		b.consume(ctx.Done(), running, c)
	}
	if b.broker != nil {
		stop := b.broker.keepTopology(ctx)
		defer stop()
	}
	done := make(chan error, 1)
	go func() { done <- b.router.Run(running) }()
	select { // a router that is closed before it runs waits in vain for its handlers
	case err := <-done:
		if ctx.Err() != nil {
			err = nil // stopped while the broker did not let us consume
		}
		b.Close()
		return err
	case <-b.router.Running():
	}
	if b.broker == nil || b.broker.begun(ctx) {
		close(b.running)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	if b.broker != nil {
		b.broker.drain()
	}
	close(b.closing)
	err := errors.Join(b.router.Close(), <-done)
	b.Close()
	return err
}

// Connected gives an error where the broker is away, or delivers nothing to this process.
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

// Running is closed when every subscription is made. What is published before is lost on
// a bus without a broker.
func (b *Bus) Running() <-chan struct{} { return b.running }

// How often a handler is tried again. A worker's own faults do not go away by waiting;
// those of a database that restarts do.
var (
	shortRetry = middleware.Retry{MaxRetries: 4, InitialInterval: 50 * time.Millisecond, MaxInterval: time.Second, Multiplier: 3}
	longRetry  = middleware.Retry{MaxRetries: 15, InitialInterval: 50 * time.Millisecond, MaxInterval: 3 * time.Second, Multiplier: 2}
)

// consumption is how the messages of a channel are handled.
type consumption struct {
	name    string
	channel *channel
	retry   middleware.Retry
	handle  func(*message.Message) error
	giveUp  func(*message.Message, error) error // after the last try; where it fails, the message goes back to the bus
}

func (b *Bus) consumptions(h Handlers) (list []consumption) {
	if h.Hint != nil {
		list = append(list, consumption{"events", b.events, shortRetry, h.onHint, b.dropHint})
	}
	on := jobHandlers{b, h}
	if h.Work != nil {
		list = append(list, consumption{"work", b.work, shortRetry, on.work, b.deadLetter(kindWork, false)},
			consumption{"alone.work", b.aloneWork, shortRetry, on.work, b.deadLetter(kindWork, true)})
	}
	if h.Answer != nil {
		list = append(list, consumption{"answers", b.answers, longRetry, on.answer, b.deadLetter(kindAnswers, false)},
			consumption{"alone.answers", b.aloneAnswers, longRetry, on.answer, b.deadLetter(kindAnswers, true)},
			consumption{"dead", b.dead, longRetry, on.dead, b.drop})
	}
	return list
}

// consume subscribes a handler to every topic of a channel.
func (b *Bus) consume(stop <-chan struct{}, running context.Context, c consumption) {
	c.retry.ShouldRetry = func(p middleware.RetryParams) bool { return !IsPermanent(p.Err) && !b.isClosing() }
	// Go channels deliver any number of messages at once, so they are limited here.
	var slots chan struct{}
	if c.channel.concurrency > 0 {
		slots = make(chan struct{}, c.channel.concurrency)
	}
	for i, topic := range c.channel.subscribeTo {
		added := b.router.AddConsumerHandler(c.name+"-"+strconv.Itoa(i), topic, retryingSubscriber{c.channel.subscriber, b.logger, stop}, c.handle)
		added.AddMiddleware(func(next message.HandlerFunc) message.HandlerFunc {
			return func(m *message.Message) ([]*message.Message, error) {
				if slots != nil {
					select {
					case slots <- struct{}{}:
						defer func() { <-slots }()
					case <-b.closing:
					}
				}
				m.SetContext(running)
				return nil, b.deliver(m, next, c.giveUp)
			}
		}, c.retry.Middleware, middleware.Recoverer)
	}
}

// retryingSubscriber subscribes until the broker allows it: the broker may be away, or
// refuse, when a process starts.
type retryingSubscriber struct {
	message.Subscriber
	logger *slog.Logger
	stop   <-chan struct{} // ends the tries, and not the subscription
}

func (s retryingSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	retry := wait.NewRetry(100*time.Millisecond, 3*time.Second)
	for {
		messages, err := s.Subscriber.Subscribe(ctx, topic)
		if err == nil {
			return messages, nil
		}
		s.logger.Warn("the broker does not let us consume yet", "error", err)
		select {
		case <-time.After(retry.Next()):
		case <-s.stop:
			return nil, err
		}
	}
}

// errPutBack gives a message back to the bus; Watermill does not log it.
var errPutBack = fmt.Errorf("put back: %w", context.Canceled)

// deliver gives a message to its handler. While the bus closes, a message that has not
// begun, or fails, is put back and not given up: the broker, or the relay of the next
// start, delivers it again.
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
// up at once, and does not block others.
func Permanent(err error) error { return permanent{err} }

// IsPermanent reports whether an error is marked so.
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
}

// errMalformed marks what is no message of ours.
var errMalformed = Permanent(errors.New("malformed message"))
