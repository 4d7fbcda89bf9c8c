package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/domain"
	"kassa/eventstore"
)

// projector applies the log to the tables of views that are at the same position, in one
// schema. It is used by one goroutine.
type projector struct {
	pool    *pgxpool.Pool
	schema  string
	views   []projection
	kept    []string                                             // the tables whose position a notification has; nil: none is sent
	applied func(entries []eventstore.Recorded, began time.Time) // called after a batch; nil: there is none

	at       place               // of the tables, as the last transaction saw them
	archived eventstore.Position // up to where the log is; 0 where that is not known
}

// place is an entry of the log: its position, and the hash of its leaf. The zero value is
// before the first.
type place struct {
	position eventstore.Position
	leaf     eventstore.Hash
}

func placeOf(rec eventstore.Recorded) place {
	return place{rec.Position, eventstore.LeafHash(rec.Entry)}
}

// placeIn is a place as the database has it; where the log had no entry at the position, the
// leaf is missing.
func placeIn(position eventstore.Position, leaf []byte) place {
	at := place{position: position}
	copy(at.leaf[:], leaf)
	return at
}

var (
	// errNoView: the database has no such view.
	errNoView = errors.New("there is no such view")
	// errApart: the tables are not at the same position any more.
	errApart = errors.New("the views have come apart")
)

// rest gives the entries behind the place; batches are in order. Where the entry at the
// place is among them, it must be the one.
func (at place) rest(entries []eventstore.Recorded) ([]eventstore.Recorded, error) {
	i := slices.IndexFunc(entries, func(rec eventstore.Recorded) bool { return rec.Position > at.position })
	if i < 0 {
		i = len(entries)
	}
	if i > 0 && entries[i-1].Position == at.position && placeOf(entries[i-1]) != at {
		return nil, fmt.Errorf("%w: the log has another entry at position %d", errDiverged, at.position)
	}
	if i < len(entries) && entries[i].Position != at.position+1 {
		return nil, fmt.Errorf("%w: position %d after %d", ErrGap, entries[i].Position, at.position)
	}
	return entries[i:], nil
}

// apply writes the entries that the tables do not hold, or returns at which position the
// ledger is broken: then the entries before it are committed one at a time, and no view
// goes past it. Where the entries do not follow on the tables, the error wraps ErrGap.
func (p *projector) apply(ctx context.Context, entries []eventstore.Recorded) error {
	err := p.commit(ctx, entries)
	if !errors.Is(err, domain.ErrBroken) {
		return err
	}
	for i, rec := range entries {
		if err := p.commit(ctx, entries[i:i+1]); err != nil {
			return fmt.Errorf("views at position %d: %w", rec.Position, err)
		}
	}
	return nil
}

// commit writes the entries that the tables do not hold in one transaction, of two round
// trips: steps 1 and 3 to 5. A crash leaves nothing behind before step 5
// (TestStoppedAtEachStep stops it at each).
//
//  1. begin, and lock the positions: other processes that would write the views, and
//     a rebuild that would replace one, wait
//  2. pass over what the tables hold; what is left must begin at the next position
//  3. write rows
//  4. move the positions, and notify all processes, which the server does at the commit
//  5. commit: FROM HERE THE BATCH COUNTS, rows and positions alike
func (p *projector) commit(ctx context.Context, entries []eventstore.Recorded) error {
	if rest, err := p.at.rest(entries); err != nil || len(rest) == 0 {
		return err
	}
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("begin a batch of the views: %w", err)
	}
	defer conn.Release()
	defer rollback(ctx, conn)
	batch := &pgx.Batch{}
	batch.Queue(`begin isolation level read committed`)
	locked, err := lockPositions(ctx, conn, batch, p.schema, p.tables()) // step 1
	if err != nil {
		return err
	}
	if locked.position == p.at.position && locked != p.at {
		return fmt.Errorf("%w: their position %d is of another entry", errDiverged, locked.position)
	}
	p.at = locked
	if entries, err = p.at.rest(entries); err != nil || len(entries) == 0 { // step 2
		return err
	}
	err = write(ctx, conn, p.views, entries, func(batch *pgx.Batch) { // steps 3 to 5
		if p.kept != nil {
			batch.Queue(notifyMoved, notifyChannel, p.kept)
		}
		batch.Queue(`commit`)
	})
	if err != nil {
		return err
	}
	p.at = placeOf(entries[len(entries)-1])
	return nil
}

