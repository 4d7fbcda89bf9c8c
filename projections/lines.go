package projections

import (
	"fmt"

	"kassa/domain"
	"kassa/eventstore"
)

// claims says whether a fact is no account's: the streams of e-mails and of payments
// hold nothing that views show.
func claims(e domain.Event) bool {
	switch e.(type) {
	case domain.EmailClaimed, domain.PaymentClaimed:
		return true
	}
	return false
}

// inItsStream says whether a fact stands in the stream of the person whom it is about.
func inItsStream(rec eventstore.Recorded) error {
	if claims(rec.Event) || rec.Stream == eventstore.AccountStream(rec.Event.Subject()) {
		return nil
	}
	return fmt.Errorf("%w: %s of %s in the stream %s", domain.ErrBroken, rec.Type, rec.Event.Subject(), rec.Stream)
}

// transactionOf gives the line that an event adds to its person's transactions;
// ok is false for events that do not move the available balance.
func transactionOf(rec eventstore.Recorded) (t Transaction, ok bool) {
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
	case domain.PredictionRequested:
		t.User, t.Type, t.Amount = e.User, Charge, -e.Price
		t.Prediction, t.Status = e.Prediction, string(domain.StateHeld)
	case domain.PredictionFailed:
		t.User, t.Type, t.Amount = e.User, Charge, e.Price
		t.Prediction, t.Status = e.Prediction, string(domain.StateReleased)
	case domain.PredictionExpired:
		t.User, t.Type, t.Amount = e.User, Charge, e.Price
		t.Prediction, t.Status = e.Prediction, string(domain.StateExpired)
	default:
		return Transaction{}, false
	}
	moved := rec.Event.(domain.Mover).Moved()
	wallet, _ := moved.Wallet(t.User)
	t.BalanceAfter, t.Given = moved.Available, wallet.Given
	return t, true
}

// predictionOf gives the prediction that a request begins.
func predictionOf(rec eventstore.Recorded, e domain.PredictionRequested) Prediction {
	return Prediction{ID: e.Prediction, User: e.User, State: domain.StateHeld, Text: e.Text, Price: e.Price,
		Limit: e.Limit, RequestedAt: rec.Time, ExpiresAt: e.ExpiresAt, Position: rec.Position}
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

// end gives the prediction after an ending event; ok is false where the state
// table has no such step.
func (p Prediction) end(rec eventstore.Recorded) (Prediction, bool) {
	next, ok := p.State.Next(rec.Type)
	if !ok {
		return p, false
	}
	p.State, p.EndedAt, p.EndPosition = next, rec.Time, rec.Position
	switch e := rec.Event.(type) {
	case domain.PredictionCompleted:
		p.Movies, p.Model, p.Catalogue, p.ProcessingTime = e.Movies, e.Model, e.Catalogue, e.ProcessingTime
	case domain.PredictionFailed:
		p.Failure = e.Reason
	}
	return p, true
}

// movementOf sorts what an event adds: to its person's wallet, and to the house's
// accounts. ok is false where it moves nothing.
func movementOf(e domain.Event) (wallet domain.Wallet, house []domain.Posting, ok bool) {
	m, ok := e.(domain.Mover)
	if !ok {
		return domain.Wallet{}, nil, false
	}
	wallet, house = m.Moved().Wallet(e.Subject())
	return wallet, house, true
}

// Word is the state of a prediction in the words of the API.
func Word(s domain.PredictionState) string {
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
