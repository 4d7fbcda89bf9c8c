package domain

import (
	"fmt"
	"time"
)

// Bounds of what people may send.
const (
	MaxOpenHolds      = 64   // open questions of one account
	MaxTextRunes      = 2000 // of a question
	MaxReasonRunes    = 300  // of an adjustment
	MaxReferenceRunes = 100
	MaxEmailBytes     = 254
	MaxMovies         = 50 // of one answer
)

// Each decision checks first the request, then the accounts, then the balances. The order
// decides which of several reasons a person reads; decide_test.go fixes it.

// SignUp opens an account with a welcome bonus (0: none).
func (a Account) SignUp(user UserID, email Sealed, bonus Credits) ([]Event, error) {
	if bonus < 0 || bonus > MaxAmount {
		return nil, Reject(InvalidAmount, "the bonus must be from 0 to %d credits", MaxAmount)
	}
	if a.Exists() {
		return nil, Reject(AccountExists, "this account is open already")
	}
	events := []Event{SignedUp{User: user, Email: email}}
	if bonus > 0 {
		a.User = user
		e := BonusGranted{User: user, Amount: bonus}
		e.Movement = a.after(e)
		events = append(events, e)
	}
	return events, nil
}

// Deposit adds money that a payment provider took.
func (a Account) Deposit(amount Credits, provider, payment string) ([]Event, error) {
	if err := a.CanDeposit(amount); err != nil {
		return nil, err
	}
	e := Deposited{User: a.User, Amount: amount, Provider: provider, Payment: payment}
	e.Movement = a.after(e)
	return []Event{e}, nil
}

// CanDeposit reports whether a deposit would be refused, before a provider is asked.
func (a Account) CanDeposit(amount Credits) error {
	if err := checkAmount(amount); err != nil {
		return err
	}
	if err := a.mustStay(); err != nil {
		return err
	}
	return a.room(amount)
}

// Withdraw gives money back. What was given is no money.
func (a Account) Withdraw(amount Credits, provider, payment string) ([]Event, error) {
	if err := checkAmount(amount); err != nil {
		return nil, err
	}
	if err := a.mustExist(); err != nil {
		return nil, err
	}
	if amount > a.Withdrawable() {
		return nil, Reject(InsufficientFunds, "this takes %d credits, and %d can be withdrawn; what was given is for answers", amount, a.Withdrawable())
	}
	e := Withdrawn{User: a.User, Amount: amount, Provider: provider, Payment: payment}
	e.Movement = a.after(e)
	return []Event{e}, nil
}

// Question is a request for films.
type Question struct {
	Prediction PredictionID
	Text       Sealed // CheckText has seen what is under the seal
	Price      Credits
	Limit      int
	AskedAt    time.Time
	ExpiresAt  time.Time

	FreePerHour int // free attempts that an account has; 0: any number
}

// RequestPrediction holds the price of one answer. The expiry is kept as it will
// be read back from the log: in UTC, and without the clock reading of this process.
func (a Account) RequestPrediction(q Question) ([]Event, error) {
	if q.Limit < 1 || q.Limit > MaxMovies {
		return nil, Reject(InvalidLimit, "the limit must be from 1 to %d films", MaxMovies)
	}
	if err := checkAmount(q.Price); err != nil {
		return nil, err
	}
	if err := a.mustStay(); err != nil {
		return nil, err
	}
	if a.hold(q.Prediction) >= 0 {
		return nil, Reject(PredictionExists, "this prediction was asked already")
	}
	if err := a.afford(q.Price); err != nil {
		return nil, err
	}
	if err := a.mayTry(q.FreePerHour, q.AskedAt); err != nil {
		return nil, err
	}
	if len(a.Holds) >= MaxOpenHolds {
		return nil, Reject(TooManyOpen, "%d predictions wait for their answers already", MaxOpenHolds)
	}
	e := PredictionRequested{User: a.User, Prediction: q.Prediction, Text: q.Text, Price: q.Price,
		Limit: q.Limit, ExpiresAt: q.ExpiresAt.UTC()}
	e.Movement = a.after(e)
	return []Event{e}, nil
}

// Answer is what the matcher found.
type Answer struct {
	Movies         []Match
	Model          string
	Catalogue      string
	ProcessingTime float64 // seconds
	Confidence     int     // probability that the first film is meant, per mille; 0: not known
}

// Complete captures the price of an answered question; no film is an answer too.
// Where the hold has ended already, nothing changes: the answer came late, or twice.
func (a Account) Complete(id PredictionID, answer Answer) ([]Event, error) {
	if err := answer.check(); err != nil {
		return nil, err
	}
	i := a.hold(id)
	if i < 0 {
		return nil, nil
	}
	e := PredictionCompleted{User: a.User, Prediction: id, Price: a.Holds[i].Price,
		Movies: append([]Match{}, answer.Movies[:min(len(answer.Movies), MaxMovies)]...), Model: answer.Model,
		Catalogue: answer.Catalogue, ProcessingTime: answer.ProcessingTime, Confidence: answer.Confidence}
	e.Movement = a.after(e)
	return []Event{e}, nil
}

