package projections

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/wait"
	"kassa/schema"
)

// projection is one view as tables: it folds entries into a table of its own, and
// knows nothing of order, of checkpoints or of what was applied before; the Runner
// does. Its statements name the table without a schema, because the table may be in
// another one while it is rebuilt.
type projection interface {
	// Table is the view's name and version, such as balances_v1. The version rises
	// when its columns or their meaning change: then both are kept, and
	// processes of the older binary go on with theirs.
	// What it consists of is in schema/postgres, as all tables are.
	Table() string
	// Write queues the statements that write what a batch means. An error that wraps
	// domain.ErrBroken, or a statement that violates a constraint, means that the batch
	// cannot follow on what is there.
	Write(batch *pgx.Batch, entries []eventstore.Recorded) error
	// Fields are all columns of the table, with the values of no row.
	Fields() []field
	// Expect folds an empty log, and what follows, into the rows that the table must
	// hold.
	Expect() expectation
}

// declared are all views that this binary knows.
var declared = []projection{balances{}, transactions{}, predictions{}, users{}, trial{}, days{}, actions{}}

var declaredTables = tablesOf(declared)

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
// of another. A read of several gives the least of theirs, and the lists of a person's own
// show nothing later.
type Postgres struct {
	pool      *pgxpool.Pool
	known     atomic.Int64  // all views were seen to have come here; a crash may have set them back
	listening atomic.Bool   // this process gets notifications
	wanted    chan struct{} // closed by the first that waits: from then on it listens
	want      sync.Once
	moves     waiters[eventstore.Position]
	ends      endings

	balances batcher[domain.UserID, Balance]
	reads    batcher[*query, outcome]
	followed atomic.Pointer[followed]

	reports atomic.Pointer[func(what string, err error)]

	stop   context.CancelFunc
	behind sync.WaitGroup
}

// OpenPostgres gives the views of a database that schema.OpenPostgres opened, and of its
// log, and makes the tables that are missing, empty: a Runner fills them. Close ends what
// it does in the background.
func OpenPostgres(ctx context.Context, pool *pgxpool.Pool, events LiveEvents) (*Postgres, error) {
	if err := makeTables(ctx, pool); err != nil {
		return nil, fmt.Errorf("make the tables of the views: %w", err)
	}
	v := newPostgres(pool, events)
	v.start(ctx, v.listenOnceWanted, v.poll)
	return v, nil
}

func newPostgres(pool *pgxpool.Pool, events LiveEvents) *Postgres {
	v := &Postgres{pool: pool, wanted: make(chan struct{})}
	v.ends = endings{events: events, report: func(err error) { v.report(endingsTask, err) }}
	return v
}

// start runs parts in the background until Close.
func (v *Postgres) start(ctx context.Context, parts ...func(context.Context)) {
	behind, stop := context.WithCancel(context.WithoutCancel(ctx))
	v.stop = stop
	v.ends.start = func(follow func(context.Context)) { v.behind.Go(func() { follow(behind) }) }
	for _, part := range parts {
		v.behind.Go(func() { part(behind) })
	}
}

// ReportTo sets where to report how work in the background goes (eventstore.Store.Report):
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
//
// The process that made it a moment ago held the lock until then. A session finds that out
// when it locks a table, not when it gets an advisory lock.
func makeTable(ctx context.Context, tx pgx.Tx, schema, table string) error {
	for _, lock := range []string{lockTables, `LOCK TABLE ` + served + `positions IN ROW SHARE MODE`} {
		if _, err := tx.Exec(ctx, lock); err != nil {
			return fmt.Errorf("make %s.%s: %w", schema, table, err)
		}
	}
	if _, err := tx.Exec(ctx, `SELECT kassa_views.make($1, $2)`, schema, table); err != nil {
		return fmt.Errorf("make %s.%s: %w", schema, table, err)
	}
	return nil
}

// Position is up to where all views hold everything.
func (v *Postgres) Position(ctx context.Context) (eventstore.Position, error) {
	batch, at := &pgx.Batch{}, shown{}
	queuePositions(batch, declaredTables, nil, at)
	err := v.pool.SendBatch(ctx, batch).Close()
	if err == nil {
		return at.upTo(declaredTables...)
	}
	return 0, fmt.Errorf("read the views' position: %w", err)
}

// Wait returns when the views were seen to hold everything up to the position.
func (v *Postgres) Wait(ctx context.Context, at eventstore.Position) error {
	if v.holds(at) {
		return nil
	}
	v.want.Do(func() { close(v.wanted) })
	moved, leave := v.moves.Wait(at) // before the read, so that no notification is missed
	defer leave()
	if v.holds(at) {
		return nil
	}
	if !v.listening.Load() {
		if err := v.pollPosition(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	select {
	case <-moved:
		return nil
	case <-ctx.Done():
		return behindIn(ctx, at)
	}
}

// lastRead bounds what is done for a caller whose time is up.
const lastRead = 2 * time.Second

// Ended waits for the ending in the log, which comes before the view has it: only where
// the log behind the position was not read here, the view is asked.
func (v *Postgres) Ended(ctx context.Context, p Prediction, held eventstore.Position) (Prediction, eventstore.Position, error) {
	for !p.State.Ended() {
		rec, since, err := v.ends.await(ctx, p.ID, held)
		switch {
		case err == nil:
			ended, ok := p.step(rec)
			if !ok {
				return p, held, fmt.Errorf("%w: %s at position %d on a prediction that is %s", domain.ErrBroken, rec.Type, rec.Position, p.State)
			}
			return ended, rec.Position, nil
		case ctx.Err() != nil:
			return p, held, nil
		case !errors.Is(err, errNotRead):
			wait.For(ctx, pollInterval)
		}
		now, at, err := v.Prediction(ctx, p.User, p.ID, max(held, since))
		if err != nil && ctx.Err() == nil {
			return p, held, err
		}
		if err == nil {
			p, held = now, at
		}
	}
	return p, held, nil
}

// column gives one value of each row, as a statement takes it for unnest.
func column[T, V any](rows []T, get func(*T) V) []V {
	values := make([]V, len(rows))
	for i := range rows {
		values[i] = get(&rows[i])
	}
	return values
}

// queue adds a statement that writes that many rows, unless there are none.
func queue(batch *pgx.Batch, statement string, rows int, args ...any) {
	if rows > 0 {
		batch.Queue(statement, args...)
	}
}

// expecting is a statement that changes rows, of which its first argument has the keys.
// Where one is not there, the statement fails, with what is missing: the commit is sent
// together with it.
func expecting(change, missing string) string {
	return `WITH done AS (` + change + ` RETURNING 1) SELECT kassa_views.expect('` + missing + `', cardinality($1), count(*)) FROM done`
}
