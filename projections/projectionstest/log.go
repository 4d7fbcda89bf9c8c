package projectionstest

import (
	"context"
	"sync"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
)

// Log is a log in memory that a form of the views reads what it misses from. Its
// entries are numbered and encoded as the store's are.
type Log struct {
	mu       sync.Mutex
	entries  []eventstore.Recorded
	versions map[eventstore.Stream]eventstore.Version
	grown    chan struct{}
}

func newLog() *Log {
	return &Log{versions: map[eventstore.Stream]eventstore.Version{}, grown: make(chan struct{})}
}

// add appends as the store would, and gives the new entries. What is appended need
// not be true: that is for the views to find.
func (l *Log) add(t testing.TB, a eventstore.Append) []eventstore.Recorded {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	before := len(l.entries)
	for _, w := range a.Writes {
		for _, e := range w.Events {
			payload, err := domain.Encode(e)
			must(t, err)
			l.versions[w.Stream]++
			rec, err := eventstore.Decode(eventstore.EncodeEntry(eventstore.Envelope{
				Position: eventstore.Position(len(l.entries) + 1), Stream: w.Stream, Version: l.versions[w.Stream],
				Type: e.Type(), Schema: domain.VersionOf(e), Time: a.Time, Actor: a.Actor, Cause: a.Cause}, payload))
			must(t, err)
			l.entries = append(l.entries, rec)
		}
	}
	close(l.grown)
	l.grown = make(chan struct{})
	return l.entries[before:]
}

// live adds steps of a workload.
func (l *Log) live(t testing.TB, workload *eventstoretest.Workload, appends int) {
	t.Helper()
	for range appends {
		workload.Record(l.add(t, workload.Append(20)))
	}
}

// all gives every entry.
func (l *Log) all() []eventstore.Recorded {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries[:len(l.entries):len(l.entries)]
}

// After reads up to limit entries behind the position.
func (l *Log) After(_ context.Context, at eventstore.Position, limit int) ([]eventstore.Recorded, error) {
	rest := l.all()
	rest = rest[min(int(at), len(rest)):]
	return rest[:min(len(rest), limit)], nil
}

// Recent is After.
func (l *Log) Recent(ctx context.Context, at eventstore.Position, limit int) ([]eventstore.Recorded, error) {
	return l.After(ctx, at, limit)
}

// At gives the entries at these positions.
func (l *Log) At(_ context.Context, at []eventstore.Position) (map[eventstore.Position]eventstore.Recorded, error) {
	found := map[eventstore.Position]eventstore.Recorded{}
	for _, position := range at {
		if all := l.all(); position > 0 && int(position) <= len(all) {
			found[position] = all[position-1]
		}
	}
	return found, nil
}

// Scan gives fn every entry behind the position.
func (l *Log) Scan(_ context.Context, at eventstore.Position, fn func([]eventstore.Recorded) error) error {
	rest := l.all()
	if rest = rest[min(int(at), len(rest)):]; len(rest) == 0 {
		return nil
	}
	return fn(rest)
}

