package audit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"kassa/eventstore"
)

// Moment is a place in a log, named by its position or by a time.
type Moment struct {
	position eventstore.Position
	time     time.Time
}

// UnmarshalText reads a position, a time of RFC 3339, or a date: its beginning, in UTC.
func (m *Moment) UnmarshalText(text []byte) (err error) {
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil && n >= 0 {
		*m = Moment{position: eventstore.Position(n)}
		return nil
	}
	at, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		at, err = time.Parse(time.DateOnly, string(text))
	}
	if err != nil || at.IsZero() {
		return fmt.Errorf("%q is no position, no time such as 2026-11-29T15:04:05Z, and no date such as 2026-11-29 (its beginning, in UTC)", text)
	}
	*m = Moment{time: at}
	return nil
}

// Timed reports whether it is named by a time.
func (m *Moment) Timed() bool { return m != nil && !m.time.IsZero() }

// In is the position; nil is the end of the log. The error wraps ErrRange for a position
// that the log does not have.
func (m *Moment) In(ctx context.Context, log FullLog) (eventstore.Position, error) {
	if m.Timed() {
		return PositionAt(ctx, log, m.time)
	}
	head, err := log.Head(ctx)
	if err != nil || m == nil {
		return head.Size, err
	}
	if m.position > head.Size {
		return 0, fmt.Errorf("%w: position %d, of %d", ErrRange, m.position, head.Size)
	}
	return m.position, nil
}

// PositionAt is the last position before the first entry that is later than the time: a
// balance as of the time is that at this position. Times of entries may go back a little,
// so an entry behind the position can be earlier than the time.
func PositionAt(ctx context.Context, log FullLog, t time.Time) (at eventstore.Position, err error) {
	if log.Sums != nil {
		r, err := log.Sums.until(ctx, log, t, reading{})
		return r.Position, err
	}
	err = log.Scan(ctx, 0, func(page []eventstore.Recorded) error {
		for _, rec := range page {
			if rec.Time.After(t) {
				return errPage
			}
			at = rec.Position
		}
		return nil
	})
	if errors.Is(err, errPage) {
		err = nil
	}
	return at, err
}
