package catalog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"
)

// batchFilms is how many films are embedded and saved at once. The database has a
// single writer, which the ledger needs too, so a batch must be short.
const batchFilms = 32

// Embedder turns texts into vectors of one length, such as worker.Embedder.
type Embedder interface {
	EmbedAll(ctx context.Context, texts []string) ([][]float32, error)
	ModelVersion() string
}

// Report counts the films of an import. Unchanged includes shipped films that are
// replaced by an operator's version, and Embedded films that existed and had no vector
// of the model.
type Report struct {
	Added, Changed, Unchanged, Embedded int
}

// An Option changes how an import runs.
type Option func(*importing)

// WithProgress has an import call progress when it begins and after each batch, with
// how many films are done of those that were found so far to need anything. It is not
// called where none needs anything, nor twice at once.
func WithProgress(progress func(done, total int)) Option {
	return func(i *importing) { i.progress = progress }
}

// WithInFlight keeps that many calls of EmbedAll running concurrently, for a remote
// embedder. The default is 1.
func WithInFlight(calls int) Option {
	return func(i *importing) { i.inFlight = max(calls, 1) }
}

// WithMerge has an import merge films with those that are there. A film that is there
// under its id keeps what the new one lacks; one that Kassa comes with, or that is
// there under another id with the same IMDb id, only gets what it lacks.
func WithMerge() Option {
	return func(i *importing) { i.merge = true }
}

// importing is one run of an import.
type importing struct {
	store    store
	embedder Embedder
	own      bool // the films are an operator's, not shipped
	merge    bool
	progress func(done, total int)
	inFlight int
	// present gives a film of the catalogue from memory, where it is there with this
	// hash; nil where no films are in memory.
	present func(id string, hash [sha256.Size]byte) (Movie, bool)

	waiting     []item   // for a batch to be full
	underWay    []*batch // being embedded, in their order
	goroutines  sync.WaitGroup
	done, total int  // films stored, and those that were found to need anything
	completed   bool // questions can be compared with the model's vectors from now on
	report      Report
}

// batch is films that are embedded and stored together.
type batch struct {
	items    []item
	embedded chan error
}

type change int

const (
	unchanged change = iota
	added
	changed
)

// item is a film to be stored.
type item struct {
	movie   Movie
	content []byte
	hash    [sha256.Size]byte
	own     bool
	changes change
	vector  []float32
}

// Import adds an operator's films to the catalogue: new ones are added, changed ones
// are replaced, and all films of the catalogue without a vector of the embedder's model
// get one. Other films stay as they are.
//
// It works in batches, each of which is stored completely, films with their vectors, or
// not at all. After an error or a crash the previous batches are stored, and the next
// import does the rest. The Report counts what was stored. Searches continue meanwhile.
func (c *Catalogue) Import(ctx context.Context, movies []Movie, embed Embedder, options ...Option) (Report, error) {
	return c.importFilms(ctx, movies, newImporting(c.store, embed, true, options))
}

// ImportShipped adds the built-in films to the catalogue, as Import does, except that a
// film with an operator's own version stays as it is.
func (c *Catalogue) ImportShipped(ctx context.Context, embed Embedder, options ...Option) (Report, error) {
	movies, err := Shipped()
	if err != nil {
		return Report{}, err
	}
	return c.importFilms(ctx, movies, newImporting(c.store, embed, false, options))
}

func newImporting(s store, embed Embedder, own bool, options []Option) *importing {
	how := &importing{store: s, embedder: embed, own: own, progress: func(int, int) {}, inFlight: 1}
	for _, option := range options {
		option(how)
	}
	return how
}

func (c *Catalogue) importFilms(ctx context.Context, movies []Movie, how *importing) (Report, error) {
	if err := checkAll(movies); err != nil {
		return Report{}, fmt.Errorf("import films:\n%w", err)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	how.present = c.present
	report, err := how.run(ctx, listed(movies))
	if how.done > 0 || how.completed { // what was stored must be searched, even if the rest failed or ctx is over
		err = errors.Join(err, c.refresh(context.WithoutCancel(ctx)))
	}
	return report, err
}

// present gives a film from memory, where it is there with this hash.
func (c *Catalogue) present(id string, hash [sha256.Size]byte) (Movie, bool) {
	v := c.now.Load()
	if n, ok := number(v.movies, id); ok && v.hashes[n] == hash {
		return v.movies[n], true
	}
	return Movie{}, false
}

// listed gives films as an import takes them.
func listed(movies []Movie) iter.Seq2[Movie, error] {
	return func(yield func(Movie, error) bool) {
		for _, m := range movies {
			if !yield(m, nil) {
				return
			}
		}
	}
}

// lookedAtOnce is how many films are compared with the database at once.
const lookedAtOnce = 256

// run imports films, and then embeds those of the catalogue that lack a vector. None
// is being embedded any more when it returns.
func (i *importing) run(ctx context.Context, films iter.Seq2[Movie, error]) (Report, error) {
	ctx, stop := context.WithCancel(ctx)
	defer i.goroutines.Wait()
	defer stop()
	err := i.importChunks(ctx, films)
	if err == nil {
		err = i.embedRest(ctx)
	}
	if err == nil { // also if nothing had to be done: the previous process may have crashed here
		err = i.store.maintain(ctx)
	}
	if err == nil { // every film has a vector now; before, one without would be ranked too low
		i.completed, err = i.store.complete(ctx, i.embedder.ModelVersion())
	}
	if err != nil {
		return i.report, fmt.Errorf("import films: %w", err)
	}
	return i.report, nil
}

func (i *importing) importChunks(ctx context.Context, films iter.Seq2[Movie, error]) error {
	var chunk []Movie
	look := func() error {
		items, err := i.plan(ctx, chunk)
		chunk = chunk[:0]
		return errors.Join(err, i.add(ctx, items))
	}
	for m, err := range films {
		if err != nil {
			return errors.Join(err, look(), i.flush(ctx))
		}
		if chunk = append(chunk, m); len(chunk) == lookedAtOnce {
			if err := look(); err != nil {
				return err
			}
		}
	}
	if err := look(); err != nil {
		return err
	}
	return i.flush(ctx)
}

// embedRest gives a vector to the films of the catalogue that have none of the model,
// or one of other texts.
func (i *importing) embedRest(ctx context.Context) error {
	for after := ""; ; {
		page, err := i.store.after(ctx, i.embedder.ModelVersion(), after, lookedAtOnce)
		if err != nil || len(page) == 0 {
			return errors.Join(err, i.flush(ctx))
		}
		after = page[len(page)-1].id
		if err := i.addLacking(ctx, page); err != nil {
			return err
		}
	}
}

// addLacking adds those films of a page whose vector is not of their texts.
func (i *importing) addLacking(ctx context.Context, page []known) error {
	movies := make(map[string]Movie, len(page))
	var ids []string // of films that are not in memory
	for _, k := range page {
		if i.present != nil {
			if m, ok := i.present(k.id, k.hash); ok {
				movies[k.id] = m
				continue
			}
		}
		ids = append(ids, k.id)
	}
	read, err := i.store.films(ctx, ids, nil)
	if err != nil {
		return err
	}
	for _, m := range read {
		movies[m.ID] = m.Movie
	}
	var items []item
	for _, k := range page {
		if m, ok := movies[k.id]; ok && k.texts != m.textsHash() {
			items = append(items, item{movie: m, hash: k.hash})
		}
	}
	return i.add(ctx, items)
}

// add takes films in, and begins the batches that are full.
func (i *importing) add(ctx context.Context, items []item) error {
	if len(items) > 0 && i.total == 0 {
		i.progress(0, len(items))
	}
	i.total += len(items)
	i.waiting = append(i.waiting, items...)
	for len(i.waiting) >= batchFilms {
		if err := i.begin(ctx, i.waiting[:batchFilms]); err != nil {
			return err
		}
		i.waiting = i.waiting[batchFilms:]
	}
	return nil
}

// begin has a batch embedded. As many as inFlight are at once, and the one that was
// begun first is stored first.
func (i *importing) begin(ctx context.Context, items []item) error {
	if len(i.underWay) == i.inFlight {
		if err := i.finish(ctx); err != nil {
			return err
		}
	}
	b := &batch{slices.Clone(items), make(chan error, 1)}
	i.underWay = append(i.underWay, b)
	i.goroutines.Go(func() { b.embedded <- i.embed(ctx, b.items) })
	return nil
}

// finish stores the batch that was begun first.
func (i *importing) finish(ctx context.Context) error {
	b := i.underWay[0]
	i.underWay = i.underWay[1:]
	if err := <-b.embedded; err != nil {
		return err
	}
	if err := i.store.save(ctx, i.embedder.ModelVersion(), b.items, time.Now()); err != nil {
		return err
	}
	i.report.count(b.items)
	i.done += len(b.items)
	i.progress(i.done, i.total)
	return nil
}

// flush stores what is waiting and under way.
func (i *importing) flush(ctx context.Context) error {
	if len(i.waiting) > 0 {
		if err := i.begin(ctx, i.waiting); err != nil {
			return err
		}
		i.waiting = nil
	}
	for len(i.underWay) > 0 {
		if err := i.finish(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Remove deletes films from the catalogue, and returns how many there were.
func (c *Catalogue) Remove(ctx context.Context, ids ...string) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	n, err := c.store.remove(ctx, ids)
	if err != nil {
		return 0, fmt.Errorf("remove films: %w", err)
	}
	return n, c.refresh(context.WithoutCancel(ctx))
}

// checkAll holds films that came from anywhere to the rules of the files.
func checkAll(movies []Movie) error {
	var problems Problems
	seen := make(map[string]bool)
	for i, m := range movies {
		wrong := func(field, what string) {
			problems.add(Problem{Movie: Abridge(m.ID), Field: field, What: fmt.Sprintf("%s (film %d of %d)", what, i+1, len(movies))})
		}
		m.validate(wrong)
		if seen[m.ID] {
			wrong("id", "is given twice")
		}
		seen[m.ID] = true
	}
	return problems.err()
}

// embed computes the vector of each film of a batch.
func (i *importing) embed(ctx context.Context, batch []item) error {
	model := i.embedder.ModelVersion()
	var texts []string
	for n := range batch {
		it := &batch[n]
		var made bool
		if it.vector, made = shippedVectors().vector(model, it.movie); !made {
			texts = append(texts, EmbeddingTexts(it.movie)...)
		}
	}
	if len(texts) == 0 {
		return nil
	}
	vectors, err := i.embedder.EmbedAll(ctx, texts)
	if err != nil {
		return fmt.Errorf("embed films %s to %s: %w", batch[0].movie.ID, batch[len(batch)-1].movie.ID, err)
	}
	if len(vectors) != len(texts) {
		return fmt.Errorf("embed films: %d texts gave %d vectors", len(texts), len(vectors))
	}
	dims := len(vectors[0])
	for n := range batch {
		it := &batch[n]
		if it.vector != nil {
			continue
		}
		own := len(EmbeddingTexts(it.movie))
		it.vector, err = mean(vectors[:own])
		if vectors = vectors[own:]; err != nil {
			return fmt.Errorf("embed film %s: %w", it.movie.ID, err)
		}
		if len(it.vector) != dims {
			return wrongWidth(*it, model, dims)
		}
	}
	return nil
}

// count counts the films of a stored batch.
func (r *Report) count(batch []item) {
	for _, it := range batch {
		switch it.changes {
		case added:
			r.Added++
		case changed:
			r.Changed++
		}
		r.Embedded++
	}
}