// Fail releases the price of a question that cannot be answered.
func (a Account) Fail(id PredictionID, reason FailureReason) ([]Event, error) {
	if !reason.Known() {
		return nil, fmt.Errorf("%w: an unknown reason for a failure", ErrAnswer)
	}
	i := a.hold(id)
	if i < 0 {
		return nil, nil
	}
	e := PredictionFailed{User: a.User, Prediction: id, Price: a.Holds[i].Price, Reason: reason}
	e.Movement = a.after(e)
	return []Event{e}, nil
}

// Expire releases the price of a question whose time is up. Before that time it
// decides nothing.
func (a Account) Expire(id PredictionID, now time.Time) ([]Event, error) {
	i := a.hold(id)
	if i < 0 || now.Before(a.Holds[i].ExpiresAt) {
		return nil, nil
	}
	e := PredictionExpired{User: a.User, Prediction: id, Price: a.Holds[i].Price}
	e.Movement = a.after(e)
	return []Event{e}, nil
}

// Correction is an admin's adjustment of another's balance.
type Correction struct {
	Amount Credits // positive: give; negative: take
	// Kind of the credits; "" gives given ones, and takes given ones first.
	Kind      Kind
	Reason    string
	Reference string // optional: a ticket, a letter
}

// Adjust corrects the balance by the admin's word. Not their own: a correction needs a
// second person, and admins deposit their own credits like all users.
func (a Account) Adjust(by Account, c Correction) ([]Event, error) {
	if err := checkAmount(max(c.Amount, -c.Amount)); err != nil {
		return nil, err
	}
	if c.Kind != "" && c.Kind != GivenCredits && c.Kind != BoughtCredits {
		return nil, Reject(InvalidKind, "the kind of credits is %s or %s", GivenCredits, BoughtCredits)
	}
	if err := checkReason(c.Reason); err != nil {
		return nil, err
	}
	if err := checkReference(c.Reference); err != nil {
		return nil, err
	}
	if !by.MayAdminister() {
		return nil, Reject(NotAdmin, "only an admin adjusts another's balance")
	}
	if by.User == a.User {
		return nil, Reject(OwnAdjustment, "an admin's own balance is adjusted by another admin")
	}
	if err := a.mustExist(); err != nil {
		return nil, err
	}
	if err := a.allows(c); err != nil {
		return nil, err
	}
	e := BalanceAdjusted{User: a.User, Admin: by.User, Amount: c.Amount, GivenAmount: a.givenOf(c), Reason: c.Reason, Reference: c.Reference}
	e.Movement = a.after(e)
	return []Event{e}, nil
}

// allows reports whether the wallet has the credits that an adjustment takes, of its
// kind, or room for those that it gives.
func (a *Account) allows(c Correction) error {
	if c.Amount > 0 {
		return a.room(c.Amount)
	}
	if there := a.availableOf(c.Kind); -c.Amount > there {
		return Reject(InsufficientFunds, "this takes %d credits, and %d are available", -c.Amount, there)
	}
	return nil
}

// availableOf is how many credits of a kind are available, of both where it is "".
func (a *Account) availableOf(k Kind) Credits {
	switch k {
	case GivenCredits:
		return a.Given
	case BoughtCredits:
		return a.Withdrawable()
	}
	return a.Available
}

// givenOf is how much of a correction is of given credits.
func (a *Account) givenOf(c Correction) Credits {
	switch {
	case c.Kind == BoughtCredits:
		return 0
	case c.Kind == GivenCredits, c.Amount > 0:
		return c.Amount
	}
	return -min(-c.Amount, a.Given)
}

func (a *Account) mustExist() error {
	if !a.Exists() || a.Erased {
		return Reject(AccountNotFound, "there is no such account")
	}
	return nil
}

func (a *Account) afford(amount Credits) error {
	if amount > a.Available {
		return Reject(InsufficientFunds, "this takes %d credits, and %d are available", amount, a.Available)
	}
	return nil
}

func (a *Account) room(amount Credits) error {
	if a.Available+a.Held > MaxBalance-amount {
		return Reject(BalanceLimit, "a wallet holds at most %d credits", MaxBalance)
	}
	return nil
}

// after is the movement of e: its postings, and the balances that follow.
func (a *Account) after(e MoneyEvent) Movement {
	sums := *a
	m := Movement{Postings: append([]Posting{}, postingsOf(e, a.givenIn(e))...)} // never null in JSON
	sums.add(m)
	m.Available, m.Held, m.Given, m.GivenHeld = sums.Available, sums.Held, sums.Given, sums.GivenHeld
	return m
}
