package identity

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/pquerna/otp"

	"kassa/domain"
	"kassa/httpapi/problem"
	"kassa/internal/security"
	"kassa/vault"
)

// factors are what the methods below need of the vault.
type factors interface {
	Factor(ctx context.Context, u domain.UserID, session vault.SessionID, now time.Time) (vault.Factor, error)
	HasFactor(ctx context.Context, u domain.UserID) (bool, error)
	OfferFactor(ctx context.Context, u domain.UserID, session vault.SessionID, now time.Time) (bool, error)
	ConfirmFactor(ctx context.Context, u domain.UserID, session vault.SessionID, code string, now time.Time) (codes []string, ok bool, err error)
	CheckCode(ctx context.Context, u domain.UserID, code string, now time.Time) (way string, ok bool, err error)
	FactorGiven(ctx context.Context, u domain.UserID, session vault.SessionID, now time.Time) error
	DropFactor(ctx context.Context, u domain.UserID) (bool, error)
	HalfSignIn(ctx context.Context, u domain.UserID, password string, now time.Time) (ticket string, err error)
	HalfSignedIn(ticket string, now time.Time) (u domain.UserID, ok bool)
	NewSessionByTicket(ctx context.Context, ticket string, from vault.Origin, now time.Time) (token string, s vault.Session, err error)
}

// codeGoodFor is how long a session may do what a code is asked for, after one was given.
const codeGoodFor = 10 * time.Minute

// ofSession adds what a session says of its user's factor. All sessions of a person with a
// factor have given a code: it ends the others when it becomes active.
func (p *Person) ofSession(s vault.Session, now time.Time) {
	p.Session, p.Factor = s.ID, !s.FactorAt.IsZero()
	p.CodeDue = p.Factor && now.Sub(s.FactorAt) >= codeGoodFor
}

// Fresh refuses a session of a person with a factor in which no code was given within
// codeGoodFor, with code_required. A token was made with a code.
func (p Person) Fresh() error {
	if p.CodeDue {
		return domain.Reject(problem.CodeRequired, "give a code of your second factor first")
	}
	return nil
}

// Factor gives the user's second factor. One that is not active is given only to the session
// to which it was offered.
func (a *Authenticator) Factor(ctx context.Context, who Person) (vault.Factor, error) {
	return a.Vault.Factor(ctx, who.User, who.Session, a.Now())
}

// RequireFactor refuses an admin or auditor without a second factor with factor_required, where the
// service asks for one.
func (a *Authenticator) RequireFactor(ctx context.Context, who Person) error {
	if !a.AdminFactor || who.Factor {
		return nil
	}
	has := false
	if who.Token != nil { // which does not say
		var err error
		if has, err = a.Vault.HasFactor(ctx, who.User); err != nil {
			return err
		}
	}
	if !has {
		return domain.Reject(problem.FactorRequired, "admins and auditors need a second factor here: set it up on the page of your account")
	}
	return nil
}

// OfferFactor makes a secret for the user's device, after their password. A session is
// needed. Refusals: session_required, wrong_password, factor_active, *problem.TooMany.
func (a *Authenticator) OfferFactor(r *http.Request, who Person, password string) (*otp.Key, error) {
	if err := a.bySessionAndPassword(r, who, password); err != nil {
		return nil, err
	}
	ok, err := a.Vault.OfferFactor(r.Context(), who.User, who.Session, a.Now())
	if err != nil {
		return nil, err
	}
	if ok {
		if _, key, err := a.FactorOffer(r.Context(), who); key != nil || err != nil {
			return key, err
		}
	}
	return nil, domain.Reject(problem.FactorActive, "your second factor is active: turn it off first")
}

// FactorOffer gives the user's factor, and, where it was offered to this session and is not
// active, its key as their device takes it; else nil.
func (a *Authenticator) FactorOffer(ctx context.Context, who Person) (vault.Factor, *otp.Key, error) {
	f, err := a.Factor(ctx, who)
	if err != nil || f.Secret == "" {
		return f, nil, err
	}
	person, err := a.person(ctx, who.User) // a request of the API has no e-mail with it
	if err != nil {
		return f, nil, err
	}
	address := url.URL{Scheme: "otpauth", Host: "totp", Path: "/Kassa:" + person.Email, RawQuery: "secret=" + f.Secret + "&issuer=Kassa&algorithm=SHA1&digits=6&period=30"}
	key, err := otp.NewKeyFromURL(address.String())
	if err != nil {
		return f, nil, fmt.Errorf("make the address of a factor: %w", err)
	}
	return f, key, nil
}

func (a *Authenticator) bySessionAndPassword(r *http.Request, who Person, password string) error {
	if who.Session == "" {
		return domain.Reject(problem.SessionRequired, "this takes a browser's session: sign in")
	}
	person, err := a.person(r.Context(), who.User) // a request of the API has no e-mail with it
	if err != nil {
		return err
	}
	who.Email = person.Email
	return a.Confirm(r, who, password)
}

// ConfirmFactor makes the offered factor active by its first code, and gives the recovery
// codes. All other sessions and all personal tokens end. Refusals: session_required, wrong_code, *problem.TooMany.
func (a *Authenticator) ConfirmFactor(ctx context.Context, who Person, code string) ([]string, error) {
	codes, err := a.confirmFactor(ctx, who, code)
	a.record(ctx, security.Event{Kind: security.FactorAdded, User: who.User, Method: "totp"}, err)
	return codes, err
}

func (a *Authenticator) confirmFactor(ctx context.Context, who Person, code string) ([]string, error) {
	if who.Session == "" {
		return nil, domain.Reject(problem.SessionRequired, "this takes a browser's session: sign in")
	}
	if err := a.allow(ctx, a.limits().codes, string(who.User)); err != nil {
		return nil, err
	}
	codes, ok, err := a.Vault.ConfirmFactor(ctx, who.User, who.Session, code, a.Now())
	if err == nil && !ok {
		err = wrongCode()
	}
	return codes, err
}

