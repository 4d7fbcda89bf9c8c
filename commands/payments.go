package commands

import (
	"context"
	"errors"
	"fmt"

	"kassa/domain"
	"kassa/eventstore"
)

// Payments is a payment provider. Payment is our id of one payment: a second Charge
// with it must not take money again, and after a Refund it must be refused with
// payment_declined, or credits would be added without money.
type Payments interface {
	Name() string
	// Charge takes the money of a deposit; a refusal with payment_declined
	// takes nothing; after any other error the money may have been taken.
	Charge(ctx context.Context, payment string, u domain.UserID, amount domain.Credits) error
	// Refund undoes a charge whose deposit was not made.
	Refund(ctx context.Context, payment string) error
}

// Sandbox accepts every payment at once and moves nothing.
type Sandbox struct{}

// Name is "sandbox"; the pages show it.
func (Sandbox) Name() string { return "sandbox" }

// Charge accepts.
func (Sandbox) Charge(context.Context, string, domain.UserID, domain.Credits) error { return nil }

// Refund has nothing to undo.
func (Sandbox) Refund(context.Context, string) error { return nil }

// charge is the payment of one deposit. The deposit may be decided several times; the
// provider is asked once.
type charge struct {
	provider Payments
	id       string
	user     domain.UserID
	amount   domain.Credits

	state chargeState
	err   error // the provider's, where the money was not taken for sure
}

type chargeState int

const (
	chargeNew      chargeState = iota // the provider was not asked
	chargeTaken                       // the money was taken
	chargeDeclined                    // the money was not taken
	chargeUnknown                     // the money may have been taken
)

// take charges the provider, or gives its first answer again.
func (c *charge) take(ctx context.Context) error {
	if c.state != chargeNew {
		return c.err
	}
	c.err = c.provider.Charge(ctx, c.id, c.user, c.amount)
	switch {
	case c.err == nil:
		c.state = chargeTaken
	case domain.RefusalIn(c.err) != nil:
		c.state = chargeDeclined
	default:
		c.state = chargeUnknown
	}
	return c.err
}

// abandon ends the charge of a deposit that failed with err, and gives the error for
// the caller: with a payment that goes back where that is safe.
func (c *charge) abandon(ctx context.Context, key string, err error) error {
	switch {
	case c.state == chargeUnknown:
		return fmt.Errorf("charge payment %s: %w: %w", c.id, eventstore.ErrUnknown, err)
	case c.state != chargeTaken || !mayRefund(key, err):
		return err
	}
	if undo := c.provider.Refund(context.WithoutCancel(ctx), c.id); undo != nil {
		return fmt.Errorf("refund payment %s of a deposit that was not made (%v): %w", c.id, err, undo)
	}
	return err
}

// mayRefund reports whether a payment goes back after a deposit that failed with err. It is
// kept where the deposit may have been made, and where the client can send it again:
// with a key, after a fault or a busy account.
func mayRefund(key string, err error) bool {
	if errors.Is(err, eventstore.ErrUnknown) {
		return false
	}
	refusal := domain.RefusalIn(err)
	return key == "" || refusal != nil && refusal.Code != domain.Busy
}
