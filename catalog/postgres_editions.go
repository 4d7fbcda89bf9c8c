package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/schema"
)

func (s postgresStore) apply(ctx context.Context, model string, e Edition, changes []Change) (number int64, err error) {
	var items []item
	for _, c := range changes {
		if c.replaces != nil {
			items = append(items, *c.replaces)
		}
	}
	err = s.transact(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, touch); err != nil {
			return err
		}
		var last int64
		if err := tx.QueryRow(ctx, `SELECT coalesce(max(number), 0) FROM editions`).Scan(&last); err != nil {
			return fmt.Errorf("read the number of the last edition: %w", err)
		}
		if e.undoes != 0 && e.undoes != last {
			return ErrNoUndo
		}
		number = last + 1
		if err := checkStale(ctx, tx, changes); err != nil {
			return err
		}
		queries, err := editionQueries(number, e, changes)
		if err != nil {
			return err
		}
		if len(items) > 0 {
			queueItems(queries, model, items, e.At)
		}
		return tx.SendBatch(ctx, queries).Close()
	})
	if err != nil && len(items) > 0 && !errors.Is(err, ErrStale) && !errors.Is(err, ErrNoUndo) {
		err = s.savingFault(ctx, err, model, items)
	}
	return number, err
}

// checkStale compares changes with what is stored.
func checkStale(ctx context.Context, tx pgx.Tx, changes []Change) error {
	ids := make([]string, len(changes))
	for i, c := range changes {
		ids[i] = c.ID
	}
	type row struct {
		hash []byte
		own  bool
	}
	there := make(map[string]row, len(ids))
	rows, _ := tx.Query(ctx, `SELECT id, hash, own FROM movies WHERE id = ANY($1)`, ids)
	var id string
	var r row
	_, err := pgx.ForEachRow(rows, []any{&id, &r.hash, &r.own}, func() error {
		there[id] = r
		r.hash = nil
		return nil
	})
	if err != nil {
		return fmt.Errorf("read what is stored of films: %w", err)
	}
	for _, c := range changes {
		if r := there[c.ID]; c.stale(r.hash, r.own) {
			return fmt.Errorf("film %s: %w", c.ID, ErrStale)
		}
	}
	return nil
}

// editionQueries record an edition, and delete the films that it drops.
func editionQueries(number int64, e Edition, changes []Change) (*pgx.Batch, error) {
	var queries pgx.Batch
	queries.Queue(`INSERT INTO editions (number, kind, made_by, made_at, films) VALUES ($1, $2, $3, $4, $5)`, number, e.Kind, e.By, e.At, e.Films)
	for _, c := range changes {
		before, after, err := c.kept()
		if err != nil {
			return nil, err
		}
		queries.Queue(`INSERT INTO edition_films (number, movie_id, before, before_own, after, after_own) VALUES ($1, $2, nullif($3, ''), $4, nullif($5, ''), $6)`,
			number, c.ID, before, c.wasOwn, after, c.willBe)
		if c.drops() {
			queries.Queue(`DELETE FROM movies WHERE id = $1`, c.ID)
		}
	}
	queries.Queue(`DELETE FROM edition_films WHERE number <= $1`, number-editionsKept)
	return &queries, nil
}

func (s postgresStore) editions(ctx context.Context, limit int) (all []Edition, err error) {
	rows, _ := s.pool.Query(ctx, `SELECT number, kind, made_by, made_at, films,
		EXISTS (SELECT 1 FROM edition_films f WHERE f.number = e.number) FROM editions e ORDER BY number DESC LIMIT $1`, limit)
	var e Edition
	_, err = pgx.ForEachRow(rows, []any{&e.Number, &e.Kind, &e.By, &e.At, &e.Films, &e.Undoable}, func() error {
		all = append(all, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read editions: %w", err)
	}
	return all, nil
}

func (s postgresStore) editionChanges(ctx context.Context, number int64) (all []Change, err error) {
	rows, _ := s.pool.Query(ctx, `SELECT movie_id, before, after, before_own, after_own FROM edition_films WHERE number = $1 ORDER BY movie_id`, number)
	var id string
	var before, after *string
	var wasOwn, willBe bool
	_, err = pgx.ForEachRow(rows, []any{&id, &before, &after, &wasOwn, &willBe}, func() error {
		c, err := keptChange(id, before, after, wasOwn, willBe)
		all = append(all, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read edition %d: %w", number, err)
	}
	return all, nil
}

func (s postgresStore) ownFilms(ctx context.Context) ([]string, error) {
	rows, _ := s.pool.Query(ctx, `SELECT id FROM movies WHERE own ORDER BY id`)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read which films are the operator's: %w", err)
	}
	return ids, nil
}

func (s postgresStore) keepUpload(ctx context.Context, u Upload, now time.Time) error {
	content, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("encode an upload: %w", err)
	}
	err = schema.InTransaction(ctx, s.pool, func(tx pgx.Tx) error {
		var queries pgx.Batch
		queries.Queue(`DELETE FROM uploads WHERE sent_by = $1`, u.By)
		queries.Queue(`INSERT INTO uploads (id, sent_by, sent_at, content) VALUES ($1, $2, $3, $4)`, u.ID, u.By, now, string(content))
		return tx.SendBatch(ctx, &queries).Close()
	})
	if err != nil {
		return fmt.Errorf("keep an upload: %w", err)
	}
	return nil
}

func (s postgresStore) upload(ctx context.Context, id, by string, since time.Time) (u Upload, err error) {
	var content string
	var at time.Time
	err = s.pool.QueryRow(ctx, `SELECT sent_at, content FROM uploads WHERE id = $1 AND sent_by = $2 AND sent_at >= $3`, id, by, since).Scan(&at, &content)
	if errors.Is(err, pgx.ErrNoRows) {
		return Upload{}, ErrNoUpload
	}
	if err == nil {
		err = json.Unmarshal([]byte(content), &u)
	}
	if err != nil {
		return Upload{}, fmt.Errorf("read an upload: %w", err)
	}
	u.ID, u.By, u.At = id, by, at
	return u, nil
}

func (s postgresStore) dropUploads(ctx context.Context, before time.Time) error {
	if _, err := s.pool.Exec(ctx, `DELETE FROM uploads WHERE sent_at < $1`, before); err != nil {
		return fmt.Errorf("drop old uploads: %w", err)
	}
	return nil
}
