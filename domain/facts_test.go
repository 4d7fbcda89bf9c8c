package domain_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"kassa/domain"
)

// The people and the moment of all tables.
const (
	ada  domain.UserID = "u_ada"
	root domain.UserID = "u_root"
)

var (
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	sealed = domain.Sealed("unreadable")
)

// book writes down facts about ada by plain addition, beside the code that is
// tested: it is what the tables compare that code with.
type book struct {
	available, held domain.Credits
}

// step is one or more facts, written into a book.
type step func(*book) []domain.Event

func (b *book) write(steps []step) []domain.Event {
	var events []domain.Event
	for _, s := range steps {
		events = append(events, s(b)...)
	}
	return events
}

// moved is the movement of the given postings, two of them, after which the
// book stands as it does now.
func (b *book) moved(from domain.LedgerAccount, to domain.LedgerAccount, amount domain.Credits) domain.Movement {
	return domain.Movement{
		Postings:  []domain.Posting{{Account: from, Amount: -amount}, {Account: to, Amount: amount}},
		Available: b.available, Held: b.held,
	}
}

func facts(steps ...step) []step { return steps }

func once(e domain.Event) step { return func(*book) []domain.Event { return []domain.Event{e} } }

var (
	signedUp = once(domain.SignedUp{User: ada, Email: sealed})
	granted  = once(domain.AdminGranted{User: ada})
	revoked  = once(domain.AdminRevoked{User: ada})
)

func bonus(n domain.Credits) step {
	return func(b *book) []domain.Event {
		b.available += n
		return []domain.Event{domain.BonusGranted{User: ada, Amount: n,
			Movement: b.moved("house:bonus", "user:u_ada:available", n)}}
	}
}

func deposited(n domain.Credits) step {
	return func(b *book) []domain.Event {
		b.available += n
		return []domain.Event{domain.Deposited{User: ada, Amount: n, Provider: "sandbox", Payment: "pay_1",
			Movement: b.moved("house:cash", "user:u_ada:available", n)}}
	}
}

func withdrawn(n domain.Credits) step {
	return func(b *book) []domain.Event {
		b.available -= n
		return []domain.Event{domain.Withdrawn{User: ada, Amount: n, Provider: "sandbox", Payment: "pay_1",
			Movement: b.moved("user:u_ada:available", "house:cash", n)}}
	}
}

func adjusted(n domain.Credits, reason, reference string) step {
	return func(b *book) []domain.Event {
		b.available += n
		return []domain.Event{domain.BalanceAdjusted{User: ada, Admin: root, Amount: n, Reason: reason, Reference: reference,
			Movement: b.moved("house:adjustments", "user:u_ada:available", n)}}
	}
}

func requested(id domain.PredictionID, price domain.Credits) step {
	return func(b *book) []domain.Event {
		b.available, b.held = b.available-price, b.held+price
		return []domain.Event{domain.PredictionRequested{User: ada, Prediction: id, Text: sealed, Price: price,
			Limit: 10, ExpiresAt: noon, Movement: b.moved("user:u_ada:available", "user:u_ada:held", price)}}
	}
}

// open is n questions of one credit each, p_1 to p_n.
func open(n int) step {
	return func(b *book) []domain.Event {
		var steps []step
		for i := range n {
			steps = append(steps, requested(domain.PredictionID(fmt.Sprintf("p_%d", i+1)), 1))
		}
		return b.write(steps)
	}
}

func completed(id domain.PredictionID, price domain.Credits, movies ...domain.Match) step {
	return func(b *book) []domain.Event {
		b.held -= price
		return []domain.Event{domain.PredictionCompleted{User: ada, Prediction: id, Price: price,
			Movies: append([]domain.Match{}, movies...), Model: "m1", Catalogue: "c1", ProcessingTime: 0.25,
			Movement: b.moved("user:u_ada:held", "house:revenue", price)}}
	}
}

func failed(id domain.PredictionID, price domain.Credits) step {
	return func(b *book) []domain.Event {
		b.available, b.held = b.available+price, b.held-price
		return []domain.Event{domain.PredictionFailed{User: ada, Prediction: id, Price: price, Reason: domain.FailedWorker,
			Movement: b.moved("user:u_ada:held", "user:u_ada:available", price)}}
	}
}

func expired(id domain.PredictionID, price domain.Credits) step {
	return func(b *book) []domain.Event {
		b.available, b.held = b.available+price, b.held-price
		return []domain.Event{domain.PredictionExpired{User: ada, Prediction: id, Price: price,
			Movement: b.moved("user:u_ada:held", "user:u_ada:available", price)}}
	}
}

// decision is one line of the rule book: given these facts, when this is asked,
// then these facts follow (none: it decides nothing), or it is refused.
type decision struct {
	name    string
	given   []step
	when    request
	then    []step
	refused domain.Code
}

// request asks the account for a decision.
type request func(domain.Account) ([]domain.Event, error)

// check decides, and compares the refusal or the exact events; these must fold,
// and the decision itself must leave the account as it was.
func (d decision) check(t *testing.T) {
	t.Helper()
	t.Run(d.name, func(t *testing.T) {
		var b book
		account := fold(t, b.write(d.given))
		before := account.Clone()
		got, err := d.when(account)
		if !reflect.DeepEqual(account, before) {
			t.Errorf("the decision changed the account to %+v, from %+v", account, before)
		}
		if refusal := domain.RefusalIn(err); d.refused != "" {
			if refusal == nil || refusal.Code != d.refused || refusal.Detail == "" || len(got) > 0 {
				t.Fatalf("decided %v and %v, want the refusal %s", got, err, d.refused)
			}
			return
		}
		if err != nil {
			t.Fatalf("refused with %v", err)
		}
		want := b.write(d.then)
		if len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("decided\n%+v, want\n%+v", got, want)
		}
		for _, e := range got {
			if err := account.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		if account.Available != b.available || account.Held != b.held {
			t.Errorf("the account has %d and %d held, want %d and %d", account.Available, account.Held, b.available, b.held)
		}
	})
}

// fold replays events into an account that does not exist yet.
func fold(t *testing.T, events []domain.Event) domain.Account {
	t.Helper()
	var a domain.Account
	for _, e := range events {
		if err := a.Apply(e); err != nil {
			t.Fatalf("apply %+v: %v", e, err)
		}
	}
	return a
}
