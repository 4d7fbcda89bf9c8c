package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"kassa/schema"
)

// sqliteStore is the catalogue's tables in an SQLite file. Their vectors are
// searched in memory.
type sqliteStore struct{ db *schema.SQLite }

func (sqliteStore) dims() int { return 0 }

func (sqliteStore) tend(context.Context) error { return nil } // nothing stands beside the tables

func (s sqliteStore) read(ctx context.Context) (stored, error) {
	tx, err := s.db.Read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return stored{}, fmt.Errorf("read catalogue: %w", err)
	}
	defer tx.Rollback()
	var all stored
	if err := tx.QueryRowContext(ctx, `SELECT revision FROM catalogue`).Scan(&all.revision); err != nil {
		return stored{}, fmt.Errorf("read the catalogue's revision: %w", err)
	}
	if err := readMovies(ctx, tx, &all); err != nil {
		return stored{}, fmt.Errorf("read films: %w", err)
	}
	if all.vectors, err = readVectors(ctx, tx, all.movies); err != nil {
		return stored{}, fmt.Errorf("read vectors: %w", err)
	}
	return all, nil
}

func readMovies(ctx context.Context, tx *sql.Tx, all *stored) error {
	rows, err := tx.QueryContext(ctx, `SELECT id, hash, json FROM movies ORDER BY id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var hash, content []byte
		if err := rows.Scan(&id, &hash, &content); err != nil {
			return err
		}
		if err := all.add(id, hash, content); err != nil {
			return err
		}
	}
	return rows.Err()
}

func readVectors(ctx context.Context, tx *sql.Tx, movies []Movie) (map[string]vectors, error) {
	rows, err := tx.QueryContext(ctx, `SELECT movie_id, model_id, hash, vector FROM vectors ORDER BY movie_id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := make(map[string]vectors)
	along := walk{movies: movies, at: -1}
	var hash, blob sql.RawBytes // valid until the next row: the blob is copied into the matrix before
	for rows.Next() {
		var id, model string
		if err := rows.Scan(&id, &model, &hash, &blob); err != nil {
			return nil, err
		}
		film, fresh := along.to(id, hash)
		if !fresh {
			continue
		}
		m, ok := all[model].(*matrix)
		if !ok {
			m = newMatrix(len(movies), len(blob)/4)
			all[model] = m
		}
		if len(blob) != 4*m.width {
			return nil, fmt.Errorf("%w: that of film %q has %d numbers, others of model %s have %d", ErrVector, id, len(blob)/4, model, m.width)
		}
		fromBlob(blob, m.row(film))
		if _, err := unit(m.row(film)); err != nil {
			return nil, fmt.Errorf("film %q, model %s: %w", id, model, err)
		}
	}
	return all, rows.Err()
}

func (s sqliteStore) revision(ctx context.Context) (revision int64, err error) {
	if err := s.db.Read.QueryRowContext(ctx, `SELECT revision FROM catalogue`).Scan(&revision); err != nil {
		return 0, fmt.Errorf("read the catalogue's revision: %w", err)
	}
	return revision, nil
}

func (s sqliteStore) known(ctx context.Context, model string) (map[string]known, error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT m.id, m.hash, m.own, v.hash FROM movies m
		LEFT JOIN vectors v ON v.movie_id = m.id AND v.model_id = ?`, model)
	if err != nil {
		return nil, fmt.Errorf("read what is known of films: %w", err)
	}
	defer rows.Close()
	all := make(map[string]known)
	for rows.Next() {
		var id string
		var hash, texts []byte
		var k known
		if err := rows.Scan(&id, &hash, &k.own, &texts); err != nil {
			return nil, fmt.Errorf("read what is known of films: %w", err)
		}
		copy(k.hash[:], hash)
		copy(k.texts[:], texts)
		all[id] = k
	}
	return all, rows.Err()
}

func (s sqliteStore) movie(ctx context.Context, id string) (Movie, error) {
	var content []byte
	if err := s.db.Read.QueryRowContext(ctx, `SELECT json FROM movies WHERE id = ?`, id).Scan(&content); err != nil {
		return Movie{}, fmt.Errorf("read film %s: %w", id, err)
	}
	var m Movie
	if err := json.Unmarshal(content, &m); err != nil {
		return Movie{}, fmt.Errorf("read film %s: %w", id, err)
	}
	return m, nil
}

func (s sqliteStore) save(ctx context.Context, model string, batch []item, now time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		var width int
		err := tx.QueryRowContext(ctx, `SELECT length(vector) / 4 FROM vectors WHERE model_id = ? LIMIT 1`, model).Scan(&width)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("read how many numbers vectors have: %w", err)
		}
		for _, it := range batch {
			if err == nil && len(it.vector) != width { // another process had another model of this name
				return wrongWidth(it, model, width)
			}
			if err := saveItem(ctx, tx, model, it, now); err != nil {
				return fmt.Errorf("save film %s: %w", it.movie.ID, err)
			}
		}
		return nil
	})
}

func saveItem(ctx context.Context, tx *sql.Tx, model string, it item, now time.Time) error {
	if it.changes != unchanged {
		_, err := tx.ExecContext(ctx, `INSERT INTO movies (id, hash, json, own, imported_at) VALUES (?,?,?,?,?)
			ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, json = excluded.json, own = excluded.own, imported_at = excluded.imported_at
			WHERE excluded.own OR NOT own`,
			it.movie.ID, it.hash[:], string(it.content), it.own, now.UTC().Format(time.RFC3339))
		if err != nil {
			return err
		}
	}
	texts := it.movie.textsHash()
	_, err := tx.ExecContext(ctx, `DELETE FROM vectors WHERE movie_id = ?1 AND hash <> ?2
		AND EXISTS (SELECT 1 FROM movies WHERE id = ?1 AND hash = ?3)`, it.movie.ID, texts[:], it.hash[:])
	if err != nil {
		return fmt.Errorf("delete old vectors: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO vectors (movie_id, model_id, hash, vector)
		SELECT id, ?, ?, ? FROM movies WHERE id = ? AND hash = ?
		ON CONFLICT (movie_id, model_id) DO UPDATE SET hash = excluded.hash, vector = excluded.vector`,
		model, texts[:], toBlob(it.vector), it.movie.ID, it.hash[:])
	return err
}

func (s sqliteStore) remove(ctx context.Context, ids []string) (int, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return 0, err
	}
	return s.delete(ctx, `DELETE FROM movies WHERE id IN (SELECT value FROM json_each(?))`, string(list))
}

func (s sqliteStore) forget(ctx context.Context, keep string) (int, error) {
	return s.delete(ctx, `DELETE FROM vectors WHERE model_id <> ?`, keep)
}

func (s sqliteStore) delete(ctx context.Context, query, arg string) (deleted int, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, query, arg)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		deleted = int(n)
		return err
	})
	return deleted, err
}

// write is a transaction that changes the tables.
func (s sqliteStore) write(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE catalogue SET revision = revision + 1`)
	if err == nil {
		err = do(tx)
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
