package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"kassa/domain"
)

const (
	snapshotEvery  = 256 // versions between two snapshots of a stream
	snapshotFormat = 2   // rises when domain.Account changes its shape: old ones are then ignored
)

// Loaded is a folded account and the version up to which it was folded.
type Loaded struct {
	Account domain.Account
	Version Version
	Fresh   bool // read from the database by this call; else it may be behind another process
}

// Account gives the account from memory where it is there, else from its
// snapshot and the events behind it. What comes from memory may be behind what
// other processes appended: an append on it then conflicts, and a refusal on it
// is to be asked again after Refresh. A stream that does not exist gives the zero
// account at version 0.
func (s *Store) Account(ctx context.Context, u domain.UserID) (Loaded, error) {
	if l, ok := s.accounts.Get(u); ok {
		l.Account = l.Account.Clone()
		return l, nil
	}
	return s.Refresh(ctx, u)
}

// Refresh gives the account as the database has it now.
func (s *Store) Refresh(ctx context.Context, u domain.UserID) (Loaded, error) {
	l, ok := s.accounts.Get(u)
	if ok {
		l.Account = l.Account.Clone()
	} else {
		var err error
		if l, err = s.fromSnapshot(ctx, AccountStream(u)); err != nil {
			return Loaded{}, err
		}
	}
	from := l.Version
	for {
		tail, err := s.Stream(ctx, AccountStream(u), l.Version, pageSize)
		if err != nil {
			return Loaded{}, err
		}
		for _, rec := range tail {
			if err := l.Account.Apply(rec.Event); err != nil {
				return Loaded{}, fmt.Errorf("fold %s at position %d: %w", rec.Stream, rec.Position, err)
			}
			l.Version = rec.Version
		}
		if len(tail) < pageSize {
			break
		}
	}
	s.remember(u, l, from)
	l.Fresh = true
	l.Account = l.Account.Clone()
	return l, nil
}

// remember keeps the account in memory unless a later one is there, and hands
// over a snapshot when a multiple of snapshotEvery was passed.
func (s *Store) remember(u domain.UserID, l Loaded, from Version) {
	l.Fresh = false
	if have, ok := s.accounts.Peek(u); l.Version == 0 || ok && have.Version >= l.Version {
		return
	}
	s.accounts.Add(u, l)
	if from/snapshotEvery == l.Version/snapshotEvery {
		return
	}
	state, err := json.Marshal(l.Account)
	if err != nil {
		return // a snapshot is a cache; without it a load reads more
	}
	select {
	case s.folded <- snapshot{AccountStream(u), l.Version, snapshotFormat, state}:
	default: // the writer is behind: the next multiple will do
	}
}

// publish makes a committed batch known: the accounts in memory move on with
// their events, and who waits for the log is woken.
func (s *Store) publish(size Position, requests []*request) {
	for _, r := range requests {
		if r.err != nil || r.replayed > 0 {
			continue
		}
		for _, w := range r.Writes {
			if u, ok := w.Stream.User(); ok {
				s.advance(u, w)
			}
		}
	}
	s.see(size)
	select {
	case s.grown <- size:
	default: // the last one is being looked at: the next will do
	}
}

// keepExtended lets the engine make ready, beside the appends, what the log needs to
// grow.
func (s *Store) keepExtended() {
	for {
		select {
		case <-s.closing:
			return
		case size := <-s.grown:
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			s.Report("make space for the log to grow", s.engine.extend(ctx, size))
			cancel()
		}
	}
}

// advance folds events just committed into the account in memory, if that is at
// the version before them.
func (s *Store) advance(u domain.UserID, w Write) {
	l, ok := s.accounts.Peek(u)
	if w.Expected == 0 {
		l, ok = Loaded{}, true
	}
	if !ok || l.Version != w.Expected {
		return
	}
	from := l.Version
	l.Account = l.Account.Clone()
	for _, e := range w.Events {
		if err := l.Account.Apply(e); err != nil {
			s.accounts.Remove(u) // the next load meets it, with its position
			return
		}
		l.Version++
	}
	s.remember(u, l, from)
}

func (s *Store) fromSnapshot(ctx context.Context, stream Stream) (Loaded, error) {
	snap, err := s.engine.snapshot(ctx, stream)
	if err != nil {
		return Loaded{}, fmt.Errorf("read the snapshot of %s: %w", stream, err)
	}
	if snap.version == 0 || snap.format != snapshotFormat {
		return Loaded{}, nil
	}
	l := Loaded{Version: snap.version}
	if err := json.Unmarshal(snap.state, &l.Account); err != nil {
		return Loaded{}, fmt.Errorf("read the snapshot of %s: %w", stream, errors.Join(ErrCorrupt, err))
	}
	return l, nil
}

// keepSnapshots writes snapshots beside the appends, several in a transaction.
func (s *Store) keepSnapshots() {
	for {
		select {
		case <-s.closing:
			return
		case first := <-s.folded:
			list := []snapshot{first}
			for more := true; more; {
				select {
				case next := <-s.folded:
					list = append(list, next)
				default:
					more = false
				}
			}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			s.Report("save snapshots", s.engine.saveSnapshots(ctx, list)) // a cache: a lost one costs a longer read
			cancel()
		}
	}
}

// Snapshot is a folded account as it is stored.
type Snapshot struct {
	Stream  Stream
	Version Version // up to which it was folded
	State   []byte  // domain.Account in JSON
}

// Snapshots gives fn every stored account in the form of today, for verify.
func (s *Store) Snapshots(ctx context.Context, fn func(Snapshot) error) error {
	var after Stream
	for {
		list, err := s.engine.snapshots(ctx, after, pageSize)
		if err != nil {
			return fmt.Errorf("read the snapshots after %q: %w", after, err)
		}
		for _, snap := range list {
			after = snap.stream
			if snap.format != snapshotFormat {
				continue
			}
			if err := fn(Snapshot{snap.stream, snap.version, snap.state}); err != nil {
				return err
			}
		}
		if len(list) < pageSize {
			return nil
		}
	}
}
