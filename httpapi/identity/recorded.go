package identity

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"kassa/catalog"
	"kassa/domain"
	"kassa/httpapi/problem"
	"kassa/internal/security"
)

// What a password was sent for: a session, or one request with Basic authentication. A
// client sends Basic credentials with every request: it signs in where they are checked,
// and not while they are remembered. A token signs in where its use is stored.
const (
	bySession = "session"
	byBasic   = "basic"
	byToken   = "token"
)

// record records an event with what err says of its outcome.
func (a *Authenticator) record(ctx context.Context, e security.Event, err error) {
	refusal := domain.RefusalIn(err)
	switch _, limited := errors.AsType[*problem.TooMany](err); {
	case err == nil:
		e.Outcome = security.OK
	case limited:
		e.Outcome = security.Limited
	case refusal != nil:
		e.Outcome, e.Reason = security.Refused, string(refusal.Code)
	default:
		e.Outcome = security.Failed
	}
	a.Security.Record(ctx, e)
}

// recordSignOut records whose session ends, if there is one.
func (a *Authenticator) recordSignOut(r *http.Request) {
	cookie, err := r.Cookie(a.CookieName())
	if err != nil {
		return
	}
	if s, ok, err := a.Vault.Session(r.Context(), cookie.Value, a.shownNetwork(r), a.Now()); err == nil && ok {
		a.Security.Record(r.Context(), security.Event{Kind: security.SignOut, User: s.User, Method: bySession})
	}
}

// RecordExport records that a user asked for their data.
func (a *Authenticator) RecordExport(ctx context.Context, u domain.UserID, err error) {
	a.record(ctx, security.Event{Kind: security.DataExported, User: u}, err)
}

// RecordErasure records that u asked for an erasure: of their own data, or, as an admin, of
// the subject's.
func (a *Authenticator) RecordErasure(ctx context.Context, u, subject domain.UserID, due time.Time) {
	if subject == u {
		subject = ""
	}
	a.Security.Record(ctx, security.Event{Kind: security.ErasureRequested, User: u, Subject: subject, Details: []slog.Attr{slog.Time("due", due)}})
}

// RecordOrder records that an admin changed the subject's role or lock; role is "" for a lock.
func (a *Authenticator) RecordOrder(ctx context.Context, kind security.Kind, u, subject domain.UserID, role domain.Role) {
	e := security.Event{Kind: kind, User: u, Subject: subject}
	if role != "" {
		e.Details = []slog.Attr{slog.String("role", string(role))}
	}
	a.Security.Record(ctx, e)
}

// RecordEdition records that an admin changed films of the catalogue.
func (a *Authenticator) RecordEdition(ctx context.Context, u domain.UserID, e catalog.Edition) {
	a.Security.Record(ctx, security.Event{Kind: security.CatalogueChanged, User: u,
		Details: []slog.Attr{slog.Int64("edition", e.Number), slog.String("how", string(e.Kind)), slog.Int("films", e.Films)}})
}

// RecordErasureCancelled records that a user keeps their account, or, as an admin, that of the
// subject.
func (a *Authenticator) RecordErasureCancelled(ctx context.Context, u, subject domain.UserID) {
	if subject == u {
		subject = ""
	}
	a.Security.Record(ctx, security.Event{Kind: security.ErasureCancelled, User: u, Subject: subject})
}
