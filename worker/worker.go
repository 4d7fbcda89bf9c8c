// Package worker turns texts into unit vectors with a model that runs in this
// process (hugot, pure Go backend). It has no database and knows no broker.
//
// hugot has sharp edges: it must not be called with an empty batch, with a
// cancellable context, from several goroutines before its first call is over,
// or with more pieces than the model has positions. The Embedder keeps them
// all: one goroutine calls hugot, and only with texts that fit (see fit.go).
package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

//go:generate go run kassa/cmd/modelgen -catalog ../catalog/films -out model -vectors ../catalog/films/vectors.bin

// Errors that no retry ends. Anything else may be tried again.
var (
	// ErrNoMeaning means that a text has no word that the model knows, so that
	// there is no vector to search with.
	ErrNoMeaning = errors.New("text has no word that the model knows")
	// ErrBadRequest means that a message is not a Request.
	ErrBadRequest = errors.New("malformed request")
	// ErrClosed means that the embedder was closed.
	ErrClosed = errors.New("embedder is closed")
)

// Options of an Embedder. The zero value opens the built-in model.
type Options struct {
	// ModelDir is a folder with an ONNX feature-extraction model, its
	// tokenizer.json and config.json. Empty: the built-in model.
	ModelDir string
	// UnpackTo is the folder that keeps the built-in model's files between
	// runs, for hugot reads files only. It must be private to this user.
	// Empty: a temporary folder, removed by Close.
	UnpackTo string
	// Within is how long the model may take to be loaded and to prove itself. 0: a minute.
	Within time.Duration
	// BatchMax is the most texts that go through the model at once, 1 to 32.
	// 0: 32.
	BatchMax int
}

// An Embedder turns texts into unit vectors. Its methods may be called from
// any goroutine.
type Embedder struct {
	model     // what load makes; unchanged afterwards
	batchMax  int
	temporary string // folder to remove at the end, or ""
	recent    *lru.Cache[string, remembered]
	observer  atomic.Pointer[Observer]

	jobs     chan []job
	closing  chan struct{} // closed by the first Close
	finished chan struct{} // closed when the batching goroutine has ended
	once     sync.Once
	closeErr error
}

// Open loads a model and has it prove itself: its check texts must have their known
// vectors within the time limit, else it is refused with ErrUnproven. The caller closes the Embedder. Cancelling ctx ends
// Open, but not the Embedder.
func Open(ctx context.Context, o Options) (*Embedder, error) {
	if o.BatchMax < 0 || o.BatchMax > batchLimit {
		return nil, fmt.Errorf("batch of %d texts: want 1 to %d", o.BatchMax, batchLimit)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open embedder: %w", err)
	}
	dir, temporary := o.ModelDir, ""
	if dir == "" {
		var err error
		if dir, temporary, err = unpack(o.UnpackTo); err != nil {
			return nil, fmt.Errorf("unpack the built-in model: %w", err)
		}
	}
	m, err := loadWithin(dir, cmp.Or(o.Within, proveWithin))
	e := start(m, cmp.Or(o.BatchMax, batchLimit))
	e.temporary = temporary
	if err != nil {
		return nil, errors.Join(fmt.Errorf("load model from %s: %w", dir, err), e.Close())
	}
	return e, nil
}

// start begins to take texts.
func start(m model, batchMax int) *Embedder {
	e := &Embedder{
		model:    m,
		batchMax: batchMax,
		recent:   newRecent(),
		jobs:     make(chan []job), // unbuffered: a caller that leaves takes its texts with it
		closing:  make(chan struct{}),
		finished: make(chan struct{}),
	}
	go e.runBatches()
	return e
}

// ModelVersion names the model by its content. Vectors of different versions
// must never be compared.
func (e *Embedder) ModelVersion() string { return e.version }

// Dimensions is the length of every embedding.
func (e *Embedder) Dimensions() int { return e.dims }

// Embed returns the unit vector of a question. A text longer than the model's
// window counts up to there. It waits on ctx; an inference that has begun runs
// on when the caller leaves. Errors: ErrNoMeaning, ErrClosed, the end of ctx,
// or a fault of the model.
func (e *Embedder) Embed(ctx context.Context, text string) (Answer, error) {
	answers, faults := e.answer(ctx, []input{{e.use.QuestionPrefix, text}})
	return answers[0], faults[0]
}

// answer embeds texts that go through the model together. Each has an answer or an error
// of its own.
func (e *Embedder) answer(ctx context.Context, texts []input) ([]Answer, []error) {
	asked := time.Now()
	vectors, faults := make([][]float32, len(texts)), make([]error, len(texts))
	var fresh []input
	var of []int // the text of each fresh one
	for i, text := range texts {
		var ok bool
		vectors[i], ok = e.recall(text.prefix+text.text, asked)
		e.observed(text.text, ok)
		if !ok {
			fresh, of = append(fresh, text), append(of, i)
		}
	}
	made, failed := e.embed(ctx, fresh)
	for n, i := range of {
		vectors[i], faults[i] = made[n], failed[n]
		if failed[n] == nil {
			e.remember(texts[i].prefix+texts[i].text, made[n], asked)
		}
	}
	took := time.Since(asked).Seconds()
	answers := make([]Answer, len(texts))
	for i, vector := range vectors {
		if faults[i] == nil {
			answers[i] = Answer{Embedding: vector, ProcessingTime: took, ModelVersion: e.version}
		}
	}
	return answers, faults
}

