// Package identity authenticates requests: HTTP Basic or a personal token for API clients,
// an opaque session cookie for browsers. It also rate-limits password guesses.
package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/problem"
	"kassa/httpapi/requestlog"
	"kassa/internal/security"
	"kassa/projections"
	"kassa/vault"
)

// Person is the user who sent a request.
type Person struct {
	User    domain.UserID
	Email   string          // "" where the personal data is erased or damaged, and behind UserOnly
	Admin   bool            // as the log has it now; false behind UserOnly
	Auditor bool            // the same
	Session vault.SessionID // by cookie; "" by Basic or a token
	Token   *vault.Token    // by a personal token; nil by other credentials
	Factor  bool            // they have a second factor; false by other credentials than a session
	CodeDue bool            // of a session: no code of it was given for a while
}

// MayAudit reports whether the user reads what auditors read. Admins do too.
func (p Person) MayAudit() bool { return p.Admin || p.Auditor }

type personKey struct{}

// From returns the user whom Middleware found; ok is false for an anonymous request.
func From(ctx context.Context) (p Person, ok bool) {
	p, ok = ctx.Value(personKey{}).(Person)
	return p, ok
}

// UserFinder finds the account of an e-mail, or returns the refusal account_not_found.
type UserFinder interface {
	FindUser(ctx context.Context, email string) (domain.UserID, error)
}

// Vault stores passwords and sessions.
type Vault interface {
	Verify(ctx context.Context, u domain.UserID, password string) (bool, error)
	Remembered(ctx context.Context, u domain.UserID, password string) (bool, error)
	CheckPassword(password, email string) error
	ChangePassword(ctx context.Context, u domain.UserID, was, password string) (bool, error)
	resets
	tokens
	factors
	passkeys
	NewSession(ctx context.Context, u domain.UserID, password string, from vault.Origin, now time.Time) (token string, s vault.Session, err error)
	Session(ctx context.Context, token, network string, now time.Time) (s vault.Session, ok bool, err error)
	Sessions(ctx context.Context, u domain.UserID, now time.Time) ([]vault.Session, error)
	EndSession(ctx context.Context, token string) error
	EndSessionOf(ctx context.Context, u domain.UserID, id vault.SessionID) (bool, error)
	EndOtherSessions(ctx context.Context, u domain.UserID, but vault.SessionID) error
	OpenEmail(ctx context.Context, u domain.UserID, sealed domain.Sealed) (string, error)
}

// Accounts reads accounts from the log.
type Accounts interface {
	// AccountWithin returns the account as this process remembers it, which follows the log,
	// if it was read so short a time ago, and else as Refresh does.
	AccountWithin(ctx context.Context, u domain.UserID, age time.Duration) (eventstore.Loaded, error)
	// Refresh returns the account as the log has it now, including writes of other
	// processes.
	Refresh(ctx context.Context, u domain.UserID) (eventstore.Loaded, error)
}

// Views has the users who have signed up. It provides what is shown, never what a user
// may do.
type Views interface {
	// User reads at a position of at least least, and returns the position; see
	// projections.Views.
	User(ctx context.Context, u domain.UserID, least eventstore.Position) (projections.User, eventstore.Position, error)
}

// Authenticator is safe for concurrent use and must not be copied.
type Authenticator struct {
	Users    UserFinder
	Vault    Vault
	Accounts Accounts
	Views    Views
	Problems *problem.Writer
	Now      func() time.Time

	AdminFactor bool // admins and auditors without a second factor may do nothing as such

	PublicURL string   // address of the service as browsers have it; "" where it is not known
	Hosts     []string // names by which it may be called; none: any

	Mails   bool           // mails are sent: a link for a forgotten password can be asked for
	Secure  bool           // browsers reach the server by https only: Secure cookies with the __Host- prefix
	Proxies []netip.Prefix // trusted proxies, whose X-Forwarded-For is used; none by default
	Limits  Limits
	Tries   Tries // nil: this process counts passwords and sign-ups alone

	Security *security.Log // nil: none is kept

	verifying  shared
	limiters   limiters
	users      userCache
	lastWrites lastWrites
}

// viewsWait limits the wait for views that do not have a new user yet.
const viewsWait = 5 * time.Second

// Middleware attaches the user to the request's context if the credentials are valid.
// Invalid Basic credentials or tokens are answered with 401; an expired cookie is cleared
// and the request goes on as anonymous. A personal token without the scope is answered with
// 403; no token has the scope "". Every attached user is in the views.
func (a *Authenticator) Middleware(scope vault.Scope, next http.Handler) http.Handler {
	return a.attach(scope, a.person, next)
}

// UserOnly is Middleware for handlers that need neither the e-mail nor the roles: these are
// left out, so the views are not read for every request.
func (a *Authenticator) UserOnly(scope vault.Scope, next http.Handler) http.Handler {
	return a.attach(scope, a.userOnly, next)
}

