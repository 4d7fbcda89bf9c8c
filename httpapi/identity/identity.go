// Package identity says who asks: HTTP Basic for API clients, an opaque session
// cookie for browsers. It also slows down those who guess.
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
	"kassa/projections"
	"kassa/vault"
)

// Person is who sent a request.
type Person struct {
	User    domain.UserID
	Email   string // "" where the personal data is erased or damaged, and behind UserOnly
	Admin   bool   // as the log has it now; false behind UserOnly
	Session bool   // by cookie, else by Basic
}

type personKey struct{}

// From gives the person whom Middleware found; ok is false for an anonymous request.
func From(ctx context.Context) (p Person, ok bool) {
	p, ok = ctx.Value(personKey{}).(Person)
	return p, ok
}

// People finds the account of an e-mail, or gives the refusal account_not_found.
type People interface {
	FindUser(ctx context.Context, email string) (domain.UserID, error)
}

// Vault keeps passwords and sessions.
type Vault interface {
	Verify(ctx context.Context, u domain.UserID, password string) (bool, error)
	Remembered(u domain.UserID, password string) bool
	NewSession(ctx context.Context, u domain.UserID, now time.Time) (token string, err error)
	Session(ctx context.Context, token string, now time.Time) (u domain.UserID, ok bool, err error)
	EndSession(ctx context.Context, token string) error
	OpenEmail(ctx context.Context, u domain.UserID, sealed domain.Sealed) (string, error)
}

// Accounts reads people's accounts from the log.
type Accounts interface {
	// Refresh gives the account as the log has it now, whichever process wrote last.
	Refresh(ctx context.Context, u domain.UserID) (eventstore.Loaded, error)
}

// Views knows the people who have signed up. Only what is shown is taken from it,
// never what a person may do.
type Views interface {
	// User shows the log at least up to a position, and gives up to where; see projections.Views.
	User(ctx context.Context, u domain.UserID, least eventstore.Position) (projections.User, eventstore.Position, error)
}

// Authenticator is safe for concurrent use and must not be copied.
type Authenticator struct {
	People   People
	Vault    Vault
	Accounts Accounts
	Views    Views
	Problems *problem.Writer
	Now      func() time.Time

	Secure  bool           // browsers reach us by https only: Secure cookies under the __Host- prefix
	Proxies []netip.Prefix // whose X-Forwarded-For is believed; none by default
	Limits  Limits
	Tries   Tries // nil: this process counts passwords and sign-ups by itself

	verifying shared
	limiters  limiters
	known     known
	writers   writers
}

// viewsWait bounds the wait for views that have not come to a new sign-up yet.
const viewsWait = 5 * time.Second

// Middleware attaches the person to the request's context where its credentials
// are good. Bad Basic credentials are answered with 401; a cookie that is over is
// cleared and the request goes on as anonymous. The views know everybody whom it
// attaches.
func (a *Authenticator) Middleware(next http.Handler) http.Handler {
	return a.attach(a.person, next)
}

// UserOnly is Middleware for what needs neither the person's e-mail nor whether
// they are an admin: those are left out, and the views need not be asked each time.
func (a *Authenticator) UserOnly(next http.Handler) http.Handler {
	return a.attach(a.userOnly, next)
}

// reader gives what is known of a user.
type reader func(ctx context.Context, u domain.UserID) (Person, error)

func (a *Authenticator) attach(read reader, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		person, ok, err := a.identify(w, r, read)
		if err != nil {
			a.Problems.Refuse(w, r, err)
			return
		}
		if ok {
			r = r.WithContext(context.WithValue(r.Context(), personKey{}, person))
		}
		next.ServeHTTP(w, r)
	})
}

