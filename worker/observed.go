package worker

import (
	"time"
	"unicode"
)

// Observer is told what an embedder does, for metrics. Its methods must not wait.
type Observer interface {
	// Text: a text is to be embedded; remembered ones need no inference.
	Text(language string, remembered bool)
	// Inference: so many texts went through the model together.
	Inference(texts int, took time.Duration)
}

// Observe replaces the observer.
func (e *Embedder) Observe(o Observer) { e.observer.Store(&o) }

func (e *Embedder) observed(text string, remembered bool) {
	if o := e.observer.Load(); o != nil {
		(*o).Text(Language(text), remembered)
	}
}

func (e *Embedder) observedInfer(texts []string) ([][]float32, error) {
	began := time.Now()
	vectors, err := e.infer(texts)
	if o := e.observer.Load(); o != nil {
		(*o).Inference(len(texts), time.Since(began))
	}
	return vectors, err
}

// Languages are the answers of Language.
var Languages = []string{"ru", "en", "other"}

// Language guesses the language of a text by the script of its first letters: a count for
// metrics, and no more.
func Language(text string) string {
	cyrillic, latin, seen := 0, 0, 0
	for _, r := range text {
		switch {
		case unicode.Is(unicode.Cyrillic, r):
			cyrillic++
		case unicode.Is(unicode.Latin, r):
			latin++
		case !unicode.IsLetter(r):
			continue
		}
		if seen++; seen == 64 {
			break
		}
	}
	switch {
	case cyrillic > seen/2:
		return "ru"
	case latin > seen/2:
		return "en"
	}
	return "other"
}
