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
	available, held  domain.Credits // given ones among them
	given, givenHeld domain.Credits
	part             map[domain.PredictionID]domain.Credits // of given credits in what a question holds
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

// leg is a pair of postings.
type leg struct {
	from, to domain.LedgerAccount
	amount   domain.Credits
}

// moved is the movement of these legs, without zero ones, with the balances after it.
func (b *book) moved(legs ...leg) domain.Movement {
	m := domain.Movement{Postings: []domain.Posting{}, Available: b.available, Held: b.held, Given: b.given, GivenHeld: b.givenHeld}
	for _, l := range legs {
		if l.amount != 0 {
			m.Postings = append(m.Postings, domain.Posting{Account: l.from, Amount: -l.amount}, domain.Posting{Account: l.to, Amount: l.amount})
		}
	}
	return m
}

func facts(steps ...step) []step { return steps }

func once(e domain.Event) step { return func(*book) []domain.Event { return []domain.Event{e} } }

var (
	signedUp = once(domain.SignedUp{User: ada, Email: sealed})
	granted  = once(domain.AdminGranted{User: ada})
	revoked  = once(domain.AdminRevoked{User: ada})

	byRoot = domain.Order{Admin: root, Reason: "r"}
	byOlga = domain.Order{By: "olga"}
)

func roleGranted(r domain.Role, by domain.Order) step {
	return once(domain.RoleGranted{User: ada, Role: r, Order: by})
}

func roleRevoked(r domain.Role, by domain.Order) step {
	return once(domain.RoleRevoked{User: ada, Role: r, Order: by})
}

func locked(by domain.Order) step   { return once(domain.AccountLocked{User: ada, Order: by}) }
func unlocked(by domain.Order) step { return once(domain.AccountUnlocked{User: ada, Order: by}) }

func bonus(n domain.Credits) step {
	return func(b *book) []domain.Event {
		b.available, b.given = b.available+n, b.given+n
		return []domain.Event{domain.BonusGranted{User: ada, Amount: n,
			Movement: b.moved(leg{"house:given_bonus", "user:u_ada:given", n})}}
	}
}

func deposited(n domain.Credits) step {
	return func(b *book) []domain.Event {
		b.available += n
		return []domain.Event{domain.Deposited{User: ada, Amount: n, Provider: "sandbox", Payment: "pay_1",
			Movement: b.moved(leg{"house:cash", "user:u_ada:available", n})}}
	}
}

// movedIn is what is moved in, or where both are below zero a later difference of it.
func movedIn(given, bought domain.Credits) step {
	return func(b *book) []domain.Event {
		b.available, b.given = b.available+given+bought, b.given+given
		return []domain.Event{domain.BalanceMovedIn{User: ada, Amount: given + bought, GivenAmount: given, Movement: b.moved(
			leg{"house:given_moved_in", "user:u_ada:given", given}, leg{"house:moved_in", "user:u_ada:available", bought})}}
	}
}

func withdrawn(n domain.Credits) step {
	return func(b *book) []domain.Event {
		b.available -= n
		return []domain.Event{domain.Withdrawn{User: ada, Amount: n, Provider: "sandbox", Payment: "pay_1",
			Movement: b.moved(leg{"user:u_ada:available", "house:cash", n})}}
	}
}

// adjusted gives given credits, and takes given ones first.
func adjusted(n domain.Credits, reason, reference string) step {
	return func(b *book) []domain.Event {
		given := n
		if n < 0 {
			given = max(n, -b.given)
		}
		return adjustedIn(given, n-given, reason, reference)(b)
	}
}

func adjustedIn(given, bought domain.Credits, reason, reference string) step {
	return func(b *book) []domain.Event {
		b.available, b.given = b.available+given+bought, b.given+given
		return []domain.Event{domain.BalanceAdjusted{User: ada, Admin: root, Amount: given + bought, GivenAmount: given,
			Reason: reason, Reference: reference, Movement: b.moved(
				leg{"house:given_adjustments", "user:u_ada:given", given}, leg{"house:adjustments", "user:u_ada:available", bought})}}
	}
}

