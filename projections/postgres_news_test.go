package projections_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
func (h house) asks(t testing.TB, u domain.UserID, questions int) (*domain.Account, eventstore.Version) {
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

// decide appends what is decided about an account, and gives its position.
func (h house) decide(t testing.TB, a *domain.Account, version *eventstore.Version, decision func() ([]domain.Event, error)) eventstore.Position {
	t.Helper()
	events, err := decision()
	fatal(t, err)
	for _, e := range events {
		fatal(t, a.Apply(e))
	}
	stream := eventstore.AccountStream(a.User)
	receipt, err := h.store.Append(t.Context(), eventstore.Append{Time: eventstore.Earliest.AddDate(6, 0, 0), Actor: "system:test",
		Writes: []eventstore.Write{{Stream: stream, Expected: *version, Events: events}}})
	fatal(t, err)
	*version += eventstore.Version(len(events))
	return receipt.Position()
}

// A connection for news that breaks is reported, and so is the next one that works.
func TestListeningIsReported(t *testing.T) {
	h := newHouse(t)
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

// What one process does to the views wakes those who wait in another: by news
// alone, and where these are lost by looking alone.
func TestNewsReachOtherProcesses(t *testing.T) {
	for name, open := range map[string]func(context.Context, *pgxpool.Pool) *projections.Postgres{
		"by news": projections.OnlyListening, "by looking": projections.OnlyLooking,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			runner := h.runner(t, h.views, endless)
			ada, version := h.asks(t, "u_ada", 3)
			fatal(t, runner.CatchUp(t.Context()))
			other := open(t.Context(), h.pool)
			t.Cleanup(other.Close)
			if name == "by news" {
				eventstoretest.Eventually(t, "a connection that listens", other.Hears)
			}
			for _, hold := range ada.Clone().Holds {
				woken := make(chan error, 2)
				before := h.head(t)
				go func() { woken <- other.Wait(t.Context(), before+1) }()
				go func() {
					p, _, err := other.Ended(t.Context(), "u_ada", hold.Prediction, 0)
					if err == nil && (p.State != domain.StateReleased || p.EndPosition != before+1) {
						err = fmt.Errorf("woken with %+v", p)
					}
					woken <- err
				}()
				eventstoretest.Eventually(t, "two who wait", func() bool { return other.Waiting() == 2 })
				h.decide(t, ada, &version, func() ([]domain.Event, error) { return ada.Fail(hold.Prediction, domain.FailedWorker) })
				fatal(t, runner.CatchUp(t.Context()))
				fatal(t, <-woken)
				fatal(t, <-woken)
				if n := other.Waiting(); n != 0 {
					t.Errorf("%d bells are left", n)
				}
			}
		})
	}
}

