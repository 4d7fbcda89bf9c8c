package identity

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"kassa/domain"
	"kassa/httpapi/problem"
	"kassa/httpapi/requestlog"
	"kassa/internal/security"
	"kassa/vault"
)

// tokens are what the methods below need of the vault.
type tokens interface {
	NewToken(ctx context.Context, u domain.UserID, password string, t vault.Token, now time.Time) (text string, made vault.Token, err error)
	Token(ctx context.Context, text string, now time.Time) (t vault.Token, first, ok bool, err error)
	Tokens(ctx context.Context, u domain.UserID, now time.Time) ([]vault.Token, error)
	RevokeToken(ctx context.Context, u domain.UserID, id vault.TokenID) (bool, error)
}

// maxName is how many characters the name of a token or a passkey has at most.
const maxName = 60

// Limits of a token's life, in days.
const (
	MaxTokenDays   = 365
	FirstTokenDays = 90 // of one that is given none
)

// TokenOrder is what a person chooses of a new token.
type TokenOrder struct {
	Name     string
	Scopes   []vault.Scope
	Days     int // of its life
	Password string
}

// bearer is the token of the request; ok is false where it has other credentials or none.
func bearer(r *http.Request) (text string, ok bool) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimLeft(text, " "), strings.EqualFold(scheme, "Bearer")
}

// byToken returns the user of a personal token. Where its use is stored, and where it is
// refused, that is a sign-in.
func (a *Authenticator) byToken(r *http.Request, text string, read userReader) (Person, error) {
	t, first, ok, err := a.Vault.Token(r.Context(), text, a.Now())
	if err == nil && !ok {
		err = domain.Reject(domain.InvalidCredentials, "this token was revoked, has expired, or never was")
	}
	if first || err != nil {
		a.record(r.Context(), security.Event{Kind: security.SignIn, User: t.User, Method: byToken, Details: tokenDetails(t.ID)}, err)
	}
	if err != nil {
		return Person{}, err
	}
	requestlog.Of(r.Context()).User = t.User
	person, err := read(r.Context(), t.User)
	person.Token = &t
	return person, err
}

func tokenDetails(id vault.TokenID) []slog.Attr {
	if id == "" {
		return nil
	}
	return []slog.Attr{slog.String("token", string(id))}
}

// Require refuses a personal token without the scope with insufficient_scope. Other
// credentials have all scopes; no token has the scope "".
func (p Person) Require(scope vault.Scope) error {
	switch {
	case p.Token == nil, p.Token.May(scope):
		return nil
	case scope == "":
		return domain.Reject(problem.InsufficientScope, "no personal token may do this: sign in")
	}
	return domain.Reject(problem.InsufficientScope, "this token does not have the scope %s", scope)
}

// Tokens are the user's personal tokens, the newest first.
func (a *Authenticator) Tokens(ctx context.Context, u domain.UserID) ([]vault.Token, error) {
	return a.Vault.Tokens(ctx, u, a.Now())
}

// MakeToken makes a personal token for a user who is signed in by a session, and gives its
// text, which cannot be read again. It asks for the password: a session ends, and a token
// made by a stolen one would not end with it. Refusals: session_required, invalid_name,
// invalid_scope, invalid_expiry, wrong_password, too_many_tokens, *problem.TooMany.
func (a *Authenticator) MakeToken(r *http.Request, who Person, order TokenOrder) (string, vault.Token, error) {
	text, t, err := a.makeToken(r, who, order)
	a.record(r.Context(), security.Event{Kind: security.TokenCreated, User: who.User, Details: tokenDetails(t.ID)}, err)
	return text, t, err
}

func (a *Authenticator) makeToken(r *http.Request, who Person, order TokenOrder) (string, vault.Token, error) {
	none := vault.Token{}
	person, err := a.person(r.Context(), who.User) // a request of the API has no role with it
	if err != nil {
		return "", none, err
	}
	if err := order.check(person); err != nil {
		return "", none, err
	}
	if err := a.bySessionAndPassword(r, who, order.Password); err != nil {
		return "", none, err
	}
	now := a.Now()
	text, t, err := a.Vault.NewToken(r.Context(), who.User, order.Password,
		vault.Token{Name: order.Name, Scopes: order.Scopes, ExpiresAt: now.AddDate(0, 0, order.Days), ByFactor: who.Factor}, now)
	if errors.Is(err, vault.ErrTooManyTokens) {
		err = domain.Reject(problem.TooManyTokens, "you have %d tokens: revoke one that is not needed any more", vault.MaxTokens)
	} else if refusal := domain.RefusalIn(err); refusal != nil { // changed since it was checked
		err = wrongPassword()
	}
	return text, t, err
}

func (o *TokenOrder) check(who Person) error {
	name, err := CheckName(o.Name)
	if err != nil {
		return err
	}
	o.Name = name
	if len(o.Scopes) == 0 {
		return domain.Reject(problem.InvalidScope, "a token has at least one scope")
	}
	for i, s := range o.Scopes {
		switch {
		case !slices.Contains(vault.Scopes, s):
			return domain.Reject(problem.InvalidScope, "the scopes are read, spend, admin and audit")
		case slices.Contains(o.Scopes[:i], s):
			return domain.Reject(problem.InvalidScope, "a scope is given twice")
		case s == vault.ScopeAdmin && !who.Admin: // they would have it on the day on which they become one
			return domain.Reject(problem.InvalidScope, "the scope admin is for admins")
		case s == vault.ScopeAudit && !who.MayAudit():
			return domain.Reject(problem.InvalidScope, "the scope audit is for auditors and admins")
		}
	}
	if o.Days < 1 || o.Days > MaxTokenDays {
		return domain.Reject(problem.InvalidExpiry, "a token lives for 1 to %d days", MaxTokenDays)
	}
	return nil
}

// CheckName gives the name of a token or a passkey without spaces around it. The refusal is
// invalid_name.
func CheckName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n < 1 || n > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return "", domain.Reject(problem.InvalidName, "a name has 1 to %d visible characters", maxName)
	}
	return name, nil
}

// RevokeToken ends one of the user's tokens, in every process at once. The refusal is
// token_not_found.
func (a *Authenticator) RevokeToken(ctx context.Context, u domain.UserID, id vault.TokenID) error {
	ended, err := a.Vault.RevokeToken(ctx, u, id)
	if err == nil && !ended {
		err = domain.Reject(problem.TokenNotFound, "there is no such token, or it has ended")
	}
	a.record(ctx, security.Event{Kind: security.TokenRevoked, User: u, Details: tokenDetails(id)}, err)
	return err
}
