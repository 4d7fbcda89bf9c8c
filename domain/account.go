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
	Auditor   bool    `json:"auditor,omitempty"`
	Locked    bool    `json:"locked,omitempty"`     // by an admin or the operator
	Available Credits `json:"available"`            // given ones among them
	Held      Credits `json:"held"`                 // given ones among them
	Given     Credits `json:"given,omitempty"`      // how many of the available ones are given
	GivenHeld Credits `json:"given_held,omitempty"` // how many of the held ones are given
	Holds     []Hold  `json:"holds,omitempty"`      // open, in the order in which they were asked

	JoinedAt time.Time  `json:"joined_at,omitzero"`
	Captured []Captured `json:"captured,omitempty"` // answers that can be refunded, the oldest first
	Refunds  Refunds    `json:"refunds,omitzero"`

	Free FreeAttempts `json:"free_attempts,omitzero"`

	Erasure Erasure `json:"erasure,omitzero"` // that was requested
	Erased  bool    `json:"erased,omitempty"` // nothing follows any more
}

// Hold is the price of one open question.
type Hold struct {
	Prediction PredictionID `json:"prediction_id"`
	Price      Credits      `json:"price"`
	Given      Credits      `json:"given,omitempty"` // how much of the price is of given credits
	ExpiresAt  time.Time    `json:"expires_at"`
	FollowUpOf PredictionID `json:"follow_up_of,omitempty"` // the paid prediction, where it is a follow-up: its price is 0
}

// Exists reports whether the account was opened.
func (a *Account) Exists() bool { return a.User != "" }

// Withdrawable is how many credits can be paid out: the bought ones.
func (a *Account) Withdrawable() Credits { return a.Available - a.Given }

// Clone gives an account that can change without the first.
func (a *Account) Clone() Account {
	c := *a
	c.Holds = slices.Clone(a.Holds)
	return c
}

func (a *Account) hold(id PredictionID) int {
	return slices.IndexFunc(a.Holds, func(h Hold) bool { return h.Prediction == id })
}

// Apply folds one fact into the account, with the time of its entry. Facts are never
// refused: an error wraps ErrBroken and means that the ledger itself is wrong.
func (a *Account) Apply(e Event, at time.Time) error {
	if up, ok := e.(SignedUp); ok {
		if a.Exists() || up.User == "" {
			return broken("account %q signs up over %q", up.User, a.User)
		}
		a.User, a.JoinedAt = up.User, at
		return nil
	}
	if !a.Exists() {
		return broken("%s on an account that was not opened", e.Type())
	}
	if a.Erased {
		return broken("%s on an account that was erased", e.Type())
	}
	if e.Subject() != a.User {
		return broken("%s of %q in the stream of %q", e.Type(), e.Subject(), a.User)
	}
	m, moves := e.(MoneyEvent)
	var given Credits
	if moves {
		given = a.givenIn(m) // by the account before the event
	}
	if err := a.follow(e, given, at); err != nil {
		return err
	}
	if moves {
		return a.move(m, given)
	}
	return nil
}

