package httpapi

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"kassa/httpapi/problem"
	"kassa/httpapi/requestlog"
	"kassa/internal/security"
)

// maxLoggedMethod limits the method in the log: a client may send one of 30,000
// characters.
const maxLoggedMethod = 16

// Observer is told of each request, for metrics and traces. Its methods must not wait.
type Observer interface {
	Begin()
	// End is called once for each Begin. The status is 0 where the client left before an
	// answer.
	End(method string, line requestlog.Line, status int, began time.Time, took time.Duration)
}

// observe assigns the request id, and writes about each request when it has ended: one
// line of the log, without query and body, and what of it is a security event.
func (e edge) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		x := &exchange{ResponseWriter: w}
		about := &requestlog.Line{ID: "r_" + strings.ToLower(rand.Text()[:16])}
		origin := security.Origin{Request: about.ID}
		if e.client != nil {
			origin.Client = e.client(r)
		}
		if e.observer != nil {
			e.observer.Begin()
		}
		w.Header().Set(problem.RequestID, about.ID)
		ctx := security.WithOrigin(requestlog.With(context.WithValue(r.Context(), exchangeKey{}, x), about), origin)
		defer func() {
			took := time.Since(start)
			if e.observer != nil {
				e.observer.End(methodOf(r), *about, x.status, start, took)
			}
			e.logRequest(ctx, r, x, about, start, took)
			e.recordAccess(ctx, r, x, about)
		}()
		next.ServeHTTP(x, r.WithContext(ctx))
		x.end()
	})
}

func methodOf(r *http.Request) string { return truncate(r.Method, maxLoggedMethod) }

func (e edge) logRequest(ctx context.Context, r *http.Request, x *exchange, about *requestlog.Line, start time.Time, took time.Duration) {
	line := []slog.Attr{slog.String("request", about.ID), slog.String("method", methodOf(r)), slog.String("route", about.Route),
		slog.Int("status", x.status), slog.Duration("took", took), slog.Int64("bytes", x.bytes)}
	if about.User != "" {
		line = append(line, slog.String("user", string(about.User)))
	}
	if about.Prediction != "" {
		line = append(line, slog.String("prediction", string(about.Prediction)))
	}
	if why := x.cutReason(); why != "" {
		line = append(line, slog.String("cut", why))
	}
	level := slog.LevelInfo
	x.endWork()
	if work := x.worked.Sub(start); e.slow > 0 && work >= e.slow {
		level, line = slog.LevelWarn, append(line, slog.Duration("slow", work))
	}
	e.log.LogAttrs(ctx, level, "request", line...)
}

// recordAccess records what the answer of any route shows: a request that was not
// allowed, and what an admin was shown or did.
func (e edge) recordAccess(ctx context.Context, r *http.Request, x *exchange, about *requestlog.Line) {
	event := security.Event{User: about.User, Subject: about.Subject, Details: []slog.Attr{slog.String("route", methodOf(r)+" "+about.Route)}}
	switch {
	case x.status == http.StatusForbidden || about.Forbidden:
		event.Kind, event.Outcome = security.AccessRefused, security.Refused
	case !about.Admin || x.status >= http.StatusBadRequest:
		return
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		event.Kind = security.AdminRead
	default:
		event.Kind = security.AdminChange
	}
	e.security.Record(ctx, event)
}
