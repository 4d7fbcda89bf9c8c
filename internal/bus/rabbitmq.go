package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-amqp/v2/pkg/amqp"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/cenkalti/backoff/v5"
	amqp091 "github.com/rabbitmq/amqp091-go"
)

// The topology. Work and answers are quorum queues: they survive the broker's
// restart, and count deliveries, so that a message on which consumers die ends in
// the dead exchange. The dead exchange keeps a copy for people and gives one to
// whoever settles it. Events only say how far the log has come, so their queue is
// short, forgets its oldest, and costs the broker no disk: a view that misses a batch
// reads the store.
const (
	eventsExchange = "kassa.events"
	deadExchange   = "kassa.dead"
	eventsQueue    = "kassa.events.hints"
	workQueue      = "kassa.work"
	answersQueue   = "kassa.answers"
	deadQueue      = "kassa.dead.settle"
	keptQueue      = "kassa.dead.kept"

	// A process that dies counts more than once: while the broker closes its
	// subscriptions one after another, it hands what they held to those that are not
	// closed yet, and so on, up to once a lane.
	workDeliveries    = 5 * lanes
	answersDeliveries = 20 * lanes
	eventsKept        = 1000
	deadKept          = 10_000
)

// queues lists every queue with its arguments; a queue that stands with other
// arguments is refused by the broker, and so found at the start.
var queues = map[string]amqp091.Table{
	eventsQueue:  {"x-queue-type": "classic", "x-max-length": eventsKept, "x-overflow": "drop-head", "x-single-active-consumer": true},
	workQueue:    {"x-queue-type": "quorum", "x-delivery-limit": workDeliveries, "x-dead-letter-exchange": deadExchange},
	answersQueue: {"x-queue-type": "quorum", "x-delivery-limit": answersDeliveries, "x-dead-letter-exchange": deadExchange},
	deadQueue:    {"x-queue-type": "quorum", "x-delivery-limit": -1},
	keptQueue:    {"x-queue-type": "quorum", "x-max-length": deadKept, "x-overflow": "drop-head"},
}

// bindings say which exchange a queue takes from.
var bindings = map[string]string{eventsQueue: eventsExchange, deadQueue: deadExchange, keptQueue: deadExchange}

// declare makes what is missing of the topology. It comes before every first
// publish, for the broker drops what no queue takes, and tells nobody.
func declare(channel *amqp091.Channel) error {
	for _, exchange := range []string{eventsExchange, deadExchange} {
		if err := channel.ExchangeDeclare(exchange, amqp091.ExchangeFanout, true, false, false, false, nil); err != nil {
			return fmt.Errorf("declare exchange %s: %w", exchange, err)
		}
	}
	for queue, arguments := range queues {
		if _, err := channel.QueueDeclare(queue, true, false, false, false, arguments); err != nil {
			return fmt.Errorf("declare queue %s: %w", queue, err)
		}
	}
	for queue, exchange := range bindings {
		if err := channel.QueueBind(queue, "", exchange, false, nil); err != nil {
			return fmt.Errorf("bind queue %s: %w", queue, err)
		}
	}
	return nil
}

// topology is declare in the form that the adapter calls: before each
// subscription, and after a reconnection. By then a queue may have been deleted,
// or the broker may stand on an empty disk.
type topology struct{}

func (topology) BuildTopology(channel *amqp091.Channel, _, _ string, _ amqp.Config, _ watermill.LoggerAdapter) error {
	return declare(channel)
}

func (topology) ExchangeDeclare(*amqp091.Channel, string, amqp.Config) error { return nil } // declare does

// marshaler carries headers as strings. The adapter's own fails on the integers
// that quorum queues add to what is delivered again.
type marshaler struct{}

// headerID is the message's id.
const headerID = "kassa_message"

func (marshaler) Marshal(m *message.Message) (amqp091.Publishing, error) { return marshal(m), nil }

func marshal(m *message.Message) amqp091.Publishing {
	headers := amqp091.Table{headerID: m.UUID}
	for k, v := range m.Metadata {
		headers[k] = v
	}
	return amqp091.Publishing{Headers: headers, Body: m.Payload, ContentType: "application/json", DeliveryMode: amqp091.Persistent}
}

// errPhantom: when the broker ends a consumer, the adapter takes the closed
// channel's zero value for a delivery.
var errPhantom = errors.New("an empty message, as of a channel that was closed")