// Wait returns when there is an entry behind the position.
func (l *Log) Wait(ctx context.Context, after eventstore.Position) error {
	for {
		l.mu.Lock()
		size, grown := len(l.entries), l.grown
		l.mu.Unlock()
		if size > int(after) {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// story adds to a log what is decided about a few people, a second after the other.
type story struct {
	t        testing.TB
	log      *Log
	now      time.Time
	accounts map[domain.UserID]*domain.Account
}

func newStory(t testing.TB, log *Log) *story {
	return &story{t: t, log: log, now: noon, accounts: map[domain.UserID]*domain.Account{}}
}

// role changes that of an admin, as the operator does.
func (s *story) role(u domain.UserID, change func(domain.Account, domain.Role, domain.Orderer) ([]domain.Event, error)) {
	s.apply(u, func(a domain.Account) ([]domain.Event, error) {
		return change(a, domain.AdminRole, domain.Orderer{By: "olga"})
	})
}

// lockedBy is a lock by the operator, or its end.
func lockedBy(change func(domain.Account, domain.Orderer) ([]domain.Event, error)) func(domain.Account) ([]domain.Event, error) {
	return func(a domain.Account) ([]domain.Event, error) { return change(a, domain.Orderer{By: "olga"}) }
}

// fact is one of a person that no command writes any more, or that none of these writes.
func (s *story) fact(u domain.UserID, e domain.Event) {
	s.apply(u, func(domain.Account) ([]domain.Event, error) { return []domain.Event{e}, nil })
}

// apply decides and appends. It returns the position of the last entry.
func (s *story) apply(u domain.UserID, decide func(domain.Account) ([]domain.Event, error)) eventstore.Position {
	s.t.Helper()
	account := s.accounts[u]
	if account == nil {
		account = &domain.Account{}
		s.accounts[u] = account
	}
	events, err := decide(account.Clone())
	must(s.t, err)
	for _, e := range events {
		must(s.t, account.Apply(e, s.now.Add(time.Second)))
	}
	return s.add(eventstore.AccountStream(u), events...)
}

// add adds facts that were not decided.
func (s *story) add(stream eventstore.Stream, events ...domain.Event) eventstore.Position {
	s.t.Helper()
	s.now = s.now.Add(time.Second)
	added := s.log.add(s.t, eventstore.Append{Time: s.now, Actor: "system:story", Writes: []eventstore.Write{{Stream: stream, Events: events}}})
	return added[len(added)-1].Position
}

func (s *story) signUp(u domain.UserID) {
	s.t.Helper()
	s.add(eventstore.EmailStream("hash of "+string(u)), domain.EmailClaimed{User: u})
	s.apply(u, func(a domain.Account) ([]domain.Event, error) {
		return a.SignUp(u, domain.Sealed("e-mail of "+string(u)), 10)
	})
}

func (s *story) moveIn(u domain.UserID, has domain.MovedCredits) {
	s.t.Helper()
	s.add(eventstore.EmailStream("hash of "+string(u)), domain.EmailClaimed{User: u})
	s.apply(u, func(a domain.Account) ([]domain.Event, error) {
		return a.MoveIn(u, domain.Sealed("e-mail of "+string(u)), has, true)
	})
}

func (s *story) deposit(u domain.UserID, amount domain.Credits) eventstore.Position {
	s.t.Helper()
	return s.apply(u, func(a domain.Account) ([]domain.Event, error) { return a.Deposit(amount, "till", "pay") })
}

func (s *story) ask(u domain.UserID, id domain.PredictionID, expires time.Duration) eventstore.Position {
	s.t.Helper()
	return s.apply(u, func(a domain.Account) ([]domain.Event, error) {
		return a.RequestPrediction(domain.Question{Prediction: id, Text: domain.Sealed("text of " + id), Price: 5, Limit: 3, ExpiresAt: noon.Add(expires)})
	})
}

var films = domain.Answer{Movies: []domain.Match{{MovieID: "jaws-1975", Score: 0.75}, {MovieID: "orca-1977", Score: -0.5}},
	Model: "model-1", Catalogue: "films-1", ProcessingTime: 0.25, Confidence: 912}

func (s *story) complete(u domain.UserID, id domain.PredictionID) eventstore.Position {
	s.t.Helper()
	return s.apply(u, func(a domain.Account) ([]domain.Event, error) { return a.Complete(id, films) })
}

func (s *story) fail(u domain.UserID, id domain.PredictionID) eventstore.Position {
	s.t.Helper()
	return s.apply(u, func(a domain.Account) ([]domain.Event, error) { return a.Fail(id, domain.FailedNoMeaning) })
}

func (s *story) expire(u domain.UserID, id domain.PredictionID) eventstore.Position {
	s.t.Helper()
	return s.apply(u, func(a domain.Account) ([]domain.Event, error) { return a.Expire(id, noon.Add(time.Hour)) })
}

func (s *story) refund(u domain.UserID, id domain.PredictionID) eventstore.Position {
	s.t.Helper()
	return s.apply(u, func(a domain.Account) ([]domain.Event, error) {
		return a.Refund(id, domain.RefundPolicy{PerMonth: 3}, s.now.Add(time.Second))
	})
}

func (s *story) refine(u domain.UserID, answer, id domain.PredictionID, excluded ...string) eventstore.Position {
	s.t.Helper()
	return s.apply(u, func(a domain.Account) ([]domain.Event, error) {
		return a.Refine(answer, excluded, domain.Question{Prediction: id, Text: domain.Sealed("more of " + id), Limit: 3, AskedAt: s.now, ExpiresAt: noon.Add(time.Minute)},
			domain.RefinePolicy{Refinements: 3, Within: 3600})
	})
}

// erase asks for the erasure of a person, who leaves their credits.
func (s *story) erase(u domain.UserID, due time.Time) eventstore.Position {
	s.t.Helper()
	return s.apply(u, func(a domain.Account) ([]domain.Event, error) {
		return a.RequestErasure(domain.ErasureOrder{Bought: domain.ForfeitCredits, DueAt: due})
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
