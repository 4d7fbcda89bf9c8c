package httpapi

import (
	"net/http"
	"slices"

	"kassa/domain"
	"kassa/httpapi/bodies"
	"kassa/httpapi/identity"
	"kassa/httpapi/overview"
	"kassa/httpapi/paths"
	"kassa/httpapi/problem"
	"kassa/httpapi/requestlog"
	"kassa/vault"
)

// access is who may use a route.
type access int

const (
	public    access = iota // no credentials are read
	signedIn                // any user
	auditors                // auditors and admins: reads of what belongs to others
	adminOnly               // admins only
)

// noToken is the scope of what no personal token may do: what concerns the account itself,
// and all of a person's data at once. So a stolen token cannot be made into more.
const noToken vault.Scope = ""

// ledgerUse is what a route does to the ledger.
type ledgerUse int

const (
	noLedger ledgerUse = iota // neither reads nor writes it
	read                      // reads the views, and waits for min_position
	command                   // appends, or does other expensive work, within the user's rate limit
)

// route is one line of the API. Its handler writes the answer, or returns an error.
type route struct {
	method, path string
	access       access
	scope        vault.Scope // what a personal token needs; none: no token may
	kind         ledgerUse
	serve        func(http.ResponseWriter, *http.Request) error
	query        []string // the parameters that it takes; reads also take min_position
}

