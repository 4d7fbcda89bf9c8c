package worker

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
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
	long, err := e.fit("", strings.Repeat("тюрьма, остров! ", 100_000))
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
	answers, faults := Models{e}.Handle(t.Context(), [][]byte{[]byte(`{"text":"остров","timestamp":"2025-08-19T12:00:00Z"}`)})
	out, err := answers[0], faults[0]
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
			good := []byte(`{"text":"тюрьма"}`)
			answers, faults := Models{e}.Handle(t.Context(), [][]byte{good, []byte(tt.message), good})
			if !errors.Is(faults[1], tt.err) {
				t.Errorf("error is %v, want %v", faults[1], tt.err)
			}
			if faults[0] != nil || faults[2] != nil || len(answers[0]) == 0 || len(answers[2]) == 0 {
				t.Errorf("good requests beside it fail: %v, %v", faults[0], faults[2])
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
