package domain

import "time"

// ErasureCredits is what becomes of the bought credits of a person who is erased. Given
// ones are forfeited.
type ErasureCredits string

// The choices.
const (
	WithdrawCredits ErasureCredits = "withdraw" // they are paid out
	ForfeitCredits  ErasureCredits = "forfeit"  // they are left to the house
)

// Known reports whether it is one of them.
func (c ErasureCredits) Known() bool { return c == WithdrawCredits || c == ForfeitCredits }

// Erasure is one that was requested; the zero value is none.
type Erasure struct {
	DueAt  time.Time      `json:"due_at"`
	Bought ErasureCredits `json:"bought"`
}

// Pending reports whether there is one.
func (e Erasure) Pending() bool { return !e.DueAt.IsZero() }

// Due reports whether it can be cancelled no more.
func (e Erasure) Due(now time.Time) bool { return e.Pending() && !now.Before(e.DueAt) }

// ErasureOrder asks for an erasure.
type ErasureOrder struct {
	Admin  *Account // who asks, where an admin does; nil for the person and for the operator
	Reason string   // of an admin, or of the operator; the person needs none
	Bought ErasureCredits
	DueAt  time.Time
}

// RequestErasure begins the time after which the account is erased. One that was requested
// before can be brought forward, and not put off.
func (a Account) RequestErasure(o ErasureOrder) ([]Event, error) {
	if !o.Bought.Known() {
		return nil, Reject(InvalidCredits, "bought credits are to %s or to %s", WithdrawCredits, ForfeitCredits)
	}
	e := ErasureRequested{User: a.User, Reason: o.Reason, Bought: o.Bought, DueAt: o.DueAt.UTC()}
	if o.Admin != nil || o.Reason != "" {
		if err := checkReason(o.Reason); err != nil {
			return nil, err
		}
	}
	if o.Admin != nil {
		if !o.Admin.MayAdminister() {
			return nil, Reject(NotAdmin, "only an admin has another person erased")
		}
		if o.Admin.User == a.User {
			return nil, Reject(OwnErasure, "an admin's own account is erased on the page of the account")
		}
		e.Admin = o.Admin.User
	}
	if err := a.mustExist(); err != nil {
		return nil, err
	}
	if a.Erasure.Pending() && !o.DueAt.Before(a.Erasure.DueAt) {
		return nil, Reject(ErasurePending, "this account is to be erased already, at %s", a.Erasure.DueAt.Format(time.RFC3339))
	}
	return []Event{e}, nil
}

// CancelErasure ends a requested erasure.
func (a Account) CancelErasure() ([]Event, error) {
	if err := a.mustExist(); err != nil {
		return nil, err
	}
	if !a.Erasure.Pending() {
		return nil, Reject(NoErasure, "no erasure of this account was requested")
	}
	return []Event{ErasureCancelled{User: a.User}}, nil
}

// CancelErasureBy is CancelErasure by an admin, for a person who asked for it.
func (a Account) CancelErasureBy(admin Account, reason string) ([]Event, error) {
	if err := checkReason(reason); err != nil {
		return nil, err
	}
	if !admin.MayAdminister() {
		return nil, Reject(NotAdmin, "only an admin cancels the erasure of another person")
	}
	if admin.User == a.User {
		return nil, Reject(OwnErasure, "an admin's own account is kept on the page of the account")
	}
	if _, err := a.CancelErasure(); err != nil {
		return nil, err
	}
	return []Event{ErasureCancelled{User: a.User, Admin: admin.User, Reason: reason}}, nil
}

// ErasurePayout is how many credits the next withdrawal of a due erasure pays out; 0 where
// nothing is left to pay.
func (a Account) ErasurePayout(now time.Time) Credits {
	if !a.Erasure.Due(now) || a.Erasure.Bought != WithdrawCredits {
		return 0
	}
	return min(a.Withdrawable(), MaxAmount)
}

// Erase forfeits what is left, and ends the account. It decides nothing before the erasure
// is due, while questions are open, and while credits are to be paid out.
func (a Account) Erase(now time.Time) ([]Event, error) {
	if !a.Erasure.Due(now) || len(a.Holds) > 0 || a.ErasurePayout(now) > 0 {
		return nil, nil
	}
	var events []Event
	if a.Available > 0 {
		e := CreditsForfeited{User: a.User, Amount: a.Available, GivenAmount: a.Given}
		e.Movement = a.after(e)
		events = append(events, e)
	}
	return append(events, PersonalDataErased{User: a.User}), nil
}

// mustStay refuses an account that is to be erased: it can be settled, and takes nothing
// new.
func (a *Account) mustStay() error {
	if err := a.mustExist(); err != nil {
		return err
	}
	if a.Erasure.Pending() {
		return Reject(ErasurePending, "this account is to be erased, at %s: cancel that first", a.Erasure.DueAt.Format(time.RFC3339))
	}
	return nil
}

// followErasure folds all of an erasure's facts but their money.
func (a *Account) followErasure(e Event) error {
	if e, ok := e.(ErasureRequested); ok {
		if !e.Bought.Known() || e.DueAt.IsZero() {
			return broken("%s with the credits %q, due at %s", e.Type(), e.Bought, e.DueAt)
		}
		a.Erasure = Erasure{DueAt: e.DueAt, Bought: e.Bought}
		return nil
	}
	if !a.Erasure.Pending() {
		return broken("%s on an account of which no erasure was requested", e.Type())
	}
	switch e := e.(type) {
	case ErasureCancelled:
		a.Erasure = Erasure{}
	case CreditsForfeited:
		if e.Amount != a.Available || e.GivenAmount != a.Given {
			return broken("%s of %d credits, %d of them given, of %d and %d", e.Type(), e.Amount, e.GivenAmount, a.Available, a.Given)
		}
	case PersonalDataErased:
		if a.Available != 0 || a.Held != 0 || len(a.Holds) > 0 {
			return broken("%s on an account with %d credits, %d held, and %d open questions", e.Type(), a.Available, a.Held, len(a.Holds))
		}
		*a = Account{User: a.User, JoinedAt: a.JoinedAt, Erased: true}
	}
	return nil
}
