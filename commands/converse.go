package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Refine asks again in the conversation of an answer, for free.
type Refine struct {
	User     domain.UserID
	Answer   domain.PredictionID // that is refined, the newest of its conversation
	Question string              // of that answer, with all that was said before
	Said     string              // what is said now, "" for nothing
	NotThese []string            // ids of films of the answer that are not the one
	Key      string              // Idempotency-Key, may be empty

	// Sent is what the client sent, where Said was made from it with what the catalogue says of
	// a film, which may be something else when the request is repeated; "": Said.
	Sent string
}

// Refine holds nothing: the payment of the conversation is that of its first question.
func (h *Handler) Refine(ctx context.Context, f Refine) (Requested, error) {
	text, err := domain.Refined(f.Question, f.Said)
	if err != nil {
		return Requested{}, err
	}
	if text == f.Question && len(f.NotThese) == 0 {
		return Requested{}, domain.Reject(domain.InvalidText, "say more about the film, or which films are not the one")
	}
	command, end, err := h.beginFor(ctx, f.User, f.Key, fmt.Sprintf("refine %q %q %q", f.Answer, cmp.Or(f.Sent, f.Said), f.NotThese))
	if err != nil {
		return Requested{}, err
	}
	defer end()
	q := domain.Question{Prediction: domain.PredictionID("p_" + command.ID)}
	return h.request(ctx, f.User, command, q, text, nil, func(a domain.Account, q domain.Question) ([]domain.Event, error) {
		if err := a.CanRefine(f.Answer, h.Refining, q.AskedAt); err != nil {
			return nil, err
		}
		answer, err := h.answered(ctx, f.User, f.Answer)
		if err != nil {
			return nil, err
		}
		excluded, err := answer.Without(f.NotThese)
		if err != nil {
			return nil, err
		}
		q.Limit = answer.Limit
		return a.Refine(f.Answer, excluded, q, h.Refining)
	})
}

// answered reads an answer from the log: which films it has is decided by its entries, and by
// no view. The account has the answer among its newest, so it is near the end of its stream.
func (h *Handler) answered(ctx context.Context, u domain.UserID, id domain.PredictionID) (w domain.Answered, err error) {
	loaded, err := h.Store.Refresh(ctx, u)
	if err != nil {
		return w, err
	}
	ended, asked := false, false
	err = h.lookBack(ctx, u, loaded.Version, func(rec eventstore.Recorded) bool {
		switch e := rec.Event.(type) {
		case domain.PredictionCompleted:
			if e.Prediction == id {
				w.Movies, ended = e.Movies, true
			}
		case domain.PredictionRequested:
			if e.Prediction == id {
				w.Limit, asked = e.Limit, true
				if e.FollowUp != nil {
					w.Excluded = e.FollowUp.Excluded
				}
			}
		}
		return !asked // it comes before the answer
	})
	if err == nil && !(asked && ended) {
		err = fmt.Errorf("%w: the log of %s does not have the answer %s, which the account has", domain.ErrBroken, u, id)
	}
	return w, err
}

// RefineOffer reports whether an answer can be refined now, as the log has the account.
func (h *Handler) RefineOffer(ctx context.Context, u domain.UserID, id domain.PredictionID) (domain.RefineOffer, error) {
	a, err := h.Account(ctx, u)
	return a.RefineOffer(id, h.Refining, h.Now()), err
}

// Confirm records that a film of an answer is the right one.
type Confirm struct {
	User   domain.UserID
	Answer domain.PredictionID
	Movie  string // id, of a film of the answer
	Key    string // Idempotency-Key, may be empty
}

// Confirm ends the conversation of an answer. The entry bears the time of the decision, as
// that of a refund does.
func (h *Handler) Confirm(ctx context.Context, c Confirm) (Result, error) {
	command, end, err := h.beginFor(ctx, c.User, c.Key, fmt.Sprintf("confirm %q %q", c.Answer, c.Movie))
	if err != nil {
		return Result{}, err
	}
	defer end()
	var now time.Time
	r, err := h.change(ctx, intent{actor: userActor(c.User), cause: command.Cause(), user: c.User,
		decide: func(a domain.Account) ([]domain.Event, error) {
			now = h.Now()
			if err := a.CanConfirm(c.Answer, now); err != nil {
				return nil, err
			}
			answer, err := h.answered(ctx, c.User, c.Answer)
			if err != nil {
				return nil, err
			}
			if err := answer.Has(c.Movie); err != nil {
				return nil, err
			}
			return a.Confirm(c.Answer, c.Movie, now)
		},
		decidedAt: func() time.Time { return now }})
	if err != nil {
		return Result{}, err
	}
	if _, ok := r.Events[0].Event.(domain.PredictionConfirmed); !ok {
		return Result{}, errors.New("the log has another event for this command")
	}
	return result(r), nil
}
