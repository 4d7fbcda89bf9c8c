package domain_test

import (
	"math"
	"strings"
	"testing"

	"kassa/domain"
)

func signUp(bonus domain.Credits) request {
	return func(a domain.Account) ([]domain.Event, error) { return a.SignUp(ada, sealed, bonus) }
}

func deposit(n domain.Credits) request {
	return func(a domain.Account) ([]domain.Event, error) { return a.Deposit(n, "sandbox", "pay_1") }
}

func withdraw(n domain.Credits) request {
	return func(a domain.Account) ([]domain.Event, error) { return a.Withdraw(n, "sandbox", "pay_1") }
}

// adjust is by an admin, adjustAsUser by a user without admin rights.
func adjust(n domain.Credits, reason, reference string) request {
	return adjustBy(domain.Account{User: root, Admin: true}, n, reason, reference)
}

func adjustAsUser(n domain.Credits, reason, reference string) request {
	return adjustBy(domain.Account{User: root}, n, reason, reference)
}

// adjustOwn is asked by the person whose account it is.
func adjustOwn(n domain.Credits, reason string) request {
	return func(a domain.Account) ([]domain.Event, error) {
		return a.Adjust(a, domain.Correction{Amount: n, Reason: reason})
	}
}

// adjustKind is by an admin, with the kind of credits.
func adjustKind(kind domain.Kind, n domain.Credits) request {
	return func(a domain.Account) ([]domain.Event, error) {
		return a.Adjust(domain.Account{User: root, Admin: true}, domain.Correction{Amount: n, Kind: kind, Reason: "r"})
	}
}

func adjustBy(by domain.Account, n domain.Credits, reason, reference string) request {
	return func(a domain.Account) ([]domain.Event, error) {
		return a.Adjust(by, domain.Correction{Amount: n, Reason: reason, Reference: reference})
	}
}

const noAccount = "on an account that does not exist "

func TestSignUp(t *testing.T) {
	for _, tt := range []decision{
		{name: "opens an account and welcomes it",
			when: signUp(10), then: facts(signedUp, bonus(10))},
		{name: "without a bonus moves nothing",
			when: signUp(0), then: facts(signedUp)},
		{name: "the smallest bonus",
			when: signUp(1), then: facts(signedUp, bonus(1))},
		{name: "the largest bonus",
			when: signUp(domain.MaxAmount), then: facts(signedUp, bonus(domain.MaxAmount))},
		{name: "a bonus over the limit is refused",
			when: signUp(domain.MaxAmount + 1), refused: domain.InvalidAmount},
		{name: "a bonus that takes is refused",
			when: signUp(-1), refused: domain.InvalidAmount},
		{name: "twice is refused",
			given: facts(signedUp), when: signUp(10), refused: domain.AccountExists},
		{name: "the bonus is checked before the account",
			given: facts(signedUp), when: signUp(-1), refused: domain.InvalidAmount},
	} {
		tt.check(t)
	}
}

func TestDeposit(t *testing.T) {
	full := deposited(domain.MaxBalance - 100)
	for _, tt := range []decision{
		{name: "adds what was paid",
			given: facts(signedUp, bonus(10)), when: deposit(30), then: facts(deposited(30))},
		{name: "leaves what is held alone",
			given: facts(signedUp, bonus(10), requested("p_1", 4)), when: deposit(30), then: facts(deposited(30))},
		{name: "nothing is refused",
			given: facts(signedUp), when: deposit(0), refused: domain.InvalidAmount},
		{name: "one credit is the least",
			given: facts(signedUp), when: deposit(1), then: facts(deposited(1))},
		{name: "less than nothing is refused",
			given: facts(signedUp, deposited(30)), when: deposit(-1), refused: domain.InvalidAmount},
		{name: "the smallest number there is is refused",
			given: facts(signedUp, deposited(30)), when: deposit(math.MinInt64), refused: domain.InvalidAmount},
		{name: "the largest number there is is refused",
			given: facts(signedUp, deposited(30)), when: deposit(math.MaxInt64), refused: domain.InvalidAmount},
		{name: "a million is the most",
			given: facts(signedUp), when: deposit(1_000_000), then: facts(deposited(1_000_000))},
		{name: "a million and one is refused",
			given: facts(signedUp), when: deposit(1_000_001), refused: domain.InvalidAmount},
		{name: noAccount + "is refused",
			when: deposit(30), refused: domain.AccountNotFound},
		{name: "up to the balance limit",
			given: facts(signedUp, full), when: deposit(100), then: facts(deposited(100))},
		{name: "one credit over the balance limit is refused",
			given: facts(signedUp, full), when: deposit(101), refused: domain.BalanceLimit},
		{name: "what is held counts to the balance limit",
			given: facts(signedUp, full, requested("p_1", 4)), when: deposit(101), refused: domain.BalanceLimit},
		{name: "what is held counts once to the balance limit",
			given: facts(signedUp, full, requested("p_1", 4)), when: deposit(100), then: facts(deposited(100))},
		{name: "the amount is checked before the account",
			when: deposit(0), refused: domain.InvalidAmount},
		{name: "the amount is checked before the balance limit",
			given: facts(signedUp, full), when: deposit(domain.MaxAmount + 1), refused: domain.InvalidAmount},
	} {
		tt.check(t)
	}
}

// A provider takes money only when the ledger can take it too: CanDeposit must
// give the very refusal that Deposit would.
func TestCanDepositAnswersAsDepositDoes(t *testing.T) {
	full := fold(t, new(book).write(facts(signedUp, deposited(domain.MaxBalance-100))))
	for _, account := range []domain.Account{{}, full} {
		for _, amount := range []domain.Credits{math.MinInt64, 0, 1, 100, 101, domain.MaxAmount + 1} {
			_, err := account.Deposit(amount, "sandbox", "pay_1")
			want, got := domain.RefusalIn(err), domain.RefusalIn(account.CanDeposit(amount))
			if (want == nil) != (got == nil) || want != nil && *want != *got {
				t.Errorf("CanDeposit(%d) of %q returns %v, Deposit %v", amount, account.User, got, want)
			}
		}
	}
}

func TestWithdraw(t *testing.T) {
	for _, tt := range []decision{
		{name: "gives money back",
			given: facts(signedUp, deposited(30)), when: withdraw(12), then: facts(withdrawn(12))},
		{name: "all of it",
			given: facts(signedUp, deposited(30)), when: withdraw(30), then: facts(withdrawn(30))},
		{name: "one credit short is refused",
			given: facts(signedUp, deposited(29)), when: withdraw(30), refused: domain.InsufficientFunds},
		{name: "what was given cannot be withdrawn",
			given: facts(signedUp, bonus(10)), when: withdraw(1), refused: domain.InsufficientFunds},
		{name: "what was bought can, beside it",
			given: facts(signedUp, bonus(10), deposited(30)), when: withdraw(30), then: facts(withdrawn(30))},
		{name: "and no more than that",
			given: facts(signedUp, bonus(10), deposited(30)), when: withdraw(31), refused: domain.InsufficientFunds},
		{name: "given credits that were held and came back cannot either",
			given: facts(signedUp, bonus(10), deposited(30), requested("p_1", 5), failed("p_1", 5)), when: withdraw(31), refused: domain.InsufficientFunds},
		{name: "what an answer left of the bought ones can",
			given: facts(signedUp, bonus(3), deposited(30), requested("p_1", 5), completed("p_1", 5)), when: withdraw(28), then: facts(withdrawn(28))},
		{name: "a bonus from before given credits can",
			given: facts(signedUp, undivided(oldBonus(10))), when: withdraw(10), then: facts(withdrawn(10))},
		{name: "what is held cannot be withdrawn",
			given: facts(signedUp, deposited(30), requested("p_1", 1)), when: withdraw(30), refused: domain.InsufficientFunds},
		{name: "what was released can",
			given: facts(signedUp, deposited(30), requested("p_1", 1), failed("p_1", 1)), when: withdraw(30), then: facts(withdrawn(30))},
		{name: "nothing is refused",
			given: facts(signedUp, deposited(30)), when: withdraw(0), refused: domain.InvalidAmount},
		{name: "one credit is the least",
			given: facts(signedUp, deposited(30)), when: withdraw(1), then: facts(withdrawn(1))},
		{name: "less than nothing is refused",
			given: facts(signedUp, deposited(30)), when: withdraw(-1), refused: domain.InvalidAmount},
		{name: "the smallest number there is is refused",
			given: facts(signedUp, deposited(30)), when: withdraw(math.MinInt64), refused: domain.InvalidAmount},
		{name: "a million is the most",
			given: facts(signedUp, deposited(2_000_000)), when: withdraw(1_000_000), then: facts(withdrawn(1_000_000))},
		{name: "a million and one is refused",
			given: facts(signedUp, deposited(2_000_000)), when: withdraw(1_000_001), refused: domain.InvalidAmount},
		{name: noAccount + "is refused",
			when: withdraw(1), refused: domain.AccountNotFound},
		{name: "the amount is checked before the account",
			when: withdraw(0), refused: domain.InvalidAmount},
		{name: "the amount is checked before the balance",
			given: facts(signedUp), when: withdraw(domain.MaxAmount + 1), refused: domain.InvalidAmount},
	} {
		tt.check(t)
	}
}

func TestAdjust(t *testing.T) {
	full := deposited(domain.MaxBalance - 100)
	for _, tt := range []decision{
		{name: "gives",
			given: facts(signedUp, deposited(30)), when: adjust(5, "sorry", "T-1"), then: facts(adjusted(5, "sorry", "T-1"))},
		{name: "takes",
			given: facts(signedUp, deposited(30)), when: adjust(-5, "paid twice", ""), then: facts(adjusted(-5, "paid twice", ""))},
		{name: "takes all that is available",
			given: facts(signedUp, deposited(30)), when: adjust(-30, "r", ""), then: facts(adjusted(-30, "r", ""))},
		{name: "taking one credit more is refused",
			given: facts(signedUp, deposited(30)), when: adjust(-31, "r", ""), refused: domain.InsufficientFunds},
		{name: "what is held cannot be taken",
			given: facts(signedUp, deposited(30), requested("p_1", 1)), when: adjust(-30, "r", ""), refused: domain.InsufficientFunds},
		{name: "up to the balance limit",
			given: facts(signedUp, full), when: adjust(100, "r", ""), then: facts(adjusted(100, "r", ""))},
		{name: "one credit over the balance limit is refused",
			given: facts(signedUp, full), when: adjust(101, "r", ""), refused: domain.BalanceLimit},
		{name: "taking is not held back by a full wallet",
			given: facts(signedUp, full, deposited(100)), when: adjust(-1, "r", ""), then: facts(adjusted(-1, "r", ""))},
		{name: noAccount + "is refused",
			when: adjust(5, "r", ""), refused: domain.AccountNotFound},
		{name: "by a user who is no admin is refused",
			given: facts(signedUp), when: adjustAsUser(5, "r", ""), refused: domain.NotAdmin},

		{name: "nothing is refused",
			given: facts(signedUp), when: adjust(0, "r", ""), refused: domain.InvalidAmount},
		{name: "giving a million is the most",
			given: facts(signedUp), when: adjust(1_000_000, "r", ""), then: facts(adjusted(1_000_000, "r", ""))},
		{name: "giving a million and one is refused",
			given: facts(signedUp), when: adjust(1_000_001, "r", ""), refused: domain.InvalidAmount},
		{name: "taking a million is the most",
			given: facts(signedUp, deposited(2_000_000)), when: adjust(-1_000_000, "r", ""), then: facts(adjusted(-1_000_000, "r", ""))},
		{name: "taking a million and one is refused",
			given: facts(signedUp, deposited(2_000_000)), when: adjust(-1_000_001, "r", ""), refused: domain.InvalidAmount},
		{name: "the smallest number there is is refused",
			given: facts(signedUp, deposited(30)), when: adjust(math.MinInt64, "r", ""), refused: domain.InvalidAmount},

		{name: "the amount is checked before the reason",
			when: adjustAsUser(0, "", "\n"), refused: domain.InvalidAmount},
		{name: "the reason is checked before the reference",
			when: adjustAsUser(1, "", "\n"), refused: domain.InvalidReason},
		{name: "the reference is checked before the right",
			when: adjustAsUser(1, "r", "\n"), refused: domain.InvalidReference},
		{name: "the right is checked before the account, so that without it one does not learn who exists",
			when: adjustAsUser(1, "r", ""), refused: domain.NotAdmin},
		{name: "the account is checked before the balance",
			when: adjust(-1, "r", ""), refused: domain.AccountNotFound},
		{name: "an admin does not give to themselves",
			given: facts(signedUp, granted), when: adjustOwn(1, "r"), refused: domain.OwnAdjustment},
		{name: "nor take",
			given: facts(signedUp, granted, deposited(5)), when: adjustOwn(-1, "r"), refused: domain.OwnAdjustment},
		{name: "the right is checked before whose balance it is",
			given: facts(signedUp), when: adjustOwn(1, "r"), refused: domain.NotAdmin},
	} {
		tt.check(t)
	}
}

