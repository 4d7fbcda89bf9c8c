package matcher

import (
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kassa/audit/audittest"
	"kassa/catalog"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/bus"
	"kassa/schema"
	"kassa/vault"
	"kassa/worker"
)

// desk is a matcher over a ledger of its own, with one person in it.
type desk struct {
	*Matcher
	t     *testing.T
	user  domain.UserID
	model *worker.Embedder
	db    *schema.SQLite
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	db, err := schema.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "kassa.db"))
	must(t, err)
	store, err := eventstore.SQLite(t.Context(), db)
	must(t, err)
	model, err := worker.Open(t.Context(), worker.Options{UnpackTo: t.TempDir()})
	must(t, err)
	films, err := catalog.Open(t.Context(), db)
	must(t, err)
	shipped, err := catalog.Shipped()
	must(t, err)
	_, err = films.Import(t.Context(), shipped[:3], model)
	must(t, err)
	d := &desk{t: t, model: model, db: db}
	keys := d.openVault()
	h := &commands.Handler{Store: store, Vault: keys, Payments: commands.Sandbox{}, Now: time.Now, Price: 5, Bonus: 1000, HoldExpiry: time.Minute}
	d.Matcher = &Matcher{Store: store, Vault: keys, Catalogue: films, Commands: h, Logger: slog.New(slog.DiscardHandler)}
	ada, err := h.SignUp(t.Context(), commands.SignUp{Email: "ada@example.com", Password: "a long walk home"})
	must(t, err)
	d.user = ada.User
	t.Cleanup(func() {
		audittest.CheckLedger(t, store)
		store.Close()
		if err := errors.Join(model.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return d
}

// openVault opens the keys as another process does, which has read none before.
func (d *desk) openVault() *vault.Vault {
	d.t.Helper()
	v, err := vault.SQLite(d.db, vault.Secret(strings.Repeat("s", 32)), vault.Options{Argon2: vault.Argon2{MemoryKiB: 8, Passes: 1}})
	must(d.t, err)
	return v
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ask holds the price of a question.
func (d *desk) ask() bus.Job {
	d.t.Helper()
	return d.askText("a ship in the ice")
}

func (d *desk) askText(text string) bus.Job {
	d.t.Helper()
	asked, err := d.Commands.Predict(d.t.Context(), commands.Predict{User: d.user, Text: text})
	must(d.t, err)
	return bus.Job{Prediction: string(asked.Prediction), Position: asked.Position}
}

// settle settles one job.
func (d *desk) settle(j bus.Job, answer []byte, failure string) error {
	return d.Settle(d.t.Context(), []bus.Item{{Job: j, Body: answer, Failure: failure}})[0]
}

// last is the newest event of the log.
func (d *desk) last() domain.Event {
	d.t.Helper()
	head, err := d.Store.Head(d.t.Context())
	must(d.t, err)
	at, err := d.Store.After(d.t.Context(), head.Size-1, 1)
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
		must(t, d.settle(d.ask(), nil, said))
		if failed, ok := d.last().(domain.PredictionFailed); !ok || failed.Reason != kept {
			t.Errorf("a worker says %.40q, the log says %+v", said, d.last())
		}
	}
}

// A question of which the model knows no word is answered by the words alone, where
// they are sure of a film, and once.
func TestWordsAlone(t *testing.T) {
	d := newDesk(t)
	e := d.askText("12 Monkeys")
	for range 2 {
		must(t, d.settle(e, nil, string(domain.FailedNoMeaning)))
		done, ok := d.last().(domain.PredictionCompleted)
		if !ok || done.Model != wordsAlone || len(done.Movies) == 0 || done.Movies[0].MovieID != "12-monkeys-1995" || catalog.CertaintyOf(done.Confidence) != catalog.AlmostCertain {
			t.Fatalf("the log says %+v", d.last())
		}
	}
	account, err := d.Commands.Account(t.Context(), d.user)
	must(t, err)
	if account.Available != 995 || account.Held != 0 {
		t.Errorf("the wallet is %+v", account)
	}
}

// An answer with a model that the films have no vectors of is not used: the question is
// embedded here, with a model that they do have, or answered by its words.
func TestAnswerOfAnUnknownModel(t *testing.T) {
	d := newDesk(t)
	for _, want := range []string{"words-alone", d.model.ModelVersion()} {
		e := d.ask()
		must(t, d.settle(e, d.answer(func(a *worker.Answer) { a.ModelVersion = "another-1" }), ""))
		if done, ok := d.last().(domain.PredictionCompleted); !ok || done.Model != want {
			t.Errorf("it was settled by %+v, want the model %s", d.last(), want)
		}
		d.Models = worker.Models{d.model}
	}
}

// An answer that no retry changes is an error at once, and settles nothing: a vector of
// another length, what is no answer.
func TestAnswersThatNoRetryChanges(t *testing.T) {
	d := newDesk(t)
	e := d.ask()
	for name, answer := range map[string][]byte{
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
		err := d.settle(e, answer, "")
		if !bus.IsPermanent(err) || strings.Contains(err.Error(), "eve@") || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %v", name, err)
		}
		if _, open := d.last().(domain.PredictionRequested); !open {
			t.Fatalf("%s settled it: %+v", name, d.last())
		}
	}
	must(t, d.settle(e, d.answer(nil), ""))
	if done, ok := d.last().(domain.PredictionCompleted); !ok || done.ProcessingTime != 0.25 || done.Model != d.model.ModelVersion() {
		t.Errorf("a good answer: %+v", d.last())
	}
}

// An answer, a failure and a dead letter settle the entry that they name, and only
// where all that they say of it is so.
func TestAJobIsComparedWithItsEntry(t *testing.T) {
	d := newDesk(t)
	mine, other := d.ask(), d.ask()
	head, err := d.Store.Head(t.Context())
	must(t, err)
	for name, e := range map[string]bus.Job{
		"another question":          {Prediction: other.Prediction, Position: mine.Position},
		"another position":          {Prediction: mine.Prediction, Position: other.Position},
		"an entry that is no quest": {Prediction: mine.Prediction, Position: 1},
		"behind the end of the log": {Prediction: mine.Prediction, Position: head.Size + 1},
		"before its beginning":      {Prediction: mine.Prediction, Position: -1},
	} {
		for said, failure := range map[string]string{"an answer": "", "a failure": string(domain.FailedNoMeaning), "a dead letter": bus.Failed} {
			if err := d.settle(e, d.answer(nil), failure); !bus.IsPermanent(err) {
				t.Errorf("%s, of %s: %v", said, name, err)
			}
		}
	}
	if now, err := d.Store.Head(t.Context()); err != nil || now.Size != head.Size {
		t.Errorf("something was settled: %d entries, %d before, %v", now.Size, head.Size, err)
	}
	must(t, d.settle(mine, d.answer(nil), ""))
	must(t, d.settle(other, nil, bus.Failed))
}

// A question whose person was erased while it waited fails without a message that
// anybody could send.
func TestAnErasedQuestionFails(t *testing.T) {
	d := newDesk(t)
	e := d.ask()
	at, err := d.Store.After(t.Context(), e.Position-1, 1)
	must(t, err)
	_, err = d.db.Write.ExecContext(t.Context(), `DELETE FROM subject_keys`)
	must(t, err)
	d.Vault = d.openVault()
	must(t, d.Carry(nil)(t.Context(), at)) // no bus: what publishes panics
	if failed, ok := d.last().(domain.PredictionFailed); !ok || failed.Reason != domain.FailedErased {
		t.Errorf("%+v", d.last())
	}
}

// An answer that is not sure enough is none: it costs nothing, at once and to both
// books, and shows no films. A second answer to it changes nothing.
func TestWhatIsNotFoundCostsNothing(t *testing.T) {
	d := newDesk(t)
	_, err := d.Commands.Deposit(t.Context(), commands.Move{User: d.user, Amount: 7})
	must(t, err)
	before, err := d.Commands.Account(t.Context(), d.user)
	must(t, err)
	e := d.ask()
	d.NotFoundBelow = 1
	must(t, d.settle(e, d.answer(nil), ""))
	if failed, ok := d.last().(domain.PredictionFailed); !ok || failed.Reason != domain.FailedNotFound {
		t.Errorf("the log says %+v", d.last())
	}
	d.NotFoundBelow = 0
	must(t, d.settle(e, d.answer(nil), ""))
	after, err := d.Commands.Account(t.Context(), d.user)
	must(t, err)
	if after.Available != before.Available || after.Given != before.Given || after.Held != 0 {
		t.Errorf("the wallet was %+v and is %+v", before, after)
	}
	must(t, d.settle(d.ask(), d.answer(nil), ""))
	if _, ok := d.last().(domain.PredictionCompleted); !ok {
		t.Errorf("without a threshold the log says %+v", d.last())
	}
}
