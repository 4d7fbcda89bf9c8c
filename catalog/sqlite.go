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

// sqliteStore is the catalogue's tables in a SQLite file. Their vectors are searched in
// memory.
type sqliteStore struct{ db *schema.SQLite }

func (sqliteStore) maintain(context.Context) error { return nil } // there are no indexes to build

func (s sqliteStore) read(ctx context.Context) (stored, error) {
	tx, err := s.db.Read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return stored{}, fmt.Errorf("read catalogue: %w", err)
	}
	defer tx.Rollback()
	var all stored
	if err := tx.QueryRowContext(ctx, `SELECT revision, coalesce(model, '') FROM catalogue`).Scan(&all.revision, &all.used); err != nil {
		return stored{}, fmt.Errorf("read the catalogue's revision: %w", err)
	}
	if err := readModels(ctx, tx, &all); err != nil {
		return stored{}, fmt.Errorf("read the models: %w", err)
	}
	if err := readMovies(ctx, tx, &all); err != nil {
		return stored{}, fmt.Errorf("read films: %w", err)
	}
	if all.synonyms, err = scanSynonyms(ctx, tx); err != nil {
		return stored{}, err
	}
	if all.vectors, err = readVectors(ctx, tx, all.movies); err != nil {
		return stored{}, fmt.Errorf("read vectors: %w", err)
	}
	return all, nil
}

func readModels(ctx context.Context, tx *sql.Tx, all *stored) error {
	rows, err := tx.QueryContext(ctx, `SELECT model_id, complete, weight FROM models`)
	if err != nil {
		return err
	}
	defer rows.Close()
	all.finished, all.weights = make(map[string]bool), make(map[string]float64)
	for rows.Next() {
		var model string
		var complete bool
		var weight sql.Null[float64]
		if err := rows.Scan(&model, &complete, &weight); err != nil {
			return err
		}
		all.finished[model] = complete
		if weight.Valid {
			all.weights[model] = weight.V
		}
	}
	return rows.Err()
}

