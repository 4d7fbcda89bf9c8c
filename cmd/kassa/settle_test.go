package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"kassa/audit/audittest"
	"kassa/catalog"
	"kassa/commands"
	"kassa/domain"
	"kassa/internal/bus"
	"kassa/worker"
)

// desk is a matcher over a ledger of its own, with one person in it.
type desk struct {
	*matcher
	t     *testing.T
	user  domain.UserID
	model *worker.Embedder
	data  dataSettings
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	data := dataSettings{Data: t.TempDir()}
	l, err := data.open(t.Context())
	must(t, err)
	model, err := modelSettings{}.openModel(t.Context(), data)
	must(t, err)
	films, err := l.films(t.Context())
	must(t, err)
	shipped, err := catalog.Shipped()
	must(t, err)
	_, err = films.Import(t.Context(), shipped[:3], model)
	must(t, err)
	h := l.commands(priceSettings{Price: 5, Bonus: 1000, HoldExpiry: time.Minute})
	d := &desk{&matcher{store: l.store, vault: l.vault, catalogue: films, commands: h}, t, "", model, data}
	ada, err := h.SignUp(t.Context(), commands.SignUp{Email: "ada@example.com", Password: "a long walk home"})
	must(t, err)
	d.user = ada.User
	t.Cleanup(func() {
		audittest.CheckLedger(t, l.store)
		if err := errors.Join(model.Close(), l.close()); err != nil {
			t.Error(err)
		}
	})
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ask holds the price of a question.
func (d *desk) ask() bus.Errand {
	d.t.Helper()
	asked, err := d.commands.Predict(d.t.Context(), commands.Predict{User: d.user, Text: "a ship in the ice"})
	must(d.t, err)
	return bus.Errand{Prediction: string(asked.Prediction), Position: asked.Position}
}

// last is the newest event of the log.
func (d *desk) last() domain.Event {
	d.t.Helper()
	head, err := d.store.Head(d.t.Context())
	must(d.t, err)
	at, err := d.store.After(d.t.Context(), head.Size-1, 1)
	must(d.t, err)
	return at[0].Event
}

// answer gives what a good worker says, changed.
func (d *desk) answer(change func(*worker.Answer)) []byte {
	d.t.Helper()
	vector := make([]float32, d.model.Dimensions())
	vector[0] = 1
	a := worker.Answer{Embedding: vector, ProcessingTime: 0.25, ModelVersion: d.model.ModelVersion()}
	if change != nil {
		change(&a)
	}
	text, err := json.Marshal(a)
	must(d.t, err)
	return text
}

// Nothing that a worker says as a failure reaches the log but the words that it may
// say: what is kept there is kept for ever.
func TestOnlyKnownWordsReachTheLog(t *testing.T) {
	d := newDesk(t)
	for said, kept := range map[string]domain.FailureReason{
		string(domain.FailedNoMeaning):            domain.FailedNoMeaning,
		string(domain.FailedWorker):               domain.FailedWorker,
		string(domain.FailedErased):               domain.FailedWorker, // that is not for a worker to say
		"\x1b[31mpaid\x1b[0m eve@example.com":     domain.FailedWorker,
		strings.Repeat("text_not_understood", 99): domain.FailedWorker,
	} {
		must(t, d.settle(t.Context(), d.ask(), nil, said))
		if failed, ok := d.last().(domain.PredictionFailed); !ok || failed.Reason != kept {
			t.Errorf("a worker says %.40q, the log says %+v", said, d.last())
		}
	}
}

// An answer that no retry changes is an error at once, and settles nothing: a model
// that the catalogue does not have, a vector of another length, what is no answer.
func TestAnswersThatNoRetryChanges(t *testing.T) {
	d := newDesk(t)
	e := d.ask()
	for name, answer := range map[string][]byte{
		"another model":          d.answer(func(a *worker.Answer) { a.ModelVersion = "another-1" }),
		"a model's name in ANSI": d.answer(func(a *worker.Answer) { a.ModelVersion = "\x1b[31m" + a.ModelVersion }),
		"an e-mail for a model":  d.answer(func(a *worker.Answer) { a.ModelVersion = "eve@example.com" }),
		"a long name":            d.answer(func(a *worker.Answer) { a.ModelVersion = strings.Repeat("m", 201) }),
		"no model":               d.answer(func(a *worker.Answer) { a.ModelVersion = "" }),
		"a short vector":         d.answer(func(a *worker.Answer) { a.Embedding = a.Embedding[1:] }),
		"a vector of nothing":    d.answer(func(a *worker.Answer) { clear(a.Embedding) }),
		"no vector":              d.answer(func(a *worker.Answer) { a.Embedding = nil }),
		"time runs backwards":    d.answer(func(a *worker.Answer) { a.ProcessingTime = -1 }),
		"a year":                 d.answer(func(a *worker.Answer) { a.ProcessingTime = 365 * 24 * 3600 }),
		"not JSON":               []byte("eve@example.com"),
		"another JSON":           []byte(`{"request_embedding":["eve@example.com"]}`),
		"a number too large":     []byte(`{"request_embedding":[1e999]}`),
		"a heap":                 []byte(strings.Repeat(" ", 2<<20)),
		"nothing":                nil,
	} {
		err := d.settle(t.Context(), e, answer, "")
		if !bus.IsPermanent(err) || strings.Contains(err.Error(), "eve@") || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %v", name, err)
		}
		if _, open := d.last().(domain.PredictionRequested); !open {
			t.Fatalf("%s settled it: %+v", name, d.last())
		}
	}
	must(t, d.settle(t.Context(), e, d.answer(nil), ""))
	if done, ok := d.last().(domain.PredictionCompleted); !ok || done.ProcessingTime != 0.25 || done.Model != d.model.ModelVersion() {
		t.Errorf("a good answer: %+v", d.last())
	}
}

