package worker

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// opened is the built-in model, opened once for all tests that only use it.
var opened = sync.OnceValues(func() (*Embedder, error) {
	return Open(context.Background(), Options{})
})

func TestMain(m *testing.M) {
	m.Run()
	if e, err := opened(); err == nil {
		e.Close() // removes the unpacked files
	}
}

func builtInModel(t testing.TB) *Embedder {
	t.Helper()
	e, err := opened()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEmbed(t *testing.T) {
	e := builtInModel(t)
	before := time.Now()
	a, err := e.Embed(t.Context(), "prison escape побег из тюрьмы")
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Embedding) != 384 || e.Dimensions() != 384 || !isUnit(a.Embedding) {
		t.Errorf("embedding of %d values, squared length off by more than 1e-3", len(a.Embedding))
	}
	if a.ModelVersion != e.ModelVersion() || !strings.HasPrefix(a.ModelVersion, "kassa-static-") {
		t.Errorf("model version is %q", a.ModelVersion)
	}
	if a.ProcessingTime <= 0 || a.ProcessingTime > time.Since(before).Seconds() {
		t.Errorf("processing time is %g s", a.ProcessingTime)
	}
}

// Every text here has broken an embedding service somewhere.
func TestTexts(t *testing.T) {
	e := builtInModel(t)
	prison := vector(t, e, "prison")
	for _, tt := range []struct {
		name, text string
		same       []float32 // the vector that it must have, nil for any
		err        error
	}{
		{name: "empty", text: "", err: ErrNoMeaning},
		{name: "spaces", text: " \t\r\n\u00a0\u2003 ", err: ErrNoMeaning},
		{name: "punctuation", text: "?!... — «»", err: ErrNoMeaning},
		{name: "letters of no language that it knows", text: "ゴジラ 龍 🎬", err: ErrNoMeaning},
		{name: "special pieces", text: "[CLS] [SEP] [PAD] [UNK]", err: ErrNoMeaning},
		{name: "NUL only", text: "\x00\x00", err: ErrNoMeaning},
		{name: "invalid UTF-8 only", text: "\xff\xfe\xc0", err: ErrNoMeaning},
		{name: "special pieces around a word", text: "[CLS]prison[SEP]", same: prison},
		{name: "special piece made of two", text: "[C[SEP]LS] prison", same: nil},
		{name: "NUL in a word", text: "pri\x00son", same: prison},
		{name: "invalid UTF-8 in a word", text: "pri\xffson", same: prison},
		{name: "capitals and spaces", text: "  PRISON\n\n", same: prison},
		{name: "unknown words beside a known one", text: "龍 prison 🎬", same: prison},
		{name: "й and ё", text: "герой ёж"},
		{name: "decomposed letters", text: "геро\u0438\u0306 \u0435\u0308ж", same: vector(t, e, "герой ёж")},
		{name: "long Cyrillic word", text: strings.Repeat("тюрьма", 15)},
		{name: "word of 100,000 letters", text: strings.Repeat("тюрьма", 17_000)},
		{name: "100,000 characters", text: strings.Repeat("prison ", 15_000), same: prison},
		{name: "100,000 characters without a space", text: strings.Repeat("prison,", 15_000)},
		{name: "a megabyte of spaces before", text: strings.Repeat(" ", 1<<20) + "prison", same: prison},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := e.Embed(t.Context(), tt.text)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error is %v, want %v", err, tt.err)
			}
			if tt.same != nil && cosine(a.Embedding, tt.same) < 0.9999 {
				t.Errorf("cosine with the plain text is %f", cosine(a.Embedding, tt.same))
			}
		})
	}
}

// A text beyond the window counts up to the window, at the cost of the window.
func TestLongTextIsCut(t *testing.T) {
	e := builtInModel(t)
	long, err := e.fit(strings.Repeat("тюрьма, остров! ", 100_000))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(e.tokenizer.Encode(long)); n > e.limits.piecesMax+e.limits.frame {
		t.Errorf("text still has %d pieces", n)
	}
	if n := len(e.tokenizer.Encode(long)); n < e.limits.piecesMax-8 {
		t.Errorf("text has only %d pieces, there is room for %d", n, e.limits.piecesMax)
	}
}

// A text's vector does not depend on the texts beside it.
func TestBatchEqualsAlone(t *testing.T) {
	e := builtInModel(t)
	var texts []string
	for i := range 70 {
		texts = append(texts, strings.Repeat("остров prison ", i%40+1)+"собака")
	}
	together, err := e.EmbedAll(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		if alone := vector(t, e, text); cosine(alone, together[i]) < 0.99999 {
			t.Errorf("text %d: cosine with itself alone is %f", i, cosine(alone, together[i]))
		}
	}
}