// follow folds all of a fact but its money.
func (a *Account) follow(e Event, given Credits, at time.Time) error {
	switch e := e.(type) {
	case BonusGranted, Deposited, Withdrawn, BalanceAdjusted, BalanceMovedIn:
		// Nothing but money.
	case PredictionRequested:
		return a.request(e, given)
	case PredictionCompleted:
		h, err := a.end(e.Prediction, e.Price)
		if err != nil {
			return err
		}
		if h.FollowUpOf != "" {
			a.answerFollowUp(h)
			return nil
		}
		a.capture(h, at)
	case PredictionFailed:
		h, err := a.end(e.Prediction, e.Price)
		if err != nil {
			return err
		}
		if h.FollowUpOf == "" {
			a.endFree(e.Reason, at)
		} else if !e.Reason.ofText() {
			a.forgetFollowUp(h)
		}
	case PredictionExpired:
		h, err := a.end(e.Prediction, e.Price)
		if err != nil {
			return err
		}
		a.forgetFollowUp(h)
	case PredictionRefunded:
		return a.refund(e, at)
	case PredictionConfirmed:
		return a.confirm(e)
	case AdminGranted:
		a.Admin = true
	case AdminRevoked:
		a.Admin = false
	case RoleGranted:
		return a.followRole(e.Type(), e.Role, true)
	case RoleRevoked:
		return a.followRole(e.Type(), e.Role, false)
	case AccountLocked:
		a.Locked = true
	case AccountUnlocked:
		a.Locked = false
	case ErasureRequested, ErasureCancelled, CreditsForfeited, PersonalDataErased:
		return a.followErasure(e)
	default:
		return broken("%s does not belong to an account", e.Type())
	}
	return nil
}

// request adds the hold of a question, and notes a follow-up in its conversation.
func (a *Account) request(e PredictionRequested, given Credits) error {
	if a.hold(e.Prediction) >= 0 {
		return broken("prediction %s is held twice", e.Prediction)
	}
	if (e.Price == 0) != (e.FollowUp != nil) {
		return broken("prediction %s costs %d: only a follow-up costs nothing", e.Prediction, e.Price)
	}
	h := Hold{Prediction: e.Prediction, Price: e.Price, Given: given, ExpiresAt: e.ExpiresAt}
	if e.FollowUp != nil {
		h.FollowUpOf = e.FollowUp.Of
		if err := a.followUp(e); err != nil {
			return err
		}
	}
	a.Holds = append(a.Holds, h)
	return nil
}

// end removes the hold of an ending event, and returns it: it must be open, so a hold ends
// exactly once, and for the price that was held.
func (a *Account) end(id PredictionID, price Credits) (Hold, error) {
	i := a.hold(id)
	if i < 0 {
		return Hold{}, broken("prediction %s ends without an open hold", id)
	}
	h := a.Holds[i]
	if h.Price != price {
		return Hold{}, broken("prediction %s held %d and ends with %d", id, h.Price, price)
	}
	a.Holds = slices.Delete(a.Holds, i, i+1)
	return h, nil
}

// move applies an event's postings, and checks all invariants of money.
func (a *Account) move(e MoneyEvent, given Credits) error {
	m, want := e.Money(), postingsOf(e, given)
	if !m.Balanced() && !(free(e) && len(m.Postings) == 0) {
		return broken("postings of %s do not sum to zero", e.Type())
	}
	if !slices.Equal(m.Postings, want) {
		return broken("postings of %s are not those of its amount", e.Type())
	}
	if err := inOneDirection(e, want); err != nil {
		return err
	}
	if m.Undivided && a.Given+a.GivenHeld != 0 {
		return broken("%s of before there were given credits, on an account that has some", e.Type())
	}
	a.add(m)
	if a.Given < 0 || a.Available < a.Given || a.GivenHeld < 0 || a.Held < a.GivenHeld {
		return broken("%s leaves %d available, %d of them given, and %d held, %d of them given",
			e.Type(), a.Available, a.Given, a.Held, a.GivenHeld)
	}
	if a.Available > MaxBalance-a.Held {
		return broken("%s leaves more than %d credits", e.Type(), MaxBalance)
	}
	if a.Available != m.Available || a.Held != m.Held || a.Given != m.Given || a.GivenHeld != m.GivenHeld {
		return broken("%s says %d (%d given) available and %d (%d given) held after it, the sums are %d (%d) and %d (%d)",
			e.Type(), m.Available, m.Given, m.Held, m.GivenHeld, a.Available, a.Given, a.Held, a.GivenHeld)
	}
	return nil
}

