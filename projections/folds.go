package projections

import (
	"fmt"

	"kassa/domain"
	"kassa/eventstore"
)

// What a batch means for a table, as pure functions: rows that begin with it, and
// what it does to rows that are there. However a log is cut into batches, the
// rows come out the same.

// sumWallets adds up what a batch moves. Opened are whole wallets; moved are what
// to add to wallets that were opened before, and the position of the last movement.
func sumWallets(batch []eventstore.Recorded) (opened, moved []Balance) {
	type sum struct {
		Balance
		opened bool
	}
	at := map[domain.UserID]*sum{}
	var order []*sum
	for _, rec := range batch {
		_, opens := rec.Event.(domain.SignedUp)
		wallet, _, moves := movementOf(rec.Event)
		if !opens && !moves {
			continue
		}
		u := rec.Event.Subject()
		s := at[u]
		if s == nil || opens {
			s = &sum{Balance{User: u}, opens}
			at[u], order = s, append(order, s)
		}
		s.add(wallet)
		s.Position = rec.Position
	}
	for _, s := range order {
		if s.opened {
			opened = append(opened, s.Balance)
		} else {
			moved = append(moved, s.Balance)
		}
	}
	return opened, moved
}

// foldPredictions gives the predictions that a batch begins, as they are at its end;
// the ends of those that began before; and the verdicts on those that ended before.
func foldPredictions(batch []eventstore.Recorded) (asked, ended, judged []Prediction, err error) {
	begun, over := map[domain.PredictionID]int{}, map[domain.PredictionID]int{} // places in asked and in ended
	for _, rec := range batch {
		if e, ok := rec.Event.(domain.PredictionRequested); ok {
			begun[e.Prediction] = len(asked)
			asked = append(asked, predictionOf(rec, e))
			continue
		}
		before := Prediction{User: rec.Event.Subject(), State: domain.StateHeld}
		id, ends := endingOf(rec.Event)
		if !ends {
			var judges bool
			if id, judges = verdictOf(rec.Event); !judges {
				continue
			}
			before.State = domain.StateCaptured
		}
		before.ID = id
		at := &before
		if i, here := begun[id]; here {
			at = &asked[i]
		} else if i, here := over[id]; here {
			at = &ended[i]
		}
		after, ok := at.step(rec)
		switch {
		case !ok:
			return nil, nil, nil, fmt.Errorf("%w: %s on a prediction that is %s", domain.ErrBroken, rec.Type, at.State)
		case at != &before:
			*at = after
		case ends:
			over[id], ended = len(ended), append(ended, after)
		default:
			judged = append(judged, after)
		}
	}
	return asked, ended, judged, nil
}

// userChange is what a batch does to a user from before it.
type userChange struct {
	ID     domain.UserID
	Admin  *bool // nil: as before
	Erased bool  // the e-mail goes
}

// foldUsers gives who signs up in a batch, as they are at its end, and what it changes of
// those from before.
func foldUsers(batch []eventstore.Recorded) (joined []User, changed []userChange) {
	begun, before := map[domain.UserID]int{}, map[domain.UserID]int{} // places in joined and in changed
	for _, rec := range batch {
		if e, ok := rec.Event.(domain.SignedUp); ok {
			begun[e.User] = len(joined)
			joined = append(joined, User{ID: e.User, Email: e.Email, SignedUpAt: rec.Time, Position: rec.Position})
			continue
		}
		c, ok := userChangeOf(rec.Event)
		if !ok {
			continue
		}
		if i, here := begun[c.ID]; here {
			c.apply(&joined[i])
		} else if i, here := before[c.ID]; here {
			c.follow(&changed[i])
		} else {
			before[c.ID], changed = len(changed), append(changed, c)
		}
	}
	return joined, changed
}

// userChangeOf gives what an event changes of its user; ok is false for all others.
func userChangeOf(e domain.Event) (c userChange, ok bool) {
	c.ID = e.Subject()
	switch e := e.(type) {
	case domain.AdminGranted:
		c.Admin = new(true)
	case domain.AdminRevoked:
		c.Admin = new(false)
	case domain.RoleGranted:
		ok = c.changeRole(e.Role, true)
		return c, ok
	case domain.RoleRevoked:
		ok = c.changeRole(e.Role, false)
		return c, ok
	case domain.PersonalDataErased:
		c.Admin, c.Erased = new(false), true
	default:
		return userChange{}, false
	}
	return c, true
}

// changeRole notes a role that is shown; ok is false for one that is not.
func (c *userChange) changeRole(r domain.Role, has bool) (ok bool) {
	if r == domain.AdminRole {
		c.Admin = &has
	}
	return c.Admin != nil
}

// apply changes a user's row.
func (c userChange) apply(u *User) {
	if c.Admin != nil {
		u.Admin = *c.Admin
	}
	if c.Erased {
		u.Email = domain.Sealed{}
	}
}

// follow adds the change to an earlier one.
func (c userChange) follow(before *userChange) {
	if c.Admin != nil {
		before.Admin = c.Admin
	}
	before.Erased = before.Erased || c.Erased
}

// sumTrial adds up what a batch moves on the whole ledger.
func sumTrial(batch []eventstore.Recorded) map[domain.LedgerAccount]domain.Credits {
	sums := map[domain.LedgerAccount]domain.Credits{}
	for _, rec := range batch {
		if _, ok := rec.Event.(domain.SignedUp); ok {
			sums[allUsers]++
		}
		wallet, house, ok := movementOf(rec.Event)
		if !ok {
			continue
		}
		sums[allAvailable] += wallet.Available
		sums[allHeld] += wallet.Held
		if wallet.Given != 0 { // else no row: a log of before there were given credits has none
			sums[allGiven] += wallet.Given
		}
		if wallet.GivenHeld != 0 {
			sums[allGivenHeld] += wallet.GivenHeld
		}
		for _, p := range house {
			sums[p.Account] += p.Amount
		}
	}
	return sums
}
