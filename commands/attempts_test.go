package commands

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// A database that does not come back is waited for about as long as one takes to
// restart, and no longer; the outcome stays unknown.
func TestDoubtIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := errors.New("the database is away")
		for _, every := range []error{eventstore.ErrUnknown, away} {
			begin, attempts := time.Now(), 0
			_, err := untilSettled(t.Context(), func(bool) outcome {
				if attempts++; attempts == 1 {
					return outcomeOf(eventstore.Receipt{}, eventstore.ErrUnknown)
				}
				return outcomeOf(eventstore.Receipt{}, every)
			})
			if !errors.Is(err, eventstore.ErrUnknown) || !errors.Is(err, every) || attempts != maxAttempts {
				t.Errorf("after %d attempts: %v", attempts, err)
			}
			if took := time.Since(begin); took < 8*time.Second || took > 12*time.Second {
				t.Errorf("it took %s", took)
			}
		}
	})
}

// Where nothing is in doubt an attempt's answer is the command's, at once; where
// something is, only what was read from the log is.
func TestAnswersAndDoubt(t *testing.T) {
	fault, no := errors.New("a fault"), domain.Reject(domain.InsufficientFunds, "no")
	for _, tt := range []struct {
		name     string
		answers  []error // of the attempts; the last one again and again
		want     error
		attempts int
	}{
		{"done", []error{nil}, nil, 1},
		{"a refusal", []error{no}, no, 1},
		{"a fault", []error{fault}, fault, 1},
		{"a conflict, then done", []error{eventstore.ErrConflict, nil}, nil, 2},
		{"a conflict, then a fault", []error{eventstore.ErrConflict, fault}, fault, 2},
		{"unknown, then done", []error{eventstore.ErrUnknown, nil}, nil, 2},
		{"unknown, then a refusal", []error{eventstore.ErrUnknown, no}, no, 2},
		{"unknown, a fault, then done", []error{eventstore.ErrUnknown, fault, nil}, nil, 3},
		{"unknown, a fault, then a refusal", []error{eventstore.ErrUnknown, fault, no}, no, 3},
		{"unknown, then a fault for ever", []error{eventstore.ErrUnknown, fault}, eventstore.ErrUnknown, maxAttempts},
		{"a conflict, unknown, then conflicts for ever", []error{eventstore.ErrConflict, eventstore.ErrUnknown, eventstore.ErrConflict}, eventstore.ErrUnknown, maxAttempts},
		{"unknown, then the store is shut", []error{eventstore.ErrUnknown, eventstore.ErrClosed}, eventstore.ErrUnknown, 2},
		{"unknown, then the ledger is broken", []error{eventstore.ErrUnknown, domain.ErrBroken}, eventstore.ErrUnknown, 2},
		{"unknown, then the log is corrupt", []error{eventstore.ErrUnknown, eventstore.ErrCorrupt}, eventstore.ErrUnknown, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			_, err := untilSettled(t.Context(), func(bool) outcome {
				n++
				return outcomeOf(eventstore.Receipt{}, tt.answers[min(n, len(tt.answers))-1])
			})
			if !errors.Is(err, tt.want) || n != tt.attempts {
				t.Errorf("%s: %v after %d attempts", tt.name, err, n)
			}
			if last := tt.answers[len(tt.answers)-1]; tt.want == eventstore.ErrUnknown && (domain.RefusalIn(err) != nil || last != eventstore.ErrConflict && !errors.Is(err, last)) {
				t.Errorf("%s: the last fault %v is not in %v", tt.name, last, err)
			}
		})
	}
	_, err := untilSettled(t.Context(), func(bool) outcome { return outcomeOf(eventstore.Receipt{}, eventstore.ErrConflict) })
	if r := domain.RefusalIn(err); r == nil || r.Code != domain.Busy || errors.Is(err, eventstore.ErrUnknown) {
		t.Errorf("conflicts for ever give %v", err)
	}
}

// A caller who left is not attempted for again.
func TestAttemptsEndWithTheirCaller(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	n := 0
	_, err := untilSettled(ctx, func(bool) outcome {
		n++
		leave()
		return outcomeOf(eventstore.Receipt{}, eventstore.ErrUnknown)
	})
	if !errors.Is(err, eventstore.ErrUnknown) || n != 1 {
		t.Errorf("%v after %d attempts", err, n)
	}
}
