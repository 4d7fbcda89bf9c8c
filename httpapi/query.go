package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/conditional"
	"kassa/httpapi/problem"
	"kassa/projections"
)

const (
	readAfterWait = 5 * time.Second // timeout of the read after a wait
	defaultPage   = 20
)

// waitContext returns a context that ends after d, when the client leaves, or when the
// server drains.
func (s *Server) waitContext(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(parent, d)
	stop := context.AfterFunc(s.drain(), cancel)
	return ctx, func() { stop(); cancel() }
}

// extendReadDeadline moves the connection's read deadline behind a wait: when it
// passes, the server ends the request as if the client had left.
func extendReadDeadline(w http.ResponseWriter, wait time.Duration) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(wait + answerTime)) // a writer without deadlines needs none
}

// pageQuery reads cursor and limit.
func pageQuery(r *http.Request) (projections.PageQuery, error) {
	values := r.URL.Query()
	q := projections.PageQuery{Cursor: values.Get("cursor"), Limit: defaultPage}
	if values.Has("cursor") && q.Cursor == "" { // the views would read it as no cursor
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

// filter reads a query parameter that takes one of the given words; zero where it is
// absent.
func filter[T any](r *http.Request, name string, all []T, word func(T) string) (found T, err error) {
	values := r.URL.Query()
	if !values.Has(name) {
		return found, nil
	}
	given := values.Get(name)
	var words []string
	for _, one := range all {
		if word(one) == given {
			return one, nil
		}
		words = append(words, word(one))
	}
	return found, domain.Reject(problem.InvalidFilter, "%s must be one of %s", name, strings.Join(words, ", "))
}

// refused turns an error of the views into a refusal.
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

// Bounds of how long prediction/new waits for the answer.
const (
	defaultWait = 10 * time.Second
	maxWait     = 60 * time.Second
)

// preference reads the Prefer headers (RFC 7240): wait=N in seconds, and respond-async,
// which without a wait means no waiting. What is not understood is ignored, as the RFC
// requires. applied is the answer's Preference-Applied.
func preference(r *http.Request) (wait time.Duration, applied string) {
	wait = defaultWait
	async, waitGiven := false, false
	for p := range strings.SplitSeq(strings.Join(r.Header.Values("Prefer"), ","), ",") {
		p, _, _ = strings.Cut(p, ";")
		name, value, _ := strings.Cut(p, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "respond-async":
			async = true
		case "wait":
			n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err == nil && !waitGiven { // the first one counts
				wait, waitGiven = min(time.Duration(n)*time.Second, maxWait), true
			}
		}
	}
	var words []string
	if async {
		words = append(words, "respond-async")
		if !waitGiven {
			wait = 0
		}
	}
	if waitGiven {
		words = append(words, "wait="+strconv.Itoa(int(wait.Seconds())))
	}
	return wait, strings.Join(words, ", ")
}

// writePage writes one page of a list; the list shows the log up to the position. The
// position moves with every entry of the log, so the ETag is that of the rest of the page.
func writePage[A, B any](w http.ResponseWriter, r *http.Request, found projections.Page[A], at eventstore.Position, show func(A) (B, error)) error {
	page := struct {
		Items []B    `json:"items"`
		Next  string `json:"next_cursor"` // "" on the last page
		Prev  string `json:"previous_cursor,omitempty"`
	}{make([]B, len(found.Items)), found.Next, found.Previous}
	for i, item := range found.Items {
		var err error
		if page.Items[i], err = show(item); err != nil {
			return err
		}
	}
	content, err := json.Marshal(page)
	if err != nil {
		return err
	}
	setPosition(w, at)
	body := fmt.Appendf(bytes.Clone(content[:len(content)-1]), `,"position":%d}`+"\n", at)
	conditional.WriteWeak(w, r, "application/json", body, content)
	return nil
}
