package domain_test

import (
	"testing"
	"time"

	"kassa/domain"
)

// toErase is due at noon, and pays bought credits out; kept cancels it.
var (
	toErase = once(domain.ErasureRequested{User: ada, Bought: domain.WithdrawCredits, DueAt: noon})
	kept    = once(domain.ErasureCancelled{User: ada})

	keptByRoot = once(domain.ErasureCancelled{User: ada, Admin: root, Reason: "letter 7"})
	erased     = once(domain.PersonalDataErased{User: ada})
)

// toForfeit leaves bought credits to the house.
var toForfeit = once(domain.ErasureRequested{User: ada, Bought: domain.ForfeitCredits, DueAt: noon})

// forfeited takes all that is available.
func forfeited(b *book) []domain.Event {
	given, bought := b.given, b.available-b.given
	b.available, b.given = 0, 0
	return []domain.Event{domain.CreditsForfeited{User: ada, Amount: given + bought, GivenAmount: given, Movement: b.moved(
		leg{"user:u_ada:given", "house:given_forfeited", given}, leg{"user:u_ada:available", "house:forfeited", bought})}}
}

func TestRequestErasure(t *testing.T) {
	ask := func(o domain.ErasureOrder) request {
		return func(a domain.Account) ([]domain.Event, error) { return a.RequestErasure(o) }
	}
	due := func(at time.Time) domain.ErasureOrder {
		return domain.ErasureOrder{Bought: domain.WithdrawCredits, DueAt: at}
	}
	admin := &domain.Account{User: root, Admin: true}
	for _, d := range []decision{
		{name: "by the person", given: facts(signedUp), when: ask(due(noon)), then: facts(toErase)},
		{name: "to leave the credits", given: facts(signedUp), when: ask(domain.ErasureOrder{Bought: domain.ForfeitCredits, DueAt: noon}), then: facts(toForfeit)},
		{name: "in the time of the log", given: facts(signedUp), when: ask(due(noon.In(time.FixedZone("", 3600)))), then: facts(toErase)},
		{name: "by an admin, with a reason", given: facts(signedUp), when: ask(domain.ErasureOrder{Admin: admin, Reason: "letter 7", Bought: domain.WithdrawCredits, DueAt: noon}),
			then: facts(once(domain.ErasureRequested{User: ada, Admin: root, Reason: "letter 7", Bought: domain.WithdrawCredits, DueAt: noon}))},
		{name: "by the operator, with a reason", given: facts(signedUp), when: ask(domain.ErasureOrder{Reason: "letter 8", Bought: domain.WithdrawCredits, DueAt: noon}),
			then: facts(once(domain.ErasureRequested{User: ada, Reason: "letter 8", Bought: domain.WithdrawCredits, DueAt: noon}))},
		{name: "sooner", given: facts(signedUp, toErase), when: ask(due(noon.Add(-time.Hour))),
			then: facts(once(domain.ErasureRequested{User: ada, Bought: domain.WithdrawCredits, DueAt: noon.Add(-time.Hour)}))},
		{name: "again", given: facts(signedUp, toErase), when: ask(due(noon)), refused: domain.ErasurePending},
		{name: "later", given: facts(signedUp, toErase), when: ask(due(noon.Add(time.Hour))), refused: domain.ErasurePending},
		{name: "without a choice", given: facts(signedUp), when: ask(domain.ErasureOrder{DueAt: noon}), refused: domain.InvalidCredits},
		{name: "by an admin without a reason", given: facts(signedUp), when: ask(domain.ErasureOrder{Admin: admin, Bought: domain.WithdrawCredits, DueAt: noon}), refused: domain.InvalidReason},
		{name: "by no admin", given: facts(signedUp), when: ask(domain.ErasureOrder{Admin: &domain.Account{User: root}, Reason: "letter", Bought: domain.WithdrawCredits, DueAt: noon}), refused: domain.NotAdmin},
		{name: "by an admin of their own account", given: facts(signedUp, granted), when: ask(domain.ErasureOrder{Admin: &domain.Account{User: ada, Admin: true}, Reason: "letter", Bought: domain.WithdrawCredits, DueAt: noon}), refused: domain.OwnErasure},
		{name: "of nobody", when: ask(due(noon)), refused: domain.AccountNotFound},
		{name: "of a person who is erased", given: facts(signedUp, toErase, erased), when: ask(due(noon)), refused: domain.AccountNotFound},
		{name: "no admin learns who exists", when: ask(domain.ErasureOrder{Admin: &domain.Account{User: root}, Reason: "letter", Bought: domain.WithdrawCredits, DueAt: noon}), refused: domain.NotAdmin},
	} {
		d.check(t)
	}
}

