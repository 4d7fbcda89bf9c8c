package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
)

var quiet = slog.New(slog.DiscardHandler)

// running gives a bus in which the handlers act, and stop, which ends it and gives
// what Run came to.
func running(t testing.TB, h Handlers) (b *Bus, stop func() error) {
	t.Helper()
	b, err := InProcess(quiet)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx, h) }()
	within(t, "the bus to run", b.Running())
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = stop() }) // a test that cares has stopped it before
	return b, stop
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// within waits for a moment, and fails the test where it does not come.
func within[T any](t testing.TB, what string, moment <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-moment:
	case <-time.After(time.Minute):
		t.Fatalf("waited in vain for %s", what)
	}
	return got
}

// impatient shortens the pauses between tries for one test.
func impatient(t testing.TB) {
	t.Helper()
	before := longRetry
	longRetry.MaxRetries, longRetry.InitialInterval = 2, time.Millisecond
	t.Cleanup(func() { longRetry = before })
}

// log gives a store with a workload.
func log(t testing.TB, appends int) (*eventstore.Store, *eventstoretest.Workload) {
	t.Helper()
	db, err := schema.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "kassa.db"))
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	store, err := eventstore.SQLite(t.Context(), db)
	must(t, err)
	t.Cleanup(store.Close)
	workload := eventstoretest.NewWorkload(1, 5)
	for range appends {
		_, err := workload.Step(t.Context(), store, 24)
		must(t, err)
	}
	return store, workload
}

func job(i int) Job {
	return Job{Prediction: fmt.Sprintf("p_%d", i), Position: eventstore.Position(i)}
}

// A message of events says how far the log has come, and nothing else.
func TestHintsArrive(t *testing.T) {
	got := make(chan eventstore.Position, 10)
	b, _ := running(t, Handlers{Hint: func(at eventstore.Position) { got <- at }})
	for _, at := range []eventstore.Position{1, 4711, 1<<63 - 1} {
		must(t, b.PublishHint(at))
		if heard := within(t, "the hint", got); heard != at {
			t.Errorf("position %d arrived as %d", at, heard)
		}
	}
}

// answered is an answer as it arrived.
type answered struct {
	Job
	answer, failure string
}

// answers collects what arrives.
func answers(n int) (chan answered, func(context.Context, Job, []byte, string) error) {
	got := make(chan answered, n)
	return got, func(_ context.Context, e Job, answer []byte, failure string) error {
		got <- answered{e, string(answer), failure}
		return nil
	}
}

// each does the jobs of a message one by one.
func each(work func(context.Context, []byte) ([]byte, string, error)) func(context.Context, [][]byte) []Outcome {
	return func(ctx context.Context, requests [][]byte) []Outcome {
		outcomes := make([]Outcome, len(requests))
		for i, request := range requests {
			outcomes[i].Answer, outcomes[i].Failure, outcomes[i].Err = work(ctx, request)
		}
		return outcomes
	}
}

// settling settles the jobs of a message one by one.
func settling(settle func(context.Context, Job, []byte, string) error) func(context.Context, []Item) []error {
	return func(ctx context.Context, items []Item) []error {
		faults := make([]error, len(items))
		for i, item := range items {
			faults[i] = settle(ctx, item.Job, item.Body, item.Failure)
		}
		return faults
	}
}

// Every job is done and answered, with its headers, and a failure in its word.
func TestJobsAreAnswered(t *testing.T) {
	const n = 5 * concurrency
	got, answer := answers(2 * n)
	b, _ := running(t, Handlers{Answer: settling(answer), Work: each(func(_ context.Context, request []byte) ([]byte, string, error) {
		if string(request) == "request 7" {
			return nil, "text_not_understood", nil
		}
		return []byte("answer to " + string(request)), "", nil
	})})
	for i := 1; i <= n; i++ {
		must(t, b.PublishWork(Item{Job: job(i), Body: fmt.Appendf(nil, "request %d", i), Until: soon()}))
	}
	seen := map[eventstore.Position]bool{}
	for range n {
		a := within(t, "an answer", got)
		want := answered{job(int(a.Position)), fmt.Sprintf("answer to request %d", a.Position), ""}
		if a.Position == 7 {
			want.answer, want.failure = "", "text_not_understood"
		}
		if a != want || seen[a.Position] {
			t.Errorf("got %+v, want %+v", a, want)
		}
		seen[a.Position] = true
	}
	must(t, b.PublishAnswers(Item{Job: job(1000), Body: nil, Failure: "text_erased"})) // one that needs no worker
	if a := within(t, "an answer", got); a != (answered{job(1000), "", "text_erased"}) {
		t.Errorf("got %+v", a)
	}
}