func TestEmbedAll(t *testing.T) {
	e := builtInModel(t)
	if v, err := e.EmbedAll(t.Context(), nil); err != nil || len(v) != 0 {
		t.Errorf("no texts gave %d vectors, %v", len(v), err)
	}
	_, err := e.EmbedAll(t.Context(), []string{"prison", "", "island"})
	if !errors.Is(err, ErrNoMeaning) || !strings.Contains(err.Error(), "text 1 of 3") {
		t.Errorf("error is %v, want ErrNoMeaning of text 1", err)
	}
}

func TestHandle(t *testing.T) {
	e := builtInModel(t)
	out, err := e.Handle(t.Context(), []byte(`{"text":"остров","timestamp":"2025-08-19T12:00:00Z"}`))
	if err != nil {
		t.Fatal(err)
	}
	var a Answer
	if err := json.Unmarshal(out, &a); err != nil || len(a.Embedding) != 384 || a.ModelVersion != e.ModelVersion() {
		t.Errorf("answer is %.80s, %v", out, err)
	}
	for _, tt := range []struct {
		name, message string
		err           error
	}{
		{"nothing", "", ErrBadRequest},
		{"not JSON", "text", ErrBadRequest},
		{"two values", `{"text":"остров"}{}`, ErrBadRequest},
		{"no object", `["остров"]`, ErrBadRequest},
		{"null", `null`, ErrBadRequest},
		{"no text", `{"timestamp":"2025-08-19T12:00:00Z"}`, ErrBadRequest},
		{"text is null", `{"text":null}`, ErrBadRequest},
		{"text is a number", `{"text":7}`, ErrBadRequest},
		{"bad time", `{"text":"остров","timestamp":"yesterday"}`, ErrBadRequest},
		{"too long", `{"text":"` + strings.Repeat("a", 1<<20) + `"}`, ErrBadRequest},
		{"no meaning", `{"text":""}`, ErrNoMeaning},
		{"no time", `{"text":"остров"}`, nil},
		{"more fields", `{"text":"остров","priority":9}`, nil},
		{"half a surrogate", `{"text":"остров \ud800"}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := e.Handle(t.Context(), []byte(tt.message)); !errors.Is(err, tt.err) {
				t.Errorf("error is %v, want %v", err, tt.err)
			}
		})
	}
}

// Many callers at once, for the race detector.
func TestConcurrentCalls(t *testing.T) {
	e := builtInModel(t)
	want := vector(t, e, "остров prison")
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 10 {
				a, err := e.Embed(context.Background(), "остров prison")
				if err != nil || cosine(a.Embedding, want) < 0.99999 {
					t.Errorf("vector differs, or %v", err)
				}
			}
		})
	}
	group.Wait()
}

// Close while the real model works: everyone gets a vector or ErrClosed.
func TestCloseUnderLoad(t *testing.T) {
	e, err := Open(t.Context(), Options{UnpackTo: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	first := make(chan struct{}, 1000)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for {
				_, err := e.Embed(context.Background(), "остров")
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("embed while closing: %v", err)
					return
				}
				select {
				case first <- struct{}{}:
				default:
				}
			}
		})
	}
	<-first
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	group.Wait()
	if err := e.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if _, err := e.EmbedAll(t.Context(), []string{"остров"}); !errors.Is(err, ErrClosed) {
		t.Errorf("after close the error is %v", err)
	}
}

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

func FuzzHandle(f *testing.F) {
	for _, seed := range []string{
		`{"text":"остров","timestamp":"2025-08-19T12:00:00Z"}`, `{"text":""}`, `{}`, `[`, `{"text":"[CLS]\u0000\ud800"}`,
		`{"text":"` + strings.Repeat("ё,", 600) + `"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		e := builtInModel(t)
		out, err := e.Handle(t.Context(), message)
		if err != nil {
			if !errors.Is(err, ErrBadRequest) && !errors.Is(err, ErrNoMeaning) {
				t.Fatalf("a message can only be bad or without meaning: %v", err)
			}
			return
		}
		var a Answer
		if err := json.Unmarshal(out, &a); err != nil || !isUnit(a.Embedding) {
			t.Fatalf("answer is %.80s: %v", out, err)
		}
	})
}

func BenchmarkEmbed(b *testing.B) {
	e := builtInModel(b)
	for b.Loop() {
		if _, err := e.Embed(b.Context(), "пустынная планета, спички дороже денег"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEmbedParallel(b *testing.B) {
	e := builtInModel(b)
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := e.Embed(context.Background(), "пустынная планета, спички дороже денег"); err != nil {
				b.Error(err)
			}
		}
	})
}

func vector(t testing.TB, e *Embedder, text string) []float32 {
	t.Helper()
	a, err := e.Embed(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return a.Embedding
}

func cosine(a, b []float32) float64 {
	var sum float64
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
