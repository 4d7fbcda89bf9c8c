package bus

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill-amqp/v2/pkg/amqp"
	amqp091 "github.com/rabbitmq/amqp091-go"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/internal/bus/bustest"
)

// broker is a virtual host of its own on the test's RabbitMQ.
type broker struct{ *bustest.Broker }

func newBroker(t testing.TB) broker { return broker{bustest.New(t)} }

// bus connects, without handlers yet.
func (b broker) bus(t testing.TB, address string) *Bus {
	t.Helper()
	bus, err := RabbitMQ(t.Context(), address, quiet)
	must(t, err)
	return bus
}

// run gives a bus on which the handlers act until the test ends.
func (b broker) run(t testing.TB, address string, h Handlers) *Bus {
	t.Helper()
	bus := b.bus(t, address)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- bus.Run(ctx, h) }()
	t.Cleanup(func() {
		cancel()
		within(t, "the bus to end", done)
	})
	within(t, "the bus to run", bus.Running())
	return bus
}

func echo(_ context.Context, request []byte) ([]byte, string, error) {
	return append([]byte("re: "), request...), "", nil
}

// What is published before anybody consumes is kept, goes to one of several
// workers, and its answer comes back with its errand.
func TestErrandsOverRabbitMQ(t *testing.T) {
	b := newBroker(t)
	publisher := b.bus(t, b.Address)
	const n = 40
	for i := range n {
		must(t, publisher.PublishWork(errand(i+1), fmt.Appendf(nil, "text %d", i)))
	}
	got, settle := answers(n)
	for range 2 {
		b.run(t, b.Address, Handlers{Work: echo})
	}
	b.run(t, b.Address, Handlers{Answer: settle})
	seen := map[Errand]string{}
	for range n {
		a := within(t, "an answer", got)
		seen[a.Errand] = a.answer
	}
	for i := range n {
		if want := fmt.Sprintf("re: text %d", i); seen[errand(i+1)] != want {
			t.Errorf("errand %d: %q", i, seen[errand(i+1)])
		}
	}
}

// One process has many errands in its hands, although each subscription has one.
func TestManyErrandsInFlightOverRabbitMQ(t *testing.T) {
	b := newBroker(t)
	var inHand atomic.Int32
	all := make(chan struct{})
	bus := b.run(t, b.Address, Handlers{Work: func(ctx context.Context, _ []byte) ([]byte, string, error) {
		if inHand.Add(1) == lanes {
			close(all)
		}
		<-all
		return []byte("done"), "", nil
	}})
	for i := range lanes {
		must(t, bus.PublishWork(errand(i+1), []byte("text")))
	}
	within(t, "all lanes to be busy", all)
}

func TestEventsOverRabbitMQ(t *testing.T) {
	b := newBroker(t)
	store, _ := log(t, 20)
	all := readAll(t, store)
	got := make(chan []eventstore.Recorded, 10)
	bus := b.run(t, b.Address, Handlers{Events: func(_ context.Context, batch []eventstore.Recorded) error {
		got <- batch
		return nil
	}})
	must(t, bus.PublishEvents(all))
	batch := within(t, "the batch", got)
	if len(batch) != len(all) || string(batch[3].Entry) != string(all[3].Entry) {
		t.Errorf("%d of %d entries arrived", len(batch), len(all))
	}
}

// A worker whose connection is cut in the middle of its work, three times: the broker
// delivers again, now with an integer among the headers, the bus connects again by
// itself, and the errand is not taken for one on which workers die.
func TestACutConnectionDeliversAgain(t *testing.T) {
	b := newBroker(t)
	proxy := bustest.NewProxy(t, b.Address, "127.0.0.1")
	const cuts = 3
	var tries atomic.Int32
	inHand := make(chan struct{}, cuts)
	got, settle := answers(1)
	b.run(t, b.Address, Handlers{Answer: settle})
	worker := b.run(t, proxy.Address(), Handlers{Work: func(ctx context.Context, request []byte) ([]byte, string, error) {
		if tries.Add(1) <= cuts {
			inHand <- struct{}{}
			<-ctx.Done() // the delivery is gone with its connection
			return nil, "", ctx.Err()
		}
		return echo(ctx, request)
	}})
	publisher := b.bus(t, b.Address)
	must(t, publisher.PublishWork(errand(1), []byte("text")))
	for range cuts {
		within(t, "the worker to have it in hand", inHand)
		proxy.Cut()
	}
	if a := within(t, "the answer", got); a.answer != "re: text" {
		t.Errorf("answer %q, failure %q", a.answer, a.failure)
	}
	eventstoretest.Eventually(t, "the worker connected again", func() bool { return worker.Connected() == nil })
}

