package domain

import "fmt"

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

// The house's side of the ledger. Their balances are sums in a view; no row
// anywhere holds them, so no write ever waits for them.
const (
	HouseCash        LedgerAccount = "house:cash"        // money that came in (negative) and went out
	HouseBonus       LedgerAccount = "house:bonus"       // welcome credits given away (negative)
	HouseRevenue     LedgerAccount = "house:revenue"     // captured charges
	HouseAdjustments LedgerAccount = "house:adjustments" // what admins gave (negative) and took
)

// AvailableOf is the ledger account of the credits that a person can spend.
func AvailableOf(u UserID) LedgerAccount {
	return LedgerAccount("user:" + string(u) + ":available")
}

// HeldOf is the ledger account of the credits that wait for an answer.
func HeldOf(u UserID) LedgerAccount { return LedgerAccount("user:" + string(u) + ":held") }

// Posting adds Amount (negative: takes) to one ledger account.
type Posting struct {
	Account LedgerAccount `json:"account"`
	Amount  Credits       `json:"amount"`
}

// transfer is the pair of postings that moves amount from one account to another.
func transfer(from, to LedgerAccount, amount Credits) []Posting {
	return []Posting{{from, -amount}, {to, amount}}
}

// Movement is the money side of an event: its postings, which sum to zero, and
// what the person's wallet holds after it. The balances are redundant on
// purpose: the fold compares them with its own sums, and a receipt or a line of
// history can be read from the event alone.
type Movement struct {
	Postings  []Posting `json:"postings"`
	Available Credits   `json:"available"`
	Held      Credits   `json:"held"`
}

// Moved gives the movement; by it an event says that it moves money.
func (m Movement) Moved() Movement { return m }

// Balanced says whether the postings are at least two, none zero, sum zero.
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

func checkAmount(amount Credits) error {
	if amount <= 0 || amount > MaxAmount {
		return Reject(InvalidAmount, "the amount must be from 1 to %d credits", MaxAmount)
	}
	return nil
}

func (c Credits) String() string { return fmt.Sprintf("%d", int64(c)) }