// An adjustment gives given credits and takes them first, unless it names the kind.
func TestAdjustKinds(t *testing.T) {
	given, bought := domain.GivenCredits, domain.BoughtCredits
	both := facts(signedUp, bonus(10), deposited(30))
	for _, tt := range []decision{
		{name: "gives given credits", given: both, when: adjust(5, "r", ""), then: facts(adjustedIn(5, 0, "r", ""))},
		{name: "the same by name", given: both, when: adjustKind(given, 5), then: facts(adjustedIn(5, 0, "r", ""))},
		{name: "gives bought credits", given: both, when: adjustKind(bought, 5), then: facts(adjustedIn(0, 5, "r", ""))},
		{name: "takes given credits first", given: both, when: adjust(-10, "r", ""), then: facts(adjustedIn(-10, 0, "r", ""))},
		{name: "and bought ones for the rest", given: both, when: adjust(-11, "r", ""), then: facts(adjustedIn(-10, -1, "r", ""))},
		{name: "takes all of both", given: both, when: adjust(-40, "r", ""), then: facts(adjustedIn(-10, -30, "r", ""))},
		{name: "one more is refused", given: both, when: adjust(-41, "r", ""), refused: domain.InsufficientFunds},
		{name: "takes given credits alone", given: both, when: adjustKind(given, -10), then: facts(adjustedIn(-10, 0, "r", ""))},
		{name: "and not the bought ones", given: both, when: adjustKind(given, -11), refused: domain.InsufficientFunds},
		{name: "takes bought credits alone", given: both, when: adjustKind(bought, -30), then: facts(adjustedIn(0, -30, "r", ""))},
		{name: "and not the given ones", given: both, when: adjustKind(bought, -31), refused: domain.InsufficientFunds},
		{name: "another kind is refused", given: both, when: adjustKind("lent", 5), refused: domain.InvalidKind},
		{name: "the amount is checked before the kind", given: both, when: adjustKind("lent", 0), refused: domain.InvalidAmount},
	} {
		tt.check(t)
	}
}

