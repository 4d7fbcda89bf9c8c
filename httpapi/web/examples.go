package web

import (
	"sync"

	"kassa/catalog"
	"kassa/domain"
)

// examplesAnswered is how many example questions the landing page answers, and
// exampleFilms how many films each answer has.
const (
	examplesAnswered = 3
	exampleFilms     = 3
)

// example is an example question with its answer.
type example struct {
	Question string
	Films    []film
}

// exampleAnswers are the answers to the example questions by language. They are found in
// the catalogue by the words of the questions, without a worker, and kept until the
// catalogue changes.
type exampleAnswers struct {
	mu      sync.Mutex
	version string // of the catalogue
	found   map[string][]example
}

// answered are the example questions of the page's language with their answers.
func (pc *pageContext) answered() ([]example, error) {
	e, films := &pc.pages.examples, pc.pages.Films
	e.mu.Lock()
	defer e.mu.Unlock()
	if version := films.Version(); version != e.version {
		e.version, e.found = version, map[string][]example{}
	}
	if list, ok := e.found[pc.Code]; ok {
		return list, nil
	}
	var list []example
	for _, key := range exampleKeys[:examplesAnswered] {
		text := pc.T(key)
		q := films.Read(text)
		found, err := films.Find(pc.r.Context(), catalog.Query{Text: q.Text, Typed: text, Conditions: q.Filters, Limit: exampleFilms})
		if err != nil {
			return nil, err
		}
		list = append(list, example{text, pc.cards(text, matchesOf(found.Matches))})
	}
	e.found[pc.Code] = list
	return list, nil
}

// matchesOf are films that were found, as an answer of the ledger has them.
func matchesOf(found []catalog.Match) (matches []domain.Match) {
	for _, m := range found {
		matches = append(matches, domain.Match{MovieID: m.MovieID, Score: m.Score})
	}
	return matches
}
