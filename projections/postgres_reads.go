package projections

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"kassa/eventstore"
)

// reading calls read until it shows everything up to the least position.
//
// That the views had come there is no promise that they still have: they commit
// without waiting for the disk, so a server that crashed has them at an earlier
// position. What was read, and the position that was read with it, belong to one
// moment; what this process remembers only says when a look is worth its while.
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
		v.fellBack(at)
	}
}

// snapshot reads tables of views as they are at one moment, in one round trip, and
// gives the position up to which all of them show the log. The tables are locked before
// the moment is chosen: one that is put in place of another in between would have
// been empty at that moment.
func (v *Postgres) snapshot(ctx context.Context, tables []string, query func(*pgx.Batch)) (at eventstore.Position, err error) {
	conn, err := v.pool.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	defer rollback(ctx, conn)
	pipe := &pgx.Batch{}
	pipe.Queue(`begin isolation level repeatable read, read only`)
	pipe.Queue(keepTables(tables))
	pipe.Queue(leastPosition, tables).QueryRow(func(row pgx.Row) (err error) { at, err = scanLeast(row, tables); return err })
	query(pipe)
	pipe.Queue(`commit`)
	err = conn.SendBatch(ctx, pipe).Close()
	return at, err
}

// keepTables is the first statement of a transaction that reads tables in one snapshot.
// The lock comes before the snapshot: of a rebuilt table that was put in a table's place
// after the snapshot, only the rows that it had earlier would be seen.
func keepTables(tables []string) string {
	return `LOCK TABLE ` + served + strings.Join(tables, ", "+served) + ` IN ACCESS SHARE MODE`
}

// listed is how a page of a list is read: $1 of the query is the position before which
// the page begins, $2 how many rows to read, and the rest follows.
type listed[T any] struct {
	tables []string // that the query reads
	query  string
	args   []any
	at     func(*T) eventstore.Position
	scan   pgx.RowToFunc[T]
	of     *string // the person whose list it is: ErrNotFound where there is no such person
}

func (l listed[T]) page(ctx context.Context, v *Postgres, q PageQuery, least eventstore.Position) (found Page[T], at eventstore.Position, err error) {
	before, err := q.before()
	if err != nil {
		return Page[T]{}, 0, err
	}
	at, err = v.reading(ctx, least, func() (eventstore.Position, error) {
		exists := l.of == nil
		at, err := v.snapshot(ctx, l.tables, func(pipe *pgx.Batch) {
			pipe.Queue(l.query, append([]any{int64(before), q.size() + 1}, l.args...)...).Query(func(rows pgx.Rows) (err error) {
				found.Items, err = pgx.AppendRows(make([]T, 0, q.size()+1), rows, l.scan)
				return err
			})
			if l.of != nil {
				pipe.Queue(existsUser, *l.of).QueryRow(func(row pgx.Row) error { return row.Scan(&exists) })
			}
		})
		if err == nil && !exists {
			err = ErrNotFound
		}
		return at, err
	})
	if len(found.Items) > q.size() { // one more than was asked for says that there is a next page
		found.Items = found.Items[:q.size()]
		found.Next = cursorAt(l.at(&found.Items[q.size()-1]))
	}
	return found, at, err
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
		missing := false
		at, err := v.snapshot(ctx, o.tables, func(pipe *pgx.Batch) {
			pipe.Queue(o.query, o.args...).Query(func(rows pgx.Rows) (err error) {
				found, err = pgx.CollectExactlyOneRow(rows, o.scan)
				if missing = errors.Is(err, pgx.ErrNoRows); missing {
					return nil
				}
				return err
			})
		})
		if err == nil && missing {
			err = ErrNotFound
		}
		return at, err
	})
	return found, at, err
}

// failed names what a read was of, in the error of one that failed; what views say
// of a question stays as it is.
func failed(err error, format string, args ...any) error {
	if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrBadCursor) {
		return err
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
