package domain

import (
	"fmt"
	"slices"
	"time"
)

// Bounds of a conversation.
const (
	MaxRefinements = 10           // that a policy may allow
	MaxRefineTime  = RefundWindow // for them, since an account forgets its answers after that
	MaxExcluded    = 150          // films of a conversation that were "not this"
	MaxSaidRunes   = 300          // of what is said in one refinement
)

// RefinePolicy is how many follow-ups a paid answer has, and for how long. It is stored in
// each, so that an audit does not need the settings of that time.
type RefinePolicy struct {
	Refinements int `json:"refinements"`    // at most, of one paid answer; 0: none
	Within      int `json:"within_seconds"` // since the paid answer
}

// FollowUp makes a prediction part of the conversation that a paid one began: it costs
// nothing, and is ranked without the films that were said to be wrong.
type FollowUp struct {
	Of       PredictionID `json:"of"`                 // the paid prediction
	Number   int          `json:"number"`             // of the conversation's follow-ups that count, from 1
	Excluded []string     `json:"excluded,omitempty"` // ids of films, of the whole conversation
	RefinePolicy
}

// FollowUpState is what an account keeps of a follow-up.
type FollowUpState struct {
	Prediction PredictionID `json:"prediction_id"`
	Answered   bool         `json:"answered,omitempty"`
}

// fromVersion2 upcasts a question from before there were follow-ups.
func (e *PredictionRequested) fromVersion2() { e.FollowUp = nil }

// charge is an event of a question's price: its request, or its end.
type charge interface{ charged() Credits }

func (e PredictionRequested) charged() Credits { return e.Price }
func (e PredictionCompleted) charged() Credits { return e.Price }
func (e PredictionFailed) charged() Credits    { return e.Price }
func (e PredictionExpired) charged() Credits   { return e.Price }

// free reports whether an event is of a follow-up, which moves nothing: the fold has seen
// that no other question has the price 0, and that an end has the price of its request.
func free(e MoneyEvent) bool {
	c, ok := e.(charge)
	return ok && c.charged() == 0
}

// Answered is what the entries of an answer say of its films.
type Answered struct {
	Excluded []string // films that were left out of it
	Limit    int      // films that were asked for
	Movies   []Match
}

// Has refuses a film that the answer does not have.
func (w Answered) Has(movie string) error {
	if slices.ContainsFunc(w.Movies, func(m Match) bool { return m.MovieID == movie }) {
		return nil
	}
	return Reject(InvalidMovies, "a film is named that is not in this answer")
}

// Without gives all films that are not the right one, where these of the answer are not.
func (w Answered) Without(notThese []string) ([]string, error) {
	excluded := slices.Clone(w.Excluded)
	for _, movie := range notThese {
		if err := w.Has(movie); err != nil {
			return nil, err
		}
		if !slices.Contains(excluded, movie) {
			excluded = append(excluded, movie)
		}
	}
	return excluded, nil
}

// CanRefine reports whether a follow-up of an answer would be refused, before the answer is read.
func (a Account) CanRefine(answer PredictionID, policy RefinePolicy, now time.Time) error {
	if err := a.mustStay(); err != nil {
		return err
	}
	_, err := a.refinable(answer, policy, now)
	return err
}

// Refine asks again in the conversation of an answer, for free. The question has all that was
// asked and said so far; excluded are all films that are not the right one. It must name the
// newest answer, so that of two tabs at once one is refused, and its text is never lost.
func (a Account) Refine(answer PredictionID, excluded []string, q Question, policy RefinePolicy) ([]Event, error) {
	if q.Limit < 1 || q.Limit > MaxMovies {
		return nil, Reject(InvalidLimit, "the limit must be from 1 to %d films", MaxMovies)
	}
	if len(excluded) > MaxExcluded {
		return nil, Reject(InvalidMovies, "at most %d films are left out in one conversation", MaxExcluded)
	}
	if err := a.mustStay(); err != nil {
		return nil, err
	}
	if a.hold(q.Prediction) >= 0 {
		return nil, Reject(PredictionExists, "this prediction was asked already")
	}
	i, err := a.refinable(answer, policy, q.AskedAt)
	if err != nil {
		return nil, err
	}
	if len(a.Holds) >= MaxOpenHolds {
		return nil, Reject(TooManyOpen, "%d predictions wait for their answers already", MaxOpenHolds)
	}
	e := PredictionRequested{User: a.User, Prediction: q.Prediction, Text: q.Text, Limit: q.Limit, ExpiresAt: q.ExpiresAt.UTC(),
		FollowUp: &FollowUp{Of: a.Captured[i].Prediction, Number: len(a.Captured[i].FollowUps) + 1, Excluded: excluded, RefinePolicy: policy}}
	e.Movement = a.after(e)
	return []Event{e}, nil
}

