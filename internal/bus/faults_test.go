package bus

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/internal/bus/bustest"
)

// Hints cannot be declared, published or consumed, as where the node that has their
// queue is down: work is done and answered all the same, the process is ready, and
// publishing a hint waits for nothing.
func TestHintsMayFail(t *testing.T) {
	b := newBroker(t)
	b.bus(t, b.Address) // its declaration is the one that succeeds
	pattern := func(but string) string { return `^kassa\.` + b.key.Installation + `\.(?!` + but + `).*` }
	at := b.at(b.As(t, pattern(`hints\.`), pattern(`(send\.)?hints`), pattern(`(send\.)?hints`)))
	got, settle := answers(1)
	bus, err := at.Open(t.Context(), quiet)
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- bus.Run(ctx, Handlers{Work: each(echo), Answer: settling(settle), Hint: func(eventstore.Position) { t.Error("a hint arrived") }})
	}()
	within(t, "the bus to run", bus.Running())
	published := make(chan error, 1)
	go func() {
		for range 1000 {
			if err := bus.PublishHint(7); err != nil {
				published <- err
				return
			}
		}
		published <- nil
	}()
	must(t, within(t, "a thousand hints to be published", published))
	must(t, bus.PublishWork(Item{Job: job(1), Body: []byte("text"), Until: soon()}))
	if a := within(t, "the answer", got); a.answer != "re: text" {
		t.Errorf("answer %q", a.answer)
	}
	eventstoretest.Eventually(t, "the process to be ready", func() bool { return bus.Connected() == nil })
	stop()
	must(t, within(t, "the bus to end", ended))
}

// Of a cluster's addresses one that does not answer is passed over, at the start and
// when the connection is lost.
func TestSeveralAddresses(t *testing.T) {
	b := newBroker(t)
	first, second := bustest.NewProxy(t, b.Address, "127.0.0.1"), bustest.NewProxy(t, b.Address, "127.0.0.1")
	gone := bustest.NewProxy(t, b.Address, "127.0.0.1")
	gone.Close()
	got, settle := answers(10)
	bus, err := b.at(gone.Address(), first.Address(), second.Address()).Open(t.Context(), quiet)
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- bus.Run(ctx, Handlers{Work: each(echo), Answer: settling(settle)}) }()
	within(t, "the bus to run", bus.Running())
	answered := func(when string, i int) {
		t.Helper()
		// One that was on its way when the connection was lost is an error, and the relay
		// publishes it again.
		eventstoretest.Eventually(t, "work to be published "+when, func() bool { return bus.PublishWork(Item{Job: job(i), Body: []byte("text"), Until: soon()}) == nil })
		for a := within(t, "the answer "+when, got); a.Job != job(i); {
			a = within(t, "the answer "+when, got) // before comes one that is delivered again
		}
	}
	answered("by way of the first that answers", 1)
	first.Close()
	first.Cut()
	answered("when that is gone too", 2)
	first.Open(t)
	second.Close()
	second.Cut()
	answered("when it is back, and the other is gone", 3)
	stop()
	must(t, within(t, "the bus to end", ended))
}

// What no worker took while its hold was open is nobody's work any more, and no dead
// letter: its hold expires.
func TestWorkLivesAsLongAsItsHold(t *testing.T) {
	b := newBroker(t)
	bus := b.bus(t, b.Address)
	must(t, bus.PublishWork(Item{Job: job(1), Body: []byte("late"), Until: time.Now().Add(50 * time.Millisecond)}))
	must(t, bus.PublishWork(Item{Job: job(2), Body: []byte("over"), Until: time.Now().Add(-time.Minute)}))
	must(t, bus.PublishWork(Item{Job: job(3), Body: []byte("text"), Until: soon()}))
	eventstoretest.Eventually(t, "what is over to leave the queue", func() bool {
		i, err := b.at(b.Address).Inspect(t.Context())
		must(t, err)
		defer i.Close()
		depths, err := i.Depths()
		must(t, err)
		if len(depths) != 6 {
			t.Fatalf("the queues are %v", depths)
		}
		return depths["work"] == Depth{Ready: 1}
	})
	var worked atomic.Int32
	got, settle := answers(10)
	b.run(t, b.Address, Handlers{Answer: settling(settle), Work: each(func(ctx context.Context, request []byte) ([]byte, string, error) {
		worked.Add(1)
		return echo(ctx, request)
	})})
	if a := within(t, "the answer", got); a.Job != job(3) || a.failure != "" {
		t.Errorf("came %+v", a)
	}
	i, err := b.at(b.Address).Inspect(t.Context())
	must(t, err)
	defer i.Close()
	if n, err := i.DeadLetters(); n != 0 || err != nil || worked.Load() != 1 || len(got) != 0 {
		t.Errorf("%d dead letters (%v), %d jobs were done, %d more answers", n, err, worked.Load(), len(got))
	}
}

