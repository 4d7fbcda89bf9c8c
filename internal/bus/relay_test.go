package bus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

var errKilled = errors.New("the process was killed")

// carried is what came out at the other end of the bus, over all lives of the
// process.
type carried struct {
	mu     sync.Mutex
	events map[eventstore.Position]int
	jobs   map[eventstore.Position]int
}

func newCarried() *carried {
	return &carried{events: map[eventstore.Position]int{}, jobs: map[eventstore.Position]int{}}
}

func (c *carried) event(at eventstore.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events[at]++
}

func (c *carried) job(at eventstore.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jobs[at]++
}

// lacks gives the first position that was not carried, or whose job was not;
// 0 where nothing lacks.
func (c *carried) lacks(all []eventstore.Recorded) eventstore.Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rec := range all {
		if c.events[rec.Position] == 0 || asksForJob(rec) && c.jobs[rec.Position] == 0 {
			return rec.Position
		}
	}
	return 0
}

func asksForJob(rec eventstore.Recorded) bool { return rec.Type == domain.TypePredictionRequested }

// life is a process that carries the log, until it is told to stop or is killed at
// a step: from then on it can do nothing any more.
type life struct {
	Events
	*carried
	step string
	at   eventstore.Position // of the event at which it is killed
	kill context.CancelFunc
	dead context.Context
}

func (l *life) killedAt(step string, has bool) bool {
	if l.step == step && has {
		l.kill()
	}
	return l.dead.Err() != nil
}

func has(batch []eventstore.Recorded, at eventstore.Position) bool {
	return len(batch) > 0 && batch[0].Position <= at && at <= batch[len(batch)-1].Position
}

func (l *life) Recent(ctx context.Context, at eventstore.Position, limit int) ([]eventstore.Recorded, error) {
	batch, err := l.Events.Recent(ctx, at, limit)
	if l.killedAt("1 read", has(batch, l.at)) {
		return nil, errKilled
	}
	return batch, err
}

func (l *life) carry(_ context.Context, rec eventstore.Recorded) error {
	if l.killedAt("3 job, before", rec.Position == l.at) {
		return errKilled
	}
	l.event(rec.Position)
	if asksForJob(rec) {
		l.job(rec.Position)
	}
	if l.killedAt("3 job, after", rec.Position == l.at) {
		return errKilled
	}
	return nil
}

func (l *life) SetCheckpoint(ctx context.Context, name string, at eventstore.Position) error {
	if l.killedAt("4 checkpoint, before", true) {
		return errKilled
	}
	if err := l.Events.SetCheckpoint(ctx, name, at); err != nil {
		return err
	}
	if l.killedAt("4 checkpoint, after", true) {
		return errKilled
	}
	return nil
}

// live runs the process; until says when it is told to stop, if it lives so long.
func live(t testing.TB, l *life, from eventstore.Position, until func() bool) error {
	t.Helper()
	l.dead, l.kill = context.WithCancel(context.Background())
	b, stop := running(t, Handlers{})
	ctx, halt := context.WithCancel(t.Context())
	context.AfterFunc(l.dead, halt)
	relay := &Relay{Events: l, Bus: b, Logger: quiet, Name: "relay", Carry: inTurn(l.carry)}
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx, from) }()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for ctx.Err() == nil && !until() {
		select {
		case <-poll.C:
		case <-ctx.Done():
		}
	}
	halt()
	err := within(t, "the relay to stop", done)
	must(t, stop())
	return err
}

// The process is killed at each step of relay.go, in the first batch and in a
// later one, on the way to an event and at its own: whatever was not carried is
// carried by the next life, and nothing before the checkpoint is missing.
func TestRelayCarriesAgain(t *testing.T) {
	store, workload := log(t, 120)
	all := readAll(t, store)
	if len(all) < 2*relayBatch {
		t.Fatalf("the log has only %d events", len(all))
	}
	var jobs []eventstore.Position
	for _, rec := range all {
		if asksForJob(rec) {
			jobs = append(jobs, rec.Position)
		}
	}
	steps := []string{"1 read", "3 job, before", "3 job, after",
		"4 checkpoint, before", "4 checkpoint, after"}
	for i, step := range steps {
		for _, at := range []eventstore.Position{jobs[3], jobs[len(jobs)-3]} {
			t.Run(fmt.Sprintf("%s, at position %d", step, at), func(t *testing.T) {
				name := fmt.Sprintf("%d-%d", i, at) // a checkpoint of its own
				log, c := named{store, name}, newCarried()
				first := &life{Events: log, carried: c, step: step, at: at}
				err := live(t, first, math.MaxInt64, func() bool { return c.lacks(all) == 0 })
				if !errors.Is(err, errKilled) && first.dead.Err() == nil {
					t.Fatalf("it was not killed, and gave %v", err)
				}
				checkpoint, err := log.Checkpoint(t.Context(), "relay")
				must(t, err)
				if lacks := c.lacks(all[:checkpoint]); lacks != 0 {
					t.Fatalf("the checkpoint is %d, and position %d was not carried", checkpoint, lacks)
				}
				if step[0] < '4' && c.lacks(all) == 0 {
					t.Fatal("it was killed, and yet carried everything")
				}

				next, rest := newCarried(), all[checkpoint:]
				must(t, live(t, &life{Events: log, carried: next}, math.MaxInt64, func() bool { return next.lacks(rest) == 0 }))
				if checkpoint, err := log.Checkpoint(t.Context(), "relay"); err != nil || int(checkpoint) != len(all) {
					t.Errorf("after a clean stop the checkpoint is %d of %d, %v", checkpoint, len(all), err)
				}
				if checkpoint > 0 && next.events[checkpoint] > 0 {
					t.Errorf("it began again before its checkpoint, %d", checkpoint)
				}
			})
		}
	}

	// After a clean stop only what is new is carried.
	log, c := named{store, "0-" + fmt.Sprint(jobs[3])}, newCarried()
	_, err := workload.Step(t.Context(), store, 24)
	must(t, err)
	news := readAll(t, store)[len(all):]
	must(t, live(t, &life{Events: log, carried: c}, math.MaxInt64, func() bool { return c.lacks(news) == 0 }))
	if len(c.events) != len(news) {
		t.Errorf("%d events were carried, %d are new", len(c.events), len(news))
	}
}

