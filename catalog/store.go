package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"kassa/schema"
)

// store is the catalogue's tables in an SQLite file.
type store struct{ db *schema.SQLite }

// stored is all that the tables hold that counts: vectors of older texts are
// left out.
type stored struct {
	movies   []Movie // by id
	hashes   [][sha256.Size]byte
	matrices map[string]*matrix // by model
}

// known is what an import must know of a film that is there.
type known struct {
	hash  [sha256.Size]byte
	texts [sha256.Size]byte // of the vector of the model that was asked for; zero if there is none
}

// read reads both tables as they were at one moment.
func (s store) read(ctx context.Context) (stored, error) {
	tx, err := s.db.Read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return stored{}, fmt.Errorf("read catalogue: %w", err)
	}
	defer tx.Rollback()
	var all stored
	if err := all.readMovies(ctx, tx); err != nil {
		return stored{}, fmt.Errorf("read films: %w", err)
	}
	if err := all.readVectors(ctx, tx); err != nil {
		return stored{}, fmt.Errorf("read vectors: %w", err)
	}
	return all, nil
}

func (a *stored) readMovies(ctx context.Context, tx *sql.Tx) error {
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
	}
	return rows.Err()
}

// readVectors walks along the films: both are in the order of ids.
func (a *stored) readVectors(ctx context.Context, tx *sql.Tx) error {
	a.matrices = make(map[string]*matrix)
	rows, err := tx.QueryContext(ctx, `SELECT movie_id, model_id, hash, vector FROM vectors ORDER BY movie_id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	at := -1
	var texts [sha256.Size]byte // of the film at
	var hash, blob sql.RawBytes // valid until the next row: the blob is copied into the matrix before
	for rows.Next() {
		var id, model string
		if err := rows.Scan(&id, &model, &hash, &blob); err != nil {
			return err
		}
		for at < 0 || a.movies[at].ID != id { // it is there: a foreign key says so
			at++
			texts = a.movies[at].textsHash()
		}
		if !bytes.Equal(hash, texts[:]) {
			continue
		}
		m := a.matrices[model]
		if m == nil {
			m = newMatrix(len(a.movies), len(blob)/4)
			a.matrices[model] = m
		}
		if len(blob) != 4*m.dims {
			return fmt.Errorf("%w: that of film %q has %d numbers, others of model %s have %d", ErrVector, id, len(blob)/4, model, m.dims)
		}
		fromBlob(blob, m.row(at))
		if _, err := unit(m.row(at)); err != nil {
			return fmt.Errorf("film %q, model %s: %w", id, model, err)
		}
	}
	return rows.Err()
}

// known tells of each film that is there what an import must know.
func (s store) known(ctx context.Context, model string) (map[string]known, error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT m.id, m.hash, v.hash FROM movies m
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
		if err := rows.Scan(&id, &hash, &texts); err != nil {
			return nil, fmt.Errorf("read what is known of films: %w", err)
		}
		copy(k.hash[:], hash)
		copy(k.texts[:], texts)
		all[id] = k
	}
	return all, rows.Err()
}

// movie reads one film.
func (s store) movie(ctx context.Context, id string) (Movie, error) {
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

// save writes films together with their vectors, all or none, so that no film
// is ever seen with the vector of another text.
func (s store) save(ctx context.Context, model string, batch []item, now time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		for _, it := range batch {
			if it.changes != unchanged {
				_, err := tx.ExecContext(ctx, `INSERT INTO movies (id, hash, json, imported_at) VALUES (?,?,?,?)
					ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, json = excluded.json, imported_at = excluded.imported_at`,
					it.movie.ID, it.hash[:], string(it.content), now.UTC().Format(time.RFC3339))
				if err != nil {
					return fmt.Errorf("save film %s: %w", it.movie.ID, err)
				}
			}
			texts := it.movie.textsHash()
			_, err := tx.ExecContext(ctx, `DELETE FROM vectors WHERE movie_id = ? AND hash <> ?`, it.movie.ID, texts[:])
			if err != nil {
				return fmt.Errorf("delete old vectors of film %s: %w", it.movie.ID, err)
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO vectors (movie_id, model_id, hash, vector) VALUES (?,?,?,?)
				ON CONFLICT (movie_id, model_id) DO UPDATE SET hash = excluded.hash, vector = excluded.vector`,
				it.movie.ID, model, texts[:], toBlob(it.vector))
			if err != nil {
				return fmt.Errorf("save vector of film %s: %w", it.movie.ID, err)
			}
		}
		return nil
	})
}

// remove deletes films with their vectors, and returns how many were there.
func (s store) remove(ctx context.Context, ids []string) (removed int, err error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return 0, err
	}
	return s.delete(ctx, `DELETE FROM movies WHERE id IN (SELECT value FROM json_each(?))`, string(list))
}

// forget deletes the vectors of all models but one.
func (s store) forget(ctx context.Context, keep string) (int, error) {
	return s.delete(ctx, `DELETE FROM vectors WHERE model_id <> ?`, keep)
}

func (s store) delete(ctx context.Context, query, arg string) (deleted int, err error) {
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

func (s store) write(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
