package commands

import (
	"context"
	"fmt"

	"kassa/domain"
	"kassa/eventstore"
)

// Order changes what a person may do: a role, or the lock of their account.
type Order struct {
	User   domain.UserID
	Admin  domain.UserID // who orders it; "" for the operator
	By     string        // the operator's name
	Stays  domain.UserID // of the operator: who is an admin and must stay one; "" where nobody must
	Reason string        // an admin gives one
	Key    string        // Idempotency-Key, may be empty
}

// GrantRole gives a person a role. Where they have it already, or the same request gave it and it
// was revoked since, it changes nothing and the position is 0.
func (h *Handler) GrantRole(ctx context.Context, r domain.Role, o Order) (eventstore.Position, error) {
	return h.order(ctx, "grant "+string(r), o, func(a domain.Account) bool { return a.Has(r) },
		func(a domain.Account, by domain.Orderer) ([]domain.Event, error) { return a.GrantRole(r, by) })
}

// RevokeRole ends a role, in the same way.
func (h *Handler) RevokeRole(ctx context.Context, r domain.Role, o Order) (eventstore.Position, error) {
	return h.order(ctx, "revoke "+string(r), o, func(a domain.Account) bool { return !a.Has(r) },
		func(a domain.Account, by domain.Orderer) ([]domain.Event, error) { return a.RevokeRole(r, by) })
}

// Lock ends all that a person does themselves, in the same way, and behind it their sessions
// and personal tokens. Where that fails, the account is locked, and the same again ends them:
// the error comes with the position, and wraps eventstore.ErrUnknown.
func (h *Handler) Lock(ctx context.Context, o Order) (eventstore.Position, error) {
	at, err := h.order(ctx, "lock", o, func(a domain.Account) bool { return a.Locked }, domain.Account.Lock)
	if err != nil {
		return 0, err
	}
	if err := h.endAccess(ctx, o.User); err != nil {
		return at, fmt.Errorf("%w: the account is locked, and its sessions may be there: %w", eventstore.ErrUnknown, err)
	}
	return at, nil
}

// Unlock ends a lock, in the same way. What began beside the lock, or was left by a crash, is
// ended before: it must not open anything with the unlocking.
func (h *Handler) Unlock(ctx context.Context, o Order) (eventstore.Position, error) {
	if err := h.endAccess(ctx, o.User); err != nil {
		return 0, err
	}
	return h.order(ctx, "unlock", o, func(a domain.Account) bool { return !a.Locked }, domain.Account.Unlock)
}

// endAccess ends the sessions and tokens of a person who is locked, as the log has it now.
func (h *Handler) endAccess(ctx context.Context, u domain.UserID) error {
	if !u.Valid() {
		return nil
	}
	account, err := h.Account(ctx, u)
	if err != nil || !account.Locked {
		return err
	}
	return h.Vault.EndAccess(ctx, u)
}

// order carries out an order. Of one that the same request did before, holds says whether it
// was not taken back since.
func (h *Handler) order(ctx context.Context, what string, o Order, holds func(domain.Account) bool, decide func(domain.Account, domain.Orderer) ([]domain.Event, error)) (eventstore.Position, error) {
	r, err := h.appendOrder(ctx, what, o, decide)
	if err != nil || !r.Replayed {
		return r.Position(), err
	}
	account, err := h.Account(ctx, o.User)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w: this was done, and may have been taken back: %w", eventstore.ErrUnknown, err)
	case !holds(account):
		return 0, nil
	}
	return r.Position(), nil
}

func (h *Handler) appendOrder(ctx context.Context, what string, o Order, decide func(domain.Account, domain.Orderer) ([]domain.Event, error)) (eventstore.Receipt, error) {
	none := eventstore.Receipt{}
	if !o.User.Valid() {
		return none, domain.Reject(domain.AccountNotFound, "there is no such account")
	}
	actor, begin := Operator, func() (eventstore.Command, func(), error) { return h.begin(Operator, o.Key, what) }
	if o.Admin != "" {
		actor, begin = userActor(o.Admin), func() (eventstore.Command, func(), error) {
			return h.beginFor(ctx, o.Admin, o.Key, fmt.Sprintf("%s %s %q", what, o.User, o.Reason))
		}
	}
	command, end, err := begin()
	if err != nil {
		return none, err
	}
	defer end()
	by := domain.Orderer{By: o.By, Reason: o.Reason}
	r, err := h.change(ctx, intent{actor: actor, cause: command.Cause(), user: o.User,
		guard:  func(ctx context.Context) ([]eventstore.Write, error) { return h.guardOrderer(ctx, o, &by) },
		decide: func(a domain.Account) ([]domain.Event, error) { return decide(a, by) }})
	if err != nil || len(r.Events) > 0 {
		return r, err
	}
	// It is so already, perhaps by the same request.
	r, err = h.orDone(ctx, command.Cause(), nil)
	if err != nil && domain.RefusalIn(err) == nil {
		err = fmt.Errorf("%w: it is so, perhaps by this request: %w", eventstore.ErrUnknown, err)
	}
	return r, err
}

// guardOrderer reads the admin who orders a change, or who must stay one. The append fails
// where their account changes meanwhile: of two admins who revoke each other's role, one does.
func (h *Handler) guardOrderer(ctx context.Context, o Order, by *domain.Orderer) ([]eventstore.Write, error) {
	admin := o.Admin
	if admin == "" {
		admin = o.Stays
	}
	if admin == "" {
		return nil, nil
	}
	loaded, err := h.Store.Refresh(ctx, admin)
	if err != nil {
		return nil, err
	}
	if o.Admin == "" {
		by.Stays = &loaded.Account
	} else {
		by.Admin = &loaded.Account
	}
	if admin == o.User || !loaded.Account.MayAdminister() {
		return nil, nil // the decision refuses
	}
	return []eventstore.Write{loaded.Write(admin)}, nil
}
