package commands

import (
	"context"
	"errors"
	"fmt"

	"kassa/domain"
	"kassa/eventstore"
)

// Payments is the port to whoever moves real money. Payment is our name for one
// payment: the same name again must not charge again, and after a Refund it is
// refused with payment_declined, or its deposit would be for nothing.
type Payments interface {
	Name() string
	// Charge takes the money of a deposit; a refusal with payment_declined is an
	// answer; after any other error the money may have been taken.
	Charge(ctx context.Context, payment string, u domain.UserID, amount domain.Credits) error
	// Refund undoes a charge whose deposit was not made after all.
	Refund(ctx context.Context, payment string) error
}

// Sandbox accepts every payment at once and moves nothing.
type Sandbox struct{}

// Name is "sandbox"; the pages say so where it is in use.
func (Sandbox) Name() string { return "sandbox" }

// Charge accepts.
func (Sandbox) Charge(context.Context, string, domain.UserID, domain.Credits) error { return nil }

// Refund has nothing to undo.
func (Sandbox) Refund(context.Context, string) error { return nil }

// Move is a person's own deposit or withdrawal.
type Move struct {
	User   domain.UserID
	Amount domain.Credits
	Key    string // Idempotency-Key, may be empty
}

func (h *Handler) beginFor(ctx context.Context, u domain.UserID, key, content string) (eventstore.Command, func(), error) {
	mark, err := h.People.Fingerprint(ctx, u, content)
	if err != nil {
		return eventstore.Command{}, nil, fmt.Errorf("fingerprint a request: %w", err)
	}
	return h.begin(userActor(u), key, mark)
}

// paymentOf names the payment of a command by its content too: a key that comes
// again with another amount must not touch the payment of the first.
func paymentOf(c eventstore.Command) string { return "pay_" + shortHash(c.ID+"\x00"+c.Content) }

// claimed makes the payment of a stream be booked once, whichever command books it.
func claimed(payment eventstore.Stream, u domain.UserID) []eventstore.Write {
	return []eventstore.Write{{Stream: payment, Events: []domain.Event{domain.PaymentClaimed{User: u}}}}
}

func userActor(u domain.UserID) string { return "user:" + string(u) }

// Deposit charges the payment provider and adds the credits. The charge comes
// first: a crash after it leaves a payment without a deposit, which the client's
// retry with the same key completes, and which the provider's statement shows.
func (h *Handler) Deposit(ctx context.Context, m Move) (Result, error) {
	command, end, err := h.beginFor(ctx, m.User, m.Key, fmt.Sprintf("deposit %d", m.Amount))
	if err != nil {
		return Result{}, err
	}
	defer end()
	payment, charged := paymentOf(command), false
	var declined error // what the provider said instead; a decision that is taken again must not ask again
	in := intent{actor: userActor(m.User), cause: command.Cause(), user: m.User, claim: claimed(eventstore.PaymentStream(h.Payments.Name(), payment), m.User)}
	r, err := h.change(ctx, in, func(a domain.Account) ([]domain.Event, error) {
		if err := a.CanDeposit(m.Amount); err != nil {
			return nil, err
		}
		if !charged && declined == nil {
			declined = h.Payments.Charge(ctx, payment, m.User, m.Amount)
			charged = declined == nil
		}
		if declined != nil {
			return nil, declined
		}
		return a.Deposit(m.Amount, h.Payments.Name(), payment)
	})
	if err == nil {
		return result(r), nil
	}
	if declined != nil && domain.RefusalIn(declined) == nil { // the provider may have taken the money
		return Result{}, fmt.Errorf("charge payment %s: %w: %w", payment, eventstore.ErrUnknown, err)
	}
	if charged && givesUp(m.Key, err) {
		if undo := h.Payments.Refund(context.WithoutCancel(ctx), payment); undo != nil {
			return Result{}, fmt.Errorf("refund payment %s of a deposit that was not made (%v): %w", payment, err, undo)
		}
	}
	return Result{}, err
}

// givesUp says whether a payment goes back after a deposit that came to err. It stays
// where the deposit may have been made, and where the client can send it again: with
// a key, after what is no refusal, or only a busy account.
func givesUp(key string, err error) bool {
	if errors.Is(err, eventstore.ErrUnknown) {
		return false
	}
	refusal := domain.RefusalIn(err)
	return key == "" || refusal != nil && refusal.Code != domain.Busy
}

// Withdraw takes the credits. The payment back follows from the event.
func (h *Handler) Withdraw(ctx context.Context, m Move) (Result, error) {
	command, end, err := h.beginFor(ctx, m.User, m.Key, fmt.Sprintf("withdraw %d", m.Amount))
	if err != nil {
		return Result{}, err
	}
	defer end()
	payment := paymentOf(command)
	in := intent{actor: userActor(m.User), cause: command.Cause(), user: m.User, claim: claimed(eventstore.PayoutStream(h.Payments.Name(), payment), m.User)}
	r, err := h.change(ctx, in, func(a domain.Account) ([]domain.Event, error) {
		return a.Withdraw(m.Amount, h.Payments.Name(), payment)
	})
	if err != nil {
		return Result{}, err
	}
	return result(r), nil
}

// Adjust is an admin's correction of a balance.
type Adjust struct {
	Admin domain.UserID
	User  domain.UserID
	domain.Correction
	Key string // Idempotency-Key, may be empty
}

// Adjust corrects the balance. The admin's own stream is guarded by the append, so
// a right that is revoked in the same moment does not count any more.
func (h *Handler) Adjust(ctx context.Context, c Adjust) (Result, error) {
	if !c.User.Valid() {
		return Result{}, domain.Reject(domain.AccountNotFound, "there is no such account")
	}
	content := fmt.Sprintf("adjust %s %d %q %q", c.User, c.Amount, c.Reason, c.Reference)
	if c.Kind != "" { // so that keys of before there were kinds still name the same content
		content += " " + string(c.Kind)
	}
	command, end, err := h.beginFor(ctx, c.Admin, c.Key, content)
	if err != nil {
		return Result{}, err
	}
	defer end()
	var by eventstore.Loaded
	in := intent{actor: userActor(c.Admin), cause: command.Cause(), user: c.User}
	in.guard = func(ctx context.Context) (rights []eventstore.Write, err error) {
		if by, err = h.Log.Refresh(ctx, c.Admin); err != nil {
			return nil, err
		}
		return []eventstore.Write{{Stream: eventstore.AccountStream(c.Admin), Expected: by.Version}}, nil
	}
	r, err := h.change(ctx, in, func(a domain.Account) ([]domain.Event, error) {
		return a.Adjust(by.Account, c.Correction)
	})
	if err != nil {
		return Result{}, err
	}
	return result(r), nil
}
