package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"kassa/eventstore"
)

// errAstray: a view holds something else than the log says. It was filled from a log that
// was restored since, or its position was moved.
var errAstray = errors.New("the view does not follow the log")

// How far views have come, and how many of them may not be read: those that do not follow
// the log that is here, and those that are built again and have not come to where they were.
const leastPosition = `SELECT coalesce(min(position), 0), count(*), count(*) FILTER (WHERE position < serves_from OR NOT kassa_views.follows(position, leaf))
	FROM ` + served + `positions WHERE view = ANY($1)`

func scanLeast(row pgx.Row, tables []string) (at eventstore.Position, err error) {
	var views, astray int
	if err := row.Scan(&at, &views, &astray); err != nil {
		return 0, err
	}
	if views != len(tables) {
		return 0, errors.New("a view was dropped while it was in use")
	}
	if astray > 0 {
		return 0, fmt.Errorf("%w: %d of them do not follow the log, and are built again", ErrBehind, astray)
	}
	return at, nil
}

// standing is how a view stands to the log.
type standing struct {
	position eventstore.Position
	there    bool // its table
	follows  bool
}

func readStandings(ctx context.Context, db querier) (map[string]standing, error) {
	rows, err := db.Query(ctx, `SELECT view, position, to_regclass('`+served+`' || view) IS NOT NULL, kassa_views.follows(position, leaf) FROM `+served+`positions`)
	if err != nil {
		return nil, fmt.Errorf("read how the views stand to the log: %w", err)
	}
	found := map[string]standing{}
	var view string
	var s standing
	if _, err := pgx.ForEachRow(rows, []any{&view, &s.position, &s.there, &s.follows}, func() error { found[view] = s; return nil }); err != nil {
		return nil, fmt.Errorf("read how the views stand to the log: %w", err)
	}
	return found, nil
}

// repair brings views to where they can be filled from the log: a table that is missing is
// made, and one that does not follow the log is emptied. Until it has come to where the log
// ends now, nobody reads it. It gives how the views stand then.
func (r *Runner) repair(ctx context.Context, found map[string]standing) (map[string]standing, error) {
	sound := true
	for _, table := range declaredTables {
		s, ok := found[table]
		if ok && s.there && s.follows {
			continue
		}
		sound = false
		r.logger.Error("a view does not follow the log, and is built again", "view", table, "position", s.position, "missing", !ok || !s.there)
		if err := rebuildFromNothing(ctx, r, table); err != nil {
			return nil, fmt.Errorf("empty %s: %w", table, err)
		}
	}
	if sound {
		return found, nil
	}
	return readStandings(ctx, r.pool)
}

func rebuildFromNothing(ctx context.Context, r *Runner, table string) error {
	return pgx.BeginTxFunc(ctx, r.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if err := makeTable(ctx, tx, servedSchema, table); err != nil { // nothing, where it is there
			return err
		}
		done, err := tx.Exec(ctx, `UPDATE `+served+`positions SET position = 0, serves_from = (SELECT size FROM head)
			WHERE view = $1 AND (position = 0 OR NOT kassa_views.follows(position, leaf))`, table)
		if err != nil || done.RowsAffected() == 0 { // another process was faster
			return err
		}
		_, err = tx.Exec(ctx, `TRUNCATE `+served+table)
		return err
	})
}
