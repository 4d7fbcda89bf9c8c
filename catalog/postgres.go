package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/schema"
)

// postgresDims is how many numbers the column of vectors holds.
const postgresDims = 384

// postgresStore is the catalogue's tables in PostgreSQL. Their vectors stay there
// and are searched by pgvector.
type postgresStore struct {
	pool      *pgxpool.Pool
	indexFrom int // vectors of a model from which they have an index
}

// OpenPostgres reads the films of a database that schema.OpenPostgres opened. The
// caller keeps pool open for as long as it uses the Catalogue.
func OpenPostgres(ctx context.Context, pool *pgxpool.Pool) (*Catalogue, error) {
	return open(ctx, postgresStore{pool, indexFrom})
}

func (postgresStore) dims() int { return postgresDims }

func (s postgresStore) read(ctx context.Context) (all stored, err error) {
	moment := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.pool, moment, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT revision FROM catalogue`).Scan(&all.revision); err != nil {
			return fmt.Errorf("read the catalogue's revision: %w", err)
		}
		rows, _ := tx.Query(ctx, `SELECT id, hash, json FROM movies ORDER BY id`)
		var id string
		var hash, content []byte
		_, err := pgx.ForEachRow(rows, []any{&id, &hash, &content}, func() error { return all.add(id, hash, content) })
		if err != nil {
			return fmt.Errorf("read films: %w", err)
		}
		return s.readVectors(ctx, tx, &all)
	})
	return all, err
}

// readVectors finds out which films have a vector of which model.
func (s postgresStore) readVectors(ctx context.Context, tx pgx.Tx, all *stored) error {
	all.vectors = make(map[string]vectors)
	along := walk{movies: all.movies, at: -1}
	rows, _ := tx.Query(ctx, `SELECT movie_id, model_id, hash FROM vectors ORDER BY movie_id`)
	var id, model string
	var hash []byte
	_, err := pgx.ForEachRow(rows, []any{&id, &model, &hash}, func() error {
		film, fresh := along.to(id, hash)
		if !fresh {
			return nil
		}
		v, ok := all.vectors[model].(*postgresVectors)
		if !ok {
			v = &postgresVectors{pool: s.pool, model: model, movies: all.movies, has: make([]bool, len(all.movies)), indexFrom: s.indexFrom}
			all.vectors[model] = v
		}
		v.has[film] = true
		v.count++
		return nil
	})
	if err != nil {
		return fmt.Errorf("read vectors: %w", err)
	}
	return nil
}

func (s postgresStore) revision(ctx context.Context) (revision int64, err error) {
	if err := s.pool.QueryRow(ctx, `SELECT revision FROM catalogue`).Scan(&revision); err != nil {
		return 0, fmt.Errorf("read the catalogue's revision: %w", err)
	}
	return revision, nil
}

func (s postgresStore) known(ctx context.Context, model string) (map[string]known, error) {
	rows, _ := s.pool.Query(ctx, `SELECT m.id, m.hash, m.own, v.hash FROM movies m
		LEFT JOIN vectors v ON v.movie_id = m.id AND v.model_id = $1`, model)
	all := make(map[string]known)
	var id string
	var own bool
	var hash, texts []byte
	_, err := pgx.ForEachRow(rows, []any{&id, &hash, &own, &texts}, func() error {
		k := known{own: own}
		copy(k.hash[:], hash)
		copy(k.texts[:], texts)
		all[id] = k
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what is known of films: %w", err)
	}
	return all, nil
}

func (s postgresStore) movie(ctx context.Context, id string) (Movie, error) {
	var content []byte
	if err := s.pool.QueryRow(ctx, `SELECT json FROM movies WHERE id = $1`, id).Scan(&content); err != nil {
		return Movie{}, fmt.Errorf("read film %s: %w", id, err)
	}
	var m Movie
	if err := json.Unmarshal(content, &m); err != nil {
		return Movie{}, fmt.Errorf("read film %s: %w", id, err)
	}
	return m, nil
}

// A change of the tables is one pipeline: it begins with touch, whose lock puts
// the changes of all processes in order.
const touch = `UPDATE catalogue SET revision = revision + 1`

func (s postgresStore) save(ctx context.Context, model string, batch []item, now time.Time) error {
	var pipe pgx.Batch
	pipe.Queue(touch)
	for _, it := range batch {
		if it.changes != unchanged {
			pipe.Queue(`INSERT INTO movies (id, hash, json, own, imported_at) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, json = excluded.json, own = excluded.own, imported_at = excluded.imported_at
				WHERE excluded.own OR NOT movies.own`,
				it.movie.ID, it.hash[:], string(it.content), it.own, now)
		}
		texts := it.movie.textsHash()
		pipe.Queue(`DELETE FROM vectors v USING movies m
			WHERE v.movie_id = $1 AND v.hash <> $2 AND m.id = $1 AND m.hash = $3`, it.movie.ID, texts[:], it.hash[:])
		pipe.Queue(`INSERT INTO vectors (model_id, movie_id, hash, vector)
			SELECT $1::text, id, $2::bytea, $3::real[]::vector FROM movies WHERE id = $4 AND hash = $5
			ON CONFLICT (model_id, movie_id) DO UPDATE SET hash = excluded.hash, vector = excluded.vector`,
			model, texts[:], it.vector, it.movie.ID, it.hash[:])
	}
	if err := s.change(ctx, &pipe); err != nil {
		return fmt.Errorf("save films %s to %s: %w", batch[0].movie.ID, batch[len(batch)-1].movie.ID, err)
	}
	return nil
}

func (s postgresStore) change(ctx context.Context, pipe *pgx.Batch) error {
	return schema.InTransaction(ctx, s.pool, func(tx pgx.Tx) error { return tx.SendBatch(ctx, pipe).Close() })
}

func (s postgresStore) remove(ctx context.Context, ids []string) (int, error) {
	return s.delete(ctx, `DELETE FROM movies WHERE id = ANY($1)`, ids)
}

func (s postgresStore) forget(ctx context.Context, keep string) (int, error) {
	return s.delete(ctx, `DELETE FROM vectors WHERE model_id <> $1`, keep)
}

func (s postgresStore) delete(ctx context.Context, query string, arg any) (deleted int, err error) {
	err = schema.InTransaction(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, touch); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, query, arg)
		deleted = int(tag.RowsAffected())
		return err
	})
	return deleted, err
}

// tend has the indexes built that the number of vectors asks for.
func (s postgresStore) tend(ctx context.Context) error {
	if _, err := s.pool.Exec(ctx, `SELECT tend_vector_indexes($1)`, s.indexFrom); err != nil {
		return fmt.Errorf("build the indexes of vectors: %w", err)
	}
	return nil
}
