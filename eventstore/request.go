package eventstore

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"kassa/domain"
)

// request is an append on its way through the sequencer.
type request struct {
	Append
	payloads [][]byte // of all events of all writes, in order
	size     int
	command  Command
	era      int           // of what this process remembered when it was decided
	taken    time.Time     // from the queue
	done     chan struct{} // closed when one of these three is set:
	receipt  Receipt
	replayed Position // of the first event that the same command made earlier
	err      error
}

// newRequest encodes the payloads, so that the sequencer has little left to do.
func newRequest(a Append) (*request, error) {
	r := &request{Append: a, done: make(chan struct{})}
	r.command, _ = a.Cause.Command()
	if err := a.check(r.command); err != nil {
		return nil, err
	}
	for _, w := range a.Writes {
		for _, e := range w.Events {
			payload, err := domain.Encode(e)
			if err != nil {
				return nil, err
			}
			size := maxVarints + len(w.Stream) + len(e.Type()) + len(a.Actor) + len(a.Cause) + len(payload)
			if size > MaxEntry {
				return nil, fmt.Errorf("%w: %s takes %d bytes of %d", ErrTooLarge, e.Type(), size, MaxEntry)
			}
			r.payloads = append(r.payloads, payload)
			r.size += size
		}
	}
	if len(r.payloads) == 0 {
		return nil, errors.New("append without events")
	}
	return r, nil
}

// check refuses what could not be read back as it was written. One such append
// would spoil the log, or its neighbours in the batch.
func (a *Append) check(c Command) error {
	if a.Time.Before(Earliest) {
		return fmt.Errorf("append with the time %s, before %s", a.Time, Earliest)
	}
	for _, w := range a.Writes {
		if w.Stream == "" || !isText(string(w.Stream)) {
			return fmt.Errorf("append to a stream called %q", w.Stream)
		}
	}
	if !isText(c.ID) {
		return fmt.Errorf("append by a command called %q", c.ID)
	}
	return nil
}

// isText reports whether a name comes back from every database as it went in.
func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }
