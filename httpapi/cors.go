package httpapi

import (
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rs/cors"
)

// What a page of another origin may send with a request, and read of an answer: the headers of
// the contract. Cookies are neither.
var (
	corsMethods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete}
	corsAsks    = []string{"Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID", "Prefer"}
	corsAnswers = []string{"Content-Disposition", "ETag", "Idempotent-Replayed", PositionHeader, "Location", "Preference-Applied", "Retry-After", "X-Request-Id"}
)

// preflightLife is how long a browser may remember what it was allowed.
const preflightLife = 10 * time.Minute

// crossOrigin lets pages of the named origins use the API, and no other part of the service
// (CORS). It says so to browsers, and takes the cookies from their requests: such a page acts
// with credentials that it was given, never with the session of a person who happens to be
// signed in.
func (s *Server) crossOrigin(next http.Handler) http.Handler {
	if len(s.Origins) == 0 {
		return next
	}
	api := cors.New(cors.Options{
		AllowOriginFunc: func(origin string) bool { return slices.Contains(s.Origins, origin) },
		AllowedMethods:  corsMethods, AllowedHeaders: corsAsks, ExposedHeaders: corsAnswers,
		MaxAge: int(preflightLife.Seconds()), OptionsSuccessStatus: http.StatusNoContent,
	}).Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !underAPI(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		if s.fromNamedOrigin(r) {
			r.Header.Del("Cookie")
		}
		api.ServeHTTP(w, r)
	})
}

// fromNamedOrigin reports whether a page of another origin has sent the request, of one that
// may use the API.
func (s *Server) fromNamedOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	_, host, _ := strings.Cut(origin, "://")
	return slices.Contains(s.Origins, origin) && host != r.Host
}

// mayCross reports whether a write that another origin's page has sent is taken all the same.
// Its browser must have asked before (a preflight): for that the answer is that no stored
// credentials are sent, and else a browser that remembers a password for Basic would add it
// to whatever a page sends.
func (s *Server) mayCross(r *http.Request) bool {
	return underAPI(r.URL.Path) && s.fromNamedOrigin(r) && preflighted(r)
}

// preflighted reports whether the request has something that a browser sends for a page of
// another origin only where a preflight has allowed it.
func preflighted(r *http.Request) bool {
	if r.Method != http.MethodPost {
		return true // a write by another method is always asked for
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return media == "application/json" || r.Header.Get("Idempotency-Key") != "" || strings.EqualFold(scheme, "Bearer")
}

func underAPI(path string) bool { return path == "/api" || strings.HasPrefix(path, "/api/") }
