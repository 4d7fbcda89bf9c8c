package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp091 "github.com/rabbitmq/amqp091-go"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/internal/bus/bustest"
)

// broker is a virtual host of its own on the test's RabbitMQ, with an installation.
type broker struct {
	*bustest.Broker
	key   Key
	names names
}

func newBroker(t testing.TB) broker {
	key := newKey(t, "")
	return broker{bustest.New(t), key, namesOf(key.Installation)}
}

func newKey(t testing.TB, installation string) Key {
	t.Helper()
	line, err := NewKeyLine(installation)
	must(t, err)
	key, err := ParseKey(line)
	must(t, err)
	return key
}

// at is how a process that may do all reaches the broker.
func (b broker) at(addresses ...string) Broker {
	return Broker{Addresses: addresses, Key: b.key, Process: "test", Version: "v0", Declares: true}
}

// bus connects, without handlers yet.
func (b broker) bus(t testing.TB, address string) *Bus {
	t.Helper()
	bus, err := b.at(address).Open(t.Context(), quiet)
	must(t, err)
	t.Cleanup(bus.Close)
	return bus
}

// soon is a time to live that no test reaches.
func soon() time.Time { return time.Now().Add(time.Minute) }

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
// workers, and its answer comes back with its job.
func TestJobsOverRabbitMQ(t *testing.T) {
	b := newBroker(t)
	publisher := b.bus(t, b.Address)
	const n = 40
	for i := range n {
		must(t, publisher.PublishWork(Item{Job: job(i + 1), Body: fmt.Appendf(nil, "text %d", i), Until: soon()}))
	}
	got, settle := answers(n)
	for range 2 {
		b.run(t, b.Address, Handlers{Work: each(echo)})
	}
	b.run(t, b.Address, Handlers{Answer: settling(settle)})
	seen := map[Job]string{}
	for range n {
		a := within(t, "an answer", got)
		seen[a.Job] = a.answer
	}
	for i := range n {
		if want := fmt.Sprintf("re: text %d", i); seen[job(i+1)] != want {
			t.Errorf("job %d: %q", i, seen[job(i+1)])
		}
	}
}

// One process handles many jobs at once, over one subscription.
func TestManyJobsInFlightOverRabbitMQ(t *testing.T) {
	b := newBroker(t)
	var inHand atomic.Int32
	all := make(chan struct{})
	bus := b.run(t, b.Address, Handlers{Work: each(func(ctx context.Context, _ []byte) ([]byte, string, error) {
		if inHand.Add(1) == concurrency {
			close(all)
		}
		<-all
		return []byte("done"), "", nil
	})})
	for i := range concurrency {
		must(t, bus.PublishWork(Item{Job: job(i + 1), Body: []byte("text"), Until: soon()}))
	}
	within(t, "all lanes to be busy", all)
}

// A worker whose connection is cut in the middle of its work, three times: the broker
// delivers again, now with an integer among the headers, the bus connects again by
// itself, and the job is not taken for one on which workers die.
func TestACutConnectionDeliversAgain(t *testing.T) {
	b := newBroker(t)
	proxy := bustest.NewProxy(t, b.Address, "127.0.0.1")
	const cuts = 3
	var tries atomic.Int32
	inHand, leave := make(chan struct{}, cuts), make(chan struct{})
	got, settle := answers(1)
	b.run(t, b.Address, Handlers{Answer: settling(settle)})
	worker := b.run(t, proxy.Address(), Handlers{Work: each(func(ctx context.Context, request []byte) ([]byte, string, error) {
		if tries.Add(1) <= cuts {
			inHand <- struct{}{}
			<-leave // the delivery is gone with its connection
			return nil, "", errPassing
		}
		return echo(ctx, request)
	})})
	t.Cleanup(func() { close(leave) })
	publisher := b.bus(t, b.Address)
	must(t, publisher.PublishWork(Item{Job: job(1), Body: []byte("text"), Until: soon()}))
	for range cuts {
		within(t, "the worker to have it in hand", inHand)
		proxy.Cut()
	}
	if a := within(t, "the answer", got); a.answer != "re: text" {
		t.Errorf("answer %q, failure %q", a.answer, a.failure)
	}
	eventstoretest.Eventually(t, "the worker connected again", func() bool { return worker.Connected() == nil })
}

