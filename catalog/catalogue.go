package catalog

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kassa/catalog/question"
	"kassa/internal/wait"
	"kassa/schema"
)

// A Catalogue is the films of a database: their texts in memory, their vectors wherever
// the database searches best. It is safe for concurrent use. Its own changes are
// visible at once, those of other processes while Follow runs.
type Catalogue struct {
	store   store
	writing sync.Mutex           // one Import or Remove at a time
	reading sync.Mutex           // one refresh at a time, so that an older view never replaces a newer one
	now     atomic.Pointer[view] // immutable; replaced as a whole
	edited  chan struct{}        // wakes Fill; holds at most one
}

// view is the catalogue at one moment.
type view struct {
	stored
	index      *lexicalIndex
	vocabulary func() *question.Vocabulary // computed once, in the background or when the first question needs it
	version    string
	remembered remembered
	shelves    func() *Shelves // computed once, when they are first needed
	similar    sync.Map        // of the films that were asked for: number → numbers of the most similar
}

// Open reads the films and vectors of a database file; they are searched in memory. The
// caller keeps db open while the Catalogue is in use.
func Open(ctx context.Context, db *schema.SQLite) (*Catalogue, error) {
	return open(ctx, sqliteStore{db})
}

func open(ctx context.Context, s store) (*Catalogue, error) {
	c := &Catalogue{store: s, edited: make(chan struct{}, 1)}
	if err := c.refresh(ctx); err != nil {
		return nil, fmt.Errorf("open catalogue: %w", err)
	}
	return c, nil
}

// refresh replaces the view by the current content of the database. Searches continue
// meanwhile.
func (c *Catalogue) refresh(ctx context.Context) error {
	c.reading.Lock()
	defer c.reading.Unlock()
	all, err := c.store.read(ctx)
	if err != nil {
		return err
	}
	v := newView(all)
	c.now.Store(v)
	go v.vocabulary()
	return nil
}

func newView(all stored) *view {
	index := newLexicalIndex(all.movies, shippedSynonyms().with(all.synonyms))
	vocabulary := sync.OnceValue(func() *question.Vocabulary { return newVocabulary(all.movies, index) })
	return &view{stored: all, index: index, vocabulary: vocabulary, version: all.version(), remembered: newRemembered(),
		shelves: sync.OnceValue(func() *Shelves { return newShelves(all.movies) })}
}

// followEvery is the maximum age of a search's view of other processes' changes.
const followEvery = time.Second

// Follow polls every second for other processes' changes of the catalogue, loads them,
// and records that in the database, until ctx ends. While the database is unavailable
// the catalogue stays as it is.
func (c *Catalogue) Follow(ctx context.Context, log *slog.Logger) error {
	process := processName()
	defer func() { // otherwise an import would wait for this process
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), followEvery)
		defer cancel()
		if err := c.store.dropReaders(ctx, []string{process}); err != nil {
			log.Warn("imports may wait for this process, which has ended", "error", err)
		}
	}()
	const never = -1
	noted, away := int64(never), false
	for pause := time.Duration(0); ; {
		if !wait.For(ctx, pause) {
			return nil
		}
		start := time.Now()
		err := c.catchUp(ctx)
		if revision := c.now.Load().revision; err == nil && revision != noted {
			if err = c.store.noteReader(ctx, reader{process, revision}); err == nil {
				noted = revision
			}
		}
		if err != nil && !away && ctx.Err() == nil {
			log.Warn("changes of the catalogue cannot be seen", "error", err)
		}
		away = err != nil
		// While a large catalogue is being imported, refreshing must not take all the
		// time.
		pause = max(followEvery, time.Since(start))
	}
}

// catchUp refreshes the view if the database has changed.
func (c *Catalogue) catchUp(ctx context.Context) error {
	revision, err := c.store.revision(ctx)
	if err != nil || revision == c.now.Load().revision {
		return err
	}
	return c.refresh(ctx)
}

func (a stored) version() string {
	sum := sha256.New()
	for i, m := range a.movies {
		versionFilm(sum, m.ID, a.hashes[i])
	}
	versionSynonyms(sum, a.synonyms)
	return shortVersion(sum)
}

// Version is a hash of the films and of the operator's synonyms: twelve hexadecimal digits.
func (c *Catalogue) Version() string { return c.now.Load().version }

// Len is the number of films.
func (c *Catalogue) Len() int { return len(c.now.Load().movies) }

// Movies returns all films, sorted by id. Their lists are shared: read only.
func (c *Catalogue) Movies() []Movie { return slices.Clone(c.now.Load().movies) }

// Movie returns a film by its id. Its lists are shared: read only.
func (c *Catalogue) Movie(id string) (Movie, bool) {
	movies := c.now.Load().movies
	i, ok := number(movies, id)
	if !ok {
		return Movie{}, false
	}
	return movies[i], true
}

// number is a film's index among all, sorted by id.
func number(movies []Movie, id string) (int, bool) {
	return slices.BinarySearchFunc(movies, id, func(m Movie, id string) int { return strings.Compare(m.ID, id) })
}