// As many jobs as there are slots run at once, and no more.
func TestManyJobsAtOnce(t *testing.T) {
	const n = 3 * concurrency
	got, answer := answers(n)
	entered, leave := make(chan bool, n), make(chan bool)
	var now, most atomic.Int32
	b, _ := running(t, Handlers{Answer: settling(answer), Work: each(func(context.Context, []byte) ([]byte, string, error) {
		most.Store(max(most.Load(), now.Add(1)))
		entered <- true
		<-leave
		now.Add(-1)
		return nil, "", nil
	})})
	for i := 1; i <= n; i++ {
		must(t, b.PublishWork(Item{Job: job(i), Body: nil, Until: soon()}))
	}
	for range concurrency {
		within(t, "a job to begin", entered)
	}
	for range n {
		leave <- true
	}
	for range n {
		within(t, "an answer", got)
	}
	if most.Load() != concurrency {
		t.Errorf("%d were under way at once, there are %d slots", most.Load(), concurrency)
	}
}

// twice fails the first two times.
func twice(err error) func() error {
	var n atomic.Int32
	return func() error {
		if n.Add(1) <= 2 {
			return err
		}
		return nil
	}
}

var errPassing = errors.New("it passes")

func TestWhatPassesIsTriedAgain(t *testing.T) {
	got, collect := answers(10)
	work, settle := twice(errPassing), twice(errPassing)
	b, stop := running(t, Handlers{
		Work: each(func(context.Context, []byte) ([]byte, string, error) { return []byte("done"), "", work() }),
		Answer: settling(func(ctx context.Context, e Job, answer []byte, failure string) error {
			if err := settle(); err != nil {
				panic(err) // a handler that panics has failed, and no more than that
			}
			return collect(ctx, e, answer, failure)
		}),
	})
	must(t, b.PublishWork(Item{Job: job(1), Body: nil, Until: soon()}))
	if a := within(t, "the answer", got); a != (answered{job(1), "done", ""}) {
		t.Errorf("the answer is %+v", a)
	}
	must(t, stop())
}

// A worker that fails time and again is answered for, so the credits come back
// at once.
func TestAJobThatFailsForGood(t *testing.T) {
	for name, fails := range map[string]func(){"with an error": func() {}, "with a panic": func() { panic("no model") }} {
		t.Run(name, func(t *testing.T) {
			got, answer := answers(10)
			b, _ := running(t, Handlers{Answer: settling(answer), Work: each(func(_ context.Context, request []byte) ([]byte, string, error) {
				if string(request) == "good" {
					return []byte("done"), "", nil
				}
				fails()
				return nil, "", errPassing
			})})
			must(t, b.PublishWork(Item{Job: job(1), Body: []byte("bad"), Until: soon()}))
			must(t, b.PublishWork(Item{Job: job(2), Body: []byte("good"), Until: soon()})) // is not held up
			if a := within(t, "the good answer", got); a != (answered{job(2), "done", ""}) {
				t.Errorf("first came %+v", a)
			}
			if a := within(t, "the failure", got); a != (answered{job(1), "", Failed}) {
				t.Errorf("then came %+v", a)
			}
		})
	}
}

// An answer that cannot be settled ends as a failure too; where that cannot be
// told either, it is dropped, and the next is heard.
func TestAnAnswerThatFailsForGood(t *testing.T) {
	impatient(t)
	got, collect := answers(10)
	b, _ := running(t, Handlers{Answer: settling(func(ctx context.Context, e Job, answer []byte, failure string) error {
		if e.Position == 2 || string(answer) == "bad" {
			return errPassing
		}
		return collect(ctx, e, answer, failure)
	})})
	must(t, b.PublishAnswers(Item{Job: job(2), Body: []byte("never settled"), Failure: ""}))
	must(t, b.PublishAnswers(Item{Job: job(1), Body: []byte("bad"), Failure: ""}))
	if a := within(t, "the failure", got); a != (answered{job(1), "", Failed}) {
		t.Errorf("came %+v", a)
	}
	must(t, b.PublishAnswers(Item{Job: job(3), Body: []byte("good"), Failure: ""}))
	if a := within(t, "the next", got); a != (answered{job(3), "good", ""}) {
		t.Errorf("came %+v", a)
	}
}

