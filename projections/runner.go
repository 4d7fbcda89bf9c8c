package projections

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"kassa/domain"
	"kassa/eventstore"
)

// batchMost is how many entries one transaction of a view takes.
const batchMost = 5000

// Runner keeps the tables of the views. All that it applies is read from the log: what
// came from elsewhere could be forged. Several processes may have one; each batch of each
// view is applied once, by the one that comes first. For each batch, in this order:
//
//  1. every view commits it, side by side, each in a transaction of its own
//  2. the news go out to all processes
//
// A crash after step 1 leaves views at different positions, which the next catch-up sees,
// and news that nobody got: those who wait look for themselves.
type Runner struct {
	log    Followed
	pool   *pgxpool.Pool
	logger *slog.Logger
	feeds  []*feed

	catching sync.Mutex          // one scan of the log at a time
	told     eventstore.Position // of the last news
}

// NewRunner gives a runner for these views. It uses up to seven connections of
// their pool at once.
func NewRunner(views *Postgres, log Followed, logger *slog.Logger) *Runner {
	r := &Runner{log: log, pool: views.pool, logger: logger}
	for _, p := range declared {
		r.feeds = append(r.feeds, &feed{projection: p, pool: views.pool, schema: servedSchema})
	}
	return r
}

// Run keeps the views up with the log until ctx ends; see follow.
func (r *Runner) Run(ctx context.Context) error {
	return follow(ctx, r.log, r.logger, r.catchUp)
}

// CatchUp brings all views to the end of the log, side by side.
func (r *Runner) CatchUp(ctx context.Context) error {
	_, err := r.catchUp(ctx)
	return err
}

// catchUp gives the end of the log to which it came.
func (r *Runner) catchUp(ctx context.Context) (eventstore.Position, error) {
	r.catching.Lock()
	defer r.catching.Unlock()
	end, err := r.look(ctx)
	if err != nil {
		return 0, err
	}
	var final []eventstore.Recorded
	g, within := errgroup.WithContext(ctx)
	lanes := make([]chan []eventstore.Recorded, len(r.feeds))
	for i, f := range r.feeds {
		lanes[i] = make(chan []eventstore.Recorded, 1)
		g.Go(func() error { return f.follow(within, lanes[i]) })
	}
	g.Go(func() error {
		defer func() {
			for _, lane := range lanes {
				close(lane)
			}
		}()
		return inBatches(within, r.log, end, func(batch []eventstore.Recorded) error {
			final = batch
			for _, lane := range lanes {
				select {
				case lane <- batch:
				case <-within.Done():
					return within.Err()
				}
			}
			return nil
		})
	})
	if err := g.Wait(); err != nil || len(final) == 0 {
		return end, err
	}
	// Whoever waits for what ended in an earlier batch finds it by looking.
	return last(final), r.tell(ctx, last(final), final)
}

// look reads how far each table has come, repairs those that do not follow the log, and
// gives the least position.
func (r *Runner) look(ctx context.Context) (eventstore.Position, error) {
	at, err := readStandings(ctx, r.pool)
	if err == nil {
		at, err = r.repair(ctx, at)
	}
	if err != nil {
		return 0, err
	}
	least := eventstore.Position(math.MaxInt64)
	for _, f := range r.feeds {
		stands, ok := at[f.Table()]
		if !ok {
			return 0, fmt.Errorf("%w: %s", errNoView, f.Table())
		}
		f.at = stands.position
		least = min(least, stands.position)
	}
	r.told = least
	return least, nil
}

// inBatches scans the log, and gives its entries in batches as large as a
// transaction takes.
func inBatches(ctx context.Context, log Log, at eventstore.Position, fn func([]eventstore.Recorded) error) error {
	var batch []eventstore.Recorded
	err := log.Scan(ctx, at, func(page []eventstore.Recorded) error {
		if len(batch)+len(page) > batchMost {
			full := batch
			batch = nil
			if err := fn(full); err != nil {
				return err
			}
		}
		batch = append(batch, page...)
		return nil
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return fn(batch)
}

// tell says that all views have come to the position, and what the batch ended,
// unless it was told before.
func (r *Runner) tell(ctx context.Context, at eventstore.Position, batch []eventstore.Recorded) error {
	if at <= r.told {
		return nil
	}
	var ended []domain.PredictionID
	for _, rec := range batch {
		if id, ok := endingOf(rec.Event); ok {
			ended = append(ended, id)
		}
	}
	if err := tell(ctx, r.pool, at, ended); err != nil {
		return fmt.Errorf("tell that the views are at position %d: %w", at, err)
	}
	r.told = at
	return nil
}
