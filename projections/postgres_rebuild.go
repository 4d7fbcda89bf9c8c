package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/eventstore"
	"kassa/internal/wait"
	"kassa/schema"
)

// nextSchema is where a table is built again, under its own name.
const nextSchema = "kassa_views_next"

// RebuildSource is a log whose end is known, with leases: one process rebuilds a view.
type RebuildSource interface {
	Events
	Head(ctx context.Context) (eventstore.Head, error)
	LeadNow(ctx context.Context, name string, do func(context.Context, *eventstore.Leadership) error) error
}

// Rebuild builds a view from the log, beside the one that is read and written
// meanwhile, and puts it in its place. In this order:
//
//  1. make the table in another schema, and fill it up to the position of the old one
//  2. compare both, at the same position
//  3. in one transaction: lock the old one's position, so that its writers wait;
//     apply the entries since; drop the old one; move the new one to its schema
//
// A read sees the old table or the new one, whole. A crash before the end of step 3
// leaves the old one as it was, and a table that the next rebuild drops.
//
// A table that does not follow the log, such as one that is ahead of it, can be compared
// with nothing and is not read: it is emptied, and filled where it is. Where a part of the
// log is archived, it is left until the new one takes its place.
type Rebuild struct {
	DB       *pgxpool.Pool
	Events   RebuildSource
	Replace  bool                             // also where they differ
	Progress func(at, to eventstore.Position) // after each batch; may be nil
}

// Rebuilt is the result of a Rebuild.
type Rebuilt struct {
	Table    string
	Position eventstore.Position // of the comparison, or of the new table where there was none
	Against  string              // the table that it was compared with; empty for a view's first
	Columns  []string            // that both have
	OnlyOld  int                 // rows that the log does not give
	OnlyNew  int                 // rows that only the log gives
	Diverged bool                // the old one did not follow the log
	Switched bool
}

// Differs reports whether the old table held something else than the log gives.
func (r Rebuilt) Differs() bool { return r.OnlyOld > 0 || r.OnlyNew > 0 }

// ErrRebuilding: another process rebuilds the same view.
var ErrRebuilding = errors.New("another process rebuilds this view")

// ViewNames are the names of all views, without their versions.
func ViewNames() []string {
	return column(declaredTables, func(table *string) string { return viewName(*table) })
}

// viewName is a table's name without its version.
func viewName(table string) string { return table[:strings.LastIndex(table, "_v")] }

// Run rebuilds the view. Where it differs from the one of the same version, the
// old one stays, unless Replace is set. Those of older versions always stay: an
// older binary may be using them, and DropView drops them.
func (r Rebuild) Run(ctx context.Context, name string) (Rebuilt, error) {
	i := slices.Index(ViewNames(), name)
	if i < 0 {
		return Rebuilt{}, fmt.Errorf("%w: %q; there are %s", errNoView, name, strings.Join(ViewNames(), ", "))
	}
	build := &building{Rebuild: r, projection: declared[i]}
	err := r.Events.LeadNow(ctx, "rebuild of "+name, func(ctx context.Context, _ *eventstore.Leadership) error {
		defer build.end(ctx)
		return build.run(ctx)
	})
	switch {
	case errors.Is(err, eventstore.ErrLed):
		return Rebuilt{}, ErrRebuilding
	case err != nil:
		return Rebuilt{}, fmt.Errorf("rebuild %s: %w", build.Table(), err)
	}
	return build.result, nil
}

// end drops what is left of the rebuild, also where ctx has ended.
func (b *building) end(ctx context.Context) {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = b.discard(last) // else the next rebuild does
}

// building is one rebuild under way.
type building struct {
	Rebuild
	projection
	old      string // the newest table of the view that there is and that follows the log; empty where there is none
	diverged bool   // the view's own table is listed, and cannot go on from where it is
	archived bool   // a part of the log is, so that the own table stays until another one is full
	at       eventstore.Position
	result   Rebuilt
}