// At its worst a process that dies counts as many deliveries as it has lanes. Four
// such deaths, whose errand a raw consumer hands back that often, do not make it one
// on which workers die: the fifth process answers it.
func TestDeathsThatCountOnceALane(t *testing.T) {
	b := newBroker(t)
	publisher := b.bus(t, b.Address)
	must(t, publisher.PublishWork(errand(1), []byte("text")))
	conn, err := amqp091.Dial(b.Address)
	must(t, err)
	channel, err := conn.Channel()
	must(t, err)
	must(t, channel.Qos(1, 0, false))
	deliveries, err := channel.Consume(workQueue, "", false, false, false, false, nil)
	must(t, err)
	for i := range 4 * lanes {
		d := within(t, fmt.Sprintf("delivery %d", i+1), deliveries)
		must(t, d.Nack(false, true)) // as the broker does for a consumer that died
	}
	must(t, conn.Close())
	got, settle := answers(1)
	b.run(t, b.Address, Handlers{Work: echo, Answer: settle})
	if a := within(t, "the answer", got); a.answer != "re: text" {
		t.Errorf("answer %q, failure %q", a.answer, a.failure)
	}
}

// A message on which consumers die time and again ends in the dead exchange: its
// errand fails, and a copy is kept for people.
func TestPoisonEndsInTheDeadLetterQueue(t *testing.T) {
	b := newBroker(t)
	publisher := b.bus(t, b.Address)
	must(t, publisher.PublishWork(errand(1), []byte("poison")))
	conn, err := amqp091.Dial(b.Address)
	must(t, err)
	defer conn.Close()
	channel, err := conn.Channel()
	must(t, err)
	must(t, channel.Qos(1, 0, false))
	deliveries, err := channel.Consume(workQueue, "", false, false, false, false, nil)
	must(t, err)
	go func() {
		for d := range deliveries {
			_ = d.Nack(false, true) // as the broker does for a consumer that died
		}
	}()
	got, settle := answers(1)
	b.run(t, b.Address, Handlers{Answer: settle})
	if a := within(t, "the failure", got); a.Errand != errand(1) || a.failure != Failed {
		t.Errorf("%+v", a)
	}
	kept, ok, err := channel.Get(keptQueue, true)
	must(t, err)
	if !ok || string(kept.Body) != "poison" {
		t.Errorf("the dead letter queue keeps %q", kept.Body)
	}
}

// A queue that somebody deletes is made again by its consumers.
func TestADeletedQueueIsMadeAgain(t *testing.T) {
	b := newBroker(t)
	got, settle := answers(1)
	bus := b.run(t, b.Address, Handlers{Work: echo, Answer: settle})
	must(t, b.DeleteQueue(workQueue))
	stop := time.After(20 * time.Second)
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for { // what is published while there is no queue is lost: its hold would expire
		must(t, bus.PublishWork(errand(1), []byte("text")))
		select {
		case a := <-got:
			if a.answer != "re: text" {
				t.Errorf("answer %q", a.answer)
			}
			return
		case <-again.C:
		case <-stop:
			t.Fatal("nothing arrives any more")
		}
	}
}

// It is so under load too, where the broker may break the connections of those who
// wait for confirms from the queue that is gone.
func TestADeletedQueueUnderLoad(t *testing.T) {
	b := newBroker(t)
	got, settle := answers(10_000)
	b.run(t, b.Address, Handlers{Work: echo})
	b.run(t, b.Address, Handlers{Answer: settle})
	publisher := b.bus(t, b.Address)
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	defer load.Wait()
	defer stop()
	for range lanes {
		load.Go(func() {
			for ctx.Err() == nil {
				_ = publisher.PublishWork(errand(1), []byte("text")) // what is lost is lost: its hold would expire
			}
		})
	}
	for i := range 5 {
		for _, queue := range []string{workQueue, answersQueue} {
			for range 20 {
				within(t, "an answer", got)
			}
			must(t, b.DeleteQueue(queue))
			for len(got) > 0 {
				<-got
			}
			began := time.Now()
			for range 20 {
				within(t, fmt.Sprintf("an answer, the %d. time that %s is deleted", i+1, queue), got)
			}
			t.Logf("%s: answers come again after %s", queue, time.Since(began).Round(time.Millisecond))
		}
	}
}

// A broker that comes back on an empty disk is set up again by whoever consumes.
func TestABrokerThatLostEverything(t *testing.T) {
	b := newBroker(t)
	store, _ := log(t, 5)
	batch := readAll(t, store)
	events := make(chan int, 100)
	got, settle := answers(100)
	bus := b.run(t, b.Address, Handlers{Work: echo, Answer: settle,
		Events: func(_ context.Context, batch []eventstore.Recorded) error { events <- len(batch); return nil }})
	must(t, b.LoseEverything())
	deadline := time.After(60 * time.Second)
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	var answered, heard bool
	for !answered || !heard { // what is published before all of it stands is lost, or refused
		_ = bus.PublishWork(errand(1), []byte("text"))
		_ = bus.PublishEvents(batch)
		select {
		case a := <-got:
			answered = answered || a.answer == "re: text"
		case n := <-events:
			heard = heard || n == len(batch)
		case <-again.C:
		case <-deadline:
			t.Fatalf("the broker was not set up again: answers come %t, events %t", answered, heard)
		}
	}
}

