package eventstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"kassa/schema"
)

const (
	probeEvery = 30 * time.Second // where nothing was appended meanwhile
	probeSoon  = time.Second      // where the disk was full
)

// space remembers whether the database had space for what was last written.
type space struct {
	mu   sync.Mutex
	at   time.Time // of the last write
	full error
}

// wrote records how a write ended. Other faults prove nothing about space.
func (s *space) wrote(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.at, s.full = time.Now(), nil
	case schema.FaultOf(err) == schema.Full:
		s.at, s.full = time.Now(), err
	}
}

// stale reports whether a probe is due.
func (s *space) stale() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	every := probeEvery
	if s.full != nil {
		every = probeSoon
	}
	return time.Since(s.at) >= every, s.full
}

// Ready gives the reason why this process cannot do its work on the log for now: the database
// cannot be reached, takes no writes or is full, a leader cannot hold its lease, or
// this program is too old for what is in the log (ErrNewer).
func (s *Store) Ready(ctx context.Context) error {
	if err := s.tooOld(); err != nil {
		return err
	}
	for _, t := range s.Troubles() {
		if t.Stops {
			return fmt.Errorf("%s, since %s: %w", t.What, t.Since.UTC().Format(time.RFC3339), t.Err)
		}
	}
	if err := s.engine.takesWrites(ctx); err != nil {
		return err
	}
	stale, full := s.space.stale()
	if !stale {
		return full
	}
	return s.Probe(ctx)
}

// Probe tries whether an append of the largest entry would find space, and leaves
// nothing behind. Where it would not, schema.FaultOf of the error is Full.
func (s *Store) Probe(ctx context.Context) error {
	err := s.engine.probe(ctx)
	s.space.wrote(err)
	if err != nil {
		return fmt.Errorf("try to write to the log: %w", err)
	}
	return nil
}

// filler is an entry of the largest size, which no compression makes smaller.
func filler() []byte {
	entry := make([]byte, MaxEntry)
	_, _ = rand.Read(entry) // never fails
	return entry
}
