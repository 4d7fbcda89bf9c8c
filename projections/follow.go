package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"kassa/domain"
	"kassa/eventstore"
)

// Log is what views read.
type Log interface {
	After(ctx context.Context, at eventstore.Position, limit int) ([]eventstore.Recorded, error)
	Scan(ctx context.Context, at eventstore.Position, fn func([]eventstore.Recorded) error) error
}

// Followed is a log that says when it has grown.
type Followed interface {
	Log
	Wait(ctx context.Context, after eventstore.Position) error
}

// idle bounds how long a follower trusts what it knows of the views: a database server
// that crashed may have set them back.
const idle = time.Second

// follow calls catchUp whenever the log has grown behind the position to which it came,
// until ctx ends. A fault that passes is tried again with growing pauses; where this program
// is too old for the log, it leaves the views to newer ones. An error means that the ledger
// is broken, or that the log cannot be followed.
func follow(ctx context.Context, log Followed, logger *slog.Logger, catchUp func(context.Context) (eventstore.Position, error)) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 5*time.Second
	for ctx.Err() == nil {
		began := time.Now()
		at, err := catchUp(ctx)
		ended := time.Now()
		if err == nil {
			pause.Reset()
			err = waitFor(ctx, log, at)
			if errors.Is(err, eventstore.ErrAhead) { // the next catch-up finds out what that means
				err = nil
			}
		}
		switch {
		case err == nil || ctx.Err() != nil:
			if time.Since(ended) < time.Millisecond { // more had come meanwhile
				letGather(ctx, ended.Sub(began))
			}
			continue
		case errors.Is(err, eventstore.ErrNewer):
			logger.Error("the views are left to newer programs", "error", err)
			<-ctx.Done()
			return nil
		case ends(err):
			return fmt.Errorf("keep the views: %w", err)
		}
		logger.Warn("the views are tried again", "error", err)
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
		}
	}
	return nil
}

// ends says whether an error stays however often it is tried.
func ends(err error) bool {
	for _, final := range []error{domain.ErrBroken, eventstore.ErrCorrupt, eventstore.ErrClosed, eventstore.ErrAhead} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}

// waitFor returns when the log has grown behind the position, or after a while.
func waitFor(ctx context.Context, log Followed, at eventstore.Position) error {
	ctx, cancel := context.WithTimeout(ctx, idle)
	defer cancel()
	if err := log.Wait(ctx, at); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// restMost bounds how much later than at once the views hold something.
const restMost = 20 * time.Millisecond

// letGather lets entries gather for as long as those before took: a transaction for
// each view costs about the same for one entry as for many.
func letGather(ctx context.Context, took time.Duration) {
	select {
	case <-time.After(min(took, restMost)):
	case <-ctx.Done():
	}
}
