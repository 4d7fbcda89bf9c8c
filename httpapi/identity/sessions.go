package identity

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/mileusna/useragent"

	"kassa/domain"
	"kassa/httpapi/problem"
	"kassa/internal/security"
	"kassa/vault"
)

// shownNetwork is the part of the address that is stored with a session: enough for a
// person to recognise where they were, and shared by many.
func (a *Authenticator) shownNetwork(r *http.Request) string {
	ip := a.ClientIP(r)
	if ip.Is6() {
		return prefixOf(ip, 48)
	}
	return prefixOf(ip, 24)
}

// origin is what is stored of where a session begins.
func (a *Authenticator) origin(r *http.Request) vault.Origin {
	return vault.Origin{Device: deviceOf(r), Network: a.shownNetwork(r)}
}

// Limits of what is read of a User-Agent and stored as a device, in bytes and characters.
const (
	maxAgent  = 512
	maxDevice = 60
)

// deviceOf names the browser and the system of a request, such as "Firefox, Linux"; ""
// where it names none. Both are what the client states of itself.
func deviceOf(r *http.Request) string {
	agent := r.UserAgent()
	parsed := useragent.Parse(strings.ToValidUTF8(agent[:min(len(agent), maxAgent)], ""))
	name := strings.Join(strings.FieldsFunc(parsed.Name+", "+parsed.OS, func(c rune) bool { return !unicode.IsPrint(c) }), " ")
	if short := []rune(name); len(short) > maxDevice {
		name = string(short[:maxDevice])
	}
	return strings.Trim(name, ", ")
}

// Sessions are the user's sessions, the one with the latest request first.
func (a *Authenticator) Sessions(ctx context.Context, u domain.UserID) ([]vault.Session, error) {
	return a.Vault.Sessions(ctx, u, a.Now())
}

// EndSession ends one of the user's sessions; the refusal is session_not_found.
func (a *Authenticator) EndSession(ctx context.Context, u domain.UserID, id vault.SessionID) error {
	ended, err := a.Vault.EndSessionOf(ctx, u, id)
	if err == nil && !ended {
		err = domain.Reject(problem.SessionNotFound, "there is no such session, or it has ended")
	}
	a.record(ctx, security.Event{Kind: security.SessionEnded, User: u}, err)
	return err
}

// EndOtherSessions ends all sessions of the user but that of the request.
func (a *Authenticator) EndOtherSessions(ctx context.Context, who Person) error {
	err := a.Vault.EndOtherSessions(ctx, who.User, who.Session)
	a.record(ctx, security.Event{Kind: security.SessionEnded, User: who.User, Method: "others"}, err)
	return err
}

// EndSessionsOf ends all sessions of another person, as an admin.
func (a *Authenticator) EndSessionsOf(ctx context.Context, who Person, subject domain.UserID) error {
	err := a.Vault.EndOtherSessions(ctx, subject, "")
	a.record(ctx, security.Event{Kind: security.SessionEnded, User: who.User, Subject: subject, Method: "admin"}, err)
	return err
}

// validEvery is how often a request that goes on for long is checked.
const validEvery = 500 * time.Millisecond

// WhileValid returns a context that ends with the request's credentials, in whichever process: when
// the session has ended, the token was revoked, the password was changed, the account was locked, or
// an auditor or admin is neither any more. The context's cause is then a refusal. A check that fails
// is repeated, and ends nothing.
func (a *Authenticator) WhileValid(ctx context.Context, r *http.Request) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	go func() {
		tick := time.NewTicker(validEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if valid, err := a.valid(ctx, r); err == nil && !valid {
				end(domain.Reject(problem.AuthenticationRequired, "the credentials of the request have ended: sign in again"))
			}
		}
	}()
	return ctx, func() { end(nil) }
}

// valid reports whether the request may still do what it was let in for: its credentials by the
// vault, the rest by the log, which has a lock also where its sessions could not be ended.
func (a *Authenticator) valid(ctx context.Context, r *http.Request) (bool, error) {
	who, _ := From(r.Context())
	u, ok, err := a.holder(ctx, r, who)
	if err != nil || !ok {
		return false, err
	}
	loaded, err := a.Accounts.Refresh(ctx, u)
	if err != nil {
		return false, fmt.Errorf("read what %s may do: %w", u, err)
	}
	account := loaded.Account
	return account.MayAct() == nil && (!who.MayAudit() || account.Auditor || account.Admin), nil
}

// holder is whose the request's credentials are; ok is false where they are no longer good.
func (a *Authenticator) holder(ctx context.Context, r *http.Request, who Person) (u domain.UserID, ok bool, err error) {
	if text, bears := bearer(r); bears {
		t, _, ok, err := a.Vault.Token(ctx, text, a.Now())
		return t.User, ok, err
	}
	if _, password, basic := r.BasicAuth(); basic {
		ok, err := a.Vault.Verify(ctx, who.User, password)
		return who.User, ok, err
	}
	cookie, err := r.Cookie(a.CookieName())
	if err != nil {
		return "", false, err
	}
	s, ok, err := a.Vault.Session(ctx, cookie.Value, a.shownNetwork(r), a.Now())
	return s.User, ok, err
}
