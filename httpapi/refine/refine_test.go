package refine_test

import (
	"context"
	"testing"
	"time"

	"kassa/catalog"
	"kassa/commands"
	"kassa/domain"
	"kassa/httpapi/refine"
	"kassa/internal/app"
	"kassa/internal/app/apptest"
	"kassa/projections"
)

// films is a catalogue in which every film is of one year.
type films int

func (year films) Movie(id string) (catalog.Movie, bool) {
	return catalog.Movie{ID: id, Year: int(year)}, true
}

// A refinement that compares with a film is the same request after the catalogue corrected the
// film's year: it gets the first receipt again, and another request with its key does not.
func TestARepeatAfterTheCatalogueChanged(t *testing.T) {
	env := apptest.New(t, apptest.Options{Folder: t.TempDir(), Now: time.Now,
		Terms: app.Terms{Price: 5, Bonus: 10, HoldExpiry: time.Minute, Refining: domain.RefinePolicy{Refinements: 3, Within: 3600}}})
	ctx, h := context.Background(), env.Commands
	up, err := h.SignUp(ctx, commands.SignUp{Email: "ada@example.org", Password: "a long walk home"})
	must(t, err)
	asked, err := h.Predict(ctx, commands.Predict{User: up.User, Text: "a shark"})
	must(t, err)
	_, err = h.Complete(ctx, commands.Ending{User: up.User, Prediction: asked.Prediction, By: "matcher", Cause: asked.Request.Position},
		domain.Answer{Movies: []domain.Match{{MovieID: "jaws-1975", Score: 0.5}}, Model: "m-1", Catalogue: "c-1", ProcessingTime: 0.01})
	must(t, err)
	answer := projections.Prediction{ID: asked.Prediction, User: up.User, Text: asked.Request.Event.(domain.PredictionRequested).Text,
		Movies: []domain.Match{{MovieID: "jaws-1975", Score: 0.5}}}
	refineIn := func(year films, said string) (commands.Requested, error) {
		f, err := refine.Of(ctx, env.Vault, year, answer, said, []string{"jaws-1975"})
		must(t, err)
		f.Key = "more"
		return h.Refine(ctx, f)
	}
	first, err := refineIn(1975, "older")
	must(t, err)
	again, err := refineIn(1976, "older")
	must(t, err)
	if again.Position != first.Position || again.Leaf != first.Leaf || again.Prediction != first.Prediction || !again.Replayed {
		t.Errorf("after the catalogue changed it gave %+v, want %+v", again.Result, first.Result)
	}
	_, err = refineIn(1975, "newer")
	if r := domain.RefusalIn(err); r == nil || r.Code != domain.KeyReused {
		t.Errorf("another request with the key gave %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
