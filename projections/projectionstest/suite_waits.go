package projectionstest

import (
	"context"
	"errors"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// soon waits for a moment that must come.
func soon[T any](t *testing.T, what string, moment <-chan T) T {
	t.Helper()
	select {
	case got := <-moment:
		return got
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

func waits(t *testing.T, log *Log, form Form) {
	s := newStory(t, log)
	s.signUp("u_ada")
	receive(t, log, form)
	for at := range eventstore.Position(4) {
		must(t, form.Wait(t.Context(), at))
	}
	// Who waits for what comes next is woken, and then sees it; who waits for more
	// is not.
	waiting := make(chan error, 5)
	for range cap(waiting) {
		go func() {
			err := form.Wait(t.Context(), 5)
			if b, read := form.Balance(t.Context(), "u_ada"); err == nil && (read != nil || b.Available != 13) {
				err = errors.Join(errors.New("who was woken does not see it"), read)
			}
			waiting <- err
		}()
	}
	further, leave := context.WithCancel(t.Context())
	defer leave()
	longer := make(chan error, 1)
	go func() { longer <- form.Wait(further, 6) }()
	s.deposit("u_ada", 1)
	receive(t, log, form)
	if len(waiting) > 0 || len(longer) > 0 {
		t.Fatal("somebody was woken too early")
	}
	s.deposit("u_ada", 2)
	receive(t, log, form)
	for range cap(waiting) {
		must(t, soon(t, "the position", waiting))
	}
	if len(longer) > 0 {
		t.Fatal("somebody was woken too early")
	}
	leave()
	if err := soon(t, "who left", longer); !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
}

func endings(t *testing.T, log *Log, form Form) {
	s := newStory(t, log)
	s.signUp("u_ada")
	s.deposit("u_ada", 100)
	ids := []domain.PredictionID{"p_complete", "p_fail", "p_expire", "p_open"}
	for _, id := range ids {
		s.ask("u_ada", id, time.Minute)
	}
	receive(t, log, form)

	// Where the time is up first, the prediction is given as it is.
	left, leave := context.WithCancel(t.Context())
	leave()
	for _, id := range ids {
		p, err := form.Ended(left, "u_ada", id)
		if err != nil || p.ID != id || p.State != domain.StateHeld || p.EndPosition != 0 {
			t.Fatalf("%s, with no time to wait: %+v, %v", id, p, err)
		}
	}

	// Many wait; each is woken by the end of its own prediction.
	type woken struct {
		projections.Prediction
		err error
	}
	waiting := map[domain.PredictionID]chan woken{}
	for _, id := range ids {
		waiting[id] = make(chan woken, 3)
		for range cap(waiting[id]) {
			go func() {
				p, err := form.Ended(t.Context(), "u_ada", id)
				waiting[id] <- woken{p, err}
			}()
		}
	}
	for id, end := range map[domain.PredictionID]func(domain.UserID, domain.PredictionID) eventstore.Position{
		"p_complete": s.complete, "p_fail": s.fail, "p_expire": s.expire,
	} {
		if len(waiting[id]) > 0 {
			t.Fatalf("who waits for %s was woken before its end", id)
		}
		at := end("u_ada", id)
		receive(t, log, form)
		for range cap(waiting[id]) {
			w := soon(t, "the end of "+string(id), waiting[id])
			if w.err != nil || w.ID != id || !w.State.Ended() || w.EndPosition != at {
				t.Errorf("the end of %s came as %+v, %v", id, w.Prediction, w.err)
			}
		}
		// Who comes later does not wait, even with no time left.
		if p, err := form.Ended(left, "u_ada", id); err != nil || !p.State.Ended() || p.EndPosition != at {
			t.Errorf("%s afterwards: %+v, %v", id, p, err)
		}
	}
	if len(waiting["p_open"]) > 0 {
		t.Error("who waits for an open prediction was woken")
	}
	s.complete("u_ada", "p_open")
	receive(t, log, form)
	for range cap(waiting["p_open"]) {
		soon(t, "the last end", waiting["p_open"])
	}
	compare(t, log, form)
}
