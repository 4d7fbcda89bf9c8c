package commands

import (
	"context"
	"fmt"

	"kassa/domain"
	"kassa/eventstore"
)

// SignUp asks for an account.
type SignUp struct {
	Email    string
	Password string
	Key      string // Idempotency-Key, may be empty
}

// SignedUp is a new account.
type SignedUp struct {
	User  domain.UserID
	Email string // as it is unique: domain.NormalizeEmail's spelling
	Result
}

// SignUp opens an account. The e-mail's stream and the account's begin in one
// append, so of two sign-ups with one e-mail exactly one succeeds.
func (h *Handler) SignUp(ctx context.Context, s SignUp) (SignedUp, error) {
	email, err := domain.NormalizeEmail(s.Email)
	if err != nil {
		return SignedUp{}, err
	}
	if err := h.Vault.CheckPassword(s.Password, email); err != nil {
		return SignedUp{}, err
	}
	claim := h.Vault.EmailHash(email)
	// The e-mail is the actor of this command and so part of its id; nothing else
	// of the content may show in the log.
	command, end, err := h.begin("email:"+claim, s.Key, "signup")
	if err != nil {
		return SignedUp{}, err
	}
	defer end()
	receipt, err := h.signUp(ctx, command.Cause(), claim, email, s)
	if err != nil {
		return SignedUp{}, err
	}
	return h.signedUp(ctx, receipt, email, s.Password)
}

// signUp looks for the e-mail first, in all its spellings, so that nothing is made for
// an e-mail that is taken.
func (h *Handler) signUp(ctx context.Context, cause eventstore.Cause, claim, email string, s SignUp) (eventstore.Receipt, error) {
	_, err := h.FindUser(ctx, s.Email)
	if err == nil {
		return h.orDone(ctx, cause, emailTaken())
	}
	if domain.RefusalIn(err) == nil {
		return eventstore.Receipt{}, err
	}
	u := domain.UserID("u_" + newID(h.Now())[:20])
	if err := h.Vault.Enroll(ctx, u, s.Password); err != nil {
		return eventstore.Receipt{}, err
	}
	sealed, err := h.Vault.SealEmail(ctx, u, email)
	if err != nil {
		return eventstore.Receipt{}, fmt.Errorf("seal an e-mail: %w", err)
	}
	return h.change(ctx, intent{actor: userActor(u), cause: cause, user: u,
		guard: func(ctx context.Context) ([]eventstore.Write, error) { return h.claim(ctx, claim, u) },
		decide: func(a domain.Account) ([]domain.Event, error) {
			return a.SignUp(u, sealed, h.Bonus)
		}})
}

// claim gives the write by which an e-mail becomes a new account's, or refuses one that has
// an account. That of a person who was erased can be claimed again.
func (h *Handler) claim(ctx context.Context, claim string, u domain.UserID) ([]eventstore.Write, error) {
	holder, version, err := h.holderOf(ctx, claim)
	switch {
	case err != nil:
		return nil, err
	case holder != "":
		return nil, emailTaken()
	}
	return []eventstore.Write{{Stream: eventstore.EmailStream(claim), Expected: version, Events: []domain.Event{domain.EmailClaimed{User: u}}}}, nil
}

func emailTaken() error {
	return domain.Reject(domain.EmailTaken, "this e-mail has an account already")
}

// signedUp reads the answer from the events. The password is a part of the request
// that the log must not hold, in no form: a replay is compared with the stored hash.
func (h *Handler) signedUp(ctx context.Context, r eventstore.Receipt, email, password string) (SignedUp, error) {
	out := SignedUp{Email: email, Result: result(r)}
	for _, rec := range r.Events {
		if e, ok := rec.Event.(domain.SignedUp); ok {
			out.User = e.User
		}
	}
	if out.Replayed {
		same, err := h.Vault.Verify(ctx, out.User, password)
		if err != nil {
			return SignedUp{}, fmt.Errorf("compare a sign-up with the first: %w", err)
		}
		if !same {
			return SignedUp{}, keyReused()
		}
	}
	return out, nil
}

// FindUser gives the account of an e-mail, or the refusal account_not_found. It
// reads the e-mail's stream, not a view, so it knows of a sign-up at once. Every request
// with Basic credentials asks, so the answer is remembered: an e-mail stays its account's
// until that is erased, which is looked at where it was not for claimFor.
func (h *Handler) FindUser(ctx context.Context, email string) (domain.UserID, error) {
	_, err := domain.NormalizeEmail(email)
	for _, spelling := range domain.EmailSpellings(email) {
		var u domain.UserID
		if u, err = h.userOf(ctx, h.Vault.EmailHash(spelling)); domain.RefusalIn(err) == nil {
			return u, err
		}
	}
	return "", err
}

func (h *Handler) userOf(ctx context.Context, claim string) (domain.UserID, error) {
	h.ready.Do(h.prepare)
	if u, ok := h.claims.Get(claim); ok {
		l, err := h.Store.AccountWithin(ctx, u, claimFor)
		if err != nil {
			return "", fmt.Errorf("look whether %s still has an account: %w", u, err)
		}
		if l.Account.Exists() && !l.Account.Erased {
			return u, nil
		}
		h.claims.Remove(claim)
	}
	u, _, err := h.holderOf(ctx, claim)
	if err != nil {
		return "", err
	}
	if u == "" {
		return "", domain.Reject(domain.AccountNotFound, "there is no such account")
	}
	h.claims.Add(claim, u)
	return u, nil
}

// holderOf gives the account of an e-mail, "" where it has none, and the version of the
// e-mail's stream. Each claim but the last is of a person who was erased; the last one's
// account is read from the log, because the erasure of a person releases their e-mail.
func (h *Handler) holderOf(ctx context.Context, claim string) (holder domain.UserID, version eventstore.Version, err error) {
	err = readStream(ctx, h.Store, eventstore.EmailStream(claim), 0, func(rec eventstore.Recorded) error {
		holder, version = rec.Event.Subject(), rec.Version
		return nil
	})
	if err != nil || version == 0 {
		return "", 0, err
	}
	account, err := h.Account(ctx, holder)
	if err != nil || account.Erased {
		return "", version, err
	}
	return holder, version, nil
}

// Account reads the account from the log: what a command would decide on.
func (h *Handler) Account(ctx context.Context, u domain.UserID) (domain.Account, error) {
	l, err := h.Store.Refresh(ctx, u)
	return l.Account, err
}

// Operator is the actor of what is done on the installation's own console.
const Operator = "operator"
