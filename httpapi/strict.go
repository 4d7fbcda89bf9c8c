package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"unicode/utf8"

	"kassa/domain"
	"kassa/httpapi/problem"
)

// once are the headers of which a second one would contradict the first. Taking one
// of the two in silence would obey a client that did not know what it asks, or
// somebody between us.
var once = []string{"Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"}

// checkHeaders refuses what is said twice.
func (s *Server) checkHeaders(r *http.Request) error {
	for _, name := range once {
		if len(r.Header.Values(name)) > 1 {
			return domain.Reject(problem.RepeatedHeader, "the header %s is there more than once", name)
		}
	}
	if len(r.CookiesNamed(s.Identity.CookieName())) > 1 {
		return domain.Reject(problem.RepeatedHeader, "the cookie of the session is there more than once")
	}
	return nil
}

// checkQuery refuses a query that cannot be read as it was sent, a parameter that the
// route does not have, and one that is given twice. r.URL.Query() passes over what it
// cannot read, so without this check a mistyped filter would answer with everything.
func checkQuery(r *http.Request, known []string) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return domain.Reject(problem.InvalidQuery, "the query of the address cannot be read")
	}
	for name, given := range values {
		switch {
		case !slices.Contains(known, name):
			return domain.Reject(problem.UnknownParameter, "the parameter %s is not known here", quoteName(name))
		case len(given) > 1:
			return domain.Reject(problem.InvalidQuery, "the parameter %s is given twice", name)
		case !utf8.ValidString(given[0]):
			return domain.Reject(problem.InvalidQuery, "the parameter %s is not UTF-8", name)
		}
	}
	return nil
}

// idempotencyKey gives the key of a command, "" where there is none. A header that is
// there without a key means that the client lost it: carried out as if there were
// none, its retry would pay twice.
func idempotencyKey(r *http.Request) (string, error) {
	keys := r.Header.Values("Idempotency-Key")
	if len(keys) == 0 {
		return "", nil
	}
	if keys[0] == "" {
		return "", domain.Reject(domain.InvalidKey, "the Idempotency-Key is empty")
	}
	return keys[0], nil
}
