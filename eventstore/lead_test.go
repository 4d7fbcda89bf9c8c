package eventstore_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"kassa/audit/audittest"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
	"kassa/schema/schematest"
)

// shortLease makes the tests quick, and leaves a busy machine time to renew it.
const shortLease = time.Second

// candidate is a process that would lead.
type candidate struct {
	store  *eventstore.Store
	faults *eventstore.Faults
	leads  chan *eventstore.Leadership // it begins to
	ended  chan error                  // why it had to stop
	out    chan error                  // what Lead returned
}

// candidates gives two processes on one database. Running says how many lead at the moment;
// it may never be more than one.
func candidates(t *testing.T, ctx context.Context) (both [2]*candidate, running *atomic.Int32) {
	t.Helper()
	return candidatesOn(t, ctx, schematest.Postgres(t))
}

func candidatesOn(t *testing.T, ctx context.Context, url string) (both [2]*candidate, running *atomic.Int32) {
	t.Helper()
	running = &atomic.Int32{}
	for i := range both {
		pool, err := schema.OpenPostgres(ctx, url, 4)
		must(t, err)
		t.Cleanup(pool.Close)
		store, faults, err := eventstore.OpenFaultsPostgres(ctx, pool)
		must(t, err)
		t.Cleanup(store.Close)
		eventstore.SetLeaseTime(store, shortLease)
		both[i] = &candidate{store, faults, make(chan *eventstore.Leadership), make(chan error, 8), make(chan error, 1)}
	}
	return both, running
}

func (c *candidate) stand(t *testing.T, ctx context.Context, running *atomic.Int32, do func(context.Context, *eventstore.Leadership) error) {
	go func() {
		c.out <- c.store.Lead(ctx, "test", func(ctx context.Context, l *eventstore.Leadership) error {
			if n := running.Add(1); n > 1 {
				t.Errorf("%d lead at once", n)
			}
			c.leads <- l
			err := do(ctx, l)
			running.Add(-1)
			c.ended <- context.Cause(ctx)
			return err
		})
	}()
}

func untilStopped(ctx context.Context, _ *eventstore.Leadership) error {
	<-ctx.Done()
	return ctx.Err()
}

// A leader is alone. One that cannot renew its lease stops before another begins; what it
// still writes as a leader is refused. When it can again, it waits for its turn.
func TestLeaderIsAlone(t *testing.T) {
	t.Run("direct", func(t *testing.T) { leaderIsAlone(t, schematest.Postgres(t)) })
	t.Run("behind a pooler", func(t *testing.T) {
		_, service := schematest.Pooled(t)
		leaderIsAlone(t, service)
	})
}

func leaderIsAlone(t *testing.T, url string) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	both, running := candidatesOn(t, ctx, url)
	first, second := both[0], both[1]
	first.stand(t, ctx, running, untilStopped)
	old := <-first.leads
	second.stand(t, ctx, running, untilStopped)
	must(t, old.SetCheckpoint(ctx, "relay", 3))
	select {
	case <-second.leads:
		t.Fatal("a second one leads beside it")
	case <-time.After(2 * shortLease): // longer than a lease that is not renewed
	}

	first.faults.Always(eventstore.AtRenew, fails)
	first.faults.Always(eventstore.AtTake, fails)
	now := <-second.leads
	if why := <-first.ended; !errors.Is(why, eventstore.ErrDeposed) {
		t.Errorf("the first one was stopped because %v", why)
	}
	if err := old.SetCheckpoint(ctx, "relay", 9); !errors.Is(err, eventstore.ErrDeposed) {
		t.Errorf("a leader of before moved the checkpoint: %v", err)
	}
	must(t, now.SetCheckpoint(ctx, "relay", 4))
	if all, err := first.store.Checkpoints(ctx); all["relay"] != 4 || err != nil {
		t.Errorf("the checkpoints are %v, %v", all, err)
	}
	if err := first.store.Ready(ctx); !errors.Is(err, errFault) {
		t.Errorf("a process that cannot lead as it should is ready: %v", err)
	}
	first.faults.Always(eventstore.AtRenew, nil)
	first.faults.Always(eventstore.AtTake, nil)
	eventstoretest.Eventually(t, "the first one is ready", func() bool { return first.store.Ready(ctx) == nil })
	cancel()
	if err := <-second.out; !errors.Is(err, context.Canceled) {
		t.Errorf("the second one ended with %v", err)
	}
	must(t, <-first.out)
	audittest.CheckLedger(t, first.store)
}

