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
		if e, ok := rec.Event.(domain.MoneyEvent); ok {
			for _, p := range e.Money().Postings {
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
			if slices.ContainsFunc(r, func(rec eventstore.Recorded) bool { return rec.Event == domain.PersonalDataErased{User: e.User} }) {
				e.Email = domain.Sealed{}
			}
			list = append(list, projections.User{ID: e.User, Email: e.Email, Admin: r.admin(e.User), SignedUpAt: rec.Time,
				Position: rec.Position, Balance: r.balance(e.User, rec.Position)})
		}
	}
	return list
}

func (r reckoning) admin(u domain.UserID) (admin bool) {
	for _, rec := range r {
		if rec.Event.Subject() != u {
			continue
		}
		switch e := rec.Event.(type) {
		case domain.AdminGranted:
			admin = true
		case domain.AdminRevoked, domain.PersonalDataErased:
			admin = false
		case domain.RoleGranted:
			admin = admin || e.Role == domain.AdminRole
		case domain.RoleRevoked:
			admin = admin && e.Role != domain.AdminRole
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
		if e.FollowUp != nil {
			p.FollowUpOf, p.Excluded = e.FollowUp.Of, e.FollowUp.Excluded
		}
		for _, rec := range r {
			switch end := rec.Event.(type) {
			case domain.PredictionCompleted:
				if end.Prediction == p.ID {
					p.State, p.EndedAt, p.EndPosition = domain.StateCaptured, rec.Time, rec.Position
					p.Movies, p.Model, p.Catalogue, p.ProcessingTime, p.Confidence = end.Movies, end.Model, end.Catalogue, end.ProcessingTime, end.Confidence
				}
			case domain.PredictionFailed:
				if end.Prediction == p.ID {
					p.State, p.EndedAt, p.EndPosition, p.Failure = domain.StateReleased, rec.Time, rec.Position, end.Reason
				}
			case domain.PredictionExpired:
				if end.Prediction == p.ID {
					p.State, p.EndedAt, p.EndPosition = domain.StateExpired, rec.Time, rec.Position
				}
			case domain.PredictionRefunded:
				if end.Prediction == p.ID {
					p.State, p.RefundedAt, p.RefundPosition = domain.StateRefunded, rec.Time, rec.Position
				}
			case domain.PredictionConfirmed:
				if end.Prediction == p.ID {
					p.Confirmed, p.ConfirmedAt, p.ConfirmPosition = end.Movie, rec.Time, rec.Position
				}
			}
		}
		list = append(list, p)
	}
	return list
}

// questions are predictions that follow no other.
func (r reckoning) questions(u domain.UserID) (list []projections.Prediction) {
	for _, p := range r.predictions(u) {
		if p.FollowUpOf == "" {
			list = append(list, p)
		}
	}
	return list
}

func (r reckoning) followUps(u domain.UserID) map[domain.PredictionID][]projections.Prediction {
	found := map[domain.PredictionID][]projections.Prediction{}
	for _, p := range slices.Backward(r.predictions(u)) {
		if p.FollowUpOf != "" {
			found[p.FollowUpOf] = append(found[p.FollowUpOf], p)
		}
	}
	return found
}

func (r reckoning) ids(u domain.UserID) (ids []domain.PredictionID) {
	for _, p := range r.predictions(u) {
		ids = append(ids, p.ID)
	}
	return ids
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
		e, ok := rec.Event.(domain.MoneyEvent)
		if !ok {
			continue
		}
		given := e.Money().Amount(domain.GivenOf(u))
		amount := e.Money().Amount(domain.AvailableOf(u)) + given
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
		case domain.BalanceMovedIn:
			line.Type = projections.MovedIn
		case domain.CreditsForfeited:
			line.Type = projections.Forfeiture
		case domain.PredictionRequested:
			line.Type, line.Prediction, line.Status = projections.Charge, e.Prediction, ends[e.Prediction]
		case domain.PredictionFailed:
			line.Type, line.Prediction, line.Status = projections.Charge, e.Prediction, ends[e.Prediction]
		case domain.PredictionRefunded:
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
		domain.HouseGivenBonus, domain.HouseGivenSpent, domain.HouseGivenAdjustments, domain.HouseForfeited, domain.HouseMovedIn, domain.HouseGivenMovedIn, domain.HouseGivenForfeited} {
		if sum, moved := r.sum(account); moved > 0 {
			t.Accounts[account] = sum
		}
	}
	return t
}
