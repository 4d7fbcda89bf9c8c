package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"kassa/eventstore"
)

// relayBatch is how many entries are carried together.
const relayBatch = 500

// checkpointEvery bounds how much is carried again after a crash, without a
// write to the disk for each batch.
const checkpointEvery = time.Second

// Log is what the relay follows.
type Log interface {
	Wait(ctx context.Context, after eventstore.Position) error
	After(ctx context.Context, at eventstore.Position, limit int) ([]eventstore.Recorded, error)
	Checkpoint(ctx context.Context, name string) (eventstore.Position, error)
	SetCheckpoint(ctx context.Context, name string, at eventstore.Position) error
}

// Relay carries the log to the bus. For each batch, in this order:
//
//  1. read what is behind the last carried position
//  2. publish how far the log has come
//  3. publish the errands that they ask for, one message each
//  4. note the position; at most once a second, write it to the checkpoint
//
// A crash after any step repeats messages and loses none, since the checkpoint
// moves last. TestRelayCarriesAgain stops it after each step. While the broker or
// the database is away, the same batch is tried again with growing pauses.
type Relay struct {
	Log    Log
	Bus    *Bus
	Logger *slog.Logger
	Name   string // of the checkpoint
	// Carry publishes the errand that an event asks for, if any. It is called by
	// several goroutines.
	Carry func(ctx context.Context, rec eventstore.Recorded) error

	at      eventstore.Position // carried up to here
	saved   eventstore.Position // the checkpoint
	savedAt time.Time
	took    time.Duration // to carry the last batch
}

// Run carries until ctx ends. It begins behind the checkpoint, or behind from
// where that is earlier: a bus that forgets needs the oldest open errand again.
// An error means that the log cannot be followed; with eventstore.ErrNewer, by this
// program.
func (r *Relay) Run(ctx context.Context, from eventstore.Position) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 5*time.Second
	next := func(ctx context.Context) error { return r.begin(ctx, from) }
	for ctx.Err() == nil {
		err := next(ctx)
		if err == nil {
			next = r.step
			pause.Reset()
			continue
		}
		if errors.Is(err, eventstore.ErrCorrupt) || errors.Is(err, eventstore.ErrClosed) || errors.Is(err, eventstore.ErrNewer) {
			return fmt.Errorf("relay after position %d: %w", r.at, err)
		}
		if errors.Is(err, eventstore.ErrAhead) {
			next = func(ctx context.Context) error { return r.begin(ctx, from) }
		}
		if ctx.Err() == nil {
			r.Logger.Warn("the relay tries again", "after", r.at, "error", err)
		}
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
		}
	}
	// The last second's progress, so that a clean stop repeats nothing.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := r.save(last); err != nil {
		r.Logger.Warn("the relay ends, and its last progress is not written: some of it will be carried again", "after", r.saved, "error", err)
	}
	return nil
}

// begin finds where to go on from.
func (r *Relay) begin(ctx context.Context, from eventstore.Position) error {
	at, err := r.Log.Checkpoint(ctx, r.Name)
	if errors.Is(err, eventstore.ErrAhead) {
		// The log was restored. Which of its entries were carried is not known: all are
		// again, of which only open questions lead to a message.
		r.Logger.Error("the relay's checkpoint does not follow the log, and is set back to its beginning", "error", err)
		at, err = 0, r.Log.SetCheckpoint(ctx, r.Name, 0)
	}
	if err != nil {
		return err
	}
	r.at = min(at, from)
	r.saved, r.savedAt = r.at, time.Now()
	return nil
}

// restMost bounds how much later than at once a batch is carried.
const restMost = 10 * time.Millisecond

// wait returns when there is something to carry. What came while the last batch
// was carried rests for as long as that took, so that more gathers: a message costs
// about the same for one event as for many.
func (r *Relay) wait(ctx context.Context) error {
	ready := time.Now()
	if err := r.Log.Wait(ctx, r.at); err != nil || time.Since(ready) > time.Millisecond {
		return err
	}
	select {
	case <-time.After(min(r.took, restMost)):
	case <-ctx.Done():
	}
	return nil
}

// step waits for something to carry, and carries one batch.
func (r *Relay) step(ctx context.Context) error {
	if err := r.wait(ctx); err != nil {
		return err
	}
	began := time.Now()
	defer func() { r.took = time.Since(began) }()
	batch, err := r.Log.After(ctx, r.at, relayBatch) // step 1
	if err != nil || len(batch) == 0 {
		return err
	}
	if err := r.Bus.PublishHint(batch[len(batch)-1].Position); err != nil { // step 2
		return err
	}
	errands, errandsCtx := errgroup.WithContext(ctx) // step 3
	errands.SetLimit(lanes)
	for _, rec := range batch {
		errands.Go(func() error {
			if err := r.Carry(errandsCtx, rec); err != nil {
				return fmt.Errorf("errand of position %d: %w", rec.Position, err)
			}
			return nil
		})
	}
	if err := errands.Wait(); err != nil {
		return err
	}
	r.at = batch[len(batch)-1].Position // step 4
	if time.Since(r.savedAt) < checkpointEvery {
		return nil
	}
	return r.save(ctx)
}

func (r *Relay) save(ctx context.Context) error {
	if r.at == r.saved {
		return nil
	}
	if err := r.Log.SetCheckpoint(ctx, r.Name, r.at); err != nil {
		return err
	}
	r.saved, r.savedAt = r.at, time.Now()
	return nil
}