// named keeps the checkpoints of one test apart from another's.
type named struct {
	*eventstore.Store
	as string
}

func (n named) Checkpoint(ctx context.Context, _ string) (eventstore.Position, error) {
	return n.Store.Checkpoint(ctx, n.as)
}

func (n named) SetCheckpoint(ctx context.Context, _ string, at eventstore.Position) error {
	return n.Store.SetCheckpoint(ctx, n.as, at)
}

func readAll(t testing.TB, store *eventstore.Store) (all []eventstore.Recorded) {
	t.Helper()
	must(t, store.Scan(t.Context(), 0, func(page []eventstore.Recorded) error {
		all = append(all, page...)
		return nil
	}))
	return all
}

// The relay begins behind its checkpoint, or before the oldest open job where
// that is earlier.
func TestRelayBegins(t *testing.T) {
	store, _ := log(t, 10)
	all := readAll(t, store)
	for _, tt := range []struct{ checkpoint, from, want eventstore.Position }{
		{0, math.MaxInt64, 1}, {0, 0, 1}, {20, math.MaxInt64, 21}, {20, 25, 21}, {20, 20, 21}, {20, 4, 5}, {20, 0, 1},
	} {
		log, c := named{store, fmt.Sprint(tt)}, newCarried()
		must(t, log.SetCheckpoint(t.Context(), "", tt.checkpoint))
		must(t, live(t, &life{Events: log, carried: c}, tt.from, func() bool { return c.lacks(all[len(all)-1:]) == 0 }))
		if c.lacks(all[tt.want-1:]) != 0 || c.events[tt.want-1] != 0 {
			t.Errorf("checkpoint %d, from %d: it did not begin at %d: %v", tt.checkpoint, tt.from, tt.want, c.events)
		}
	}
}

// paced is a log in memory that grows with a clock, so that a test can make hours
// of it. Whether the real one keeps its promises is not asked here.
type paced struct {
	mu     sync.Mutex
	size   eventstore.Position
	grown  chan struct{}
	wrote  []time.Time
	kept   eventstore.Position
	refuse error               // what After says instead
	away   int                 // so often the checkpoint cannot be read or written
	ahead  bool                // the checkpoint does not follow the log
	gone   eventstore.Position // archived
}

func newPaced() *paced { return &paced{grown: make(chan struct{})} }

func (p *paced) grow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.size++
	close(p.grown)
	p.grown = make(chan struct{})
}

