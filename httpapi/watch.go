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
)

// Watch serves, of the whole surface, whether a process is alive and whether it is
// ready: for a process that has no pages and no API, and for one that opens. What it
// answers is as the contract says.
type Watch struct {
	Ready    func(context.Context) error // says what is missing; nil while the process opens
	Failing  func() []string             // what fails in the background, none of it needed; nil: nothing does
	Problems *problem.Writer
	Log      *slog.Logger
}

// Handler gives the two paths. Every other is 404, and while the process opens 503:
// nobody knows yet what it will serve.
func (s Watch) Handler() http.Handler {
	e, router := edge{problems: s.Problems, log: s.Log}, paths.NewRouter()
	router.Use(nameRoute)
	for path, serve := range map[string]func(http.ResponseWriter, *http.Request) error{"/api/health": health, "/api/ready": s.ready} {
		res := resource{}
		res.add(http.MethodGet, e.answer(func(w http.ResponseWriter, r *http.Request) error {
			if err := checkQuery(r, nil); err != nil {
				return err
			}
			return serve(w, r)
		}))
		router.Handle(path, e.dispatch(res))
	}
	router.NotFoundHandler = e.answer(nothing)
	if s.Ready == nil {
		router.NotFoundHandler = e.answer(s.ready)
	}
	return e.surround(router)
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

// Serve answers on the listener until ctx ends, and finishes what it has begun.
func (s Watch) Serve(ctx context.Context, l net.Listener) error {
	server, ended := newServer(s.Handler(), s.Log), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(within) != nil {
			_ = server.Close() // nothing is lost with a question about health
		}
	})
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve health: %w", err)
	}
	<-ended
	return nil
}