func (a *Authenticator) identify(w http.ResponseWriter, r *http.Request, read reader) (Person, bool, error) {
	if r.Header.Get("Authorization") != "" {
		email, password, ok := r.BasicAuth()
		if !ok {
			return Person{}, false, domain.Reject(domain.InvalidCredentials, "only Basic credentials are known here")
		}
		person, err := a.check(r, email, password, read)
		return person, err == nil, err
	}
	cookie, err := r.Cookie(a.CookieName())
	if err != nil {
		return Person{}, false, nil
	}
	u, ok, err := a.Vault.Session(r.Context(), cookie.Value, a.Now())
	if err != nil {
		return Person{}, false, err
	}
	if !ok {
		a.setCookie(w, "")
		return Person{}, false, nil
	}
	person, err := read(r.Context(), u)
	person.Session = true
	return person, err == nil, err
}

// SignIn checks the credentials and starts a session. Refusals: a *domain.Refusal
// invalid_credentials, which does not say whether the account exists, or a
// *problem.TooMany. A session that the browser had before is ended.
func (a *Authenticator) SignIn(ctx context.Context, w http.ResponseWriter, r *http.Request, email, password string) (Person, error) {
	person, err := a.check(r.WithContext(ctx), email, password, a.person)
	if err != nil {
		return Person{}, err
	}
	if err := a.endSession(r); err != nil {
		return Person{}, err
	}
	if err := a.StartSession(ctx, w, person.User); err != nil {
		return Person{}, err
	}
	person.Session = true
	return person, nil
}

// StartSession signs the browser in. The caller has just seen the person's
// password, or opened the account; a replayed sign-up is neither: it proves that
// somebody knows an Idempotency-Key, not the password.
func (a *Authenticator) StartSession(ctx context.Context, w http.ResponseWriter, u domain.UserID) error {
	token, err := a.Vault.NewSession(ctx, u, a.Now())
	if err != nil {
		return err
	}
	a.setCookie(w, token)
	return nil
}

// SignOut ends the request's session, if it has one, and clears the cookie.
func (a *Authenticator) SignOut(w http.ResponseWriter, r *http.Request) error {
	if err := a.endSession(r); err != nil {
		return err
	}
	a.setCookie(w, "")
	return nil
}

func (a *Authenticator) endSession(r *http.Request) error {
	cookie, err := r.Cookie(a.CookieName())
	if err != nil {
		return nil
	}
	return a.Vault.EndSession(r.Context(), cookie.Value)
}

// check gives the person whose e-mail and password these are.
func (a *Authenticator) check(r *http.Request, email, password string, read reader) (Person, error) {
	u, err := a.People.FindUser(r.Context(), email)
	if err != nil && domain.RefusalIn(err) == nil {
		return Person{}, fmt.Errorf("find who signs in: %w", err)
	}
	if u == "" || !a.Vault.Remembered(u, password) {
		if err := a.verify(r, u, email, password); err != nil {
			return Person{}, err
		}
	}
	return read(r.Context(), u)
}

// verify hashes the password, which costs time and counts against the limits.
// Requests that come at once with the same credentials share one hash, so a client's
// first dozen in parallel count as one. What is shared and what is counted depends on
// the e-mail as it is unique, and not on whether it has an account.
func (a *Authenticator) verify(r *http.Request, u domain.UserID, email, password string) error {
	name := emailKey(email) + "\x00" + string(u) + "\x00" + password
	return a.verifying.do(r.Context(), name, func(ctx context.Context) error {
		if u != "" && a.Vault.Remembered(u, password) {
			return nil
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

// person reads what is known of a user. Somebody who signed up a moment ago may
// not be in the views yet; they are waited for.
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
	if err != nil && !vault.Lost(err) { // who it is does not depend on it
		return Person{}, err
	}
	account, err := a.Accounts.Refresh(ctx, u)
	if err != nil {
		return Person{}, fmt.Errorf("read whether %s is an admin: %w", u, err)
	}
	return Person{User: u, Email: email, Admin: account.Account.Admin}, nil
}

// CookieName is that of the session.
func (a *Authenticator) CookieName() string {
	if a.Secure {
		return "__Host-kassa_session"
	}
	return "kassa_session"
}

// setCookie with an empty token clears the cookie.
func (a *Authenticator) setCookie(w http.ResponseWriter, token string) {
	age := int(vault.SessionLife.Seconds())
	if token == "" {
		age = -1
	}
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