// userReader returns what is known of a user.
type userReader func(ctx context.Context, u domain.UserID) (Person, error)

func (a *Authenticator) attach(scope vault.Scope, read userReader, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		person, ok, err := a.identify(w, r, read)
		if err != nil {
			a.Problems.Refuse(w, r, err)
			return
		}
		if ok {
			requestlog.Of(r.Context()).User = person.User
			if err := person.Require(scope); err != nil {
				a.Problems.Refuse(w, r, err)
				return
			}
			r = r.WithContext(context.WithValue(r.Context(), personKey{}, person))
		}
		next.ServeHTTP(w, r)
	})
}

func (a *Authenticator) identify(w http.ResponseWriter, r *http.Request, read userReader) (Person, bool, error) {
	if text, ok := bearer(r); ok {
		person, err := a.byToken(r, text, read)
		return person, err == nil, err
	}
	if r.Header.Get("Authorization") != "" {
		email, password, ok := r.BasicAuth()
		if !ok {
			return Person{}, false, domain.Reject(domain.InvalidCredentials, "only Basic credentials and personal tokens are known here")
		}
		person, err := a.check(r, credentials{email, password, "", byBasic}, read)
		return person, err == nil, err
	}
	cookie, err := r.Cookie(a.CookieName())
	if err != nil {
		return Person{}, false, nil
	}
	s, ok, err := a.Vault.Session(r.Context(), cookie.Value, a.shownNetwork(r), a.Now())
	if err != nil {
		return Person{}, false, err
	}
	if !ok {
		a.clearCookie(w)
		return Person{}, false, nil
	}
	person, err := read(r.Context(), s.User)
	if refusal := domain.RefusalIn(err); refusal != nil && refusal.Code == domain.Locked { // the session is about to end
		a.clearCookie(w)
		return Person{}, false, nil
	}
	person.ofSession(s, a.Now())
	return person, err == nil, err
}

// SignIn checks the credentials, with a code where the person has a second factor, and
// starts a session. Refusals: a *domain.Refusal invalid_credentials, which does not reveal
// whether the account exists, second_factor_required, wrong_code, account_locked, or a *problem.TooMany.
// The browser's previous session is ended.
func (a *Authenticator) SignIn(ctx context.Context, w http.ResponseWriter, r *http.Request, email, password, code string) (Person, error) {
	person, err := a.check(r.WithContext(ctx), credentials{email, password, code, bySession}, a.person)
	if err != nil {
		return Person{}, err
	}
	start := a.StartSession
	if person.Factor {
		start = a.startWithFactor
	}
	if err = a.endSession(r); err == nil {
		person.Session, err = start(ctx, w, r, person.User, password)
	}
	if err != nil && person.Factor {
		err = partly(err, codeUsed)
	}
	if err != nil {
		return Person{}, err
	}
	return person, nil
}

// StartSession starts a session, with a token of its own: one that the browser had before is
// never kept. The caller has just checked the user's password or created the account. A
// replayed sign-up is neither: it proves knowledge of an Idempotency-Key, not of the password.
func (a *Authenticator) StartSession(ctx context.Context, w http.ResponseWriter, r *http.Request, u domain.UserID, password string) (vault.SessionID, error) {
	token, s, err := a.Vault.NewSession(ctx, u, password, a.origin(r), a.Now())
	if err != nil {
		return "", err
	}
	a.setCookie(w, token, int(s.ExpiresAt.Sub(s.CreatedAt).Seconds()))
	return s.ID, nil
}

// SignOut ends the request's session, if any, and clears the cookie.
func (a *Authenticator) SignOut(w http.ResponseWriter, r *http.Request) error {
	a.recordSignOut(r)
	if err := a.endSession(r); err != nil {
		return err
	}
	a.clearCookie(w)
	return nil
}

func (a *Authenticator) endSession(r *http.Request) error {
	cookie, err := r.Cookie(a.CookieName())
	if err != nil {
		return nil
	}
	return a.Vault.EndSession(r.Context(), cookie.Value)
}

// startWithFactor is StartSession for a user who has just given a code.
func (a *Authenticator) startWithFactor(ctx context.Context, w http.ResponseWriter, r *http.Request, u domain.UserID, password string) (vault.SessionID, error) {
	ticket, err := a.Vault.HalfSignIn(ctx, u, password, a.Now())
	if err != nil {
		return "", err
	}
	return a.startByTicket(ctx, w, r, ticket)
}

func (a *Authenticator) startByTicket(ctx context.Context, w http.ResponseWriter, r *http.Request, ticket string) (vault.SessionID, error) {
	token, s, err := a.Vault.NewSessionByTicket(ctx, ticket, a.origin(r), a.Now())
	if err != nil {
		return "", err
	}
	a.setCookie(w, token, int(s.ExpiresAt.Sub(s.CreatedAt).Seconds()))
	return s.ID, nil
}

