package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"kassa/domain"
	"kassa/httpapi/bodies"
	"kassa/httpapi/deadline"
	"kassa/httpapi/editing"
	"kassa/httpapi/problem"
)

// Limits of concurrent requests. More requests at once would not finish sooner: they
// share two dozen database connections and the same cores, and the last would wait
// longer than its client does.
const (
	handlerTime   = 20 * time.Second // deadline of a request's answer; less than writeTimeout
	maxConcurrent = 512              // twice the number of clients in the benchmarks
	maxQueued     = 1024
	queueTime     = 2 * time.Second
)

// admission limits how many requests are handled at once, and how many are queued.
type admission struct{ slots, queue chan struct{} }

func newAdmission(places, queue int) admission {
	return admission{make(chan struct{}, places), make(chan struct{}, queue)}
}

// acquire takes a slot, or refuses after a short wait: a client that is refused early
// can retry, and one that waits long has given up already. The returned function may be
// called more than once.
func (c admission) acquire(ctx context.Context) (leave func(), err error) {
	select {
	case c.slots <- struct{}{}:
		return c.release(), nil
	default:
	}
	select {
	case c.queue <- struct{}{}:
		defer func() { <-c.queue }()
	default:
		return nil, overloaded()
	}
	wait, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		return c.release(), nil
	case <-wait.Done():
		return nil, overloaded()
	}
}

func (c admission) release() func() { return sync.OnceFunc(func() { <-c.slots }) }

func overloaded() error {
	return domain.Reject(problem.Unavailable, "too much is asked for at once, nothing was done; try again in a moment")
}

// limitLoad gives each request a slot and a deadline. The body is read before that, up to
// maxBody, and the slot is released when the answer begins (exchange) or when a wait does
// (releaseSlot): a client that sends or reads slowly holds no slot, except an admin who
// sends more. Health checks need none.
func (s *Server) limitLoad(next http.Handler) http.Handler {
	places, limit := newAdmission(cmp.Or(s.MaxConcurrent, maxConcurrent), maxQueued), cmp.Or(s.HandlerTime, handlerTime)
	return s.edge().handler(func(w http.ResponseWriter, r *http.Request) error {
		bodies.Buffer(r, maxBody)
		if !isHealth(r.URL.Path) {
			leave, err := places.acquire(r.Context())
			if err != nil {
				return err
			}
			defer leave()
			if x, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
				x.release = leave
			}
		}
		extendReadDeadline(w, limit)
		ctx, cancel := deadline.Limit(r.Context(), limit)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
		return nil
	})
}

// releaseSlot gives the request's slot back before a wait that the client asked for.
func releaseSlot(r *http.Request) {
	x, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return
	}
	x.endWork()
	if x.release != nil {
		x.release()
	}
}

// bodyMost is how many bytes a body may have in the API: more of an admin, where films
// come in.
func bodyMost(path string) int64 {
	if strings.HasPrefix(path, "/api/admin/films") || strings.HasPrefix(path, "/api/admin/catalogue/") {
		return editing.MaxFile + maxBody
	}
	return maxBody
}