func readMovies(ctx context.Context, tx *sql.Tx, all *stored) error {
	rows, err := tx.QueryContext(ctx, `SELECT id, hash, json, own FROM movies ORDER BY id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var hash, content []byte
		var own bool
		if err := rows.Scan(&id, &hash, &content, &own); err != nil {
			return err
		}
		if err := all.add(id, hash, content, own); err != nil {
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
		m.films++
	}
	return all, rows.Err()
}

func (s sqliteStore) revision(ctx context.Context) (revision int64, err error) {
	if err := s.db.Read.QueryRowContext(ctx, `SELECT revision FROM catalogue`).Scan(&revision); err != nil {
		return 0, fmt.Errorf("read the catalogue's revision: %w", err)
	}
	return revision, nil
}

// selectFilmsKnown is what an import must know of films; a condition follows.
const selectFilmsKnown = `SELECT m.id, m.hash, m.own, v.hash FROM movies m
	LEFT JOIN vectors v ON v.movie_id = m.id AND v.model_id = ? `

func (s sqliteStore) known(ctx context.Context, model string, ids []string) ([]known, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	return s.collectKnown(ctx, selectFilmsKnown+`WHERE m.id IN (SELECT value FROM json_each(?))`, model, string(list))
}

func (s sqliteStore) after(ctx context.Context, model, id string, limit int) ([]known, error) {
	return s.collectKnown(ctx, selectFilmsKnown+`WHERE m.id > ? ORDER BY m.id LIMIT ?`, model, id, limit)
}

func (s sqliteStore) collectKnown(ctx context.Context, query string, args ...any) ([]known, error) {
	rows, err := s.db.Read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read what is known of films: %w", err)
	}
	defer rows.Close()
	var all []known
	for rows.Next() {
		var id string
		var own bool
		var hash, texts []byte
		if err := rows.Scan(&id, &hash, &own, &texts); err != nil {
			return nil, fmt.Errorf("read what is known of films: %w", err)
		}
		all = append(all, newKnown(id, hash, own, texts))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read what is known of films: %w", err)
	}
	return all, nil
}

func (s sqliteStore) films(ctx context.Context, ids, imdb []string) ([]storedFilm, error) {
	if len(ids)+len(imdb) == 0 {
		return nil, nil
	}
	lists, err := json.Marshal([][]string{ids, imdb})
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Read.QueryContext(ctx, `SELECT json, own FROM movies WHERE id IN (SELECT value FROM json_each(?1, '$[0]'))
		UNION SELECT json, own FROM movies WHERE json_extract(json, '$.ids.imdb') IN (SELECT value FROM json_each(?1, '$[1]'))`, string(lists))
	if err != nil {
		return nil, fmt.Errorf("read films: %w", err)
	}
	defer rows.Close()
	var all []storedFilm
	for rows.Next() {
		var content []byte
		var own bool
		if err := rows.Scan(&content, &own); err != nil {
			return nil, fmt.Errorf("read films: %w", err)
		}
		f, err := newStoredFilm(content, own)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read films: %w", err)
	}
	return all, nil
}

func (s sqliteStore) count(ctx context.Context) (films int, err error) {
	if err := s.db.Read.QueryRowContext(ctx, `SELECT count(*) FROM movies`).Scan(&films); err != nil {
		return 0, fmt.Errorf("count films: %w", err)
	}
	return films, nil
}

func (s sqliteStore) save(ctx context.Context, model string, batch []item, now time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error { return saveItems(ctx, tx, model, batch, now) })
}

func saveItems(ctx context.Context, tx *sql.Tx, model string, batch []item, now time.Time) error {
	if _, err := tx.ExecContext(ctx, `INSERT INTO models (model_id, dims) VALUES (?, ?) ON CONFLICT DO NOTHING`, model, len(batch[0].vector)); err != nil {
		return fmt.Errorf("save the model: %w", err)
	}
	var width int
	if err := tx.QueryRowContext(ctx, `SELECT dims FROM models WHERE model_id = ?`, model).Scan(&width); err != nil {
		return fmt.Errorf("read how many numbers vectors have: %w", err)
	}
	for _, it := range batch {
		if len(it.vector) != width { // another process had another model of this name
			return wrongWidth(it, model, width)
		}
		if err := saveItem(ctx, tx, model, it, now); err != nil {
			return fmt.Errorf("save film %s: %w", it.movie.ID, err)
		}
	}
	return nil
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
	return s.change(ctx, `DELETE FROM movies WHERE id IN (SELECT value FROM json_each(?))`, string(list))
}

func (s sqliteStore) complete(ctx context.Context, model string) (bool, error) {
	var already bool
	err := s.db.Read.QueryRowContext(ctx, `SELECT complete FROM models WHERE model_id = ?`, model).Scan(&already)
	if already || errors.Is(err, sql.ErrNoRows) { // no row: no films
		return false, nil
	}
	if err == nil {
		_, err = s.change(ctx, `UPDATE models SET complete = 1 WHERE model_id = ?`, model)
	}
	if err != nil {
		return false, fmt.Errorf("complete model %s: %w", model, err)
	}
	return true, nil
}

func (s sqliteStore) use(ctx context.Context, model string) error {
	_, err := s.change(ctx, `UPDATE catalogue SET model = nullif(?, '')`, model)
	return err
}

func (s sqliteStore) weigh(ctx context.Context, model string, weight float64) (there bool, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		n, err := execute(ctx, tx, `UPDATE models SET weight = ? WHERE model_id = ?`, weight, model)
		there = n > 0
		return err
	})
	return there, err
}

func (s sqliteStore) deleteModel(ctx context.Context, model string) (deleted int, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		if deleted, err = execute(ctx, tx, `DELETE FROM vectors WHERE model_id = ?`, model); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM models WHERE model_id = ?`, model)
		return err
	})
	return deleted, err
}

// change is a transaction of one statement, and gives how many rows it changed.
func (s sqliteStore) change(ctx context.Context, query, arg string) (changed int, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		changed, err = execute(ctx, tx, query, arg)
		return err
	})
	return changed, err
}

func execute(ctx context.Context, tx *sql.Tx, query string, args ...any) (changed int, err error) {
	result, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
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
	return atCommit(tx.Commit())
}