// A connection that listens and is cut is made anew, and what was told meanwhile
// is not missed.
func TestListeningAgain(t *testing.T) {
	h := newHouse(t)
	runner := h.runner(t, h.views, endless)
	_, _ = h.asks(t, "u_ada", 0)
	fatal(t, runner.CatchUp(t.Context()))
	other := projections.OnlyListening(t.Context(), h.pool)
	t.Cleanup(other.Close)
	eventstoretest.Eventually(t, "a connection that listens", other.Hears)
	woken := make(chan error, 1)
	next := h.head(t) + 1
	go func() { woken <- other.Wait(t.Context(), next) }()
	eventstoretest.Eventually(t, "one who waits", func() bool { return other.Waiting() == 1 })
	owner, err := pgx.ConnectConfig(t.Context(), h.pool.Config().ConnConfig) // the service's role may not cut
	fatal(t, err)
	defer owner.Close(t.Context())
	cut, err := owner.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND query LIKE 'LISTEN%'`)
	fatal(t, err)
	if cut.RowsAffected() == 0 {
		t.Fatal("nobody listens")
	}
	eventstoretest.Eventually(t, "a connection that is cut", func() bool { return !other.Hears() })
	_, _ = h.asks(t, "u_bob", 0)
	fatal(t, runner.CatchUp(t.Context()))
	fatal(t, <-woken)
	eventstoretest.Eventually(t, "a new connection that listens", other.Hears)
}

// Who waits for an end asks the database when the wait begins and when it ends, and
// not at each batch between.
func TestWaitingAsksTwice(t *testing.T) {
	h := newHouse(t)
	runner := h.runner(t, h.views, endless)
	ada, version := h.asks(t, "u_ada", 1)
	fatal(t, runner.CatchUp(t.Context()))
	reads := &watch{part: "FROM kassa_views.predictions_v1 WHERE id = $1"}
	other := projections.OnlyListening(t.Context(), h.watched(t, reads))
	t.Cleanup(other.Close)
	eventstoretest.Eventually(t, "a connection that listens", other.Hears)
	woken := make(chan error, 1)
	go func() {
		_, _, err := other.Ended(t.Context(), "u_ada", ada.Holds[0].Prediction, 0)
		woken <- err
	}()
	eventstoretest.Eventually(t, "one who waits", func() bool { return other.Waiting() == 1 && reads.seen.Load() == 1 })
	for range 20 {
		at := h.decide(t, ada, &version, func() ([]domain.Event, error) { return ada.Deposit(1, "till", "pay") })
		fatal(t, runner.CatchUp(t.Context()))
		fatal(t, other.Wait(t.Context(), at))
	}
	h.decide(t, ada, &version, func() ([]domain.Event, error) { return ada.Fail(ada.Holds[0].Prediction, domain.FailedWorker) })
	fatal(t, runner.CatchUp(t.Context()))
	fatal(t, <-woken)
	if n := reads.seen.Load(); n != 2 {
		t.Errorf("the prediction was read %d times", n)
	}
}

// Who leaves takes nothing with him, and leaves nothing behind.
func TestLeavingAWait(t *testing.T) {
	h := newHouse(t)
	ada, _ := h.asks(t, "u_ada", 1)
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 2)
	go func() { gone <- h.views.Wait(ctx, 1<<60) }()
	go func() {
		p, _, err := h.views.Ended(ctx, "u_ada", ada.Holds[0].Prediction, 0)
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
		t.Errorf("%d bells are left", n)
	}
}

// News that are longer than PostgreSQL carries go in pieces, each with the
// position.
func TestNewsInPieces(t *testing.T) {
	for _, n := range []int{0, 1, 299, 300, 301, 5000} {
		ids := make([]domain.PredictionID, n)
		for i := range ids {
			ids[i] = domain.PredictionID(fmt.Sprintf("p_%023d", i))
		}
		var got []domain.PredictionID
		for _, piece := range projections.WriteNews(4711, ids) {
			words := strings.Split(piece, " ")
			if len(piece) > projections.NewsMost || words[0] != "4711" {
				t.Fatalf("a piece of %d bytes begins with %q", len(piece), words[0])
			}
			for _, id := range words[1:] {
				got = append(got, domain.PredictionID(id))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(ids) {
			t.Errorf("%d names came as %d", n, len(got))
		}
	}
}

// PostgreSQL does carry the longest pieces: a batch that ends hundreds wakes each.
func TestHundredsEndAtOnce(t *testing.T) {
	h := newHouse(t)
	runner := h.runner(t, h.views, endless)
	type one struct {
		account *domain.Account
		version eventstore.Version
	}
	var people []one
	for n := range 40 {
		a, version := h.asks(t, domain.UserID(fmt.Sprintf("u_%0100d", n)), 10)
		people = append(people, one{a, version})
	}
	fatal(t, runner.CatchUp(t.Context()))
	other := projections.OnlyListening(t.Context(), h.pool)
	t.Cleanup(other.Close)
	eventstoretest.Eventually(t, "a connection that listens", other.Hears)
	woken := make(chan error, 400)
	for _, p := range people {
		for _, hold := range p.account.Clone().Holds {
			go func() {
				_, _, err := other.Ended(t.Context(), p.account.User, hold.Prediction, 0)
				woken <- err
			}()
			h.decide(t, p.account, &p.version, func() ([]domain.Event, error) { return p.account.Fail(hold.Prediction, domain.FailedWorker) })
		}
	}
	eventstoretest.Eventually(t, "all who wait", func() bool { return other.Waiting() == cap(woken) })
	fatal(t, runner.CatchUp(t.Context()))
	for range cap(woken) {
		fatal(t, <-woken)
	}
}
