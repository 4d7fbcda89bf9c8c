package domain

import (
	"errors"
	"fmt"
	"strings"
)

// MovedCredits are credits of a person in the system that this one replaces, by kind; or a
// difference of them.
type MovedCredits struct{ Bought, Given Credits }

// Sum is both kinds together.
func (c MovedCredits) Sum() Credits { return c.Bought + c.Given }

// Plus adds up.
func (c MovedCredits) Plus(d MovedCredits) MovedCredits {
	return MovedCredits{c.Bought + d.Bought, c.Given + d.Given}
}

// Minus is what is missing from d to c.
func (c MovedCredits) Minus(d MovedCredits) MovedCredits {
	return MovedCredits{c.Bought - d.Bought, c.Given - d.Given}
}

func (c MovedCredits) String() string {
	return fmt.Sprintf("%d (%d bought, %d given)", c.Sum(), c.Bought, c.Given)
}

// MoveIn opens the account of a person of the replaced system, with what they have there.
func (a Account) MoveIn(user UserID, email Sealed, has MovedCredits, admin bool) ([]Event, error) {
	if a.Exists() {
		return nil, Reject(AccountExists, "this account is open already")
	}
	a.User = user
	events := []Event{SignedUp{User: user, Email: email}}
	moved, err := a.MoveBalance(has)
	if err != nil {
		return nil, err
	}
	events = append(events, moved...)
	if admin {
		events = append(events, AdminGranted{User: user})
	}
	return events, nil
}

// MoveBalance moves the difference to what was moved before. It takes no more than there is:
// what a person has spent in both systems is not there twice. Credits that are taken come
// first, in an event of their own, because an event moves both kinds in one direction.
func (a Account) MoveBalance(by MovedCredits) ([]Event, error) {
	if err := a.mustStay(); err != nil {
		return nil, err
	}
	take := MovedCredits{max(min(by.Bought, 0), -a.Withdrawable()), max(min(by.Given, 0), -a.Given)}
	give := MovedCredits{max(by.Bought, 0), max(by.Given, 0)}
	if give.Bought > MaxBalance || give.Given > MaxBalance {
		return nil, Reject(BalanceLimit, "a wallet holds at most %d credits", MaxBalance)
	}
	var events []Event
	for _, c := range []MovedCredits{take, give} {
		if c.Sum() == 0 {
			continue
		}
		if err := a.room(c.Sum()); err != nil {
			return nil, err
		}
		e := BalanceMovedIn{User: a.User, Amount: c.Sum(), GivenAmount: c.Given}
		e.Movement = a.after(e)
		a.add(e.Movement)
		events = append(events, e)
	}
	return events, nil
}

// ErrMoveInOver means that the move was finished: nothing more is accepted.
var ErrMoveInOver = errors.New("the move is over")

// Accept decides on the next acceptance, after the last one; the zero value is none. Each run
// of a move has its own, so that an earlier run which is still going on can write nothing
// after it.
func (m MoveInAccepted) Accept(next MoveInAccepted) ([]Event, error) {
	if m.Final {
		return nil, fmt.Errorf("%w: %s has finished it, with %d people and %s credits",
			ErrMoveInOver, m.By, m.People, MovedCredits{m.Bought, m.Given})
	}
	if err := next.Check(); err != nil {
		return nil, err
	}
	return []Event{next}, nil
}

// Check reports what is wrong with an acceptance.
func (m MoveInAccepted) Check() error {
	switch {
	case len(m.Report) != 64 || strings.Trim(m.Report, "0123456789abcdef") != "":
		return errors.New("a report is named by its SHA-256, 64 digits in lower case")
	case !readable(m.By, MaxReferenceRunes) || !strings.ContainsFunc(m.By, seenLetterOrNumber):
		return fmt.Errorf("the name of the operator must be one line of at most %d characters that can be seen", MaxReferenceRunes)
	case m.People < 0 || m.Bought < 0 || m.Given < 0:
		return errors.New("the sums of a move are not negative")
	}
	return nil
}
