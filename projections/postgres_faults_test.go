package projections_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/projections"
)

// watch sees the statements of a pool that hold a part of text. Where it is armed,
// it ends the connection at one of them, as the death of the process would.
type watch struct {
	part  string
	seen  atomic.Int64
	trips atomic.Int64 // round trips, of whatever statements
	left  atomic.Int64 // statements to let pass before the fault; negative: none
	when  moment
}

// moment is when the connection ends. Statements that are sent together are one moment,
// but for the one that fails.
type moment int

const (
	never    moment = iota
	before          // nothing was sent
	failing         // those before it were done, and the statement fails
	answered        // all was done, and the process saw it
	lost            // all was done, and the answer got lost
)

type struck struct{}

// meets gives which of the statements is the one of the fault; -1 where none is.
func (w *watch) meets(statements ...string) int {
	w.trips.Add(1)
	for i, s := range statements {
		if strings.Contains(s, w.part) {
			w.seen.Add(1)
			if w.when != never && w.left.Add(-1) == -1 {
				return i
			}
		}
	}
	return -1
}

// strike ends the connection now, or as soon as its answer has come.
func (w *watch) strike(ctx context.Context, conn *pgx.Conn) context.Context {
	switch w.when {
	case before:
		_ = conn.Close(ctx)
	case lost:
		conn.PgConn().Conn().(*line).cut.Store(true)
	case answered:
		return context.WithValue(ctx, struck{}, true)
	}
	return ctx
}

// line is a connection to the server. Where it is cut, the next answer is read to its end,
// and gets lost.
type line struct {
	net.Conn
	cut atomic.Bool
}

func (l *line) Read(b []byte) (int, error) {
	if !l.cut.Load() {
		return l.Conn.Read(b)
	}
	head := make([]byte, 5) // of a message: its kind, and its length without the kind
	for head[0] != 'Z' {    // ready for the next query
		if _, err := io.ReadFull(l.Conn, head); err != nil {
			return 0, err
		}
		if _, err := io.CopyN(io.Discard, l.Conn, int64(binary.BigEndian.Uint32(head[1:]))-4); err != nil {
			return 0, err
		}
	}
	return 0, io.ErrUnexpectedEOF
}

func (w *watch) end(ctx context.Context, conn *pgx.Conn) {
	if ctx.Value(struck{}) != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
	}
}

func (w *watch) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if w.meets(data.SQL) < 0 {
		return ctx
	}
	return w.strike(ctx, conn)
}

func (w *watch) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, _ pgx.TraceQueryEndData) {
	w.end(ctx, conn)
}

func (w *watch) TraceBatchStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	var statements []string
	for _, q := range data.Batch.QueuedQueries {
		statements = append(statements, q.SQL)
	}
	i := w.meets(statements...)
	if i < 0 {
		return ctx
	}
	if w.when == failing {
		data.Batch.QueuedQueries[i].SQL, data.Batch.QueuedQueries[i].Arguments = `SELECT 1 / 0`, nil
	}
	return w.strike(ctx, conn)
}

func (w *watch) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (w *watch) TraceBatchEnd(ctx context.Context, conn *pgx.Conn, _ pgx.TraceBatchEndData) {
	w.end(ctx, conn)
}

// watched gives another pool to the same database, whose statements are seen.
func (h env) watched(t testing.TB, w *watch) *pgxpool.Pool {
	t.Helper()
	config := h.pool.Config()
	config.ConnConfig.Tracer = w
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &line{Conn: conn}, err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	fatal(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// A process that dies at any step leaves each view as it was, or with the whole
// batch in it; the next one goes on from there.
func TestStoppedAtEachStep(t *testing.T) {
	h := newEnv(t)
	workload := eventstoretest.NewWorkload(11, 10)
	h.live(t, workload, 5)
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	steps := []struct {
		name string
		part string
		when []moment
	}{
		{"step 1, begin", "begin", []moment{before, failing, answered}},
		{"step 1, lock the positions", "FOR UPDATE", []moment{before, failing, answered}},
		{"step 3, rows of balances", "UPDATE balances_v2", []moment{before, failing}},
		{"step 3, rows of transactions", "INTO transactions_v2", []moment{failing}},
		{"step 3, rows of predictions", "UPDATE predictions_v4", []moment{failing}},
		{"step 3, rows of users", "UPDATE users_v1", []moment{failing}},
		{"step 3, rows of the trial balance", "INTO trial_v2", []moment{failing}},
		{"step 3, rows of days", "INTO days_v1", []moment{failing}},
		{"step 4, move the positions", "UPDATE positions", []moment{failing}},
		{"step 4, notify", "pg_notify", []moment{before, failing}},
		{"step 5, commit", "commit", []moment{failing, lost, answered}},
	}
	for _, step := range steps {
		for _, when := range step.when {
			t.Run(fmt.Sprintf("%s, %s", step.name, moments[when]), func(t *testing.T) {
				start := h.head(t)
				for h.live(t, workload, 1); !h.everyKind(t, start); h.live(t, workload, 1) {
				}
				w := &watch{part: step.part, when: when}
				views := openViews(t, h.pool, h.store)
				dying := projections.NewRunner(projections.On(h.watched(t, w)), h.store, nil)
				err := dying.CatchUp(t.Context())
				if w.seen.Load() == 0 || err == nil && when != answered {
					t.Fatalf("it was not stopped: %d such statements, %v", w.seen.Load(), err)
				}
				fatal(t, h.together(t))
				fatal(t, h.runner(t, views, endless).CatchUp(t.Context()))
				h.same(t, views, h.head(t))
			})
		}
	}
}

var moments = map[moment]string{before: "before it is sent", failing: "failing", answered: "done", lost: "done, and the answer lost"}

// together insists that all views are at one position, and show what a replay up to there
// does.
func (h env) together(t testing.TB) error {
	t.Helper()
	list, err := projections.ListViews(t.Context(), h.pool)
	fatal(t, err)
	for _, view := range list {
		if view.Position != list[0].Position {
			return fmt.Errorf("the views are apart: %+v", list)
		}
	}
	h.same(t, h.views, list[0].Position)
	return nil
}

// everyKind reports whether what stands behind a position writes to every view.
func (h env) everyKind(t testing.TB, start eventstore.Position) bool {
	t.Helper()
	batch, err := h.store.After(t.Context(), start, 5000)
	fatal(t, err)
	var admin, moved, ended bool
	for _, rec := range batch {
		switch rec.Event.(type) {
		case domain.RoleGranted, domain.RoleRevoked:
			admin = true
		case domain.Deposited:
			moved = true
		case domain.PredictionCompleted:
			ended = true
		}
	}
	return admin && moved && ended
}
