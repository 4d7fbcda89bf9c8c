package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

func (s sqliteStore) apply(ctx context.Context, model string, e Edition, changes []Change) (number int64, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		var last int64
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(number), 0) FROM editions`).Scan(&last); err != nil {
			return fmt.Errorf("read the number of the last edition: %w", err)
		}
		if e.undoes != 0 && e.undoes != last {
			return ErrNoUndo
		}
		number = last + 1
		_, err := tx.ExecContext(ctx, `INSERT INTO editions (number, kind, made_by, made_at, films) VALUES (?, ?, ?, ?, ?)`,
			number, e.Kind, e.By, e.At.Format(time.RFC3339), e.Films)
		if err != nil {
			return fmt.Errorf("record edition %d: %w", number, err)
		}
		for _, c := range changes {
			if err := applyChange(ctx, tx, model, number, c, e.At); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM edition_films WHERE number <= ?`, number-editionsKept)
		return err
	})
	return number, err
}

func applyChange(ctx context.Context, tx *sql.Tx, model string, number int64, c Change, now time.Time) error {
	var hash []byte
	var own bool
	err := tx.QueryRowContext(ctx, `SELECT hash, own FROM movies WHERE id = ?`, c.ID).Scan(&hash, &own)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read film %s: %w", c.ID, err)
	}
	if c.stale(hash, own) {
		return fmt.Errorf("film %s: %w", c.ID, ErrStale)
	}
	before, after, err := c.kept()
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO edition_films (number, movie_id, before, before_own, after, after_own) VALUES (?, ?, nullif(?, ''), ?, nullif(?, ''), ?)`,
		number, c.ID, before, c.wasOwn, after, c.willBe)
	if err == nil && c.drops() {
		_, err = tx.ExecContext(ctx, `DELETE FROM movies WHERE id = ?`, c.ID)
	}
	if err == nil && c.replaces != nil {
		err = saveItems(ctx, tx, model, []item{*c.replaces}, now)
	}
	if err != nil {
		return fmt.Errorf("change film %s: %w", c.ID, err)
	}
	return nil
}

func (s sqliteStore) editions(ctx context.Context, limit int) (all []Edition, err error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT number, kind, made_by, made_at, films,
		EXISTS (SELECT 1 FROM edition_films f WHERE f.number = e.number) FROM editions e ORDER BY number DESC LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("read editions: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var e Edition
		var at string
		if err := rows.Scan(&e.Number, &e.Kind, &e.By, &at, &e.Films, &e.Undoable); err != nil {
			return nil, fmt.Errorf("read editions: %w", err)
		}
		if e.At, err = time.Parse(time.RFC3339, at); err != nil {
			return nil, fmt.Errorf("read when edition %d was made: %w", e.Number, err)
		}
		all = append(all, e)
	}
	return all, rows.Err()
}

func (s sqliteStore) editionChanges(ctx context.Context, number int64) (all []Change, err error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT movie_id, before, after, before_own, after_own FROM edition_films WHERE number = ? ORDER BY movie_id`, number)
	if err != nil {
		return nil, fmt.Errorf("read edition %d: %w", number, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var before, after *string
		var wasOwn, willBe bool
		if err := rows.Scan(&id, &before, &after, &wasOwn, &willBe); err != nil {
			return nil, fmt.Errorf("read edition %d: %w", number, err)
		}
		c, err := keptChange(id, before, after, wasOwn, willBe)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

func (s sqliteStore) ownFilms(ctx context.Context) (ids []string, err error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT id FROM movies WHERE own ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("read which films are the operator's: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read which films are the operator's: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

func (s sqliteStore) keepUpload(ctx context.Context, u Upload, now time.Time) error {
	content, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("encode an upload: %w", err)
	}
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM uploads WHERE sent_by = ?`, u.By)
	if err == nil {
		_, err = tx.ExecContext(ctx, `INSERT INTO uploads (id, sent_by, sent_at, content) VALUES (?, ?, ?, ?)`, u.ID, u.By, now.Format(time.RFC3339), string(content))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("keep an upload: %w", err), tx.Rollback())
	}
	return tx.Commit()
}

func (s sqliteStore) upload(ctx context.Context, id, by string, since time.Time) (u Upload, err error) {
	var content, at string
	err = s.db.Read.QueryRowContext(ctx, `SELECT sent_at, content FROM uploads WHERE id = ? AND sent_by = ? AND sent_at >= ?`, id, by, since.Format(time.RFC3339)).Scan(&at, &content)
	if errors.Is(err, sql.ErrNoRows) {
		return Upload{}, ErrNoUpload
	}
	if err == nil {
		err = json.Unmarshal([]byte(content), &u)
	}
	if err == nil {
		u.At, err = time.Parse(time.RFC3339, at)
	}
	if err != nil {
		return Upload{}, fmt.Errorf("read an upload: %w", err)
	}
	u.ID, u.By = id, by
	return u, nil
}

func (s sqliteStore) dropUploads(ctx context.Context, before time.Time) error {
	if _, err := s.db.Write.ExecContext(ctx, `DELETE FROM uploads WHERE sent_at < ?`, before.Format(time.RFC3339)); err != nil {
		return fmt.Errorf("drop old uploads: %w", err)
	}
	return nil
}
