package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// sqlQuerier is a database or a transaction.
type sqlQuerier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func scanSynonyms(ctx context.Context, from sqlQuerier) ([]Synonyms, error) {
	rows, err := from.QueryContext(ctx, selectSynonyms)
	if err != nil {
		return nil, fmt.Errorf("read synonyms: %w", err)
	}
	defer rows.Close()
	var all []Synonyms
	for rows.Next() {
		var id, words string
		if err := rows.Scan(&id, &words); err != nil {
			return nil, fmt.Errorf("read synonyms: %w", err)
		}
		all = append(all, storedSynonyms(id, words))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read synonyms: %w", err)
	}
	return all, nil
}

func (s sqliteStore) synonyms(ctx context.Context) ([]Synonyms, error) {
	return scanSynonyms(ctx, s.db.Read)
}

func (s sqliteStore) addSynonyms(ctx context.Context, groups []Synonyms, now time.Time) (added int, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		for _, g := range groups {
			result, err := tx.ExecContext(ctx, `INSERT INTO synonyms (id, words, added_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING`,
				g.ID, g.stored(), now.UTC().Format(time.RFC3339))
			if err != nil {
				return fmt.Errorf("add synonyms %s: %w", g.ID, err)
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			added += int(n)
		}
		return nil
	})
	return added, err
}

func (s sqliteStore) removeSynonyms(ctx context.Context, ids []string) (int, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return 0, err
	}
	return s.change(ctx, `DELETE FROM synonyms WHERE id IN (SELECT value FROM json_each(?))`, string(list))
}

func (s sqliteStore) readers(ctx context.Context) ([]reader, error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT process, revision FROM catalogue_readers ORDER BY process`)
	if err != nil {
		return nil, fmt.Errorf("read which processes have the catalogue: %w", err)
	}
	defer rows.Close()
	var all []reader
	for rows.Next() {
		var r reader
		if err := rows.Scan(&r.process, &r.revision); err != nil {
			return nil, fmt.Errorf("read which processes have the catalogue: %w", err)
		}
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read which processes have the catalogue: %w", err)
	}
	return all, nil
}

func (s sqliteStore) noteReader(ctx context.Context, r reader) error {
	_, err := s.db.Write.ExecContext(ctx, `INSERT INTO catalogue_readers (process, revision) VALUES (?, ?)
		ON CONFLICT (process) DO UPDATE SET revision = excluded.revision`, r.process, r.revision)
	if err != nil {
		return fmt.Errorf("note the catalogue's revision: %w", err)
	}
	return nil
}

func (s sqliteStore) dropReaders(ctx context.Context, processes []string) error {
	list, err := json.Marshal(processes)
	if err != nil {
		return err
	}
	if _, err := s.db.Write.ExecContext(ctx, `DELETE FROM catalogue_readers WHERE process IN (SELECT value FROM json_each(?))`, string(list)); err != nil {
		return fmt.Errorf("forget processes that had the catalogue: %w", err)
	}
	return nil
}
