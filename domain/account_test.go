package domain_test

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"kassa/domain"
)

// every is a good fact of each type that an account's stream holds, behind the
// facts that it needs.
var every = []struct {
	given []step
	fact  step
}{
	{nil, signedUp},
	{facts(signedUp), bonus(10)},
	{facts(signedUp), deposited(30)},
	{facts(signedUp, deposited(30)), withdrawn(12)},
	{facts(signedUp, deposited(30)), requested("p_1", 5)},
	{facts(signedUp, deposited(30), requested("p_1", 5)), completed("p_1", 5, domain.Match{MovieID: "m_1", Score: 0.5})},
	{facts(signedUp, deposited(30), requested("p_1", 5)), failed("p_1", 5)},
	{facts(signedUp, deposited(30), requested("p_1", 5)), expired("p_1", 5)},
	{facts(signedUp, deposited(30)), adjusted(5, "sorry", "T-1")},
	{facts(signedUp, deposited(30)), adjusted(-5, "paid twice", "T-2")},
	{facts(signedUp, bonus(3), deposited(30)), requested("p_1", 5)},
	{facts(signedUp, bonus(3), deposited(30), requested("p_1", 5)), completed("p_1", 5)},
	{facts(signedUp, bonus(3), deposited(30), requested("p_1", 5)), failed("p_1", 5)},
	{facts(signedUp, bonus(3), deposited(30), requested("p_1", 5)), expired("p_1", 5)},
	{facts(signedUp, bonus(3), deposited(30)), adjusted(-5, "paid twice", "T-2")},
	{facts(signedUp), adjustedIn(0, 5, "paid and not booked", "T-3")},
	{facts(signedUp, bonus(3), deposited(30), requested("p_1", 5), completed("p_1", 5)), refunded("p_1", 5, 1)},
	{facts(signedUp), movedIn(3, 30)},
	{facts(signedUp, movedIn(3, 30)), movedIn(-3, -5)},
	{facts(signedUp, deposited(30), requested("p_1", 5), completed("p_1", 5)), confirmed("p_1")},
	{facts(signedUp), granted},
	{facts(signedUp, granted), revoked},
	{facts(signedUp), roleGranted(domain.AuditorRole, byRoot)},
	{facts(signedUp, granted), roleRevoked(domain.AdminRole, byRoot)},
	{facts(signedUp), locked(byRoot)},
	{facts(signedUp, locked(byRoot)), unlocked(byOlga)},
	{facts(signedUp), toErase},
	{facts(signedUp, toErase), kept},
	{facts(signedUp, toErase), keptByRoot},
	{facts(signedUp, bonus(3), deposited(30), toErase), forfeited},
	{facts(signedUp, toErase), erased},
}