// CanConfirm reports whether it would be refused that a film of the answer is the right one,
// before the answer is read.
func (a Account) CanConfirm(answer PredictionID, now time.Time) error {
	if err := a.mustExist(); err != nil {
		return err
	}
	_, err := a.open(answer, RefundWindow, now)
	return err
}

// Confirm records that a film, which the answer has, is the right one.
func (a Account) Confirm(answer PredictionID, movie string, now time.Time) ([]Event, error) {
	if err := a.CanConfirm(answer, now); err != nil {
		return nil, err
	}
	return []Event{PredictionConfirmed{User: a.User, Prediction: answer, Movie: movie}}, nil
}

// open is the index of the conversation that has the answer, or why it is over.
func (a *Account) open(answer PredictionID, within time.Duration, now time.Time) (int, error) {
	i := a.conversation(answer)
	switch {
	case i >= 0 && a.Captured[i].Refunded:
		return -1, Reject(AlreadyRefunded, "the credits of this prediction were given back already")
	case i < 0 || !a.Captured[i].answered(answer) || now.After(a.Captured[i].At.Add(within)):
		return -1, Reject(ConversationClosed, "this conversation is over: its film was found, or its time is up")
	}
	return i, nil
}

// refinable is the index of the answer's conversation, or why it gets no follow-up.
func (a *Account) refinable(answer PredictionID, policy RefinePolicy, now time.Time) (int, error) {
	if policy.Refinements <= 0 {
		return -1, Reject(RefinementsOff, "answers are not refined here")
	}
	i, err := a.open(answer, time.Duration(policy.Within)*time.Second, now)
	if err != nil {
		return -1, err
	}
	c := a.Captured[i]
	switch {
	case a.pending(c.Prediction):
		return -1, Reject(RefinementPending, "the last refinement still waits for its answer")
	case c.newest() != answer:
		return -1, Reject(NewerAnswer, "this conversation has a newer answer")
	case len(c.FollowUps) >= policy.Refinements:
		return -1, Reject(RefinementLimit, "an answer is refined at most %d times", policy.Refinements)
	}
	return i, nil
}

// RefineOffer is what a user is shown before a refinement.
type RefineOffer struct {
	RefinePolicy
	Until time.Time
	Left  int  // refinements
	No    Code // why it would be refused; "" where it would not
	Open  bool // a film of the answer can be confirmed
}

// RefineOffer reports whether an answer would be refined.
func (a Account) RefineOffer(answer PredictionID, policy RefinePolicy, now time.Time) RefineOffer {
	offer := RefineOffer{RefinePolicy: policy}
	_, err := a.refinable(answer, policy, now)
	if refusal := RefusalIn(err); refusal != nil {
		offer.No = refusal.Code
	}
	_, err = a.open(answer, RefundWindow, now)
	offer.Open = err == nil
	if i := a.conversation(answer); i >= 0 {
		offer.Until = a.Captured[i].At.Add(time.Duration(policy.Within) * time.Second)
		offer.Left = max(0, policy.Refinements-len(a.Captured[i].FollowUps))
	}
	return offer
}

// conversation is the index of the paid answer that is the prediction, or has it as a
// follow-up.
func (a *Account) conversation(id PredictionID) int {
	return slices.IndexFunc(a.Captured, func(c Captured) bool { return c.Prediction == id || c.followUp(id) >= 0 })
}

// Conversation is the paid answer that is the prediction, or has it as a follow-up.
func (a *Account) Conversation(id PredictionID) (Captured, bool) {
	i := a.conversation(id)
	if i < 0 {
		return Captured{}, false
	}
	return a.Captured[i], true
}