func (p *projector) tables() []string { return tablesOf(p.views) }

func tablesOf(views []projection) []string {
	return column(views, func(view *projection) string { return (*view).Table() })
}

// sender is a connection, or a transaction on one.
type sender interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// lockPositions sets the transaction up for writing views, and gives where they are. It
// is one round trip with what is in the batch already.
//
// Views need not wait for the disk: a server that crashes loses their last moments
// together with their positions, and the log has them. Rows that are written are
// few beside those that are there: the planner, whose numbers may stem from when
// the tables were small, is to find them by their keys, and to keep that plan: with lists of
// one or two rows it would take each new plan for the cheaper one. A process that is frozen between
// the round trips would keep all others from writing: the server ends its session.
func lockPositions(ctx context.Context, conn sender, batch *pgx.Batch, schema string, tables []string) (at place, err error) {
	batch.Queue(`SELECT set_config('search_path', $1, true), set_config('synchronous_commit', 'off', true),
		set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
		set_config('plan_cache_mode', 'force_generic_plan', true), set_config('idle_in_transaction_session_timeout', '5s', true)`, schema)
	found := 0
	batch.Queue(`SELECT position, leaf FROM `+schema+`.positions WHERE view = ANY($1) ORDER BY view FOR UPDATE`, tables).
		Query(func(rows pgx.Rows) error {
			var position eventstore.Position
			var leaf []byte
			_, err := pgx.ForEachRow(rows, []any{&position, &leaf}, func() error {
				if one := placeIn(position, leaf); found == 0 {
					at = one
				} else if one != at {
					return fmt.Errorf("%w: at positions %d and %d", errApart, at.position, one.position)
				}
				found++
				return nil
			})
			return err
		})
	err = conn.SendBatch(ctx, batch).Close()
	if err == nil && found != len(tables) {
		err = fmt.Errorf("%w: one was dropped while it was in use", errNoView)
	}
	if err != nil {
		return place{}, fmt.Errorf("lock the positions of %v: %w", tables, err)
	}
	return at, nil
}

// write writes the rows of a batch that follows, moves the positions, and then does what
// then queues, in one round trip.
func write(ctx context.Context, conn sender, views []projection, entries []eventstore.Recorded, then func(*pgx.Batch)) error {
	for _, rec := range entries {
		if err := inItsStream(rec); err != nil {
			return err
		}
	}
	batch := &pgx.Batch{}
	for _, p := range views {
		before := batch.Len()
		if err := p.Write(batch, entries); err != nil {
			return fmt.Errorf("%s: %w", p.Table(), err)
		}
		for _, query := range batch.QueuedQueries[before:] {
			query.Fn = func(results pgx.BatchResults) error {
				if _, err := results.Exec(); err != nil {
					return fmt.Errorf("%s: %w", p.Table(), brokenBy(err))
				}
				return nil
			}
		}
	}
	at := placeOf(entries[len(entries)-1])
	batch.Queue(`UPDATE positions SET position = $2, leaf = $3 WHERE view = ANY($1)`, tablesOf(views), int64(at.position), at.leaf[:])
	then(batch)
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("write positions %d to %d: %w", entries[0].Position, at.position, err)
	}
	return nil
}

// brokenBy turns the violation of a constraint into domain.ErrBroken: rows are made of
// events, so the events contradict each other.
func brokenBy(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && len(pgErr.Code) == 5 && pgErr.Code[:2] == "23" {
		return fmt.Errorf("%w: %s: %w", domain.ErrBroken, pgErr.ConstraintName, err)
	}
	return err
}

// rollback ends a transaction that was not committed, also where ctx has ended. A
// connection on which it fails is closed by its pool, and the server rolls back.
func rollback(ctx context.Context, conn *pgxpool.Conn) {
	if status := conn.Conn().PgConn().TxStatus(); status == 'I' || conn.Conn().IsClosed() {
		return
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastRead)
	defer cancel()
	_, _ = conn.Exec(last, `rollback`)
}

func last(entries []eventstore.Recorded) eventstore.Position { return entries[len(entries)-1].Position }
