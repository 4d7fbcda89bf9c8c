package catalog

import (
	"context"
	"fmt"
	"iter"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/schema"
)

// A Writer changes the catalogue of a database without holding it in memory, however
// many films there are.
type Writer struct{ store store }

// NewWriter returns the Writer of a database file, which must stay open.
func NewWriter(db *schema.SQLite) Writer { return Writer{sqliteStore{db}} }

// NewPostgresWriter is NewWriter for a PostgreSQL database.
func NewPostgresWriter(pool *pgxpool.Pool) Writer {
	return Writer{postgresStore{pool, indexFrom}}
}

// Import adds an operator's films to the catalogue, as Catalogue.Import does. Each film
// must be valid (see Movie.Faults). An error among the films ends the import after the
// previous ones.
func (w Writer) Import(ctx context.Context, films iter.Seq2[Movie, error], embed Embedder, options ...Option) (Report, error) {
	return newImporting(w.store, embed, true, options).run(ctx, films)
}

// ImportShipped adds the built-in films to the catalogue, as Catalogue.ImportShipped
// does.
func (w Writer) ImportShipped(ctx context.Context, embed Embedder, options ...Option) (Report, error) {
	movies, err := Shipped()
	if err != nil {
		return Report{}, err
	}
	return newImporting(w.store, embed, false, options).run(ctx, listed(movies))
}

// Len is the number of films in the catalogue.
func (w Writer) Len(ctx context.Context) (int, error) { return w.store.count(ctx) }

// AddSynonyms adds groups of words, and returns how many were new.
func (w Writer) AddSynonyms(ctx context.Context, groups ...Synonyms) (int, error) {
	return w.store.addSynonyms(ctx, groups, time.Now())
}

// RemoveSynonyms deletes groups by their ids, and returns how many there were.
func (w Writer) RemoveSynonyms(ctx context.Context, ids ...string) (int, error) {
	return w.store.removeSynonyms(ctx, ids)
}

// Synonyms lists the groups, by id.
func (w Writer) Synonyms(ctx context.Context) ([]Synonyms, error) { return w.store.synonyms(ctx) }

// reader is a process that holds the catalogue in memory.
type reader struct {
	process  string
	revision int64
}

// awaitEvery is how often Await polls.
const awaitEvery = 100 * time.Millisecond

// Await waits until every process that answers from this catalogue (see Follow) has
// loaded its current content. It returns the number of these processes; behind names
// those that have not within the time. A process that was killed cannot report its end,
// so those that are behind are removed until they report a revision again.
func (w Writer) Await(ctx context.Context, within time.Duration) (current int, behind []string, err error) {
	revision, err := w.store.revision(ctx)
	if err != nil {
		return 0, nil, err
	}
	for deadline := time.Now().Add(within); ; {
		readers, err := w.store.readers(ctx)
		if err != nil {
			return 0, nil, err
		}
		current, behind = 0, nil
		for _, r := range readers {
			if r.revision < revision {
				behind = append(behind, r.process)
				continue
			}
			current++
		}
		if len(behind) == 0 {
			return current, nil, nil
		}
		if !time.Now().Before(deadline) {
			return current, behind, w.store.dropReaders(ctx, behind)
		}
		select {
		case <-ctx.Done():
			return current, behind, ctx.Err()
		case <-time.After(awaitEvery):
		}
	}
}

// processName is a readable, unique name of this process.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s, process %d, since %s", host, os.Getpid(), time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"))
}
