package catalog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// InMemory returns a read-only catalogue of films without a database, with their
// vectors by an embedder: for measurements.
func InMemory(ctx context.Context, movies []Movie, embed Embedder) (*Catalogue, error) {
	s := &memoryStore{}
	c, err := open(ctx, s)
	if err != nil {
		return nil, err
	}
	_, err = c.Import(ctx, movies, embed)
	s.closed = true
	return c, err
}

var errMemory = errors.New("a catalogue in memory cannot be changed")

// memoryStore is the storage of a catalogue that is filled once.
type memoryStore struct {
	items  []item
	model  string
	closed bool
}

func (s *memoryStore) read(context.Context) (stored, error) {
	all := stored{revision: int64(len(s.items)), vectors: make(map[string]vectors), finished: map[string]bool{s.model: true}}
	if len(s.items) == 0 {
		return all, nil
	}
	items := slices.SortedFunc(slices.Values(s.items), func(a, b item) int { return strings.Compare(a.movie.ID, b.movie.ID) })
	m := newMatrix(len(items), len(items[0].vector))
	m.films = len(items)
	for i, it := range items {
		all.movies = append(all.movies, it.movie)
		all.hashes = append(all.hashes, it.hash)
		all.own = append(all.own, it.own)
		copy(m.row(i), it.vector)
	}
	all.vectors[s.model] = m
	return all, nil
}

func (s *memoryStore) revision(context.Context) (int64, error) { return int64(len(s.items)), nil }

// A catalogue in memory is filled once, so an import finds nothing there.
func (s *memoryStore) known(context.Context, string, []string) ([]known, error) { return nil, nil }

func (s *memoryStore) after(context.Context, string, string, int) ([]known, error) { return nil, nil }

func (s *memoryStore) films(context.Context, []string, []string) ([]storedFilm, error) {
	return nil, nil
}

func (s *memoryStore) count(context.Context) (int, error) { return len(s.items), nil }

func (s *memoryStore) save(_ context.Context, model string, batch []item, _ time.Time) error {
	if s.closed {
		return errMemory
	}
	s.model = model
	s.items = append(s.items, batch...)
	return nil
}

func (s *memoryStore) synonyms(context.Context) ([]Synonyms, error) { return nil, nil }

func (s *memoryStore) addSynonyms(context.Context, []Synonyms, time.Time) (int, error) {
	return 0, errMemory
}

func (s *memoryStore) removeSynonyms(context.Context, []string) (int, error) { return 0, errMemory }

func (s *memoryStore) apply(context.Context, string, Edition, []Change) (int64, error) {
	return 0, errMemory
}
func (s *memoryStore) editions(context.Context, int) ([]Edition, error)        { return nil, nil }
func (s *memoryStore) editionChanges(context.Context, int64) ([]Change, error) { return nil, nil }
func (s *memoryStore) ownFilms(context.Context) ([]string, error)              { return nil, nil }
func (s *memoryStore) keepUpload(context.Context, Upload, time.Time) error     { return errMemory }
func (s *memoryStore) upload(context.Context, string, string, time.Time) (Upload, error) {
	return Upload{}, ErrNoUpload
}
func (s *memoryStore) dropUploads(context.Context, time.Time) error     { return nil }
func (s *memoryStore) readers(context.Context) ([]reader, error)        { return nil, nil }
func (s *memoryStore) noteReader(context.Context, reader) error         { return nil }
func (s *memoryStore) dropReaders(context.Context, []string) error      { return nil }
func (s *memoryStore) remove(context.Context, []string) (int, error)    { return 0, errMemory }
func (s *memoryStore) complete(context.Context, string) (bool, error)   { return false, nil } // it always is
func (s *memoryStore) use(context.Context, string) error                { return errMemory }
func (s *memoryStore) deleteModel(context.Context, string) (int, error) { return 0, errMemory }
func (s *memoryStore) weigh(context.Context, string, float64) (bool, error) {
	return false, errMemory
}
func (s *memoryStore) maintain(context.Context) error { return nil }
