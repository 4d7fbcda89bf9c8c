package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kassa/eventstore"
)

// relayBatch is how many events travel in one message.
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
//  1. read what stands behind the last carried position
//  2. publish the events, as one message
//  3. publish the errands that they ask for, one message each
//  4. note the position; at most once a second, write it to the checkpoint
//
// A crash after any step repeats messages and loses none, since the checkpoint
// moves last. TestRelayCarriesAgain stops it after each step.
type Relay struct {
	Log  Log
	Bus  *Bus
	Name string // of the checkpoint
	// Carry publishes the errand that an event asks for, if any.
	Carry func(ctx context.Context, rec eventstore.Recorded) error
}

// Run carries until ctx ends. It begins behind the checkpoint, or behind from
// where that is earlier: a bus that forgets needs the oldest open errand again.
func (r *Relay) Run(ctx context.Context, from eventstore.Position) error {
	at, err := r.Log.Checkpoint(ctx, r.Name)
	if err != nil {
		return err
	}
	at = min(at, from)
	saved, savedAt := at, time.Now()
	save := func(ctx context.Context) error {
		if at == saved {
			return nil
		}
		saved, savedAt = at, time.Now()
		return r.Log.SetCheckpoint(ctx, r.Name, at)
	}
	for {
		if err := r.Log.Wait(ctx, at); err != nil {
			if ctx.Err() == nil {
				return err
			}
			// The last second's progress, so that a clean stop repeats nothing.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return save(last)
		}
		batch, err := r.Log.After(ctx, at, relayBatch) // step 1
		if err == nil {
			err = r.carry(ctx, batch)
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("relay after position %d: %w", at, err)
		}
		if err != nil {
			continue // ctx has ended: Wait says so
		}
		at += eventstore.Position(len(batch)) // step 4
		if time.Since(savedAt) >= checkpointEvery {
			if err := save(ctx); err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
		}
	}
}

func (r *Relay) carry(ctx context.Context, batch []eventstore.Recorded) error {
	if len(batch) == 0 {
		return nil
	}
	if err := r.Bus.PublishEvents(batch); err != nil { // step 2
		return err
	}
	for _, rec := range batch { // step 3
		if err := r.Carry(ctx, rec); err != nil {
			return fmt.Errorf("errand of position %d: %w", rec.Position, err)
		}
	}
	return nil
}
