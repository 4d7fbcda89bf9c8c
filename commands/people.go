package commands

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

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
	if err := h.People.CheckPassword(s.Password, email); err != nil {
		return SignedUp{}, err
	}
	claim := h.People.EmailHash(email)
	// The e-mail is the actor of this command and so part of its id; nothing else
	// of the content may show in the log.
	command, end, err := h.begin("email:"+claim, s.Key, "signup")
	if err != nil {
		return SignedUp{}, err
	}
	defer end()
	in := intent{cause: command.Cause()}
	var receipt eventstore.Receipt
	switch _, err := h.FindUser(ctx, s.Email); {
	case err == nil:
		receipt, err = h.orDone(ctx, in, emailTaken())
		if err != nil {
			return SignedUp{}, err
		}
	case domain.RefusalIn(err) == nil:
		return SignedUp{}, err
	default:
		receipt, err = h.open(ctx, in, email, s.Password, eventstore.EmailStream(claim))
		if err != nil {
			return SignedUp{}, err
		}
	}
	return h.signedUp(ctx, receipt, email, s.Password)
}

func (h *Handler) open(ctx context.Context, in intent, email, password string, claim eventstore.Stream) (eventstore.Receipt, error) {
	u := domain.UserID("u_" + strings.ToLower(rand.Text()[:20]))
	if err := h.People.Enroll(ctx, u, password); err != nil {
		return eventstore.Receipt{}, err
	}
	sealed, err := h.People.SealEmail(ctx, u, email)
	if err != nil {
		return eventstore.Receipt{}, fmt.Errorf("seal an e-mail: %w", err)
	}
	events, err := domain.Account{}.SignUp(u, sealed, h.Bonus)
	if err != nil {
		return eventstore.Receipt{}, err
	}
	opening := eventstore.Append{Time: h.Now(), Actor: "user:" + string(u), Cause: in.cause, Writes: []eventstore.Write{
		{Stream: claim, Events: []domain.Event{domain.EmailClaimed{User: u}}},
		{Stream: eventstore.AccountStream(u), Events: events},
	}}
	return untilKnown(ctx, func() (eventstore.Receipt, error) {
		r, err := h.Log.Append(ctx, opening)
		switch {
		case errors.Is(err, eventstore.ErrConflict):
			return h.orDone(ctx, in, emailTaken())
		case err != nil:
			return eventstore.Receipt{}, fmt.Errorf("append a sign-up: %w", err)
		}
		return r, nil
	})
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
		same, err := h.People.Verify(ctx, out.User, password)
		if err != nil {
			return SignedUp{}, fmt.Errorf("compare a sign-up with the first: %w", err)
		}
		if !same {
			return SignedUp{}, reused()
		}
	}
	return out, nil
}

// FindUser gives the account of an e-mail, or the refusal account_not_found. It
// reads the e-mail's stream, not a view, so it knows of a sign-up at once; and only
// once, since every request with Basic credentials asks, and a claim stands for ever.
func (h *Handler) FindUser(ctx context.Context, email string) (domain.UserID, error) {
	_, err := domain.NormalizeEmail(email)
	for _, spelling := range domain.EmailSpellings(email) {
		var u domain.UserID
		if u, err = h.userOf(ctx, h.People.EmailHash(spelling)); domain.RefusalIn(err) == nil {
			return u, err
		}
	}
	return "", err
}

func (h *Handler) userOf(ctx context.Context, claim string) (domain.UserID, error) {
	h.ready.Do(h.prepare)
	if u, ok := h.claims.Get(claim); ok {
		return u, nil
	}
	list, err := h.Log.Stream(ctx, eventstore.EmailStream(claim), 0, 1)
	if err != nil {
		return "", err
	}
	if len(list) > 0 {
		if e, ok := list[0].Event.(domain.EmailClaimed); ok {
			h.claims.Add(claim, e.User)
			return e.User, nil
		}
	}
	return "", domain.Reject(domain.AccountNotFound, "there is no such account")
}

// Account gives the account as the log has it now, whichever process wrote last: what a
// command would decide on.
func (h *Handler) Account(ctx context.Context, u domain.UserID) (domain.Account, error) {
	l, err := h.Log.Refresh(ctx, u)
	return l.Account, err
}

// operator is the actor of what is done on the installation's own console.
const operator = "operator"

// SetAdmin makes a person an admin, or ends it. Done already, it changes nothing
// and the position is 0.
func (h *Handler) SetAdmin(ctx context.Context, u domain.UserID, admin bool) (eventstore.Position, error) {
	command, end, err := h.begin(operator, "", "admin")
	if err != nil {
		return 0, err
	}
	defer end()
	r, err := h.change(ctx, intent{actor: operator, cause: command.Cause(), user: u}, func(a domain.Account) ([]domain.Event, error) {
		if admin {
			return a.GrantAdmin()
		}
		return a.RevokeAdmin()
	})
	return r.Position(), err
}
