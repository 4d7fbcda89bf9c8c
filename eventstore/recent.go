package eventstore

import (
	"context"
	"errors"
	"maps"
	"sync"
)

const (
	// recentKept is how many entries are remembered at least, of about one kilobyte each
	// and a few where they are answers; at most it is twice as many.
	recentKept = 1024
	// recentGap is up to how many entries are read to join what is remembered to what is new.
	recentGap = 64
)

// recent is the end of the log in memory: what this process appended, and what it read
// behind that. Those who follow the log get it from here, so that a process reads and
// decodes what others appended once, and what it appended itself not at all.
//
// It is dropped with all that is remembered of the log, where that was set back. A read
// that began before does not bring it back: each belongs to an era.
type recent struct {
	mu   sync.Mutex
	era  int
	list []Recorded // without a gap
}

// last is the last position that is remembered; 0 where nothing is.
func (r *recent) last() Position {
	if len(r.list) == 0 {
		return 0
	}
	return r.list[len(r.list)-1].Position
}

// end gives the era, and the last entry that is remembered.
func (r *recent) end() (era int, last Recorded) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.list); n > 0 {
		last = r.list[n-1]
	}
	return r.era, last
}

// after gives entries behind the position, ok false where the next one is not remembered.
func (r *recent) after(at Position, limit int) (list []Recorded, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == 0 || at < r.list[0].Position-1 || at >= r.last() {
		return nil, false
	}
	list = r.list[at+1-r.list[0].Position:]
	n := min(limit, len(list))
	return list[:n:n], true
}

// add appends what is new of entries without a gap, and gives it. Where there is a gap
// before them, what is remembered begins with them.
func (r *recent) add(entries []Recorded) (news []Recorded) {
	last := r.last()
	for len(entries) > 0 && entries[0].Position <= last {
		entries = entries[1:]
	}
	if len(entries) == 0 {
		return nil
	}
	if entries[0].Position != last+1 {
		r.list = nil
	}
	r.list = append(r.list, entries...)
	if n := len(r.list); n > 2*recentKept { // into other memory: readers have slices of this one
		r.list = append(make([]Recorded, 0, 2*recentKept), r.list[n-recentKept:]...)
	}
	return entries
}

// Recent is After for those who follow the log: what this process appended or has read a
// moment ago is not read again.
func (s *Store) Recent(ctx context.Context, at Position, limit int) ([]Recorded, error) {
	if list, ok := s.recent.after(at, limit); ok {
		return list, nil
	}
	era, last := s.recent.end()
	if at == last.Position && at == s.known() {
		return nil, nil
	}
	if at == 0 || at != last.Position {
		list, err := s.After(ctx, at, limit)
		if err == nil {
			s.remembered(era, list)
		}
		return list, err
	}
	list, err := s.After(ctx, at-1, limit+1)
	if restored(last, list, err) {
		s.forget()
		if _, err := s.Head(ctx); err != nil {
			return nil, err
		}
		return s.After(ctx, at, limit)
	}
	if err != nil {
		return nil, err
	}
	s.remembered(era, list)
	return list[1:], nil
}

// RecentAt is At for those who follow the log.
func (s *Store) RecentAt(ctx context.Context, at []Position) (map[Position]Recorded, error) {
	found, missing := s.recent.at(at)
	if len(missing) == 0 {
		return found, nil
	}
	read, err := s.At(ctx, missing)
	if err != nil {
		return nil, err
	}
	maps.Copy(read, found)
	return read, nil
}

// at gives the entries at these positions that are remembered, and the other positions.
func (r *recent) at(positions []Position) (found map[Position]Recorded, missing []Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found = make(map[Position]Recorded, len(positions))
	for _, at := range positions {
		if len(r.list) > 0 && at >= r.list[0].Position && at <= r.last() {
			found[at] = r.list[at-r.list[0].Position]
		} else {
			missing = append(missing, at)
		}
	}
	return found, missing
}

// restored reports whether what was read, to begin with the last entry that is remembered, does
// not: the log has another one there, or none that is read.
func restored(last Recorded, list []Recorded, err error) bool {
	return errors.Is(err, ErrArchived) || err == nil && (len(list) == 0 || LeafHash(list[0].Entry) != LeafHash(last.Entry))
}

// remembered keeps entries that were read, and brings the accounts in memory up to them. Where
// they have another entry than is remembered, the log was restored, and all of it is dropped.
func (s *Store) remembered(era int, entries []Recorded) {
	s.recent.mu.Lock()
	defer s.recent.mu.Unlock()
	if era != s.recent.era || len(entries) == 0 {
		return
	}
	if n := len(s.recent.list); n > 0 {
		last := s.recent.list[n-1]
		if i := int(last.Position - entries[0].Position); i >= 0 && i < len(entries) && restored(last, entries[i:], nil) {
			s.forgetLocked()
			return
		}
	}
	for _, rec := range s.recent.add(entries) {
		if !s.advance(rec) {
			s.forgetLocked()
			return
		}
	}
}

// forget drops what this process remembers of the log.
func (s *Store) forget() {
	s.recent.mu.Lock()
	defer s.recent.mu.Unlock()
	s.forgetLocked()
}

func (s *Store) forgetLocked() {
	s.recent.era++
	s.recent.list = nil
	s.accounts.Purge()
}

// fetch reads what other processes appended, for those who wait. It begins with the last
// entry that is remembered: where the log has another one there, or none, it was restored.
func (s *Store) fetch(ctx context.Context) error {
	for {
		era, last := s.recent.end()
		from, joins := s.known(), false
		if last.Position > 0 && from-last.Position < recentGap {
			from, joins = last.Position-1, true
		}
		list, err := s.After(ctx, from, pageSize)
		switch {
		case errors.Is(err, ErrArchived), joins && restored(last, list, err):
			s.forget()
			_, err = s.Head(ctx)
			return err
		case err != nil:
			return err
		}
		s.remembered(era, list)
		if len(list) > 0 {
			s.see(list[len(list)-1].Position)
		}
		if len(list) < pageSize {
			return nil
		}
	}
}