func TestApplyFolds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		given []step
		want  domain.Account
	}{
		{"nothing: no account", nil, domain.Account{}},
		{"a sign-up", facts(signedUp), domain.Account{User: ada}},
		{"money in and out", facts(signedUp, bonus(10), deposited(30), withdrawn(12), adjusted(-3, "r", ""), adjusted(1, "r", "")),
			domain.Account{User: ada, Available: 26, Given: 8}},
		{"open questions, in the order in which they were asked", facts(signedUp, bonus(10), requested("p_2", 3), requested("p_1", 4)),
			domain.Account{User: ada, Available: 3, Held: 7, Given: 3, GivenHeld: 7, Holds: []domain.Hold{
				{Prediction: "p_2", Price: 3, Given: 3, ExpiresAt: noon}, {Prediction: "p_1", Price: 4, Given: 4, ExpiresAt: noon}}}},
		{"given credits are held first", facts(signedUp, bonus(5), deposited(30), requested("p_1", 3), requested("p_2", 3), requested("p_3", 3)),
			domain.Account{User: ada, Available: 26, Held: 9, GivenHeld: 5, Holds: []domain.Hold{
				{Prediction: "p_1", Price: 3, Given: 3, ExpiresAt: noon}, {Prediction: "p_2", Price: 3, Given: 2, ExpiresAt: noon}, {Prediction: "p_3", Price: 3, ExpiresAt: noon}}}},
		{"they go back to where they were taken from", facts(signedUp, bonus(5), deposited(30), requested("p_1", 3), requested("p_2", 3), failed("p_2", 3), completed("p_1", 3)),
			domain.Account{User: ada, Available: 32, Given: 2, Holds: []domain.Hold{},
				Captured: []domain.Captured{{Prediction: "p_1", Price: 3, Given: 3, At: noon}}}},
		{"an answered question", facts(signedUp, bonus(10), requested("p_1", 3), requested("p_2", 4), completed("p_1", 3)),
			domain.Account{User: ada, Available: 3, Held: 4, Given: 3, GivenHeld: 4, Holds: []domain.Hold{{Prediction: "p_2", Price: 4, Given: 4, ExpiresAt: noon}},
				Captured: []domain.Captured{{Prediction: "p_1", Price: 3, Given: 3, At: noon}}}},
		{"a refunded answer", facts(signedUp, bonus(2), deposited(10), requested("p_1", 3), completed("p_1", 3), refunded("p_1", 3, 1)),
			domain.Account{User: ada, Available: 12, Given: 2, Holds: []domain.Hold{}, Refunds: domain.Refunds{Month: "2026-03", Count: 1},
				Captured: []domain.Captured{{Prediction: "p_1", Price: 3, Given: 2, At: noon, Refunded: true}}}},
		{"a failed and an expired one", facts(signedUp, bonus(10), requested("p_1", 3), requested("p_2", 4), failed("p_2", 4), expired("p_1", 3)),
			domain.Account{User: ada, Available: 10, Given: 10, Holds: []domain.Hold{}}},
		{"an admin", facts(signedUp, granted), domain.Account{User: ada, Admin: true}},
		{"one no more", facts(signedUp, granted, revoked), domain.Account{User: ada}},
		{"the roles are apart", facts(signedUp, roleGranted(domain.AdminRole, byOlga), roleGranted(domain.AuditorRole, byRoot), roleRevoked(domain.AdminRole, byRoot)),
			domain.Account{User: ada, Auditor: true}},
		{"a right of before there were two roles is ended like one of today", facts(signedUp, granted, roleRevoked(domain.AdminRole, byRoot)), domain.Account{User: ada}},
		{"an admin who is locked is one again afterwards", facts(signedUp, granted, locked(byRoot)), domain.Account{User: ada, Admin: true, Locked: true}},
		{"unlocked", facts(signedUp, granted, locked(byRoot), unlocked(byOlga)), domain.Account{User: ada, Admin: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := fold(t, new(book).write(tt.given))
			if tt.want.JoinedAt = noon; tt.want.User == "" {
				tt.want.JoinedAt = time.Time{}
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("folds to %+v, want %+v", got, tt.want)
			}
			if got.Exists() != (tt.want.User != "") {
				t.Errorf("exists: %v", got.Exists())
			}
		})
	}
}

// foreign is a fact that no account knows.
type foreign struct{}

func (foreign) Type() domain.EventType { return "Foreign" }
func (foreign) Subject() domain.UserID { return ada }

func TestApplyRefusesBrokenFacts(t *testing.T) {
	held := facts(signedUp, deposited(30), requested("p_1", 5))
	for _, tt := range []struct {
		name  string
		given []step
		fact  step
	}{
		{"a second sign-up", facts(signedUp), signedUp},
		{"a sign-up without a user", nil, once(domain.SignedUp{Email: sealed})},
		{"a sign-up of another", facts(signedUp), once(domain.SignedUp{User: root, Email: sealed})},
		{"an e-mail's claim", facts(signedUp), once(domain.EmailClaimed{User: ada})},
		{"a payment's claim", facts(signedUp), once(domain.PaymentClaimed{User: ada})},
		{"an event that no account knows", facts(signedUp), once(foreign{})},
		{"a right given to another", facts(signedUp), once(domain.AdminGranted{User: root})},
		{"a right taken from another", facts(signedUp, granted), once(domain.AdminRevoked{User: root})},

		{"a role given to another", facts(signedUp), once(domain.RoleGranted{User: root, Role: domain.AuditorRole})},
		{"a role that nobody knows", facts(signedUp), roleGranted("owner", byRoot)},
		{"the end of a role that nobody knows", facts(signedUp), roleRevoked("", byRoot)},
		{"a lock of another", facts(signedUp), once(domain.AccountLocked{User: root})},

		{"a hold that is open already", held, requested("p_1", 5)},
		{"an answer without a hold", held, completed("p_2", 5)},
		{"a failure without a hold", held, failed("p_2", 5)},
		{"an expiry without a hold", held, expired("p_2", 5)},
		{"an answer after the answer", facts(held[0], held[1], held[2], completed("p_1", 5)), completed("p_1", 5)},
		{"an expiry after the answer", facts(held[0], held[1], held[2], completed("p_1", 5)), expired("p_1", 5)},
		{"an answer after the expiry", facts(held[0], held[1], held[2], expired("p_1", 5)), completed("p_1", 5)},
		{"a failure after a failure", facts(held[0], held[1], held[2], failed("p_1", 5)), failed("p_1", 5)},
		{"a refund of an open question", held, refunded("p_1", 5, 1)},
		{"a refund of what was never asked", held, refunded("p_2", 5, 1)},
		{"a refund of a failed question", facts(held[0], held[1], held[2], failed("p_1", 5)), refunded("p_1", 5, 1)},
		{"a refund of an expired question", facts(held[0], held[1], held[2], expired("p_1", 5)), refunded("p_1", 5, 1)},
		{"a second refund", facts(held[0], held[1], held[2], completed("p_1", 5), refunded("p_1", 5, 1)), refunded("p_1", 5, 2)},
		{"a refund for another price", facts(held[0], held[1], held[2], completed("p_1", 5)), refunded("p_1", 6, 1)},
		{"a refund that is counted wrong", facts(held[0], held[1], held[2], completed("p_1", 5)), refunded("p_1", 5, 2)},
		{"an answer after a refund", facts(held[0], held[1], held[2], completed("p_1", 5), refunded("p_1", 5, 1)), completed("p_1", 5)},
		{"a refund of given credits as if they were bought", facts(signedUp, bonus(10), requested("p_1", 5), completed("p_1", 5)), boughtFirst(refunded("p_1", 5, 1))},
		{"an answer for another price", held, completed("p_1", 4)},
		{"a failure for another price", held, failed("p_1", 4)},
		{"an expiry for another price", held, expired("p_1", 4)},
		{"an answer for another hold's price", facts(held[0], held[1], held[2], requested("p_2", 7)), completed("p_1", 7)},

		{"a withdrawal of more than there is", facts(signedUp, deposited(30)), withdrawn(31)},
		{"a withdrawal of what is held", held, withdrawn(30)},
		{"a withdrawal of what was given", facts(signedUp, bonus(10), deposited(30)), withdrawn(31)},
		{"an adjustment below zero", facts(signedUp, deposited(30)), adjusted(-31, "r", "")},
		{"an adjustment that takes more than was given", facts(signedUp, bonus(10), deposited(30)), adjustedIn(-11, 0, "r", "")},
		{"an adjustment that takes more than was bought", facts(signedUp, bonus(10), deposited(30)), adjustedIn(0, -31, "r", "")},
		{"an adjustment of two directions", facts(signedUp, bonus(10), deposited(30)), adjustedIn(5, -3, "r", "")},
		{"an adjustment of two directions that come to nothing", facts(signedUp, bonus(10), deposited(30)), adjustedIn(-5, 5, "r", "")},
		{"a hold of bought credits before the given ones", facts(signedUp, bonus(10), deposited(30)), boughtFirst(requested("p_1", 5))},
		{"a hold of given credits that ends in the other book", facts(signedUp, bonus(10), requested("p_1", 5)), boughtFirst(failed("p_1", 5))},
		{"an old bonus after given credits", facts(signedUp, bonus(10)), undivided(oldBonus(10))},
		{"an old deposit after given credits", facts(signedUp, bonus(10)), undivided(deposited(10))},
		{"an old deposit while given credits are held", facts(signedUp, bonus(5), requested("p_1", 5)), undivided(deposited(10))},
		{"a bonus into the book of bought credits", facts(signedUp), oldBonus(10)},
		{"a hold of more than there is", facts(signedUp, deposited(30)), requested("p_1", 31)},
		{"a bonus of nothing", facts(signedUp), bonus(0)},
		{"an adjustment by nothing", facts(signedUp), adjusted(0, "r", "")},
		{"a bonus that takes", facts(signedUp, deposited(30)), bonus(-1)},
		{"a deposit that takes", facts(signedUp, deposited(30)), deposited(-1)},
		{"a withdrawal that gives", facts(signedUp, deposited(30)), withdrawn(-1)},
		{"a hold that gives", held, requested("p_2", -1)},
		{"one credit over the balance limit", facts(signedUp), deposited(domain.MaxBalance + 1)},
		{"one credit over it with what is held", held, deposited(domain.MaxBalance - 29)},
		{"a sum that overflows", facts(signedUp, deposited(30)), deposited(math.MaxInt64)},
		{"an amount that is its own negative", facts(signedUp, deposited(30)), deposited(math.MinInt64)},
	} {
		t.Run(tt.name, func(t *testing.T) { checkBroken(t, tt.given, tt.fact) })
	}
}

// The balance limit itself is not broken.
func TestApplyTakesTheBalanceLimit(t *testing.T) {
	a := fold(t, new(book).write(facts(signedUp, deposited(30), requested("p_1", 5), deposited(domain.MaxBalance-30))))
	if a.Available+a.Held != domain.MaxBalance {
		t.Errorf("holds %d, want %d", a.Available+a.Held, domain.MaxBalance)
	}
}

func checkBroken(t *testing.T, given []step, fact step) {
	t.Helper()
	var b book
	a := fold(t, b.write(given))
	for _, e := range fact(&b) {
		err := a.Apply(e, noon)
		if !errors.Is(err, domain.ErrBroken) {
			t.Errorf("%+v gives %v, want ErrBroken", e, err)
		}
		if domain.RefusalIn(err) != nil {
			t.Errorf("a broken fact is no refusal: %v", err)
		}
	}
}

func TestApplyRefusesEveryFactWithoutAnAccount(t *testing.T) {
	for _, tt := range every[1:] {
		var b book
		b.write(tt.given)
		e := tt.fact(&b)[0]
		t.Run(string(e.Type()), func(t *testing.T) { checkBroken(t, nil, once(e)) })
	}
}

// Whatever the type, a movement that is not the one of its amount is refused.
func TestApplyRefusesEveryWrongMovement(t *testing.T) {
	type movement = domain.Movement
	posting := func(i int, change func(*domain.Posting)) func(*movement) {
		return func(m *movement) { change(&m.Postings[i]) }
	}
	for name, change := range map[string]func(*movement){
		"no postings":            func(m *movement) { m.Postings = nil },
		"half of it":             func(m *movement) { m.Postings = m.Postings[:1] },
		"another pair beside it": func(m *movement) { m.Postings = append(m.Postings, m.Postings...) },
		"a posting of nothing":   func(m *movement) { m.Postings = append(m.Postings, domain.Posting{Account: domain.HouseCash}) },
		"in another order":       func(m *movement) { m.Postings[0], m.Postings[1] = m.Postings[1], m.Postings[0] },
		"a sum that is not zero": posting(0, func(p *domain.Posting) { p.Amount++ }),
		"the other way round": func(m *movement) {
			m.Postings[0].Amount, m.Postings[1].Amount = m.Postings[1].Amount, m.Postings[0].Amount
		},
		"twice the amount":              func(m *movement) { m.Postings[0].Amount *= 2; m.Postings[1].Amount *= 2 },
		"from another account":          posting(0, func(p *domain.Posting) { p.Account = "house:other" }),
		"to another person":             posting(1, func(p *domain.Posting) { p.Account = domain.AvailableOf(root) }),
		"a credit too much available":   func(m *movement) { m.Available++ },
		"a credit too little available": func(m *movement) { m.Available-- },
		"a credit too much held":        func(m *movement) { m.Held++ },
		"a credit too little held":      func(m *movement) { m.Held-- },
		"held counted as available":     func(m *movement) { m.Held++; m.Available-- },
		"a credit too much given":       func(m *movement) { m.Given++ },
		"a credit too little given":     func(m *movement) { m.Given-- },
		"a credit too much given held":  func(m *movement) { m.GivenHeld++ },
	} {
		for _, tt := range every {
			wrong := func(b *book) []domain.Event {
				e := tt.fact(b)[0]
				return []domain.Event{withMovement(e, change)}
			}
			e := tt.fact(new(book))[0]
			if _, moves := e.(domain.MoneyEvent); moves {
				t.Run(string(e.Type())+" "+name, func(t *testing.T) { checkBroken(t, tt.given, wrong) })
			}
		}
	}
}

