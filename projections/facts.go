package projections

import (
	"fmt"

	"kassa/domain"
	"kassa/eventstore"
)

// ofNoAccount reports whether an event is in the stream of an e-mail, of a payment or of
// the house, which hold nothing that views show.
func ofNoAccount(e domain.Event) bool {
	switch e.(type) {
	case domain.EmailClaimed, domain.PaymentClaimed, domain.MoveInAccepted, domain.PriceSet, domain.PeriodClosed, domain.ViewsAttested, domain.CatalogueRecorded, domain.LedgerVerified, domain.AdjustmentLimitsSet, domain.AdjustmentCounted,
		domain.AdjustmentProposed, domain.AdjustmentApproved, domain.AdjustmentRejected, domain.AdjustmentExpired:
		return true
	}
	return false
}

// inItsStream checks that an event is in the stream of its subject.
func inItsStream(rec eventstore.Recorded) error {
	if ofNoAccount(rec.Event) || rec.Stream == eventstore.AccountStream(rec.Event.Subject()) {
		return nil
	}
	return fmt.Errorf("%w: %s of %s in the stream %s", domain.ErrBroken, rec.Type, rec.Event.Subject(), rec.Stream)
}

// transactionOf gives the transaction that an event adds to its person's history;
// ok is false for events that do not move the available balance.
func transactionOf(rec eventstore.Recorded) (t Transaction, ok bool) {
	if _, _, moves := movementOf(rec.Event); !moves {
		return Transaction{}, false
	}
	t = Transaction{Position: rec.Position, At: rec.Time, Status: StatusDone}
	switch e := rec.Event.(type) {
	case domain.BonusGranted:
		t.User, t.Type, t.Amount = e.User, Bonus, e.Amount
	case domain.Deposited:
		t.User, t.Type, t.Amount = e.User, Deposit, e.Amount
	case domain.Withdrawn:
		t.User, t.Type, t.Amount = e.User, Withdrawal, -e.Amount
	case domain.BalanceAdjusted:
		t.User, t.Type, t.Amount = e.User, AdminAdjustment, e.Amount
		t.Admin, t.Reason, t.Reference = e.Admin, e.Reason, e.Reference
	case domain.BalanceMovedIn:
		t.User, t.Type, t.Amount = e.User, MovedIn, e.Amount
	case domain.CreditsForfeited:
		t.User, t.Type, t.Amount = e.User, Forfeiture, -e.Amount
	case domain.PredictionRequested:
		t.User, t.Type, t.Amount = e.User, Charge, -e.Price
		t.Prediction, t.Status = e.Prediction, string(domain.StateHeld)
	case domain.PredictionFailed:
		t.User, t.Type, t.Amount = e.User, Charge, e.Price
		t.Prediction, t.Status = e.Prediction, string(domain.StateReleased)
	case domain.PredictionExpired:
		t.User, t.Type, t.Amount = e.User, Charge, e.Price
		t.Prediction, t.Status = e.Prediction, string(domain.StateExpired)
	case domain.PredictionRefunded:
		t.User, t.Type, t.Amount = e.User, Charge, e.Price
		t.Prediction, t.Status = e.Prediction, string(domain.StateRefunded)
	default:
		return Transaction{}, false
	}
	moved := rec.Event.(domain.MoneyEvent).Money()
	wallet, _ := moved.Wallet(t.User)
	t.BalanceAfter, t.Given = moved.Available, wallet.Given
	return t, true
}

// predictionOf gives the prediction that a request begins.
func predictionOf(rec eventstore.Recorded, e domain.PredictionRequested) Prediction {
	p := Prediction{ID: e.Prediction, User: e.User, State: domain.StateHeld, Text: e.Text, Price: e.Price,
		Limit: e.Limit, RequestedAt: rec.Time, ExpiresAt: e.ExpiresAt, Position: rec.Position}
	if e.FollowUp != nil {
		p.FollowUpOf, p.Excluded = e.FollowUp.Of, e.FollowUp.Excluded
	}
	return p
}

// RequestedBy gives the prediction that an entry begins; ok is false for all others.
func RequestedBy(rec eventstore.Recorded) (p Prediction, ok bool) {
	e, ok := rec.Event.(domain.PredictionRequested)
	if !ok {
		return Prediction{}, false
	}
	return predictionOf(rec, e), true
}

// endingOf names the prediction that an event ends; ok is false for all others.
func endingOf(e domain.Event) (id domain.PredictionID, ok bool) {
	switch e := e.(type) {
	case domain.PredictionCompleted:
		return e.Prediction, true
	case domain.PredictionFailed:
		return e.Prediction, true
	case domain.PredictionExpired:
		return e.Prediction, true
	}
	return "", false
}

// verdictOf names the prediction that an event refunds, or of which it confirms a film; ok
// is false for all others. A prediction has one of them at most.
func verdictOf(e domain.Event) (id domain.PredictionID, ok bool) {
	switch e := e.(type) {
	case domain.PredictionRefunded:
		return e.Prediction, true
	case domain.PredictionConfirmed:
		return e.Prediction, true
	}
	return "", false
}

// step gives the prediction after an event that ends, refunds or confirms it; ok is false
// where the state table has no such step, or the event is of another person.
func (p Prediction) step(rec eventstore.Recorded) (Prediction, bool) {
	next, ok := p.State.Next(rec.Type)
	if !ok || rec.Event.Subject() != p.User || p.ConfirmPosition > 0 {
		return p, false
	}
	p.State = next
	switch e := rec.Event.(type) {
	case domain.PredictionRefunded:
		p.RefundedAt, p.RefundPosition = rec.Time, rec.Position
		return p, true
	case domain.PredictionConfirmed:
		p.Confirmed, p.ConfirmedAt, p.ConfirmPosition = e.Movie, rec.Time, rec.Position
		return p, true
	}
	p.EndedAt, p.EndPosition = rec.Time, rec.Position
	switch e := rec.Event.(type) {
	case domain.PredictionCompleted:
		p.Movies, p.Model, p.Catalogue, p.ProcessingTime, p.Confidence = e.Movies, e.Model, e.Catalogue, e.ProcessingTime, e.Confidence
	case domain.PredictionFailed:
		p.Failure = e.Reason
	}
	return p, true
}

// movementOf splits what an event moves into its person's wallet and the postings of the
// house's accounts; ok is false where it moves nothing.
func movementOf(e domain.Event) (wallet domain.Wallet, house []domain.Posting, ok bool) {
	m, ok := e.(domain.MoneyEvent)
	if !ok || len(m.Money().Postings) == 0 { // of a follow-up
		return domain.Wallet{}, nil, false
	}
	wallet, house = m.Money().Wallet(e.Subject())
	return wallet, house, true
}

// APIStatus is the state of a prediction in the vocabulary of the API.
func APIStatus(s domain.PredictionState) string {
	switch s {
	case domain.StateHeld:
		return "pending"
	case domain.StateCaptured:
		return "completed"
	case domain.StateReleased:
		return "failed"
	}
	return string(s)
}