// requested holds given credits first.
func requested(id domain.PredictionID, price domain.Credits) step {
	return func(b *book) []domain.Event {
		given := min(price, b.given)
		if b.part == nil {
			b.part = map[domain.PredictionID]domain.Credits{}
		}
		b.part[id] = given
		b.available, b.held = b.available-price, b.held+price
		b.given, b.givenHeld = b.given-given, b.givenHeld+given
		return []domain.Event{domain.PredictionRequested{User: ada, Prediction: id, Text: sealed, Price: price,
			Limit: 10, ExpiresAt: noon, Movement: b.moved(
				leg{"user:u_ada:given", "user:u_ada:given_held", given}, leg{"user:u_ada:available", "user:u_ada:held", price - given})}}
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

// confidenceIn is that of an answer in tests: without a film it is not known.
func confidenceIn(movies []domain.Match) int { return min(len(movies), 1) * 957 }

func completed(id domain.PredictionID, price domain.Credits, movies ...domain.Match) step {
	return func(b *book) []domain.Event {
		given := b.part[id]
		b.held, b.givenHeld = b.held-price, b.givenHeld-given
		return []domain.Event{domain.PredictionCompleted{User: ada, Prediction: id, Price: price,
			Movies: append([]domain.Match{}, movies...), Model: "m1", Catalogue: "c1", ProcessingTime: 0.25, Confidence: confidenceIn(movies), Movement: b.moved(
				leg{"user:u_ada:given_held", "house:given_spent", given}, leg{"user:u_ada:held", "house:revenue", price - given})}}
	}
}

// released gives back what was held, to where it was taken from.
func (b *book) released(id domain.PredictionID, price domain.Credits) domain.Movement {
	given := b.part[id]
	b.available, b.held = b.available+price, b.held-price
	b.given, b.givenHeld = b.given+given, b.givenHeld-given
	return b.moved(leg{"user:u_ada:given_held", "user:u_ada:given", given}, leg{"user:u_ada:held", "user:u_ada:available", price - given})
}

func failed(id domain.PredictionID, price domain.Credits) step {
	return func(b *book) []domain.Event {
		return []domain.Event{domain.PredictionFailed{User: ada, Prediction: id, Price: price, Reason: domain.FailedWorker,
			Movement: b.released(id, price)}}
	}
}

// refunded gives back what was captured, to where it was taken from; number counts the
// refunds of the month, of which there are three at most.
func refunded(id domain.PredictionID, price domain.Credits, number int) step {
	return func(b *book) []domain.Event {
		given := b.part[id]
		b.available, b.given = b.available+price, b.given+given
		return []domain.Event{domain.PredictionRefunded{User: ada, Prediction: id, Price: price, Reason: domain.NoneOfThese, Number: number, RefundPolicy: policy,
			Movement: b.moved(leg{"house:given_spent", "user:u_ada:given", given}, leg{"house:revenue", "user:u_ada:available", price - given})}}
	}
}

var (
	policy   = domain.RefundPolicy{PerMonth: 3}
	refining = domain.RefinePolicy{Refinements: 3, Within: 3600}
)

// refined is the request of a follow-up.
func refined(id, of domain.PredictionID, number int, excluded ...string) step {
	return func(b *book) []domain.Event {
		return []domain.Event{domain.PredictionRequested{User: ada, Prediction: id, Text: sealed, Limit: 10, ExpiresAt: noon,
			FollowUp: &domain.FollowUp{Of: of, Number: number, Excluded: excluded, RefinePolicy: refining}, Movement: b.moved()}}
	}
}

func confirmed(id domain.PredictionID) step {
	return once(domain.PredictionConfirmed{User: ada, Prediction: id, Movie: "m_1"})
}

func expired(id domain.PredictionID, price domain.Credits) step {
	return func(b *book) []domain.Event {
		return []domain.Event{domain.PredictionExpired{User: ada, Prediction: id, Price: price, Movement: b.released(id, price)}}
	}
}

// oldBonus gave credits that can be withdrawn, and undivided turns a fact into version
// 1, from before given credits.
func oldBonus(n domain.Credits) step {
	return func(b *book) []domain.Event {
		b.available += n
		return []domain.Event{domain.BonusGranted{User: ada, Amount: n, Movement: b.moved(leg{"house:bonus", "user:u_ada:available", n})}}
	}
}

func undivided(fact step) step {
	return func(b *book) []domain.Event {
		return []domain.Event{withMovement(fact(b)[0], func(m *domain.Movement) { m.Undivided = true })}
	}
}

// boughtFirst makes postings lead through the book of bought credits.
func boughtFirst(fact step) step {
	return func(b *book) []domain.Event {
		return []domain.Event{withMovement(fact(b)[0], func(m *domain.Movement) {
			for i, p := range m.Postings {
				m.Postings[i].Account = map[domain.LedgerAccount]domain.LedgerAccount{
					domain.GivenOf(ada): domain.AvailableOf(ada), domain.GivenHeldOf(ada): domain.HeldOf(ada),
					domain.HouseGivenSpent: domain.HouseRevenue}[p.Account]
			}
			m.Given, m.GivenHeld = m.Given+m.GivenHeld, 0
		})}
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
			if err := account.Apply(e, noon); err != nil {
				t.Fatal(err)
			}
		}
		if account.Available != b.available || account.Held != b.held || account.Given != b.given || account.GivenHeld != b.givenHeld {
			t.Errorf("the account is %+v, want %+v", account, b)
		}
	})
}

// fold replays events into an account that does not exist yet.
func fold(t *testing.T, events []domain.Event) domain.Account {
	t.Helper()
	var a domain.Account
	for _, e := range events {
		if err := a.Apply(e, noon); err != nil {
			t.Fatalf("apply %+v: %v", e, err)
		}
	}
	return a
}
