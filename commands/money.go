package commands

import (
	"context"
	"fmt"

	"kassa/domain"
	"kassa/eventstore"
)

// Move is a person's own deposit or withdrawal.
type Move struct {
	User   domain.UserID
	Amount domain.Credits
	Key    string // Idempotency-Key, may be empty
}

// paymentOf names the payment of a command with a key by its content too: a key that comes
// again with another amount must not touch the payment of the first.
func paymentOf(c eventstore.Command, key string) string {
	if key == "" {
		return "pay_" + c.ID
	}
	return "pay_" + shortHash(c.ID+"\x00"+c.Content)
}

// claimed makes the payment of a stream be booked once, whichever command books it.
func claimed(payment eventstore.Stream, u domain.UserID) []eventstore.Write {
	return []eventstore.Write{{Stream: payment, Events: []domain.Event{domain.PaymentClaimed{User: u}}}}
}

// Deposit charges the payment provider and adds the credits. The charge comes
// first: a crash after it leaves a payment without a deposit, which the client's
// retry with the same key completes, and which the provider's statement shows.
func (h *Handler) Deposit(ctx context.Context, m Move) (Result, error) {
	command, end, err := h.beginFor(ctx, m.User, m.Key, fmt.Sprintf("deposit %d", m.Amount))
	if err != nil {
		return Result{}, err
	}
	defer end()
	payment := charge{provider: h.Payments, id: paymentOf(command, m.Key), user: m.User, amount: m.Amount}
	r, err := h.change(ctx, intent{actor: userActor(m.User), cause: command.Cause(), user: m.User,
		claim: claimed(eventstore.PaymentStream(h.Payments.Name(), payment.id), m.User),
		paid:  func() bool { return payment.state == chargeTaken },
		decide: func(a domain.Account) ([]domain.Event, error) {
			if err := a.CanDeposit(m.Amount); err != nil {
				return nil, err
			}
			if err := payment.take(ctx); err != nil {
				return nil, err
			}
			return a.Deposit(m.Amount, h.Payments.Name(), payment.id)
		}})
	if err != nil {
		return Result{}, payment.abandon(ctx, m.Key, err)
	}
	return result(r), nil
}

// Withdraw takes the credits. The payment back follows from the event.
func (h *Handler) Withdraw(ctx context.Context, m Move) (Result, error) {
	command, end, err := h.beginFor(ctx, m.User, m.Key, fmt.Sprintf("withdraw %d", m.Amount))
	if err != nil {
		return Result{}, err
	}
	defer end()
	payment := paymentOf(command, m.Key)
	r, err := h.change(ctx, intent{actor: userActor(m.User), cause: command.Cause(), user: m.User,
		claim: claimed(eventstore.PayoutStream(h.Payments.Name(), payment), m.User),
		decide: func(a domain.Account) ([]domain.Event, error) {
			return a.Withdraw(m.Amount, h.Payments.Name(), payment)
		}})
	if err != nil {
		return Result{}, err
	}
	return result(r), nil
}
