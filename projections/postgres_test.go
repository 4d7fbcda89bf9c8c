package projections_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
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

// house is a ledger in PostgreSQL with its views, in a database of its own.
type house struct {
	pool  *pgxpool.Pool
	store *eventstore.Store
	views *projections.Postgres
}

func newHouse(t testing.TB) house {
	t.Helper()
	pool := schematest.Pool(t, 16)
	store, err := eventstore.Postgres(t.Context(), pool)
	fatal(t, err)
	t.Cleanup(store.Close)
	return house{pool, store, openViews(t, pool)}
}

func openViews(t testing.TB, pool *pgxpool.Pool) *projections.Postgres {
	t.Helper()
	views, err := projections.OpenPostgres(t.Context(), pool)
	fatal(t, err)
	t.Cleanup(views.Close)
	return views
}

// live lets a town live in the ledger for some appends.
func (h house) live(t testing.TB, town *eventstoretest.Town, appends int) {
	t.Helper()
	for range appends {
		_, err := town.Live(t.Context(), h.store, 20)
		fatal(t, err)
	}
}

func (h house) head(t testing.TB) eventstore.Position {
	t.Helper()
	head, err := h.store.Head(t.Context())
	fatal(t, err)
	return head.Size
}

// runner gives a runner that knows the log only up to a position.
func (h house) runner(t testing.TB, views *projections.Postgres, end eventstore.Position) *projections.Runner {
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
func (h house) same(t testing.TB, views projections.Views, end eventstore.Position) {
	t.Helper()
	memory := projections.NewMemory()
	fatal(t, memory.Replay(t.Context(), upTo{h.store, end}))
	at, err := views.Position(t.Context())
	fatal(t, err)
	if at != end {
		t.Fatalf("the tables stand at position %d, not at %d", at, end)
	}
	fatal(t, audittest.CompareViews(t.Context(), views, memory))
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
	h := newHouse(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	h.live(t, eventstoretest.NewTown(seed, 30), 60)
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
	h := newHouse(t)
	h.live(t, eventstoretest.NewTown(7, 30), 40)
	size := h.head(t)
	other := openViews(t, h.pool)
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
	h := newHouse(t)
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
			town := eventstoretest.NewTown(seed, 5)
			for range 10 {
				receipt, err := town.Live(ctx, h.store, 8)
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
