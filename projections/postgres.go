package projections

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/schema"
)

// projection is one view as tables: it folds entries into a table of its own, and
// knows nothing of order, of checkpoints or of what was applied before; the Runner
// does. Its statements name the table without a schema, because it may stand in
// another one while it is built anew.
type projection interface {
	// Table is the view's name and version, such as balances_v1. The version rises
	// when its columns or their meaning change: then both stand side by side, and
	// processes of the older binary go on with theirs.
	// What it consists of is in schema/postgres, as all tables are.
	Table() string
	// Write queues the statements that write what a batch means. An error that wraps
	// domain.ErrBroken, from here or from a statement, says that the batch cannot
	// follow on what is there.
	Write(pipe *pgx.Batch, batch []eventstore.Recorded) error
	// Fields are all columns of the table, with the values of no row.
	Fields() []field
	// Expect folds an empty log, and what follows, into the rows that the table must
	// hold.
	Expect() expectation
}

// declared are all views that this binary knows.
var declared = []projection{balances{}, transactions{}, predictions{}, users{}, trial{}}

var declaredTables = column(declared, func(p *projection) string { return (*p).Table() })

// served is where the tables are that reads see.
const (
	servedSchema = "kassa_views"
	served       = servedSchema + "."
)

var _ Views = (*Postgres)(nil)

// Postgres is the views as tables, for any number of processes. A Runner in any of
// them keeps the tables; this one reads them.
//
// Each view has its own position, so while batches come in a view may be a moment ahead
// of another. A read of several gives the least of theirs.
type Postgres struct {
	pool  *pgxpool.Pool
	known atomic.Int64 // all views were seen to have come here; a crash may have set them back
	hears atomic.Bool  // news reach this process
	moves bells[eventstore.Position]
	ends  bells[domain.PredictionID]

	balances gathered[domain.UserID, Balance] // reads of balances that come at once
	reports  atomic.Pointer[func(what string, err error)]

	stop   context.CancelFunc
	behind sync.WaitGroup
}

// OpenPostgres gives the views of a database that schema.OpenPostgres opened, and
// makes the tables that are missing, empty: a Runner fills them. Close ends what
// it does in the background.
func OpenPostgres(ctx context.Context, pool *pgxpool.Pool) (*Postgres, error) {
	if err := makeTables(ctx, pool); err != nil {
		return nil, fmt.Errorf("make the tables of the views: %w", err)
	}
	v := &Postgres{pool: pool}
	v.start(ctx, v.listen, v.poll)
	return v, nil
}

// start runs parts in the background until Close.
func (v *Postgres) start(ctx context.Context, parts ...func(context.Context)) {
	behind, stop := context.WithCancel(context.WithoutCancel(ctx))
	v.stop = stop
	for _, part := range parts {
		v.behind.Go(func() { part(behind) })
	}
}

// ReportTo says where to report how work in the background goes (eventstore.Store.Report):
// that it fails, and that it works again.
func (v *Postgres) ReportTo(report func(what string, err error)) { v.reports.Store(&report) }

func (v *Postgres) report(what string, err error) {
	if report := v.reports.Load(); report != nil {
		(*report)(what, err)
	}
}

// Close ends the connection that listens. The pool is its opener's.
func (v *Postgres) Close() {
	v.stop()
	v.behind.Wait()
}

// lockTables keeps several processes from making and moving tables at once.
const lockTables = `SELECT pg_advisory_xact_lock(hashtext('kassa views'))`

// makeTables makes what is missing; of several processes at once, one does it.
func makeTables(ctx context.Context, pool *pgxpool.Pool) error {
	return schema.InTransaction(ctx, pool, func(tx pgx.Tx) error {
		for _, table := range declaredTables {
			if err := makeTable(ctx, tx, servedSchema, table); err != nil {
				return err
			}
		}
		return nil
	})
}

// makeTable makes a view's table, empty and at position 0, where it is missing. The
// service may create nothing: the database has a function for it.
func makeTable(ctx context.Context, tx pgx.Tx, schema, table string) error {
	if _, err := tx.Exec(ctx, `SELECT kassa_views.make($1, $2)`, schema, table); err != nil {
		return fmt.Errorf("make %s.%s: %w", schema, table, err)
	}
	return nil
}

// Position is up to where all views hold everything.
func (v *Postgres) Position(ctx context.Context) (eventstore.Position, error) {
	at, err := scanLeast(v.pool.QueryRow(ctx, leastPosition, declaredTables), declaredTables)
	if err != nil {
		return 0, fmt.Errorf("read the views' position: %w", err)
	}
	return at, nil
}

// Wait returns when the views were seen to hold everything up to the position.
func (v *Postgres) Wait(ctx context.Context, at eventstore.Position) error {
	if v.holds(at) {
		return nil
	}
	rung, leave := v.moves.wait(at) // before the look, so that no news falls between
	defer leave()
	if v.holds(at) {
		return nil
	}
	if !v.hears.Load() {
		if err := v.look(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	select {
	case <-rung:
		return nil
	case <-ctx.Done():
		return behindIn(ctx, at)
	}
}

// lastLook bounds the read that answers somebody whose time is up.
const lastLook = 2 * time.Second

// Ended waits until the prediction has ended; where ctx ends first, it gives the
// prediction as it is. It asks the database when the wait begins and when it ends,
// however many batches lie between.
func (v *Postgres) Ended(ctx context.Context, u domain.UserID, id domain.PredictionID, least eventstore.Position) (Prediction, eventstore.Position, error) {
	for {
		rung, leave := v.ends.wait(id) // before the look, so that no news falls between
		p, at, err := v.Prediction(ctx, u, id, least)
		if err == nil && !p.State.Ended() {
			select {
			case <-rung:
			case <-ctx.Done():
			}
		}
		leave()
		switch {
		case err == nil && p.State.Ended() || errors.Is(err, ErrBehind):
			return p, at, err
		case ctx.Err() != nil: // as it is
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLook)
			defer cancel()
			return v.Prediction(last, u, id, least)
		case err != nil:
			return p, at, err
		}
	}
}

// column gives one value of each row, as a statement takes it for unnest.
func column[T, V any](rows []T, get func(*T) V) []V {
	values := make([]V, len(rows))
	for i := range rows {
		values[i] = get(&rows[i])
	}
	return values
}

// queue adds a statement that writes that many rows, unless there are none. Where
// it writes fewer, the answer is missing; nil for statements that cannot.
func queue(pipe *pgx.Batch, statement string, rows int, missing error, args ...any) {
	if rows == 0 {
		return
	}
	query := pipe.Queue(statement, args...)
	if missing == nil {
		return
	}
	query.Exec(func(done pgconn.CommandTag) error {
		if done.RowsAffected() != int64(rows) {
			return missing
		}
		return nil
	})
}
