package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"kassa/eventstore"
	"kassa/internal/wait"
)

// relayBatch is how many entries are carried together.
const relayBatch = 500

// checkpointEvery bounds how much is carried again after a crash, without a
// write to the disk for each batch.
const checkpointEvery = time.Second

// Events is the log as the relay reads it.
type Events interface {
	Wait(ctx context.Context, after eventstore.Position) error
	Recent(ctx context.Context, at eventstore.Position, limit int) ([]eventstore.Recorded, error)
	Archived(ctx context.Context) (eventstore.Position, error)
	Checkpoint(ctx context.Context, name string) (eventstore.Position, error)
	SetCheckpoint(ctx context.Context, name string, at eventstore.Position) error
}

// Relay carries the log to the bus. For each batch, in this order:
//
//  1. read what is behind the last carried position
//  2. publish how far the log has come
//  3. publish the jobs that they ask for, as many in a message as it carries
//  4. note the position; at most once a second, write it to the checkpoint
//
// A crash after any step repeats messages and loses none, since the checkpoint
// moves last. TestRelayCarriesAgain stops it after each step. While the broker or
// the database is away, the same batch is tried again with growing pauses.
type Relay struct {
	Events Events
	Bus    *Bus
	Logger *slog.Logger
	Name   string // of the checkpoint
	// Carry publishes the jobs that the events ask for.
	Carry func(ctx context.Context, batch []eventstore.Recorded) error

	at      eventstore.Position // carried up to here
	saved   eventstore.Position // the checkpoint
	savedAt time.Time
	took    time.Duration // to carry the last batch
}

// Run carries until ctx ends. It begins behind the checkpoint, or behind from
// where that is earlier: a bus without storage needs the oldest open job again.
// An error means that the log cannot be followed; with eventstore.ErrNewer, by this
// program.
func (r *Relay) Run(ctx context.Context, from eventstore.Position) error {
	retry := wait.NewRetry(50*time.Millisecond, 5*time.Second)
	for begun := false; ctx.Err() == nil; {
		var err error
		if begun {
			err = r.step(ctx)
		} else {
			err = r.begin(ctx, from)
		}
		if err == nil {
			begun = true
			retry.Reset()
			continue
		}
		if errors.Is(err, eventstore.ErrCorrupt) || errors.Is(err, eventstore.ErrClosed) || errors.Is(err, eventstore.ErrNewer) {
			return fmt.Errorf("relay after position %d: %w", r.at, err)
		}
		begun = begun && !errors.Is(err, eventstore.ErrAhead) // the log was restored
		if ctx.Err() == nil {
			r.Logger.Warn("the relay tries again", "after", r.at, "error", err)
		}
		retry.Pause(ctx)
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
	// What is archived cannot be read, and every question in it has ended.
	first, err := r.Events.Archived(ctx)
	if err != nil {
		return err
	}
	at, err := r.Events.Checkpoint(ctx, r.Name)
	if errors.Is(err, eventstore.ErrAhead) {
		// The log was restored. Which of its entries were carried is not known: all are
		// again, of which only open questions lead to a message.
		r.Logger.Error("the relay's checkpoint does not follow the log, and is set back to its beginning", "to", first, "error", err)
		at, err = first, r.Events.SetCheckpoint(ctx, r.Name, first)
	}
	if err != nil {
		return err
	}
	r.at = max(min(at, from), first)
	r.saved, r.savedAt = r.at, time.Now()
	return nil
}

// maxRest bounds by how much a batch is held back.
const maxRest = 10 * time.Millisecond

// step waits for something to carry, and carries one batch.
func (r *Relay) step(ctx context.Context) error {
	more := func(ctx context.Context) error { return r.Events.Wait(ctx, r.at) }
	if err := wait.Batch(ctx, more, r.took, maxRest); err != nil {
		return err
	}
	began := time.Now()
	defer func() { r.took = time.Since(began) }()
	batch, err := r.Events.Recent(ctx, r.at, relayBatch) // step 1
	if err != nil || len(batch) == 0 {
		return err
	}
	if err := r.Bus.PublishHint(batch[len(batch)-1].Position); err != nil { // step 2
		return err
	}
	if err := r.Carry(ctx, batch); err != nil { // step 3
		return fmt.Errorf("jobs of positions %d to %d: %w", batch[0].Position, batch[len(batch)-1].Position, err)
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
	if err := r.Events.SetCheckpoint(ctx, r.Name, r.at); err != nil {
		return err
	}
	r.saved, r.savedAt = r.at, time.Now()
	return nil
}