// What the broker refuses is an error of whoever publishes it, and the next message
// finds the topology mended.
func TestARefusedPublishIsAnError(t *testing.T) {
	b := newBroker(t)
	store, _ := log(t, 5)
	bus := b.bus(t, b.Address)
	must(t, bus.PublishEvents(readAll(t, store)))
	must(t, b.DeleteExchange(eventsExchange))
	if err := bus.PublishEvents(readAll(t, store)); err == nil {
		t.Error("events that no exchange takes are published")
	}
	must(t, bus.PublishWork(errand(1), []byte("text")))
	must(t, bus.PublishEvents(readAll(t, store)))
}

// Settings of the adapter that lose messages are never on, and it does not publish:
// that is where it swallows errors and leaks channels.
func TestTheAdapterIsSetUpSafely(t *testing.T) {
	for _, c := range []amqp.Config{brokerConfig("amqp://x", "", workQueue), brokerConfig("amqp://x", eventsExchange, eventsQueue)} {
		if c.Consume.Qos.PrefetchCount != 1 || c.Consume.NoRequeueOnNack || c.Consume.Exclusive {
			t.Errorf("consuming is set up as %+v", c.Consume)
		}
		if _, ours := c.Marshaler.(marshaler); !ours || !c.Queue.Durable || !c.Exchange.Durable {
			t.Errorf("marshaler %T, durable queue %t and exchange %t", c.Marshaler, c.Queue.Durable, c.Exchange.Durable)
		}
	}
	broker := newBroker(t)
	b := broker.bus(t, broker.Address)
	for name, c := range map[string]*channel{"events": b.events, "work": b.work, "answers": b.answers, "dead": b.dead} {
		if _, ours := c.publisher.(route); !ours {
			t.Errorf("%s are published by %T", name, c.publisher)
		}
	}
}

// Headers that others add, whatever their type, do not keep a message from being
// read; the adapter's own marshaler fails on them.
func TestForeignHeaders(t *testing.T) {
	m, err := marshaler{}.Unmarshal(amqp091.Delivery{Acknowledger: &amqp091.Channel{}, Body: []byte("text"),
		Headers: amqp091.Table{headerID: "id", "x-delivery-count": int64(3), "x-death": []any{amqp091.Table{"count": int64(1)}}, headerUser: "u_1"}})
	must(t, err)
	if m.UUID != "id" || m.Metadata.Get(headerUser) != "u_1" || len(m.Metadata) != 1 {
		t.Errorf("%+v", m)
	}
}

// A broker that takes a message and never confirms it, as with its memory alarm
// raised: publishing ends, says so, and works again later.
func TestPublishingDoesNotWaitForEver(t *testing.T) {
	b := newBroker(t)
	proxy := bustest.NewProxy(t, b.Address, "127.0.0.1")
	was := publishTimeout
	publishTimeout = 300 * time.Millisecond
	t.Cleanup(func() { publishTimeout = was })
	bus := b.bus(t, proxy.Address())
	must(t, bus.PublishWork(errand(1), []byte("before")))
	proxy.Freeze()
	failed := make(chan error, 1)
	go func() { failed <- bus.PublishWork(errand(2), []byte("meanwhile")) }()
	if err := within(t, "publishing to end", failed); err == nil {
		t.Error("a broker that does not confirm is no error")
	}
	proxy.Cut()
	deadline := time.After(20 * time.Second)
	for bus.PublishWork(errand(3), []byte("after")) != nil {
		select {
		case <-deadline:
			t.Fatal("publishing does not work again")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// The first connection may take as long as the broker does.
func TestTheBrokerMayComeLater(t *testing.T) {
	b := newBroker(t)
	proxy := bustest.NewProxy(t, b.Address, "127.0.0.1")
	proxy.Close()
	connected := make(chan error, 1)
	go func() {
		_, err := RabbitMQ(context.Background(), proxy.Address(), quiet)
		connected <- err
	}()
	select {
	case err := <-connected:
		t.Fatalf("connected to nothing: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	proxy.Open(t)
	must(t, within(t, "the connection", connected))
}

// A broker that lets nobody consume in the moment when a process starts is waited
// for; who is told to stop meanwhile stops.
func TestTheBrokerMayRefuseAtFirst(t *testing.T) {
	b := newBroker(t)
	for _, allowed := range []bool{false, true} {
		must(t, b.MayRead(true))
		bus := b.bus(t, b.Address)
		must(t, b.MayRead(false))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- bus.Run(ctx, Handlers{Work: echo}) }()
		select {
		case err := <-done:
			t.Fatalf("the bus ended: %v", err)
		case <-bus.Running():
			t.Fatal("the bus runs, and may not consume")
		case <-time.After(500 * time.Millisecond):
		}
		if allowed {
			must(t, b.MayRead(true))
			within(t, "the bus to run", bus.Running())
		}
		cancel()
		must(t, within(t, "the bus to end", done))
	}
}

// The zero value of a channel that the broker closed is not a message.
func TestPhantomsAreRefused(t *testing.T) {
	if _, err := (marshaler{}).Unmarshal(amqp091.Delivery{}); err == nil {
		t.Error("a phantom is taken for a message")
	}
}

func TestNotABroker(t *testing.T) {
	for _, address := range []string{"", "localhost", "http://localhost", "amqp//x"} {
		if _, err := RabbitMQ(t.Context(), address, quiet); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", address, err)
		}
	}
}
