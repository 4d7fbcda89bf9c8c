package projections_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/projections"
)

// asks adds a person with open questions to the ledger, and gives the account.
func (h env) asks(t testing.TB, u domain.UserID, questions int) (*domain.Account, eventstore.Version) {
	t.Helper()
	a, version := &domain.Account{}, eventstore.Version(0)
	h.decide(t, a, &version, func() ([]domain.Event, error) { return a.SignUp(u, domain.Sealed("x"), 0) })
	h.decide(t, a, &version, func() ([]domain.Event, error) { return a.Deposit(1000, "till", "pay") })
	for n := range questions {
		h.decide(t, a, &version, func() ([]domain.Event, error) {
			return a.RequestPrediction(domain.Question{Prediction: domain.PredictionID(fmt.Sprintf("p_%s_%d", u, n)),
				Text: domain.Sealed("a whale"), Price: 5, Limit: 3, ExpiresAt: eventstore.Earliest.AddDate(10, 0, 0)})
		})
	}
	return a, version
}

// decidedAt is when all of that happens.
var decidedAt = eventstore.Earliest.AddDate(6, 0, 0)

// decide appends what is decided about an account, and gives its position.
func (h env) decide(t testing.TB, a *domain.Account, version *eventstore.Version, decision func() ([]domain.Event, error)) eventstore.Position {
	t.Helper()
	events, err := decision()
	fatal(t, err)
	for _, e := range events {
		fatal(t, a.Apply(e, decidedAt))
	}
	stream := eventstore.AccountStream(a.User)
	receipt, err := h.store.Append(t.Context(), eventstore.Append{Time: decidedAt, Actor: "system:test",
		Writes: []eventstore.Write{{Stream: stream, Expected: *version, Events: events}}})
	fatal(t, err)
	*version += eventstore.Version(len(events))
	return receipt.Position()
}

// A process listens for news of the views from its first wait on: before, it would be woken
// for nothing by each of them.
func TestListeningBeginsWithAWait(t *testing.T) {
	h := newEnv(t)
	other := openViews(t, h.pool, h.store)
	_, _ = h.asks(t, "u_ada", 1)
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	fatal(t, other.Wait(t.Context(), h.head(t)))
	eventstoretest.Eventually(t, "the one that waited listens", other.Listening)
	if _, _, err := h.views.Balance(t.Context(), "u_ada", 0); err != nil || h.views.Listening() {
		t.Errorf("the one that writes the views, and reads what is there, listens too; %v", err)
	}
}

// A connection for notifications that breaks is reported, and so is the next one that works.
func TestListeningIsReported(t *testing.T) {
	h := newEnv(t)
	left, leave := context.WithCancel(t.Context())
	leave()
	if err := h.views.Wait(left, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that is over gives %v", err)
	}
	reported := make(chan error, 64)
	h.views.ReportTo(func(_ string, err error) { reported <- err })
	for broken := false; !broken; {
		h.asOwner(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND query = 'LISTEN kassa_views' AND pid <> pg_backend_pid()`)
		select {
		case err := <-reported: // nil where it came to listen just now
			broken = err != nil
		case <-time.After(50 * time.Millisecond): // it did not listen yet
		}
	}
	for err := range reported {
		if err == nil {
			return
		}
	}
}

// A change of the views by one process wakes those who wait in another: by notifications
// alone, and where these are lost by polling alone.
func TestNewsReachOtherProcesses(t *testing.T) {
	for name, open := range map[string]func(context.Context, *pgxpool.Pool, projections.LiveEvents) *projections.Postgres{
		"by notification": projections.OnlyListening, "by polling": projections.OnlyPolling,
	} {
		t.Run(name, func(t *testing.T) {
			h := newEnv(t)
			runner := h.runner(t, h.views, endless)
			ada, version := h.asks(t, "u_ada", 3)
			fatal(t, runner.CatchUp(t.Context()))
			other := open(t.Context(), h.pool, h.store)
			t.Cleanup(other.Close)
			if name == "by notification" {
				eventstoretest.Eventually(t, "a connection that listens", other.Listening)
			}
			for _, hold := range ada.Clone().Holds {
				woken := make(chan error, 1)
				before := h.head(t)
				go func() { woken <- other.Wait(t.Context(), before+1) }()
				eventstoretest.Eventually(t, "one who waits", func() bool { return other.Waiting() == 1 })
				h.decide(t, ada, &version, func() ([]domain.Event, error) { return ada.Fail(hold.Prediction, domain.FailedWorker) })
				fatal(t, runner.CatchUp(t.Context()))
				fatal(t, <-woken)
				if n := other.Waiting(); n != 0 {
					t.Errorf("%d waiters are left", n)
				}
			}
		})
	}
}

// A connection that listens and is cut is opened again, and what was sent meanwhile is not
// missed.
func TestListeningAgain(t *testing.T) {
	h := newEnv(t)
	runner := h.runner(t, h.views, endless)
	_, _ = h.asks(t, "u_ada", 0)
	fatal(t, runner.CatchUp(t.Context()))
	other := projections.OnlyListening(t.Context(), h.pool, h.store)
	t.Cleanup(other.Close)
	eventstoretest.Eventually(t, "a connection that listens", other.Listening)
	woken := make(chan error, 1)
	next := h.head(t) + 1
	go func() { woken <- other.Wait(t.Context(), next) }()
	eventstoretest.Eventually(t, "one who waits", func() bool { return other.Waiting() == 1 })
	var breaks atomic.Int32 // what is opened again at once is not seen to be closed
	other.ReportTo(func(_ string, err error) {
		if err != nil {
			breaks.Add(1)
		}
	})
	owner, err := pgx.ConnectConfig(t.Context(), h.pool.Config().ConnConfig) // the service's role may not cut
	fatal(t, err)
	defer owner.Close(t.Context())
	cut, err := owner.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND query LIKE 'LISTEN%'`)
	fatal(t, err)
	if cut.RowsAffected() == 0 {
		t.Fatal("nobody listens")
	}
	eventstoretest.Eventually(t, "a connection that is cut", func() bool { return breaks.Load() > 0 })
	_, _ = h.asks(t, "u_bob", 0)
	fatal(t, runner.CatchUp(t.Context()))
	fatal(t, <-woken)
	eventstoretest.Eventually(t, "a new connection that listens", other.Listening)
}

// A waiter that leaves leaves nothing behind.
func TestLeavingAWait(t *testing.T) {
	h := newEnv(t)
	ada, _ := h.asks(t, "u_ada", 1)
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 2)
	go func() { gone <- h.views.Wait(ctx, 1<<60) }()
	go func() {
		p, at, err := h.views.Prediction(t.Context(), "u_ada", ada.Holds[0].Prediction, 0)
		if err == nil {
			p, _, err = h.views.Ended(ctx, p, at)
		}
		if err == nil && p.State == domain.StateHeld {
			err = context.Canceled // as it is
		}
		gone <- err
	}()
	eventstoretest.Eventually(t, "two who wait", func() bool { return h.views.Waiting() == 2 })
	leave()
	for range 2 {
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("who left got %v", err)
		}
	}
	if n := h.views.Waiting(); n != 0 {
		t.Errorf("%d waiters are left", n)
	}
}
