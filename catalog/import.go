package catalog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// Report counts what an import did with its films. Embedded also counts films
// that were there before and had no vector of the model.
type Report struct {
	Added, Changed, Unchanged, Embedded int
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
	changes change
	vector  []float32
}

// Import brings films into the catalogue: new ones are added, those that
// changed are replaced, and all films of the catalogue that have no vector of
// the embedder's model get one. Films that are not given stay as they are.
//
// It goes in batches, each of which is stored whole, films with their vectors,
// or not at all. After an error or a crash the films of the batches before are
// there, and the next import does the rest. The Report tells what was stored.
func (c *Catalogue) Import(ctx context.Context, movies []Movie, embed Embedder) (Report, error) {
	if err := checkAll(movies); err != nil {
		return Report{}, fmt.Errorf("import films:\n%w", err)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	items, report, err := c.plan(ctx, movies, embed.ModelVersion())
	if err != nil {
		return Report{}, fmt.Errorf("import films: %w", err)
	}
	if len(items) == 0 {
		return report, nil
	}
	for batch := range slices.Chunk(items, batchFilms) {
		if err = c.importBatch(ctx, batch, embed); err != nil {
			break
		}
		report.count(batch)
	}
	// What was stored must be searched, even if the rest failed or ctx is over.
	err = errors.Join(err, c.refresh(context.WithoutCancel(ctx)))
	if err != nil {
		return report, fmt.Errorf("import films: %w", err)
	}
	return report, nil
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
	return n, c.refresh(context.WithoutCancel(ctx))
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
func (c *Catalogue) plan(ctx context.Context, movies []Movie, model string) ([]item, Report, error) {
	known, err := c.store.known(ctx, model)
	if err != nil {
		return nil, Report{}, err
	}
	v := c.now.Load()
	var items []item
	var report Report
	for _, m := range movies {
		it := item{movie: m}
		if it.content, it.hash, err = m.content(); err != nil {
			return nil, Report{}, fmt.Errorf("encode film %s: %w", m.ID, err)
		}
		k, ok := known[m.ID]
		delete(known, m.ID)
		switch {
		case !ok:
			it.changes = added
		case k.hash != it.hash:
			it.changes = changed
		default:
			report.Unchanged++
		}
		if it.changes != unchanged || k.texts != m.textsHash() {
			items = append(items, it)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(known)) { // those that were not given
		var m Movie
		if i, ok := v.number(id); ok && v.hashes[i] == known[id].hash {
			m = v.movies[i]
		} else if m, err = c.store.movie(ctx, id); err != nil { // another process brought it
			return nil, Report{}, err
		}
		if known[id].texts != m.textsHash() {
			items = append(items, item{movie: m})
		}
	}
	return items, report, nil
}

func (c *Catalogue) importBatch(ctx context.Context, batch []item, embed Embedder) error {
	if err := c.embed(ctx, batch, embed); err != nil {
		return err
	}
	return c.store.save(ctx, embed.ModelVersion(), batch, time.Now())
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
	dims := len(vectors[0])
	if m := c.now.Load().matrices[embed.ModelVersion()]; m != nil {
		dims = m.dims
	}
	each := len(texts) / len(batch)
	for i := range batch {
		it := &batch[i]
		if it.vector, err = mean(vectors[i*each : (i+1)*each]); err != nil {
			return fmt.Errorf("embed film %s: %w", it.movie.ID, err)
		}
		if len(it.vector) != dims {
			return fmt.Errorf("embed film %s: %w: it has %d numbers, others of model %s have %d", it.movie.ID, ErrVector, len(it.vector), embed.ModelVersion(), dims)
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