func (s *Server) routes() []route {
	return append(s.auditRoutes(), []route{
		{"GET", "/api/", public, noToken, noLedger, s.about, nil},
		{"GET", "/api/health", public, noToken, noLedger, health, nil},
		{"GET", "/api/ready", public, noToken, noLedger, s.ready, nil},
		{"GET", "/api/openapi.yaml", public, noToken, noLedger, s.contract, nil},
		{"GET", "/api/log/head", public, noToken, noLedger, s.logHead, nil},
		{"GET", "/api/openapi.json", public, noToken, noLedger, s.contractJSON, nil},
		{"GET", "/api/films/{id}", public, noToken, noLedger, s.film, nil},

		{"POST", "/api/users/signup", public, noToken, noLedger, s.signUp, nil},
		{"POST", "/api/users/signin", public, noToken, noLedger, s.signIn, nil},
		{"POST", "/api/users/signout", public, noToken, noLedger, s.signOut, nil},
		{"POST", "/api/users/password", signedIn, noToken, noLedger, s.changePassword, nil},
		{"POST", "/api/users/password/forgot", public, noToken, noLedger, s.forgotPassword, nil},
		{"POST", "/api/users/password/reset", public, noToken, noLedger, s.resetPassword, nil},
		{"GET", "/api/users/export", signedIn, noToken, read, s.export, nil},
		{"GET", "/api/users/export.zip", signedIn, noToken, read, s.ExportZip, nil},
		{"GET", "/api/users/erasure", signedIn, noToken, noLedger, s.erasure, nil},
		{"POST", "/api/users/erasure", signedIn, noToken, command, s.requestErasure, nil},
		{"POST", "/api/users/erasure/cancel", signedIn, noToken, command, s.cancelErasure, nil},
		{"GET", "/api/users/sessions", signedIn, noToken, noLedger, s.sessions, nil},
		{"DELETE", "/api/users/sessions", signedIn, noToken, noLedger, s.endOtherSessions, nil},
		{"DELETE", "/api/users/sessions/{id}", signedIn, noToken, noLedger, s.endSession, nil},
		{"GET", "/api/users/tokens", signedIn, noToken, noLedger, s.tokens, nil},
		{"POST", "/api/users/tokens", signedIn, noToken, noLedger, s.makeToken, nil},
		{"DELETE", "/api/users/tokens/{id}", signedIn, noToken, noLedger, s.revokeToken, nil},
		{"GET", "/api/users/factor", signedIn, noToken, noLedger, s.factor, nil},
		{"POST", "/api/users/factor", signedIn, noToken, noLedger, s.offerFactor, nil},
		{"POST", "/api/users/factor/confirm", signedIn, noToken, noLedger, s.confirmFactor, nil},
		{"POST", "/api/users/factor/code", signedIn, noToken, noLedger, s.giveCode, nil},
		{"POST", "/api/users/factor/passkey/ask", signedIn, noToken, noLedger, s.askPasskey, nil},
		{"POST", "/api/users/factor/passkey", signedIn, noToken, noLedger, s.givePasskey, nil},
		{"POST", "/api/users/factor/remove", signedIn, noToken, noLedger, s.dropFactor, nil},
		{"GET", "/api/users/passkeys", signedIn, noToken, noLedger, s.passkeys, nil},
		{"POST", "/api/users/passkeys", signedIn, noToken, noLedger, s.addPasskey, nil},
		{"POST", "/api/users/passkeys/offer", signedIn, noToken, noLedger, s.offerPasskey, nil},
		{"POST", "/api/users/passkeys/{id}/remove", signedIn, noToken, noLedger, s.dropPasskey, nil},
		{"GET", "/api/users/balance", signedIn, vault.ScopeRead, read, s.balance, nil},
		{"POST", "/api/users/balance/adjust", signedIn, vault.ScopeSpend, command, s.adjust, nil},
		{"GET", "/api/users/transaction/history", signedIn, vault.ScopeRead, read, s.transactions, []string{"cursor", "limit", "type", "from", "to"}},
		{"GET", "/api/users/statement", signedIn, vault.ScopeRead, noLedger, s.statement, []string{"month", "from", "to"}},
		{"GET", "/api/users/statement.csv", signedIn, vault.ScopeRead, noLedger, s.statementTable, []string{"month", "from", "to"}},

		{"GET", "/api/users/transaction/{id}/receipt", signedIn, vault.ScopeRead, noLedger, s.transactionReceipt, nil},

		// Before the ids: the first route that matches is taken.
		{"POST", "/api/events/prediction/new", signedIn, vault.ScopeSpend, command, s.predict, nil},
		{"GET", "/api/events/prediction/history", signedIn, vault.ScopeRead, read, s.predictions, []string{"cursor", "limit", "status"}},
		{"GET", "/api/events/prediction/{id}", signedIn, vault.ScopeRead, read, s.prediction, nil},
		{"GET", "/api/events/prediction/{id}/stream", signedIn, vault.ScopeRead, read, s.stream, nil},
		{"POST", "/api/events/prediction/{id}/none-of-these", signedIn, vault.ScopeSpend, command, s.noneOfThese, nil},
		{"POST", "/api/events/prediction/{id}/refine", signedIn, vault.ScopeSpend, command, s.refine, nil},
		{"POST", "/api/events/prediction/{id}/feedback", signedIn, vault.ScopeSpend, command, s.feedback, nil},

		{"GET", "/api/admin/users", adminOnly, vault.ScopeAdmin, read, s.users, []string{"cursor", "limit", "email"}},
		{"GET", "/api/admin/users/{id}", adminOnly, vault.ScopeAdmin, read, s.user, nil},
		{"POST", "/api/admin/users/{id}/erasure", adminOnly, noToken, command, s.orderErasure, nil},
		{"POST", "/api/admin/users/{id}/roles/grant", adminOnly, noToken, command, s.grantRole, nil},
		{"POST", "/api/admin/users/{id}/roles/revoke", adminOnly, noToken, command, s.revokeRole, nil},
		{"POST", "/api/admin/users/{id}/lock", adminOnly, noToken, command, s.lock, nil},
		{"POST", "/api/admin/users/{id}/unlock", adminOnly, noToken, command, s.unlock, nil},
		{"DELETE", "/api/admin/users/{id}/sessions", adminOnly, noToken, command, s.endSessionsOf, nil},
		{"GET", "/api/admin/films", adminOnly, vault.ScopeAdmin, noLedger, s.filmList, []string{"q", "genre", "lack", "own", "page"}},
		{"POST", "/api/admin/films", adminOnly, vault.ScopeAdmin, command, s.saveFilm, nil},
		{"GET", "/api/admin/films/{id}", adminOnly, vault.ScopeAdmin, noLedger, s.filmRecord, nil},
		{"POST", "/api/admin/films/{id}/remove", adminOnly, vault.ScopeAdmin, command, s.removeFilm, nil},
		{"POST", "/api/admin/catalogue/check", adminOnly, vault.ScopeAdmin, noLedger, s.checkFilms, nil},
		{"POST", "/api/admin/catalogue/preview", adminOnly, vault.ScopeAdmin, noLedger, s.previewFilms, nil},
		{"POST", "/api/admin/catalogue/apply", adminOnly, vault.ScopeAdmin, command, s.takeFilms, nil},
		{"GET", "/api/admin/catalogue/editions", adminOnly, vault.ScopeAdmin, noLedger, s.filmEditions, nil},
		{"POST", "/api/admin/catalogue/undo", adminOnly, vault.ScopeAdmin, command, s.undoEdition, nil},
		{"GET", "/api/admin/synonyms", adminOnly, vault.ScopeAdmin, noLedger, s.synonyms, nil},
		{"POST", "/api/admin/synonyms", adminOnly, vault.ScopeAdmin, command, s.addSynonyms, nil},
		{"POST", "/api/admin/synonyms/try", adminOnly, vault.ScopeAdmin, command, s.trySynonyms, nil},
		{"DELETE", "/api/admin/synonyms/{id}", adminOnly, vault.ScopeAdmin, command, s.removeSynonyms, nil},
		{"POST", "/api/admin/catalogue/try", adminOnly, vault.ScopeAdmin, noLedger, s.tryQuestion, nil},
		{"GET", "/api/admin/trial", auditors, vault.ScopeAudit, read, s.trial, nil},
		{"GET", "/api/admin/actions", auditors, vault.ScopeAudit, read, s.actions, append([]string{"cursor", "limit"}, overview.ActionFields...)},
		{"GET", "/api/admin/actions.csv", auditors, vault.ScopeAudit, noLedger, s.actionTable, overview.ActionFields},
		{"GET", "/api/admin/overview", auditors, vault.ScopeAudit, read, s.overview, []string{"days"}},
		{"GET", "/api/admin/adjustments", auditors, vault.ScopeAudit, noLedger, s.proposals, nil},
		{"POST", "/api/admin/adjustments", adminOnly, vault.ScopeAdmin, command, s.propose, nil},
		{"GET", "/api/admin/adjustments/{id}", auditors, vault.ScopeAudit, noLedger, s.proposal, nil},
		{"POST", "/api/admin/adjustments/{id}/approve", adminOnly, vault.ScopeAdmin, command, s.approve, nil},
		{"POST", "/api/admin/adjustments/{id}/reject", adminOnly, vault.ScopeAdmin, command, s.rejectProposal, nil},
	}...)
}

