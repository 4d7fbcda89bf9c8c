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
				Type: e.Type(), Schema: e.Type().Version(), Time: a.Time, Actor: a.Actor, Cause: a.Cause}, payload))
			must(t, err)
			l.entries = append(l.entries, rec)
		}
	}
	close(l.grown)
	l.grown = make(chan struct{})
	return l.entries[before:]
}

// live adds what happens in a town.
func (l *Log) live(t testing.TB, town *eventstoretest.Town, appends int) {
	t.Helper()
	for range appends {
		town.Took(l.add(t, town.Append(20)))
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

// Scan gives fn every entry behind the position.
func (l *Log) Scan(_ context.Context, at eventstore.Position, fn func([]eventstore.Recorded) error) error {
	rest := l.all()
	if rest = rest[min(int(at), len(rest)):]; len(rest) == 0 {
		return nil
	}
	return fn(rest)
}

// Wait returns when something stands behind the position.
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

// tell decides and adds. It gives the position of the last entry.
func (s *story) tell(u domain.UserID, decide func(domain.Account) ([]domain.Event, error)) eventstore.Position {
	s.t.Helper()
	account := s.accounts[u]
	if account == nil {
		account = &domain.Account{}
		s.accounts[u] = account
	}
	events, err := decide(account.Clone())
	must(s.t, err)
	for _, e := range events {
		must(s.t, account.Apply(e))
	}
	return s.add(eventstore.AccountStream(u), events...)
}

// add adds facts that nobody decided.
func (s *story) add(stream eventstore.Stream, events ...domain.Event) eventstore.Position {
	s.t.Helper()
	s.now = s.now.Add(time.Second)
	added := s.log.add(s.t, eventstore.Append{Time: s.now, Actor: "system:story", Writes: []eventstore.Write{{Stream: stream, Events: events}}})
	return added[len(added)-1].Position
}

func (s *story) signUp(u domain.UserID) {
	s.t.Helper()
	s.add(eventstore.EmailStream("hash of "+string(u)), domain.EmailClaimed{User: u})
	s.tell(u, func(a domain.Account) ([]domain.Event, error) {
		return a.SignUp(u, domain.Sealed("e-mail of "+string(u)), 10)
	})
}

func (s *story) deposit(u domain.UserID, amount domain.Credits) eventstore.Position {
	s.t.Helper()
	return s.tell(u, func(a domain.Account) ([]domain.Event, error) { return a.Deposit(amount, "till", "pay") })
}

func (s *story) ask(u domain.UserID, id domain.PredictionID, expires time.Duration) eventstore.Position {
	s.t.Helper()
	return s.tell(u, func(a domain.Account) ([]domain.Event, error) {
		return a.RequestPrediction(domain.Question{Prediction: id, Text: domain.Sealed("text of " + id), Price: 5, Limit: 3, ExpiresAt: noon.Add(expires)})
	})
}

var films = domain.Answer{Movies: []domain.Match{{Movie: "jaws-1975", Score: 0.75}, {Movie: "orca-1977", Score: -0.5}},
	Model: "model-1", Catalogue: "films-1", ProcessingTime: 0.25}

func (s *story) complete(u domain.UserID, id domain.PredictionID) eventstore.Position {
	s.t.Helper()
	return s.tell(u, func(a domain.Account) ([]domain.Event, error) { return a.Complete(id, films) })
}

func (s *story) fail(u domain.UserID, id domain.PredictionID) eventstore.Position {
	s.t.Helper()
	return s.tell(u, func(a domain.Account) ([]domain.Event, error) { return a.Fail(id, domain.FailedNoMeaning) })
}

func (s *story) expire(u domain.UserID, id domain.PredictionID) eventstore.Position {
	s.t.Helper()
	return s.tell(u, func(a domain.Account) ([]domain.Event, error) { return a.Expire(id, noon.Add(time.Hour)) })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