// Who stops in order is followed at once: much sooner than its lease would be over.
func TestLeaderThatStops(t *testing.T) {
	both, running := candidates(t, t.Context())
	ctx, stop := context.WithCancel(t.Context())
	eventstore.SetLeaseTime(both[0].store, time.Hour)
	both[0].stand(t, ctx, running, untilStopped)
	<-both[0].leads
	eventstore.SetLeaseTime(both[1].store, 50*time.Millisecond) // looks often
	rest, cancel := context.WithCancel(t.Context())
	both[1].stand(t, rest, running, untilStopped)
	stop()
	<-both[0].out
	select {
	case <-both[1].leads:
	case <-time.After(time.Minute):
		t.Error("the next one does not lead, a minute after the first one stopped")
	}
	cancel()
	<-both[1].out
}

// A follower's work that ends with an error ends Lead with it; a process that is frozen
// in the middle finds out that it was followed when it wakes up.
func TestLeaderThatFreezes(t *testing.T) {
	both, running := candidates(t, t.Context())
	frozen, wake := make(chan struct{}), make(chan struct{})
	both[0].faults.Once(eventstore.AtRenew, func() error { close(frozen); <-wake; return nil })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	both[0].stand(t, ctx, &atomic.Int32{}, untilStopped) // it cannot stop while it is frozen
	old := <-both[0].leads
	<-frozen
	both[1].stand(t, ctx, running, untilStopped)
	<-both[1].leads
	if err := old.SetCheckpoint(ctx, "relay", 9); !errors.Is(err, eventstore.ErrDeposed) {
		t.Errorf("a leader that was frozen moved the checkpoint: %v", err)
	}
	close(wake)
	if why := <-both[0].ended; !errors.Is(why, eventstore.ErrDeposed) {
		t.Errorf("it was stopped because %v", why)
	}
	cancel()
	<-both[0].out
	<-both[1].out
}

// A process that is too old for the log gives its leadership up and takes it no more;
// it is not ready. Newer ones lead.
func TestLeaderThatIsTooOld(t *testing.T) {
	both, running := candidates(t, t.Context())
	old, newer := both[0], both[1]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	met := make(chan struct{})
	old.stand(t, ctx, running, func(ctx context.Context, l *eventstore.Leadership) error {
		<-met
		_, err := l.After(ctx, 0, 10)
		return err
	})
	<-old.leads
	must(t, old.store.Ready(ctx))
	_, err := newer.store.Append(ctx, fromNewer())
	must(t, err)
	close(met)
	if err := <-old.ended; err != nil {
		t.Errorf("it was stopped from outside: %v", err)
	}
	newer.stand(t, ctx, running, untilStopped)
	<-newer.leads
	if err := old.store.Ready(ctx); !errors.Is(err, eventstore.ErrNewer) {
		t.Errorf("a program that is too old says of its readiness %v", err)
	}
	cancel()
	must(t, <-old.out)
	<-newer.out
}

// fromNewer is an append of a program that is newer than this one.
func fromNewer() eventstore.Append {
	return eventstore.Append{Time: eventstore.Earliest, Actor: "operator", Cause: "c",
		Writes: []eventstore.Write{{Stream: eventstore.AccountStream("u_ada"), Events: []domain.Event{eventstoretest.FromNewer{User: "u_ada"}}}}}
}

// Who does not wait for its turn is told that another leads.
func TestLeadNow(t *testing.T) {
	both, running := candidates(t, t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	both[0].stand(t, ctx, running, untilStopped)
	<-both[0].leads
	never := func(context.Context, *eventstore.Leadership) error { t.Error("it leads"); return nil }
	if err := both[1].store.LeadNow(ctx, "test", never); !errors.Is(err, eventstore.ErrLed) {
		t.Errorf("beside a leader: %v", err)
	}
	cancel()
	<-both[0].out
	if err := both[1].store.LeadNow(t.Context(), "test", func(context.Context, *eventstore.Leadership) error { return errFault }); !errors.Is(err, errFault) {
		t.Errorf("how it ended: %v", err)
	}
	both[1].faults.Always(eventstore.AtRenew, fails)
	if err := both[1].store.LeadNow(t.Context(), "test", untilStopped); !errors.Is(err, eventstore.ErrDeposed) {
		t.Errorf("a lease that cannot be renewed: %v", err)
	}
}

// How a leader's work ends is how Lead ends.
func TestLeaderThatFails(t *testing.T) {
	both, running := candidates(t, t.Context())
	both[0].stand(t, t.Context(), running, func(context.Context, *eventstore.Leadership) error { return errFault })
	<-both[0].leads
	if err := <-both[0].out; !errors.Is(err, errFault) {
		t.Errorf("Lead gave %v", err)
	}
}