// parameters are the names that the route's query may contain.
func (rt route) parameters() []string {
	if rt.kind == read {
		return append(slices.Clone(rt.query), "min_position")
	}
	return rt.query
}

// Handler returns the handler of the API and the pages.
func (s *Server) Handler() http.Handler {
	e, router := s.edge(), paths.NewRouter()
	router.Use(requestlog.NameRoute)
	at := map[string]resource{}
	for _, rt := range s.routes() {
		if at[rt.path] == nil {
			at[rt.path] = resource{}
			router.Handle(rt.path, e.dispatch(at[rt.path]))
		}
		at[rt.path].add(rt.method, s.guard(rt))
	}
	router.Handle("/api", e.dispatch(at["/api/"]))
	if s.Transparency != nil {
		router.PathPrefix(logPrefix).Handler(s.serveLog())
	}
	if s.Pages != nil {
		home := resource{}
		home.add(http.MethodGet, http.RedirectHandler("/web", http.StatusSeeOther))
		router.Handle("/", e.dispatch(home))
		for _, path := range []string{"/favicon.ico", "/robots.txt", "/sitemap.xml"} {
			router.Handle(path, s.Pages)
		}
		router.PathPrefix("/sitemap/").Handler(s.Pages)
		router.PathPrefix("/posters/").Handler(s.Pages)
		router.PathPrefix("/web").Handler(s.Identity.Middleware(noToken, s.pagesAfterOwnWrites(s.Pages)))
	}
	router.NotFoundHandler = e.handler(notFound)
	return e.chain(s.crossOrigin(s.checkRequest(s.limitLoad(router))))
}

func (s *Server) edge() edge {
	return edge{s.Problems, s.Log, s.Refusal, s.Identity.Secure, s.Identity.Security, s.Identity.ClientIP, s.Observer, s.SlowRequest}
}

func notFound(http.ResponseWriter, *http.Request) error {
	return domain.Reject(problem.NotFound, "there is nothing at this address")
}

// resource is the handlers of one path by method.
type resource map[string]http.Handler

func (res resource) add(method string, h http.Handler) {
	res[method] = h
	if method == http.MethodGet {
		res[http.MethodHead] = h
	}
}

// dispatch calls the handler of the method, and names the allowed methods where there
// is none.
func (e edge) dispatch(res resource) http.Handler {
	return e.handler(func(w http.ResponseWriter, r *http.Request) error {
		if h := res[r.Method]; h != nil {
			h.ServeHTTP(w, r)
			return nil
		}
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
			if res[method] != nil {
				w.Header().Add("Allow", method)
			}
		}
		return domain.Reject(problem.MethodNotAllowed, "this address does not take the method %s", quoteName(r.Method))
	})
}

// guard checks the user's access, then waits for the views or counts the command, as
// the route needs.
func (s *Server) guard(rt route) http.Handler {
	serve := s.edge().handler(func(w http.ResponseWriter, r *http.Request) error {
		r, err := s.admit(rt, w, r)
		if err != nil {
			return err
		}
		if rt.access == adminOnly {
			bodies.Limit(r, bodyMost(rt.path))
		}
		return rt.serve(w, r)
	})
	switch rt.access {
	case public:
		return serve
	case auditors, adminOnly:
		return s.Identity.Middleware(rt.scope, serve)
	}
	return s.Identity.UserOnly(rt.scope, serve)
}

func (s *Server) admit(rt route, w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	who, signedIn := identity.From(r.Context())
	switch {
	case rt.access != public && !signedIn:
		return r, domain.Reject(problem.AuthenticationRequired, "sign in, or send Basic credentials or a token")
	case rt.access == adminOnly && !who.Admin:
		return r, domain.Reject(domain.NotAdmin, "this is for admins only")
	case rt.access == auditors && !who.MayAudit():
		return r, domain.Reject(problem.AuditorRequired, "this is for auditors and admins only")
	}
	if rt.access >= auditors {
		if err := s.Identity.RequireFactor(r.Context(), who); err != nil {
			return r, err
		}
	}
	requestlog.Of(r.Context()).Admin = rt.access >= auditors
	if err := checkQuery(r, rt.parameters()); err != nil {
		return r, err
	}
	switch rt.kind {
	case read:
		return s.waitForPosition(w, r, who.User)
	case command:
		return r, s.Identity.AllowCommand(who.User)
	}
	return r, nil
}
