package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kassa/schema"
)

// A Catalogue is the films of a database: their texts in memory, their vectors
// where the database searches best. Its methods may be called from any goroutine.
// It sees changes that were made through itself at once, and another process's
// while Follow runs.
type Catalogue struct {
	store   store
	writing sync.Mutex           // one Import or Remove at a time
	reading sync.Mutex           // one refresh at a time, so that no older view replaces a newer one
	now     atomic.Pointer[view] // never changed, only replaced
}

// view is the catalogue at one moment.
type view struct {
	stored
	wording *wording
	version string
}

// Open reads the films and vectors of a database file, which are searched in
// memory. The caller keeps db open for as long as it uses the Catalogue.
func Open(ctx context.Context, db *schema.SQLite) (*Catalogue, error) {
	return open(ctx, sqliteStore{db})
}

func open(ctx context.Context, s store) (*Catalogue, error) {
	c := &Catalogue{store: s}
	if err := c.refresh(ctx); err != nil {
		return nil, fmt.Errorf("open catalogue: %w", err)
	}
	return c, nil
}

// refresh replaces the view by what the database holds. Searches go on meanwhile.
func (c *Catalogue) refresh(ctx context.Context) error {
	c.reading.Lock()
	defer c.reading.Unlock()
	all, err := c.store.read(ctx)
	if err != nil {
		return err
	}
	c.now.Store(&view{stored: all, wording: newWording(all.movies), version: all.version()})
	return nil
}

// followEvery is how old, at most, is what a search sees of other processes.
const followEvery = time.Second

// Follow looks every second whether another process has changed the films, and
// takes in what it did, until ctx ends. While the database is away the catalogue
// stays as it was.
func (c *Catalogue) Follow(ctx context.Context, log *slog.Logger) error {
	away := false
	for pause := followEvery; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		start := time.Now()
		err := c.catchUp(ctx)
		if err != nil && !away && ctx.Err() == nil {
			log.Warn("changes of the catalogue cannot be seen", "error", err)
		}
		away = err != nil
		// A large catalogue that is just being imported must not take all the time.
		pause = max(followEvery, time.Since(start))
	}
}

// catchUp refreshes the view if the database has moved on.
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
		fmt.Fprintf(sum, "%s %x\n", m.ID, a.hashes[i])
	}
	return hex.EncodeToString(sum.Sum(nil))[:12]
}

// Version names the films by their content: twelve hexadecimal digits.
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

// number is a film's place among all, sorted by id.
func number(movies []Movie, id string) (int, bool) {
	return slices.BinarySearchFunc(movies, id, func(m Movie, id string) int { return strings.Compare(m.ID, id) })
}