func cancelBy(admin domain.Account, reason string) func(domain.Account) ([]domain.Event, error) {
	return func(a domain.Account) ([]domain.Event, error) { return a.CancelErasureBy(admin, reason) }
}

func TestCancelErasure(t *testing.T) {
	for _, d := range []decision{
		{name: "in time", given: facts(signedUp, toErase), when: domain.Account.CancelErasure, then: facts(kept)},
		{name: "of none", given: facts(signedUp), when: domain.Account.CancelErasure, refused: domain.NoErasure},
		{name: "twice", given: facts(signedUp, toErase, kept), when: domain.Account.CancelErasure, refused: domain.NoErasure},
		{name: "too late", given: facts(signedUp, toErase, erased), when: domain.Account.CancelErasure, refused: domain.AccountNotFound},
		{name: "by an admin", given: facts(signedUp, toErase), when: cancelBy(domain.Account{User: root, Admin: true}, "letter 7"), then: facts(keptByRoot)},
		{name: "by an admin who is locked", given: facts(signedUp, toErase), when: cancelBy(domain.Account{User: root, Admin: true, Locked: true}, "letter 7"), refused: domain.NotAdmin},
		{name: "by somebody else", given: facts(signedUp, toErase), when: cancelBy(domain.Account{User: root}, "letter 7"), refused: domain.NotAdmin},
		{name: "without a reason", given: facts(signedUp, toErase), when: cancelBy(domain.Account{User: root, Admin: true}, ""), refused: domain.InvalidReason},
		{name: "by an admin, of their own", given: facts(signedUp, granted, toErase), when: cancelBy(domain.Account{User: ada, Admin: true}, "letter 7"), refused: domain.OwnErasure},
		{name: "by an admin, of none", given: facts(signedUp), when: cancelBy(domain.Account{User: root, Admin: true}, "letter 7"), refused: domain.NoErasure},
	} {
		d.check(t)
	}
}

func TestErase(t *testing.T) {
	at := func(now time.Time) request {
		return func(a domain.Account) ([]domain.Event, error) { return a.Erase(now) }
	}
	for _, d := range []decision{
		{name: "an empty wallet", given: facts(signedUp, toErase), when: at(noon), then: facts(erased)},
		{name: "given credits are forfeited", given: facts(signedUp, bonus(10), toErase), when: at(noon), then: facts(forfeited, erased)},
		{name: "bought ones too, by choice", given: facts(signedUp, bonus(10), deposited(30), toForfeit), when: at(noon), then: facts(forfeited, erased)},
		{name: "bought ones alone", given: facts(signedUp, deposited(domain.MaxBalance), toForfeit), when: at(noon), then: facts(forfeited, erased)},
		{name: "not before they are paid out", given: facts(signedUp, bonus(10), deposited(30), toErase), when: at(noon)},
		{name: "after they were paid out", given: facts(signedUp, bonus(10), deposited(30), toErase, withdrawn(30)), when: at(noon), then: facts(forfeited, erased)},
		{name: "not while a question is open", given: facts(signedUp, bonus(10), requested("p_1", 5), toErase), when: at(noon)},
		{name: "not before it is due", given: facts(signedUp, toErase), when: at(noon.Add(-1))},
		{name: "not after it was cancelled", given: facts(signedUp, toErase, kept), when: at(noon)},
		{name: "not without a request", given: facts(signedUp), when: at(noon)},
		{name: "once", given: facts(signedUp, toErase, erased), when: at(noon)},
	} {
		d.check(t)
	}
}

func TestErasurePayout(t *testing.T) {
	for _, tt := range []struct {
		given []step
		now   time.Time
		want  domain.Credits
	}{
		{facts(signedUp, bonus(10), deposited(30), toErase), noon, 30},
		{facts(signedUp, bonus(10), deposited(30), toErase), noon.Add(-1), 0},
		{facts(signedUp, bonus(10), deposited(30), toForfeit), noon, 0},
		{facts(signedUp, deposited(domain.MaxAmount+7), toErase), noon, domain.MaxAmount},
		{facts(signedUp, deposited(domain.MaxAmount+7), toErase, withdrawn(domain.MaxAmount)), noon, 7},
		{facts(signedUp, deposited(30)), noon, 0},
	} {
		a := fold(t, new(book).write(tt.given))
		if got := a.ErasurePayout(tt.now); got != tt.want {
			t.Errorf("%+v pays %d out, want %d", a, got, tt.want)
		}
	}
}