// HasFollowUps reports whether the account knows of a follow-up.
func (a *Account) HasFollowUps() bool {
	return slices.ContainsFunc(a.Captured, func(c Captured) bool { return len(c.FollowUps) > 0 }) ||
		slices.ContainsFunc(a.Holds, func(h Hold) bool { return h.FollowUpOf != "" })
}

// pending reports whether a follow-up of the paid answer has not ended.
func (a *Account) pending(paid PredictionID) bool {
	return slices.ContainsFunc(a.Holds, func(h Hold) bool { return h.FollowUpOf == paid })
}

func (c Captured) followUp(id PredictionID) int {
	return slices.IndexFunc(c.FollowUps, func(f FollowUpState) bool { return f.Prediction == id })
}

// answered reports whether the prediction is the paid one, or a follow-up that has its answer.
func (c Captured) answered(id PredictionID) bool {
	i := c.followUp(id)
	return i < 0 && c.Prediction == id || i >= 0 && c.FollowUps[i].Answered
}

// newest is the newest prediction of the conversation that has an answer.
func (c Captured) newest() PredictionID {
	for _, f := range slices.Backward(c.FollowUps) {
		if f.Answered {
			return f.Prediction
		}
	}
	return c.Prediction
}

// followUp folds the request of a follow-up: of a paid answer, one at a time, and counted.
func (a *Account) followUp(e PredictionRequested) error {
	i := a.captured(e.FollowUp.Of)
	if i < 0 || a.Captured[i].Refunded {
		return broken("prediction %s follows %s, which is no paid answer, or is over", e.Prediction, e.FollowUp.Of)
	}
	if a.pending(e.FollowUp.Of) {
		return broken("prediction %s follows %s beside another follow-up", e.Prediction, e.FollowUp.Of)
	}
	if n := len(a.Captured[i].FollowUps) + 1; n != e.FollowUp.Number {
		return broken("follow-up %d of %s says that it is number %d", n, e.FollowUp.Of, e.FollowUp.Number)
	}
	a.changeFollowUps(i, append(slices.Clip(a.Captured[i].FollowUps), FollowUpState{Prediction: e.Prediction}))
	return nil
}

// answerFollowUp notes the answer of a follow-up, unless its conversation is over.
func (a *Account) answerFollowUp(h Hold) {
	if i := a.conversation(h.Prediction); i >= 0 {
		list := slices.Clone(a.Captured[i].FollowUps)
		list[a.Captured[i].followUp(h.Prediction)].Answered = true
		a.changeFollowUps(i, list)
	}
}

// forgetFollowUp does not count a follow-up that the service did not answer.
func (a *Account) forgetFollowUp(h Hold) {
	if i := a.conversation(h.Prediction); i >= 0 {
		list := slices.DeleteFunc(slices.Clone(a.Captured[i].FollowUps), func(f FollowUpState) bool { return f.Prediction == h.Prediction })
		if len(list) == 0 {
			list = nil
		}
		a.changeFollowUps(i, list)
	}
}

// changeFollowUps changes no list in place, because clones of the account share them.
func (a *Account) changeFollowUps(i int, list []FollowUpState) {
	a.Captured = slices.Clone(a.Captured)
	a.Captured[i].FollowUps = list
}

// confirm ends a conversation, by taking its paid answer out of the list.
func (a *Account) confirm(e PredictionConfirmed) error {
	i := a.conversation(e.Prediction)
	if i < 0 || a.Captured[i].Refunded || !a.Captured[i].answered(e.Prediction) {
		return broken("prediction %s is confirmed and has no paid answer, or is over", e.Prediction)
	}
	a.Captured = slices.Delete(slices.Clone(a.Captured), i, i+1)
	if len(a.Captured) == 0 {
		a.Captured = nil
	}
	return nil
}

// Check refuses a policy that is out of bounds.
func (p RefinePolicy) Check() error {
	if p.Refinements < 0 || p.Refinements > MaxRefinements {
		return fmt.Errorf("refinements of an answer must be from 0 to %d", MaxRefinements)
	}
	if p.Within < 1 || p.Within > int(MaxRefineTime.Seconds()) {
		return fmt.Errorf("the time for refinements must be from 1 s to %s", MaxRefineTime)
	}
	return nil
}
