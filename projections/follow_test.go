package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/wait"
)

// quietLog is a log that does not grow; its fault is what waiting for it gives.
type quietLog struct {
	LiveEvents
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

// growing is a log to which something comes at these times after its beginning.
type growing struct {
	LiveEvents
	began time.Time
	at    []time.Duration
}

func (l *growing) Wait(ctx context.Context, after eventstore.Position) error {
	if int(after) >= len(l.at) {
		<-ctx.Done()
		return ctx.Err()
	}
	if early := time.Until(l.began.Add(l.at[after])); early > 0 && !wait.For(ctx, early) {
		return ctx.Err()
	}
	return nil
}

// Batches of the views begin apart from each other where the log grows all the time; what
// comes after a pause is written at once.
func TestBatchesOfTheViewsAreApart(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		took time.Duration
		at   []time.Duration // when entries come
		want []time.Duration // when batches begin, after the first look
	}{
		{2 * ms, []time.Duration{100 * ms, 101 * ms, 102 * ms, 109 * ms, 111 * ms, 140 * ms}, []time.Duration{100 * ms, 110 * ms, 120 * ms, 140 * ms}},
		{30 * ms, []time.Duration{100 * ms, 101 * ms, 149 * ms, 151 * ms}, []time.Duration{100 * ms, 150 * ms, 200 * ms}},
		{0, []time.Duration{100 * ms, 101 * ms, 102 * ms}, []time.Duration{100 * ms, 101 * ms, 102 * ms}},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), 300*ms)
			defer stop()
			log := &growing{began: time.Now(), at: tt.at}
			var begun []time.Duration
			err := follow(ctx, log, slog.New(slog.DiscardHandler), func(context.Context) (eventstore.Position, error) {
				since := time.Since(log.began)
				begun = append(begun, since)
				at, _ := slices.BinarySearch(tt.at, since+1)
				wait.For(ctx, tt.took)
				return eventstore.Position(at), nil
			})
			if err != nil || !slices.Equal(begun[1:], tt.want) {
				t.Errorf("batches of %s, of entries at %v, began at %v, want %v; %v", tt.took, tt.at, begun[1:], tt.want, err)
			}
		})
	}
}