// Reason and reference are one line of text each, of which a reader sees everything;
// only the reference may be left out.
func TestAdjustNotes(t *testing.T) {
	given := facts(signedUp)
	for _, tt := range []struct {
		name, note string
		most       int // runes; 0: the note's form is at stake, in both places
		fits       bool
	}{
		{"a letter", "r", 0, true},
		{"Russian, and runes beyond it", "возврат 🎬", 0, true},
		{"a tab", "a\tb", 0, false},
		{"two lines", "a\nb", 0, false},
		{"a zero byte", "a\x00b", 0, false},
		{"broken UTF-8", "a\xffb", 0, false},
		{"a space of no width", "a\u200bb", 0, false},
		{"a joiner of no width", "a\u200db", 0, false},
		{"a mark of the order of bytes", "\ufeffa", 0, false},
		{"a soft hyphen", "a\u00adb", 0, false},
		{"a mark that turns the writing", "a\u202eb", 0, false},
		{"one that isolates it", "a\u2066b\u2069", 0, false},
		{"an Arabic letter's mark", "a\u061cb", 0, false},
		{"a separator of lines", "a\u2028b", 0, false},
		{"a separator of paragraphs", "a\u2029b", 0, false},
		{"a next line", "a\u0085b", 0, false},
		{"a Hangul filler", "a\u3164b", 0, false},
		{"a half-width Hangul filler", "a\uffa0b", 0, false},
		{"a Hangul choseong filler", "a\u115fb", 0, false},
		{"a braille blank", "a\u2800b", 0, false},
		{"the place of an object", "a\ufffcb", 0, false},
		{"a joiner of graphemes", "a\u034fb", 0, false},
		{"a variation selector", "a\ufe0fb", 0, false},
		{"one of the later ones", "a\U000e0100b", 0, false},
		{"a tag", "a\U000e0041b", 0, false},
		{"a character for private use", "a\ue000b", 0, false},
		{"one that Unicode does not know", "a\u0378b", 0, false},
		{"Hebrew, without marks of direction", "החזר", 0, true},
		{"marks over a letter", "Vie\u0302\u0323t", 0, true},
		{"four marks over a letter", "a\u0301\u0301\u0301\u0301b", 0, true},
		{"five", "a\u0301\u0301\u0301\u0301\u0301b", 0, false},
		{"marks and no letter", "\u0301\u0302", 0, false},
		{"a filler alone", "\u3164", 0, false},
		{"a braille blank alone", "\u2800", 0, false},
		{"signs alone", "?! — …", 0, false},
		{"a picture alone", "🎬", 0, false},
		{"blank", "  ", 0, false},
		{"the longest reason", strings.Repeat("ж", 300), domain.MaxReasonRunes, true},
		{"a reason one rune too long", strings.Repeat("ж", 301), domain.MaxReasonRunes, false},
		{"spaces count to a reason's length", strings.Repeat("ж", 299) + "  ", domain.MaxReasonRunes, false},
		{"the longest reference", strings.Repeat("ж", 100), domain.MaxReferenceRunes, true},
		{"a reference one rune too long", strings.Repeat("ж", 101), domain.MaxReferenceRunes, false},
	} {
		reason := decision{name: tt.name + " as reason", given: given, when: adjust(1, tt.note, ""), refused: domain.InvalidReason}
		if tt.fits {
			reason.then, reason.refused = facts(adjusted(1, tt.note, "")), ""
		}
		reference := decision{name: tt.name + " as reference", given: given, when: adjust(1, "r", tt.note), refused: domain.InvalidReference}
		if tt.fits {
			reference.then, reference.refused = facts(adjusted(1, "r", tt.note)), ""
		}
		if tt.most != domain.MaxReferenceRunes {
			reason.check(t)
		}
		if tt.most != domain.MaxReasonRunes {
			reference.check(t)
		}
	}
	for _, tt := range []decision{
		{name: "no reason", given: given, when: adjust(1, "", ""), refused: domain.InvalidReason},
		{name: "digits are no reason", given: given, when: adjust(1, "118", ""), refused: domain.InvalidReason},
		{name: "digits are a reference", given: given, when: adjust(1, "r", "#118"), then: facts(adjusted(1, "r", "#118"))},
		{name: "no reference", given: given, when: adjust(1, "r", ""), then: facts(adjusted(1, "r", ""))},
	} {
		tt.check(t)
	}
}
