// Package wait has the pauses of what runs in the background: between tries, and under load.
package wait

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// For waits, and reports whether ctx is still running then.
func For(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// Retry has the pauses between tries, which grow, each by chance a little longer or shorter,
// so that many processes do not try at the same moment.
type Retry struct{ pauses *backoff.ExponentialBackOff }

// NewRetry begins with a pause of about first, and goes up to most.
func NewRetry(first, most time.Duration) *Retry {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = first, most
	pauses.Reset()
	return &Retry{pauses}
}

// Next is how long the next pause is.
func (r *Retry) Next() time.Duration { return r.pauses.NextBackOff() }

// Pause waits before the next try, and reports whether ctx is still running then.
func (r *Retry) Pause(ctx context.Context) bool { return For(ctx, r.Next()) }

// Reset makes the next pause a short one again, after a success.
func (r *Retry) Reset() { r.pauses.Reset() }

// atOnce is how long a wait takes that found what it waited for.
const atOnce = time.Millisecond

// Batch returns when wait does. Where that is at once, more came during the last batch,
// which took some time: what comes is held back for as long, up to most, so that more can
// join it. A batch costs about the same for one entry as for many.
func Batch(ctx context.Context, wait func(context.Context) error, took, most time.Duration) error {
	began := time.Now()
	if err := wait(ctx); err != nil {
		return err
	}
	if time.Since(began) < atOnce {
		For(ctx, min(took, most))
	}
	return nil
}
