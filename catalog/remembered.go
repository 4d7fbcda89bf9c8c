package catalog

import (
	lru "github.com/hashicorp/golang-lru/v2"

	"kassa/catalog/question"
	"kassa/catalog/words"
)

// How much a view remembers, in memory only. A question is read for the worker, for the
// ranking and for what its answer shows; its words cost more than the ranking.
const (
	questionsRead  = 1024 // some kilobytes each
	questionBytes  = 4096 // of a text that is remembered
	filmsWithParts = 1024 // of which the passages are remembered, some 12 KB each
)

// remembered is what was computed from the films of a view, and is the same whenever it is
// computed again.
type remembered struct {
	questions *lru.Cache[string, question.Question]
	passages  *lru.Cache[int, passages] // by film
}

func newRemembered() remembered {
	questions, err := lru.New[string, question.Question](questionsRead)
	passages, err2 := lru.New[int, passages](filmsWithParts)
	if err != nil || err2 != nil {
		panic("a cache of size zero") // the sizes are constants above zero
	}
	return remembered{questions, passages}
}

// question reads a text with the words of the view. Its lists are shared: read only.
func (v *view) question(text string) question.Question {
	if q, ok := v.remembered.questions.Get(text); ok {
		return q
	}
	q := question.Read(text, v.vocabulary())
	if len(text) <= questionBytes {
		v.remembered.questions.Add(text, q)
	}
	return q
}

// passages are the texts of a film.
func (v *view) passages(film int) passages {
	if p, ok := v.remembered.passages.Get(film); ok {
		return p
	}
	p := v.movies[film].passages(words.NewCutter())
	v.remembered.passages.Add(film, p)
	return p
}
