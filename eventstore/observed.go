package eventstore

import (
	"errors"
	"time"
)

// Batch is what became of appends that were sequenced together.
type Batch struct {
	Appends   int
	Conflicts int // of them, refused because a stream had moved on
	Unknown   int // of them, whose outcome is not known
	Failed    int // of them, refused for another reason
	Entries   []Recorded
	Took      time.Duration // from the moment when the first of them was taken from the queue
}

// Observe has fn called after each batch, by the sequencer: fn must not wait. It replaces
// the one before.
func (s *Store) Observe(fn func(Batch)) { s.observer.Store(&fn) }

// Waiting is how many appends wait for the sequencer.
func (s *Store) Waiting() int { return len(s.queue) }

// report calls the observer, if there is one.
func (s *Store) report(requests []*request) {
	fn := s.observer.Load()
	if fn == nil || len(requests) == 0 {
		return
	}
	b := Batch{Appends: len(requests), Took: time.Since(requests[0].taken)}
	for _, r := range requests {
		switch {
		case r.err == nil:
			b.Entries = append(b.Entries, r.receipt.Events...) // none where the command was done before
		case errors.Is(r.err, ErrConflict):
			b.Conflicts++
		case errors.Is(r.err, ErrUnknown):
			b.Unknown++
		default:
			b.Failed++
		}
	}
	(*fn)(b)
}
