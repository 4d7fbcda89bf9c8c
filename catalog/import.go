package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// batchFilms is how many films are embedded and saved at once. The database
// has one writer, which the ledger needs too: a batch must be short.
const batchFilms = 32

// Embedder turns texts into vectors of one length; worker.Embedder is one.
type Embedder interface {
	EmbedAll(ctx context.Context, texts []string) ([][]float32, error)
	ModelVersion() string
}

// Report counts what an import did with its films. Unchanged also counts shipped
// films that stand back behind somebody's own version, and Embedded films that
// were there before and had no vector of the model.
type Report struct {
	Added, Changed, Unchanged, Embedded int
}

// An Option says how an import goes.
type Option func(*importing)

// WithProgress has an import tell how many films are done of those that need
// anything: none when it begins, and so on after each batch. It is not called
// where none needs anything, nor twice at once.
func WithProgress(progress func(done, total int)) Option {
	return func(i *importing) { i.progress = progress }
}

// WithInFlight has an import keep that many calls of EmbedAll under way at once,
// which an embedder far away needs to be busy. The default is 1.
func WithInFlight(calls int) Option {
	return func(i *importing) { i.inFlight = max(calls, 1) }
}

// importing is one run of an import.
type importing struct {
	embedder Embedder
	own      bool // the films are somebody's own, not shipped
	progress func(done, total int)
	inFlight int
}

type change int

const (
	unchanged change = iota
	added
	changed
)

// item is a film on its way into the database.
type item struct {
	movie   Movie
	content []byte
	hash    [sha256.Size]byte
	own     bool
	changes change
	vector  []float32
}

// Import brings somebody's own films into the catalogue: new ones are added, those
// that changed are replaced, and all films of the catalogue that have no vector of
// the embedder's model get one. Films that are not given stay as they are.
//
// It goes in batches, each of which is stored whole, films with their vectors,
// or not at all. After an error or a crash the films of the batches before are
// there, and the next import does the rest. The Report tells what was stored.
// Searches go on meanwhile.
func (c *Catalogue) Import(ctx context.Context, movies []Movie, embed Embedder, options ...Option) (Report, error) {
	return c.bring(ctx, movies, newImporting(embed, true, options))
}

// ImportShipped brings the films that are part of the program into the catalogue,
// as Import does, but for one thing: a film of which somebody has imported a
// version of their own, with other content, stays theirs.
func (c *Catalogue) ImportShipped(ctx context.Context, embed Embedder, options ...Option) (Report, error) {
	movies, err := Shipped()
	if err != nil {
		return Report{}, err
	}
	return c.bring(ctx, movies, newImporting(embed, false, options))
}

func newImporting(embed Embedder, own bool, options []Option) importing {
	how := importing{embedder: embed, own: own, progress: func(int, int) {}, inFlight: 1}
	for _, option := range options {
		option(&how)
	}
	return how
}

func (c *Catalogue) bring(ctx context.Context, movies []Movie, how importing) (Report, error) {
	if err := checkAll(movies); err != nil {
		return Report{}, fmt.Errorf("import films:\n%w", err)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	items, report, err := c.plan(ctx, movies, how)
	if err != nil {
		return Report{}, fmt.Errorf("import films: %w", err)
	}
	if len(items) > 0 {
		err = c.importBatches(ctx, items, how, &report)
		// What was stored must be searched, even if the rest failed or ctx is over.
		err = errors.Join(err, c.refresh(context.WithoutCancel(ctx)))
	}
	if err == nil { // also where nothing was to be done: the process before may have died here
		err = c.store.tend(ctx)
	}
	if err != nil {
		return report, fmt.Errorf("import films: %w", err)
	}
	return report, nil
}

// importBatches embeds several batches at once, and stores them in their order.
// None is being embedded any more when it returns.
func (c *Catalogue) importBatches(ctx context.Context, items []item, how importing, report *Report) error {
	ctx, stop := context.WithCancel(ctx)
	var underWay sync.WaitGroup
	defer underWay.Wait()
	defer stop()
	batches := slices.Collect(slices.Chunk(items, batchFilms))
	embedded := make([]chan error, len(batches))
	begin := func(i int) {
		if i < len(batches) {
			embedded[i] = make(chan error, 1)
			underWay.Go(func() { embedded[i] <- c.embed(ctx, batches[i], how.embedder) })
		}
	}
	for i := range how.inFlight {
		begin(i)
	}
	how.progress(0, len(items))
	done, model := 0, how.embedder.ModelVersion()
	for i, batch := range batches {
		if err := <-embedded[i]; err != nil {
			return err
		}
		if err := c.store.save(ctx, model, batch, time.Now()); err != nil {
			return err
		}
		report.count(batch)
		done += len(batch)
		how.progress(done, len(items))
		begin(i + how.inFlight)
	}
	return nil
}

// Remove takes films out of the catalogue, and returns how many were in it.
func (c *Catalogue) Remove(ctx context.Context, ids ...string) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	n, err := c.store.remove(ctx, ids)
	if err != nil {
		return 0, fmt.Errorf("remove films: %w", err)
	}
	return n, c.refresh(context.WithoutCancel(ctx))
}