// A fact about another user is refused in the stream, even if it is valid in itself and
// changes nothing here.
func TestApplyRefusesFactsOfAnother(t *testing.T) {
	a := fold(t, new(book).write(facts(signedUp)))
	for _, e := range []domain.Event{
		domain.Deposited{User: root, Amount: 30, Provider: "sandbox", Payment: "pay_1", Movement: domain.Movement{
			Postings: []domain.Posting{{Account: domain.HouseCash, Amount: -30}, {Account: domain.AvailableOf(root), Amount: 30}}}},
		domain.PredictionRequested{User: root, Prediction: "p_1", Text: sealed, Price: 5, Limit: 10, ExpiresAt: noon, Movement: domain.Movement{
			Postings: []domain.Posting{{Account: domain.AvailableOf(root), Amount: -5}, {Account: domain.HeldOf(root), Amount: 5}}}},
	} {
		if err := a.Apply(e, noon); !errors.Is(err, domain.ErrBroken) {
			t.Errorf("%+v gives %v, want ErrBroken", e, err)
		}
	}
	for _, tt := range every {
		if e := tt.fact(new(book))[0]; e.Subject() != ada {
			t.Errorf("%s is about %q, want %q", e.Type(), e.Subject(), ada)
		}
	}
}

// withMovement is the event with its movement changed; one without stays as it is.
func withMovement(e domain.Event, change func(*domain.Movement)) domain.Event {
	switch e := e.(type) {
	case domain.BonusGranted:
		change(&e.Movement)
		return e
	case domain.Deposited:
		change(&e.Movement)
		return e
	case domain.Withdrawn:
		change(&e.Movement)
		return e
	case domain.PredictionRequested:
		change(&e.Movement)
		return e
	case domain.PredictionCompleted:
		change(&e.Movement)
		return e
	case domain.PredictionFailed:
		change(&e.Movement)
		return e
	case domain.PredictionExpired:
		change(&e.Movement)
		return e
	case domain.PredictionRefunded:
		change(&e.Movement)
		return e
	case domain.BalanceAdjusted:
		change(&e.Movement)
		return e
	case domain.BalanceMovedIn:
		change(&e.Movement)
		return e
	case domain.CreditsForfeited:
		change(&e.Movement)
		return e
	}
	return e
}

// A follow-up moves nothing, and says the balances all the same.
func TestApplyRefusesWrongMovementsOfFollowUps(t *testing.T) {
	paid := facts(signedUp, deposited(30), requested("p_1", 5), completed("p_1", 5))
	asked := append(slices.Clone(paid), refined("p_2", "p_1", 1))
	for name, change := range map[string]func(*domain.Movement){
		"a posting": func(m *domain.Movement) { m.Postings = []domain.Posting{{Account: domain.AvailableOf(ada), Amount: 1}} },
		"a pair of postings": func(m *domain.Movement) {
			m.Postings = []domain.Posting{{Account: domain.HouseRevenue, Amount: -5}, {Account: domain.AvailableOf(ada), Amount: 5}}
		},
		"a credit too much":        func(m *domain.Movement) { m.Available++ },
		"a credit too much held":   func(m *domain.Movement) { m.Held++ },
		"a credit too much given":  func(m *domain.Movement) { m.Given++ },
		"a credit less in the end": func(m *domain.Movement) { m.Available-- },
	} {
		for _, tt := range []struct {
			given []step
			fact  step
		}{{paid, refined("p_2", "p_1", 1)}, {asked, completed("p_2", 0)}, {asked, failed("p_2", 0)}, {asked, expired("p_2", 0)}} {
			t.Run(name, func(t *testing.T) {
				checkBroken(t, tt.given, func(b *book) []domain.Event { return []domain.Event{withMovement(tt.fact(b)[0], change)} })
			})
		}
	}
}

func TestClone(t *testing.T) {
	a := fold(t, new(book).write(facts(signedUp, deposited(30), requested("p_1", 5), requested("p_2", 7), granted)))
	c := a.Clone()
	if !reflect.DeepEqual(a, c) {
		t.Fatalf("the clone is %+v, want %+v", c, a)
	}
	c.Holds[0].Price = 99
	c.Holds = append(c.Holds[:1], domain.Hold{Prediction: "p_3", Price: 1})
	c.Available, c.Admin = 0, false
	want := domain.Account{User: ada, Admin: true, Available: 18, Held: 12, Holds: []domain.Hold{
		{Prediction: "p_1", Price: 5, ExpiresAt: noon}, {Prediction: "p_2", Price: 7, ExpiresAt: noon}}, JoinedAt: noon}
	if !reflect.DeepEqual(a, want) {
		t.Errorf("a change of the clone made the first %+v, want %+v", a, want)
	}
}
