package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	amqp091 "github.com/rabbitmq/amqp091-go"

	"kassa/internal/wait"
)

// headerID is the message's id.
const headerID = "kassa_message"

// sealedHeaders are those that travel; a seal is bound to them.
var sealedHeaders = []string{headerPrediction, headerPosition, headerFailure, headerReply, headerAsked}

// marshal seals a message. Its headers are strings; they name a prediction, and
// no person.
func marshal(k Key, kind string, m *message.Message) amqp091.Publishing {
	headers := amqp091.Table{headerID: m.UUID}
	for _, name := range sealedHeaders {
		if value := m.Metadata.Get(name); value != "" {
			headers[name] = value
		}
	}
	return amqp091.Publishing{Headers: headers, Body: k.seal(kind, m), ContentType: "application/octet-stream", MessageId: m.UUID,
		Expiration: m.Metadata.Get(expires), DeliveryMode: amqp091.Persistent}
}

// errPhantom: the zero value of a channel that the broker closed is not a message.
var errPhantom = Permanent(errors.New("an empty message, as of a channel that was closed"))

// unmarshal opens a message. Headers that others add, of whatever type, are left.
func unmarshal(k Key, kind string, d amqp091.Delivery) (*message.Message, error) {
	id, _ := d.Headers[headerID].(string)
	if d.Acknowledger == nil || id == "" && len(d.Body) == 0 {
		return nil, errPhantom
	}
	m := message.NewMessage(id, nil)
	for _, name := range sealedHeaders {
		if value, ok := d.Headers[name].(string); ok {
			m.Metadata.Set(name, value)
		}
	}
	if kind == kindDead {
		queue, _ := d.Headers["x-first-death-queue"].(string)
		reason, _ := d.Headers["x-first-death-reason"].(string)
		kind = queue[strings.LastIndex(queue, ".")+1:] // it is sealed as what it was
		m.Metadata.Set(deadReason, reason)
		m.Metadata.Set(deadFrom, kind)
		m.Metadata.Set(deadAlone, strconv.FormatBool(strings.HasSuffix(queue, aloneSuffix+kind)))
	}
	var err error
	m.Payload, err = k.open(kind, m, d.Body)
	return m, err
}

// connections are those of a bus to its broker. Consuming, publishing and hints have
// one each.
type connections struct {
	logger      *slog.Logger
	topology    names
	publisher   *publisher
	hinter      *hinter
	consuming   *link
	hints       *link
	subscribers []*subscriber
	draining    chan struct{} // closed when no more work is taken
	every       time.Duration // between two declarations

	mu         sync.Mutex
	undeclared error // why the topology could not be declared last
}

// Open gives a bus over a broker. It waits for the broker, and where the process does
// not declare for the queues, until ctx ends; later it connects again by itself.
func (b Broker) Open(ctx context.Context, logger *slog.Logger) (*Bus, error) {
	topology := namesOf(b.Key.Installation)
	publish := &publisher{link: &link{broker: b, purpose: "publishing"}, topology: topology, timeout: publishTimeout}
	if err := publish.await(ctx, logger); err != nil {
		publish.link.close()
		return nil, err
	}
	c := &connections{logger: logger, topology: topology, publisher: publish, every: declareEvery, draining: make(chan struct{}),
		hinter:    newHinter(&link{broker: b, purpose: "hints"}, topology.sendHints, logger),
		consuming: &link{broker: b, purpose: "consuming"}, hints: &link{broker: b, purpose: "hints, consuming"}}
	on := func(s *subscriber, to message.Publisher) *channel {
		s.logger, s.began, s.rest, s.closing = logger, make(chan struct{}), make(chan struct{}), make(chan struct{})
		if s.kind != kindHints { // of which none is redelivered
			s.draining = c.draining
		}
		c.subscribers = append(c.subscribers, s)
		return &channel{publisher: to, publishTo: []string{ownQueue}, subscriber: s, subscribeTo: []string{s.kind}}
	}
	existing := func(queue string) func(*amqp091.Channel) (string, error) {
		return func(channel *amqp091.Channel) (string, error) {
			return queue, topology.ensure(channel, b.Declares, queue)
		}
	}
	among := func(kind, queue, exchange, alone string) *channel {
		return on(&subscriber{link: c.consuming, kind: kind, queue: existing(queue), prefetch: concurrency, once: true, alone: alone}, publish.to(exchange, kind))
	}
	alone := func(kind, queue, exchange string) *channel {
		return on(&subscriber{link: c.consuming, kind: kind, queue: existing(queue), prefetch: 1, optional: true}, publish.to(exchange, kind))
	}
	return newBus(logger, adapt(logger), channels{
		events:       on(&subscriber{link: c.hints, kind: kindHints, queue: topology.declareHints, prefetch: 1, optional: true}, c.hinter),
		work:         among(kindWork, topology.work, topology.sendWork, topology.aloneWork),
		answers:      among(kindAnswers, topology.answers, topology.sendAnswers, topology.aloneAnswers),
		dead:         on(&subscriber{link: c.consuming, kind: kindDead, queue: existing(topology.dead), prefetch: concurrency}, publish.to(topology.sendDead, kindDead)),
		aloneWork:    alone(kindWork, topology.aloneWork, topology.sendAloneWork),
		aloneAnswers: alone(kindAnswers, topology.aloneAnswers, topology.sendAloneAnswers),
	}, c)
}

