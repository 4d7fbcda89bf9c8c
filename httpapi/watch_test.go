package httpapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"kassa/domain"
	"kassa/httpapi/problem"
)

// A process that is starting, or that has no API, keeps the contract too.
func TestWatchKeepsTheContract(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	missing := errors.New("the broker is away, and a secret word")
	ready := func(context.Context) error { return missing }
	watch := func(ready func(context.Context) error) http.Handler {
		return Watch{Ready: ready, Problems: &problem.Writer{Log: log}, Log: log}.Handler()
	}
	for _, tt := range []struct {
		name         string
		h            http.Handler
		method, path string
		missing      error
		status       int
		code         domain.Code
	}{
		{"opening", watch(nil), "GET", "/api/health", nil, 200, ""},
		{"opening", watch(nil), "GET", "/api/ready", nil, 503, problem.NotReady},
		{"opening", watch(nil), "GET", "/api/users/balance", nil, 503, problem.NotReady},
		{"opening", watch(nil), "POST", "/api/events/prediction/new", nil, 503, problem.NotReady},
		{"opening", watch(nil), "GET", "/web", nil, 503, problem.NotReady},
		{"opening", watch(nil), "DELETE", "/api/health", nil, 405, problem.MethodNotAllowed},
		{"without a part", watch(ready), "GET", "/api/ready", missing, 503, problem.NotReady},
		{"whole", watch(ready), "GET", "/api/ready", nil, 200, ""},
		{"whole", watch(ready), "HEAD", "/api/ready", nil, 200, ""},
		{"whole", watch(ready), "GET", "/api/ready?verbose", nil, 422, problem.UnknownParameter},
		{"whole", watch(ready), "GET", "/api/users/balance", nil, 404, problem.NotFound},
	} {
		missing = tt.missing
		r, answer := httptest.NewRequest(tt.method, tt.path, nil), httptest.NewRecorder()
		tt.h.ServeHTTP(answer, r)
		want(t, answer, tt.status, tt.code)
		if tt.code != "" {
			theContract(t).checkProblem(t, answer)
		} else {
			theContract(t).check(t, r, nil, answer)
		}
		if again := answer.Header().Get("Retry-After"); (again != "") != (tt.status == 503) {
			t.Errorf("%s: %s %s answers %d with Retry-After %q", tt.name, tt.method, tt.path, tt.status, again)
		}
		if answer.Header().Get(problem.RequestID) == "" {
			t.Errorf("%s: %s %s has no name", tt.name, tt.method, tt.path)
		}
	}
}

// The readiness check answers within its timeout although its dependency hangs.
func TestReadyHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		hangs := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		h := Watch{Ready: hangs, Problems: &problem.Writer{Log: log}, Log: log}.Handler()
		began, answer := time.Now(), httptest.NewRecorder()
		h.ServeHTTP(answer, httptest.NewRequest("GET", "/api/ready", nil))
		want(t, answer, http.StatusServiceUnavailable, problem.NotReady)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("answered after %s", took)
		}
	})
}
