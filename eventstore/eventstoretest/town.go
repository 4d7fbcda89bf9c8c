package eventstoretest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Town is a seeded life of many people, for tests that need a ledger with
// everything in it. Each fact is decided by domain, as a command would decide it.
// It is meant for one goroutine and for one store, where nobody else touches its
// people.
type Town struct {
	rng     *rand.Rand
	seed    uint64
	size    int
	people  []*person
	now     time.Time
	appends int
}

type person struct {
	domain.Account
	version eventstore.Version
	asked   int
}

// NewTown gives a town that grows to size people.
func NewTown(seed uint64, size int) *Town {
	return &Town{rng: rand.New(rand.NewPCG(seed, 1)), seed: seed, size: size,
		now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
}

// Append gives what happens next to that many people, with that many facts for
// each who was there before; newcomers sign up. The store must accept it, if it
// accepted all that the town gave before.
func (t *Town) Append(people, facts int) eventstore.Append {
	t.appends++
	t.now = t.now.Add(time.Duration(1+t.rng.IntN(5000)) * time.Millisecond)
	command := eventstore.Command{ID: fmt.Sprintf("town-%d-%d", t.seed, t.appends), Content: "living"}
	a := eventstore.Append{Time: t.now, Actor: "system:town", Cause: command.Cause()}
	chosen := map[*person]bool{}
	for range people {
		if len(t.people) == 0 || len(t.people) < t.size && t.rng.IntN(4) == 0 {
			p := &person{}
			t.people = append(t.people, p)
			chosen[p] = true
			a.Writes = append(a.Writes, t.signUp(p)...)
			continue
		}
		p := t.people[t.rng.IntN(len(t.people))]
		if !chosen[p] {
			chosen[p] = true
			a.Writes = append(a.Writes, t.live(p, facts))
		}
	}
	return a
}

func (t *Town) signUp(p *person) []eventstore.Write {
	n := len(t.people)
	id := domain.UserID(fmt.Sprintf("u_%d_%d", t.seed, n))
	email := eventstore.Write{Stream: eventstore.EmailStream(fmt.Sprintf("%d_%d", t.seed, n)),
		Events: []domain.Event{domain.EmailClaimed{User: id}}}
	account := eventstore.Write{Stream: eventstore.AccountStream(id)}
	account.Events = p.done(p.SignUp(id, domain.Sealed("sealed e-mail"), 10))
	return []eventstore.Write{email, account}
}

func (t *Town) live(p *person, facts int) eventstore.Write {
	w := eventstore.Write{Stream: eventstore.AccountStream(p.User), Expected: p.version}
	for len(w.Events) < facts {
		w.Events = append(w.Events, t.act(p)...)
	}
	return w
}

// act lets the person do one of the things that people do.
func (t *Town) act(p *person) []domain.Event {
	if len(p.Holds) > 0 && t.rng.IntN(2) == 0 {
		return t.end(p, p.Holds[t.rng.IntN(len(p.Holds))])
	}
	admin := p.Account.Clone()
	admin.User, admin.Admin = "u_admin", true
	switch n := t.rng.IntN(20); {
	case p.Available < 5 || n < 4:
		return p.done(p.Deposit(domain.Credits(5+t.rng.IntN(100)), "sandbox", "payment"))
	case n < 6:
		return p.done(p.Withdraw(1+domain.Credits(t.rng.Int64N(int64(p.Available))), "sandbox", "payment"))
	case n < 7:
		return p.done(p.Adjust(admin, domain.Correction{Amount: domain.Credits(1 + t.rng.IntN(50)), Reason: "a gift"}))
	case n < 8 && !p.Admin:
		return p.done(p.GrantAdmin())
	case n < 8:
		return p.done(p.RevokeAdmin())
	case len(p.Holds) < domain.MaxOpenHolds:
		p.asked++
		return p.done(p.RequestPrediction(domain.Question{
			Prediction: domain.PredictionID(fmt.Sprintf("p_%s_%d", p.User, p.asked)),
			Text:       domain.Sealed("a sealed question about a film with a whale in it"),
			Price:      5, Limit: 10, ExpiresAt: t.now.Add(2 * time.Minute)}))
	}
	return t.end(p, p.Holds[0])
}

func (t *Town) end(p *person, h domain.Hold) []domain.Event {
	switch t.rng.IntN(8) {
	case 0:
		return p.done(p.Fail(h.Prediction, domain.FailedNoMeaning))
	case 1:
		return p.done(p.Expire(h.Prediction, h.ExpiresAt))
	}
	return p.done(p.Complete(h.Prediction, domain.Answer{Model: "town-1", Catalogue: "films-1", ProcessingTime: 0.004,
		Movies: []domain.Match{{Movie: "jaws-1975", Score: 0.71}, {Movie: "moby-dick-1956", Score: 0.93}}}))
}

// done folds what was decided. A refusal here is a mistake of the town.
func (p *person) done(events []domain.Event, err error) []domain.Event {
	if err != nil {
		panic(err)
	}
	for _, e := range events {
		if err := p.Apply(e); err != nil {
			panic(err)
		}
		p.version++
	}
	return events
}

// FromNewer is an event of a later program: the store appends it and cannot read it
// back.
type FromNewer struct {
	User domain.UserID `json:"user_id"`
}

// Type is one that this program does not know.
func (FromNewer) Type() domain.EventType { return "FilmLent" }

// Subject is the person.
func (e FromNewer) Subject() domain.UserID { return e.User }