// await returns when the broker is there, and the queues are.
func (p *publisher) await(ctx context.Context, logger *slog.Logger) error {
	retry := wait.NewRetry(200*time.Millisecond, 5*time.Second)
	for {
		channel, err := p.link.channel()
		if err == nil {
			err = p.topology.ensure(channel, p.link.broker.Declares, p.topology.work)
			_ = channel.Close() // after a failure it is closed
		}
		switch {
		case err == nil:
			return nil
		case isRefused(err):
			return fmt.Errorf("prepare the broker: %w", err) // waiting does not change it
		}
		logger.Warn("the broker is not there yet", "error", err)
		if !retry.Pause(ctx) {
			return fmt.Errorf("wait for the broker: %w", errors.Join(ctx.Err(), err))
		}
	}
}

// declareEvery is how long a queue that was deleted may be missing while no message
// for it is published.
const declareEvery = 5 * time.Second

// keepTopology declares again what was lost, where that is this process's right, until
// stop is called.
func (c *connections) keepTopology(ctx context.Context) (stop func()) {
	if !c.publisher.link.broker.Declares {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		for wait.For(ctx, c.every) {
			err := c.publisher.declare()
			if err != nil {
				c.logger.Warn("the broker's queues cannot be declared", "error", err)
			}
			c.mu.Lock()
			c.undeclared = err
			c.mu.Unlock()
		}
	})
	return func() { cancel(); running.Wait() }
}

// begun returns when every subscription that was asked for is made, false where ctx ends
// before.
func (c *connections) begun(ctx context.Context) bool {
	for _, s := range c.subscribers {
		if s.optional || !s.asked.Load() {
			continue
		}
		select {
		case <-s.began:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (c *connections) missing() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.undeclared
	for _, s := range c.subscribers {
		err = errors.Join(err, s.missing())
	}
	return err
}

// drainWithin is how long a process that stops may need for what the broker has sent it.
const drainWithin = 5 * time.Second

// drain takes no more from the queues, and returns when all that the broker has sent is
// handled and acknowledged, or when that takes too long: what is left then is put back,
// and each of its jobs is tried alone.
func (c *connections) drain() {
	close(c.draining)
	soon := time.After(drainWithin)
	for _, s := range c.subscribers {
		if s.draining == nil || !s.asked.Load() {
			continue
		}
		for _, done := range []func() <-chan struct{}{func() <-chan struct{} { return s.rest }, s.settled} {
			select {
			case <-done():
			case <-soon:
				c.logger.Warn("what the broker has sent is not done in time; it is put back", "kind", s.kind)
				return
			}
		}
	}
}

// close ends the connections, when what is in hand is acknowledged or a moment passed.
func (c *connections) close() {
	soon := time.After(2 * time.Second)
	for _, s := range c.subscribers {
		select {
		case <-s.settled():
		case <-soon:
		}
	}
	c.publisher.link.close()
	c.consuming.close()
	c.hints.close()
	_ = c.hinter.Close() // nil always: it has the form of Watermill's publishers
}
