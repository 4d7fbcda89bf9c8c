package eval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"kassa/catalog"
	"kassa/catalog/judged"
)

// Depth is how many films of an answer are judged. Later ones count as not found.
const Depth = 100

// System is a measured way of finding films. Answer returns the found films for each
// text, best first.
type System struct {
	Name   string
	Answer func(ctx context.Context, texts []string) ([]catalog.Found, error)
}

// errUnavailable means that a system cannot be measured here; the others can.
var errUnavailable = errors.New("not available")

// OneByOne is a system that answers one text at a time.
func OneByOne(name string, find func(ctx context.Context, text string) (catalog.Found, error)) System {
	return System{name, func(ctx context.Context, texts []string) ([]catalog.Found, error) {
		all := make([]catalog.Found, len(texts))
		for i, text := range texts {
			var err error
			if all[i], err = find(ctx, text); err != nil {
				return nil, fmt.Errorf("answer %q: %w", text, err)
			}
		}
		return all, nil
	}}
}

// ask returns the judged results of a system.
func (s System) ask(ctx context.Context, questions []judged.Question) ([]result, error) {
	texts := make([]string, len(questions))
	for i, q := range questions {
		texts[i] = q.Text
	}
	found, err := s.Answer(ctx, texts)
	if err != nil {
		return nil, fmt.Errorf("measure %s: %w", s.Name, err)
	}
	results := make([]result, len(questions))
	for i := range questions {
		results[i] = judge(&questions[i], found[i])
	}
	return results, nil
}

// scored is a baseline that scores each film. A film with score 0 is not found, and
// films with equal scores are ordered by id.
func scored(name string, movies []catalog.Movie, scores func(text string) []float64) System {
	return OneByOne(name, func(_ context.Context, text string) (catalog.Found, error) {
		var matches []catalog.Match
		for i, score := range scores(text) {
			if score > 0 {
				matches = append(matches, catalog.Match{MovieID: movies[i].ID, Score: score})
			}
		}
		slices.SortFunc(matches, func(a, b catalog.Match) int {
			return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.MovieID, b.MovieID))
		})
		return catalog.Found{Matches: matches[:min(Depth, len(matches))]}, nil
	})
}
