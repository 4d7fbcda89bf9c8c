package audittest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Books writes a ledger by the rules, at times and with names that a test chooses.
type Books struct {
	T     testing.TB
	Store *eventstore.Store
	At    time.Time // of the next append

	accounts map[domain.UserID]*eventstore.Loaded
	house    map[eventstore.Stream]eventstore.Version
	commands int
	asked    map[domain.PredictionID]eventstore.Position
}

// NewBooks begins with an empty ledger.
func NewBooks(t testing.TB, store *eventstore.Store, at time.Time) *Books {
	return &Books{T: t, Store: store, At: at, accounts: map[domain.UserID]*eventstore.Loaded{}, house: map[eventstore.Stream]eventstore.Version{},
		asked: map[domain.PredictionID]eventstore.Position{}}
}

func (b *Books) of(u domain.UserID) *eventstore.Loaded {
	if b.accounts[u] == nil {
		b.accounts[u] = &eventstore.Loaded{}
	}
	return b.accounts[u]
}

// command is the cause of the next command.
func (b *Books) command() eventstore.Cause {
	b.commands++
	return eventstore.Command{ID: fmt.Sprint("books", b.commands), Content: "x"}.Cause()
}

func (b *Books) append(actor string, cause eventstore.Cause, writes ...eventstore.Write) eventstore.Receipt {
	b.T.Helper()
	r, err := b.Store.Append(context.Background(), eventstore.Append{Time: b.At, Actor: actor, Cause: cause, Writes: writes})
	if err != nil {
		b.T.Fatal(err)
	}
	return r
}

// change appends what is decided about a person, behind what it claims.
func (b *Books) change(actor string, cause eventstore.Cause, u domain.UserID, claims []eventstore.Write, decide func(domain.Account) ([]domain.Event, error)) eventstore.Position {
	b.T.Helper()
	l := b.of(u)
	events, err := decide(l.Account.Clone())
	if err != nil || len(events) == 0 {
		b.T.Fatalf("decided %v, %v", events, err)
	}
	r := b.append(actor, cause, append(claims, eventstore.Write{Stream: eventstore.AccountStream(u), Expected: l.Version, Events: events})...)
	for _, e := range events {
		if err := l.Account.Apply(e, b.At); err != nil {
			b.T.Fatal(err)
		}
		l.Version++
	}
	return r.Position()
}

func (b *Books) by(u domain.UserID, claims []eventstore.Write, decide func(domain.Account) ([]domain.Event, error)) eventstore.Position {
	b.T.Helper()
	return b.change("user:"+string(u), b.command(), u, claims, decide)
}

func claim(stream eventstore.Stream, e domain.Event) []eventstore.Write {
	return []eventstore.Write{{Stream: stream, Events: []domain.Event{e}}}
}

// SignUp opens an account with a bonus.
func (b *Books) SignUp(u domain.UserID, bonus domain.Credits) eventstore.Position {
	b.T.Helper()
	return b.by(u, claim(eventstore.EmailStream("hash-of-"+string(u)), domain.EmailClaimed{User: u}),
		func(a domain.Account) ([]domain.Event, error) { return a.SignUp(u, domain.Sealed{1}, bonus) })
}

// Deposit books a payment.
func (b *Books) Deposit(u domain.UserID, amount domain.Credits, provider, payment string) eventstore.Position {
	b.T.Helper()
	return b.by(u, claim(eventstore.PaymentStream(provider, payment), domain.PaymentClaimed{User: u}),
		func(a domain.Account) ([]domain.Event, error) { return a.Deposit(amount, provider, payment) })
}

// Withdraw pays out.
func (b *Books) Withdraw(u domain.UserID, amount domain.Credits, provider, payment string) eventstore.Position {
	b.T.Helper()
	return b.by(u, claim(eventstore.PayoutStream(provider, payment), domain.PaymentClaimed{User: u}),
		func(a domain.Account) ([]domain.Event, error) { return a.Withdraw(amount, provider, payment) })
}

// Ask holds the price of an answer.
func (b *Books) Ask(u domain.UserID, id domain.PredictionID, price domain.Credits) eventstore.Position {
	b.T.Helper()
	at := b.by(u, nil, func(a domain.Account) ([]domain.Event, error) {
		return a.RequestPrediction(domain.Question{Prediction: id, Text: domain.Sealed{1}, Price: price, Limit: 5, AskedAt: b.At, ExpiresAt: b.At.Add(2 * time.Minute)})
	})
	b.asked[id] = at
	return at
}

// Answer captures it.
func (b *Books) Answer(u domain.UserID, id domain.PredictionID) eventstore.Position {
	b.T.Helper()
	return b.change("system:matcher", eventstore.ByPosition(b.asked[id]), u, nil, func(a domain.Account) ([]domain.Event, error) {
		return a.Complete(id, domain.Answer{Model: "m", Catalogue: "c", ProcessingTime: 0.25})
	})
}

// Admin makes a person an admin.
func (b *Books) Admin(u domain.UserID) eventstore.Position {
	b.T.Helper()
	return b.change("operator", b.command(), u, nil, func(a domain.Account) ([]domain.Event, error) {
		return a.GrantRole(domain.AdminRole, domain.Orderer{By: "olga"})
	})
}

// Adjust is an admin's correction.
func (b *Books) Adjust(admin, u domain.UserID, c domain.Correction) eventstore.Position {
	b.T.Helper()
	return b.change("user:"+string(admin), b.command(), u, nil, func(a domain.Account) ([]domain.Event, error) { return a.Adjust(b.of(admin).Account, c) })
}

// House appends a fact of the house.
func (b *Books) House(stream eventstore.Stream, e domain.Event) eventstore.Position {
	b.T.Helper()
	at := b.append("operator", b.command(), eventstore.Write{Stream: stream, Expected: b.house[stream], Events: []domain.Event{e}}).Position()
	b.house[stream]++
	return at
}
