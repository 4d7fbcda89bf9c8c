package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"
)

// store is the catalogue's tables: sqliteStore or postgresStore.
type store interface {
	// read reads the tables as they were at one moment.
	read(ctx context.Context) (stored, error)
	// revision changes with every change of the tables.
	revision(ctx context.Context) (int64, error)
	// known tells of each film that is there what an import must know.
	known(ctx context.Context, model string) (map[string]known, error)
	// movie reads one film.
	movie(ctx context.Context, id string) (Movie, error)
	// save writes films together with their vectors, all or none, so that no film
	// is ever seen with the vector of another text. A film that is not there as the
	// item has it, because another process was faster or it is somebody's own
	// version, keeps its vectors.
	save(ctx context.Context, model string, batch []item, now time.Time) error
	// remove deletes films with their vectors, and returns how many were there.
	remove(ctx context.Context, ids []string) (int, error)
	// forget deletes the vectors of all models but one.
	forget(ctx context.Context, keep string) (int, error)
	// tend makes what searches need beside the tables, after they have changed.
	tend(ctx context.Context) error
	// dims is how many numbers a vector must have; 0: as many as others of its model.
	dims() int
}

// stored is all that the tables hold that counts: vectors of older texts are
// left out.
type stored struct {
	revision int64
	movies   []Movie // by id
	hashes   [][sha256.Size]byte
	vectors  map[string]vectors // by model
}

// vectors are those of one model, for the films of one view.
type vectors interface {
	// dims is how many numbers each has.
	dims() int
	// nearest tells how similar films are to a unit vector: at least of the limit
	// that are most similar, however many films there are beside them.
	nearest(ctx context.Context, q []float32, limit int) (similarities, error)
}

// known is what an import must know of a film that is there.
type known struct {
	hash  [sha256.Size]byte
	own   bool
	texts [sha256.Size]byte // of the vector of the model that was asked for; zero if there is none
}

// add takes in a film that was read, the next by id.
func (a *stored) add(id string, hash, content []byte) error {
	var m Movie
	sum := sha256.Sum256(content)
	if !bytes.Equal(sum[:], hash) {
		return fmt.Errorf("the stored film %q is not what its hash was taken of", id)
	}
	if err := json.Unmarshal(content, &m); err != nil {
		return fmt.Errorf("the stored film %q: %w", id, err)
	}
	if m.ID != id {
		return fmt.Errorf("the stored film %q calls itself %q", id, m.ID)
	}
	a.movies = append(a.movies, m)
	a.hashes = append(a.hashes, sum)
	return nil
}

// A walk goes along the films in the order of ids, as their vectors are read.
type walk struct {
	movies []Movie
	at     int               // -1 before the first
	texts  [sha256.Size]byte // of the film at
}

// to gives the number of a film, and whether a vector with this hash was made from
// its texts. Films and vectors were read at one moment, and a foreign key says
// that each vector has its film.
func (w *walk) to(id string, hash []byte) (film int, fresh bool) {
	for w.at < 0 || w.movies[w.at].ID != id {
		w.at++
		w.texts = w.movies[w.at].textsHash()
	}
	return w.at, bytes.Equal(hash, w.texts[:])
}
