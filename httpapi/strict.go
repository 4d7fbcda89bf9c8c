package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"unicode/utf8"

	"kassa/domain"
	"kassa/httpapi/problem"
)

// singleHeaders are the headers that must not be repeated. Two of them contradict each
// other, and taking one silently would act on a request that the client, or a proxy
// between, has garbled.
var singleHeaders = []string{"Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"}

// checkHeaders refuses repeated headers and session cookies.
func (s *Server) checkHeaders(r *http.Request) error {
	for _, name := range singleHeaders {
		if len(r.Header.Values(name)) > 1 {
			return domain.Reject(problem.RepeatedHeader, "the header %s is there more than once", name)
		}
	}
	if len(r.CookiesNamed(s.Identity.CookieName())) > 1 {
		return domain.Reject(problem.RepeatedHeader, "the cookie of the session is there more than once")
	}
	return nil
}

// checkQuery refuses a query that cannot be parsed as it was sent, an unknown
// parameter, and a repeated one. r.URL.Query() skips what it cannot parse, so a
// mistyped filter would return everything.
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

// idempotencyKey returns the key of a command, "" where there is none. An empty header
// means that the client lost its key: if the command ran without one, a retry would pay
// twice.
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
