package problem_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/problem"
	"kassa/vault"
)

func TestRefuse(t *testing.T) {
	for _, tt := range []struct {
		name       string
		err        error
		status     int
		code       domain.Code
		detail     string
		retryAfter string
		logged     string
	}{
		{name: "a refusal has its own detail",
			err:    domain.Reject(domain.InsufficientFunds, "this takes 5 credits, and 0 are available"),
			status: 402, code: domain.InsufficientFunds, detail: "this takes 5 credits, and 0 are available"},
		{name: "a wrapped one as well, without its wrapping",
			err:    fmt.Errorf("adjust: %w", domain.Reject(domain.EmailTaken, "taken")),
			status: 409, code: domain.EmailTaken, detail: "taken"},
		{name: "a full wallet",
			err: domain.Reject(domain.BalanceLimit, "full"), status: 409, code: domain.BalanceLimit, detail: "full"},
		{name: "what is busy can be tried again soon",
			err: domain.Reject(domain.Busy, "busy"), status: 409, code: domain.Busy, detail: "busy", retryAfter: "1"},
		{name: "so can a key whose first request runs",
			err: domain.Reject(domain.KeyInProgress, "runs"), status: 409, code: domain.KeyInProgress, detail: "runs", retryAfter: "1"},
		{name: "too many has Retry-After, in whole seconds, rounded up",
			err: &problem.TooMany{After: 2100 * time.Millisecond}, status: 429, code: problem.RateLimited,
			detail: "too many requests, try again in 3 s", retryAfter: "3"},
		{name: "and never at once",
			err: &problem.TooMany{After: time.Millisecond}, status: 429, code: problem.RateLimited,
			detail: "too many requests, try again in 1 s", retryAfter: "1"},
		{name: "a temporary refusal has Retry-After too",
			err:    &domain.Refusal{Code: domain.TooManyFree, Detail: "later", RetryAfter: 61 * time.Second / 2},
			status: 429, code: domain.TooManyFree, detail: "later", retryAfter: "31"},
		{name: "a large body",
			err: fmt.Errorf("read: %w", &http.MaxBytesError{Limit: 10}), status: 413, code: problem.BodyTooLarge, detail: "the body may have at most 10 bytes"},
		{name: "a store that closes",
			err: fmt.Errorf("append: %w", eventstore.ErrClosed), status: 503, code: problem.Unavailable,
			detail: "Kassa is shutting down, try again", retryAfter: "1"},
		{name: "passwords that queue up",
			err: fmt.Errorf("enroll: %w", vault.ErrBusy), status: 503, code: problem.Unavailable,
			detail: "too many passwords are being checked; nothing was done, try again in a moment", retryAfter: "1"},
		{name: "an append of unknown outcome",
			err: fmt.Errorf("append, 10 times: %w: disk is full", eventstore.ErrUnknown), status: 503, code: problem.Unavailable,
			detail:     "it is not known whether this was done; the same request with the same Idempotency-Key finds out",
			retryAfter: "1", logged: "disk is full"},
		{name: "however the command ended after it",
			err:    errors.Join(fmt.Errorf("append: %w", eventstore.ErrUnknown), eventstore.ErrClosed, context.DeadlineExceeded),
			status: 503, code: problem.Unavailable,
			detail:     "it is not known whether this was done; the same request with the same Idempotency-Key finds out",
			retryAfter: "1", logged: "unknown"},
		{name: "what takes too long",
			err: fmt.Errorf("secret: %w", context.DeadlineExceeded), status: 503, code: problem.Unavailable,
			detail: "this took too long, try again", retryAfter: "1", logged: "secret"},
		{name: "a database that cannot be reached",
			err: fmt.Errorf("append: %w", &pgconn.PgError{Severity: "FATAL", Code: "57P01", Message: "shuts down"}), status: 503, code: problem.Unavailable,
			detail: "the database cannot be reached for now; nothing was done, try again", retryAfter: "1", logged: "shuts down"},
		{name: "a database that takes too long",
			err: fmt.Errorf("read: %w", &pgconn.PgError{Severity: "ERROR", Code: "55P03", Message: "no lock"}), status: 503, code: problem.Unavailable,
			detail: "the database is too busy for now; nothing was done, try again", retryAfter: "1", logged: "no lock"},
		{name: "a full disk",
			err: fmt.Errorf("append: %w", &pgconn.PgError{Severity: "ERROR", Code: "53100", Message: "extend file"}), status: 503, code: problem.StorageFull,
			detail: "there is no space left to store anything; nothing was done, try again later", retryAfter: "1", logged: "extend file"},
		{name: "a full disk after an append of unknown outcome",
			err: fmt.Errorf("%w: %w", eventstore.ErrUnknown, &pgconn.PgError{Severity: "ERROR", Code: "53100"}), status: 503, code: problem.Unavailable,
			detail:     "it is not known whether this was done; the same request with the same Idempotency-Key finds out",
			retryAfter: "1", logged: "unknown"},
		{name: "a write of the vault of unknown outcome",
			err: fmt.Errorf("change the password of u_1: %w: %w", vault.ErrUnknown, &pgconn.PgError{Severity: "FATAL", Code: "57P01"}), status: 503, code: problem.Unavailable,
			detail: "it is not known whether this was done; look before it is sent again", retryAfter: "1", logged: "57P01"},
		{name: "a ledger that newer programs write",
			err: fmt.Errorf("%w: entry at position 7", eventstore.ErrNewer), status: 503, code: problem.NotReady,
			detail: "this process is too old to read what newer ones have written; nothing was done, try again", retryAfter: "1", logged: "position 7"},
		{name: "a command that was done, and is archived",
			err: fmt.Errorf("%w: from position 7", eventstore.ErrDoneBefore), status: 422, code: domain.KeyReused,
			detail: "the request with this Idempotency-Key was done before, and its answer is archived; nothing was done now"},
		{name: "a mistake in a statement",
			err: &pgconn.PgError{Severity: "ERROR", Code: "42601", Message: "syntax"}, status: 500, code: problem.Internal,
			detail: "something went wrong here; the request's name helps to find out what", logged: "syntax"},
		{name: "a fault is logged, and the client gets no text of it",
			err: errors.New("secret table is gone"), status: 500, code: problem.Internal,
			detail: "something went wrong here; the request's name helps to find out what", logged: "secret table is gone"},
		{name: "a refusal whose code has no status is a fault of ours",
			err: domain.Reject("unheard_of", "what"), status: 500, code: "unheard_of", detail: "what"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			w := problem.Writer{Log: slog.New(slog.NewTextHandler(&log, nil)), Broken: func(err error) { t.Errorf("stops for %v", err) }}
			answer := httptest.NewRecorder()
			answer.Header().Set(problem.RequestID, "r_1")
			w.Refuse(answer, httptest.NewRequest("GET", "/", nil), tt.err)
			want := problem.Details{Type: "urn:kassa:problem:" + string(tt.code), Title: http.StatusText(tt.status), Status: tt.status,
				Detail: tt.detail, Code: tt.code, Instance: "urn:kassa:request:r_1"}
			var got problem.Details
			if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil || got != want || answer.Code != tt.status {
				t.Errorf("answers %d %+v, %v\nwant %+v", answer.Code, got, err, want)
			}
			if after := answer.Header().Get("Retry-After"); after != tt.retryAfter {
				t.Errorf("Retry-After is %q, want %q", after, tt.retryAfter)
			}
			if kind := answer.Header().Get("Content-Type"); kind != "application/problem+json" {
				t.Errorf("Content-Type is %s", kind)
			}
			if tt.logged == "" && log.Len() > 0 || !strings.Contains(log.String(), tt.logged) {
				t.Errorf("logs %q, want %q", log.String(), tt.logged)
			}
			if tt.logged != "" && !strings.Contains(log.String(), "request=r_1") {
				t.Errorf("the log does not name the request: %s", log.String())
			}
		})
	}
}

