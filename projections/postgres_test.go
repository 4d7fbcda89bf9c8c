package projections_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"kassa/audit/audittest"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/projections"
	"kassa/schema/schematest"
)

// env is a ledger in PostgreSQL with its views, in a database of its own.
type env struct {
	pool  *pgxpool.Pool
	store *eventstore.Store
	views *projections.Postgres
}

func newEnv(t testing.TB) env {
	t.Helper()
	pool := schematest.Pool(t, 16)
	store, err := eventstore.Postgres(t.Context(), pool)
	fatal(t, err)
	t.Cleanup(store.Close)
	return env{pool, store, openViews(t, pool, store)}
}

func openViews(t testing.TB, pool *pgxpool.Pool, log projections.LiveEvents) *projections.Postgres {
	t.Helper()
	views, err := projections.OpenPostgres(t.Context(), pool, log)
	fatal(t, err)
	t.Cleanup(views.Close)
	return views
}

// live appends some steps of a workload.
func (h env) live(t testing.TB, workload *eventstoretest.Workload, appends int) {
	t.Helper()
	for range appends {
		_, err := workload.Step(t.Context(), h.store, 20)
		fatal(t, err)
	}
}

func (h env) head(t testing.TB) eventstore.Position {
	t.Helper()
	head, err := h.store.Head(t.Context())
	fatal(t, err)
	return head.Size
}

// runner gives a runner that knows the log only up to a position.
func (h env) runner(t testing.TB, views *projections.Postgres, end eventstore.Position) *projections.Runner {
	return projections.NewRunner(views, upTo{h.store, end}, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

// upTo is a log that ends early.
type upTo struct {
	*eventstore.Store
	end eventstore.Position
}

func (l upTo) After(ctx context.Context, at eventstore.Position, limit int) ([]eventstore.Recorded, error) {
	return l.Store.After(ctx, at, min(limit, int(max(l.end-at, 0))))
}

func (l upTo) Scan(ctx context.Context, at eventstore.Position, fn func([]eventstore.Recorded) error) error {
	return l.Store.Scan(ctx, at, func(page []eventstore.Recorded) error {
		for i, rec := range page {
			if rec.Position > l.end {
				page = page[:i]
				break
			}
		}
		if len(page) == 0 {
			return nil
		}
		return fn(page)
	})
}

// same insists that the tables show what a replay of the log up to the position
// shows.
func (h env) same(t testing.TB, views projections.Views, end eventstore.Position) {
	t.Helper()
	memory := h.replayed(t, end)
	at, err := views.Position(t.Context())
	fatal(t, err)
	if at != end {
		t.Fatalf("the tables stand at position %d, not at %d", at, end)
	}
	fatal(t, audittest.CompareViews(t.Context(), views, memory))
}

// replayed is what the log up to the position comes to.
func (h env) replayed(t testing.TB, end eventstore.Position) *projections.Memory {
	t.Helper()
	memory := projections.NewMemory()
	fatal(t, memory.Replay(t.Context(), upTo{h.store, end}))
	return memory
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const endless = eventstore.Position(1 << 62)

// However much of the log is there at each look, the tables show what a replay shows.
func TestTablesShowWhatAReplayShows(t *testing.T) {
	h := newEnv(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	h.live(t, eventstoretest.NewWorkload(seed, 30), 60)
	for size, end := h.head(t), eventstore.Position(0); end < size; {
		for range 4 {
			end = min(end+eventstore.Position(rng.IntN(int(size)/12)), size)
			fatal(t, h.runner(t, h.views, end).CatchUp(t.Context()))
		}
		h.same(t, h.views, end)
	}
}

// Two processes that both keep the views apply each batch once, although one has read
// less of the log than the other.
func TestTwoProjectors(t *testing.T) {
	h := newEnv(t)
	h.live(t, eventstoretest.NewWorkload(7, 30), 40)
	size := h.head(t)
	other := openViews(t, h.pool, h.store)
	g, ctx := errgroup.WithContext(t.Context())
	for i, views := range []*projections.Postgres{h.views, other} {
		g.Go(func() error {
			for end := eventstore.Position(0); end < size; end += eventstore.Position(10 + i) {
				if err := h.runner(t, views, end).CatchUp(ctx); err != nil {
					return err
				}
			}
			return h.runner(t, views, endless).CatchUp(ctx)
		})
	}
	fatal(t, g.Wait())
	h.same(t, h.views, size)
	h.same(t, other, size)
}

// While everybody appends, Run keeps up, and nobody waits in vain.
func TestRunFollowsTheLog(t *testing.T) {
	h := newEnv(t)
	ctx, stop := context.WithCancel(t.Context())
	var runs sync.WaitGroup
	runs.Go(func() {
		if err := h.runner(t, h.views, endless).Run(ctx); err != nil {
			t.Errorf("the runner ends: %v", err)
		}
	})
	g := errgroup.Group{}
	for seed := range uint64(4) {
		g.Go(func() error {
			workload := eventstoretest.NewWorkload(seed, 5)
			for range 10 {
				receipt, err := workload.Step(ctx, h.store, 8)
				if err != nil {
					return err
				}
				if err := h.views.Wait(ctx, receipt.Position()); err != nil {
					return err
				}
				if at, err := h.views.Position(ctx); err != nil || at < receipt.Position() {
					return fmt.Errorf("waited for position %d, the views are at %d, %v", receipt.Position(), at, err)
				}
			}
			return nil
		})
	}
	fatal(t, g.Wait())
	stop()
	runs.Wait()
	h.same(t, h.views, h.head(t))
}

// While a view is ahead of another, a page shows the log up to the position that it says,
// and nothing later: a read with that position elsewhere is never older than it.
func TestPagesShowNothingLater(t *testing.T) {
	for _, ahead := range projections.DeclaredTables {
		t.Run(ahead, func(t *testing.T) {
			h := newEnv(t)
			h.live(t, eventstoretest.NewWorkload(5, 8), 40)
			fatal(t, h.runner(t, h.views, h.head(t)/2).CatchUp(t.Context()))
			fatal(t, projections.CatchUpOne(t.Context(), h.pool, h.store, ahead))
			page := projections.PageQuery{Limit: 20}
			people, _, err := h.replayed(t, h.head(t)).Users(t.Context(), page, 0)
			fatal(t, err)
			for _, u := range people.Items {
				lines, at, err := h.views.Transactions(t.Context(), u.ID, projections.TransactionQuery{PageQuery: page}, 0)
				want, _, wantErr := h.replayed(t, at).Transactions(t.Context(), u.ID, projections.TransactionQuery{PageQuery: page}, 0)
				if !errors.Is(err, wantErr) || !sameItems(lines.Items, want.Items) {
					t.Errorf("up to %d the transactions of %s are\n%+v, %v, and not\n%+v, %v", at, u.ID, lines, err, want, wantErr)
				}
				asked, at, err := h.views.Predictions(t.Context(), u.ID, projections.PredictionQuery{PageQuery: page}, 0)
				wanted, _, wantErr := h.replayed(t, at).Predictions(t.Context(), u.ID, projections.PredictionQuery{PageQuery: page}, 0)
				if !errors.Is(err, wantErr) || !sameItems(asked.Items, wanted.Items) {
					t.Errorf("up to %d the predictions of %s are\n%+v, %v, and not\n%+v, %v", at, u.ID, asked, err, wanted, wantErr)
				}
			}
		})
	}
}

func sameItems[T any](a, b []T) bool { return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b) }
