package worker

import (
	"context"
	"fmt"
	"math"
)

// batchLimit is the most texts in one batch.
const batchLimit = 32

// job is one text on its way through the model.
type job struct {
	text string      // made by fit: never empty, never too long
	done chan result // with room for the one result, so that nobody waits for a caller that left
}

type result struct {
	vector []float32
	err    error
}

// embed sends a text to the gathering goroutine and waits for its vector.
func (e *Embedder) embed(ctx context.Context, text string) ([]float32, error) {
	fitted, err := e.fit(text)
	if err != nil {
		return nil, err
	}
	j := job{text: fitted, done: make(chan result, 1)}
	select {
	case <-e.closing: // first by itself: select would choose at random
		return nil, ErrClosed
	default:
	}
	select {
	case e.jobs <- j:
	case <-e.closing:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a batch: %w", ctx.Err())
	}
	// A job that was taken is always answered, also while the embedder closes.
	select {
	case r := <-j.done:
		return r.vector, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the model: %w", ctx.Err())
	}
}

// gather is the only goroutine that calls hugot after Open. A batch is what
// waits when the model is free: a lone text goes through at once.
func (e *Embedder) gather() {
	defer close(e.finished)
	batch := make([]job, 0, e.batchMax)
	for {
		select {
		case <-e.closing:
			return
		case first := <-e.jobs:
			batch = append(batch[:0], first)
		}
		for more := true; more && len(batch) < e.batchMax; {
			select {
			case j := <-e.jobs:
				batch = append(batch, j)
			default:
				more = false
			}
		}
		e.run(batch)
	}
}

// run answers a batch, which must not be empty.
func (e *Embedder) run(batch []job) {
	texts := make([]string, len(batch))
	for i, j := range batch {
		texts[i] = j.text
	}
	vectors, err := e.infer(texts)
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

// isUnit tells a vector that has a direction from the zero and NaN vectors of
// texts without meaning, which hugot leaves as they are.
func isUnit(v []float32) bool {
	var square float64
	for _, x := range v {
		square += float64(x) * float64(x)
	}
	return math.Abs(square-1) < 1e-3 // false for NaN
}
