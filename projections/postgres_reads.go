package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/eventstore"
)

// reading calls read until it shows everything up to the least position.
//
// That the views were there is no promise that they still are: they commit without
// waiting for the disk, so a server that crashed has them at an earlier position. The
// rows and the position are read in one snapshot; what this process remembers only
// decides when to read.
func (v *Postgres) reading(ctx context.Context, least eventstore.Position, read func() (eventstore.Position, error)) (eventstore.Position, error) {
	for {
		if err := v.Wait(ctx, least); err != nil {
			return 0, err
		}
		at, err := read()
		if err != nil && !errors.Is(err, ErrNotFound) {
			return 0, err
		}
		if at >= least {
			return at, err
		}
		v.setBack(at)
	}
}

// query is one read: of which views, and the statements that read them.
type query struct {
	tables []string
	queue  func(*pgx.Batch)
}

// shown is up to where views show the log, in one snapshot.
type shown map[string]shownView

type shownView struct {
	place
	refused bool // it must not be read: it does not follow the log, or is being built again
}

// upTo gives the position up to which all of the views show the log.
func (s shown) upTo(tables ...string) (at eventstore.Position, err error) {
	refused := 0
	for i, table := range tables {
		view, ok := s[table]
		if !ok {
			return 0, errors.New("a view was dropped while it was in use")
		}
		if view.refused {
			refused++
		}
		if i == 0 || view.position < at {
			at = view.position
		}
	}
	if refused > 0 {
		return 0, fmt.Errorf("%w: %d of them do not follow the log, or are being built again", ErrBehind, refused)
	}
	return at, nil
}

// snapshot reads tables of views as they are at one moment, and gives up to where all
// views show the log then. Reads that come at the same time are sent together, in one
// transaction and one round trip. Where ctx ends first, the query's results may still be
// written.
func (v *Postgres) snapshot(ctx context.Context, tables []string, queue func(*pgx.Batch)) (shown, error) {
	read, err := v.reads.Load(ctx, &query{tables, queue}, v.readTogether)
	return read.value.shown, errors.Join(err, read.value.err)
}

// outcome is that of one query of those that are read together.
type outcome struct {
	shown shown
	err   error
}

// readTogether reads in one snapshot. Where that fails, each query is tried by itself: the
// fault of one is not that of the others.
func (v *Postgres) readTogether(ctx context.Context, queries []*query) (map[*query]outcome, eventstore.Position, error) {
	found := make(map[*query]outcome, len(queries))
	at, err := v.readAll(ctx, queries)
	for _, q := range queries {
		if err != nil && len(queries) > 1 {
			at, alone := v.readAll(ctx, []*query{q})
			found[q] = outcome{at, alone}
			continue
		}
		found[q] = outcome{at, err}
	}
	return found, 0, nil
}

// readAll is one round trip. The tables are locked before the moment of the snapshot is
// chosen: one that is put in place of another in between would have been empty at that
// moment.
func (v *Postgres) readAll(ctx context.Context, queries []*query) (shown, error) {
	conn, err := v.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	defer rollback(ctx, conn)
	var tables []string
	for _, q := range queries {
		tables = append(tables, q.tables...)
	}
	slices.Sort(tables)
	tables = slices.Compact(tables)
	at := shown{}
	batch := &pgx.Batch{}
	batch.Queue(`begin isolation level repeatable read, read only`)
	batch.Queue(keepTables(tables))
	known := v.followed.Load()
	if known != nil && time.Now().After(known.until) {
		known = nil
	}
	queuePositions(batch, tables, known, at)
	for _, q := range queries {
		q.queue(batch)
	}
	batch.Queue(`commit`)
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return nil, err
	}
	v.keepFollowed(at, known)
	return at, nil
}

// keepTables is the first statement of a transaction that reads tables in one snapshot.
// The lock comes before the snapshot: of a rebuilt table that was put in a table's place
// after the snapshot, only the rows that it had earlier would be seen.
func keepTables(tables []string) string {
	return `LOCK TABLE ` + served + strings.Join(tables, ", "+served) + ` IN ACCESS SHARE MODE`
}

// followed is an entry that the log was seen to have.
type followed struct {
	place
	until time.Time // then it is looked for again
}

// selectPositions reads how far views have come, and which must not be read: those that are
// built again and are not back where they were, that are behind the archive, and that do
// not follow this log. To look for the entry in the log costs more than all the rest of a
// read: an entry that was found there a moment ago ($2, $3) is not looked for again.
const selectPositions = `SELECT view, position, leaf, position < serves_from
		OR (position, leaf) IS DISTINCT FROM ($2::bigint, $3::bytea)
			AND (position < (SELECT coalesce(max(upto), 0) FROM archives) OR NOT kassa_views.follows(position, leaf))
	FROM ` + served + `positions WHERE view = ANY($1)`

