package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"kassa/schema"
)

// A Catalogue is the films of a database, in memory and ready to be searched.
// Its methods may be called from any goroutine. It sees changes that were made
// through itself; another process's are seen when it is opened again.
type Catalogue struct {
	store   store
	writing sync.Mutex           // one Import or Remove at a time
	now     atomic.Pointer[view] // never changed, only replaced
}

// view is the catalogue at one moment.
type view struct {
	stored
	wording *wording
	version string
}

// Open reads the films and vectors of a database. The caller keeps db open for
// as long as it uses the Catalogue.
func Open(ctx context.Context, db *schema.SQLite) (*Catalogue, error) {
	c := &Catalogue{store: store{db}}
	if err := c.refresh(ctx); err != nil {
		return nil, fmt.Errorf("open catalogue: %w", err)
	}
	return c, nil
}

// refresh replaces the view by what the database holds.
func (c *Catalogue) refresh(ctx context.Context) error {
	all, err := c.store.read(ctx)
	if err != nil {
		return err
	}
	c.now.Store(&view{stored: all, wording: newWording(all.movies), version: all.version()})
	return nil
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
	v := c.now.Load()
	i, ok := v.number(id)
	if !ok {
		return Movie{}, false
	}
	return v.movies[i], true
}

func (v *view) number(id string) (int, bool) {
	return slices.BinarySearchFunc(v.movies, id, func(m Movie, id string) int { return strings.Compare(m.ID, id) })
}
