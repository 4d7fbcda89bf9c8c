package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/eventstore"
	"kassa/schema"
)

// errDiverged: a view does not hold what the log gives. It was filled from a log that was
// restored since, or its position was changed.
var errDiverged = errors.New("the view does not follow the log")

// viewState is how far a view's table is, and whether it follows the log.
type viewState struct {
	place
	there    bool // its table
	follows  bool
	archived eventstore.Position // up to where the log is
}

// sound reports whether the view can go on from where it is.
func (s viewState) sound() bool { return s.there && s.follows && s.position >= s.archived }

func readStates(ctx context.Context, db querier) (map[string]viewState, error) {
	rows, err := db.Query(ctx, `SELECT view, position, leaf, to_regclass('`+served+`' || view) IS NOT NULL, kassa_views.follows(position, leaf),
		(SELECT coalesce(max(upto), 0) FROM archives) FROM `+served+`positions`)
	if err != nil {
		return nil, fmt.Errorf("read the state of the views: %w", err)
	}
	found := map[string]viewState{}
	var view string
	var leaf []byte
	var s viewState
	if _, err := pgx.ForEachRow(rows, []any{&view, &s.position, &leaf, &s.there, &s.follows, &s.archived}, func() error {
		s.place = placeIn(s.position, leaf)
		found[view] = s
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read the state of the views: %w", err)
	}
	return found, nil
}

// Positions is up to where each view that this program keeps holds the log, by its name.
func (v *Postgres) Positions(ctx context.Context) (map[string]eventstore.Position, error) {
	states, err := readStates(ctx, v.pool)
	if err != nil {
		return nil, err
	}
	found := map[string]eventstore.Position{}
	for _, table := range declaredTables {
		found[viewName(table)] = states[table].position
	}
	return found, nil
}

// repair makes tables that are missing, and empties those that do not follow the log. They
// are not read until they have come to where the log ends now. It returns the states after
// that.
//
// Where a part of the log is archived, a view cannot be filled from the database: it is left
// as it is, and is not read until it is filled from the archive.
func (r *Runner) repair(ctx context.Context, found map[string]viewState) (map[string]viewState, error) {
	sound := true
	for _, table := range declaredTables {
		s, ok := found[table]
		if ok && s.sound() {
			delete(r.left, table)
			continue
		}
		archived, err := isArchived(ctx, r.pool)
		if err != nil {
			return nil, err
		}
		if archived {
			if err := r.leave(ctx, table, s); err != nil {
				return nil, err
			}
			continue
		}
		sound = false
		r.logger.Error("a view does not follow the log, and is built again", "view", table, "position", s.position, "missing", !ok || !s.there)
		if err := rebuildFromNothing(ctx, r.pool, table); err != nil {
			return nil, fmt.Errorf("empty %s: %w", table, err)
		}
	}
	if sound {
		return found, nil
	}
	return readStates(ctx, r.pool)
}

func isArchived(ctx context.Context, pool *pgxpool.Pool) (archived bool, err error) {
	err = pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM archives)`).Scan(&archived)
	return archived, err
}

// leave leaves a view that cannot be filled, with an empty table where it had none, and
// logs it once.
func (r *Runner) leave(ctx context.Context, table string, s viewState) error {
	if !s.there {
		err := schema.InTransaction(ctx, r.pool, func(tx pgx.Tx) error { return makeTable(ctx, tx, servedSchema, table) })
		if err != nil {
			return err
		}
	}
	if !r.left[table] {
		r.logger.Error("a view cannot be filled, because a part of the log is archived: kassa views rebuild with --archive fills it", "view", table, "position", s.position)
	}
	r.left[table] = true
	return nil
}

// rebuildFromNothing makes the table where it is missing, and empties it where it does not
// follow the log. Where a part of the log is archived, it empties none.
func rebuildFromNothing(ctx context.Context, pool *pgxpool.Pool, table string) error {
	return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if err := makeTable(ctx, tx, servedSchema, table); err != nil { // nothing, where it is there
			return err
		}
		done, err := tx.Exec(ctx, `UPDATE `+served+`positions SET position = 0, serves_from = (SELECT size FROM head)
			WHERE view = $1 AND NOT EXISTS (SELECT FROM archives) AND (position = 0 OR NOT kassa_views.follows(position, leaf))`, table)
		if err != nil || done.RowsAffected() == 0 { // another process was faster
			return err
		}
		_, err = tx.Exec(ctx, `TRUNCATE `+served+table)
		return err
	})
}
