// Package security records security events: who signed in, who was refused, who read the
// data of others. It is one stream of JSON lines, apart from the program's log; see
// docs/security-log.md.
package security

import (
	"context"
	"log/slog"
	"net/netip"

	"kassa/domain"
)

// Kind is what happened. A kind is never renamed: filters and alerts name it.
type Kind string

const (
	SignIn        Kind = "sign_in"  // by a password, or later by another factor; Method says how
	SignUp        Kind = "sign_up"  // only where a limit refuses it: an account is in the ledger
	SignOut       Kind = "sign_out" // by its user
	SessionEnded  Kind = "session_ended"
	AccessRefused Kind = "access_refused" // signed in or not: the request may not do that
	AdminRead     Kind = "admin_read"     // an admin was shown what belongs to others
	AdminChange   Kind = "admin_change"   // an admin sent a form or a command
	RoleGranted   Kind = "role_granted"
	RoleRevoked   Kind = "role_revoked"
	Settings      Kind = "settings" // of a process that starts

	CatalogueChanged Kind = "catalogue_changed" // an admin changed films

	PasswordChanged Kind = "password_changed"
	ResetRequested  Kind = "reset_requested"
	ResetUsed       Kind = "reset_used"
	EmailChanged    Kind = "email_changed"
	FactorAdded     Kind = "factor_added"
	FactorRemoved   Kind = "factor_removed"
	FactorChecked   Kind = "factor_checked" // a code was given again in a session
	TokenCreated    Kind = "token_created"
	TokenRevoked    Kind = "token_revoked"
	AccountLocked   Kind = "account_locked"
	AccountUnlocked Kind = "account_unlocked"

	DataExported     Kind = "data_exported"
	ErasureRequested Kind = "erasure_requested"
	ErasureCancelled Kind = "erasure_cancelled"
	Erased           Kind = "erased"
)

// Outcome is how it ended.
type Outcome string

const (
	OK      Outcome = "ok"
	Refused Outcome = "refused"
	Limited Outcome = "limited" // by a rate limit
	Failed  Outcome = "failed"  // by a fault: nothing was decided
)

// Event is one line. A text in it is one of ours, such as a code or the name of a method,
// never a secret and never what a person typed; but for Email, which is hashed.
type Event struct {
	Kind    Kind
	Outcome Outcome       // "": OK
	User    domain.UserID // who did it; of a sign-in the account that was tried
	Subject domain.UserID // whose account it concerns, where that is another's
	Email   string        // as typed; only its keyed hash is written
	Method  string        // session, basic; of a token or a factor its kind
	Reason  string        // a code, where it was refused
	Details []slog.Attr   // what else belongs to the kind
}

// Origin is where an event came from.
type Origin struct {
	Request string     // the id of the HTTP request; "" outside one
	Client  netip.Addr // written as its network: /24, or /48 for IPv6
	Console string     // the operating system's user, for a command on the console
}

type originKey struct{}

// WithOrigin gives the origin to all events that are recorded with the context.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// Log writes events. A nil Log writes none. It is safe for concurrent use.
type Log struct {
	out  *slog.Logger
	hash func(email string) string // nil: e-mails are left out
	seen func(Kind, Outcome)       // nil: nobody counts
}

// New returns a log that writes to out: one of Open, or the program's own.
func New(out *slog.Logger) *Log { return &Log{out: out} }

// Hashing returns the same log with the keyed hash by which it names e-mails: of the
// vault, which is opened later than the log.
func (l *Log) Hashing(hash func(email string) string) *Log {
	if l == nil {
		return nil
	}
	return &Log{l.out, hash, l.seen}
}

// Counting returns the same log, which has each event counted by fn.
func (l *Log) Counting(fn func(Kind, Outcome)) *Log {
	if l == nil {
		return nil
	}
	return &Log{l.out, l.hash, fn}
}

// Record writes an event. It does not fail: an event that cannot be written is reported
// by the sink, and stops no request.
func (l *Log) Record(ctx context.Context, e Event) {
	if l == nil {
		return
	}
	o, _ := ctx.Value(originKey{}).(Origin) // outside a request: empty
	level := slog.LevelInfo
	if e.Outcome == "" {
		e.Outcome = OK
	}
	if e.Outcome != OK {
		level = slog.LevelWarn
	}
	if l.seen != nil {
		l.seen(e.Kind, e.Outcome)
	}
	line := []slog.Attr{slog.String("event", string(e.Kind)), slog.String("outcome", string(e.Outcome))}
	add := func(name, value string) {
		if value != "" {
			line = append(line, slog.String(name, value))
		}
	}
	add("user", string(e.User))
	add("subject", string(e.Subject))
	if e.Email != "" && l.hash != nil {
		add("email_hash", l.hash(e.Email))
	}
	add("method", e.Method)
	add("reason", e.Reason)
	add("network", network(o.Client))
	add("request", o.Request)
	add("console", o.Console)
	l.out.LogAttrs(ctx, level, "security", append(line, e.Details...)...)
}

// network is an address without the part that names one machine; "" where there is none.
func network(a netip.Addr) string {
	bits := 24
	if a = a.Unmap().WithZone(""); a.Is6() {
		bits = 48
	}
	p, err := a.Prefix(bits)
	if err != nil || !p.IsValid() {
		return ""
	}
	return p.String()
}