// What is to be erased takes nothing new, and gives back what it has.
func TestAnAccountThatIsToBeErased(t *testing.T) {
	pending := facts(signedUp, deposited(30), requested("p_1", 5), completed("p_1", 5), requested("p_2", 5), toErase)
	for _, d := range []decision{
		{name: "a deposit", given: pending, when: func(a domain.Account) ([]domain.Event, error) { return a.Deposit(1, "sandbox", "pay_1") }, refused: domain.ErasurePending},
		{name: "a question", given: pending, when: func(a domain.Account) ([]domain.Event, error) {
			return a.RequestPrediction(domain.Question{Prediction: "p_3", Text: sealed, Price: 5, Limit: 10, ExpiresAt: noon})
		}, refused: domain.ErasurePending},
		{name: "a withdrawal", given: pending, when: func(a domain.Account) ([]domain.Event, error) { return a.Withdraw(12, "sandbox", "pay_1") }, then: facts(withdrawn(12))},
		{name: "an answer", given: pending, when: func(a domain.Account) ([]domain.Event, error) {
			return a.Complete("p_2", domain.Answer{Model: "m1", Catalogue: "c1", ProcessingTime: 0.25})
		}, then: facts(completed("p_2", 5))},
		{name: "a refund", given: pending, when: func(a domain.Account) ([]domain.Event, error) { return a.Refund("p_1", policy, noon) }, then: facts(refunded("p_1", 5, 1))},
		{name: "a deposit after it was cancelled", given: append(pending, kept), when: func(a domain.Account) ([]domain.Event, error) { return a.Deposit(1, "sandbox", "pay_1") }, then: facts(deposited(1))},
	} {
		d.check(t)
	}
}

// Nothing follows an erasure: neither a decision nor a fact.
func TestNothingFollowsAnErasure(t *testing.T) {
	gone := facts(signedUp, toErase, erased)
	for _, tt := range every {
		var b book
		b.write(gone)
		checkBroken(t, gone, once(tt.fact(&b)[0]))
	}
	for name, when := range map[string]request{
		"a deposit":    func(a domain.Account) ([]domain.Event, error) { return a.Deposit(1, "sandbox", "pay_1") },
		"a withdrawal": func(a domain.Account) ([]domain.Event, error) { return a.Withdraw(1, "sandbox", "pay_1") },
		"an adjustment": func(a domain.Account) ([]domain.Event, error) {
			return a.Adjust(domain.Account{User: root, Admin: true}, domain.Correction{Amount: 1, Reason: "why"})
		},
		"a role":   grantedBy(domain.AdminRole, operator),
		"its end":  revokedBy(domain.AdminRole, operator),
		"a lock":   lockedBy(operator),
		"its key":  unlockedBy(operator),
		"a refund": func(a domain.Account) ([]domain.Event, error) { return a.Refund("p_1", policy, noon) },
	} {
		decision{name: name, given: gone, when: when, refused: domain.AccountNotFound}.check(t)
	}
}

func TestApplyRefusesBrokenErasures(t *testing.T) {
	for _, tt := range []struct {
		name  string
		given []step
		fact  step
	}{
		{"cancelled without a request", facts(signedUp), kept},
		{"erased without a request", facts(signedUp), erased},
		{"erased after it was cancelled", facts(signedUp, toErase, kept), erased},
		{"erased with credits", facts(signedUp, bonus(1), toErase), erased},
		{"erased with an open question", facts(signedUp, bonus(5), requested("p_1", 5), toErase), erased},
		{"forfeited without a request", facts(signedUp, bonus(1)), forfeited},
		{"forfeited in part", facts(signedUp, bonus(3), toErase), func(b *book) []domain.Event {
			b.available, b.given = 1, 1
			return []domain.Event{domain.CreditsForfeited{User: ada, Amount: 2, GivenAmount: 2, Movement: b.moved(leg{"user:u_ada:given", "house:given_forfeited", 2})}}
		}},
		{"forfeited, and counted in the other book", facts(signedUp, bonus(3), deposited(4), toErase), func(b *book) []domain.Event {
			e := forfeited(b)[0].(domain.CreditsForfeited)
			e.GivenAmount = 4
			return []domain.Event{e}
		}},
		{"forfeited of nothing", facts(signedUp, toErase), forfeited},
		{"requested without a choice", facts(signedUp), once(domain.ErasureRequested{User: ada, DueAt: noon})},
		{"requested without a time", facts(signedUp), once(domain.ErasureRequested{User: ada, Bought: domain.WithdrawCredits})},
	} {
		t.Run(tt.name, func(t *testing.T) { checkBroken(t, tt.given, tt.fact) })
	}
}
