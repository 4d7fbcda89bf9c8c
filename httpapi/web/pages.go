// Package web is Kassa's face in the browser: pages that are rendered here, work
// without a script, and are better with one. It holds no rule: pages ask the views,
// and forms become commands.
//
// Every form that commands carries an Idempotency-Key of its own, so a double click
// or a reload never charges twice. After a command the browser is sent on with a
// note that names the position, and the next page waits for the views to be there.
package web

import (
	"context"
	"errors"
	"net/http"

	"kassa/catalog"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/httpapi/paths"
	"kassa/httpapi/problem"
	"kassa/projections"
)

// Commands is what forms can do.
type Commands interface {
	SignUp(ctx context.Context, s commands.SignUp) (commands.SignedUp, error)
	Predict(ctx context.Context, p commands.Predict) (commands.Asked, error)
	Deposit(ctx context.Context, m commands.Move) (commands.Result, error)
	Withdraw(ctx context.Context, m commands.Move) (commands.Result, error)
	Adjust(ctx context.Context, a commands.Adjust) (commands.Result, error)
	FindUser(ctx context.Context, email string) (domain.UserID, error)
	Account(ctx context.Context, u domain.UserID) (domain.Account, error)
}

// Views is what pages show.
type Views interface {
	Wait(ctx context.Context, at eventstore.Position) error
	Balance(ctx context.Context, u domain.UserID, least eventstore.Position) (projections.Balance, eventstore.Position, error)
	Transactions(ctx context.Context, u domain.UserID, q projections.TransactionQuery, least eventstore.Position) (projections.Page[projections.Transaction], eventstore.Position, error)
	Predictions(ctx context.Context, u domain.UserID, q projections.PredictionQuery, least eventstore.Position) (projections.Page[projections.Prediction], eventstore.Position, error)
	Prediction(ctx context.Context, u domain.UserID, id domain.PredictionID, least eventstore.Position) (projections.Prediction, eventstore.Position, error)
	Questions(ctx context.Context, u domain.UserID, ids []domain.PredictionID) (map[domain.PredictionID]domain.Sealed, error)
	Ended(ctx context.Context, u domain.UserID, id domain.PredictionID, least eventstore.Position) (projections.Prediction, eventstore.Position, error)
	User(ctx context.Context, u domain.UserID, least eventstore.Position) (projections.User, eventstore.Position, error)
	Users(ctx context.Context, q projections.PageQuery, least eventstore.Position) (projections.Page[projections.User], eventstore.Position, error)
}

// Films is the catalogue.
type Films interface {
	Len() int
	Movie(id string) (catalog.Movie, bool)
	Explain(text, movieID string) []string
}

// Vault opens what is sealed in the views.
type Vault interface {
	OpenEmail(ctx context.Context, u domain.UserID, sealed domain.Sealed) (string, error)
	OpenText(ctx context.Context, u domain.UserID, p domain.PredictionID, sealed domain.Sealed) (string, error)
}

// Doorkeeper signs browsers in and out, and says when somebody comes too often.
// Who sends a request is in its context already (identity.From).
type Doorkeeper interface {
	SignIn(ctx context.Context, w http.ResponseWriter, r *http.Request, email, password string) (identity.Person, error)
	StartSession(ctx context.Context, w http.ResponseWriter, u domain.UserID) error
	SignOut(w http.ResponseWriter, r *http.Request) error
	AllowSignUp(r *http.Request) error
	AllowCommand(u domain.UserID) error
	SetWrote(w http.ResponseWriter, r *http.Request, u domain.UserID, at eventstore.Position)
}

// Pages are all pages under /web. Every field is required.
type Pages struct {
	Commands Commands
	Views    Views
	Films    Films
	Vault    Vault
	Door     Doorkeeper
	Problems *problem.Writer // tells which status an error has, and logs faults

	Price   domain.Credits // of one answer, shown before it is asked for
	Bonus   domain.Credits // for new people, 0 for none
	Sandbox bool           // no real money moves, and the wallet page says so
	Secure  bool           // browsers reach us by https only: Secure cookies
}

