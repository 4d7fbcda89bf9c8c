package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const selectSynonyms = `SELECT id, words FROM synonyms ORDER BY id`

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
}

func collectSynonyms(ctx context.Context, from querier) (all []Synonyms, err error) {
	rows, _ := from.Query(ctx, selectSynonyms)
	var id, words string
	_, err = pgx.ForEachRow(rows, []any{&id, &words}, func() error {
		all = append(all, storedSynonyms(id, words))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read synonyms: %w", err)
	}
	return all, nil
}

func (s postgresStore) synonyms(ctx context.Context) ([]Synonyms, error) {
	return collectSynonyms(ctx, s.pool)
}

func (s postgresStore) addSynonyms(ctx context.Context, groups []Synonyms, now time.Time) (added int, err error) {
	err = s.transact(ctx, func(tx pgx.Tx) error {
		added = 0 // the transaction may be retried
		if _, err := tx.Exec(ctx, touch); err != nil {
			return err
		}
		for _, g := range groups {
			tag, err := tx.Exec(ctx, `INSERT INTO synonyms (id, words, added_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`, g.ID, g.stored(), now)
			if err != nil {
				return fmt.Errorf("add synonyms %s: %w", g.ID, err)
			}
			added += int(tag.RowsAffected())
		}
		return nil
	})
	return added, err
}

func (s postgresStore) removeSynonyms(ctx context.Context, ids []string) (int, error) {
	return s.execute(ctx, ids, `DELETE FROM synonyms WHERE id = ANY($1)`)
}

func (s postgresStore) readers(ctx context.Context) ([]reader, error) {
	rows, _ := s.pool.Query(ctx, `SELECT process, revision FROM catalogue_readers ORDER BY process`)
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r reader, err error) {
		return r, row.Scan(&r.process, &r.revision)
	})
	if err != nil {
		return nil, fmt.Errorf("read which processes have the catalogue: %w", err)
	}
	return all, nil
}

func (s postgresStore) noteReader(ctx context.Context, r reader) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO catalogue_readers (process, revision) VALUES ($1, $2)
		ON CONFLICT (process) DO UPDATE SET revision = excluded.revision`, r.process, r.revision)
	if err != nil {
		return fmt.Errorf("note the catalogue's revision: %w", err)
	}
	return nil
}

func (s postgresStore) dropReaders(ctx context.Context, processes []string) error {
	if _, err := s.pool.Exec(ctx, `DELETE FROM catalogue_readers WHERE process = ANY($1)`, processes); err != nil {
		return fmt.Errorf("forget processes that had the catalogue: %w", err)
	}
	return nil
}
