package httpapi

import (
	"net/http"
	"slices"

	"kassa/domain"
	"kassa/httpapi/identity"
	"kassa/httpapi/paths"
	"kassa/httpapi/problem"
)

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
	query        []string // the parameters that it takes; reads take min_position too
}

func (s *Server) routes() []route {
	return []route{
		{"GET", "/api/", everybody, still, s.about, nil},
		{"GET", "/api/health", everybody, still, health, nil},
		{"GET", "/api/ready", everybody, still, s.ready, nil},
		{"GET", "/api/openapi.yaml", everybody, still, s.contract, nil},
		{"GET", "/api/openapi.json", everybody, still, s.contractJSON, nil},

		{"POST", "/api/users/signup", everybody, still, s.signUp, nil},
		{"POST", "/api/users/signin", everybody, still, s.signIn, nil},
		{"POST", "/api/users/signout", everybody, still, s.signOut, nil},
		{"GET", "/api/users/balance", person, read, s.balance, nil},
		{"POST", "/api/users/balance/adjust", person, command, s.adjust, nil},
		{"GET", "/api/users/transaction/history", person, read, s.transactions, []string{"cursor", "limit", "type"}},

		// Before the ids: a path is the first line that fits.
		{"POST", "/api/events/prediction/new", person, command, s.predict, nil},
		{"GET", "/api/events/prediction/history", person, read, s.predictions, []string{"cursor", "limit", "status"}},
		{"GET", "/api/events/prediction/{id}", person, read, s.prediction, nil},
		{"GET", "/api/events/prediction/{id}/stream", person, read, s.stream, nil},

		{"GET", "/api/admin/users", admin, read, s.users, []string{"cursor", "limit", "email"}},
		{"GET", "/api/admin/users/{id}", admin, read, s.user, nil},
		{"GET", "/api/admin/trial", admin, read, s.trial, nil},
	}
}

// parameters are the names that the route's query may have.
func (rt route) parameters() []string {
	if rt.kind == read {
		return append(slices.Clone(rt.query), "min_position")
	}
	return rt.query
}

// Handler gives the whole surface.
func (s *Server) Handler() http.Handler {
	e, router := s.edge(), paths.NewRouter()
	router.Use(nameRoute)
	at := map[string]resource{}
	for _, rt := range s.routes() {
		if at[rt.path] == nil {
			at[rt.path] = resource{}
			router.Handle(rt.path, e.dispatch(at[rt.path]))
		}
		at[rt.path].add(rt.method, s.guard(rt))
	}
	router.Handle("/api", e.dispatch(at["/api/"]))
	if s.Pages != nil {
		home := resource{}
		home.add(http.MethodGet, http.RedirectHandler("/web", http.StatusSeeOther))
		router.Handle("/", e.dispatch(home))
		router.Handle("/favicon.ico", s.Pages)
		router.PathPrefix("/web").Handler(s.Identity.Middleware(s.visited(s.Pages)))
	}
	router.NotFoundHandler = e.answer(nothing)
	return e.surround(s.firstChecks(s.work(router)))
}

func (s *Server) edge() edge { return edge{s.Problems, s.Log, s.Refusal, s.Identity.Secure} }

func nothing(http.ResponseWriter, *http.Request) error {
	return domain.Reject(problem.NotFound, "there is nothing at this address")
}

// resource is what one path takes: a handler for each method.
type resource map[string]http.Handler

func (res resource) add(method string, h http.Handler) {
	res[method] = h
	if method == http.MethodGet {
		res[http.MethodHead] = h
	}
}

// dispatch serves by the method, and names the methods that there are to those who
// come with another.
func (e edge) dispatch(res resource) http.Handler {
	return e.answer(func(w http.ResponseWriter, r *http.Request) error {
		if h := res[r.Method]; h != nil {
			h.ServeHTTP(w, r)
			return nil
		}
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			if res[method] != nil {
				w.Header().Add("Allow", method)
			}
		}
		return domain.Reject(problem.MethodNotAllowed, "this address does not take the method %s", quoteName(r.Method))
	})
}

// guard lets those in whom the route is for, and makes the views or the limits
// ready for what it does.
func (s *Server) guard(rt route) http.Handler {
	serve := s.edge().answer(func(w http.ResponseWriter, r *http.Request) error {
		r, err := s.admit(rt, w, r)
		if err != nil {
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

func (s *Server) admit(rt route, w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	who, signedIn := identity.From(r.Context())
	switch {
	case rt.access != everybody && !signedIn:
		return r, domain.Reject(problem.AuthenticationRequired, "sign in, or send Basic credentials")
	case rt.access == admin && !who.Admin:
		return r, domain.Reject(domain.NotAdmin, "this is for admins only")
	}
	if err := checkQuery(r, rt.parameters()); err != nil {
		return r, err
	}
	switch rt.kind {
	case read:
		return s.reach(w, r, who.User)
	case command:
		return r, s.Identity.AllowCommand(who.User)
	}
	return r, nil
}
