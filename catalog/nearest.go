package catalog

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"math"
	"slices"
)

// Query is what somebody asks for. Vector is that of Text, of the model named.
type Query struct {
	Model  string
	Vector []float32
	Text   string
	Limit  int // films wanted; 0: 10
}

// Match is a film and how well it fits, from 0 to 1.
type Match struct {
	MovieID string
	Score   float64
}

const (
	limitDefault = 10
	// wordingPart is what the words themselves weigh beside their meaning. It is
	// small: the model knows the words, too, and the names less well.
	wordingPart = 0.3
)

// Nearest returns the films that fit a query best, best first, those of one
// score by id.
//
// The score of a film is
//
//	fit + (1 - fit) · naming,  with  fit = (meaning + 0.3 · wording) / 1.3
//
// meaning is the cosine between the vectors of the query and the film, 0 where
// it is negative. wording is the share of the query's words that the film has
// in any of its texts: rare words count more than frequent ones (inverse
// document frequency), words of a title, name or keyword more than those of a
// description, and a word that stands often more than one that stands once
// (BM25F). naming is 1 if the query is a title of the film, 0 if no title of
// it stands in the query, and else the square of the share of the query's
// words that are in the title, the people's names and the year, so that "the
// matrix with keanu reeves" is sure of its film, and a title of one word in a
// long sentence hardly matters.
//
// So 1 means the film was asked for by name, and what people tell of a film
// from memory gives some 0.3 to 0.6. Scores of different models do not compare.
//
// Errors: ErrModel, ErrVector, the end of ctx, and that of a database that is asked.
func (c *Catalogue) Nearest(ctx context.Context, q Query) ([]Match, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("find films: %w", err)
	}
	v := c.now.Load()
	vectors, ok := v.vectors[q.Model]
	if !ok { // it may have been imported a moment ago, by another process
		if err := c.catchUp(ctx); err != nil {
			return nil, fmt.Errorf("find films: %w", err)
		}
		v = c.now.Load()
		if vectors, ok = v.vectors[q.Model]; !ok {
			return nil, fmt.Errorf("find films: %w: %q", ErrModel, q.Model)
		}
	}
	if len(q.Vector) != vectors.dims() {
		return nil, fmt.Errorf("find films: %w: it has %d numbers, those of the model have %d", ErrVector, len(q.Vector), vectors.dims())
	}
	vector, err := unit(q.Vector)
	if err != nil {
		return nil, fmt.Errorf("find films: %w", err)
	}
	if q.Limit <= 0 {
		q.Limit = limitDefault
	}
	best := newBest(q.Limit, len(v.movies))
	near, err := vectors.nearest(ctx, vector, best.limit)
	if err == nil {
		err = best.choose(ctx, near, v.wording.weigh(v.wording.ask(q.Text)))
	}
	if err != nil {
		return nil, fmt.Errorf("find films: %w", err)
	}
	return best.matches(v.movies), nil
}

// similarities are those of the films of a view to what was asked, by their
// numbers.
type similarities struct {
	of    []float32 // unknown where it was not looked for
	least float32   // no film that is unknown is more similar
	// rest looks for those of some films; it is nil where none is unknown.
	rest func(ctx context.Context, films []int) error
}

// unknown is less than any similarity, and counts as none.
const unknown = -2

// restAtOnce is how many films' similarities are looked for at once.
const restAtOnce = 256

// choose offers all films that may be among the best. Those that are not among the
// nearest can still be, by their words: their similarity is looked for as long as
// the least of the nearest, in its place, would let them in. So the choice is that
// of a look at every film.
func (b *best) choose(ctx context.Context, near similarities, evidences []evidence) error {
	for i, meaning := range near.of {
		if meaning != unknown || near.least <= 0 {
			b.offer(i, score(meaning, evidences[i]))
		}
	}
	if near.rest == nil || near.least <= 0 {
		return nil
	}
	var hopeful []candidate // with the score that they have at most
	for i, meaning := range near.of {
		if c := (candidate{i, score(near.least, evidences[i])}); meaning == unknown && b.wants(c) {
			hopeful = append(hopeful, c)
		}
	}
	slices.SortFunc(hopeful, bestFirst)
	for part := range slices.Chunk(hopeful, restAtOnce) {
		if !b.wants(part[0]) {
			return nil
		}
		films := make([]int, len(part))
		for i, c := range part {
			films[i] = c.film
		}
		if err := near.rest(ctx, films); err != nil {
			return err
		}
		for _, film := range films {
			b.offer(film, score(near.of[film], evidences[film]))
		}
	}
	return nil
}

// score is rounded, so that it reads well, and the last bits of a sum, which
// differ between processors, decide nothing.
func score(meaning float32, e evidence) float64 {
	fit := (max(float64(meaning), 0) + wordingPart*float64(e.wording)) / (1 + wordingPart)
	s := fit + (1-fit)*float64(e.naming)
	return math.Round(min(s, 1)*1e4) / 1e4
}

// Explain returns the words of a query that a film has in its texts, as they
// were typed, the most telling first, at most six. None means that the film
// fits by meaning only.
func (c *Catalogue) Explain(text, movieID string) []string {
	v := c.now.Load()
	i, ok := number(v.movies, movieID)
	if !ok {
		return nil
	}
	return v.wording.explain(text, int32(i))
}

// best keeps the films of the highest scores, the worst of them on top.
type best struct {
	limit int
	list  []candidate
}

type candidate struct {
	film  int
	score float64
}

// worse tells whether a comes after b. Films are numbered by id.
func worse(a, b candidate) bool {
	return a.score < b.score || a.score == b.score && a.film > b.film
}

func bestFirst(a, b candidate) int {
	return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.film, b.film))
}

func newBest(limit, films int) *best {
	limit = min(limit, films)
	return &best{limit, make([]candidate, 0, limit)}
}

// wants tells whether a candidate would be taken.
func (b *best) wants(c candidate) bool {
	return len(b.list) < b.limit || b.limit > 0 && worse(b.list[0], c)
}

func (b *best) offer(film int, score float64) {
	switch c := (candidate{film, score}); {
	case !b.wants(c):
	case len(b.list) < b.limit:
		heap.Push(b, c)
	default:
		b.list[0] = c
		heap.Fix(b, 0)
	}
}

func (b *best) matches(movies []Movie) []Match {
	slices.SortFunc(b.list, bestFirst)
	out := make([]Match, len(b.list))
	for i, c := range b.list {
		out[i] = Match{movies[c.film].ID, c.score}
	}
	return out
}

func (b *best) Len() int           { return len(b.list) }
func (b *best) Less(i, j int) bool { return worse(b.list[i], b.list[j]) }
func (b *best) Swap(i, j int)      { b.list[i], b.list[j] = b.list[j], b.list[i] }
func (b *best) Push(x any)         { b.list = append(b.list, x.(candidate)) }
func (b *best) Pop() any {
	last := b.list[len(b.list)-1]
	b.list = b.list[:len(b.list)-1]
	return last
}