// An answer, a failure and a dead letter settle the entry that they name, and only
// where all that they say of it is so.
func TestAnErrandIsComparedWithItsEntry(t *testing.T) {
	d := newDesk(t)
	mine, other := d.ask(), d.ask()
	head, err := d.store.Head(t.Context())
	must(t, err)
	for name, e := range map[string]bus.Errand{
		"another question":          {Prediction: other.Prediction, Position: mine.Position},
		"another position":          {Prediction: mine.Prediction, Position: other.Position},
		"an entry that is no quest": {Prediction: mine.Prediction, Position: 1},
		"behind the end of the log": {Prediction: mine.Prediction, Position: head.Size + 1},
		"before its beginning":      {Prediction: mine.Prediction, Position: -1},
	} {
		for said, failure := range map[string]string{"an answer": "", "a failure": string(domain.FailedNoMeaning), "a dead letter": bus.Failed} {
			if err := d.settle(t.Context(), e, d.answer(nil), failure); !bus.IsPermanent(err) {
				t.Errorf("%s, of %s: %v", said, name, err)
			}
		}
	}
	if now, err := d.store.Head(t.Context()); err != nil || now.Size != head.Size {
		t.Errorf("something was settled: %d entries, %d before, %v", now.Size, head.Size, err)
	}
	must(t, d.settle(t.Context(), mine, d.answer(nil), ""))
	must(t, d.settle(t.Context(), other, nil, bus.Failed))
}

// A question whose person was erased while it waited fails without a message that
// anybody could send.
func TestAnErasedQuestionFails(t *testing.T) {
	d := newDesk(t)
	e := d.ask()
	at, err := d.store.After(t.Context(), e.Position-1, 1)
	must(t, err)
	l, err := d.data.open(t.Context()) // as another process, which has not read the key before
	must(t, err)
	defer l.close()
	_, err = l.file.Write.ExecContext(t.Context(), `DELETE FROM subject_keys`)
	must(t, err)
	d.vault = l.vault
	must(t, d.carry(nil)(t.Context(), at[0])) // no bus: what publishes panics
	if failed, ok := d.last().(domain.PredictionFailed); !ok || failed.Reason != domain.FailedErased {
		t.Errorf("%+v", d.last())
	}
}