func (marshaler) Unmarshal(d amqp091.Delivery) (*message.Message, error) {
	id, _ := d.Headers[headerID].(string)
	if d.Acknowledger == nil || id == "" && len(d.Body) == 0 {
		return nil, errPhantom
	}
	m := message.NewMessage(id, d.Body)
	for k, v := range d.Headers {
		if s, ok := v.(string); ok && k != headerID {
			m.Metadata.Set(k, s)
		}
	}
	return m, nil
}

// RabbitMQ gives a bus over a broker. It waits for the broker to be there, until
// ctx ends; later it connects again by itself.
func RabbitMQ(ctx context.Context, address string, log *slog.Logger) (*Bus, error) {
	if err := awaitBroker(ctx, address, log); err != nil {
		return nil, err
	}
	adapter, publisher := adapt(log), &publisher{address: address}
	closers := []func() error{publisher.Close}
	connected := func() error { return nil }
	var all channels
	for _, kind := range []struct {
		to              **channel
		exchange, queue string
		subscriptions   int
	}{
		{&all.events, eventsExchange, eventsQueue, 1},
		{&all.work, "", workQueue, lanes},
		{&all.answers, "", answersQueue, lanes},
		{&all.dead, deadExchange, deadQueue, 1},
	} {
		subscriber, err := amqp.NewSubscriber(brokerConfig(address, kind.exchange, kind.queue), adapter)
		if err != nil {
			return nil, fmt.Errorf("connect to the broker: %w", err)
		}
		closers = append(closers, subscriber.Close)
		connected = func() error { // one of them tells of all
			if !subscriber.IsConnected() {
				return errors.New("the broker is away")
			}
			return nil
		}
		*kind.to = &channel{publisher: publisher.to(kind.exchange), publishTo: []string{kind.queue},
			subscriber: subscriber, subscribeTo: slices.Repeat([]string{kind.queue}, kind.subscriptions)}
	}
	return newBus(log, adapter, all, connected, func() (err error) {
		for _, closed := range closers {
			err = errors.Join(err, closed())
		}
		return err
	})
}

// connection is how we connect, whether to publish or to consume.
func connection() amqp091.Config {
	return amqp091.Config{Heartbeat: 5 * time.Second, Dial: amqp091.DefaultDial(5 * time.Second), Properties: amqp091.NewConnectionProperties()}
}

// brokerConfig consumes a queue.
func brokerConfig(address, exchange, queue string) amqp.Config {
	name := func(s string) func(string) string { return func(string) string { return s } }
	config := connection()
	return amqp.Config{
		Connection: amqp.ConnectionConfig{AmqpURI: address,
			AmqpConfig: &config,
			Reconnect:  &amqp.ReconnectConfig{BackoffInitialInterval: 100 * time.Millisecond, BackoffMultiplier: 1.5, BackoffMaxInterval: 3 * time.Second}},
		Marshaler:       marshaler{},
		Exchange:        amqp.ExchangeConfig{GenerateName: name(exchange), Type: amqp091.ExchangeFanout, Durable: true},
		Queue:           amqp.QueueConfig{GenerateName: name(queue), Durable: true, Arguments: queues[queue]},
		QueueBind:       amqp.QueueBindConfig{GenerateRoutingKey: name("")},
		Consume:         amqp.ConsumeConfig{Qos: amqp.QosConfig{PrefetchCount: 1}},
		TopologyBuilder: topology{},
	}
}

// awaitBroker returns when the topology stands. The adapter itself gives up where
// its first connection fails.
func awaitBroker(ctx context.Context, address string, log *slog.Logger) error {
	if u, err := url.Parse(address); err != nil || u.Scheme != "amqp" && u.Scheme != "amqps" {
		return errors.New("the broker's address is not an amqp:// URL") // waiting does not mend it
	}
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 200*time.Millisecond, 5*time.Second
	for {
		err := declareOnce(address)
		if err == nil {
			return nil
		}
		var refused *amqp091.Error
		if errors.As(err, &refused) && (refused.Code == amqp091.PreconditionFailed || refused.Code == amqp091.AccessRefused) {
			return fmt.Errorf("prepare the broker: %w", err) // waiting does not mend it
		}
		log.Warn("the broker is not there yet", "error", err)
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
			return fmt.Errorf("wait for the broker: %w", ctx.Err())
		}
	}
}

func declareOnce(address string) error {
	conn, err := amqp091.DialConfig(address, connection())
	if err != nil {
		return err
	}
	defer conn.Close()
	channel, err := conn.Channel()
	if err != nil {
		return err
	}
	return declare(channel)
}
