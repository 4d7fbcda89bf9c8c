package identity

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"kassa/domain"
	"kassa/httpapi/problem"
	"kassa/internal/security"
	"kassa/vault"
)

// Confirm checks the password of a signed-in user again, before what a borrowed browser must
// not do, and asks a person with a second factor for a code of the last minutes. It counts
// against the limits of sign-ins. Refusals: wrong_password, code_required.
func (a *Authenticator) Confirm(r *http.Request, who Person, password string) error {
	if err := who.Fresh(); err != nil {
		return err
	}
	err := a.verify(r, who.User, cmp.Or(who.Email, string(who.User)), password)
	if refusal := domain.RefusalIn(err); refusal != nil && refusal.Code == domain.InvalidCredentials {
		return wrongPassword()
	}
	return err
}

func wrongPassword() error {
	return domain.Reject(problem.WrongPassword, "this is not your password")
}

// ChangePassword changes the user's password and ends all their sessions, in all processes.
// A browser gets a new session: the token of the former one may be in other hands. Refusals:
// wrong_password, weak_password, code_required, *problem.TooMany.
func (a *Authenticator) ChangePassword(ctx context.Context, w http.ResponseWriter, r *http.Request, who Person, was, password string) error {
	err := a.changePassword(ctx, w, r, who, was, password)
	a.record(ctx, security.Event{Kind: security.PasswordChanged, User: who.User}, err)
	return err
}

func (a *Authenticator) changePassword(ctx context.Context, w http.ResponseWriter, r *http.Request, who Person, was, password string) error {
	person, err := a.person(ctx, who.User) // a request of the API has no e-mail with it
	if err != nil {
		return err
	}
	who.Email = person.Email
	if err := a.Vault.CheckPassword(password, who.Email); err != nil {
		return err
	}
	if err := a.Confirm(r.WithContext(ctx), who, was); err != nil {
		return err
	}
	changed, err := a.Vault.ChangePassword(ctx, who.User, was, password)
	if err == nil && !changed { // by another request, since it was checked
		err = wrongPassword()
	}
	if err != nil || who.Session == "" {
		return err
	}
	start := a.StartSession
	if who.Factor {
		start = a.startWithFactor
	}
	_, err = start(ctx, w, r, who.User, password)
	return partly(err, "the password is changed, and its session has not begun")
}

// partly is the fault of a request of which a part is done: its client must not take it for
// one that did nothing.
func partly(err error, done string) error {
	if err == nil || domain.RefusalIn(err) != nil {
		return err
	}
	return fmt.Errorf("%w: %s: %w", vault.ErrUnknown, done, err)
}