func queuePositions(batch *pgx.Batch, tables []string, known *followed, at shown) {
	var position *int64
	var leaf []byte
	if known != nil {
		position, leaf = (*int64)(&known.position), known.leaf[:]
	}
	batch.Queue(selectPositions, tables, position, leaf).Query(func(rows pgx.Rows) error {
		var view string
		var position eventstore.Position
		var leaf []byte
		var refused bool
		_, err := pgx.ForEachRow(rows, []any{&view, &position, &leaf, &refused}, func() error {
			at[view] = shownView{placeIn(position, leaf), refused}
			return nil
		})
		return err
	})
}

// readServedPositions gives the positions of the views that reads do not refuse.
func readServedPositions(ctx context.Context, db querier) (map[string]eventstore.Position, error) {
	rows, err := db.Query(ctx, selectPositions, declaredTables, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("read how far the views have come: %w", err)
	}
	found := map[string]eventstore.Position{}
	var view string
	var position eventstore.Position
	var leaf []byte
	var refused bool
	if _, err := pgx.ForEachRow(rows, []any{&view, &position, &leaf, &refused}, func() error {
		if !refused {
			found[view] = position
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read how far the views have come: %w", err)
	}
	return found, nil
}

// keepFollowed keeps an entry that was found in the log, and not just known to be there.
func (v *Postgres) keepFollowed(at shown, known *followed) {
	for _, view := range at {
		if !view.refused && view.position > 0 && (known == nil || known.place != view.place) {
			v.followed.Store(&followed{view.place, time.Now().Add(maxIdle)})
			return
		}
	}
}

// listed is how a page of a list is read: $1 of the query is the position before which
// the page begins, $2 how many rows to read, and the rest follows.
type listed[T any] struct {
	tables []string // that the rows are made of
	query  string
	args   []any
	at     func(*T) eventstore.Position
	scan   pgx.RowToFunc[T]
	of     *string // the person whose list it is: ErrNotFound where there is no such person
}

// before gives up to limit of the rows before a position.
func (l listed[T]) before(ctx context.Context, v *Postgres, before eventstore.Position, limit int, least eventstore.Position) (items []T, at eventstore.Position, err error) {
	at, err = v.reading(ctx, least, func() (at eventstore.Position, err error) {
		items, at, err = l.read(ctx, v, before, limit)
		return at, err
	})
	return items, at, err
}

func (l listed[T]) page(ctx context.Context, v *Postgres, q PageQuery, least eventstore.Position) (found Page[T], at eventstore.Position, err error) {
	before, err := q.before()
	if err != nil {
		return Page[T]{}, 0, err
	}
	found.Items, at, err = l.before(ctx, v, before, q.size()+1, least)
	if len(found.Items) > q.size() { // one more than the page has: there is a next page
		found.Items = found.Items[:q.size()]
		found.Next = cursorAt(l.at(&found.Items[q.size()-1]))
	}
	return found, at, err
}

// read gives the rows, and up to where they show the log.
func (l listed[T]) read(ctx context.Context, v *Postgres, before eventstore.Position, limit int) ([]T, eventstore.Position, error) {
	var read struct { // by another goroutine, which ctx does not end
		items    []T
		signedUp eventstore.Position
	}
	tables := l.tables
	if l.of != nil {
		tables = append([]string{usersTable}, tables...)
	}
	shown, err := v.snapshot(ctx, tables, func(batch *pgx.Batch) {
		batch.Queue(l.query, append([]any{int64(before), limit}, l.args...)...).Query(func(rows pgx.Rows) (err error) {
			read.items, err = pgx.AppendRows(make([]T, 0, limit), rows, l.scan)
			return err
		})
		if l.of != nil {
			batch.Queue(signedUpAt, *l.of).QueryRow(func(row pgx.Row) error { return row.Scan(&read.signedUp) })
		}
	})
	if err != nil {
		return nil, 0, err
	}
	at, err := shown.upTo(l.tables...)
	if err == nil && l.of != nil && (read.signedUp == 0 || read.signedUp > at) {
		known, err := shown.upTo(usersTable) // which may be ahead of the rows, or behind them
		if err == nil {
			err = ErrNotFound
		}
		return nil, min(at, known), err
	}
	return read.items, at, err
}

// one is how the only row of a query is read.
type one[T any] struct {
	tables []string // that the query reads
	query  string
	args   []any
	scan   pgx.RowToFunc[T]
}

// row gives the row, or ErrNotFound.
func (o one[T]) row(ctx context.Context, v *Postgres, least eventstore.Position) (found T, at eventstore.Position, err error) {
	at, err = v.reading(ctx, least, func() (eventstore.Position, error) {
		var rows []T // by another goroutine, which ctx does not end
		shown, err := v.snapshot(ctx, o.tables, func(batch *pgx.Batch) {
			batch.Queue(o.query, o.args...).Query(func(r pgx.Rows) (err error) {
				rows, err = pgx.CollectRows(r, o.scan)
				return err
			})
		})
		if err != nil {
			return 0, err
		}
		at, err := shown.upTo(o.tables...)
		switch {
		case err != nil:
			return 0, err
		case len(rows) == 0:
			return at, ErrNotFound
		}
		found = rows[0]
		return at, nil
	})
	return found, at, err
}

// failed adds what was read to the error of a failed read; the errors that are answers stay
// as they are.
func failed(err error, format string, args ...any) error {
	if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrBadCursor) {
		return err
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
