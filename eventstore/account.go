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
	snapshotEvery = 256 // versions between two snapshots of a stream
	// The formats in which accounts are stored. One rises when domain.Account gets what an
	// older program must not pass over; snapshots outside of them are ignored. Archived
	// accounts have them too, and cannot be made again from the log: a program with later
	// formats must still read these.
	oldestFormat  = 3
	erasureFormat = 4 // with an erasure
	followFormat  = 5 // with a follow-up
	newestFormat  = 6 // of an auditor, or of a person who is locked
)

// FormatOf is the format in which an account is stored: the oldest that has all of it, so
// that an account without what came later has the same bytes as ever.
func FormatOf(a domain.Account) int {
	switch {
	case a.Auditor || a.Locked:
		return newestFormat
	case a.HasFollowUps():
		return followFormat
	case a.Erased || a.Erasure.Pending():
		return erasureFormat
	}
	return oldestFormat
}

// Loaded is a folded account and the version up to which it was folded.
type Loaded struct {
	Account domain.Account
	Version Version
	Fresh   bool // read from the database by this call; else it may be behind another process

	leaf     Hash      // of the entry at the version; zero where that was not read, behind a snapshot
	era      int       // of what this process remembered when it was loaded
	compared time.Time // when the last read of it from the database began
}

// Write adds events to the account, the one of this user, as it was loaded: where another has
// written since, or the log was found to be restored, the append conflicts.
func (l Loaded) Write(u domain.UserID, events ...domain.Event) Write {
	return Write{Stream: AccountStream(u), Expected: l.Version, Events: events, era: l.era}
}

// Account gives the account from memory where it is there, else from its
// snapshot and the events behind it. An account from memory may be behind other
// processes: an append on it then conflicts, and a refusal on it must be decided
// again after Refresh. A stream that does not exist gives the zero
// account at version 0.
func (s *Store) Account(ctx context.Context, u domain.UserID) (Loaded, error) {
	era, _ := s.recent.end()
	if l, ok := s.accounts.Get(u); ok {
		l.Account, l.era = l.Account.Clone(), era
		return l, nil
	}
	return s.Refresh(ctx, u)
}

// AccountWithin gives the account from memory where it was read from the database so short a
// time ago; entries that this process has read since are in it. Else it is Refresh.
func (s *Store) AccountWithin(ctx context.Context, u domain.UserID, age time.Duration) (Loaded, error) {
	if l, ok := s.accounts.Peek(u); ok && time.Since(l.compared) < age {
		return s.Account(ctx, u)
	}
	return s.Refresh(ctx, u)
}

// Refresh gives the account as the database has it now. An account from memory may be of a
// database that was restored since: it is read on from its last entry, and where the database
// has another one there, or none, all that is remembered is dropped, and the account loaded.
func (s *Store) Refresh(ctx context.Context, u domain.UserID) (Loaded, error) {
	era, _ := s.recent.end()
	began := time.Now()
	l, ok := s.accounts.Get(u)
	l.Account = l.Account.Clone()
	from, joins, err := l.Version, false, error(nil)
	switch {
	case ok && l.leaf != (Hash{}):
		joins, err = s.readOn(ctx, u, &l, true)
		if errors.Is(err, ErrArchived) { // its last entry is: the account is recorded
			s.accounts.Remove(u)
			err = nil
		} else if err == nil && !joins {
			s.forget()
			era, _ = s.recent.end()
		}
	case ok:
		s.accounts.Remove(u)
	}
	if err == nil && !joins {
		if l, err = s.fromSnapshot(ctx, AccountStream(u)); err == nil {
			from = l.Version
			_, err = s.readOn(ctx, u, &l, false)
		}
	}
	if err != nil {
		return Loaded{}, err
	}
	l.compared = began
	s.rememberRead(era, u, l, from)
	l.Fresh, l.era = true, era
	l.Account = l.Account.Clone()
	return l, nil
}

