package httpapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"kassa/domain"
	"kassa/httpapi/problem"
)

// edge is what every request goes through, whatever the process serves.
type edge struct {
	problems *problem.Writer
	log      *slog.Logger
	page     func(status int) http.Handler // of a refusal, for people at a browser; nil: none
	secure   bool                          // browsers reach us by https only
}

// surround puts it around the routes, the outermost first: the request's name and its
// line in the log, a net for panics, and headers.
func (e edge) surround(h http.Handler) http.Handler { return e.observe(e.catch(e.headers(h))) }

// answer makes a handler of a function that returns what to refuse.
func (e edge) answer(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := serve(w, r); err != nil {
			e.refuse(w, r, err)
		}
	})
}

// refuse answers a request that is not served: people at a browser get a page in their
// language, programs a problem.
func (e edge) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if e.page == nil || !forPeople(r) {
		e.problems.Refuse(w, r, err)
		return
	}
	code, _ := e.problems.Explain(w, r, err)
	e.page(problem.Status(code)).ServeHTTP(w, r)
}

// forPeople says whether a page is expected: under /web always, and at an address
// outside the API where a browser asks.
func forPeople(r *http.Request) bool {
	switch path := r.URL.Path; {
	case path == "/web" || strings.HasPrefix(path, "/web/"):
		return true
	case path == "/api" || strings.HasPrefix(path, "/api/"):
		return false
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// exchange is a request and its answer as the log sees them.
type exchange struct {
	http.ResponseWriter
	id     string
	route  string // as the table spells it: addresses hold ids
	status int
	bytes  int64
	cut    error  // why the client did not get the whole answer
	leave  func() // gives back the request's place, or nil
}

func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && status >= 200 {
		x.begin(status)
	}
	x.ResponseWriter.WriteHeader(status)
}

// begin: the work is done, and only the sending is left.
func (x *exchange) begin(status int) {
	x.status = status
	if x.leave != nil {
		x.leave()
	}
}

// partMost is how much of an answer is written under one deadline, in bytes.
const partMost = 32 << 10

// Write gives the client answerTime for each part: one that reads slowly is served,
// and one that has stopped reading is left.
func (x *exchange) Write(b []byte) (n int, err error) {
	if x.status == 0 {
		x.begin(http.StatusOK)
	}
	for part := range slices.Chunk(b, partMost) {
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

// end writes what net/http still holds of a long answer, whose failure it would keep
// to itself.
func (x *exchange) end() {
	const held = 2 << 10 // of a shorter answer it knows the length, and says it
	if x.bytes > held && x.cut == nil {
		x.cut = http.NewResponseController(x.ResponseWriter).Flush()
	}
}

// missed says why the client did not get the whole answer, without its address.
func (x *exchange) missed() string {
	switch {
	case x.cut == nil, errors.Is(x.cut, http.ErrNotSupported):
		return ""
	case errors.Is(x.cut, os.ErrDeadlineExceeded):
		return "the client took nothing for " + answerTime.String()
	}
	return "the client has left"
}

// Unwrap lets http.ResponseController reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

type exchangeKey struct{}

// methodMost bounds a method in the log: a client may send thirty thousand letters.
const methodMost = 16

// observe names the request and logs one line about it: no query, no body, no
// person.
func (e edge) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		x := &exchange{ResponseWriter: w, id: "r_" + strings.ToLower(rand.Text()[:16])}
		w.Header().Set(problem.RequestID, x.id)
		defer func() {
			line := []slog.Attr{slog.String("request", x.id), slog.String("method", bounded(r.Method, methodMost)), slog.String("route", x.route),
				slog.Int("status", x.status), slog.Duration("took", time.Since(start)), slog.Int64("bytes", x.bytes)}
			if why := x.missed(); why != "" {
				line = append(line, slog.String("cut", why))
			}
			e.log.LogAttrs(r.Context(), slog.LevelInfo, "request", line...)
		}()
		next.ServeHTTP(x, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
		x.end()
	})
}

// nameRoute runs behind the router, which alone knows the route's template.
func nameRoute(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if x, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
			x.route, _ = mux.CurrentRoute(r).GetPathTemplate()
		}
		next.ServeHTTP(w, r)
	})
}

// catch answers a panic with 500, or ends the connection where an answer had
// begun: half an answer must not look whole.
func (e edge) catch(next http.Handler) http.Handler {
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

// contentPolicy lets pages load what comes from here and nothing else: no script
// or style inside a page, no frame around it.
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

// firstChecks refuse what no route should see: a stranger's name for us, a
// request while we close, and a write that another site makes a browser send.
// Browsers remember Basic credentials as they do cookies, so that holds for both.
func (s *Server) firstChecks(next http.Handler) http.Handler {
	foreign := http.NewCrossOriginProtection()
	return s.edge().answer(func(w http.ResponseWriter, r *http.Request) error {
		if !isHealth(r.URL.Path) && !s.knowsHost(r.Host) {
			return domain.Reject(problem.UnknownHost, "this server is not called by that name")
		}
		if s.Leaving != nil && s.Leaving() {
			w.Header().Set("Connection", "close")
		}
		if s.drain().Err() != nil && r.URL.Path != "/api/health" {
			w.Header().Set("Connection", "close")
			return domain.Reject(problem.Unavailable, "Kassa is shutting down, try again")
		}
		if foreign.Check(r) != nil {
			return domain.Reject(problem.CrossOrigin, "a page of another site sent this request")
		}
		if err := s.checkHeaders(r); err != nil {
			return err
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
		return nil
	})
}

// isHealth says whether the path is asked by programs that watch processes. They
// call a process by its address, and not by the names of the site.
func isHealth(path string) bool { return path == "/api/health" || path == "/api/ready" }

func (s *Server) knowsHost(host string) bool {
	if len(s.Hosts) == 0 {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return slices.ContainsFunc(s.Hosts, func(h string) bool { return strings.EqualFold(h, strings.Trim(host, "[]")) })
}
