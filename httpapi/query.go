package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kassa/domain"
	"kassa/httpapi/problem"
	"kassa/projections"
)

const (
	lastRead    = 5 * time.Second // of what is shown after a wait
	defaultPage = 20
)

// waiting gives a context that ends after d, when the client leaves, or when the
// server drains.
func (s *Server) waiting(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(parent, d)
	stop := context.AfterFunc(s.drain(), cancel)
	return ctx, func() { stop(); cancel() }
}

// patient moves the connection's reading deadline behind a wait: when it passes, the
// server takes the client for gone and ends the request.
func patient(w http.ResponseWriter, wait time.Duration) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(wait + answerTime)) // a writer without deadlines needs none
}

// pageQuery reads cursor and limit.
func pageQuery(r *http.Request) (projections.PageQuery, error) {
	values := r.URL.Query()
	q := projections.PageQuery{Cursor: values.Get("cursor"), Limit: defaultPage}
	if values.Has("cursor") && q.Cursor == "" { // which the views take for none
		return q, badCursor()
	}
	if values.Has("limit") {
		n, err := strconv.Atoi(values.Get("limit"))
		if err != nil || n < 1 || n > projections.MaxPage {
			return q, domain.Reject(domain.InvalidLimit, "limit must be a whole number from 1 to %d", projections.MaxPage)
		}
		q.Limit = n
	}
	return q, nil
}

// filter reads a query parameter that takes one of the words; zero where it is absent.
func filter[T any](r *http.Request, name string, all []T, word func(T) string) (found T, err error) {
	values := r.URL.Query()
	if !values.Has(name) {
		return found, nil
	}
	asked := values.Get(name)
	var words []string
	for _, one := range all {
		if word(one) == asked {
			return one, nil
		}
		words = append(words, word(one))
	}
	return found, domain.Reject(problem.InvalidFilter, "%s must be one of %s", name, strings.Join(words, ", "))
}

// refused turns what views say of a query into a refusal.
func refused(err error, missing domain.Code, detail string) error {
	switch {
	case errors.Is(err, projections.ErrNotFound):
		return domain.Reject(missing, "%s", detail)
	case errors.Is(err, projections.ErrBadCursor):
		return badCursor()
	}
	return err
}

func badCursor() error {
	return domain.Reject(problem.InvalidCursor, "the cursor is not one that a page gave")
}

// How long prediction/new waits for its answer.
const (
	defaultWait = 10 * time.Second
	maxWait     = 60 * time.Second
)

// preference reads the Prefer headers (RFC 7240): wait=N in seconds, and
// respond-async, which without a wait asks for none. What is not understood is
// passed over, as the RFC says. applied is the Preference-Applied of the answer.
func preference(r *http.Request) (wait time.Duration, applied string) {
	wait = defaultWait
	async, told := false, false
	for p := range strings.SplitSeq(strings.Join(r.Header.Values("Prefer"), ","), ",") {
		p, _, _ = strings.Cut(p, ";")
		name, value, _ := strings.Cut(p, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "respond-async":
			async = true
		case "wait":
			n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err == nil && !told { // the first one counts
				wait, told = min(time.Duration(n)*time.Second, maxWait), true
			}
		}
	}
	var words []string
	if async {
		words = append(words, "respond-async")
		if !told {
			wait = 0
		}
	}
	if told {
		words = append(words, "wait="+strconv.Itoa(int(wait.Seconds())))
	}
	return wait, strings.Join(words, ", ")
}
