package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Sums remember what the trial balance was at places of the log that are never far apart, so
// that what it was at another place takes the entries between two of them, and not all. A long
// log is read once, as far as it is asked for; what was read is kept also where the reader runs
// out of time, and the next one goes on from there.
//
// They are of one process, and no more than the log says: each use compares the root of the
// tree at the last place with the log's, and forgets everything where they differ. Safe for
// concurrent use; one caller at a time reads on.
type Sums struct {
	turn  chan struct{}       // taken by who reads on
	first eventstore.Position // least number of entries between two marks
	most  int                 // marks; an even number

	mu    sync.Mutex
	marks []mark // in order, at least one once anything was read
	names []domain.LedgerAccount
	step  eventstore.Position // number of entries between two marks
	root  eventstore.Hash     // of the tree at the last mark
}

// NewSums remember nothing yet. A mark takes some 200 bytes.
func NewSums() *Sums { return &Sums{turn: make(chan struct{}, 1), first: 256, most: 4096} }

// mark is one place.
type mark struct {
	at       eventstore.Position
	latest   time.Time // the maximum of the times up to here
	adjusted int       // corrections by admins up to here
	names    []domain.LedgerAccount
	sums     []domain.Credits // by name
}

// reading is a place while entries are added.
type reading struct {
	Trial
	latest   time.Time
	adjusted int
}

func (r *reading) take(rec eventstore.Recorded) error {
	if err := r.add(rec); err != nil {
		return err
	}
	r.Position = rec.Position
	if rec.Time.After(r.latest) {
		r.latest = rec.Time
	}
	if rec.Type == domain.TypeBalanceAdjusted {
		r.adjusted++
	}
	return nil
}

// usersPrefix begins the names of the sums over persons.
const usersPrefix = "users:"

// keep adds a mark. Where there are too many, every second one is forgotten.
func (s *Sums) keep(r reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := map[domain.LedgerAccount]int{}
	for i, name := range s.names {
		known[name] = i
	}
	all := maps.Clone(r.House)
	for kind, sum := range r.Users {
		all[domain.LedgerAccount(usersPrefix+kind)] = sum
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if _, there := known[name]; !there {
			known[name] = len(s.names)
			s.names = append(s.names, name)
		}
	}
	m := mark{r.Position, r.latest, r.adjusted, slices.Clip(s.names), make([]domain.Credits, len(s.names))}
	for name, sum := range all {
		m.sums[known[name]] = sum
	}
	s.marks = append(s.marks, m)
	if len(s.marks) > s.most {
		var half []mark // another array: readers may have the first
		for i := 0; i < len(s.marks); i += 2 {
			half = append(half, s.marks[i])
		}
		s.marks, s.step = half, 2*s.step
	}
}

// reading is the mark, to which entries can be added.
func (m mark) reading() reading {
	r := reading{newTrial(m.at), m.latest, m.adjusted}
	for i, sum := range m.sums {
		if kind, users := strings.CutPrefix(string(m.names[i]), usersPrefix); users {
			r.Users[kind] = sum
		} else {
			r.House[m.names[i]] = sum
		}
	}
	return r
}

// kept gives all marks. They do not change.
func (s *Sums) kept() (marks []mark, step eventstore.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clip(s.marks), s.step
}

// before gives the last mark for which early holds; it holds for all before one for which it
// holds. Entries behind it are read until there is a mark for which it does not, or the log ends.
// The error wraps eventstore.ErrArchived where the place is in a part that is archived.
func (s *Sums) before(ctx context.Context, log FullLog, early func(mark) bool) (mark, error) {
	marks, err := s.readOn(ctx, log, early)
	if err != nil {
		return mark{}, err
	}
	i := sort.Search(len(marks), func(i int) bool { return !early(marks[i]) })
	if i == 0 {
		return mark{}, fmt.Errorf("%w: up to position %d", eventstore.ErrArchived, marks[0].at)
	}
	return marks[i-1], nil
}

// readOn reads entries behind the last mark while early holds for it, and gives the marks.
func (s *Sums) readOn(ctx context.Context, log FullLog, early func(mark) bool) ([]mark, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := s.begin(ctx, log); err != nil {
		return nil, err
	}
	marks, step := s.kept()
	last := marks[len(marks)-1]
	if !early(last) {
		return marks, nil
	}
	r, ended := last.reading(), errPage
	err := log.Scan(ctx, last.at, func(page []eventstore.Recorded) error {
		for _, rec := range page {
			if err := r.take(rec); err != nil {
				return err
			}
			if r.Position-last.at < step {
				continue
			}
			s.keep(r)
			marks, step = s.kept()
			if last = marks[len(marks)-1]; !early(last) {
				return ended
			}
		}
		return nil
	})
	if errors.Is(err, ended) {
		err = nil
	}
	return marks, errors.Join(err, s.bind(ctx, log))
}

