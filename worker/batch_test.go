package worker

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// held is an embedder whose model waits until it is let go, in a bubble of
// synctest, which fails when a goroutine is left at its end.
type held struct {
	*Embedder
	batches chan []string // what the model was called with
	letGo   chan struct{}
}

func hold(real *Embedder) held {
	h := held{batches: make(chan []string, 100), letGo: make(chan struct{})}
	m := real.model
	m.destroy = nil
	m.infer = func(texts []string) ([][]float32, error) {
		h.batches <- texts
		<-h.letGo
		return slices.Repeat([][]float32{{1}}, len(texts)), nil
	}
	h.Embedder = start(m, batchLimit)
	return h
}

func TestBatches(t *testing.T) {
	real := builtInModel(t)
	synctest.Test(t, func(t *testing.T) {
		h := hold(real)
		var group sync.WaitGroup
		ask := func() {
			if _, err := h.Embed(t.Context(), "остров"); err != nil {
				t.Error(err)
			}
		}
		group.Go(ask)
		synctest.Wait()
		if n := len(h.batches); n != 1 {
			t.Fatal("a lone text waits")
		}
		for range 40 {
			group.Go(ask)
		}
		synctest.Wait()
		close(h.letGo)
		group.Wait()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		close(h.batches)
		var sizes []int
		for b := range h.batches {
			sizes = append(sizes, len(b))
		}
		if !slices.Equal(sizes, []int{1, 32, 8}) {
			t.Errorf("batches are %v", sizes)
		}
	})
}

// A caller that leaves is free at once; its text is not run when it still
// waited, and harms nobody when it was already in the model.
func TestCancel(t *testing.T) {
	real := builtInModel(t)
	synctest.Test(t, func(t *testing.T) {
		h := hold(real)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range 5 { // one in the model, four that wait
			group.Go(func() {
				if _, err := h.Embed(ctx, "остров"); !errors.Is(err, context.Canceled) {
					t.Errorf("error is %v", err)
				}
			})
			synctest.Wait()
		}
		cancel()
		group.Wait()
		group.Go(func() {
			if _, err := h.Embed(t.Context(), "тюрьма"); err != nil {
				t.Errorf("next caller: %v", err)
			}
		})
		synctest.Wait()
		close(h.letGo)
		group.Wait()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if n := len(h.batches); n != 2 {
			t.Errorf("model ran %d batches, want the first and the last", n)
		}
	})
}

// Close answers those in the model with their vector and those that wait with
// ErrClosed, and returns after the model is free.
func TestCloseWithWaiting(t *testing.T) {
	real := builtInModel(t)
	synctest.Test(t, func(t *testing.T) {
		h := hold(real)
		errs := make(chan error, 5)
		for range 5 {
			go func() {
				_, err := h.Embed(t.Context(), "остров")
				errs <- err
			}()
			synctest.Wait()
		}
		closed := make(chan error)
		go func() { closed <- h.Close() }()
		synctest.Wait()
		for range 4 {
			if err := <-errs; !errors.Is(err, ErrClosed) {
				t.Errorf("waiting caller got %v", err)
			}
		}
		select {
		case <-closed:
			t.Error("closed while the model runs")
		default:
		}
		close(h.letGo)
		if err := <-errs; err != nil {
			t.Errorf("caller in the model got %v", err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// A fault of the model reaches the callers of that batch and no others.
func TestFaultOfTheModel(t *testing.T) {
	real := builtInModel(t)
	fault := errors.New("out of memory")
	m := real.model
	m.destroy = nil
	calls := 0
	m.infer = func(texts []string) ([][]float32, error) {
		if calls++; calls == 1 {
			return nil, fault
		}
		return [][]float32{{float32(math.NaN())}}, nil
	}
	e := start(m, 1)
	defer e.Close()
	if _, err := e.Embed(t.Context(), "остров"); !errors.Is(err, fault) || errors.Is(err, ErrNoMeaning) {
		t.Errorf("error is %v", err)
	}
	if _, err := e.Embed(t.Context(), "остров"); !errors.Is(err, ErrNoMeaning) {
		t.Errorf("NaN gave %v", err)
	}
}

// Texts that come together go through the model together; where that fails, each goes by
// itself, and only the one that is at fault fails.
func TestOneBadTextFailsAlone(t *testing.T) {
	real := builtInModel(t)
	fault := errors.New("it cannot be run")
	m := real.model
	m.destroy = nil
	var sizes []int
	m.infer = func(texts []string) ([][]float32, error) {
		sizes = append(sizes, len(texts))
		if slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, "poison") }) {
			return nil, fault
		}
		return slices.Repeat([][]float32{{1}}, len(texts)), nil
	}
	e := start(m, batchLimit)
	defer e.Close()
	for i, texts := range [][]string{{"prison", "island", "ice"}, {"desert", "poison", "ship"}} {
		var inputs []input
		for _, text := range texts {
			inputs = append(inputs, input{text: text})
		}
		answers, faults := e.answer(t.Context(), inputs)
		for n, text := range texts {
			if bad := text == "poison"; errors.Is(faults[n], fault) != bad || !bad && len(answers[n].Embedding) != 1 {
				t.Errorf("call %d: %q gives %v, %v", i, text, answers[n], faults[n])
			}
		}
	}
	if !slices.Equal(sizes, []int{3, 3, 1, 1, 1}) {
		t.Errorf("the model ran batches of %v", sizes)
	}
}
