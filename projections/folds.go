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

// foldPredictions gives the predictions that a batch begins, as they are at its
// end, and the ends of those that began before.
func foldPredictions(batch []eventstore.Recorded) (asked, ended []Prediction, err error) {
	begun := map[domain.PredictionID]int{} // where it stands in asked
	for _, rec := range batch {
		if e, ok := rec.Event.(domain.PredictionRequested); ok {
			begun[e.Prediction] = len(asked)
			asked = append(asked, predictionOf(rec, e))
			continue
		}
		id, ok := endingOf(rec.Event)
		if !ok {
			continue
		}
		before := Prediction{ID: id, User: rec.Event.Subject(), State: domain.StateHeld}
		i, here := begun[id]
		if here {
			before = asked[i]
		}
		after, ok := before.end(rec)
		if !ok {
			return nil, nil, fmt.Errorf("%w: %s on a prediction that is %s", domain.ErrBroken, rec.Type, before.State)
		}
		if here {
			asked[i] = after
		} else {
			ended = append(ended, after)
		}
	}
	return asked, ended, nil
}

// foldUsers gives who signs up in a batch, as they are at its end, and those from
// before whose rights it changes.
func foldUsers(batch []eventstore.Recorded) (joined, changed []User) {
	var order []*User
	at := map[domain.UserID]*User{}
	for _, rec := range batch {
		switch e := rec.Event.(type) {
		case domain.SignedUp:
			u := &User{ID: e.User, Email: e.Email, SignedUpAt: rec.Time, Position: rec.Position}
			at[e.User], order = u, append(order, u)
		case domain.AdminGranted, domain.AdminRevoked:
			u := at[e.Subject()]
			if u == nil {
				u = &User{ID: e.Subject()}
				at[u.ID], order = u, append(order, u)
			}
			_, u.Admin = e.(domain.AdminGranted)
		}
	}
	for _, u := range order {
		if u.Position > 0 {
			joined = append(joined, *u)
		} else {
			changed = append(changed, *u)
		}
	}
	return joined, changed
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
