package worker

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// A text that comes again within a while is answered from memory, with a vector
// that is the caller's own; later, or when it is very long, it is embedded again.
func TestTheSameTextAgain(t *testing.T) {
	e, err := Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := e.Embed(t.Context(), "a ship in the ice")
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(first.Embedding)
	first.Embedding[0] = 7 // a caller may do what it likes with its answer
	if _, err := e.Embed(t.Context(), strings.Repeat("a ship in the ice ", recentBytes)); err != nil {
		t.Fatal(err)
	}
	if n := e.recent.Len(); n != 1 {
		t.Errorf("%d texts are remembered", n)
	}
	now := time.Now()
	if again, ok := e.recall("a ship in the ice", now); !ok || !slices.Equal(again, want) {
		t.Errorf("the same text again: %t", ok)
	}
	if _, ok := e.recall("a ship in the ice", now.Add(recentFor+time.Second)); ok {
		t.Error("it is remembered for ever")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Embed(t.Context(), "a ship in the ice"); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed embedder answers: %v", err)
	}
}