// readOn folds what the database has behind the account's version. To join, it begins with the
// entry of that version, and reports whether the database has it.
func (s *Store) readOn(ctx context.Context, u domain.UserID, l *Loaded, join bool) (joined bool, err error) {
	after := l.Version
	if join {
		after--
	}
	for {
		tail, err := s.Stream(ctx, AccountStream(u), after, pageSize)
		if err != nil {
			return false, err
		}
		read := len(tail)
		if join {
			if read == 0 || LeafHash(tail[0].Entry) != l.leaf {
				return false, nil
			}
			join, tail = false, tail[1:]
		}
		for _, rec := range tail {
			if err := l.fold(rec); err != nil {
				return false, fmt.Errorf("fold %s at position %d: %w", rec.Stream, rec.Position, err)
			}
		}
		if read < pageSize {
			return true, nil
		}
		after = l.Version
	}
}

func (l *Loaded) fold(rec Recorded) error {
	if err := l.Account.Apply(rec.Event, rec.Time); err != nil {
		return err
	}
	l.Version, l.leaf = rec.Version, LeafHash(rec.Entry)
	return nil
}

// rememberRead keeps an account that was read, unless all was dropped while it was.
func (s *Store) rememberRead(era int, u domain.UserID, l Loaded, from Version) {
	s.recent.mu.Lock()
	defer s.recent.mu.Unlock()
	if era == s.recent.era {
		s.remember(u, l, from)
	}
}

// remember keeps the account in memory unless a later one is there, and queues a
// snapshot when its version passes a multiple of snapshotEvery.
func (s *Store) remember(u domain.UserID, l Loaded, from Version) {
	l.Fresh = false
	if l.Version == 0 {
		return
	}
	if have, ok := s.accounts.Peek(u); ok && have.Version >= l.Version {
		if l.compared.After(have.compared) { // and what is behind it was appended since, or read
			have.compared = l.compared
			s.accounts.Add(u, have)
		}
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
	case s.folded <- snapshot{AccountStream(u), l.Version, FormatOf(l.Account), state}:
	default: // the writer is behind: the next multiple will do
	}
}

// publish makes a committed batch visible: it applies the events to the accounts in
// memory, and wakes those who wait for the log. Of an era that is over, nothing is kept.
func (s *Store) publish(era int, size Position, requests []*request) {
	s.recent.mu.Lock()
	for _, r := range requests {
		if r.err != nil || r.replayed > 0 || era != s.recent.era {
			continue
		}
		for _, rec := range r.receipt.Events {
			s.advance(rec)
		}
		s.recent.add(r.receipt.Events)
	}
	s.recent.mu.Unlock()
	s.see(size)
	select {
	case s.grown <- size:
	default: // an earlier size is being handled: the next will do
	}
}

// keepExtended lets the engine prepare, beside the appends, what the log needs to grow.
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

// advance folds an entry of the log into its account in memory, if that is at the version
// before it. It returns false where the account has another entry of this version: the log was
// restored.
func (s *Store) advance(rec Recorded) bool {
	u, ok := rec.Stream.User()
	if !ok {
		return true
	}
	l, ok := s.accounts.Peek(u)
	if ok && l.Version == rec.Version && l.leaf != (Hash{}) && l.leaf != LeafHash(rec.Entry) {
		return false
	}
	if rec.Version == 1 {
		l, ok = Loaded{}, true
	}
	if !ok || l.Version != rec.Version-1 {
		return true
	}
	from := l.Version
	l.Account = l.Account.Clone()
	if l.fold(rec) != nil {
		s.accounts.Remove(u) // the next load meets it, with its position
		return true
	}
	s.remember(u, l, from)
	return true
}

func (s *Store) fromSnapshot(ctx context.Context, stream Stream) (Loaded, error) {
	snap, err := s.engine.snapshot(ctx, stream)
	if err != nil {
		return Loaded{}, fmt.Errorf("read the snapshot of %s: %w", stream, err)
	}
	if snap.version == 0 {
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

// Snapshots gives fn every stored account in a format of today, for verify.
func (s *Store) Snapshots(ctx context.Context, fn func(Snapshot) error) error {
	var after Stream
	for {
		list, err := s.engine.snapshots(ctx, after, pageSize)
		if err != nil {
			return fmt.Errorf("read the snapshots after %q: %w", after, err)
		}
		for _, snap := range list {
			after = snap.stream
			if snap.format < oldestFormat || snap.format > newestFormat {
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
