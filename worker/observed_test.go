package worker

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestLanguage(t *testing.T) {
	for text, want := range map[string]string{"фильм про кита": "ru", "a whale": "en", "Матрица, a film of machines": "en", "кит 1998 whale в море": "ru", "鯨の映画": "other", "1998 !": "other", "": "other"} {
		if got := Language(text); got != want || !slices.Contains(Languages, got) {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

// recorder notes what it is told.
type recorder []string

func (r *recorder) Text(language string, remembered bool) {
	*r = append(*r, fmt.Sprint(language, " ", remembered))
}

func (r *recorder) Inference(texts int, took time.Duration) {
	*r = append(*r, fmt.Sprint(texts, " ", took > 0))
}

// A text is reported when it comes, and an inference when it was needed.
func TestObservedEmbedder(t *testing.T) {
	e, err := Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var seen recorder
	e.Observe(&seen)
	for range 2 {
		if _, err := e.Embed(t.Context(), "a ship in the ice"); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil { // and no goroutine of it reports any more
		t.Fatal(err)
	}
	if want := (recorder{"en false", "1 true", "en true"}); !slices.Equal(seen, want) {
		t.Errorf("reported was %q, want %q", seen, want)
	}
}
