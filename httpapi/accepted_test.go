package httpapi

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/projections"
)

// An accepted question whose answer cannot be read is 202 with its address, and no
// fault: its price is held, and a client that asks again without a key pays twice.
func TestAcceptedAlthoughTheAnswerCannotBeRead(t *testing.T) {
	for _, tt := range []struct {
		name  string
		views brokenViews
		blind bool // the vault has lost its database
	}{
		{"the views are behind", brokenViews{wait: context.DeadlineExceeded}, false},
		{"the views cannot be waited for", brokenViews{wait: errors.New("the disk is on fire")}, false},
		{"the prediction cannot be read", brokenViews{ended: errors.New("the disk is on fire")}, false},
		{"the prediction is not there", brokenViews{ended: projections.ErrNotFound}, false},
		{"its text cannot be opened", brokenViews{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, identity.Limits{Off: true})
			ada := w.join("ada")
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
			if n := w.asked(ada); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// asked counts the person's questions in the log.
func (w *world) asked(u domain.UserID) (n int) {
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

// brokenViews fail as the test says.
type brokenViews struct {
	*projections.Memory
	wait, ended error
}

func (v brokenViews) Wait(ctx context.Context, at eventstore.Position) error {
	if errors.Is(v.wait, context.DeadlineExceeded) {
		<-ctx.Done()
	}
	if v.wait != nil {
		return v.wait
	}
	return v.Memory.Wait(ctx, at)
}

func (v brokenViews) Ended(ctx context.Context, u domain.UserID, id domain.PredictionID, least eventstore.Position) (projections.Prediction, eventstore.Position, error) {
	if v.ended != nil {
		return projections.Prediction{}, 0, v.ended
	}
	return v.Memory.Ended(ctx, u, id, least)
}

type blindVault struct{ Vault }

func (blindVault) OpenText(context.Context, domain.UserID, domain.PredictionID, domain.Sealed) (string, error) {
	return "", errors.New("the disk is on fire")
}
