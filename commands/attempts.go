package commands

import (
	"context"
	"errors"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// attemptsMax bounds how often a command is decided again, because another
// writer was faster or because the outcome of an append was unknown.
const attemptsMax = 10

// errStale: what was decided rests on memory, and is only believed after a fresh read.
var errStale = errors.New("decided on an account that may be behind")

// untilKnown attempts a command until its outcome is known. Of one attempt
//
//   - no error means that it was done, by this attempt or an earlier one, or that
//     there is nothing left to do;
//   - a refusal means that it was not done: it was decided on a fresh read of the
//     log, after which the log does not have the command;
//   - eventstore.ErrUnknown means that it may have been done;
//   - any other error means that this attempt did nothing.
//
// After an attempt of unknown outcome only the first two are an answer, since both
// were read from the log. An error of a later attempt says nothing about the earlier
// one: it is tried again, and where that does not help the outcome is unknown, and
// the error wraps eventstore.ErrUnknown. So no caller can take it for a refusal, give
// a payment back, or tell a client without a key that the same may be sent again.
//
// A refusal ends the doubt because an append that is still on its way cannot come
// any more. The same decision was an approval on the versions which that append
// expects; now it is a refusal, so those versions have moved on.
func untilKnown(ctx context.Context, attempt func() (eventstore.Receipt, error)) (eventstore.Receipt, error) {
	var unknown, later error // what left the outcome unknown, and what came after it
	for tries := range attemptsMax {
		r, err := attempt()
		switch {
		case err == nil, domain.RefusalIn(err) != nil:
			return r, err
		case errors.Is(err, errStale), errors.Is(err, eventstore.ErrConflict):
			continue
		case errors.Is(err, eventstore.ErrUnknown):
			unknown, later = err, nil
		case unknown == nil:
			return eventstore.Receipt{}, err
		default:
			later = err
		}
		if final(err) || !pause(ctx, tries) {
			break
		}
	}
	if unknown != nil {
		return eventstore.Receipt{}, errors.Join(unknown, later)
	}
	return eventstore.Receipt{}, domain.Reject(domain.Busy, "the account is busy, try again")
}

// final says whether an error stays as it is, however often it is tried.
func final(err error) bool {
	return errors.Is(err, eventstore.ErrClosed) || errors.Is(err, eventstore.ErrCorrupt) || errors.Is(err, domain.ErrBroken)
}

// The pauses between tries of unknown outcome: after the first one none, and in all
// about as long as a database takes to restart or to be followed by another.
const (
	firstPause = 50 * time.Millisecond
	pauseMost  = 2 * time.Second
)

// pause says whether there is time for another try.
func pause(ctx context.Context, tries int) bool {
	if ctx.Err() != nil || tries == 0 {
		return ctx.Err() == nil
	}
	select {
	case <-time.After(min(firstPause<<(tries-1), pauseMost)):
		return true
	case <-ctx.Done():
		return false
	}
}
