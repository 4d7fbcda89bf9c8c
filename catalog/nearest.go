package catalog

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"kassa/catalog/question"
)

// Query is a search.
type Query struct {
	Text   string
	Typed  string    // the whole question, before anything was corrected in it; "": Text
	Model  string    // of Vector
	Vector []float32 // of Text; nil if the model has none for it: then only words count
	Limit  int       // number of films; 0: 10
	// Conditions are what the films should meet; Text does not contain their words.
	Conditions []question.Filter
	Excluded   []string // ids of films that are not to be found
	// Weights are set in measurements; nil: DefaultWeights, with what the vectors of the
	// model count here (Weigh).
	Weights *Weights
}

// Match is a film and how well it fits, from 0 to 1.
type Match struct {
	MovieID string
	Score   float64
}

const limitDefault = 10

// Weights are the weights of the score's parts, relative to the words, whose weight is
// 1.
type Weights struct {
	Synonyms float64 // an occurrence of a word of the same group
	Related  float64 // an occurrence of a related word, where it means the same; less where it is less close
	Letters  float64 // the cosine of letter n-grams
	Vectors  float64 // the cosine of vectors
}

// DefaultWeights were fitted to the tuning questions.
var DefaultWeights = Weights{Synonyms: 0.25, Related: 0.3, Letters: 0.2, Vectors: 0.3}

// Nearest returns the films that fit a query best, best first; equal scores are ordered
// by id.
//
// The score of a film is
//
//	fit + (1 - fit) · naming,  with  fit = (words + 0.2 · letters + 0.3 · meaning) / 1.5
//
// words is the share of the question's words that the film has in any of its texts:
// rare words count more than frequent ones (inverse document frequency), words of a
// title, name or keyword more than those of a description, and repeated words more than
// single ones (BM25F over stems); words of the same lexicon group, and words that are
// related, count as a fraction of the word itself, in both languages. letters is the cosine of the n-grams of three
// to five letters, meaning that of the vectors. naming is 1 if the question is a title
// of the film, 0 if no title of it is in the question, and else the square of the share
// of the question's words that are in its names, less for a title that is one common
// word.
//
// So 1 means that the film was named, and descriptions from memory reach some 0.3 to
// 0.6. Scores of different models cannot be compared.
//
// Errors: ErrModel, ErrVector, the end of ctx, and those of the database.
func (c *Catalogue) Nearest(ctx context.Context, q Query) ([]Match, error) {
	_, matches, err := c.rank(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("find films: %w", err)
	}
	return matches, nil
}

// Find is Nearest with the confidence in its first film, and only with films that have
// a score, or are the first.
func (c *Catalogue) Find(ctx context.Context, q Query) (Found, error) {
	found, faults := c.FindAll(ctx, []Query{q})
	return found[0], faults[0]
}

// FindAll is Find for queries that are asked at once: the database is asked for all their
// vectors together. Each has an answer or an error of its own.
func (c *Catalogue) FindAll(ctx context.Context, queries []Query) ([]Found, []error) {
	found, faults := make([]Found, len(queries)), make([]error, len(queries))
	for i, r := range c.rankAll(ctx, queries) {
		if r.err != nil {
			faults[i] = fmt.Errorf("find films: %w", r.err)
			continue
		}
		matches := r.found
		for len(matches) > 1 && matches[len(matches)-1].Score == 0 {
			matches = matches[:len(matches)-1]
		}
		found[i] = Found{matches, r.confidence(r.found)}
	}
	return found, faults
}

func (c *Catalogue) rank(ctx context.Context, q Query) (*ranking, []Match, error) {
	r := c.rankAll(ctx, []Query{q})[0]
	return r.ranking, r.found, r.err
}

// ranked is a query on its way to its films.
type ranked struct {
	*ranking
	vectors   vectors   // nil where the query has no vector
	direction []float32 // the query's
	near      similarities
	found     []Match
	err       error
}

func (c *Catalogue) rankAll(ctx context.Context, queries []Query) []*ranked {
	all := make([]*ranked, len(queries))
	together := map[vectors][]*ranked{}
	inParallel(len(queries), func(i int) { all[i] = c.prepare(ctx, queries[i]) })
	for _, r := range all {
		if r.err == nil && r.vectors != nil {
			together[r.vectors] = append(together[r.vectors], r)
		}
	}
	for v, list := range together {
		askNearest(ctx, v, list)
	}
	inParallel(len(queries), func(i int) {
		if r := all[i]; r.err == nil {
			r.ranking.near = r.near.of
			r.err = r.choose(ctx, r.near)
			r.found = r.matches(r.limit)
		}
	})
	return all
}