// KeepModel drops the vectors of all other models, and returns how many there
// were. A catalogue keeps those of an older model until then, since answers of
// a worker that still has it may be under way.
func (c *Catalogue) KeepModel(ctx context.Context, model string) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	n, err := c.store.forget(ctx, model)
	if err != nil {
		return 0, fmt.Errorf("drop vectors of old models: %w", err)
	}
	return n, errors.Join(c.refresh(context.WithoutCancel(ctx)), c.store.tend(ctx))
}

// checkAll holds films that came from anywhere to the rules of the files.
func checkAll(movies []Movie) error {
	var problems Problems
	seen := make(map[string]bool)
	for i, m := range movies {
		wrong := func(field, what string) {
			problems.add(Problem{Movie: abridge(m.ID), Field: field, What: fmt.Sprintf("%s (film %d of %d)", what, i+1, len(movies))})
		}
		m.validate(wrong)
		if seen[m.ID] {
			wrong("id", "is given twice")
		}
		seen[m.ID] = true
	}
	return problems.err()
}

// plan lists the films that need anything.
func (c *Catalogue) plan(ctx context.Context, movies []Movie, how importing) ([]item, Report, error) {
	known, err := c.store.known(ctx, how.embedder.ModelVersion())
	if err != nil {
		return nil, Report{}, err
	}
	var items []item
	var report Report
	for _, m := range movies {
		it := item{movie: m, own: how.own}
		if it.content, it.hash, err = m.content(); err != nil {
			return nil, Report{}, fmt.Errorf("encode film %s: %w", m.ID, err)
		}
		k, ok := known[m.ID]
		switch {
		case !ok:
			it.changes = added
		case k.hash == it.hash:
			report.Unchanged++
		case k.own && !how.own:
			report.Unchanged++
			continue // the own version is looked at below, like any other film
		default:
			it.changes = changed
		}
		delete(known, m.ID)
		if it.changes != unchanged || k.texts != m.textsHash() {
			items = append(items, it)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(known)) { // those that were not given
		m, err := c.present(ctx, id, known[id].hash)
		if err != nil {
			return nil, Report{}, err
		}
		if known[id].texts != m.textsHash() {
			items = append(items, item{movie: m, hash: known[id].hash})
		}
	}
	return items, report, nil
}

// present is a film as it is in the database now.
func (c *Catalogue) present(ctx context.Context, id string, hash [sha256.Size]byte) (Movie, error) {
	v := c.now.Load()
	if i, ok := number(v.movies, id); ok && v.hashes[i] == hash {
		return v.movies[i], nil
	}
	return c.store.movie(ctx, id) // another process brought it
}

// embed gives each film of a batch its vector.
func (c *Catalogue) embed(ctx context.Context, batch []item, embed Embedder) error {
	var texts []string
	for _, it := range batch {
		texts = append(texts, EmbeddingTexts(it.movie)...)
	}
	vectors, err := embed.EmbedAll(ctx, texts)
	if err != nil {
		return fmt.Errorf("embed films %s to %s: %w", batch[0].movie.ID, batch[len(batch)-1].movie.ID, err)
	}
	if len(vectors) != len(texts) {
		return fmt.Errorf("embed films: %d texts gave %d vectors", len(texts), len(vectors))
	}
	dims := cmp.Or(c.store.dims(), len(vectors[0]))
	if known, ok := c.now.Load().vectors[embed.ModelVersion()]; ok {
		dims = known.dims()
	}
	each := len(texts) / len(batch)
	for i := range batch {
		it := &batch[i]
		if it.vector, err = mean(vectors[i*each : (i+1)*each]); err != nil {
			return fmt.Errorf("embed film %s: %w", it.movie.ID, err)
		}
		if len(it.vector) != dims {
			return wrongWidth(*it, embed.ModelVersion(), dims)
		}
	}
	return nil
}

// count adds what became of a batch.
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
