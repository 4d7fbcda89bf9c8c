package commands_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
)

// eventOpener is the vault's other side, which commands do not use.
type eventOpener interface {
	OpenEmail(ctx context.Context, u domain.UserID, sealed domain.Sealed) (string, error)
	OpenText(ctx context.Context, u domain.UserID, p domain.PredictionID, sealed domain.Sealed) (string, error)
}

func (w *fixture) opener() eventOpener { return w.Vault.(eventOpener) }

func (w *fixture) ask(u domain.UserID, key string) (commands.Requested, error) {
	return w.Predict(context.Background(), commands.Predict{User: u, Text: "ein Film mit einem Wal", Key: key})
}

func endingOf(u domain.UserID, a commands.Requested) commands.Ending {
	return commands.Ending{User: u, Prediction: a.Prediction, By: "test", Cause: a.Position}
}

var answer = domain.Answer{Movies: []domain.Match{{MovieID: "jaws-1975", Score: 0.5}}, Model: "m-1", Catalogue: "c-1", ProcessingTime: 0.01}

func TestPredict(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	asked, err := w.ask(ada, "")
	must(t, err)
	if asked.Available != 5 || asked.Held != 5 || asked.Price != 5 || !asked.ExpiresAt.Equal(noon.Add(2*time.Minute)) {
		t.Errorf("asked %+v", asked)
	}
	rec := w.env.Log()[asked.Position-1]
	e := rec.Event.(domain.PredictionRequested)
	if e.Prediction != asked.Prediction || e.Limit != commands.DefaultLimit || rec.Actor != "user:"+string(ada) || rec.Stream != eventstore.AccountStream(ada) {
		t.Errorf("appended %+v", rec)
	}
	if text, err := w.opener().OpenText(t.Context(), ada, asked.Prediction, e.Text); err != nil || text != "ein Film mit einem Wal" {
		t.Errorf("the sealed text opens to %q, %v", text, err)
	}
	again, err := w.ask(ada, "")
	must(t, err)
	if again.Prediction == asked.Prediction || again.Held != 10 {
		t.Errorf("a second question is %+v", again)
	}
}

func TestPredictRefusals(t *testing.T) {
	w := newFixture(t)
	ada, poor, busy := w.person("ada"), w.person("poor"), w.person("busy")
	_, err := w.Withdraw(t.Context(), commands.Move{User: poor, Amount: 6})
	must(t, err)
	w.give(busy, 5*(domain.MaxOpenHolds+1))
	for range domain.MaxOpenHolds {
		_, err := w.ask(busy, "")
		must(t, err)
	}
	before := w.env.Size()
	long := strings.Repeat("k", 201)
	for _, tt := range []struct {
		name string
		p    commands.Predict
		want domain.Code
	}{
		{"no text", commands.Predict{User: ada, Text: " ?", Key: long}, domain.InvalidText},
		{"too long a text", commands.Predict{User: ada, Text: strings.Repeat("ж", domain.MaxTextRunes+1)}, domain.InvalidText},
		{"a bad key and a bad limit", commands.Predict{User: ada, Text: "whale", Limit: -1, Key: long}, domain.InvalidKey},
		{"no films", commands.Predict{User: poor, Text: "whale", Limit: -1}, domain.InvalidLimit},
		{"too many films", commands.Predict{User: ada, Text: "whale", Limit: domain.MaxMovies + 1}, domain.InvalidLimit},
		{"one credit short", commands.Predict{User: poor, Text: "whale"}, domain.InsufficientFunds},
		{"too many open", commands.Predict{User: busy, Text: "whale"}, domain.TooManyOpen},
	} {
		_, err := w.Predict(t.Context(), tt.p)
		if got := code(t, err); got != tt.want {
			t.Errorf("%s: refused with %q, want %q", tt.name, got, tt.want)
		}
	}
	w.Price = domain.MaxAmount + 1
	_, err = w.ask(ada, "")
	refused(t, err, domain.InvalidAmount)
	if w.env.Size() != before {
		t.Errorf("refusals appended %d events", w.env.Size()-before)
	}
	w.Price = 5
	_, err = w.Predict(t.Context(), commands.Predict{User: ada, Text: strings.Repeat("ж", domain.MaxTextRunes), Limit: domain.MaxMovies})
	must(t, err)
}

// A hold ends once; what comes later changes nothing and has position 0.
func TestSettle(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	ends := map[string]func(commands.Ending) (eventstore.Position, error){
		"complete": func(e commands.Ending) (eventstore.Position, error) { return w.Complete(t.Context(), e, answer) },
		"fail": func(e commands.Ending) (eventstore.Position, error) {
			return w.Fail(t.Context(), e, domain.FailedNoMeaning)
		},
		"expire": func(e commands.Ending) (eventstore.Position, error) { return w.Expire(t.Context(), e) },
	}
	for name, end := range ends {
		w.give(ada, 20)
		asked, err := w.ask(ada, "")
		must(t, err)
		w.now = asked.ExpiresAt
		at, err := end(endingOf(ada, asked))
		must(t, err)
		rec := w.env.Log()[at-1]
		if rec.Actor != "system:test" || rec.Cause != eventstore.ByPosition(asked.Position) {
			t.Errorf("%s appended %+v", name, rec.Envelope)
		}
		want := domain.Credits(20)
		if name == "complete" {
			want = 15
			if e := rec.Event.(domain.PredictionCompleted); len(e.Movies) != 1 || e.Model != "m-1" || e.Catalogue != "c-1" {
				t.Errorf("completed with %+v", e)
			}
		}
		w.wants(ada, want, 0)
		for late, again := range ends {
			if at, err := again(endingOf(ada, asked)); at != 0 || err != nil {
				t.Errorf("%s after %s gave position %d, %v", late, name, at, err)
			}
		}
		w.wants(ada, want, 0)
	}
	for name, end := range ends {
		if at, err := end(commands.Ending{User: "u_nobody", Prediction: "p_none", By: "test", Cause: 1}); at != 0 || err != nil {
			t.Errorf("%s of nothing gave position %d, %v", name, at, err)
		}
	}
}

func TestExpireWaitsForItsTime(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	asked, err := w.ask(ada, "")
	must(t, err)
	w.now = asked.ExpiresAt.Add(-time.Microsecond)
	if at, err := w.Expire(t.Context(), endingOf(ada, asked)); at != 0 || err != nil {
		t.Errorf("a microsecond before its time it gave %d, %v", at, err)
	}
	w.now = asked.ExpiresAt
	if at, err := w.Expire(t.Context(), endingOf(ada, asked)); at == 0 || err != nil {
		t.Errorf("at its time it gave %d, %v", at, err)
	}
	w.wants(ada, 10, 0)
}