// askNearest asks once for the similarities of all.
func askNearest(ctx context.Context, v vectors, list []*ranked) {
	directions, limit := make([][]float32, len(list)), 0
	for i, r := range list {
		directions[i], limit = r.direction, max(limit, r.best.limit+len(r.excluded))
	}
	near, err := v.nearest(ctx, directions, limit)
	for i, r := range list {
		if r.err = err; err == nil {
			r.near = near[i]
		}
	}
}

// inParallel calls fn for each index, on all cores where there are several.
func inParallel(n int, fn func(i int)) {
	if n == 1 {
		fn(0)
		return
	}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		group.Go(func() error { fn(i); return nil })
	}
	_ = group.Wait() // nothing fails
}

// prepare scores all films by the words of a query.
func (c *Catalogue) prepare(ctx context.Context, q Query) *ranked {
	if err := ctx.Err(); err != nil {
		return &ranked{err: err}
	}
	v, vectors, err := c.viewFor(ctx, q)
	if err != nil {
		return &ranked{err: err}
	}
	if q.Limit <= 0 {
		q.Limit = limitDefault
	}
	q.Limit = min(q.Limit, len(v.movies))
	r := &ranking{view: v, weights: v.weightsFor(q.Model), factors: v.factors(q.Conditions), asked: v.index.ask(q.Text), text: q.Text, typed: cmp.Or(q.Typed, q.Text), limit: q.Limit,
		conditions: slices.ContainsFunc(q.Conditions, func(c question.Filter) bool { return !c.Not })}
	r.series = slices.ContainsFunc(q.Conditions, func(c question.Filter) bool { return c.Field == question.Series && !c.Not })
	if q.Weights != nil {
		r.weights = *q.Weights
	}
	for _, id := range q.Excluded {
		if film, ok := number(v.movies, id); ok {
			r.excluded = append(r.excluded, film)
		}
	}
	r.best = newBest(max(q.Limit+spare(q.Limit), fieldFilms), len(v.movies))
	r.lexical = v.index.score(r.asked, r.weights)
	if text := v.likeText(q.Conditions); text != "" {
		v.scoreLike(text, r.weights, r.lexical)
	}
	out := &ranked{ranking: r, vectors: vectors, near: similarities{of: make([]float32, len(v.movies))}}
	if vectors == nil {
		r.weights.Vectors = 0
		return out
	}
	out.direction, out.err = unit(q.Vector)
	return out
}

// viewFor returns the view for a query, and the vectors of its model; nil if the query
// has none.
func (c *Catalogue) viewFor(ctx context.Context, q Query) (*view, vectors, error) {
	v := c.now.Load()
	if q.Vector == nil && q.Model == "" {
		return v, nil, nil
	}
	if !v.finished[q.Model] { // it may have been imported a moment ago, by another process
		if err := c.catchUp(ctx); err != nil {
			return nil, nil, err
		}
		if v = c.now.Load(); !v.finished[q.Model] {
			return nil, nil, fmt.Errorf("%w: %q", ErrModel, q.Model)
		}
	}
	vectors, ok := v.vectors[q.Model]
	if !ok { // no film is left that has one
		return v, nil, nil
	}
	if len(q.Vector) != vectors.dims() {
		return nil, nil, fmt.Errorf("%w: it has %d numbers, those of the model have %d", ErrVector, len(q.Vector), vectors.dims())
	}
	return v, vectors, nil
}

// similarities are those of a view's films to a query vector, by the films' numbers.
type similarities struct {
	of []float32 // unknown if it was not computed
	// least is that of the least similar film that was found, where not all were looked for.
	least float32
	// rest computes those of some films; it is nil if none is unknown.
	rest func(ctx context.Context, films []int) error
}

// unknown is less than any similarity, and is scored as none.
const unknown = -2

// restAtOnce is how many films' similarities are looked for beside those that the search
// by vectors found.
const restAtOnce = 256