// A broken ledger stops the process, in whichever request it is found.
func TestBrokenLedgerStops(t *testing.T) {
	for _, broken := range []error{domain.ErrBroken, eventstore.ErrCorrupt} {
		err := fmt.Errorf("fold account-u_1 at position 7: %w", broken)
		var stopped error
		w := problem.Writer{Log: slog.New(slog.DiscardHandler), Broken: func(err error) { stopped = err }}
		answer := httptest.NewRecorder()
		w.Refuse(answer, httptest.NewRequest("GET", "/", nil), err)
		if !errors.Is(stopped, broken) || answer.Code != http.StatusInternalServerError || strings.Contains(answer.Body.String(), "position 7") {
			t.Errorf("stopped with %v, answered %d %s", stopped, answer.Code, answer.Body)
		}
	}
}

// A command of unknown outcome that then finds the ledger broken stops the process, and
// its answer says that it may have been done.
func TestBrokenLedgerAfterAnUnknownOutcome(t *testing.T) {
	var stopped error
	w := problem.Writer{Log: slog.New(slog.DiscardHandler), Broken: func(err error) { stopped = err }}
	code, detail := w.Explain(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil), errors.Join(eventstore.ErrUnknown, domain.ErrBroken))
	if stopped == nil || code != problem.Unavailable || !strings.Contains(detail, "not known") {
		t.Errorf("stopped with %v, answers %s %s", stopped, code, detail)
	}
}

// A request that the client gave up is not a fault.
func TestGivenUp(t *testing.T) {
	var log bytes.Buffer
	w := problem.Writer{Log: slog.New(slog.NewTextHandler(&log, nil))}
	ctx, leave := context.WithCancel(context.Background())
	leave()
	answer := httptest.NewRecorder()
	w.Refuse(answer, httptest.NewRequest("GET", "/", nil).WithContext(ctx), fmt.Errorf("read: %w", ctx.Err()))
	if answer.Code != http.StatusServiceUnavailable || log.Len() > 0 {
		t.Errorf("answers %d, logs %s", answer.Code, &log)
	}
}