// EmbedAll returns the unit vectors of many texts of films, in their order. It fails as
// a whole, and its error names the first text that failed by index. Calls of
// Embed do not wait for all of it: they get into the next batch.
func (e *Embedder) EmbedAll(ctx context.Context, texts []string) ([][]float32, error) {
	vectors := make([][]float32, 0, len(texts))
	for part := range slices.Chunk(texts, e.batchMax) {
		films := make([]input, len(part))
		for i, text := range part {
			films[i] = input{e.use.FilmPrefix, text}
		}
		made, faults := e.embed(ctx, films)
		for i, err := range faults {
			if err != nil {
				return nil, fmt.Errorf("embed text %d of %d: %w", len(vectors)+i, len(texts), err)
			}
		}
		vectors = append(vectors, made...)
	}
	return vectors, nil
}

// Close ends the Embedder. Texts in the batch that runs are still answered,
// all other callers get ErrClosed. It returns when nothing of the Embedder
// runs any more; further calls return the same error.
func (e *Embedder) Close() error {
	e.once.Do(func() {
		close(e.closing)
		<-e.finished
		e.closeErr = e.release()
	})
	return e.closeErr
}

// release gives back the model's memory and the temporary folder.
func (e *Embedder) release() error {
	var faults []error
	if e.destroy != nil {
		if err := e.destroy(); err != nil {
			faults = append(faults, fmt.Errorf("destroy hugot session: %w", err))
		}
	}
	if e.temporary != "" {
		if err := os.RemoveAll(e.temporary); err != nil {
			faults = append(faults, fmt.Errorf("remove unpacked model: %w", err))
		}
	}
	return errors.Join(faults...)
}

// batchLimit is the most texts in one batch.
const batchLimit = 32

// input is a text with what the model wants before it.
type input struct{ prefix, text string }

// job is one text on its way through the model.
type job struct {
	text string      // made by fit: never empty, never too long
	done chan result // buffered for the one result: a caller that left blocks nothing
}

type result struct {
	vector []float32
	err    error
}

// embed sends texts to the batching goroutine together and waits for their vectors. Each
// has a vector or an error of its own.
func (e *Embedder) embed(ctx context.Context, texts []input) ([][]float32, []error) {
	vectors, faults := make([][]float32, len(texts)), make([]error, len(texts))
	var jobs []job
	var of []int // the text of each job
	for i, text := range texts {
		fitted, err := e.fit(text.prefix, text.text)
		if err != nil {
			faults[i] = err
			continue
		}
		jobs, of = append(jobs, job{text: fitted, done: make(chan result, 1)}), append(of, i)
	}
	err := e.send(ctx, jobs)
	for n, j := range jobs {
		r := result{err: err}
		if err == nil {
			// A job that was taken is always answered, also while the embedder closes.
			select {
			case r = <-j.done:
			case <-ctx.Done():
				r.err = fmt.Errorf("wait for the model: %w", ctx.Err())
			}
		}
		vectors[of[n]], faults[of[n]] = r.vector, r.err
	}
	return vectors, faults
}

// send gives jobs to the batching goroutine; after an error it has none of them.
func (e *Embedder) send(ctx context.Context, jobs []job) error {
	if len(jobs) == 0 {
		return nil
	}
	select {
	case <-e.closing: // first by itself: select would choose at random
		return ErrClosed
	default:
	}
	select {
	case e.jobs <- jobs:
		return nil
	case <-e.closing:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("wait for a batch: %w", ctx.Err())
	}
}

// runBatches is the only goroutine that calls hugot after Open. A batch is what
// waits when the model is free: a lone text goes through at once.
func (e *Embedder) runBatches() {
	defer close(e.finished)
	batch := make([]job, 0, e.batchMax)
	for {
		select {
		case <-e.closing:
			return
		case first := <-e.jobs:
			batch = append(batch[:0], first...)
		}
		for more := true; more && len(batch) < e.batchMax; {
			select {
			case jobs := <-e.jobs:
				batch = append(batch, jobs...)
			default:
				more = false
			}
		}
		for part := range slices.Chunk(batch, e.batchMax) {
			e.run(part)
		}
	}
}

// run answers a batch, which must not be empty. Where it fails as a whole, each text is
// run by itself, so that none fails for another's sake.
func (e *Embedder) run(batch []job) {
	texts := make([]string, len(batch))
	for i, j := range batch {
		texts[i] = j.text
	}
	vectors, err := e.observedInfer(texts)
	if err != nil && len(batch) > 1 {
		for i := range batch {
			e.run(batch[i : i+1])
		}
		return
	}
	for i, j := range batch {
		switch {
		case err != nil:
			j.done <- result{err: fmt.Errorf("run the model: %w", err)}
		case !isUnit(vectors[i]):
			j.done <- result{err: fmt.Errorf("embed text: %w", ErrNoMeaning)}
		default:
			j.done <- result{vector: vectors[i]}
		}
	}
}

// isUnit is false for the zero and NaN vectors of texts without meaning, which hugot leaves
// as they are.
func isUnit(v []float32) bool {
	var square float64
	for _, x := range v {
		square += float64(x) * float64(x)
	}
	return math.Abs(square-1) < 1e-3 // false for NaN
}
