package projectionstest

import (
	"cmp"
	"slices"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
)

// reckoning answers every question from the whole log, each time from its first
// entry, with no more memory than that. It is slow and knows nothing of how the
// views do it.
type reckoning []eventstore.Recorded

func (r reckoning) sum(account domain.LedgerAccount) (sum domain.Credits, moved eventstore.Position) {
	for _, rec := range r {
		if e, ok := rec.Event.(domain.Mover); ok {
			for _, p := range e.Moved().Postings {
				if p.Account == account {
					sum, moved = sum+p.Amount, rec.Position
				}
			}
		}
	}
	return sum, moved
}

func (r reckoning) users() (list []projections.User) {
	for _, rec := range slices.Backward(r) {
		if e, ok := rec.Event.(domain.SignedUp); ok {
			list = append(list, projections.User{ID: e.User, Email: e.Email, Admin: r.admin(e.User), SignedUpAt: rec.Time,
				Position: rec.Position, Balance: r.balance(e.User, rec.Position)})
		}
	}
	return list
}

func (r reckoning) admin(u domain.UserID) (admin bool) {
	for _, rec := range r {
		switch rec.Event {
		case domain.AdminGranted{User: u}:
			admin = true
		case domain.AdminRevoked{User: u}:
			admin = false
		}
	}
	return admin
}

func (r reckoning) balance(u domain.UserID, signedUp eventstore.Position) projections.Balance {
	bought, a := r.sum(domain.AvailableOf(u))
	held, b := r.sum(domain.HeldOf(u))
	given, c := r.sum(domain.GivenOf(u))
	givenHeld, d := r.sum(domain.GivenHeldOf(u))
	return projections.Balance{User: u, Available: bought + given, Held: held + givenHeld, Given: given, GivenHeld: givenHeld,
		Position: max(a, b, c, d, signedUp)}
}

func (r reckoning) predictions(u domain.UserID) (list []projections.Prediction) {
	for _, rec := range slices.Backward(r) {
		e, ok := rec.Event.(domain.PredictionRequested)
		if !ok || e.User != u {
			continue
		}
		p := projections.Prediction{ID: e.Prediction, User: u, State: domain.StateHeld, Text: e.Text, Price: e.Price, Limit: e.Limit,
			RequestedAt: rec.Time, ExpiresAt: e.ExpiresAt, Position: rec.Position}
		for _, rec := range r {
			switch end := rec.Event.(type) {
			case domain.PredictionCompleted:
				if end.Prediction == p.ID {
					p.State, p.EndedAt, p.EndPosition = domain.StateCaptured, rec.Time, rec.Position
					p.Movies, p.Model, p.Catalogue, p.ProcessingTime = end.Movies, end.Model, end.Catalogue, end.ProcessingTime
				}
			case domain.PredictionFailed:
				if end.Prediction == p.ID {
					p.State, p.EndedAt, p.EndPosition, p.Failure = domain.StateReleased, rec.Time, rec.Position, end.Reason
				}
			case domain.PredictionExpired:
				if end.Prediction == p.ID {
					p.State, p.EndedAt, p.EndPosition = domain.StateExpired, rec.Time, rec.Position
				}
			}
		}
		list = append(list, p)
	}
	return list
}

// transactions are the movements of the available balance, whatever event made
// them; type and status follow from the two accounts and from the prediction's end.
func (r reckoning) transactions(u domain.UserID) (list []projections.Transaction) {
	ends := map[domain.PredictionID]string{}
	for _, p := range r.predictions(u) {
		ends[p.ID] = string(p.State)
	}
	var balance domain.Credits
	for _, rec := range r {
		e, ok := rec.Event.(domain.Mover)
		if !ok {
			continue
		}
		given := e.Moved().Amount(domain.GivenOf(u))
		amount := e.Moved().Amount(domain.AvailableOf(u)) + given
		if amount == 0 {
			continue
		}
		balance += amount
		line := projections.Transaction{Position: rec.Position, User: u, Status: projections.StatusDone, Amount: amount, Given: given, BalanceAfter: balance, At: rec.Time}
		switch e := rec.Event.(type) {
		case domain.BonusGranted:
			line.Type = projections.Bonus
		case domain.Deposited:
			line.Type = projections.Deposit
		case domain.Withdrawn:
			line.Type = projections.Withdrawal
		case domain.BalanceAdjusted:
			line.Type, line.Admin, line.Reason, line.Reference = projections.AdminAdjustment, e.Admin, e.Reason, e.Reference
		case domain.PredictionRequested:
			line.Type, line.Prediction, line.Status = projections.Charge, e.Prediction, ends[e.Prediction]
		case domain.PredictionFailed:
			line.Type, line.Prediction, line.Status = projections.Charge, e.Prediction, ends[e.Prediction]
		case domain.PredictionExpired:
			line.Type, line.Prediction, line.Status = projections.Charge, e.Prediction, ends[e.Prediction]
		}
		list = append(list, line)
	}
	slices.Reverse(list)
	return list
}

func (r reckoning) openHolds(before time.Time, limit int) (list []projections.Prediction) {
	for _, u := range r.users() {
		for _, p := range r.predictions(u.ID) {
			if !p.State.Ended() && p.ExpiresAt.Before(before) {
				list = append(list, p)
			}
		}
	}
	slices.SortFunc(list, func(a, b projections.Prediction) int {
		return cmp.Or(a.ExpiresAt.Compare(b.ExpiresAt), cmp.Compare(a.Position, b.Position))
	})
	return list[:min(limit, len(list))]
}

func (r reckoning) trial() projections.Trial {
	t := projections.Trial{Position: eventstore.Position(len(r)), Accounts: map[domain.LedgerAccount]domain.Credits{}}
	for _, u := range r.users() {
		t.Users++
		t.Available += u.Balance.Available
		t.Held += u.Balance.Held
		t.Given += u.Balance.Given
		t.GivenHeld += u.Balance.GivenHeld
	}
	for _, account := range []domain.LedgerAccount{domain.HouseCash, domain.HouseBonus, domain.HouseRevenue, domain.HouseAdjustments,
		domain.HouseGivenBonus, domain.HouseGivenSpent, domain.HouseGivenAdjustments} {
		if sum, moved := r.sum(account); moved > 0 {
			t.Accounts[account] = sum
		}
	}
	return t
}
