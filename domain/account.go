package domain

import (
	"slices"
	"time"
)

// Account is what the rules need to know of one person: the fold of the
// account's stream. The zero value is an account that does not exist yet. It
// holds open questions only, at most MaxOpenHolds, so it stays small however
// long its stream grows.
type Account struct {
	User      UserID  `json:"user_id"`
	Admin     bool    `json:"admin,omitempty"`
	Available Credits `json:"available"`
	Held      Credits `json:"held"`
	Holds     []Hold  `json:"holds,omitempty"` // open, in the order in which they were asked
}

// Hold is the price of one open question.
type Hold struct {
	Prediction PredictionID `json:"prediction_id"`
	Price      Credits      `json:"price"`
	ExpiresAt  time.Time    `json:"expires_at"`
}

// Exists says whether somebody signed up for it.
func (a *Account) Exists() bool { return a.User != "" }

// Clone gives an account that can change without the first.
func (a *Account) Clone() Account {
	c := *a
	c.Holds = slices.Clone(a.Holds)
	return c
}

func (a *Account) hold(id PredictionID) int {
	return slices.IndexFunc(a.Holds, func(h Hold) bool { return h.Prediction == id })
}

// Apply folds one fact into the account. Facts are never refused: an error
// wraps ErrBroken and means that the ledger itself is wrong.
func (a *Account) Apply(e Event) error {
	if up, ok := e.(SignedUp); ok {
		if a.Exists() || up.User == "" {
			return broken("account %q signs up over %q", up.User, a.User)
		}
		a.User = up.User
		return nil
	}
	if !a.Exists() {
		return broken("%s on an account that nobody opened", e.Type())
	}
	if e.Subject() != a.User {
		return broken("%s of %q in the stream of %q", e.Type(), e.Subject(), a.User)
	}
	switch e := e.(type) {
	case BonusGranted, Deposited, Withdrawn, BalanceAdjusted:
		// Nothing but money.
	case PredictionRequested:
		if a.hold(e.Prediction) >= 0 {
			return broken("prediction %s is held twice", e.Prediction)
		}
		a.Holds = append(a.Holds, Hold{e.Prediction, e.Price, e.ExpiresAt})
	case PredictionCompleted:
		if err := a.end(e.Prediction, e.Price); err != nil {
			return err
		}
	case PredictionFailed:
		if err := a.end(e.Prediction, e.Price); err != nil {
			return err
		}
	case PredictionExpired:
		if err := a.end(e.Prediction, e.Price); err != nil {
			return err
		}
	case AdminGranted:
		a.Admin = true
	case AdminRevoked:
		a.Admin = false
	default:
		return broken("%s does not belong to an account", e.Type())
	}
	if m, ok := e.(Mover); ok {
		return a.move(m)
	}
	return nil
}

// end removes the hold that an ending event speaks of: it must be open, so a
// hold ends exactly once, and for the price that was held.
func (a *Account) end(id PredictionID, price Credits) error {
	i := a.hold(id)
	if i < 0 {
		return broken("prediction %s ends without an open hold", id)
	}
	if a.Holds[i].Price != price {
		return broken("prediction %s held %d and ends with %d", id, a.Holds[i].Price, price)
	}
	a.Holds = slices.Delete(a.Holds, i, i+1)
	return nil
}

// move applies an event's postings, and checks all that is promised of money.
func (a *Account) move(e Mover) error {
	m, want := e.Moved(), postingsOf(e)
	if !m.Balanced() {
		return broken("postings of %s do not sum to zero", e.Type())
	}
	if !slices.Equal(m.Postings, want) {
		return broken("postings of %s are not those of its amount", e.Type())
	}
	if _, either := e.(BalanceAdjusted); !either && want[1].Amount < 0 {
		return broken("%s moves %d credits against its direction", e.Type(), want[1].Amount)
	}
	a.Available += m.Amount(AvailableOf(a.User))
	a.Held += m.Amount(HeldOf(a.User))
	if a.Available < 0 || a.Held < 0 {
		return broken("%s leaves %d available and %d held", e.Type(), a.Available, a.Held)
	}
	if a.Available > MaxBalance-a.Held {
		return broken("%s leaves more than %d credits", e.Type(), MaxBalance)
	}
	if a.Available != m.Available || a.Held != m.Held {
		return broken("%s says %d available and %d held after it, the sums are %d and %d",
			e.Type(), m.Available, m.Held, a.Available, a.Held)
	}
	return nil
}

// postingsOf is the one place that says which accounts each kind of event moves.
func postingsOf(e Event) []Posting {
	switch e := e.(type) {
	case BonusGranted:
		return transfer(HouseBonus, AvailableOf(e.User), e.Amount)
	case Deposited:
		return transfer(HouseCash, AvailableOf(e.User), e.Amount)
	case Withdrawn:
		return transfer(AvailableOf(e.User), HouseCash, e.Amount)
	case PredictionRequested:
		return transfer(AvailableOf(e.User), HeldOf(e.User), e.Price)
	case PredictionCompleted:
		return transfer(HeldOf(e.User), HouseRevenue, e.Price)
	case PredictionFailed:
		return transfer(HeldOf(e.User), AvailableOf(e.User), e.Price)
	case PredictionExpired:
		return transfer(HeldOf(e.User), AvailableOf(e.User), e.Price)
	case BalanceAdjusted:
		return transfer(HouseAdjustments, AvailableOf(e.User), e.Amount)
	}
	return nil
}