func (b *building) run(ctx context.Context) error {
	if err := b.begin(ctx); err != nil {
		return err
	}
	if b.diverged && !b.archived {
		return b.refill(ctx)
	}
	if err := b.fill(ctx); err != nil { // step 1
		return err
	}
	// The first readers are to find a table whose numbers the planner knows.
	if _, err := b.DB.Exec(ctx, `VACUUM (ANALYZE) `+nextSchema+`.`+b.Table()); err != nil {
		return fmt.Errorf("vacuum: %w", err)
	}
	b.result = Rebuilt{Table: b.Table(), Position: b.at, Against: b.old, Diverged: b.diverged}
	if b.old != "" {
		if err := b.compare(ctx); err != nil { // step 2
			return fmt.Errorf("compare with %s: %w", b.old, err)
		}
	}
	if b.old == b.Table() && b.result.Differs() && !b.Replace {
		return nil
	}
	if err := b.fill(ctx); err != nil { // the comparison took its time
		return err
	}
	return b.switchOver(ctx) // step 3
}

// begin makes the empty table.
func (b *building) begin(ctx context.Context) error {
	if err := b.discard(ctx); err != nil {
		return err
	}
	states, err := readStates(ctx, b.DB)
	if err != nil {
		return err
	}
	for table, state := range states { // versions are compared by their length first: v9 is before v10
		b.archived = state.archived > 0
		switch {
		case viewName(table) != viewName(b.Table()):
		case !state.sound():
			b.diverged = b.diverged || table == b.Table()
		case len(table) > len(b.old) || len(table) == len(b.old) && table > b.old:
			b.old = table
		}
	}
	return schema.InTransaction(ctx, b.DB, func(tx pgx.Tx) error { return makeTable(ctx, tx, nextSchema, b.Table()) })
}

// refill empties the view's own table, and applies the log up to its end.
func (b *building) refill(ctx context.Context) error {
	if err := rebuildFromNothing(ctx, b.DB, b.Table()); err != nil {
		return err
	}
	head, err := b.Events.Head(ctx)
	if err != nil {
		return err
	}
	own := &projector{pool: b.DB, schema: servedSchema, views: []projection{b.projection}}
	err = inBatches(ctx, b.Events, 0, func(batch []eventstore.Recorded) error {
		err := own.apply(ctx, batch)
		if err == nil && b.Progress != nil {
			b.Progress(last(batch), max(head.Size, last(batch)))
		}
		return err
	})
	b.result = Rebuilt{Table: b.Table(), Position: own.at.position, Against: b.Table(), Diverged: true, Switched: true}
	return err
}

// discard drops what was built.
func (b *building) discard(ctx context.Context) error {
	_, err := b.DB.Exec(ctx, `SELECT kassa_views.drop($1, $2)`, nextSchema, b.Table())
	return err
}

// near is how far behind a table may be for the rest to be applied while those who
// write the old one wait: a fraction of a second.
const near = 2 * maxBatch

// fill takes the new table near the old one, and never past it, where they could
// not be compared; where there is no old one, to the end of the log.
func (b *building) fill(ctx context.Context) error {
	for {
		to, err := b.target(ctx)
		if err != nil || b.at+near >= to && (b.old != "" || b.at >= to) {
			return err
		}
		err = inBatches(ctx, b.Events, b.at, func(entries []eventstore.Recorded) error {
			entries = entries[:min(len(entries), int(to-b.at))]
			if len(entries) == 0 {
				return errEnough
			}
			return schema.InTransaction(ctx, b.DB, func(tx pgx.Tx) error { return b.take(ctx, tx, entries, to) })
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
	}
}

// target is how far the new table is to come.
func (b *building) target(ctx context.Context) (eventstore.Position, error) {
	if b.old == "" {
		head, err := b.Events.Head(ctx)
		return head.Size, err
	}
	at, err := readPositions(ctx, b.DB, servedSchema)
	return at[b.old], err
}

// take applies the next entries to the new table.
func (b *building) take(ctx context.Context, tx pgx.Tx, entries []eventstore.Recorded, to eventstore.Position) error {
	if _, err := lockPositions(ctx, tx, &pgx.Batch{}, nextSchema, []string{b.Table()}); err != nil {
		return err
	}
	if err := write(ctx, tx, []projection{b.projection}, entries, func(*pgx.Batch) {}); err != nil {
		return err
	}
	b.at = last(entries)
	if b.Progress != nil {
		b.Progress(b.at, to)
	}
	return nil
}

// finish takes the new table to the position within a transaction of the caller's.
func (b *building) finish(ctx context.Context, tx pgx.Tx, to eventstore.Position) error {
	if b.at > to {
		return fmt.Errorf("%s went back to position %d, behind %d; the database server may have crashed: rebuild again", b.old, to, b.at)
	}
	for b.at < to {
		entries, err := b.Events.After(ctx, b.at, min(maxBatch, int(to-b.at)))
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			return fmt.Errorf("%s is at position %d, the log ends at %d", b.old, to, b.at)
		}
		if err := b.take(ctx, tx, entries, to); err != nil {
			return err
		}
	}
	return nil
}

// compare is step 2. The transaction sees the old table as it was at one moment,
// whatever is written to it meanwhile, and takes the new one to the same position.
func (b *building) compare(ctx context.Context) error {
	return pgx.BeginTxFunc(ctx, b.DB, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		var at eventstore.Position
		err := tx.QueryRow(ctx, `SELECT position FROM `+served+`positions WHERE view = $1`, b.old).Scan(&at)
		if err != nil {
			return err
		}
		if err := b.finish(ctx, tx, at); err != nil {
			return err
		}
		b.result.Position = at
		return b.count(ctx, tx)
	})
}

