package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"kassa/domain"
	"kassa/httpapi/paths"
	"kassa/httpapi/problem"
	"kassa/httpapi/requestlog"
)

// Watch serves only the health and readiness checks, as the contract describes them:
// for a process without API and pages, and for one that is starting.
type Watch struct {
	Ready    func(context.Context) error // returns what is missing; nil while the process starts
	Failing  func() []string             // background tasks that fail, none of them required; nil: none
	Problems *problem.Writer
	Log      *slog.Logger
}

// Handler serves the two paths. Any other is 404, and while the process starts 503:
// what it will serve is not known yet.
func (s Watch) Handler() http.Handler {
	e, router := edge{problems: s.Problems, log: s.Log}, paths.NewRouter()
	router.Use(requestlog.NameRoute)
	for path, serve := range map[string]func(http.ResponseWriter, *http.Request) error{"/api/health": health, "/api/ready": s.ready} {
		res := resource{}
		res.add(http.MethodGet, e.handler(func(w http.ResponseWriter, r *http.Request) error {
			if err := checkQuery(r, nil); err != nil {
				return err
			}
			return serve(w, r)
		}))
		router.Handle(path, e.dispatch(res))
	}
	router.NotFoundHandler = e.handler(notFound)
	if s.Ready == nil {
		router.NotFoundHandler = e.handler(s.ready)
	}
	return e.chain(router)
}

func (s Watch) ready(w http.ResponseWriter, r *http.Request) error {
	if s.Ready == nil {
		return domain.Reject(problem.NotReady, "Kassa is opening, try again in a moment")
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyWithin)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		return notReady(r, s.Log, err)
	}
	return writeJSON(w, http.StatusOK, isReady(nil, s.Failing))
}

// Serve serves on the listener until ctx ends, and finishes the requests it has begun.
func (s Watch) Serve(ctx context.Context, l net.Listener) error {
	server, ended := newServer(s.Handler(), s.Log), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(within) != nil {
			_ = server.Close() // a health check can be repeated
		}
	})
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve health: %w", err)
	}
	<-ended
	return nil
}