// bind notes the root at the last mark, by which it is known later that the log is the same.
func (s *Sums) bind(ctx context.Context, log FullLog) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bindTime) // what was read in time is kept
	defer cancel()
	marks, _ := s.kept()
	root, err := rootAt(ctx, log, marks[len(marks)-1].at)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.marks = nil
	}
	s.root = root
	return err
}

const bindTime = 2 * time.Second

// begin forgets what is not of this log, and has a first mark afterwards.
func (s *Sums) begin(ctx context.Context, log FullLog) error {
	if marks, _ := s.kept(); len(marks) > 0 {
		at := marks[len(marks)-1].at
		head, err := log.Head(ctx)
		if err != nil {
			return err
		}
		if at <= head.Size {
			root, err := rootAt(ctx, log, at)
			if err != nil || root == s.root { // only who has the turn writes it
				return err
			}
		}
	}
	first, err := firstReading(ctx, log)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.marks, s.names, s.step = nil, nil, s.first
	s.mu.Unlock()
	s.keep(first)
	return s.bind(ctx, log)
}

// firstReading is where the log begins: at its beginning, or behind the part of it that is archived,
// with what is recorded of that.
func firstReading(ctx context.Context, log FullLog) (reading, error) {
	first := reading{Trial: newTrial(0)}
	if log.Archives != nil {
		return first, nil
	}
	records, err := readRecords(ctx, log.Store)
	if err != nil || len(records) == 0 {
		return first, err
	}
	last := records[len(records)-1]
	first.Position, first.latest = last.UpTo, last.manifest.Sum.Latest
	first.adjusted = last.manifest.Sum.Events[domain.TypeBalanceAdjusted]
	maps.Copy(first.House, last.manifest.Sum.House)
	err = log.ArchivedAccounts(ctx, last.UpTo, func(a eventstore.ArchivedAccount) error {
		var one domain.Account
		if err := json.Unmarshal(a.State, &one); err != nil {
			return fmt.Errorf("the archived account %s: %w", a.Stream, errors.Join(eventstore.ErrCorrupt, err))
		}
		first.Users["available"] += one.Available - one.Given
		first.Users["held"] += one.Held - one.GivenHeld
		first.Users["given"] += one.Given
		first.Users["given_held"] += one.GivenHeld
		return nil
	})
	return first, err
}

// Moving is a trial balance with the newest time of an entry up to it.
type Moving struct {
	Time time.Time `json:"time"`
	Trial
}

// Course gives the trial balances as of the times, each of which is later than the one before.
func (s *Sums) Course(ctx context.Context, log FullLog, times []time.Time) ([]Moving, error) {
	list, last := make([]Moving, 0, len(times)), reading{}
	for _, t := range times {
		var err error
		if last, err = s.until(ctx, log, t, last); err != nil {
			return nil, err
		}
		list = append(list, Moving{last.latest, last.Trial.clone()})
	}
	return list, nil
}

// until adds up the log to the last position before the first entry that is later than the time,
// beginning with what was read before, or with a mark that is nearer.
func (s *Sums) until(ctx context.Context, log FullLog, t time.Time, r reading) (reading, error) {
	near, err := s.before(ctx, log, func(m mark) bool { return !m.latest.After(t) })
	if err != nil {
		return r, err
	}
	if r.House == nil || r.Position < near.at {
		r = near.reading()
	}
	err = log.shortly(ctx, r.Position, func(rec eventstore.Recorded) error {
		if rec.Time.After(t) {
			return errPage
		}
		return r.take(rec)
	})
	return r, err
}

// stretch is a part of the log: behind one position, up to another.
type stretch struct{ behind, upTo eventstore.Position }

// withAdjustments gives the parts of the log behind since and up to a position in which admins
// corrected balances, or may have.
func (s *Sums) withAdjustments(ctx context.Context, log FullLog, since, upTo eventstore.Position) (parts []stretch, err error) {
	marks, err := s.readOn(ctx, log, func(m mark) bool { return m.at <= upTo })
	if err != nil {
		return nil, err
	}
	if since < marks[0].at {
		return nil, fmt.Errorf("%w: up to position %d", eventstore.ErrArchived, marks[0].at)
	}
	for i, m := range marks {
		part := stretch{max(m.at, since), upTo}
		if i+1 < len(marks) {
			part.upTo = min(marks[i+1].at, upTo)
			if marks[i+1].adjusted == m.adjusted {
				continue
			}
		}
		if part.behind < part.upTo {
			parts = append(parts, part)
		}
	}
	return parts, nil
}
