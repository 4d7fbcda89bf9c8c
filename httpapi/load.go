package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"kassa/domain"
	"kassa/httpapi/deadline"
	"kassa/httpapi/problem"
)

// How much is worked on at once, and how long. More requests at once would not be
// done sooner: each waits for the same two dozen connections of the database and the
// same cores, and the last of them longer than its client does.
const (
	handlerTime = 20 * time.Second // a request's answer is due; less than writeTimeout
	placesMost  = 512              // twice the clients with which the speeds were measured
	queueMost   = 1024
	queueTime   = 2 * time.Second
)

// crowd bounds how many requests are worked on at once, and how many wait for it.
type crowd struct{ places, queue chan struct{} }

func newCrowd(places, queue int) crowd {
	return crowd{make(chan struct{}, places), make(chan struct{}, queue)}
}

// enter takes a place, or after a short wait says that there is none: a client that
// is refused early can try again, and one that is kept for long has given up already.
// Leave may be called again.
func (c crowd) enter(ctx context.Context) (leave func(), err error) {
	select {
	case c.places <- struct{}{}:
		return c.leave(), nil
	default:
	}
	select {
	case c.queue <- struct{}{}:
		defer func() { <-c.queue }()
	default:
		return nil, tooMuch()
	}
	patience, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	select {
	case c.places <- struct{}{}:
		return c.leave(), nil
	case <-patience.Done():
		return nil, tooMuch()
	}
}

func (c crowd) leave() func() { return sync.OnceFunc(func() { <-c.places }) }

func tooMuch() error {
	return domain.Reject(problem.Unavailable, "too much is asked for at once, nothing was done; try again in a moment")
}

// work gives each request a place and a deadline. Its body is read before, and the
// place is given back when the answer begins (exchange) or when a wait does (rest): a
// client that is slow to send or to read takes no place from others. Questions about
// health need none.
func (s *Server) work(next http.Handler) http.Handler {
	places, limit := newCrowd(cmp.Or(s.Places, placesMost), queueMost), cmp.Or(s.HandlerTime, handlerTime)
	return s.edge().answer(func(w http.ResponseWriter, r *http.Request) error {
		readAhead(r)
		if !isHealth(r.URL.Path) {
			leave, err := places.enter(r.Context())
			if err != nil {
				return err
			}
			defer leave()
			if x, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
				x.leave = leave
			}
		}
		patient(w, limit)
		ctx, cancel := deadline.Limit(r.Context(), limit)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
		return nil
	})
}

// rest gives the request's place back before a wait that the client asked for.
func rest(r *http.Request) {
	if x, ok := r.Context().Value(exchangeKey{}).(*exchange); ok && x.leave != nil {
		x.leave()
	}
}

// readAhead reads the body, which is bounded, to its end or to its fault.
func readAhead(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = io.EOF
	}
	r.Body = readBefore{io.MultiReader(bytes.NewReader(body), ends{err}), r.Body}
}

type readBefore struct {
	io.Reader
	io.Closer
}

// ends is a reader that ends with its error.
type ends struct{ error }

func (e ends) Read([]byte) (int, error) { return 0, e.error }