func (p *paced) Wait(ctx context.Context, after eventstore.Position) error {
	for {
		p.mu.Lock()
		size, grown := p.size, p.grown
		p.mu.Unlock()
		if size > after {
			return nil // as the store does, even where ctx has ended
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *paced) Recent(_ context.Context, at eventstore.Position, limit int) (batch []eventstore.Recorded, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(batch) < limit && at < p.size {
		at++
		event := domain.AdminGranted{User: "u_1"}
		payload, err := domain.Encode(event)
		if err != nil {
			return nil, err
		}
		env := eventstore.Envelope{Position: at, Stream: "account-u_1", Version: eventstore.Version(at), Type: event.Type(),
			Schema: 1, Time: eventstore.Earliest}
		batch = append(batch, eventstore.Recorded{Envelope: env, Event: event, Entry: eventstore.EncodeEntry(env, payload)})
	}
	return batch, p.refuse
}

func (p *paced) Archived(context.Context) (eventstore.Position, error) { return p.gone, nil }

func (p *paced) Checkpoint(context.Context, string) (eventstore.Position, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ahead {
		return p.kept, eventstore.ErrAhead
	}
	return p.kept, p.fails()
}

func (p *paced) fails() error {
	if p.away == 0 {
		return nil
	}
	p.away--
	return errPassing
}

func (p *paced) SetCheckpoint(_ context.Context, _ string, at eventstore.Position) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.fails(); err != nil {
		return err
	}
	p.wrote, p.kept, p.ahead = append(p.wrote, time.Now()), at, false
	return nil
}

// inTime runs a relay over a paced log in a world whose clock moves when all wait.
func inTime(t *testing.T, carry func(context.Context, eventstore.Recorded) error, run func(p *paced, stop func() error)) {
	synctest.Test(t, func(t *testing.T) {
		p := newPaced()
		b, stopBus := running(t, Handlers{})
		ctx, cancel := context.WithCancel(context.Background())
		relay := &Relay{Events: p, Bus: b, Logger: quiet, Name: "relay", Carry: inTurn(carry)}
		done := make(chan error, 1)
		go func() { done <- relay.Run(ctx, math.MaxInt64) }()
		run(p, func() error { cancel(); return <-done })
		must(t, stopBus())
	})
}

func nothing(context.Context, eventstore.Recorded) error { return nil }

// Under load the checkpoint is written once a second, and once more at the end.
func TestRelayWritesItsCheckpointSeldom(t *testing.T) {
	inTime(t, nothing, func(p *paced, stop func() error) {
		for range 100 { // ten seconds
			<-time.After(100 * time.Millisecond)
			p.grow()
		}
		synctest.Wait()
		if n := len(p.wrote); n < 8 || n > 10 {
			t.Errorf("in ten seconds the checkpoint was written %d times", n)
		}
		for i := 1; i < len(p.wrote); i++ {
			if pause := p.wrote[i].Sub(p.wrote[i-1]); pause < checkpointEvery {
				t.Errorf("it was written again after %s", pause)
			}
		}
		if p.size-p.kept > 11 {
			t.Errorf("a crash now would carry %d events again", p.size-p.kept)
		}
		must(t, stop())
		if p.kept != 100 {
			t.Errorf("after a clean stop the checkpoint is %d", p.kept)
		}
	})
}

// What fails in passing is tried again, with pauses, and nothing is passed over.
func TestRelayTriesAgain(t *testing.T) {
	var mu sync.Mutex
	fail, seen := 5, map[eventstore.Position]int{}
	inTime(t, func(_ context.Context, rec eventstore.Recorded) error {
		mu.Lock()
		defer mu.Unlock()
		if rec.Position == 2 && fail > 0 {
			fail--
			return errPassing
		}
		seen[rec.Position]++
		return nil
	}, func(p *paced, stop func() error) {
		for range 3 {
			p.grow()
		}
		begun := time.Now()
		for p.kept == 0 { // the last save of a clean stop is not needed: time passes
			<-time.After(time.Second)
			p.grow()
			synctest.Wait()
		}
		mu.Lock()
		for at := eventstore.Position(1); at <= p.kept; at++ {
			if seen[at] == 0 {
				t.Errorf("position %d was passed over", at)
			}
		}
		mu.Unlock()
		if fail > 0 || time.Since(begun) < 100*time.Millisecond {
			t.Errorf("%d failures are left after %s", fail, time.Since(begun))
		}
		must(t, stop())
	})
}

// A database that restarts in the moment when the relay begins, or ends, is waited
// for, or passed over: neither is a fault of the process.
func TestRelayBeginsAndEndsWhileTheDatabaseIsAway(t *testing.T) {
	p := newPaced()
	p.away = 3
	p.grow()
	b, stopBus := running(t, Handlers{})
	ctx, cancel := context.WithCancel(t.Context())
	carried, done := make(chan eventstore.Position), make(chan error, 1)
	relay := &Relay{Events: p, Bus: b, Logger: quiet, Name: "relay", Carry: inTurn(func(_ context.Context, rec eventstore.Recorded) error {
		carried <- rec.Position
		return nil
	})}
	go func() { done <- relay.Run(ctx, math.MaxInt64) }()
	if at := within(t, "the first job", carried); at != 1 {
		t.Errorf("position %d was carried first", at)
	}
	p.mu.Lock()
	p.away = 1
	p.mu.Unlock()
	cancel()
	must(t, within(t, "the relay to end", done))
	must(t, stopBus())
}

// A log that cannot be followed any more ends the relay.
func TestRelayEnds(t *testing.T) {
	for _, final := range []error{eventstore.ErrCorrupt, eventstore.ErrClosed} {
		p := newPaced()
		p.refuse = final
		p.grow()
		b, _ := running(t, Handlers{})
		relay := &Relay{Events: p, Bus: b, Logger: quiet, Name: "relay", Carry: inTurn(nothing)}
		if err := relay.Run(t.Context(), math.MaxInt64); !errors.Is(err, final) {
			t.Errorf("at %v it gave %v", final, err)
		}
	}
}