// ranking is one search.
type ranking struct {
	*view
	weights Weights
	factors []float32 // by which conditions lower the scores; nil: none does
	asked   asked
	series  bool // a condition asks for a series
	lexical []lexicalScore
	near    []float32 // similarity of vectors, by film
	text    string
	typed   string
	// conditions reports that the question has a condition that films must meet, and not only one that they must not.
	conditions bool
	excluded   []int // films that are not to be found
	best       *best
	limit      int // films wanted
}

// choose offers all films that may be among the best. Those that are not among the
// nearest can still be, by their words. A search by index has no bound on what it did
// not find: then those that are best by their words are looked at, as many as restAtOnce.
func (r *ranking) choose(ctx context.Context, near similarities) error {
	for film, similarity := range near.of {
		if similarity != unknown {
			r.offer(film, similarity)
		}
	}
	if near.rest == nil {
		return nil
	}
	var hopeful []candidate // with their maximum possible score
	for film, similarity := range near.of {
		if similarity != unknown || slices.Contains(r.excluded, film) {
			continue
		}
		if c := r.candidate(film, max(near.least, 0)); r.best.wants(c) {
			hopeful = append(hopeful, c)
		}
	}
	if len(hopeful) == 0 {
		return nil
	}
	slices.SortFunc(hopeful, bestFirst)
	films := make([]int, min(restAtOnce, len(hopeful)))
	for i := range films {
		films[i] = hopeful[i].film
	}
	if err := near.rest(ctx, films); err != nil {
		return err
	}
	for _, film := range films {
		r.offer(film, near.of[film])
	}
	return nil
}

func (r *ranking) offer(film int, similarity float32) {
	if slices.Contains(r.excluded, film) {
		return
	}
	if c := r.candidate(film, similarity); r.best.wants(c) {
		r.best.offer(c)
	}
}

// candidate scores a film. Scores are rounded, so that they read well and the last bits
// of a sum, which differ between processors, have no effect.
func (r *ranking) candidate(film int, similarity float32) candidate {
	w, l := r.weights, r.lexical[film]
	meaning := max(float64(similarity), 0)
	fit := (float64(l.words) + w.Letters*float64(l.letters) + w.Vectors*meaning) / (1 + w.Letters + w.Vectors)
	if len(r.asked.all) == 0 && w.Vectors > 0 { // no words: only the vector counts
		fit = meaning
	}
	fit = min(fit, 1)
	score := fit + (1-fit)*float64(l.naming)
	if r.factors != nil {
		score = float64(r.factors[film]) * (conditionPart + (1-conditionPart)*score)
	}
	return candidate{film: film, score: rounded(score), fit: rounded(fit)}
}

func rounded(score float64) float64 { return math.Round(min(score, 1)*1e4) / 1e4 }

// Explain returns, for each film, the words of a query that are in its texts, as typed,
// the rarest first, at most six. None means that the film matches only by meaning. The
// query is read once for all films.
func (c *Catalogue) Explain(text string, movieIDs ...string) [][]string {
	v := c.now.Load()
	asked := v.index.ask(v.question(text).Whole)
	typed := make([][]string, len(movieIDs))
	for i, id := range movieIDs {
		if film, ok := number(v.movies, id); ok {
			typed[i] = v.index.explain(asked, int32(film))
		}
	}
	return typed
}

// best keeps the films with the highest scores, the worst of them on top.
type best struct {
	limit int
	list  []candidate
}

type candidate struct {
	film  int
	score float64
	fit   float64 // without the title: decides between films of the same title
}

// worse reports whether a comes after b. Films are numbered by id.
func worse(a, b candidate) bool { return bestFirst(a, b) > 0 }

func bestFirst(a, b candidate) int {
	return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.fit, a.fit), cmp.Compare(a.film, b.film))
}

func newBest(limit, films int) *best {
	limit = min(limit, films)
	return &best{limit, make([]candidate, 0, limit)}
}

// wants reports whether a candidate would be accepted.
func (b *best) wants(c candidate) bool {
	return len(b.list) < b.limit || b.limit > 0 && worse(b.list[0], c)
}

func (b *best) offer(c candidate) {
	switch {
	case !b.wants(c):
	case len(b.list) < b.limit:
		heap.Push(b, c)
	default:
		b.list[0] = c
		heap.Fix(b, 0)
	}
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
