package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/domain"
	"kassa/eventstore"
)

// feed keeps one view's table in one schema. It is meant for one goroutine.
type feed struct {
	projection
	pool   *pgxpool.Pool
	schema string

	at eventstore.Position // as the last transaction saw it
}

// errNoView: the database has no such view.
var errNoView = errors.New("there is no such view")

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// readPositions gives how far each table in the schema has come.
func readPositions(ctx context.Context, db querier, schema string) (map[string]eventstore.Position, error) {
	rows, err := db.Query(ctx, `SELECT view, position FROM `+schema+`.positions`)
	if err != nil {
		return nil, fmt.Errorf("read how far the views have come: %w", err)
	}
	found := map[string]eventstore.Position{}
	var view string
	var at eventstore.Position
	if _, err := pgx.ForEachRow(rows, []any{&view, &at}, func() error { found[view] = at; return nil }); err != nil {
		return nil, fmt.Errorf("read how far the views have come: %w", err)
	}
	return found, nil
}

// follow receives batches until there are no more.
func (f *feed) follow(ctx context.Context, batches <-chan []eventstore.Recorded) error {
	for batch := range batches {
		if err := f.receive(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// receive brings the entries of a batch that the table does not hold into it, or says at
// which position the ledger is broken: then the entries before it are committed one at a
// time. Where the batch does not follow on the table, the error wraps ErrGap.
func (f *feed) receive(ctx context.Context, batch []eventstore.Recorded) error {
	err := f.commit(ctx, batch)
	if !errors.Is(err, domain.ErrBroken) {
		return err
	}
	for i, rec := range batch {
		if err := f.commit(ctx, batch[i:i+1]); err != nil {
			return fmt.Errorf("%s at position %d: %w", f.Table(), rec.Position, err)
		}
	}
	return nil
}

// commit brings the entries of a batch that the table does not hold into it, in
// one transaction. What a crash leaves behind at each step (TestStoppedAtEachStep
// stops it there): nothing, until the whole batch counts.
//
//  1. begin, and lock the position: other processes that would write the view, and
//     a rebuild that would replace it, wait
//  2. pass over what the table holds; what is left must begin at the next position
//  3. write rows
//  4. move the position
//  5. commit: FROM HERE THE BATCH COUNTS, rows and position alike
func (f *feed) commit(ctx context.Context, batch []eventstore.Recorded) error {
	if batch = behind(f.at, batch); len(batch) == 0 {
		return nil
	}
	conn, err := f.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("begin a batch of %s: %w", f.Table(), err)
	}
	defer conn.Release()
	defer rollback(ctx, conn)
	pipe := &pgx.Batch{}
	pipe.Queue(`begin isolation level read committed`)
	if f.at, err = lockPosition(ctx, conn, pipe, f.schema, f.Table()); err != nil { // step 1
		return err
	}
	if batch, err = f.next(batch); err != nil || len(batch) == 0 { // step 2
		return err
	}
	if err := write(ctx, conn, f.projection, batch); err != nil { // steps 3 and 4
		return err
	}
	if _, err := conn.Exec(ctx, `commit`); err != nil { // step 5
		return fmt.Errorf("commit %s up to position %d: %w", f.Table(), last(batch), err)
	}
	f.at = last(batch)
	return nil
}

// next is step 2.
func (f *feed) next(batch []eventstore.Recorded) ([]eventstore.Recorded, error) {
	batch = behind(f.at, batch)
	if len(batch) > 0 && batch[0].Position != f.at+1 {
		return nil, fmt.Errorf("%w: position %d after %d", ErrGap, batch[0].Position, f.at)
	}
	return batch, nil
}

// sender is a connection, or a transaction on one.
type sender interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// lockPosition sets the transaction up for writing a view, and gives its position. It
// is one round trip with what is in the pipe already.
//
// Views need not wait for the disk: a server that crashes loses their last moments
// together with their positions, and the log has them. Rows that are written are
// few beside those that are there: the planner, whose numbers may stem from when
// the table was small, is to find them by their keys.
func lockPosition(ctx context.Context, conn sender, pipe *pgx.Batch, schema, table string) (at eventstore.Position, err error) {
	pipe.Queue(`SELECT set_config('search_path', $1, true), set_config('synchronous_commit', 'off', true),
		set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`, schema)
	var follows bool
	pipe.Queue(`SELECT position, kassa_views.follows(position, leaf) FROM `+schema+`.positions WHERE view = $1 FOR UPDATE`, table).
		QueryRow(func(row pgx.Row) error { return row.Scan(&at, &follows) })
	err = conn.SendBatch(ctx, pipe).Close()
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("%w: %s was dropped while it was in use", errNoView, table)
	}
	if err != nil {
		return 0, fmt.Errorf("lock the position of %s: %w", table, err)
	}
	if !follows { // the next look repairs it
		return 0, fmt.Errorf("%w: %s at position %d", errAstray, table, at)
	}
	return at, nil
}

// write writes the rows of a batch that follows, and then moves the position.
func write(ctx context.Context, conn sender, p projection, batch []eventstore.Recorded) error {
	for _, rec := range batch {
		if err := inItsStream(rec); err != nil {
			return err
		}
	}
	pipe := &pgx.Batch{}
	err := p.Write(pipe, batch)
	if err == nil {
		pipe.Queue(`UPDATE positions SET position = $2 WHERE view = $1`, p.Table(), int64(last(batch)))
		err = conn.SendBatch(ctx, pipe).Close()
	}
	if err != nil {
		return fmt.Errorf("%s from position %d to %d: %w", p.Table(), batch[0].Position, last(batch), brokenBy(err))
	}
	return nil
}

// brokenBy takes a constraint that refuses a row for what it is: rows are made of
// facts, so the facts contradict each other.
func brokenBy(err error) error {
	var said *pgconn.PgError
	if errors.As(err, &said) && len(said.Code) == 5 && said.Code[:2] == "23" {
		return fmt.Errorf("%w: %s: %w", domain.ErrBroken, said.ConstraintName, err)
	}
	return err
}

// rollback ends a transaction that was not committed, also where ctx has ended. A
// connection on which it fails is closed by its pool, and the server rolls back.
func rollback(ctx context.Context, conn *pgxpool.Conn) {
	if status := conn.Conn().PgConn().TxStatus(); status == 'I' || conn.Conn().IsClosed() {
		return
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLook)
	defer cancel()
	_, _ = conn.Exec(last, `rollback`)
}

// behind gives the entries behind the position; batches are in order.
func behind(at eventstore.Position, batch []eventstore.Recorded) []eventstore.Recorded {
	for i, rec := range batch {
		if rec.Position > at {
			return batch[i:]
		}
	}
	return nil
}

func last(batch []eventstore.Recorded) eventstore.Position { return batch[len(batch)-1].Position }
