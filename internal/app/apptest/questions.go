package apptest

import (
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"kassa/catalog"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/app"
	"kassa/internal/bus"
	"kassa/worker"
)

// Model embeds a question; *worker.Embedder does.
type Model interface {
	Embed(ctx context.Context, text string) (worker.Answer, error)
}

// Questions passes the questions of the log to the model, and its answers to the matcher
// of the service, in order. It is in the place of relay, bus and worker, so that a test can
// keep questions open.
type Questions struct {
	fixture *Fixture
	model   Model

	mu     sync.Mutex
	open   func(text string) bool // which stay open; nil: none
	paused bool
	kept   []question
}

type question struct {
	domain.PredictionRequested
	at eventstore.Position
}

// KeepOpen keeps questions open whose texts are chosen.
func (q *Questions) KeepOpen(choose func(text string) bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open = choose
}

// Pause keeps all questions from now on, until Resume.
func (q *Questions) Pause() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.paused = true
}

// Resume answers what was kept, and returns when the views have it.
func (q *Questions) Resume() {
	q.mu.Lock()
	kept := q.kept
	q.paused, q.kept = false, nil
	q.mu.Unlock()
	for _, one := range kept {
		q.settle(context.Background(), one)
	}
	q.fixture.WaitFor(q.fixture.Size())
}

func (q *Questions) follow(ctx context.Context) {
	store := q.fixture.Store
	for at := eventstore.Position(0); ; {
		err := store.Wait(ctx, at)
		if err == nil {
			err = store.Scan(ctx, at, func(batch []eventstore.Recorded) error {
				for _, rec := range batch {
					if e, ok := rec.Event.(domain.PredictionRequested); ok {
						q.add(context.WithoutCancel(ctx), question{e, rec.Position})
					}
				}
				at = batch[len(batch)-1].Position
				return nil
			})
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			q.fixture.t.Errorf("follow the log: %v", err)
			return
		}
	}
}

func (q *Questions) add(ctx context.Context, one question) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.paused {
		q.kept = append(q.kept, one)
		return
	}
	q.settle(ctx, one)
}

// settle has the model embed a question, and the matcher end it.
func (q *Questions) settle(ctx context.Context, one question) {
	f := q.fixture
	text, err := f.Vault.OpenText(ctx, one.User, one.Prediction, one.Text)
	if err != nil {
		f.t.Errorf("read the question %s: %v", one.Prediction, err)
		return
	}
	if q.open != nil && q.open(text) {
		return
	}
	vector, err := q.model.Embed(ctx, f.Catalogue.Read(text).Embedded())
	item := bus.Item{Job: bus.Job{Prediction: string(one.Prediction), Position: one.at}}
	switch {
	case errors.Is(err, worker.ErrNoMeaning):
		item.Failure = string(domain.FailedNoMeaning)
	case err == nil:
		item.Body, _ = json.Marshal(vector) // numbers and texts always encode
	default:
		f.t.Errorf("embed the question %s: %v", one.Prediction, err)
		return
	}
	if err := errors.Join(f.Matcher.Settle(ctx, []bus.Item{item})...); err != nil {
		f.t.Errorf("settle %s: %v", one.Prediction, err)
	}
}

// BagOfWords embeds a text as the set of its words.
type BagOfWords struct{}

const dimensions = 384

// ModelVersion names it.
func (BagOfWords) ModelVersion() string { return "bag-1" }

// Embed answers as a worker does.
func (b BagOfWords) Embed(_ context.Context, text string) (worker.Answer, error) {
	vector := bag(text)
	if vector == nil {
		return worker.Answer{}, worker.ErrNoMeaning
	}
	return worker.Answer{Embedding: vector, ModelVersion: b.ModelVersion(), ProcessingTime: float64(time.Millisecond) / float64(time.Second)}, nil
}

// EmbedAll embeds the texts of films.
func (BagOfWords) EmbedAll(_ context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i, text := range texts {
		out[i] = bag(text)
	}
	return out, nil
}

// bag is nil for a text without words.
func bag(text string) (vector []float32) {
	for word := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) }) {
		if vector == nil {
			vector = make([]float32, dimensions)
		}
		h := fnv.New32a()
		h.Write([]byte(word))
		vector[h.Sum32()%dimensions]++
	}
	return vector
}

// seedFilms is how many of the first films a test has.
const seedFilms = 5

// SeedFilms gives a function that puts a few of the shipped films into the catalogue: those
// of the ids, and the first.
func SeedFilms(t TB, ids ...string) func(*app.Ledger) *catalog.Catalogue {
	return func(l *app.Ledger) *catalog.Catalogue {
		t.Helper()
		films, err := l.Films(context.Background())
		must(t, err)
		all, err := catalog.Shipped()
		must(t, err)
		var some []catalog.Movie
		for _, m := range all {
			if len(some) < seedFilms || slices.Contains(ids, m.ID) {
				some = append(some, m)
			}
		}
		_, err = films.Import(context.Background(), some, BagOfWords{})
		must(t, err)
		return films
	}
}