// A process that dies counts once for each message that it had in hand. With a
// subscription for each lane it counted up to once a lane: what one of them had held went
// to the next, which was about to close too.
func TestADeathCountsOnce(t *testing.T) {
	b := newBroker(t)
	proxy := bustest.NewProxy(t, b.Address, "127.0.0.1")
	publisher := b.bus(t, b.Address)
	inHand, leave := make(chan struct{}, concurrency), make(chan struct{})
	dying := b.bus(t, proxy.Address())
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- dying.Run(ctx, Handlers{Work: each(func(context.Context, []byte) ([]byte, string, error) {
			inHand <- struct{}{}
			<-leave
			return nil, "", errPassing
		})})
	}()
	within(t, "the worker", dying.Running())
	for i := range concurrency {
		must(t, publisher.PublishWork(Item{Job: job(i + 1), Body: []byte("text"), Until: soon()}))
	}
	for range concurrency {
		within(t, "all of it to be in hand", inHand)
	}
	proxy.Close()
	proxy.Cut()
	conn, err := amqp091.Dial(b.Address)
	must(t, err)
	defer conn.Close()
	channel, err := conn.Channel()
	must(t, err)
	deliveries, err := channel.Consume(b.names.work, "", true, false, false, false, nil)
	must(t, err)
	for i := range concurrency {
		if d := within(t, fmt.Sprintf("delivery %d", i+1), deliveries); d.Headers["x-delivery-count"] != int64(1) {
			t.Errorf("delivered again with the headers %v", d.Headers)
		}
	}
	stop()
	close(leave)
	within(t, "the worker to end", ended)
}

// A message on which consumers die ends in the dead exchange: each of its jobs is tried
// alone, the one on which they die fails, and a record of it is kept for people. The others
// are answered, and none of them waits for more than two redeliveries of the one.
func TestPoisonEndsInTheDeadLetterQueue(t *testing.T) {
	b := newBroker(t)
	publisher := b.bus(t, b.Address)
	const n, poison = 10, 4
	var items []Item
	for i := range n {
		items = append(items, Item{Job: job(i + 1), Body: fmt.Appendf(nil, "text %d", i+1), Until: soon()})
	}
	must(t, publisher.PublishWork(items...))
	got, settle := answers(2 * n)
	b.run(t, b.Address, Handlers{Answer: settling(settle)})
	deaths := b.mortal(t, func(request string) bool { return request == fmt.Sprintf("text %d", poison) })
	ended := map[Job]string{}
	for range n {
		a := within(t, "an end of each", got)
		if ended[a.Job] != "" {
			t.Errorf("job %v ended twice", a.Job)
		}
		if ended[a.Job] = a.answer; a.failure != "" {
			ended[a.Job] = a.failure
		}
	}
	for i := range n {
		want := fmt.Sprintf("re: text %d", i+1)
		if i+1 == poison {
			want = Failed
		}
		if ended[job(i+1)] != want {
			t.Errorf("job %d ended as %q", i+1, ended[job(i+1)])
		}
	}
	if d := deaths(); d != 2+aloneDeliveries { // in the batch, alone, and twice again
		t.Errorf("the workers died %d times", d)
	}
	records := b.at(b.Address).DeadLetters()
	defer records.Close()
	var kept []DeadLetter
	eventstoretest.Eventually(t, "a record for people", func() bool {
		must(t, records.Each(t.Context(), func(l DeadLetter) (bool, error) { kept = append(kept, l); return false, nil }))
		return len(kept) > 0
	})
	if l := kept[0]; len(kept) != 1 || l.ID == "" || l.At.IsZero() || l.From != kindWork || l.Reason != "delivery_limit" || l.Prediction != job(poison).Prediction || l.Position != poison || !l.Settled {
		t.Errorf("the records are %+v", kept)
	}
}

// mortal runs workers, one after another, until the test ends. Each dies of a request that
// kills: its connection is lost while it has messages in hand.
func (b broker) mortal(t *testing.T, kills func(request string) bool) (deaths func() int) {
	var died atomic.Int32
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for ctx.Err() == nil {
			b.liveOnce(t, ctx, kills, &died)
		}
	})
	t.Cleanup(func() { stop(); all.Wait() })
	return func() int { return int(died.Load()) }
}

func (b broker) liveOnce(t *testing.T, ctx context.Context, kills func(request string) bool, died *atomic.Int32) {
	life, die := context.WithCancel(ctx)
	defer die()
	bus, err := b.at(b.Address).Open(ctx, quiet)
	if err != nil && ctx.Err() == nil {
		t.Error(err)
	}
	if err != nil {
		return
	}
	_ = bus.Run(life, Handlers{Work: func(ctx context.Context, requests [][]byte) []Outcome {
		for _, request := range requests {
			if kills(string(request)) {
				died.Add(1)
				bus.broker.consuming.close() // all that it had in hand is the broker's again
				die()
				<-bus.closing
				return slices.Repeat([]Outcome{{Err: errPassing}}, len(requests))
			}
		}
		return each(echo)(ctx, requests)
	}})
}

// A queue that was deleted is made again before the next message is published, which
// no queue would take: that message is not lost.
func TestADeletedQueueIsMadeAgain(t *testing.T) {
	b := newBroker(t)
	publisher := b.bus(t, b.Address) // consumes nothing, or its consumer could make the queue again
	must(t, publisher.PublishWork(Item{Job: job(1), Body: []byte("lost with its queue"), Until: soon()}))
	must(t, b.DeleteQueue(b.names.work))
	must(t, publisher.PublishWork(Item{Job: job(2), Body: []byte("text"), Until: soon()}))
	got, settle := answers(2)
	b.run(t, b.Address, Handlers{Work: each(echo), Answer: settling(settle)})
	if a := within(t, "the answer", got); a.answer != "re: text" {
		t.Errorf("answer %q", a.answer)
	}
}

