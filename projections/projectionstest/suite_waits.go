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
	catchUp(t, log, form)
	for at := range eventstore.Position(4) {
		must(t, form.Wait(t.Context(), at))
	}
	// Who waits for what comes next is woken, and then sees it; who waits for more
	// is not.
	waiting := make(chan error, 5)
	for range cap(waiting) {
		go func() {
			err := form.Wait(t.Context(), 5)
			if b, _, read := form.Balance(t.Context(), "u_ada", 0); err == nil && (read != nil || b.Available != 13) {
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
	catchUp(t, log, form)
	if len(waiting) > 0 || len(longer) > 0 {
		t.Fatal("somebody was woken too early")
	}
	s.deposit("u_ada", 2)
	catchUp(t, log, form)
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
	catchUp(t, log, form)

	// Where the time is up first, the prediction is given as it is.
	left, leave := context.WithCancel(t.Context())
	leave()
	for _, id := range ids {
		p, _, err := ended(left, form, id)
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
				p, _, err := ended(t.Context(), form, id)
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
		catchUp(t, log, form)
		for range cap(waiting[id]) {
			w := soon(t, "the end of "+string(id), waiting[id])
			if w.err != nil || w.ID != id || !w.State.Ended() || w.EndPosition != at {
				t.Errorf("the end of %s came as %+v, %v", id, w.Prediction, w.err)
			}
		}
		// Who comes later does not wait, even with no time left.
		if p, _, err := ended(left, form, id); err != nil || !p.State.Ended() || p.EndPosition != at {
			t.Errorf("%s afterwards: %+v, %v", id, p, err)
		}
	}
	if len(waiting["p_open"]) > 0 {
		t.Error("who waits for an open prediction was woken")
	}
	s.complete("u_ada", "p_open")
	catchUp(t, log, form)
	for range cap(waiting["p_open"]) {
		soon(t, "the last end", waiting["p_open"])
	}
	compare(t, log, form)
}

// ended waits for the end of one of ada's predictions, from where the views are now.
func ended(ctx context.Context, form Form, id domain.PredictionID) (projections.Prediction, eventstore.Position, error) {
	p, at, err := form.Prediction(context.WithoutCancel(ctx), "u_ada", id, 0)
	if err != nil {
		return p, at, err
	}
	return form.Ended(ctx, p, at)
}

// positions asks every read for the next position before it is there: each waits, and
// then shows what is there, with the position; one whose time is up answers so.
func positions(t *testing.T, log *Log, form Form) {
	s := newStory(t, log)
	s.signUp("u_ada")
	s.ask("u_ada", "p_1", time.Minute)
	catchUp(t, log, form)
	before, next := eventstore.Position(4), eventstore.Position(6)
	reads := map[string]func(context.Context, eventstore.Position) (any, eventstore.Position, error){
		"balance": func(ctx context.Context, least eventstore.Position) (any, eventstore.Position, error) {
			return anyOf(form.Balance(ctx, "u_ada", least))
		},
		"user": func(ctx context.Context, least eventstore.Position) (any, eventstore.Position, error) {
			return anyOf(form.User(ctx, "u_ada", least))
		},
		"nobody": func(ctx context.Context, least eventstore.Position) (any, eventstore.Position, error) {
			return anyOf(form.Balance(ctx, "u_x", least))
		},
		"nobody's lines": func(ctx context.Context, least eventstore.Position) (any, eventstore.Position, error) {
			return anyOf(form.Transactions(ctx, "u_x", projections.TransactionQuery{}, least))
		},
		"users": func(ctx context.Context, least eventstore.Position) (any, eventstore.Position, error) {
			return anyOf(form.Users(ctx, projections.PageQuery{}, least))
		},
		"transactions": func(ctx context.Context, least eventstore.Position) (any, eventstore.Position, error) {
			return anyOf(form.Transactions(ctx, "u_ada", projections.TransactionQuery{}, least))
		},
		"predictions": func(ctx context.Context, least eventstore.Position) (any, eventstore.Position, error) {
			return anyOf(form.Predictions(ctx, "u_ada", projections.PredictionQuery{}, least))
		},
		"prediction": func(ctx context.Context, least eventstore.Position) (any, eventstore.Position, error) {
			return anyOf(form.Prediction(ctx, "u_ada", "p_1", least))
		},
		"prediction of nobody": func(ctx context.Context, least eventstore.Position) (any, eventstore.Position, error) {
			return anyOf(form.Prediction(ctx, "u_ada", "p_x", least))
		},
		"trial balance": func(ctx context.Context, least eventstore.Position) (any, eventstore.Position, error) {
			trial, err := form.Trial(ctx, least)
			return trial, trial.Position, err
		},
		"actions": func(ctx context.Context, least eventstore.Position) (any, eventstore.Position, error) {
			return anyOf(form.Actions(ctx, projections.ActionQuery{}, least))
		},
		"days": func(ctx context.Context, least eventstore.Position) (any, eventstore.Position, error) {
			return anyOf(form.Days(ctx, projections.DateOf(noon), 2, least))
		},
	}
	type read struct {
		at  eventstore.Position
		err error
	}
	left, leave := context.WithCancel(t.Context())
	leave()
	waiting := map[string]chan read{}
	for what, ask := range reads {
		for _, least := range []eventstore.Position{0, before} {
			if _, at, err := ask(t.Context(), least); at != before || err != nil && !errors.Is(err, projections.ErrNotFound) {
				t.Errorf("%s, at least at %d: at %d, %v; the views are at %d", what, least, at, err, before)
			}
		}
		if _, _, err := ask(left, next); !errors.Is(err, projections.ErrBehind) || !errors.Is(err, context.Canceled) {
			t.Errorf("%s, with no time to wait: %v", what, err)
		}
		waiting[what] = make(chan read, 1)
		go func() {
			_, at, err := ask(t.Context(), next)
			waiting[what] <- read{at, err}
		}()
	}
	s.deposit("u_ada", 3)
	catchUp(t, log, form)
	s.complete("u_ada", "p_1")
	catchUp(t, log, form)
	for what := range reads {
		got := soon(t, what, waiting[what])
		if got.at != next || got.err != nil && !errors.Is(got.err, projections.ErrNotFound) {
			t.Errorf("%s, at least at %d: at %d, %v", what, next, got.at, got.err)
		}
	}
}

func anyOf[T any](got T, at eventstore.Position, err error) (any, eventstore.Position, error) {
	return got, at, err
}