func noFactor() error { return domain.Reject(problem.NoFactor, "you have no second factor") }

func wrongCode() error {
	return domain.Reject(problem.WrongCode, "this code is wrong, was used, or is not shown any more")
}

// checkCode uses a code of a person. Codes are few, so tries are limited by person, from
// wherever they come.
func (a *Authenticator) checkCode(ctx context.Context, u domain.UserID, code string) (way string, err error) {
	if err := a.allow(ctx, a.limits().codes, string(u)); err != nil {
		return "", err
	}
	way, ok, err := a.Vault.CheckCode(ctx, u, code, a.Now())
	if err == nil && !ok {
		err = wrongCode()
	}
	return way, err
}

// GiveCode uses a code in a session, which may then do for codeGoodFor what a code is asked
// for. Refusals: session_required, no_factor, wrong_code, *problem.TooMany.
func (a *Authenticator) GiveCode(ctx context.Context, who Person, code string) error {
	way, err := a.giveCode(ctx, who, code)
	a.record(ctx, security.Event{Kind: security.FactorChecked, User: who.User, Method: way}, err)
	return err
}

func (a *Authenticator) giveCode(ctx context.Context, who Person, code string) (way string, err error) {
	switch {
	case who.Session == "":
		return "", domain.Reject(problem.SessionRequired, "this takes a browser's session: sign in")
	case !who.Factor:
		return "", noFactor()
	}
	way, err = a.checkCode(ctx, who.User, code)
	refusal := domain.RefusalIn(err)
	switch {
	case err == nil:
		return way, partly(a.Vault.FactorGiven(ctx, who.User, who.Session, a.Now()), codeUsed)
	case refusal != nil && refusal.Code == problem.WrongCode && who.CodeDue:
		return way, a.givenMeanwhile(ctx, who, err)
	}
	return way, err
}

// givenMeanwhile is nil where a code was given in the session since this request began, and
// else the refusal: a form that is sent twice uses its code with the first request.
func (a *Authenticator) givenMeanwhile(ctx context.Context, who Person, refusal error) error {
	sessions, err := a.Sessions(ctx, who.User)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		now := who
		if now.ofSession(s, a.Now()); s.ID == who.Session && now.Factor && !now.CodeDue {
			return nil
		}
	}
	return refusal
}

// DropFactor turns the user's second factor off, after their password and a fresh code.
// Refusals: session_required, no_factor, code_required, wrong_password, *problem.TooMany.
func (a *Authenticator) DropFactor(r *http.Request, who Person, password string) error {
	err := a.dropFactor(r, who, password)
	a.record(r.Context(), security.Event{Kind: security.FactorRemoved, User: who.User, Method: "totp"}, err)
	return err
}

func (a *Authenticator) dropFactor(r *http.Request, who Person, password string) error {
	if who.Session != "" && !who.Factor {
		return noFactor()
	}
	if err := a.bySessionAndPassword(r, who, password); err != nil {
		return err
	}
	_, err := a.Vault.DropFactor(r.Context(), who.User) // of two at once both are done
	return err
}

// HalfSignIn checks the credentials. Where the person has a factor it gives a ticket for
// FinishSignIn; else it signs them in, as SignIn does, and the ticket is "".
func (a *Authenticator) HalfSignIn(w http.ResponseWriter, r *http.Request, email, password string) (ticket string, err error) {
	_, err = a.SignIn(r.Context(), w, r, email, password, "")
	refusal := domain.RefusalIn(err)
	if refusal == nil || refusal.Code != problem.SecondFactorRequired {
		return "", err
	}
	u, err := a.Users.FindUser(r.Context(), email)
	if err != nil {
		return "", err
	}
	return a.Vault.HalfSignIn(r.Context(), u, password, a.Now())
}

// FinishSignIn signs a person in by a ticket and a code. Refusals: invalid_credentials, where
// the ticket has expired; wrong_code, *problem.TooMany.
func (a *Authenticator) FinishSignIn(w http.ResponseWriter, r *http.Request, ticket, code string) error {
	return a.finish(w, r, ticket, func(u domain.UserID) (string, error) { return a.checkCode(r.Context(), u, code) })
}

// finish signs the person of a ticket in, once check has accepted their factor.
func (a *Authenticator) finish(w http.ResponseWriter, r *http.Request, ticket string, check func(domain.UserID) (way string, err error)) error {
	u, way, err := a.finishSignIn(w, r, ticket, check)
	a.record(r.Context(), security.Event{Kind: security.SignIn, User: u, Method: way}, err)
	return err
}

func (a *Authenticator) finishSignIn(w http.ResponseWriter, r *http.Request, ticket string, check func(domain.UserID) (way string, err error)) (u domain.UserID, way string, err error) {
	ctx := r.Context()
	u, ok := a.Vault.HalfSignedIn(ticket, a.Now())
	if !ok {
		return "", "", signInTooLong()
	}
	if way, err = check(u); err != nil {
		return u, way, err
	}
	if err = a.unlockedNow(ctx, u); err == nil { // a lock ends sessions, but none that begins behind it
		err = a.endSession(r)
	}
	if err == nil {
		_, err = a.startByTicket(ctx, w, r, ticket)
	}
	return u, way, partly(err, codeUsed)
}

func signInTooLong() error {
	return domain.Reject(domain.InvalidCredentials, "this sign-in took too long")
}

// codeUsed is done once checkCode has accepted a code: the same one is refused the next time.
const codeUsed = "the code is used"
