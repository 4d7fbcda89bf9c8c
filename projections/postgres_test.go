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

func (h house) log(t testing.TB) (log []eventstore.Recorded) {
	t.Helper()
	fatal(t, h.store.Scan(t.Context(), 0, func(page []eventstore.Recorded) error { log = append(log, page...); return nil }))
	return log
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

// However the log is cut, and in whatever order its batches come, again and again
// or not at all, the tables show what a replay shows.
func TestTablesShowWhatAReplayShows(t *testing.T) {
	h := newHouse(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	h.live(t, eventstoretest.NewTown(seed, 30), 60)
	log := h.log(t)
	for round := range 6 {
		start, err := h.views.Position(t.Context())
		fatal(t, err)
		end := min(start+1+eventstore.Position(rng.IntN(len(log)/4)), eventstore.Position(len(log)))
		runner := h.runner(t, h.views, end)
		for range 12 { // batches of any size: some overlap what is there, some follow, one in four leaves a gap
			at, err := h.views.Position(t.Context())
			fatal(t, err)
			from := min(max(int(at)-rng.IntN(30), 0), int(end)-1)
			if rng.IntN(4) == 0 {
				from = rng.IntN(int(end))
			}
			fatal(t, runner.Receive(t.Context(), log[from:min(from+1+rng.IntN(60), int(end))]))
		}
		if round%2 == 0 {
			fatal(t, runner.Receive(t.Context(), log[end-1:end]))
		} else {
			fatal(t, runner.CatchUp(t.Context()))
		}
		h.same(t, h.views, end)
	}
}

// Two processes that both catch up, and both get every batch, apply each once.
func TestTwoProjectors(t *testing.T) {
	h := newHouse(t)
	h.live(t, eventstoretest.NewTown(7, 30), 40)
	log := h.log(t)
	other := openViews(t, h.pool)
	g, ctx := errgroup.WithContext(t.Context())
	for i, runner := range []*projections.Runner{h.runner(t, h.views, endless), h.runner(t, other, endless)} {
		g.Go(func() error {
			for from := 0; from < len(log)/2; from += 10 {
				if err := runner.Receive(ctx, log[from:from+10+i]); err != nil {
					return err
				}
			}
			return runner.CatchUp(ctx)
		})
	}
	fatal(t, g.Wait())
	h.same(t, h.views, h.head(t))
	h.same(t, other, h.head(t))
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