// What is no message of ours is dropped, is tried once, and holds nothing up: the
// empty one that a broker's closing channel gives, and all others.
func TestMalformedMessages(t *testing.T) {
	var calls atomic.Int32
	hinted := make(chan eventstore.Position, 10)
	got, collect := answers(10)
	b, stop := running(t, Handlers{
		Hint: func(at eventstore.Position) { calls.Add(1); hinted <- at },
		Work: each(func(context.Context, []byte) ([]byte, string, error) { calls.Add(1); return []byte("done"), "", nil }),
		Answer: settling(func(ctx context.Context, e Job, answer []byte, failure string) error {
			calls.Add(1)
			return collect(ctx, e, answer, failure)
		}),
	})
	// The last ones are batches of entries, as older versions published them.
	for _, body := range []string{"", "{", "null", "7", "{}", `{"position":0}`, `{"position":-1}`, `{"position":1.5}`, `{"position":"1"}`,
		`{"position":9223372036854775808}`, "[]", `[{"specversion":"1.0","id":"7","data_base64":"AAAA"}]`, `[{"position":7}]`} {
		must(t, b.events.publish(message.NewMessage("", []byte(body))))
	}
	for _, headers := range []message.Metadata{
		nil,
		{headerPrediction: "p_1"},
		{headerPrediction: "p_1", headerPosition: "0"},
		{headerPrediction: "p_1", headerPosition: "one"},
		{headerPrediction: "", headerPosition: "1"},
		{headerPosition: "1"},
	} {
		for _, c := range []*channel{b.work, b.answers, b.dead} {
			m := message.NewMessage("", nil)
			m.Metadata = headers
			must(t, c.publish(m))
		}
	}
	must(t, b.PublishHint(7))
	must(t, b.PublishWork(Item{Job: job(1), Body: nil, Until: soon()}))
	if at := within(t, "the hint", hinted); at != 7 {
		t.Errorf("the hint says position %d", at)
	}
	if a := within(t, "the answer", got); a != (answered{job(1), "done", ""}) {
		t.Errorf("the answer is %+v", a)
	}
	if n := calls.Load(); n != 3 {
		t.Errorf("handlers were called %d times", n)
	}
	must(t, stop())
}

// When the bus stops, what is in hand is finished under a living context, and what
// waits behind it is not begun.
func TestHandlersFinish(t *testing.T) {
	const n = 3 * concurrency
	entered, leave := make(chan context.Context, n), make(chan bool)
	var finished, cutOff atomic.Int32
	b, stop := running(t, Handlers{Work: each(func(ctx context.Context, _ []byte) ([]byte, string, error) {
		entered <- ctx
		select {
		case <-leave:
			finished.Add(1)
		case <-ctx.Done():
			cutOff.Add(1)
		}
		return nil, "", ctx.Err()
	})})
	for i := 1; i <= n; i++ {
		must(t, b.PublishWork(Item{Job: job(i), Body: nil, Until: soon()}))
	}
	var contexts []context.Context
	for range concurrency {
		contexts = append(contexts, within(t, "a job to begin", entered))
	}
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	within(t, "the bus to close", b.closing)
	work, err := b.work.subscriber.Subscribe(context.Background(), "any") // ends when the subscriptions do
	for err == nil {
		if _, open := <-work; !open {
			break
		}
	}
	for _, ctx := range contexts {
		if ctx.Err() != nil {
			t.Error("a handler was cut off")
		}
	}
	close(leave)
	if err := within(t, "Run to end", stopped); err != nil {
		t.Errorf("Run gave %v", err)
	}
	if finished.Load() != concurrency || cutOff.Load() != 0 || len(entered) != 0 {
		t.Errorf("%d finished, %d were cut off, %d began late", finished.Load(), cutOff.Load(), len(entered))
	}
	if contexts[0].Err() == nil {
		t.Error("after Run the context lives on")
	}
}

// A handler that fails while the bus stops is not answered for: the next start
// brings its job again.
func TestNothingIsGivenUpWhileStopping(t *testing.T) {
	impatient(t)
	entered, leave := make(chan bool), make(chan bool)
	var failures atomic.Int32
	b, stop := running(t, Handlers{
		Work: each(func(context.Context, []byte) ([]byte, string, error) {
			entered <- true
			<-leave
			return nil, "", errPassing
		}),
		Answer: settling(func(context.Context, Job, []byte, string) error { failures.Add(1); return nil }),
	})
	must(t, b.PublishWork(Item{Job: job(1), Body: nil, Until: soon()}))
	within(t, "the job to begin", entered)
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	within(t, "the bus to close", b.closing)
	close(leave)
	if err := within(t, "Run to end", stopped); err != nil || failures.Load() != 0 {
		t.Errorf("Run gave %v, %d failures were told", err, failures.Load())
	}
}

// A process that is told to stop before its bus runs stops at once.
func TestStoppingBeforeTheStart(t *testing.T) {
	for name, h := range map[string]Handlers{"nobody acts": {}, "somebody acts": {Answer: settling(func(context.Context, Job, []byte, string) error { return nil })}} {
		b, err := InProcess(quiet)
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx, h) }()
		if err := within(t, "Run to end", done); err != nil {
			t.Errorf("%s: Run gave %v", name, err)
		}
	}
}
