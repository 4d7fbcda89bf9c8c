package commands

import (
	"context"
	"fmt"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// DefaultLimit is how many films an answer has when nobody says.
const DefaultLimit = 5

// Predict asks for films.
type Predict struct {
	User  domain.UserID
	Text  string
	Limit int    // 0: DefaultLimit
	Key   string // Idempotency-Key, may be empty
}

// Asked is a question whose price is held.
type Asked struct {
	Prediction  domain.PredictionID
	Price       domain.Credits
	Limit       int // films
	RequestedAt time.Time
	ExpiresAt   time.Time
	Result
}

// Predict holds the price of one answer. The prediction's id follows from the
// command, so a retry speaks of the same one.
func (h *Handler) Predict(ctx context.Context, p Predict) (Asked, error) {
	if err := domain.CheckText(p.Text); err != nil {
		return Asked{}, err
	}
	if p.Limit == 0 {
		p.Limit = DefaultLimit
	}
	command, end, err := h.beginFor(ctx, p.User, p.Key, fmt.Sprintf("predict %d %q", p.Limit, p.Text))
	if err != nil {
		return Asked{}, err
	}
	defer end()
	q := domain.Question{Prediction: domain.PredictionID("p_" + command.ID), Price: h.Price, Limit: p.Limit}
	if q.Text, err = h.People.SealText(ctx, p.User, q.Prediction, p.Text); err != nil {
		return Asked{}, fmt.Errorf("seal a question: %w", err)
	}
	in := intent{actor: userActor(p.User), cause: command.Cause(), user: p.User}
	r, err := h.change(ctx, in, func(a domain.Account) ([]domain.Event, error) {
		q.ExpiresAt = h.Now().Add(h.HoldExpiry).UTC().Truncate(time.Microsecond)
		return a.RequestPrediction(q)
	})
	if err != nil {
		return Asked{}, err
	}
	asked := Asked{Prediction: q.Prediction, Result: result(r)}
	if e, ok := r.Events[0].Event.(domain.PredictionRequested); ok {
		asked.Price, asked.Limit, asked.ExpiresAt, asked.RequestedAt = e.Price, e.Limit, e.ExpiresAt, r.Events[0].Time
	}
	return asked, nil
}

// Ending names the question that a settling command ends.
type Ending struct {
	User       domain.UserID
	Prediction domain.PredictionID
	By         string              // the part of Kassa that ends it
	Cause      eventstore.Position // of its request
}

// Complete captures the price of an answered question. It returns position 0
// where the hold had ended already: the answer came late, or twice.
func (h *Handler) Complete(ctx context.Context, e Ending, answer domain.Answer) (eventstore.Position, error) {
	return h.settle(ctx, e, func(a domain.Account) ([]domain.Event, error) { return a.Complete(e.Prediction, answer) })
}

// Fail releases the price of a question that cannot be answered.
func (h *Handler) Fail(ctx context.Context, e Ending, reason domain.FailureReason) (eventstore.Position, error) {
	return h.settle(ctx, e, func(a domain.Account) ([]domain.Event, error) { return a.Fail(e.Prediction, reason) })
}

// Expire releases the price of a question whose time is up.
func (h *Handler) Expire(ctx context.Context, e Ending) (eventstore.Position, error) {
	return h.settle(ctx, e, func(a domain.Account) ([]domain.Event, error) { return a.Expire(e.Prediction, h.Now()) })
}

// settle needs no command id: a hold ends once by the account's own state.
func (h *Handler) settle(ctx context.Context, e Ending, decide func(domain.Account) ([]domain.Event, error)) (eventstore.Position, error) {
	in := intent{actor: "system:" + e.By, cause: eventstore.ByPosition(e.Cause), user: e.User}
	r, err := h.change(ctx, in, decide)
	return r.Position(), err
}
