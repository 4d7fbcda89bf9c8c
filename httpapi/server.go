package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/mux"

	"kassa/catalog"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/projections"
)

// Films knows the catalogue.
type Films interface {
	Movie(id string) (catalog.Movie, bool)
	Explain(text, movieID string) []string // the words by which a film matches a text
}

// Vault opens what events keep sealed; vault.ErrErased where it never can be again.
type Vault interface {
	OpenText(ctx context.Context, u domain.UserID, p domain.PredictionID, sealed domain.Sealed) (string, error)
	OpenEmail(ctx context.Context, u domain.UserID, sealed domain.Sealed) (string, error)
}

// Server serves the API and, beside it, the pages. All fields of the first group
// are required. It must not be copied.
type Server struct {
	Commands *commands.Handler
	Views    projections.Views
	Films    Films
	Vault    Vault
	Head     func(context.Context) (eventstore.Head, error) // of the log
	Identity *identity.Authenticator
	Problems *problem.Writer
	Log      *slog.Logger

	Pages        http.Handler                // under /web; nil: no pages
	Ready        func(context.Context) error // says what is missing; nil: ready whenever it serves
	Version      string                      // of the program, for /api/
	Hosts        []string                    // names by which we may be called, without ports; empty: any
	PositionWait time.Duration               // for min_position; 0: 5 s
	Heartbeat    time.Duration               // of event streams; 0: 15 s

	once     sync.Once
	draining context.Context // ends when no new request is taken
	close    context.CancelFunc
}

// access says whom a route is for.
type access int

const (
	everybody access = iota // nobody is asked who they are
	person                  // somebody who is signed in
	admin                   // and is an admin
)

// kind says what a route does to the ledger.
type kind int

const (
	still   kind = iota // it does not touch it
	read                // it asks the views, and waits for min_position
	command             // it appends, within the person's rate
)

// route is one line of the API. Its handler answers, or returns the error to answer.
type route struct {
	method, path string
	access       access
	kind         kind
	serve        func(http.ResponseWriter, *http.Request) error
}

func (s *Server) routes() []route {
	return []route{
		{"GET", "/api/", everybody, still, s.about},
		{"GET", "/api/health", everybody, still, s.health},
		{"GET", "/api/ready", everybody, still, s.ready},
		{"GET", "/api/openapi.yaml", everybody, still, s.contract},

		{"POST", "/api/users/signup", everybody, still, s.signUp},
		{"POST", "/api/users/signin", everybody, still, s.signIn},
		{"POST", "/api/users/signout", everybody, still, s.signOut},
		{"GET", "/api/users/balance", person, read, s.balance},
		{"POST", "/api/users/balance/adjust", person, command, s.adjust},
		{"GET", "/api/users/transaction/history", person, read, s.transactions},

		{"POST", "/api/events/prediction/new", person, command, s.predict},
		{"GET", "/api/events/prediction/history", person, read, s.predictions},
		{"GET", "/api/events/prediction/{id}", person, read, s.prediction},
		{"GET", "/api/events/prediction/{id}/stream", person, read, s.stream},

		{"GET", "/api/admin/users", admin, read, s.users},
		{"GET", "/api/admin/users/{id}", admin, read, s.user},
		{"GET", "/api/admin/trial", admin, read, s.trial},
	}
}

// Handler gives the whole surface.
func (s *Server) Handler() http.Handler {
	router := mux.NewRouter()
	router.Use(nameRoute)
	for _, rt := range s.routes() {
		methods := []string{rt.method}
		if rt.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
		router.Handle(rt.path, s.guard(rt)).Methods(methods...)
	}
	if s.Pages != nil {
		router.Handle("/", http.RedirectHandler("/web", http.StatusSeeOther)).Methods(http.MethodGet, http.MethodHead)
		router.PathPrefix("/web").Handler(s.Identity.Middleware(s.Pages))
	}
	router.NotFoundHandler = s.answer(func(http.ResponseWriter, *http.Request) error {
		return domain.Reject(problem.NotFound, "there is nothing at this address")
	})
	router.MethodNotAllowedHandler = s.answer(func(w http.ResponseWriter, r *http.Request) error {
		return notAllowed(router, w, r)
	})
	return s.surround(router)
}

// guard lets those in whom the route is for, and makes the views or the limits
// ready for what it does.
func (s *Server) guard(rt route) http.Handler {
	serve := s.answer(func(w http.ResponseWriter, r *http.Request) error {
		if err := s.admit(rt, w, r); err != nil {
			return err
		}
		return rt.serve(w, r)
	})
	switch rt.access {
	case everybody:
		return serve
	case admin:
		return s.Identity.Middleware(serve)
	}
	return s.Identity.UserOnly(serve)
}

func (s *Server) admit(rt route, w http.ResponseWriter, r *http.Request) error {
	who, signedIn := identity.From(r.Context())
	switch {
	case rt.access != everybody && !signedIn:
		return domain.Reject(problem.AuthenticationRequired, "sign in, or send Basic credentials")
	case rt.access == admin && !who.Admin:
		return domain.Reject(domain.NotAdmin, "this is for admins only")
	case rt.kind == read:
		return s.reach(w, r)
	case rt.kind == command:
		return s.Identity.AllowCommand(who.User)
	}
	return nil
}

// answer makes a handler of a function that returns what to refuse.
func (s *Server) answer(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := serve(w, r); err != nil {
			s.Problems.Refuse(w, r, err)
		}
	})
}

// notAllowed refuses the method and names the ones that the path has.
func notAllowed(router *mux.Router, w http.ResponseWriter, r *http.Request) error {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		try := r.Clone(r.Context())
		try.Method = method
		var match mux.RouteMatch
		if router.Match(try, &match) && match.MatchErr == nil {
			w.Header().Add("Allow", method)
		}
	}
	return domain.Reject(problem.MethodNotAllowed, "this address does not take %s", r.Method)
}

// Timeouts of the server. Reading and writing are bounded, so that a slow client
// holds no connection for ever; a handler that waits extends its own.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 15 * time.Second
	maxHeader     = 32 << 10
	maxBody       = 64 << 10
)

// Serve answers on the listener until ctx ends. Then new requests are refused,
// those who wait for an answer get what there is, and commands that run are
// finished. An error means that it could not serve, or could not end in time.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn)}
	drained := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		s.drain()
		s.close()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		drained <- server.Shutdown(ctx)
	})
	err := server.Serve(l)
	if !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve HTTP: %w", err)
	}
	if err := <-drained; err != nil {
		return fmt.Errorf("end HTTP connections: %w", err)
	}
	return nil
}

// drain gives the context that ends when the server drains.
func (s *Server) drain() context.Context {
	s.once.Do(func() { s.draining, s.close = context.WithCancel(context.Background()) })
	return s.draining
}
