package domain

import (
	"fmt"
	"slices"
	"time"
)

// Bounds of refunds.
const (
	RefundWindow       = 24 * time.Hour // from an answer, in which it can be refunded
	MaxRefundable      = 32             // the newest answers of an account that can be
	MaxRefundsPerMonth = 100
	MaxAccountDays     = 366 // that a policy may ask of an account
)

// RefundPolicy is who may have a refund. It is stored in each refund that was decided
// under it, so that an audit does not need the settings of that time.
type RefundPolicy struct {
	PerMonth    int `json:"per_month"`    // at most, of one account in a calendar month (UTC); 0: none
	AccountDays int `json:"account_days"` // since the sign-up, at least
}

// Captured is a paid answer that can be refunded, and the conversation that it began. What
// takes it out of the account's list ends both: its age, newer answers, or "that's it".
type Captured struct {
	Prediction PredictionID `json:"prediction_id"`
	Price      Credits      `json:"price"`
	Given      Credits      `json:"given,omitempty"` // how much of the price was of given credits
	At         time.Time    `json:"at"`              // of the answer
	Refunded   bool         `json:"refunded,omitempty"`

	FollowUps []FollowUpState `json:"follow_ups,omitempty"` // that count, in the order in which they were asked
}

// Refunds counts the refunds of a calendar month.
type Refunds struct {
	Month string `json:"month"` // such as 2026-03
	Count int    `json:"count"`
}

// On is the count that holds at a moment. A month never goes back: the clocks of several
// processes differ, and around midnight an account would have two months at once.
func (r Refunds) On(now time.Time) Refunds {
	if month := now.UTC().Format("2006-01"); month > r.Month {
		return Refunds{Month: month}
	}
	return r
}

// Refund returns the price of a paid answer, once, because the user says that no film of its
// conversation is the right one. id names the paid prediction or any follow-up of it that
// counts, answered or not; the event names the paid one. After it the conversation is
// refined and confirmed no more.
func (a Account) Refund(id PredictionID, policy RefundPolicy, now time.Time) ([]Event, error) {
	i, err := a.refundable(id, policy, now)
	if err != nil {
		return nil, err
	}
	e := PredictionRefunded{User: a.User, Prediction: a.Captured[i].Prediction, Price: a.Captured[i].Price, Reason: NoneOfThese,
		Number: a.Refunds.On(now).Count + 1, RefundPolicy: policy}
	e.Movement = a.after(e)
	return []Event{e}, nil
}

// RequestInstead asks a question in place of an earlier one: in the same change, the
// price of that one's answer is returned as by Refund. If Refund refuses it, the question is
// asked without.
func (a Account) RequestInstead(earlier PredictionID, q Question, policy RefundPolicy) ([]Event, error) {
	refund, err := a.Refund(earlier, policy, q.AskedAt)
	if err != nil && RefusalIn(err) == nil {
		return nil, err
	}
	a = a.Clone()
	for _, e := range refund {
		if err := a.Apply(e, q.AskedAt); err != nil {
			return nil, err
		}
	}
	asked, err := a.RequestPrediction(q)
	if err != nil {
		return nil, err
	}
	return append(refund, asked...), nil
}

// refundable is the answer's index in the list of paid ones, or why it is not refunded.
func (a *Account) refundable(id PredictionID, policy RefundPolicy, now time.Time) (int, error) {
	if err := a.mustExist(); err != nil {
		return -1, err
	}
	i := a.conversation(id)
	switch {
	case i >= 0 && a.Captured[i].Refunded:
		return -1, Reject(AlreadyRefunded, "the credits of this prediction were given back already")
	case i < 0 || now.After(a.Captured[i].At.Add(RefundWindow)):
		return -1, Reject(NotRefundable, "only an answer that was paid for in the last %d hours, and is one of the last %d, is refunded",
			int(RefundWindow.Hours()), MaxRefundable)
	case policy.PerMonth <= 0:
		return -1, Reject(RefundsOff, "answers are not refunded here")
	case now.Before(a.JoinedAt.AddDate(0, 0, policy.AccountDays)):
		return -1, Reject(AccountTooNew, "refunds begin %d days after the sign-up", policy.AccountDays)
	case a.Refunds.On(now).Count >= policy.PerMonth:
		return -1, Reject(RefundLimit, "there are at most %d refunds in a calendar month", policy.PerMonth)
	}
	return i, a.room(a.Captured[i].Price)
}

// RefundOffer is what a user is shown before requesting a refund.
type RefundOffer struct {
	RefundPolicy
	Until time.Time // of this answer
	Left  int       // refunds of this month
	No    Code      // why it would be refused; "" where it would not
}

// RefundOffer reports whether an answer would be refunded.
func (a Account) RefundOffer(id PredictionID, policy RefundPolicy, now time.Time) RefundOffer {
	offer := RefundOffer{RefundPolicy: policy, Left: max(0, policy.PerMonth-a.Refunds.On(now).Count)}
	i, err := a.refundable(id, policy, now)
	if refusal := RefusalIn(err); refusal != nil {
		offer.No = refusal.Code
		return offer
	}
	offer.Until = a.Captured[i].At.Add(RefundWindow)
	return offer
}

func (a *Account) captured(id PredictionID) int {
	return slices.IndexFunc(a.Captured, func(c Captured) bool { return c.Prediction == id })
}

// capture remembers a paid answer, and drops those that are too old, or too many, to be
// refunded. The list is never changed in place, because clones of the account share it.
func (a *Account) capture(h Hold, at time.Time) {
	recent := slices.IndexFunc(a.Captured, func(c Captured) bool { return !at.After(c.At.Add(RefundWindow)) })
	if recent < 0 {
		recent = len(a.Captured)
	}
	recent = max(recent, len(a.Captured)+1-MaxRefundable)
	a.Captured = append(slices.Clip(a.Captured[recent:]), Captured{Prediction: h.Prediction, Price: h.Price, Given: h.Given, At: at})
}

// refund marks a paid answer as refunded: it must be one, once, and for its price.
func (a *Account) refund(e PredictionRefunded, at time.Time) error {
	i := a.captured(e.Prediction)
	if i < 0 {
		return broken("prediction %s is refunded and was not captured, or long ago", e.Prediction)
	}
	if a.Captured[i].Refunded {
		return broken("prediction %s is refunded twice", e.Prediction)
	}
	if a.Captured[i].Price != e.Price {
		return broken("prediction %s captured %d and is refunded with %d", e.Prediction, a.Captured[i].Price, e.Price)
	}
	a.Refunds = a.Refunds.On(at)
	if a.Refunds.Count++; a.Refunds.Count != e.Number {
		return broken("refund %d of %s says that it is number %d", a.Refunds.Count, a.Refunds.Month, e.Number)
	}
	a.Captured = slices.Clone(a.Captured)
	a.Captured[i].Refunded = true
	return nil
}

// Check refuses a policy that is out of bounds.
func (p RefundPolicy) Check() error {
	if p.PerMonth < 0 || p.PerMonth > MaxRefundsPerMonth {
		return fmt.Errorf("refunds in a month must be from 0 to %d", MaxRefundsPerMonth)
	}
	if p.AccountDays < 0 || p.AccountDays > MaxAccountDays {
		return fmt.Errorf("the age of an account that is refunded must be from 0 to %d days", MaxAccountDays)
	}
	return nil
}