// A message that no key of ours opens is handed to nobody, and holds nothing up.
func TestForeignMessagesArePassedOver(t *testing.T) {
	b := newBroker(t)
	forger := broker{b.Broker, newKey(t, b.key.Installation), b.names} // the right name, another secret
	forged := forger.bus(t, b.Address)
	got, settle := answers(10)
	bus := b.run(t, b.Address, Handlers{Work: each(echo), Answer: settling(settle)})
	must(t, forged.PublishWork(Item{Job: job(1), Body: []byte("forged"), Until: soon()}))
	must(t, forged.PublishAnswers(Item{Job: job(2), Body: []byte("forged"), Failure: ""}))
	must(t, forged.PublishAnswers(Item{Job: job(3), Body: nil, Failure: Failed}))
	must(t, bus.PublishWork(Item{Job: job(4), Body: []byte("text"), Until: soon()}))
	if a := within(t, "the answer", got); a.Job != job(4) || !strings.HasPrefix(a.answer, "re: ") {
		t.Errorf("came %+v", a)
	}
	eventstoretest.Eventually(t, "the forged ones to be gone", func() bool {
		queues, err := b.Queues()
		must(t, err)
		return queues[b.names.work]+queues[b.names.answers]+queues[b.names.dead] == 0
	})
	if len(got) != 0 {
		t.Errorf("a forged message was settled: %+v", <-got)
	}
}

// A queue that is deleted while nothing is published is made again by the process whose
// right that is; the others are not ready until then, and consume again by themselves.
func TestQueuesAreKeptThere(t *testing.T) {
	b := newBroker(t)
	relay := b.bus(t, b.Address)
	relay.broker.every = 50 * time.Millisecond
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	deleted := make(chan struct{})
	go func() {
		<-deleted
		ended <- relay.Run(ctx, Handlers{})
	}()
	got, settle := answers(1)
	matcher := b.at(b.Address)
	matcher.Declares = false
	bus, err := matcher.Open(t.Context(), quiet)
	must(t, err)
	matched := make(chan error, 1)
	go func() { matched <- bus.Run(ctx, Handlers{Work: each(echo), Answer: settling(settle)}) }()
	within(t, "the matcher", bus.Running())
	must(t, bus.Connected())
	must(t, b.DeleteQueue(b.names.answers))
	eventstoretest.Eventually(t, "the matcher to be not ready", func() bool { return bus.Connected() != nil })
	close(deleted)
	eventstoretest.Eventually(t, "the matcher to be ready", func() bool { return bus.Connected() == nil })
	must(t, relay.PublishWork(Item{Job: job(1), Body: []byte("text"), Until: soon()}))
	if a := within(t, "the answer", got); a.answer != "re: text" {
		t.Errorf("answer %q", a.answer)
	}
	stop()
	must(t, within(t, "the relay to end", ended))
	must(t, within(t, "the matcher to end", matched))
}

// Work whose answer cannot be sent is not at fault: it is put back, and the next worker
// does it.
func TestWorkWhoseAnswerCannotBeSent(t *testing.T) {
	before := shortRetry
	shortRetry.MaxRetries, shortRetry.InitialInterval = 1, time.Millisecond
	t.Cleanup(func() { shortRetry = before })
	b := newBroker(t)
	service := b.bus(t, b.Address)
	rights := b.key.WorkerRights()
	rights.Write = "^$"
	mute, err := b.as(t, rights).Open(t.Context(), quiet)
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	tried, ended := make(chan bool, 100), make(chan error, 1)
	go func() {
		ended <- mute.Run(ctx, Handlers{Work: each(func(ctx context.Context, request []byte) ([]byte, string, error) {
			tried <- true
			return echo(ctx, request)
		})})
	}()
	must(t, service.PublishWork(Item{Job: job(1), Body: []byte("text"), Until: soon()}))
	within(t, "the first worker to try", tried)
	stop()
	must(t, within(t, "the first worker to end", ended))
	got, settle := answers(1)
	b.run(t, b.Address, Handlers{Work: each(echo), Answer: settling(settle)})
	if a := within(t, "the answer", got); a.answer != "re: text" || a.failure != "" {
		t.Errorf("%+v", a)
	}
}

// What a process has in hand when it is told to stop is finished and acknowledged, and
// delivered to no other.
func TestStoppingAcknowledges(t *testing.T) {
	b := newBroker(t)
	service := b.bus(t, b.Address)
	worker := b.bus(t, b.Address)
	inHand, leave := make(chan bool, concurrency), make(chan bool)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- worker.Run(ctx, Handlers{Work: each(func(context.Context, []byte) ([]byte, string, error) {
			inHand <- true
			<-leave
			return []byte("done"), "", nil
		})})
	}()
	const n = 2 * concurrency
	for i := range n {
		must(t, service.PublishWork(Item{Job: job(i + 1), Body: []byte("text"), Until: soon()}))
	}
	for range concurrency {
		within(t, "the worker to have its hands full", inHand)
	}
	stop()
	within(t, "the worker to begin to end", worker.broker.draining)
	close(leave)
	must(t, within(t, "the worker to end", ended))
	got, settle := answers(2 * n)
	var again atomic.Int32
	b.run(t, b.Address, Handlers{Answer: settling(settle), Work: each(func(context.Context, []byte) ([]byte, string, error) {
		again.Add(1)
		return []byte("done by another"), "", nil
	})})
	for range n {
		within(t, "an answer", got)
	}
	if again.Load() != concurrency || len(got) != 0 {
		t.Errorf("of %d jobs of which %d were in hand, %d were done by another; %d answers too many", n, concurrency, again.Load(), len(got))
	}
}