// credentials are what a client sends to be known; how names what they are sent for.
type credentials struct{ email, password, code, how string }

// check returns the user with these credentials.
func (a *Authenticator) check(r *http.Request, c credentials, read userReader) (Person, error) {
	email, password, how := c.email, c.password, c.how
	u, err := a.Users.FindUser(r.Context(), email)
	if err != nil && domain.RefusalIn(err) == nil {
		return Person{}, fmt.Errorf("find who signs in: %w", err)
	}
	remembered, err := a.Vault.Remembered(r.Context(), u, password)
	if err == nil && !remembered { // without an account, verify answers as for a wrong password
		err = a.verify(r, u, email, password)
	}
	factor := false
	if err == nil {
		factor, err = a.secondFactor(r.Context(), u, c)
	}
	var person Person
	if err == nil {
		requestlog.Of(r.Context()).User = u
		person, err = read(r.Context(), u)
	}
	if how == bySession || !remembered || err != nil {
		a.record(r.Context(), security.Event{Kind: security.SignIn, User: u, Email: emailKey(email), Method: how}, err)
	}
	if err != nil {
		return Person{}, err
	}
	person.Factor = factor
	return person, nil
}

// secondFactor reports whether the user has a second factor, and refuses credentials without
// its code. A password that comes with each request cannot bring one.
func (a *Authenticator) secondFactor(ctx context.Context, u domain.UserID, c credentials) (has bool, err error) {
	has, err = a.Vault.HasFactor(ctx, u)
	switch {
	case err != nil || !has:
		return false, err
	case c.how == byBasic:
		return true, domain.Reject(problem.SecondFactorRequired, "this account has a second factor: use a personal token instead of the password")
	case c.code == "":
		return true, domain.Reject(problem.SecondFactorRequired, "this account has a second factor: give its code too")
	}
	_, err = a.checkCode(ctx, u, c.code)
	return true, err
}

// verify hashes the password, which is expensive and counts against the limits.
// Concurrent requests with the same credentials share one hash, so the first dozen
// parallel requests of a client count as one. Sharing and counting use the normalized
// e-mail, whether or not it has an account.
func (a *Authenticator) verify(r *http.Request, u domain.UserID, email, password string) error {
	name := emailKey(email) + "\x00" + string(u) + "\x00" + password
	return a.verifying.do(r.Context(), name, func(ctx context.Context) error {
		if ok, err := a.Vault.Remembered(ctx, u, password); ok || err != nil {
			return err
		}
		if err := a.allowSignIn(r.WithContext(ctx), email); err != nil {
			return err
		}
		ok, err := a.Vault.Verify(ctx, u, password)
		if err == nil && !ok {
			err = domain.Reject(domain.InvalidCredentials, "the e-mail or the password is wrong")
		}
		return err
	})
}

// person reads what is known of a user, and refuses one whose account is locked. A new user
// may not be in the views yet, so it waits for them.
func (a *Authenticator) person(ctx context.Context, u domain.UserID) (Person, error) {
	ctx, cancel := context.WithTimeout(ctx, viewsWait)
	defer cancel()
	user, at, err := a.Views.User(ctx, u, 0)
	for errors.Is(err, projections.ErrNotFound) {
		user, at, err = a.Views.User(ctx, u, at+1)
	}
	if err != nil {
		return Person{}, fmt.Errorf("read person %s: %w", u, err)
	}
	email, err := a.Vault.OpenEmail(ctx, u, user.Email)
	if err != nil && !vault.Lost(err) { // identification does not depend on the e-mail
		return Person{}, err
	}
	account, err := a.Accounts.Refresh(ctx, u)
	if err != nil {
		return Person{}, fmt.Errorf("read the roles of %s: %w", u, err)
	}
	if err := account.Account.MayAct(); err != nil {
		return Person{}, err
	}
	return Person{User: u, Email: email, Admin: account.Account.Admin, Auditor: account.Account.Auditor}, nil
}

// CookieName is the name of the session cookie.
func (a *Authenticator) CookieName() string {
	if a.Secure {
		return "__Host-kassa_session"
	}
	return "kassa_session"
}

func (a *Authenticator) clearCookie(w http.ResponseWriter) { a.setCookie(w, "", -1) }

func (a *Authenticator) setCookie(w http.ResponseWriter, token string, age int) {
	http.SetCookie(w, &http.Cookie{Name: a.CookieName(), Value: token, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: a.Secure, SameSite: http.SameSiteLaxMode})
}

// emailKey is the spelling under which guesses at one account are counted.
func emailKey(email string) string {
	if normalized, err := domain.NormalizeEmail(email); err == nil {
		return normalized
	}
	return strings.ToLower(strings.TrimSpace(email))
}
