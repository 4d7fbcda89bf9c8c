package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"kassa/domain"
	"kassa/eventstore"
)

// batchMost is how many entries one transaction of a view takes.
const batchMost = 5000

// Followed is a log that tells when it has grown.
type Followed interface {
	Log
	Wait(ctx context.Context, after eventstore.Position) error
}

// Runner keeps the tables of the views: the broker rings, the store tells. Several
// processes may have one; each batch of each view is applied once, by whichever
// comes first. For each batch, in this order:
//
//  1. every view commits it, side by side, each in a transaction of its own
//  2. the news go out to all processes
//
// A crash after step 1 leaves views that stand at different positions, which the
// next catch-up sees, and news untold: those who wait look for themselves.
type Runner struct {
	log    Followed
	pool   *pgxpool.Pool
	logger *slog.Logger
	feeds  []*feed

	catching sync.Mutex   // one scan of the log at a time
	resting  atomic.Bool  // Run will catch up in a moment
	told     atomic.Int64 // the position of the last news
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

// idle bounds how long a runner trusts what it knows of the tables: a database
// server that crashed may have set them back.
const idle = time.Second

// Run keeps the views up with the log until ctx ends. While the database is away it
// tries again with growing pauses. Where this program is too old for the log, it leaves
// the views to newer ones. An error means that the ledger is broken, or that the log
// cannot be followed.
func (r *Runner) Run(ctx context.Context) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 5*time.Second
	for ctx.Err() == nil {
		began := time.Now()
		at, err := r.catchUp(ctx)
		ended := time.Now()
		if err == nil {
			pause.Reset()
			err = r.wait(ctx, at)
		}
		if err == nil && time.Since(ended) < time.Millisecond { // more had come meanwhile
			r.rest(ctx, ended.Sub(began))
		}
		switch {
		case err == nil || ctx.Err() != nil:
			continue
		case errors.Is(err, eventstore.ErrNewer):
			r.logger.Error("the views are left to newer programs", "error", err)
			<-ctx.Done()
			return nil
		case errors.Is(err, domain.ErrBroken) || errors.Is(err, eventstore.ErrCorrupt) || errors.Is(err, eventstore.ErrClosed):
			return fmt.Errorf("keep the views: %w", err)
		}
		r.logger.Warn("the views are tried again", "error", err)
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
		}
	}
	return nil
}

// restMost bounds how much later than at once the views hold something.
const restMost = 20 * time.Millisecond

// rest lets entries gather for as long as those before took: a transaction for
// each view costs about the same for one entry as for many.
func (r *Runner) rest(ctx context.Context, took time.Duration) {
	r.resting.Store(true)
	defer r.resting.Store(false)
	select {
	case <-time.After(min(took, restMost)):
	case <-ctx.Done():
	}
}

// wait returns when the log has grown, or after a while.
func (r *Runner) wait(ctx context.Context, at eventstore.Position) error {
	ctx, cancel := context.WithTimeout(ctx, idle)
	defer cancel()
	if err := r.log.Wait(ctx, at); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
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

// look reads how far each table has come, and gives the least.
func (r *Runner) look(ctx context.Context) (eventstore.Position, error) {
	at, err := readPositions(ctx, r.pool, servedSchema)
	if err != nil {
		return 0, err
	}
	least := eventstore.Position(math.MaxInt64)
	for _, f := range r.feeds {
		position, ok := at[f.Table()]
		if !ok {
			return 0, fmt.Errorf("%w: %s", errNoView, f.Table())
		}
		f.stands(position)
		least = min(least, position)
	}
	r.told.Store(int64(least))
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

// Receive applies a batch that the broker brought. Delivery is at least once and
// in any order: what was applied already is passed over, and what is missing
// before the batch is read from the log. An error that wraps domain.ErrBroken
// means that the ledger is wrong and the process must stop.
func (r *Runner) Receive(ctx context.Context, batch []eventstore.Recorded) error {
	if len(batch) == 0 || r.resting.Load() { // the catch-up after the rest brings it
		return nil
	}
	at, err := r.spread(ctx, batch) // step 1
	if errors.Is(err, ErrGap) {
		end, err := r.catchUp(ctx)
		if err == nil && end < last(batch) {
			return fmt.Errorf("a batch begins at position %d, the log ends at %d", batch[0].Position, end)
		}
		return err
	}
	if err != nil {
		return err
	}
	return r.tell(ctx, at, batch) // step 2
}

// spread brings a batch to every view, and gives the least position to which they
// came. A view that meets something broken does not stop the others before it.
func (r *Runner) spread(ctx context.Context, batch []eventstore.Recorded) (eventstore.Position, error) {
	var g errgroup.Group
	at := make([]eventstore.Position, len(r.feeds))
	for i, f := range r.feeds {
		g.Go(func() (err error) { at[i], err = f.receive(ctx, batch); return err })
	}
	err := g.Wait()
	return slices.Min(at), err
}

// tell says that all views have come to the position, and what the batch ended,
// unless it was told before.
func (r *Runner) tell(ctx context.Context, at eventstore.Position, batch []eventstore.Recorded) error {
	if int64(at) <= r.told.Load() {
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
	r.told.Store(int64(at))
	return nil
}