// Handler serves the pages; it is mounted so that it sees whole paths. Around it
// stand identity.Authenticator.Middleware, which says who asks, and
// http.CrossOriginProtection.
func (p *Pages) Handler() http.Handler {
	r := paths.NewRouter()
	get := func(path string, a audience, h page) { r.HandleFunc(path, p.serve(a, nil, h)).Methods("GET", "HEAD") }
	post := func(path string, a audience, f *form, h page) { r.HandleFunc(path, p.serve(a, f, h)).Methods("POST") }

	get("/web", anyone, p.home)
	get("/web/", anyone, away("/web"))
	post("/web/ask", members, askingForm, p.ask)
	get("/web/ask", anyone, away("/web"))
	get("/web/prediction/{id}", members, p.prediction)
	get("/web/prediction-history", members, p.predictionHistory)
	get("/web/transaction-history", members, p.transactionHistory)

	get("/web/deposit", members, p.wallet)
	post("/web/deposit", members, depositForm, p.deposit)
	get("/web/withdraw", anyone, away("/web/deposit"))
	post("/web/withdraw", members, payoutForm, p.withdraw)

	get("/web/signup", anyone, p.signUpForm)
	post("/web/signup", anyone, openingForm, p.signUp)
	get("/web/signin", anyone, p.signInForm)
	post("/web/signin", anyone, signingForm, p.signIn)
	get("/web/signout", anyone, away("/web"))
	post("/web/signout", anyone, nil, p.signOut)
	get("/web/lang", anyone, p.setLanguage)
	post("/web/lang", anyone, nil, p.setLanguage)

	get("/web/admin", admins, p.people)
	post("/web/admin", admins, findingForm, p.find)
	get("/web/admin/user/{id}", admins, p.person)
	get("/web/admin/user/{id}/adjust", admins, p.confirm)
	post("/web/admin/user/{id}/adjust", admins, adjustment, p.adjust)

	r.HandleFunc("/web/static/{version}/{file:[a-z]+\\.[a-z]+}", serveStatic).Methods("GET", "HEAD")
	r.HandleFunc("/favicon.ico", serveIcon).Methods("GET", "HEAD")
	r.NotFoundHandler = p.Refusal(http.StatusNotFound)
	r.MethodNotAllowedHandler = p.Refusal(http.StatusMethodNotAllowed)
	return r
}

// Refusal serves the page of a status that is no success, in the person's
// language: 400, 403, 404, 405, 413, 429, 500 or 503. The server gives its own
// refusals of requests under /web through it.
func (p *Pages) Refusal(status int) http.Handler {
	return p.serve(anyone, nil, func(v *visit) error { return v.refuse(status) })
}

// audience is who may see a page.
type audience int

const (
	anyone audience = iota
	members
	admins
)

// page answers a visit; an error that it returns becomes the page of its status.
type page func(v *visit) error

// serve answers with a page; f is the form that is sent to it, nil for none.
func (p *Pages) serve(a audience, f *form, h page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := p.enter(w, r)
		switch {
		case err != nil:
		case a != anyone && v.Person == nil:
			v.toSignIn(f)
		case a == admins && !v.Person.Admin:
			err = v.refuse(http.StatusForbidden)
		default:
			err = h(v)
		}
		if err != nil {
			v.fail(err)
		}
	}
}

// What a page may return to be answered with the page of a status.
var (
	errNoPage    = errors.New("web: there is no such page")
	errMalformed = errors.New("web: the request is malformed")
	errBehind    = errors.New("web: the views do not know the person yet")
)

func (v *visit) fail(err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, errNoPage):
		status = http.StatusNotFound
	case errors.Is(err, errMalformed):
		status = http.StatusBadRequest
	case errors.Is(err, errBehind):
		status = http.StatusServiceUnavailable
	default:
		code, _ := v.pages.Problems.Explain(v.w, v.r, err)
		status = problem.Status(code)
	}
	if err := v.refuse(status); err != nil {
		v.pages.Problems.Explain(v.w, v.r, err)
		http.Error(v.w, http.StatusText(status), status)
	}
}

type refusalPage struct {
	frame
	Status  int
	Message string
}

// refuse shows the page of a status; statuses without words of their own are told
// as a malformed request or as a fault.
func (v *visit) refuse(status int) error {
	known := status
	switch status {
	case 400, 403, 404, 405, 413, 429, 500, 503:
	default:
		known = status / 500 * 500
		if known == 0 {
			known = http.StatusBadRequest
		}
	}
	if status == http.StatusServiceUnavailable {
		v.w.Header().Set("Retry-After", "1")
	}
	name := "error." + v.Number(int64(known))
	message := v.T(name + ".text")
	if known == http.StatusBadRequest && v.r.Method != http.MethodPost { // there is no form that could be damaged
		message = v.T("error.400.address")
	}
	v.Title = v.T(name)
	return v.show(status, "refusal", refusalPage{v.frame, status, message})
}

func away(to string) page {
	return func(v *visit) error { return v.send(to) }
}
