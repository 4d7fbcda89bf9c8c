package httpapi

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"kassa/domain"
	"kassa/httpapi/problem"
	"kassa/internal/security"
)

// edge is the middleware of every request, whatever the process serves.
type edge struct {
	problems *problem.Writer
	log      *slog.Logger
	page     func(status int) http.Handler // of a refusal, for a browser; nil: none
	secure   bool                          // browsers reach the server by https only
	security *security.Log
	client   func(*http.Request) netip.Addr // nil: its address is not looked at
	observer Observer                       // nil: there is none
	slow     time.Duration                  // from which work is logged as a warning; 0: none
}

// chain wraps the routes, outermost first: request id and access log, recovery from
// panics, security headers.
func (e edge) chain(h http.Handler) http.Handler { return e.observe(e.recoverer(e.headers(h))) }

// handler turns a function that returns an error into an http.Handler.
func (e edge) handler(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := serve(w, r); err != nil {
			e.refuse(w, r, err)
		}
	})
}

// refuse answers a request that fails: a browser gets a page in its language, a program
// a problem document.
func (e edge) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if e.page == nil || !forPeople(r) {
		e.problems.Refuse(w, r, err)
		return
	}
	code, _ := e.problems.Explain(w, r, err)
	e.page(problem.Status(code)).ServeHTTP(w, r)
}

// forPeople reports whether the client expects a page: under /web always, and outside
// the API where it accepts HTML.
func forPeople(r *http.Request) bool {
	switch path := r.URL.Path; {
	case path == "/web" || strings.HasPrefix(path, "/web/"):
		return true
	case underAPI(path):
		return false
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// exchange is a request and its answer, as logged.
type exchange struct {
	http.ResponseWriter
	status  int
	bytes   int64
	cut     error     // why the answer was not sent whole
	release func()    // releases the request's slot; nil: it holds none
	worked  time.Time // when the work was done, and a wait or the sending began
}

func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && status >= 200 {
		x.begin(status)
	}
	x.ResponseWriter.WriteHeader(status)
}

// begin marks that the work is done and only sending is left.
func (x *exchange) begin(status int) {
	x.status = status
	x.endWork()
	if x.release != nil {
		x.release()
	}
}

// endWork notes when the work ended: what the client waits for after that, because it
// asked for a wait or reads slowly, is not slow.
func (x *exchange) endWork() {
	if x.worked.IsZero() {
		x.worked = time.Now()
	}
}

// maxPart is how many bytes of an answer are written under one deadline.
const maxPart = 32 << 10

// Write gives the client answerTime for each part: a client that reads slowly is
// served, and one that has stopped reading is disconnected.
func (x *exchange) Write(b []byte) (n int, err error) {
	if x.status == 0 {
		x.begin(http.StatusOK)
	}
	for part := range slices.Chunk(b, maxPart) {
		_ = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(time.Now().Add(answerTime)) // a writer without deadlines needs none
		wrote, err := x.ResponseWriter.Write(part)
		n += wrote
		x.bytes += int64(wrote)
		if err != nil {
			x.cut = err
			return n, err
		}
	}
	return n, nil
}

// end flushes what net/http has buffered of a long answer, because it would not report
// that write's failure.
func (x *exchange) end() {
	const held = 2 << 10 // net/http sends a shorter answer with its Content-Length
	if x.bytes > held && x.cut == nil {
		x.cut = http.NewResponseController(x.ResponseWriter).Flush()
	}
}

// cutReason is why the client did not get the whole answer, without the client's
// address.
func (x *exchange) cutReason() string {
	switch {
	case x.cut == nil, errors.Is(x.cut, http.ErrNotSupported):
		return ""
	case errors.Is(x.cut, os.ErrDeadlineExceeded):
		return "the client took nothing for " + answerTime.String()
	}
	return "the client has left"
}

// Unwrap gives http.ResponseController access to the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

type exchangeKey struct{}

// recoverer answers a panic with 500. Where an answer has begun it closes the
// connection: a truncated answer must not look complete.
func (e edge) recoverer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			e.log.ErrorContext(r.Context(), "panic", "request", w.Header().Get(problem.RequestID), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			if x, ok := w.(*exchange); ok && x.status != 0 {
				panic(http.ErrAbortHandler)
			}
			e.refuse(w, r, fmt.Errorf("panic: %v", p))
		}()
		next.ServeHTTP(w, r)
	})
}

// contentPolicy lets pages load files of this server only: no inline script or style,
// no framing.
const contentPolicy = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func (e edge) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		// Not no-referrer: with it browsers send "Origin: null" from our own forms.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
		if e.secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if strings.HasPrefix(r.URL.Path, "/api/") {
			h.Set("Cache-Control", "no-store")
		}
		next.ServeHTTP(w, r)
	})
}

// checkRequest refuses what no route should see: an unknown host name, any request
// during shutdown, and a write sent by another site's page, unless it may use the API. Browsers store Basic
// credentials as they do cookies, so the last check covers both.
func (s *Server) checkRequest(next http.Handler) http.Handler {
	foreign := http.NewCrossOriginProtection()
	return s.edge().handler(func(w http.ResponseWriter, r *http.Request) error {
		if !isHealth(r.URL.Path) && !s.hostAllowed(r.Host) {
			return domain.Reject(problem.UnknownHost, "this server is not called by that name")
		}
		if s.Leaving != nil && s.Leaving() {
			w.Header().Set("Connection", "close")
		}
		if s.drain().Err() != nil && r.URL.Path != "/api/health" {
			w.Header().Set("Connection", "close")
			return domain.Reject(problem.Unavailable, "Kassa is shutting down, try again")
		}
		if foreign.Check(r) != nil && !s.mayCross(r) {
			return domain.Reject(problem.CrossOrigin, "a page of another site sent this request")
		}
		if err := s.checkHeaders(r); err != nil {
			return err
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

// isHealth reports whether the path is one of the health checks. Monitoring calls a
// process by its address, not by the names of the site.
func isHealth(path string) bool { return path == "/api/health" || path == "/api/ready" }

func (s *Server) hostAllowed(host string) bool {
	if len(s.Hosts) == 0 {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return slices.ContainsFunc(s.Hosts, func(h string) bool { return strings.EqualFold(h, strings.Trim(host, "[]")) })
}
