package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/wait"
)

// Events is the log as views read it.
type Events interface {
	After(ctx context.Context, at eventstore.Position, limit int) ([]eventstore.Recorded, error)
	Scan(ctx context.Context, at eventstore.Position, fn func([]eventstore.Recorded) error) error
}

// LiveEvents is a log that can be waited for.
type LiveEvents interface {
	Events
	Wait(ctx context.Context, after eventstore.Position) error
	Recent(ctx context.Context, at eventstore.Position, limit int) ([]eventstore.Recorded, error)
}

// maxIdle bounds how long a follower relies on what it knows of the views: a database
// server that crashed may have set them back.
const maxIdle = time.Second

// follow calls catchUp whenever the log has grown behind the position to which it came,
// until ctx ends. A fault that passes is tried again with growing pauses; where this
// program is too old for the log, it leaves the views to newer ones. An error means that
// the ledger is broken, or that the log cannot be followed.
func follow(ctx context.Context, events LiveEvents, logger *slog.Logger, catchUp func(context.Context) (eventstore.Position, error)) error {
	retry := wait.NewRetry(50*time.Millisecond, 5*time.Second)
	for ctx.Err() == nil {
		began := time.Now()
		at, err := catchUp(ctx)
		if err == nil {
			retry.Reset()
			next := began.Add(apart(time.Since(began)))
			err = waitForMore(ctx, events, at, 0)
			if early := time.Until(next); err == nil && early > 0 {
				wait.For(ctx, early)
			}
			if errors.Is(err, eventstore.ErrAhead) { // the next catch-up finds out what it means
				err = nil
			}
		}
		switch {
		case err == nil || ctx.Err() != nil:
			continue
		case errors.Is(err, eventstore.ErrNewer):
			logger.Error("the views are left to newer programs", "error", err)
			<-ctx.Done()
			return nil
		case permanent(err):
			return fmt.Errorf("keep the views: %w", err)
		}
		logger.Warn("the views are tried again", "error", err)
		retry.Pause(ctx)
	}
	return nil
}

// permanent reports whether an error stays however often it is tried.
func permanent(err error) bool {
	for _, final := range []error{domain.ErrBroken, eventstore.ErrCorrupt, eventstore.ErrClosed, eventstore.ErrAhead} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}

// maxRest bounds by how much entries are held back.
const maxRest = 20 * time.Millisecond

// apart is how long after the beginning of a batch of the views the next one begins at the
// earliest. A batch costs about the same for one entry as for many, and nobody's answer
// waits for it: so the views are written for a fifth of the time at most, where the log
// grows without a pause, and a question and its ending are often one batch. What comes
// after a pause is written at once.
func apart(took time.Duration) time.Duration { return took + min(4*took, maxRest) }

// waitForMore returns when the log has grown behind the position, or after maxIdle.
//
// Where more entries came during a catch-up, it lets others join them for as long as
// that one took: a transaction costs about the same for one entry as for many.
func waitForMore(ctx context.Context, events LiveEvents, at eventstore.Position, took time.Duration) error {
	idle, cancel := context.WithTimeout(ctx, maxIdle)
	defer cancel()
	err := wait.Batch(idle, func(ctx context.Context) error { return events.Wait(ctx, at) }, took, maxRest)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}
