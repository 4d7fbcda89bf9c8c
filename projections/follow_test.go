package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"kassa/domain"
	"kassa/eventstore"
)

// quietLog is a log that does not grow; its fault is what waiting for it gives.
type quietLog struct {
	Log
	fault error
}

func (l quietLog) Wait(ctx context.Context, _ eventstore.Position) error {
	if l.fault != nil {
		return l.fault
	}
	<-ctx.Done()
	return ctx.Err()
}

// A follower ends where trying again changes nothing, and goes on after everything else.
func TestFollowEndsOnWhatStays(t *testing.T) {
	passing := errors.New("the database is away")
	for _, final := range []error{domain.ErrBroken, eventstore.ErrCorrupt, eventstore.ErrClosed, eventstore.ErrAhead} {
		tries := 0
		err := follow(t.Context(), quietLog{}, slog.New(slog.DiscardHandler), func(context.Context) (eventstore.Position, error) {
			if tries++; tries < 3 {
				return 0, passing
			}
			return 0, fmt.Errorf("at position 7: %w", final)
		})
		if !errors.Is(err, final) || tries != 3 {
			t.Errorf("%v: after %d tries it gave %v", final, tries, err)
		}
	}
	for fault, end := range map[error]bool{eventstore.ErrClosed: true, eventstore.ErrAhead: false, passing: false} {
		ctx, stop := context.WithCancel(t.Context())
		tries := 0
		err := follow(ctx, quietLog{fault: fault}, slog.New(slog.DiscardHandler), func(context.Context) (eventstore.Position, error) {
			if tries++; tries == 3 {
				stop()
			}
			return 1, nil
		})
		if end != (err != nil) || end != (tries == 1) {
			t.Errorf("where waiting gives %q: after %d looks it gave %v", fault, tries, err)
		}
		stop()
	}
}
