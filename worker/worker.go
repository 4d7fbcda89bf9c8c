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
	"os"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

//go:generate go run kassa/cmd/modelgen -catalog ../catalog/films -lexicon ../cmd/modelgen/lexicon.tsv -out model

// Errors that no retry can mend. Anything else may be tried again.
var (
	// ErrNoMeaning says that a text has no word that the model knows, so that
	// there is no vector to search with.
	ErrNoMeaning = errors.New("text has no word that the model knows")
	// ErrBadRequest says that a message is not a Request.
	ErrBadRequest = errors.New("malformed request")
	// ErrClosed says that the embedder was closed.
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

	jobs     chan job
	closing  chan struct{} // closed by the first Close
	finished chan struct{} // closed when the gathering goroutine is gone
	once     sync.Once
	closeErr error
}

// Open loads a model and warms it with one call, as hugot's first call must
// not run beside another. The caller closes the Embedder. Cancelling ctx ends
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
	m, err := load(dir)
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
		jobs:     make(chan job), // unbuffered: a caller that leaves takes its text with it
		closing:  make(chan struct{}),
		finished: make(chan struct{}),
	}
	go e.gather()
	return e
}

// ModelVersion names the model by its content. Vectors of different versions
// must never be compared.
func (e *Embedder) ModelVersion() string { return e.version }

// Dimensions is the length of every embedding.
func (e *Embedder) Dimensions() int { return e.dims }

// Embed returns the unit vector of a text. A text longer than the model's
// window counts up to there. It waits on ctx; an inference that has begun runs
// on when the caller leaves. Errors: ErrNoMeaning, ErrClosed, the end of ctx,
// or a fault of the model.
func (e *Embedder) Embed(ctx context.Context, text string) (Answer, error) {
	asked := time.Now()
	vector, ok := e.recall(text, asked)
	if !ok {
		var err error
		if vector, err = e.embed(ctx, text); err != nil {
			return Answer{}, err
		}
		e.remember(text, vector, asked)
	}
	return Answer{
		Embedding:      vector,
		ProcessingTime: time.Since(asked).Seconds(),
		ModelVersion:   e.version,
	}, nil
}

// EmbedAll returns the unit vectors of many texts, in their order. It fails as
// a whole, and its error names the first text that failed by index. Calls of
// Embed do not wait for all of it: they get into the next batch.
func (e *Embedder) EmbedAll(ctx context.Context, texts []string) ([][]float32, error) {
	vectors := make([][]float32, len(texts))
	faults := make([]error, len(texts))
	for start := 0; start < len(texts); start += e.batchMax {
		end := min(start+e.batchMax, len(texts))
		var group sync.WaitGroup
		for i := start; i < end; i++ {
			group.Go(func() { vectors[i], faults[i] = e.embed(ctx, texts[i]) })
		}
		group.Wait()
		for i := start; i < end; i++ {
			if faults[i] != nil {
				return nil, fmt.Errorf("embed text %d of %d: %w", i, len(texts), faults[i])
			}
		}
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
