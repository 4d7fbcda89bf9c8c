package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/projections"
)

// If the answer to an accepted question cannot be read, the response is 202 with the
// prediction's address, not an error: the price is held, and a client that sends the
// question again without a key pays twice.
func TestAcceptedAlthoughTheAnswerCannotBeRead(t *testing.T) {
	for _, tt := range []struct {
		name  string
		views brokenViews
		blind bool // the vault cannot read its database
	}{
		{"its end cannot be waited for", brokenViews{ended: errors.New("the disk is on fire")}, false},
		{"the prediction is not there", brokenViews{ended: projections.ErrNotFound}, false},
		{"its text cannot be opened", brokenViews{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newFixture(t, identity.Limits{Off: true})
			ada := w.addUser("ada")
			s := w.newServer(w.vault, identity.Limits{Off: true})
			tt.views.Memory = w.views
			s.Views = tt.views
			if tt.blind {
				s.Vault = blindVault{s.Vault}
			}
			for _, replayed := range []string{"", "true"} {
				got := w.send(s.Handler(), "POST", "/api/events/prediction/new", "ada", `{"text":"a dream"}`, "Idempotency-Key", "k")
				want(t, got, http.StatusAccepted, "")
				var p predictionJSON
				decodeJSON(t, got.Body.Bytes(), &p)
				if got.Header().Get("Location") != "/api/events/prediction/"+string(p.ID) || got.Header().Get("Idempotent-Replayed") != replayed ||
					p.ID == "" || p.Status != "pending" || p.Text != "a dream" || p.Cost != 5 || p.Position == 0 || p.LeafHash == "" {
					t.Errorf("answers %v %+v", got.Header(), p)
				}
			}
			if n := w.countRequested(ada); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// An answer does not need the views: it is read from the log. The user's next reads show
// it.
func TestAnsweredAlthoughTheViewsAreBehind(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	s := w.newServer(w.vault, identity.Limits{Off: true})
	s.Views = brokenViews{Memory: w.views, wait: context.DeadlineExceeded}
	got := w.send(s.Handler(), "POST", "/api/events/prediction/new", "ada", `{"text":"a dream"}`)
	want(t, got, http.StatusOK, "")
	var p predictionJSON
	decodeJSON(t, got.Body.Bytes(), &p)
	if p.Status != "completed" || p.EndPosition <= p.Position {
		t.Errorf("answers with %+v", p)
	}
	if last := s.Identity.LastWrite(httptest.NewRequest("GET", "/", nil), ada); last != p.EndPosition {
		t.Errorf("the next read is at position %d, and the answer at %d", last, p.EndPosition)
	}
	want(t, w.send(s.Handler(), "GET", "/api/users/balance", "ada", ""), http.StatusServiceUnavailable, problem.PositionNotReached)
}

// countRequested counts the user's predictions in the log.
func (w *fixture) countRequested(u domain.UserID) (n int) {
	w.t.Helper()
	err := w.store.Scan(context.Background(), 0, func(batch []eventstore.Recorded) error {
		for _, rec := range batch {
			if e, ok := rec.Event.(domain.PredictionRequested); ok && e.User == u {
				n++
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// brokenViews return the errors that the test sets.
type brokenViews struct {
	*projections.Memory
	wait, ended error
}

func (v brokenViews) Wait(ctx context.Context, at eventstore.Position) error {
	if v.wait != nil && at > 0 {
		<-ctx.Done()
		return v.wait
	}
	return v.Memory.Wait(ctx, at)
}

func (v brokenViews) Ended(ctx context.Context, p projections.Prediction, held eventstore.Position) (projections.Prediction, eventstore.Position, error) {
	if v.ended != nil {
		return projections.Prediction{}, 0, v.ended
	}
	return v.Memory.Ended(ctx, p, held)
}

type blindVault struct{ Vault }

func (blindVault) OpenText(context.Context, domain.UserID, domain.PredictionID, domain.Sealed) (string, error) {
	return "", errors.New("the disk is on fire")
}
