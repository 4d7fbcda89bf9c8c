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
	// read reads the tables in one snapshot.
	read(ctx context.Context) (stored, error)
	// revision changes with every change of the tables.
	revision(ctx context.Context) (int64, error)
	// known has of those of some films that are there what an import must know.
	known(ctx context.Context, model string, ids []string) ([]known, error)
	// after is known for the films behind an id, in the order of ids, as many as limit.
	after(ctx context.Context, model, id string, limit int) ([]known, error)
	// films reads films by their ids or by their IMDb ids, in any order.
	films(ctx context.Context, ids, imdb []string) ([]storedFilm, error)
	// count is the number of films.
	count(ctx context.Context) (int, error)
	// save writes films together with their vectors, all or none, so that no film is
	// ever read with the vector of another text. A film that is not stored as in the
	// item, because another process was faster or because it is an operator's own
	// version, keeps its vectors.
	save(ctx context.Context, model string, batch []item, now time.Time) error
	// remove deletes films with their vectors, and returns how many there were.
	remove(ctx context.Context, ids []string) (int, error)
	// complete notes that every film has had a vector of a model, and reports whether
	// that is news.
	complete(ctx context.Context, model string) (bool, error)
	// use has questions asked of a model; "": of whichever a worker has.
	use(ctx context.Context, model string) error
	// weigh sets what a model's vectors count beside words, and reports whether the model
	// is there.
	weigh(ctx context.Context, model string, weight float64) (bool, error)
	// deleteModel deletes a model with its vectors, and returns how many there were.
	deleteModel(ctx context.Context, model string) (int, error)
	// maintain builds indexes for searches, after the tables have changed.
	maintain(ctx context.Context) error
	// synonyms lists the operator's groups, by id.
	synonyms(ctx context.Context) ([]Synonyms, error)
	// addSynonyms adds groups, and returns how many were not there.
	addSynonyms(ctx context.Context, groups []Synonyms, now time.Time) (int, error)
	// apply stores the films of an edition with their vectors, all or none, and records
	// it. It returns its number, ErrStale where a change does not begin with what is
	// stored, and ErrNoUndo where the edition that it undoes is not the last.
	apply(ctx context.Context, model string, e Edition, changes []Change) (int64, error)
	// editions lists the newest editions, the newest first.
	editions(ctx context.Context, limit int) ([]Edition, error)
	// editionChanges are the changes of an edition that are kept, by id.
	editionChanges(ctx context.Context, number int64) ([]Change, error)
	// ownFilms lists the ids of films that an operator brought in.
	ownFilms(ctx context.Context) ([]string, error)
	// keepUpload keeps an upload in place of the admin's former one.
	keepUpload(ctx context.Context, u Upload, now time.Time) error
	// upload reads an upload of an admin that was sent since then, or returns ErrNoUpload.
	upload(ctx context.Context, id, by string, since time.Time) (Upload, error)
	// dropUploads deletes the uploads that were sent before.
	dropUploads(ctx context.Context, before time.Time) error
	// removeSynonyms deletes groups by their ids, and returns how many were there.
	removeSynonyms(ctx context.Context, ids []string) (int, error)
	// readers lists the processes that hold the catalogue in memory.
	readers(ctx context.Context) ([]reader, error)
	// noteReader notes which revision such a process has.
	noteReader(ctx context.Context, r reader) error
	// dropReaders deletes the records of processes.
	dropReaders(ctx context.Context, processes []string) error
}

// stored is the current content of the tables, without vectors of older texts.
type stored struct {
	revision int64
	movies   []Movie // by id
	hashes   [][sha256.Size]byte
	own      []bool             // an operator brought the film in
	synonyms []Synonyms         // by id
	vectors  map[string]vectors // by model
	finished map[string]bool    // models of which every film has had a vector
	weights  map[string]float64 // what a model's vectors count; without: as by default
	used     string             // the model that questions are asked of; "": any
}

// vectors are the vectors of one model, for the films of one view.
type vectors interface {
	// dims is their length.
	dims() int
	// len is how many films have one.
	len() int
	// nearest returns how similar films are to each of the unit vectors: at least for
	// the limit most similar ones, however many others there are.
	nearest(ctx context.Context, directions [][]float32, limit int) ([]similarities, error)
}

// known is what an import needs of a stored film.
type known struct {
	id    string
	hash  [sha256.Size]byte
	own   bool
	texts [sha256.Size]byte // of the vector of the requested model; zero if there is none
}

// newKnown is known of the columns of a row.
func newKnown(id string, hash []byte, own bool, texts []byte) known {
	k := known{id: id, own: own}
	copy(k.hash[:], hash)
	copy(k.texts[:], texts)
	return k
}

// storedFilm is a film as it is in the tables.
type storedFilm struct {
	Movie
	own  bool
	hash [sha256.Size]byte // of its content
}

func newStoredFilm(content []byte, own bool) (f storedFilm, err error) {
	f.own, f.hash = own, sha256.Sum256(content)
	if err = json.Unmarshal(content, &f.Movie); err != nil {
		err = fmt.Errorf("read a stored film: %w", err)
	}
	return f, err
}

// add adds a film that was read, the next by id.
func (a *stored) add(id string, hash, content []byte, own bool) error {
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
	a.own = append(a.own, own)
	return nil
}

// A walk goes through the films by id while their vectors are read.
type walk struct {
	movies []Movie
	at     int               // -1 before the first
	texts  [sha256.Size]byte // of the current film
}

// to returns the number of a film, and whether a vector with this hash was made from
// its texts. Films and vectors were read in one snapshot, and by a foreign key each
// vector has its film.
func (w *walk) to(id string, hash []byte) (film int, fresh bool) {
	for w.at < 0 || w.movies[w.at].ID != id {
		w.at++
		w.texts = w.movies[w.at].textsHash()
	}
	return w.at, bytes.Equal(hash, w.texts[:])
}
