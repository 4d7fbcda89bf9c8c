package eventstoretest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Workload is a seeded sequence of appends by many users, for tests that need a ledger with
// everything in it. Each append has one actor and one cause, as a command of the service
// has, and each event is decided by domain. It is for one goroutine and one store, and for
// users that no other writer changes.
type Workload struct {
	// FollowUps lets people refine answers, and confirm films.
	FollowUps bool

	rng     *rand.Rand
	seed    uint64
	size    int
	people  []*person
	now     time.Time
	appends int
	open    []question // that can be ended: their positions are known
}

type person struct {
	domain.Account
	of      *Workload
	version eventstore.Version
	acts    int
}

// question is a request that the store has accepted.
type question struct {
	of   *person
	hold domain.Hold
	at   eventstore.Position
}

// NewWorkload gives a workload that grows to size users.
func NewWorkload(seed uint64, size int) *Workload {
	return &Workload{rng: rand.New(rand.NewPCG(seed, 1)), seed: seed, size: size,
		now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
}

// Append gives the next append: a sign-up, up to that many events of a user, an admin's
// grant or adjustment, or the end of a prediction. The store must accept it, if it accepted
// all that the workload gave before.
func (t *Workload) Append(facts int) eventstore.Append {
	t.appends++
	t.now = t.now.Add(time.Duration(1+t.rng.IntN(5000)) * time.Millisecond)
	if len(t.people) == 0 || len(t.people) < t.size && t.rng.IntN(4) == 0 {
		return t.signUp()
	}
	p := t.people[t.rng.IntN(len(t.people))]
	if t.FollowUps && t.rng.IntN(3) == 0 {
		if a, ok := t.talk(p); ok {
			return a
		}
	}
	switch n := t.rng.IntN(20); {
	case n < 9 && len(t.open) > 0:
		return t.end()
	case n < 11:
		return t.admin(p)
	case n < 14:
		if by := t.anAdmin(p); by != nil {
			return t.adjust(p, by)
		}
	case n == 19:
		if id, ok := t.refundable(p); ok {
			return t.refund(p, id)
		}
	}
	return t.userEvents(p, facts)
}

// Step appends the next append, and records its events.
func (t *Workload) Step(ctx context.Context, store *eventstore.Store, facts int) (eventstore.Receipt, error) {
	r, err := store.Append(ctx, t.Append(facts))
	t.Record(r.Events)
	return r, err
}

// Record is called with the events of the last appends: a prediction can only be ended when
// its position is known. Without it, none ends.
func (t *Workload) Record(events []eventstore.Recorded) {
	for _, rec := range events {
		asked, ok := rec.Event.(domain.PredictionRequested)
		if !ok {
			continue
		}
		for _, p := range t.people {
			if p.User == asked.User {
				t.open = append(t.open, question{p, domain.Hold{Prediction: asked.Prediction, ExpiresAt: asked.ExpiresAt}, rec.Position})
			}
		}
	}
}

// by is an append by a command.
func (t *Workload) by(actor string, writes ...eventstore.Write) eventstore.Append {
	command := eventstore.Command{ID: fmt.Sprintf("town-%d-%d", t.seed, t.appends), Content: "living"}
	return eventstore.Append{Time: t.now, Actor: actor, Cause: command.Cause(), Writes: writes}
}

func (t *Workload) signUp() eventstore.Append {
	p := &person{of: t}
	t.people = append(t.people, p)
	n := len(t.people)
	id := domain.UserID(fmt.Sprintf("u_%d_%d", t.seed, n))
	email := eventstore.Write{Stream: eventstore.EmailStream(fmt.Sprintf("%d_%d", t.seed, n)),
		Events: []domain.Event{domain.EmailClaimed{User: id}}}
	account := eventstore.Write{Stream: eventstore.AccountStream(id)}
	account.Events = p.done(p.SignUp(id, domain.Sealed("sealed e-mail"), 10))
	return t.by("user:"+string(id), email, account)
}

// userEvents is an append of deposits, withdrawals and questions of one user.
func (t *Workload) userEvents(p *person, facts int) eventstore.Append {
	w := p.next()
	var claims []eventstore.Write
	for len(w.Events) < facts {
		events := t.userEvent(p)
		w.Events = append(w.Events, events...)
		claims = append(claims, ClaimsOf(events)...)
	}
	return t.by("user:"+string(p.User), append(claims, w)...)
}

// ClaimsOf claims the payments that events book.
func ClaimsOf(events []domain.Event) (claims []eventstore.Write) {
	for _, e := range events {
		var stream eventstore.Stream
		switch e := e.(type) {
		case domain.Deposited:
			stream = eventstore.PaymentStream(e.Provider, e.Payment)
		case domain.Withdrawn:
			stream = eventstore.PayoutStream(e.Provider, e.Payment)
		default:
			continue
		}
		claims = append(claims, eventstore.Write{Stream: stream, Events: []domain.Event{domain.PaymentClaimed{User: e.Subject()}}})
	}
	return claims
}

func (t *Workload) userEvent(p *person) []domain.Event {
	p.acts++
	payment := fmt.Sprintf("pay_%s_%d", p.User, p.acts)
	switch n := t.rng.IntN(10); {
	case p.Available < 5 || n < 2 || len(p.Holds) == domain.MaxOpenHolds && n < 7:
		return p.done(p.Deposit(domain.Credits(5+t.rng.IntN(100)), "sandbox", payment))
	case p.Withdrawable() > 0 && (n < 3 || len(p.Holds) == domain.MaxOpenHolds):
		return p.done(p.Withdraw(1+domain.Credits(t.rng.Int64N(int64(p.Withdrawable()))), "sandbox", payment))
	case len(p.Holds) == domain.MaxOpenHolds:
		return p.done(p.Deposit(1, "sandbox", payment))
	}
	return p.done(p.RequestPrediction(domain.Question{
		Prediction: domain.PredictionID(fmt.Sprintf("p_%s_%d", p.User, p.acts)),
		Text:       domain.Sealed("a sealed question about a film with a whale in it"),
		Price:      5, Limit: 10, ExpiresAt: t.now.Add(2 * time.Minute)}))
}

// admin makes the person an admin, or ends it.
func (t *Workload) admin(p *person) eventstore.Append {
	w := p.next()
	if p.Admin {
		w.Events = p.done(p.RevokeRole(domain.AdminRole, domain.Orderer{By: "olga"}))
	} else {
		w.Events = p.done(p.GrantRole(domain.AdminRole, domain.Orderer{By: "olga"}))
	}
	return t.by("operator", w)
}

// anAdmin is one who may adjust that person's balance.
func (t *Workload) anAdmin(of *person) *person {
	for _, p := range t.people {
		if p.Admin && p != of {
			return p
		}
	}
	return nil
}

func (t *Workload) adjust(p, by *person) eventstore.Append {
	w := p.next()
	c := domain.Correction{Amount: domain.Credits(1 + t.rng.IntN(50)), Reason: "a gift"}
	switch t.rng.IntN(3) {
	case 0:
		c.Kind, c.Reason = domain.BoughtCredits, "paid and not booked"
	case 1:
		if p.Available > 0 {
			c.Amount, c.Reason = -1-domain.Credits(t.rng.Int64N(int64(min(p.Available, 50)))), "taken back"
		}
	}
	w.Events = p.done(p.Adjust(by.Account, c))
	return t.by("user:"+string(by.User), w)
}

// refundable is an answer that may be refunded, as one without the right film.
func (t *Workload) refundable(p *person) (domain.PredictionID, bool) {
	for _, c := range p.Captured {
		if !c.Refunded && p.Refunds.On(t.now).Count < refunds.PerMonth {
			return c.Prediction, true
		}
	}
	return "", false
}

var refunds = domain.RefundPolicy{PerMonth: 5}

func (t *Workload) refund(p *person, id domain.PredictionID) eventstore.Append {
	w := p.next()
	w.Events = p.done(p.Refund(id, refunds, t.now))
	return t.by("user:"+string(p.User), w)
}

// talk refines the person's newest answer, or confirms a film of it; ok is false where
// neither is possible.
func (t *Workload) talk(p *person) (a eventstore.Append, ok bool) {
	if len(p.Captured) == 0 {
		return a, false
	}
	answer := p.Captured[len(p.Captured)-1].Prediction
	for _, f := range p.Captured[len(p.Captured)-1].FollowUps {
		if f.Answered {
			answer = f.Prediction
		}
	}
	w, policy := p.next(), domain.RefinePolicy{Refinements: 2, Within: 600}
	switch offer := p.RefineOffer(answer, policy, t.now); {
	case offer.Open && t.rng.IntN(3) == 0:
		w.Events = p.done(p.Confirm(answer, "jaws-1975", t.now))
	case offer.No == "" && len(p.Holds) < domain.MaxOpenHolds:
		p.acts++
		w.Events = p.done(p.Refine(answer, []string{"moby-dick-1956"}, domain.Question{Prediction: domain.PredictionID(fmt.Sprintf("p_%s_%d", p.User, p.acts)),
			Text: domain.Sealed("a sealed question, and what was said then"), Limit: 10, AskedAt: t.now, ExpiresAt: t.now.Add(2 * time.Minute)}, policy))
	default:
		return a, false
	}
	return t.by("user:"+string(p.User), w), true
}

// end answers a question, or releases its credits.
func (t *Workload) end() eventstore.Append {
	i := t.rng.IntN(len(t.open))
	q := t.open[i]
	t.open = append(t.open[:i], t.open[i+1:]...)
	w, id := q.of.next(), q.hold.Prediction
	a := eventstore.Append{Time: t.now, Actor: "system:matcher", Cause: eventstore.ByPosition(q.at)}
	switch t.rng.IntN(8) {
	case 0:
		w.Events = q.of.done(q.of.Fail(id, domain.FailedNoMeaning))
	case 1:
		a.Actor, a.Time = "system:expirer", q.hold.ExpiresAt
		w.Events = q.of.done(q.of.Expire(id, a.Time))
	default:
		w.Events = q.of.done(q.of.Complete(id, domain.Answer{Model: "town-1", Catalogue: "films-1", ProcessingTime: 0.004, Confidence: 830,
			Movies: []domain.Match{{MovieID: "jaws-1975", Score: 0.71}, {MovieID: "moby-dick-1956", Score: 0.93}}}))
	}
	a.Writes = []eventstore.Write{w}
	return a
}

// next is the write that follows in the person's stream.
func (p *person) next() eventstore.Write {
	return eventstore.Write{Stream: eventstore.AccountStream(p.User), Expected: p.version}
}

// done folds what was decided. A refusal here is a fault of the workload.
func (p *person) done(events []domain.Event, err error) []domain.Event {
	if err != nil {
		panic(err)
	}
	for _, e := range events {
		if err := p.Apply(e, p.of.now); err != nil {
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

// EndOpen ends every question that is open.
func (t *Workload) EndOpen(ctx context.Context, store *eventstore.Store) error {
	for len(t.open) > 0 {
		if _, err := store.Append(ctx, t.end()); err != nil {
			return err
		}
	}
	return nil
}
