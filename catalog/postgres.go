package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/schema"
)

// postgresStore is the catalogue's tables in PostgreSQL. Their vectors stay there
// and are searched by pgvector.
type postgresStore struct {
	pool      *pgxpool.Pool
	indexFrom int // number of a model's vectors from which there is an index
}

// OpenPostgres reads the films of a database opened by schema.OpenPostgres. The caller
// keeps pool open while the Catalogue is in use.
func OpenPostgres(ctx context.Context, pool *pgxpool.Pool) (*Catalogue, error) {
	return open(ctx, postgresStore{pool, indexFrom})
}

func (s postgresStore) read(ctx context.Context) (all stored, err error) {
	moment := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.pool, moment, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT revision, coalesce(model, '') FROM catalogue`).Scan(&all.revision, &all.used); err != nil {
			return fmt.Errorf("read the catalogue's revision: %w", err)
		}
		rows, _ := tx.Query(ctx, `SELECT id, hash, json, own FROM movies ORDER BY id`)
		var id string
		var own bool
		var hash, content []byte
		_, err := pgx.ForEachRow(rows, []any{&id, &hash, &content, &own}, func() error { return all.add(id, hash, content, own) })
		if err != nil {
			return fmt.Errorf("read films: %w", err)
		}
		if all.synonyms, err = collectSynonyms(ctx, tx); err != nil {
			return err
		}
		return s.readVectors(ctx, tx, &all)
	})
	return all, err
}

// readVectors reads which films have a vector of which model.
func (s postgresStore) readVectors(ctx context.Context, tx pgx.Tx, all *stored) error {
	all.vectors, all.finished, all.weights = make(map[string]vectors), make(map[string]bool), make(map[string]float64)
	var id, model string
	var dims int
	var complete bool
	var weight *float64
	rows, _ := tx.Query(ctx, `SELECT model_id, dims, complete, weight FROM models`)
	_, err := pgx.ForEachRow(rows, []any{&model, &dims, &complete, &weight}, func() error {
		all.finished[model] = complete
		if weight != nil {
			all.weights[model] = *weight
		}
		all.vectors[model] = &postgresVectors{pool: s.pool, model: model, width: dims, movies: all.movies, has: make([]bool, len(all.movies)), indexFrom: s.indexFrom}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the models: %w", err)
	}
	along := walk{movies: all.movies, at: -1}
	rows, _ = tx.Query(ctx, `SELECT movie_id, model_id, hash FROM vectors ORDER BY movie_id`)
	var hash []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &model, &hash}, func() error {
		film, fresh := along.to(id, hash)
		if !fresh {
			return nil
		}
		v := all.vectors[model].(*postgresVectors)
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

const selectKnown = `SELECT m.id, m.hash, m.own, v.hash FROM movies m
	LEFT JOIN vectors v ON v.movie_id = m.id AND v.model_id = $1 `

func (s postgresStore) known(ctx context.Context, model string, ids []string) ([]known, error) {
	return s.collectKnown(ctx, selectKnown+`WHERE m.id = ANY($2)`, model, ids)
}

func (s postgresStore) after(ctx context.Context, model, id string, limit int) ([]known, error) {
	return s.collectKnown(ctx, selectKnown+`WHERE m.id > $2 ORDER BY m.id LIMIT $3`, model, id, limit)
}

func (s postgresStore) collectKnown(ctx context.Context, query string, args ...any) (all []known, err error) {
	rows, _ := s.pool.Query(ctx, query, args...)
	var id string
	var own bool
	var hash, texts []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &hash, &own, &texts}, func() error {
		all = append(all, newKnown(id, hash, own, texts))
		texts = nil
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what is known of films: %w", err)
	}
	return all, nil
}

func (s postgresStore) films(ctx context.Context, ids, imdb []string) (all []storedFilm, err error) {
	if len(ids)+len(imdb) == 0 {
		return nil, nil
	}
	rows, _ := s.pool.Query(ctx, `SELECT json, own FROM movies WHERE id = ANY($1)
		UNION SELECT json, own FROM movies WHERE json::jsonb #>> '{ids,imdb}' = ANY($2)`, ids, imdb)
	var content []byte
	var own bool
	_, err = pgx.ForEachRow(rows, []any{&content, &own}, func() error {
		f, err := newStoredFilm(content, own)
		all = append(all, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read films: %w", err)
	}
	return all, nil
}

func (s postgresStore) count(ctx context.Context) (films int, err error) {
	if err := s.pool.QueryRow(ctx, `SELECT count(*) FROM movies`).Scan(&films); err != nil {
		return 0, fmt.Errorf("count films: %w", err)
	}
	return films, nil
}

// A change of the tables is one pipeline: it begins with touch, whose lock serialises
// the changes of all processes.
const touch = `UPDATE catalogue SET revision = revision + 1`

func (s postgresStore) save(ctx context.Context, model string, batch []item, now time.Time) error {
	var queries pgx.Batch
	queries.Queue(touch)
	queueItems(&queries, model, batch, now)
	return s.savingFault(ctx, s.change(ctx, &queries), model, batch)
}

// queueItems queues what stores films with their vectors.
func queueItems(queries *pgx.Batch, model string, batch []item, now time.Time) {
	queries.Queue(`INSERT INTO models (model_id, dims) VALUES ($1, $2) ON CONFLICT DO NOTHING`, model, len(batch[0].vector))
	for _, it := range batch {
		if it.changes != unchanged {
			queries.Queue(`INSERT INTO movies (id, hash, json, own, imported_at) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, json = excluded.json, own = excluded.own, imported_at = excluded.imported_at
				WHERE excluded.own OR NOT movies.own`,
				it.movie.ID, it.hash[:], string(it.content), it.own, now)
		}
		texts := it.movie.textsHash()
		queries.Queue(`DELETE FROM vectors v USING movies m
			WHERE v.movie_id = $1 AND v.hash <> $2 AND m.id = $1 AND m.hash = $3`, it.movie.ID, texts[:], it.hash[:])
		queries.Queue(`INSERT INTO vectors (model_id, movie_id, hash, vector, dims)
			SELECT $1::text, id, $2::bytea, $3::real[]::vector, cardinality($3::real[]) FROM movies WHERE id = $4 AND hash = $5
			ON CONFLICT (model_id, movie_id) DO UPDATE SET hash = excluded.hash, vector = excluded.vector`,
			model, texts[:], it.vector, it.movie.ID, it.hash[:])
	}
}

// savingFault is an error of saving films, explained.
func (s postgresStore) savingFault(ctx context.Context, err error, model string, batch []item) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.ConstraintName == "vectors_model" { // another process had another model of this name
		var dims int
		if err := s.pool.QueryRow(ctx, `SELECT dims FROM models WHERE model_id = $1`, model).Scan(&dims); err != nil {
			return fmt.Errorf("read how many numbers vectors have: %w", err)
		}
		return wrongWidth(batch[0], model, dims)
	}
	if err != nil {
		return fmt.Errorf("save films %s to %s: %w", batch[0].movie.ID, batch[len(batch)-1].movie.ID, err)
	}
	return nil
}

// transact runs a transaction. The error wraps ErrUnknown where it may have been committed.
func (s postgresStore) transact(ctx context.Context, do func(pgx.Tx) error) error {
	committing := false
	err := schema.InTransaction(ctx, s.pool, func(tx pgx.Tx) error {
		err := do(tx)
		committing = err == nil
		return err
	})
	if committing {
		return atCommit(err)
	}
	return err
}

// atCommit is the error of a commit, which wraps ErrUnknown unless certainly nothing was changed.
func atCommit(err error) error {
	if err == nil || schema.IsUndone(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnknown, err)
}

func (s postgresStore) change(ctx context.Context, queries *pgx.Batch) error {
	return s.transact(ctx, func(tx pgx.Tx) error { return tx.SendBatch(ctx, queries).Close() })
}

func (s postgresStore) remove(ctx context.Context, ids []string) (int, error) {
	return s.execute(ctx, ids, `DELETE FROM movies WHERE id = ANY($1)`)
}

func (s postgresStore) complete(ctx context.Context, model string) (bool, error) {
	var already bool
	err := s.pool.QueryRow(ctx, `SELECT complete FROM models WHERE model_id = $1`, model).Scan(&already)
	if already || errors.Is(err, pgx.ErrNoRows) { // no row: no films
		return false, nil
	}
	if err == nil {
		_, err = s.execute(ctx, model, `UPDATE models SET complete = true WHERE model_id = $1`)
	}
	if err != nil {
		return false, fmt.Errorf("complete model %s: %w", model, err)
	}
	return true, nil
}

func (s postgresStore) use(ctx context.Context, model string) error {
	_, err := s.execute(ctx, model, `UPDATE catalogue SET model = nullif($1, '')`)
	return err
}

func (s postgresStore) weigh(ctx context.Context, model string, weight float64) (bool, error) {
	var pipe pgx.Batch
	pipe.Queue(touch)
	there := false
	pipe.Queue(`UPDATE models SET weight = $1 WHERE model_id = $2`, weight, model).Exec(func(tag pgconn.CommandTag) error {
		there = tag.RowsAffected() > 0
		return nil
	})
	err := s.change(ctx, &pipe)
	return there, err
}

func (s postgresStore) deleteModel(ctx context.Context, model string) (int, error) {
	return s.execute(ctx, model, `DELETE FROM vectors WHERE model_id = $1`, `DELETE FROM models WHERE model_id = $1`)
}

// execute is a change of statements with one argument, and gives how many rows the first
// of them changed.
func (s postgresStore) execute(ctx context.Context, arg any, first string, more ...string) (changed int, err error) {
	err = s.transact(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, touch); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, first, arg)
		changed = int(tag.RowsAffected())
		for _, query := range more {
			if err == nil {
				_, err = tx.Exec(ctx, query, arg)
			}
		}
		return err
	})
	return changed, err
}

// maintain builds the indexes that the number of vectors requires.
func (s postgresStore) maintain(ctx context.Context) error {
	if _, err := s.pool.Exec(ctx, `SELECT tend_vector_indexes($1)`, s.indexFrom); err != nil {
		return fmt.Errorf("build the indexes of vectors: %w", err)
	}
	return nil
}
