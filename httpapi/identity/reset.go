package identity

import (
	"context"
	"net/http"
	"time"

	"kassa/domain"
	"kassa/httpapi/problem"
	"kassa/internal/security"
)

// ResetIsGood reports whether the token of a one-time link can still be used. It does not
// use it: programs that scan mails open every link.
func (a *Authenticator) ResetIsGood(ctx context.Context, token string) (bool, error) {
	_, ok, err := a.Vault.ResetOf(ctx, token, a.Now())
	return ok, err
}

// Reset sets another password by the token of a one-time link. All sessions of the person
// end, and none is started: they sign in with the new password. Refusals:
// invalid_reset_token, weak_password, *problem.TooMany.
func (a *Authenticator) Reset(r *http.Request, token, password string) error {
	u, err := a.reset(r, token, password)
	a.record(r.Context(), security.Event{Kind: security.ResetUsed, User: u}, err)
	return err
}

func (a *Authenticator) reset(r *http.Request, token, password string) (domain.UserID, error) {
	ctx := r.Context()
	if err := a.allow(ctx, a.limits().signInIP, a.network(r)); err != nil {
		return "", err
	}
	now := a.Now()
	u, ok, err := a.Vault.ResetOf(ctx, token, now)
	if err != nil || !ok {
		return "", invalidUnless(err)
	}
	person, err := a.person(ctx, u)
	if err != nil {
		return u, err
	}
	if err := a.Vault.CheckPassword(password, person.Email); err != nil {
		return u, err
	}
	if ok, err = a.Vault.Reset(ctx, u, token, password, now); err != nil || !ok {
		return u, invalidUnless(err)
	}
	return u, nil
}

// AskReset asks for a mail with a one-time link. The answer, and what is done for it, is the
// same whether or not the address has an account; that is looked up when the mail is sent.
// The language of the mail is ru or en. Refusals: mail_off, invalid_email, *problem.TooMany.
func (a *Authenticator) AskReset(r *http.Request, email, language string) error {
	err := a.askReset(r, email, language)
	a.record(r.Context(), security.Event{Kind: security.ResetRequested, Email: emailKey(email), Method: "mail"}, err)
	return err
}

func (a *Authenticator) askReset(r *http.Request, email, language string) error {
	if !a.Mails {
		return domain.Reject(problem.MailOff, "this service sends no mail: ask its operator for a link")
	}
	if _, err := domain.NormalizeEmail(email); err != nil {
		return err
	}
	ctx := r.Context()
	if err := a.allow(ctx, a.limits().forgotIP, a.network(r)); err != nil {
		return err
	}
	if err := a.allow(ctx, a.limits().forgotEmail, emailKey(email)); err != nil {
		return err
	}
	return a.Vault.AskReset(ctx, email, language, a.Now())
}

// invalidUnless is the refusal of a token, unless there was a fault.
func invalidUnless(fault error) error {
	if fault != nil {
		return fault
	}
	return domain.Reject(problem.InvalidResetToken, "this link was used, has expired, or was replaced by a newer one")
}

// resets are what AskReset and Reset need of the vault.
type resets interface {
	AskReset(ctx context.Context, email, language string, now time.Time) error
	ResetOf(ctx context.Context, token string, now time.Time) (u domain.UserID, ok bool, err error)
	Reset(ctx context.Context, u domain.UserID, token, password string, now time.Time) (ok bool, err error)
}
