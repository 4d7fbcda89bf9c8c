package projections_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/projections"
)

// held gives a question as the views have it, and up to where they do.
func (h env) held(t testing.TB, u domain.UserID, id domain.PredictionID) (projections.Prediction, eventstore.Position) {
	t.Helper()
	p, at, err := h.views.Prediction(t.Context(), u, id, 0)
	fatal(t, err)
	return p, at
}

// A wait ends with the ending in the log, although no runner takes it into the views, and
// reads nothing of them. A read with that position then waits for the views.
func TestAWaitEndsBeforeTheViewsKnow(t *testing.T) {
	h := newEnv(t)
	ada, version := h.asks(t, "u_ada", 3)
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	reads := &watch{part: "predictions_v4"}
	other := projections.OnlyPolling(t.Context(), h.watched(t, reads), h.store)
	t.Cleanup(other.Close)
	for _, hold := range ada.Clone().Holds {
		p, at := h.held(t, "u_ada", hold.Prediction)
		woken := make(chan error, 1)
		go func() {
			ended, end, err := other.Ended(t.Context(), p, at)
			if err == nil && (ended.State != domain.StateReleased || ended.EndPosition != end || end <= at || string(ended.Text) != "a whale") {
				err = fmt.Errorf("woken at %d with %+v", end, ended)
			}
			woken <- err
		}()
		eventstoretest.Eventually(t, "one who waits", func() bool { return other.Waiting() == 1 })
		h.decide(t, ada, &version, func() ([]domain.Event, error) { return ada.Deposit(1, "till", "pay") })
		h.decide(t, ada, &version, func() ([]domain.Event, error) { return ada.Fail(hold.Prediction, domain.FailedWorker) })
		fatal(t, <-woken)
	}
	if n := reads.seen.Load(); n != 0 {
		t.Errorf("the view was read %d times", n)
	}
	left, leave := context.WithCancel(t.Context())
	leave()
	if _, _, err := other.Prediction(left, "u_ada", "p_u_ada_0", h.head(t)); !errors.Is(err, projections.ErrBehind) {
		t.Errorf("a read of what the views do not hold gives %v", err)
	}
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	h.same(t, h.views, h.head(t))
}

// Who comes with a position from before the log was read for others, or after its ending
// has passed, misses no ending: the views are asked at least at where that reading began.
func TestAWaitForWhatWasPassedOver(t *testing.T) {
	h := newEnv(t)
	runner := h.runner(t, h.views, endless)
	ada, version := h.asks(t, "u_ada", 3)
	fatal(t, runner.CatchUp(t.Context()))
	early, held := h.held(t, "u_ada", ada.Holds[0].Prediction)
	h.decide(t, ada, &version, func() ([]domain.Event, error) { return ada.Fail(early.ID, domain.FailedWorker) })
	fatal(t, runner.CatchUp(t.Context()))
	open, from := h.held(t, "u_ada", ada.Holds[0].Prediction)
	ended := make(chan error, 1)
	go func() {
		_, _, err := h.views.Ended(t.Context(), open, from)
		ended <- err
	}()
	eventstoretest.Eventually(t, "one who waits", func() bool { return h.views.Waiting() == 1 })
	if p, at, err := h.views.Ended(t.Context(), early, held); err != nil || p.State != domain.StateReleased || at < from {
		t.Errorf("one that ended before the log was read: %+v at %d, %v", p, at, err)
	}
	late, held := h.held(t, "u_ada", ada.Holds[1].Prediction)
	at := h.decide(t, ada, &version, func() ([]domain.Event, error) { return ada.Fail(late.ID, domain.FailedWorker) })
	if p, end, err := h.views.Ended(t.Context(), late, held); err != nil || p.EndPosition != at || end != at {
		t.Errorf("one that ended meanwhile: %+v at %d, %v", p, end, err)
	}
	h.decide(t, ada, &version, func() ([]domain.Event, error) { return ada.Fail(open.ID, domain.FailedWorker) })
	fatal(t, <-ended)
	fatal(t, runner.CatchUp(t.Context()))
	h.same(t, h.views, h.head(t))
}

// deafLog cannot be read while it is deaf.
type deafLog struct {
	*eventstore.Store
	deaf atomic.Bool
}

func (l *deafLog) Recent(ctx context.Context, at eventstore.Position, limit int) ([]eventstore.Recorded, error) {
	if l.deaf.Load() {
		return nil, eventstore.ErrNewer
	}
	return l.Store.Recent(ctx, at, limit)
}

// Where the log cannot be read, as by a program that is too old for it, those who wait ask
// the views.
func TestAWaitWhereTheLogCannotBeRead(t *testing.T) {
	h := newEnv(t)
	runner := h.runner(t, h.views, endless)
	ada, version := h.asks(t, "u_ada", 2)
	fatal(t, runner.CatchUp(t.Context()))
	log := &deafLog{Store: h.store}
	log.deaf.Store(true)
	other := projections.OnlyPolling(t.Context(), h.pool, log)
	t.Cleanup(other.Close)
	for _, hold := range ada.Clone().Holds {
		p, at := h.held(t, "u_ada", hold.Prediction)
		woken := make(chan error, 1)
		go func() {
			ended, _, err := other.Ended(t.Context(), p, at)
			if err == nil && !ended.State.Ended() {
				err = fmt.Errorf("woken with %+v", ended)
			}
			woken <- err
		}()
		h.decide(t, ada, &version, func() ([]domain.Event, error) { return ada.Fail(hold.Prediction, domain.FailedWorker) })
		fatal(t, runner.CatchUp(t.Context()))
		fatal(t, <-woken)
		log.deaf.Store(false) // and the next wait reads the log again
	}
	h.same(t, h.views, h.head(t))
}

// Hundreds who wait are each woken by their own ending, in one batch of the log.
func TestHundredsEndAtOnce(t *testing.T) {
	h := newEnv(t)
	type one struct {
		account *domain.Account
		version eventstore.Version
	}
	var people []one
	for n := range 40 {
		a, version := h.asks(t, domain.UserID(fmt.Sprintf("u_%0100d", n)), 10)
		people = append(people, one{a, version})
	}
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	woken := make(chan error, 400)
	for _, p := range people {
		for _, hold := range p.account.Holds {
			open, at := h.held(t, p.account.User, hold.Prediction)
			go func() {
				ended, _, err := h.views.Ended(t.Context(), open, at)
				if err == nil && (ended.ID != open.ID || !ended.State.Ended()) {
					err = fmt.Errorf("%s was woken with %+v", open.ID, ended)
				}
				woken <- err
			}()
		}
	}
	eventstoretest.Eventually(t, "all who wait", func() bool { return h.views.Waiting() == cap(woken) })
	for _, p := range people {
		for _, hold := range p.account.Clone().Holds {
			h.decide(t, p.account, &p.version, func() ([]domain.Event, error) { return p.account.Fail(hold.Prediction, domain.FailedWorker) })
		}
	}
	for range cap(woken) {
		fatal(t, <-woken)
	}
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	h.same(t, h.views, h.head(t))
}
