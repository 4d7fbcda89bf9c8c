package projections_test

import (
	"context"
	"log/slog"
	"testing"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/projections"
)

// A view that is far behind catches up in turns, while the others take what comes, and then
// all move together again, in one transaction.
func TestViewsThatAreApart(t *testing.T) {
	for _, behind := range projections.DeclaredTables {
		t.Run(behind, func(t *testing.T) {
			h := newEnv(t)
			workload := eventstoretest.NewWorkload(31, 20)
			h.live(t, workload, 30)
			runner := h.runner(t, h.views, endless)
			fatal(t, runner.CatchUp(t.Context()))
			h.exec(t, `TRUNCATE kassa_views.`+behind)
			h.exec(t, `UPDATE kassa_views.positions SET position = 0 WHERE view = $1`, behind)
			h.live(t, workload, 5)
			fatal(t, runner.CatchUp(t.Context()))
			fatal(t, h.together(t))
			h.live(t, workload, 5)
			w := &watch{part: "FOR UPDATE"}
			fatal(t, projections.NewRunner(projections.On(h.watched(t, w)), h.store, nil).CatchUp(t.Context()))
			if n := w.seen.Load(); n != 1 {
				t.Errorf("%d transactions took what came", n)
			}
			h.same(t, h.views, h.head(t))
		})
	}
}

// An older program that keeps the views one by one leaves them apart between two batches;
// this one takes them up where they are.
func TestBesideAProgramThatMovesViewsOneByOne(t *testing.T) {
	h := newEnv(t)
	workload := eventstoretest.NewWorkload(32, 20)
	for range 5 {
		for _, table := range projections.DeclaredTables {
			h.live(t, workload, 2)
			fatal(t, projections.CatchUpOne(t.Context(), h.pool, h.store, table))
		}
		h.live(t, workload, 1)
		fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
		h.same(t, h.views, h.head(t))
	}
}

// otherLog is a log in which an entry is another one.
type otherLog struct {
	upTo
	at eventstore.Position
}

func (l otherLog) Scan(ctx context.Context, at eventstore.Position, fn func([]eventstore.Recorded) error) error {
	return l.upTo.Scan(ctx, at, func(page []eventstore.Recorded) error {
		for i := range page {
			if page[i].Position == l.at {
				page[i].Entry = append([]byte{1}, page[i].Entry...)
			}
		}
		return fn(page)
	})
}

// The log that is read is the one that the views follow: where the entry at which they are
// is another one, nothing behind it is taken, although the database has the right one.
func TestLogThatIsAnotherBetweenBatches(t *testing.T) {
	h := newEnv(t)
	workload := eventstoretest.NewWorkload(33, 20)
	h.live(t, workload, 10)
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	was := h.head(t)
	h.live(t, workload, 3)
	other := projections.NewRunner(h.views, otherLog{upTo{h.store, endless}, was}, slog.New(slog.DiscardHandler))
	if err := other.CatchUp(t.Context()); err == nil {
		t.Error("another log was followed")
	}
	h.same(t, h.views, was)
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	h.same(t, h.views, h.head(t))
}
