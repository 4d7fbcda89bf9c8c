package domain

import (
	"errors"
	"time"
)

// ErrPeriod: a period cannot be closed so.
var ErrPeriod = errors.New("the period cannot be closed")

// Close ends a period; p is the last one that was closed, the zero value for none. Nothing is
// decided where that is the same one, with the same books.
func (p PeriodClosed) Close(admin Account, next PeriodClosed, now time.Time) ([]Event, error) {
	next.Admin, next.From, next.Until = admin.User, next.From.UTC(), next.Until.UTC()
	if !admin.MayAdminister() {
		return nil, Reject(NotAdmin, "only an admin closes a period")
	}
	if same := next; p.From.Equal(next.From) && p.Until.Equal(next.Until) {
		if same.Admin = p.Admin; same != p {
			return nil, errors.Join(ErrPeriod, errors.New("it was closed with other books"))
		}
		return nil, nil
	}
	if why := next.wrong(p, now); why != "" {
		return nil, errors.Join(ErrPeriod, errors.New(why))
	}
	return []Event{next}, nil
}

// Apply folds the next closed period, with the time of its entry. An error wraps ErrBroken.
func (p *PeriodClosed) Apply(e PeriodClosed, at time.Time) error {
	if why := e.wrong(*p, at); why != "" {
		return broken("a period is closed that cannot be: %s", why)
	}
	*p = e
	return nil
}

// wrong is why a period cannot be closed behind another one, at a moment; "" if it can.
func (p PeriodClosed) wrong(before PeriodClosed, at time.Time) string {
	switch {
	case !p.From.Before(p.Until):
		return "it ends before it begins"
	case p.From.Before(before.Until):
		return "it begins before the end of the last closed one"
	case p.Until.After(at):
		return "it is not over"
	case p.Position < 0 || p.Zone == "":
		return "it has no zone, or no position"
	case !isDigest(p.Digest):
		return "the digest of its books is none"
	}
	return ""
}