// It is so under load too, where the broker may break the connections of those who
// wait for confirms from the queue that is gone.
func TestADeletedQueueUnderLoad(t *testing.T) {
	b := newBroker(t)
	got, settle := answers(10_000)
	b.run(t, b.Address, Handlers{Work: each(echo)})
	b.run(t, b.Address, Handlers{Answer: settling(settle)})
	publisher := b.bus(t, b.Address)
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	defer load.Wait()
	defer stop()
	for range concurrency {
		load.Go(func() {
			for ctx.Err() == nil {
				_ = publisher.PublishWork(Item{Job: job(1), Body: []byte("text"), Until: soon()}) // what is lost is lost: its hold would expire
			}
		})
	}
	for i := range 5 {
		for _, queue := range []string{b.names.work, b.names.answers} {
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

// A broker that comes back on an empty disk is set up again.
func TestABrokerThatLostEverything(t *testing.T) {
	b := newBroker(t)
	hints := make(chan eventstore.Position, 100)
	got, settle := answers(100)
	bus := b.run(t, b.Address, Handlers{Work: each(echo), Answer: settling(settle),
		Hint: func(at eventstore.Position) { hints <- at }})
	must(t, b.LoseEverything())
	deadline := time.After(60 * time.Second)
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	var answered, heard bool
	for !answered || !heard { // what is published before all of it stands is lost, or refused
		_ = bus.PublishWork(Item{Job: job(1), Body: []byte("text"), Until: soon()})
		_ = bus.PublishHint(7)
		select {
		case a := <-got:
			answered = answered || a.answer == "re: text"
		case at := <-hints:
			heard = heard || at == 7
		case <-again.C:
		case <-deadline:
			t.Fatalf("the broker was not set up again: answers come %t, events %t", answered, heard)
		}
	}
}

// What the broker refuses is an error of the one who publishes it, and the next message
// finds the topology made again.
func TestARefusedPublishIsAnError(t *testing.T) {
	b := newBroker(t)
	bus := b.bus(t, b.Address)
	must(t, bus.PublishWork(Item{Job: job(1), Body: []byte("text"), Until: soon()}))
	must(t, b.DeleteExchange(b.names.sendWork))
	if err := bus.PublishWork(Item{Job: job(2), Body: []byte("text"), Until: soon()}); err == nil {
		t.Error("work that no exchange takes is published")
	}
	must(t, bus.PublishWork(Item{Job: job(3), Body: []byte("text"), Until: soon()}))
}

// Headers that others add, whatever their type, do not keep a message from being
// read: quorum queues add integers to what is delivered again.
func TestForeignHeaders(t *testing.T) {
	key := newKey(t, "")
	m := Item{Job: job(1), Body: []byte("text")}.message()
	sent := marshal(key, kindWork, m)
	sent.Headers["x-delivery-count"], sent.Headers["x-death"], sent.Headers["kassa_other"] = int64(3), []any{amqp091.Table{"count": int64(1)}}, 7
	got, err := unmarshal(key, kindWork, amqp091.Delivery{Acknowledger: &amqp091.Channel{}, Headers: sent.Headers, Body: sent.Body})
	must(t, err)
	if got.UUID != m.UUID || string(got.Payload) != "text" || len(got.Metadata) != 2 || got.Metadata.Get(headerPosition) != "1" {
		t.Errorf("%+v", got)
	}
}

// A broker that takes a message and never confirms it, as with its memory alarm
// raised: publishing ends, says so, and works again later.
func TestPublishingDoesNotWaitForEver(t *testing.T) {
	b := newBroker(t)
	proxy := bustest.NewProxy(t, b.Address, "127.0.0.1")
	bus := b.bus(t, proxy.Address())
	must(t, bus.PublishWork(Item{Job: job(1), Body: []byte("before"), Until: soon()}))
	proxy.Freeze()
	bus.broker.publisher.timeout = 50 * time.Millisecond                                                                                                                        // only while nothing passes, so it can be as short as it likes
	if err := bus.PublishWork(Item{Job: job(2), Body: []byte("meanwhile"), Until: soon()}); !errors.Is(err, errNotPublished) || !strings.Contains(err.Error(), "within 50ms") { // and not when the connection is found to be dead, much later
		t.Errorf("a broker that does not confirm: %v", err)
	}
	bus.broker.publisher.timeout = publishTimeout
	proxy.Cut()
	must(t, bus.PublishWork(Item{Job: job(3), Body: []byte("after"), Until: soon()}))
}

// The zero value of a channel that the broker closed is not a message.
func TestPhantomsAreRefused(t *testing.T) {
	if _, err := unmarshal(newKey(t, ""), kindWork, amqp091.Delivery{}); !errors.Is(err, errPhantom) {
		t.Errorf("a phantom: %v", err)
	}
}
