package projections_test

import (
	"context"
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
	part string
	seen atomic.Int64
	left atomic.Int64 // statements to let pass before the fault; negative: none
	when moment
}

// moment is when the connection ends.
type moment int

const (
	never    moment = iota
	before          // nothing was sent
	answered        // the statement was done, and the process saw it
	lost            // the statement was done, and its answer got lost
)

type struck struct{}

func (w *watch) start(ctx context.Context, conn *pgx.Conn, statements ...string) context.Context {
	for _, s := range statements {
		if !strings.Contains(s, w.part) {
			continue
		}
		w.seen.Add(1)
		if w.when == never || w.left.Add(-1) != -1 {
			continue
		}
		switch w.when {
		case before:
			_ = conn.Close(ctx)
		case lost: // only for statements without arguments
			_, _ = conn.PgConn().Exec(ctx, s).ReadAll()
			_ = conn.Close(ctx)
		case answered:
			return context.WithValue(ctx, struck{}, true)
		}
	}
	return ctx
}

func (w *watch) end(ctx context.Context, conn *pgx.Conn) {
	if ctx.Value(struck{}) != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
	}
}

func (w *watch) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return w.start(ctx, conn, data.SQL)
}

func (w *watch) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, _ pgx.TraceQueryEndData) {
	w.end(ctx, conn)
}

func (w *watch) TraceBatchStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	var statements []string
	for _, q := range data.Batch.QueuedQueries {
		statements = append(statements, q.SQL)
	}
	return w.start(ctx, conn, statements...)
}

func (w *watch) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (w *watch) TraceBatchEnd(ctx context.Context, conn *pgx.Conn, _ pgx.TraceBatchEndData) {
	w.end(ctx, conn)
}

// watched gives another pool to the same database, whose statements are seen.
func (h house) watched(t testing.TB, w *watch) *pgxpool.Pool {
	t.Helper()
	config := h.pool.Config()
	config.ConnConfig.Tracer = w
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	fatal(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// A process that dies at any step leaves each view as it was, or with the whole
// batch in it; the next one goes on from there.
func TestStoppedAtEachStep(t *testing.T) {
	h := newHouse(t)
	town := eventstoretest.NewTown(11, 10)
	h.live(t, town, 5)
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	steps := []struct {
		name  string
		part  string
		after moment
	}{
		{"begin", "begin", answered},
		{"step 1, lock the position", "FOR UPDATE", answered},
		{"step 3, rows of balances", "UPDATE balances_v2", answered},
		{"step 3, rows of transactions", "INTO transactions_v2", answered},
		{"step 3, rows of predictions", "predictions_v1", answered},
		{"step 3, rows of users", "users_v1", answered},
		{"step 3, rows of the trial balance", "INTO trial_v2", answered},
		{"step 4, move the position", "UPDATE positions", answered},
		{"step 5, commit, and the answer gets lost", "commit", lost},
		{"step 5, commit", "commit", answered},
		{"tell the news", "pg_notify", answered},
	}
	for _, step := range steps {
		for name, when := range map[string]moment{"before": before, "after": step.after} {
			t.Run(name+" "+step.name, func(t *testing.T) {
				start := h.head(t)
				for h.live(t, town, 1); !h.everyKind(t, start); h.live(t, town, 1) {
				}
				w := &watch{part: step.part, when: when}
				views := openViews(t, h.pool)
				dying := projections.NewRunner(projections.On(h.watched(t, w)), h.store, nil)
				err := dying.CatchUp(t.Context())
				if w.seen.Load() == 0 || err == nil && when != answered {
					t.Fatalf("it was not stopped: %d such statements, %v", w.seen.Load(), err)
				}
				fatal(t, h.runner(t, views, endless).CatchUp(t.Context()))
				h.same(t, views, h.head(t))
			})
		}
	}
}

// everyKind says whether what stands behind a position writes to every view.
func (h house) everyKind(t testing.TB, start eventstore.Position) bool {
	t.Helper()
	batch, err := h.store.After(t.Context(), start, 5000)
	fatal(t, err)
	var admin, moved, ended bool
	for _, rec := range batch {
		switch rec.Event.(type) {
		case domain.AdminGranted, domain.AdminRevoked:
			admin = true
		case domain.Deposited:
			moved = true
		case domain.PredictionCompleted:
			ended = true
		}
	}
	return admin && moved && ended
}
