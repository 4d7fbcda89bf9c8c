package domain

import (
	"fmt"
	"strings"
)

// Credits is an amount of prepaid credits, whole and signed. There is no
// fraction of a credit, so no sum is ever rounded.
type Credits int64

// Limits of one movement and of one wallet. A balance at its limit is far from
// the edge of int64, so no sum of postings can overflow.
const (
	MaxAmount  Credits = 1_000_000         // of one deposit, withdrawal, adjustment, price or bonus
	MaxBalance Credits = 1_000_000_000_000 // of one wallet, available and held together
)

// UserID names a person's account, such as "u_4hx2…".
type UserID string

// PredictionID names one asked question and its hold.
type PredictionID string

// LedgerAccount is one account of the double-entry ledger.
type LedgerAccount string

// The ledger is two books: one of the credits that people bought, and that we owe
// them, and one of those that were given away, which are spent first and never paid
// out. No posting leads from one book to the other, so each sums to zero.
//
// The house's accounts are sums in a view; no row anywhere holds them, so no write
// ever waits for them.
const (
	HouseCash        LedgerAccount = "house:cash"        // money that came in (negative) and went out
	HouseRevenue     LedgerAccount = "house:revenue"     // captured charges
	HouseAdjustments LedgerAccount = "house:adjustments" // what admins gave (negative) and took
	HouseForfeited   LedgerAccount = "house:forfeited"   // what people left behind when they were erased
	HouseMovedIn     LedgerAccount = "house:moved_in"    // what people brought from the replaced system (negative)
	// HouseBonus holds the welcome credits of before there were two books (negative):
	// they went to people as if bought.
	HouseBonus LedgerAccount = "house:bonus"

	HouseGivenBonus       LedgerAccount = "house:given_bonus"       // welcome credits (negative)
	HouseGivenSpent       LedgerAccount = "house:given_spent"       // captured charges
	HouseGivenAdjustments LedgerAccount = "house:given_adjustments" // what admins gave (negative) and took
	HouseGivenForfeited   LedgerAccount = "house:given_forfeited"   // what people left behind when they were erased
	HouseGivenMovedIn     LedgerAccount = "house:given_moved_in"    // what people brought from the replaced system (negative)
)

// AvailableOf is the ledger account of the bought credits that a person can spend.
func AvailableOf(u UserID) LedgerAccount { return accountOf(u, "available") }

// HeldOf is the ledger account of the bought credits that wait for an answer.
func HeldOf(u UserID) LedgerAccount { return accountOf(u, "held") }

// GivenOf is the ledger account of the given credits that a person can spend.
func GivenOf(u UserID) LedgerAccount { return accountOf(u, "given") }

// GivenHeldOf is the ledger account of the given credits that wait for an answer.
func GivenHeldOf(u UserID) LedgerAccount { return accountOf(u, "given_held") }

func accountOf(u UserID, part string) LedgerAccount {
	return LedgerAccount("user:" + string(u) + ":" + part)
}

// Given reports whether the account is in the book of given credits.
func (a LedgerAccount) Given() bool {
	part := a[strings.LastIndexByte(string(a), ':')+1:]
	return strings.HasPrefix(string(part), "given")
}

// Kind is a sort of credits.
type Kind string

// The kinds of credits, one a book.
const (
	BoughtCredits Kind = "bought" // owed to the person, who can withdraw them
	GivenCredits  Kind = "given"  // spent first, and never paid out
)

// Posting adds Amount (negative: takes) to one ledger account.
type Posting struct {
	Account LedgerAccount `json:"account"`
	Amount  Credits       `json:"amount"`
}

// transfer is the pair of postings that moves amount from one account to another;
// none where there is nothing to move.
func transfer(from, to LedgerAccount, amount Credits) []Posting {
	if amount == 0 {
		return nil
	}
	return []Posting{{from, -amount}, {to, amount}}
}

// Movement is the money side of an event: its postings, which sum to zero, and
// what the person's wallet holds after it. The balances are redundant on
// purpose: the fold compares them with its own sums, and a receipt or a line of
// history can be read from the event alone.
type Movement struct {
	Postings  []Posting `json:"postings"`
	Available Credits   `json:"available"`  // given ones among them
	Held      Credits   `json:"held"`       // given ones among them
	Given     Credits   `json:"given"`      // how many of the available ones are given
	GivenHeld Credits   `json:"given_held"` // how many of the held ones are given

	// Undivided marks a movement that was read from version 1 of its event, when
	// there was one book: whatever it moves is bought.
	Undivided bool `json:"-"`
}

// Money gives the movement; an event that embeds one is a MoneyEvent.
func (m Movement) Money() Movement { return m }

// fromVersion1 upcasts the movement of an event of version 1.
func (m *Movement) fromVersion1() { m.Undivided = true }

// Balanced reports whether the postings are at least two, none zero, sum zero.
func (m Movement) Balanced() bool {
	var sum Credits
	for _, p := range m.Postings {
		if p.Amount == 0 {
			return false
		}
		sum += p.Amount
	}
	return len(m.Postings) >= 2 && sum == 0
}

// Amount is what the movement adds to the given ledger account.
func (m Movement) Amount(of LedgerAccount) Credits {
	var sum Credits
	for _, p := range m.Postings {
		if p.Account == of {
			sum += p.Amount
		}
	}
	return sum
}

// Wallet is what a person's accounts of the ledger come to, in both books.
type Wallet struct {
	Available, Held  Credits // given ones among them
	Given, GivenHeld Credits // how many of those are given
}

// Wallet adds up what the movement moves of one person's, and gives the postings that
// are not theirs.
func (m Movement) Wallet(of UserID) (w Wallet, others []Posting) {
	for _, p := range m.Postings {
		switch p.Account.partOf(of) {
		case "available":
			w.Available += p.Amount
		case "held":
			w.Held += p.Amount
		case "given":
			w.Available += p.Amount
			w.Given += p.Amount
		case "given_held":
			w.Held += p.Amount
			w.GivenHeld += p.Amount
		default:
			others = append(others, p)
		}
	}
	return w, others
}

// partOf is which of a person's accounts it is, "" for none.
func (a LedgerAccount) partOf(u UserID) string {
	rest, ok := strings.CutPrefix(string(a), "user:")
	if ok {
		rest, ok = strings.CutPrefix(rest, string(u)+":")
	}
	if !ok {
		return ""
	}
	return rest
}

func checkAmount(amount Credits) error {
	if amount <= 0 || amount > MaxAmount {
		return Reject(InvalidAmount, "the amount must be from 1 to %d credits", MaxAmount)
	}
	return nil
}

func (c Credits) String() string { return fmt.Sprintf("%d", int64(c)) }