// count counts the rows that one table has and the other has not, in the columns
// that both have.
func (b *building) count(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT o.attname FROM pg_attribute o JOIN pg_attribute n USING (attname, atttypid)
		WHERE o.attrelid = $1::text::regclass AND n.attrelid = $2::text::regclass AND o.attnum > 0 AND n.attnum > 0 ORDER BY n.attnum`,
		served+b.old, nextSchema+"."+b.Table())
	if err != nil {
		return err
	}
	if b.result.Columns, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return err
	}
	columns := strings.Join(column(b.result.Columns, func(c *string) string { return pgx.Identifier{*c}.Sanitize() }), ", ")
	of := func(table string) string { return `SELECT ` + columns + ` FROM ` + table }
	old, built := of(served+b.old), of(nextSchema+"."+b.Table())
	return tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM (`+old+` EXCEPT `+built+`) o), (SELECT count(*) FROM (`+built+` EXCEPT `+old+`) n)
		FROM set_config('enable_seqscan', 'on', true)`).Scan(&b.result.OnlyOld, &b.result.OnlyNew)
}

const (
	// readersWait bounds how long reads can be held up by a switch that waits for an
	// earlier read to end. It gives up then, and tries again.
	readersWait = 200 * time.Millisecond
	switchTries = 100
)

// switchOver is step 3.
func (b *building) switchOver(ctx context.Context) error {
	for range switchTries {
		was := b.at
		err := schema.InTransaction(ctx, b.DB, func(tx pgx.Tx) error { return b.replace(ctx, tx) })
		if err == nil {
			b.result.Switched = true
			return nil
		}
		b.at = was
		if !busy(err) {
			return err
		}
		if !wait.For(ctx, readersWait) {
			return ctx.Err()
		}
	}
	return fmt.Errorf("long reads of %s left no moment to put the new table in its place; try again later", b.old)
}

// replace drops the table of the same version, where there is one, and moves the
// new one to where it was.
func (b *building) replace(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, lockTables); err != nil { // so that no other process makes it meanwhile
		return err
	}
	found, err := readStates(ctx, tx)
	if err != nil {
		return err
	}
	if found[b.Table()].sound() {
		if err := b.passOld(ctx, tx); err != nil {
			return err
		}
	}
	if err := hurry(ctx, tx); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `SELECT kassa_views.switch($1)`, b.Table())
	return err
}

// passOld takes the new table to the position of the old one, and locks that.
func (b *building) passOld(ctx context.Context, tx pgx.Tx) error {
	// An automatic vacuum of the table gives way to this lock, which stops no read
	// and no write, and would not give way to a short wait for the drop.
	if _, err := tx.Exec(ctx, `LOCK TABLE `+served+b.Table()+` IN SHARE UPDATE EXCLUSIVE MODE`); err != nil {
		return err
	}
	at, err := lockPositions(ctx, tx, &pgx.Batch{}, servedSchema, []string{b.Table()})
	if err != nil || b.at >= at.position {
		return err
	}
	return b.finish(ctx, tx, at.position)
}

// hurry ends the next statements of a transaction that would wait for a long read.
func hurry(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `SELECT set_config('lock_timeout', $1, true)`, readersWait.String())
	return err
}

// busy reports whether a lock was held for longer than we wait.
func busy(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "55P03"
}