// inOneDirection checks the direction of an event's postings: only a correction, and what
// is moved in, may go either way, and then in both books the same.
func inOneDirection(e MoneyEvent, postings []Posting) error {
	either := false
	switch e.(type) {
	case BalanceAdjusted, BalanceMovedIn:
		either = true
	}
	for i := 1; i < len(postings); i += 2 {
		if amount := postings[i].Amount; !either && amount < 0 || amount < 0 != (postings[1].Amount < 0) {
			return broken("%s moves %d credits against its direction", e.Type(), amount)
		}
	}
	return nil
}

// add takes a movement into the account's sums.
func (a *Account) add(m Movement) {
	w, _ := m.Wallet(a.User)
	a.Available += w.Available
	a.Held += w.Held
	a.Given += w.Given
	a.GivenHeld += w.GivenHeld
}

// givenIn is how much of an event's amount is of given credits, by the account before
// the event: given ones are spent first, and go back to where they were taken from.
func (a *Account) givenIn(e MoneyEvent) Credits {
	if e.Money().Undivided {
		return 0
	}
	switch e := e.(type) {
	case BonusGranted:
		return e.Amount
	case PredictionRequested:
		return min(e.Price, a.Given)
	case PredictionCompleted:
		return a.givenHeldFor(e.Prediction)
	case PredictionFailed:
		return a.givenHeldFor(e.Prediction)
	case PredictionExpired:
		return a.givenHeldFor(e.Prediction)
	case PredictionRefunded:
		if i := a.captured(e.Prediction); i >= 0 {
			return a.Captured[i].Given
		}
	case BalanceAdjusted:
		return e.GivenAmount
	case BalanceMovedIn:
		return e.GivenAmount
	case CreditsForfeited:
		return a.Given
	}
	return 0
}

func (a *Account) givenHeldFor(id PredictionID) Credits {
	if i := a.hold(id); i >= 0 {
		return a.Holds[i].Given
	}
	return 0
}

// postingsOf is the only definition of which accounts each type of event moves, with the
// given credits among its amount first.
func postingsOf(e Event, given Credits) []Posting {
	switch e := e.(type) {
	case BonusGranted:
		return append(transfer(HouseGivenBonus, GivenOf(e.User), given), transfer(HouseBonus, AvailableOf(e.User), e.Amount-given)...)
	case Deposited:
		return transfer(HouseCash, AvailableOf(e.User), e.Amount)
	case Withdrawn:
		return transfer(AvailableOf(e.User), HouseCash, e.Amount)
	case PredictionRequested:
		return append(transfer(GivenOf(e.User), GivenHeldOf(e.User), given), transfer(AvailableOf(e.User), HeldOf(e.User), e.Price-given)...)
	case PredictionCompleted:
		return append(transfer(GivenHeldOf(e.User), HouseGivenSpent, given), transfer(HeldOf(e.User), HouseRevenue, e.Price-given)...)
	case PredictionFailed:
		return released(e.User, e.Price, given)
	case PredictionExpired:
		return released(e.User, e.Price, given)
	case PredictionRefunded:
		return append(transfer(HouseGivenSpent, GivenOf(e.User), given), transfer(HouseRevenue, AvailableOf(e.User), e.Price-given)...)
	case BalanceAdjusted:
		return append(transfer(HouseGivenAdjustments, GivenOf(e.User), given), transfer(HouseAdjustments, AvailableOf(e.User), e.Amount-given)...)
	case BalanceMovedIn:
		return append(transfer(HouseGivenMovedIn, GivenOf(e.User), given), transfer(HouseMovedIn, AvailableOf(e.User), e.Amount-given)...)
	case CreditsForfeited:
		return append(transfer(GivenOf(e.User), HouseGivenForfeited, given), transfer(AvailableOf(e.User), HouseForfeited, e.Amount-given)...)
	}
	return nil
}

func released(u UserID, price, given Credits) []Posting {
	return append(transfer(GivenHeldOf(u), GivenOf(u), given), transfer(HeldOf(u), AvailableOf(u), price-given)...)
}
