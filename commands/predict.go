package commands

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// DefaultLimit is how many films an answer has by default.
const DefaultLimit = 5

// Predict asks for films.
type Predict struct {
	User  domain.UserID
	Text  string
	Limit int    // 0: DefaultLimit
	Key   string // Idempotency-Key, may be empty

	// Sent is what the client sent, where Text was made from it with words of the catalogue,
	// which may be others when the request is repeated; "": Text.
	Sent string

	// Refused is why there is no Text that can be answered, where the catalogue says so: a
	// request that was done before it changed still gets its receipt.
	Refused error

	// InsteadOf is an earlier prediction, whose credits come back in the same append if its
	// answer can be refunded; "": none.
	InsteadOf domain.PredictionID
}

// Asked is a question whose price is held.
type Requested struct {
	Prediction  domain.PredictionID
	Price       domain.Credits
	Limit       int // films
	RequestedAt time.Time
	ExpiresAt   time.Time
	Request     eventstore.Recorded // the entry that holds the price
	Refunded    domain.Credits      // for the prediction that it is asked instead of
	Result
}

// Predict holds the price of one answer. The prediction's id follows from the
// command, so a retry gives the same one.
func (h *Handler) Predict(ctx context.Context, p Predict) (Requested, error) {
	if err := domain.CheckText(p.Text); err != nil {
		return Requested{}, err
	}
	if p.Limit == 0 {
		p.Limit = DefaultLimit
	}
	content := fmt.Sprintf("predict %d %q", p.Limit, cmp.Or(p.Sent, p.Text))
	if p.InsteadOf != "" {
		content += fmt.Sprintf(" instead of %q", p.InsteadOf)
	}
	command, end, err := h.beginFor(ctx, p.User, p.Key, content)
	if err != nil {
		return Requested{}, err
	}
	defer end()
	q := domain.Question{Prediction: domain.PredictionID("p_" + command.ID), Limit: p.Limit, FreePerHour: h.FreePerHour}
	price := inForce{h: h}
	return h.request(ctx, p.User, command, q, p.Text, price.guard, func(a domain.Account, q domain.Question) ([]domain.Event, error) {
		if p.Refused != nil {
			return nil, p.Refused
		}
		q.Price = price.credits
		if p.InsteadOf != "" {
			return price.believed(a.RequestInstead(p.InsteadOf, q, h.Refunds))
		}
		return price.believed(a.RequestPrediction(q))
	})
}

// request appends a question. Its entry bears the time of the decision: a refund is in its
// day, and a follow-up in its hour, by that time.
func (h *Handler) request(ctx context.Context, u domain.UserID, command eventstore.Command, q domain.Question, text string,
	guard func(context.Context) ([]eventstore.Write, error), decide func(domain.Account, domain.Question) ([]domain.Event, error)) (Requested, error) {
	var err error
	if q.Text, err = h.Vault.SealText(ctx, u, q.Prediction, text); err != nil {
		return Requested{}, fmt.Errorf("seal a question: %w", err)
	}
	r, err := h.change(ctx, intent{actor: userActor(u), cause: command.Cause(), user: u, guard: guard,
		decide: func(a domain.Account) ([]domain.Event, error) {
			q.AskedAt = h.Now()
			q.ExpiresAt = q.AskedAt.Add(h.HoldExpiry).UTC().Truncate(time.Microsecond)
			return decide(a, q)
		},
		decidedAt: func() time.Time { return q.AskedAt }})
	if err != nil {
		return Requested{}, err
	}
	asked := Requested{Prediction: q.Prediction, Result: result(r)}
	for _, rec := range r.Events {
		switch e := rec.Event.(type) {
		case domain.PredictionRefunded:
			asked.Refunded = e.Price
		case domain.PredictionRequested:
			asked.Request = rec
			asked.Price, asked.Limit, asked.ExpiresAt, asked.RequestedAt = e.Price, e.Limit, e.ExpiresAt, rec.Time
		}
	}
	return asked, nil
}

// NoneOfThese records that no film of an answer is the right one.
type NoneOfThese struct {
	User       domain.UserID
	Prediction domain.PredictionID
	Key        string // Idempotency-Key, may be empty
}

// Refunded is an answer whose credits came back.
type Refunded struct {
	Credits domain.Credits
	Left    int // refunds that the person has in this month
	Result
}

// NoneOfThese gives the credits of an answer back, as far as the policy allows. The entry
// bears the time of the decision: a refund must be in its day and its month by that very
// time, for all readers of the log.
func (h *Handler) NoneOfThese(ctx context.Context, n NoneOfThese) (Refunded, error) {
	command, end, err := h.beginFor(ctx, n.User, n.Key, "none of these "+string(n.Prediction))
	if err != nil {
		return Refunded{}, err
	}
	defer end()
	var now time.Time
	r, err := h.change(ctx, intent{actor: userActor(n.User), cause: command.Cause(), user: n.User,
		decide: func(a domain.Account) ([]domain.Event, error) {
			now = h.Now()
			return a.Refund(n.Prediction, h.Refunds, now)
		},
		decidedAt: func() time.Time { return now }})
	if err != nil {
		return Refunded{}, err
	}
	out := Refunded{Result: result(r)}
	if e, ok := r.Events[0].Event.(domain.PredictionRefunded); ok {
		out.Credits, out.Left = e.Price, e.PerMonth-e.Number
	}
	return out, nil
}

// RefundOffer reports whether an answer can be refunded now, as the log has the account.
func (h *Handler) RefundOffer(ctx context.Context, u domain.UserID, id domain.PredictionID) (domain.RefundOffer, error) {
	a, err := h.Account(ctx, u)
	return a.RefundOffer(id, h.Refunds, h.Now()), err
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
	r, err := h.change(ctx, intent{actor: "system:" + e.By, cause: eventstore.ByPosition(e.Cause), user: e.User, decide: decide})
	return r.Position(), err
}
