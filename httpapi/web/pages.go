// Package web is Kassa's web pages. They are rendered on the server and work without
// JavaScript; scripts only add to them. The package contains no rule of the ledger:
// pages read the views, and forms become commands.
//
// Every form that runs a command carries an Idempotency-Key of its own, so a double
// click or a reload never charges twice. After a command the browser is redirected with
// a flash that names the position, and the next page waits until the views have reached
// it.
package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/pquerna/otp"

	"kassa/catalog"
	"kassa/catalog/filmlinks"
	"kassa/catalog/question"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/auditing"
	"kassa/httpapi/editing"
	"kassa/httpapi/identity"
	"kassa/httpapi/overview"
	"kassa/httpapi/paths"
	"kassa/httpapi/problem"
	"kassa/httpapi/requestlog"
	"kassa/httpapi/statement"
	"kassa/internal/security"
	"kassa/projections"
	"kassa/vault"
)

// Commands are the commands of the forms.
type Commands interface {
	SignUp(ctx context.Context, s commands.SignUp) (commands.SignedUp, error)
	Predict(ctx context.Context, p commands.Predict) (commands.Requested, error)
	NoneOfThese(ctx context.Context, n commands.NoneOfThese) (commands.Refunded, error)
	RefundOffer(ctx context.Context, u domain.UserID, id domain.PredictionID) (domain.RefundOffer, error)
	Refine(ctx context.Context, f commands.Refine) (commands.Requested, error)
	RefineOffer(ctx context.Context, u domain.UserID, id domain.PredictionID) (domain.RefineOffer, error)
	Confirm(ctx context.Context, c commands.Confirm) (commands.Result, error)
	Deposit(ctx context.Context, m commands.Move) (commands.Result, error)
	Withdraw(ctx context.Context, m commands.Move) (commands.Result, error)
	Adjust(ctx context.Context, a commands.Adjust) (commands.Result, error)
	Approve(ctx context.Context, d commands.Decide) (commands.Result, error)
	Reject(ctx context.Context, d commands.Decide) (commands.Result, error)
	Proposal(ctx context.Context, id domain.ProposalID) (domain.Proposal, error)
	Proposals(ctx context.Context) ([]domain.Proposal, error)
	FindUser(ctx context.Context, email string) (domain.UserID, error)
	Account(ctx context.Context, u domain.UserID) (domain.Account, error)
	RequestErasure(ctx context.Context, e commands.Erasure) (commands.ErasureDue, error)
	CancelErasure(ctx context.Context, u domain.UserID, key string) (commands.Result, error)
	CancelErasureBy(ctx context.Context, k commands.Keep) (commands.Result, error)
	GrantRole(ctx context.Context, r domain.Role, o commands.Order) (eventstore.Position, error)
	RevokeRole(ctx context.Context, r domain.Role, o commands.Order) (eventstore.Position, error)
	Lock(ctx context.Context, o commands.Order) (eventstore.Position, error)
	Unlock(ctx context.Context, o commands.Order) (eventstore.Position, error)
}

// Views are the reads of the pages.
type Views interface {
	Wait(ctx context.Context, at eventstore.Position) error
	Balance(ctx context.Context, u domain.UserID, least eventstore.Position) (projections.Balance, eventstore.Position, error)
	Transactions(ctx context.Context, u domain.UserID, q projections.TransactionQuery, least eventstore.Position) (projections.Page[projections.Transaction], eventstore.Position, error)
	CountTransactions(ctx context.Context, u domain.UserID, q projections.TransactionQuery, most int) (int, error)
	Predictions(ctx context.Context, u domain.UserID, q projections.PredictionQuery, least eventstore.Position) (projections.Page[projections.Prediction], eventstore.Position, error)
	Prediction(ctx context.Context, u domain.UserID, id domain.PredictionID, least eventstore.Position) (projections.Prediction, eventstore.Position, error)
	FollowUps(ctx context.Context, u domain.UserID, of []domain.PredictionID, least eventstore.Position) (map[domain.PredictionID][]projections.Prediction, error)
	Questions(ctx context.Context, u domain.UserID, ids []domain.PredictionID) (map[domain.PredictionID]domain.Sealed, error)
	Ended(ctx context.Context, p projections.Prediction, held eventstore.Position) (projections.Prediction, eventstore.Position, error)
	User(ctx context.Context, u domain.UserID, least eventstore.Position) (projections.User, eventstore.Position, error)
	Actions(ctx context.Context, q projections.ActionQuery, least eventstore.Position) (projections.Page[projections.Action], eventstore.Position, error)
	Users(ctx context.Context, q projections.PageQuery, least eventstore.Position) (projections.Page[projections.User], eventstore.Position, error)
}

// Films is the catalogue.
type Films interface {
	Len() int
	Movie(id string) (catalog.Movie, bool)
	Read(text string) question.Question
	Reasons(text string, movieIDs ...string) [][]catalog.Reason
	Find(ctx context.Context, q catalog.Query) (catalog.Found, error)
	Version() string
	Shelves() *catalog.Shelves
	Similar(id string, limit int) []catalog.Movie
}

// Vault decrypts what is sealed in the views.
type Vault interface {
	OpenEmail(ctx context.Context, u domain.UserID, sealed domain.Sealed) (string, error)
	OpenText(ctx context.Context, u domain.UserID, p domain.PredictionID, sealed domain.Sealed) (string, error)
}

// Authenticator starts and ends sessions, and enforces rate limits. The user of a
// request is already in its context (identity.From).
type Authenticator interface {
	SignIn(ctx context.Context, w http.ResponseWriter, r *http.Request, email, password, code string) (identity.Person, error)
	HalfSignIn(w http.ResponseWriter, r *http.Request, email, password string) (ticket string, err error)
	FinishSignIn(w http.ResponseWriter, r *http.Request, ticket, code string) error
	FactorOffer(ctx context.Context, who identity.Person) (vault.Factor, *otp.Key, error)
	OfferFactor(r *http.Request, who identity.Person, password string) (*otp.Key, error)
	ConfirmFactor(ctx context.Context, who identity.Person, code string) ([]string, error)
	GiveCode(ctx context.Context, who identity.Person, code string) error
	DropFactor(r *http.Request, who identity.Person, password string) error
	passkeyAuthenticator
	RequireFactor(ctx context.Context, who identity.Person) error
	StartSession(ctx context.Context, w http.ResponseWriter, r *http.Request, u domain.UserID, password string) (vault.SessionID, error)
	ChangePassword(ctx context.Context, w http.ResponseWriter, r *http.Request, who identity.Person, was, password string) error
	AskReset(r *http.Request, email, language string) error
	ResetIsGood(ctx context.Context, token string) (bool, error)
	Reset(r *http.Request, token, password string) error
	Sessions(ctx context.Context, u domain.UserID) ([]vault.Session, error)
	EndSession(ctx context.Context, u domain.UserID, id vault.SessionID) error
	EndOtherSessions(ctx context.Context, who identity.Person) error
	EndSessionsOf(ctx context.Context, who identity.Person, subject domain.UserID) error
	Tokens(ctx context.Context, u domain.UserID) ([]vault.Token, error)
	MakeToken(r *http.Request, who identity.Person, order identity.TokenOrder) (string, vault.Token, error)
	RevokeToken(ctx context.Context, u domain.UserID, id vault.TokenID) error
	SignOut(w http.ResponseWriter, r *http.Request) error
	Confirm(r *http.Request, who identity.Person, password string) error
	RecordErasure(ctx context.Context, u, subject domain.UserID, due time.Time)
	RecordErasureCancelled(ctx context.Context, u, subject domain.UserID)
	RecordOrder(ctx context.Context, kind security.Kind, u, subject domain.UserID, role domain.Role)
	AllowSignUp(r *http.Request) error
	AllowCommand(u domain.UserID) error
	WhileValid(ctx context.Context, r *http.Request) (context.Context, context.CancelFunc)
	SetLastWrite(w http.ResponseWriter, r *http.Request, u domain.UserID, at eventstore.Position)
}

// Pages serves all pages under /web. Every field but Receipts and Links is required. It
// must not be copied.
type Pages struct {
	Commands Commands
	Views    Views
	Films    Films
	Vault    Vault
	Auth     Authenticator
	Audit    *auditing.Reader
	Receipts Receipts // nil: none are given
	Overview *overview.Reader
	Editor   *editing.Editor
	Problems *problem.Writer                                // maps errors to statuses, and logs faults
	Export   func(http.ResponseWriter, *http.Request) error // sends the data of the request's user as a file

	Statements *statement.Books     // of the log
	Now        func() time.Time     // of the installation
	Links      []filmlinks.Template // to other sites, on the pages of films

	Prices       func(context.Context) domain.PriceSet // of an answer and of a credit, shown before anything is bought
	Bonus        domain.Credits                        // for new users, 0 for none
	ErasureDelay time.Duration                         // in which an erasure can be cancelled
	Limits       domain.AdjustmentLimits               // of what one admin adjusts alone
	Sandbox      bool                                  // no real money is moved, and the wallet page shows that
	Mails        bool                                  // a link for a forgotten password is sent by mail
	Secure       bool                                  // browsers reach the server by https only: Secure cookies

	examples exampleAnswers
}

// Handler serves the pages under their full paths. It must be wrapped in
// identity.Authenticator.Middleware, which identifies the user, and
// http.CrossOriginProtection.
func (p *Pages) Handler() http.Handler {
	r := paths.NewRouter()
	r.Use(requestlog.NameRoute)
	get := func(path string, a audience, h page) { r.HandleFunc(path, p.serve(a, nil, h)).Methods("GET", "HEAD") }
	post := func(path string, a audience, f *form, h page) { r.HandleFunc(path, p.serve(a, f, h)).Methods("POST") }

	get("/web", anyone, p.home)
	get("/web/", anyone, redirectTo("/web"))
	post("/web/ask", members, askFields, p.ask)
	get("/web/ask", anyone, redirectTo("/web"))
	get("/web/prediction/{id}", members, p.prediction)
	get("/web/prediction/{id}/none-of-these", members, func(pc *pageContext) error { return pc.redirect(refundFields.page(pc.r)) })
	post("/web/prediction/{id}/none-of-these", members, refundFields, p.noneOfThese)
	get("/web/prediction/{id}/as-typed", members, func(pc *pageContext) error { return pc.redirect(asTypedFields.page(pc.r)) })
	post("/web/prediction/{id}/as-typed", members, asTypedFields, p.asTyped)
	get("/web/prediction/{id}/refine", members, func(pc *pageContext) error { return pc.redirect(refineFields.page(pc.r)) })
	post("/web/prediction/{id}/refine", members, refineFields, p.refine)
	get("/web/prediction/{id}/thats-it", members, func(pc *pageContext) error { return pc.redirect(confirmFields.page(pc.r)) })
	post("/web/prediction/{id}/thats-it", members, confirmFields, p.thatsIt)
	get("/web/prediction-history", members, p.predictionHistory)
	get(searchPath, members, p.found)
	post(searchPath, members, searchFields, p.search)
	get(historyPath, members, p.transactionHistory)
	post(historyPath, members, daysFields, p.chooseDays)
	get(monthsPath, members, p.months)
	get(statementPath, members, p.printed)
	get(tablePath, members, p.table)

	get("/web/transaction/{position}/receipt", members, p.receipt)
	get("/web/receipt", anyone, p.receiptCheck)
	get("/web/receipt/page", anyone, p.receiptPageFile)

	get("/web/deposit", members, p.wallet)
	post("/web/deposit", members, depositFields, p.deposit)
	get("/web/withdraw", members, p.withdrawal)
	post("/web/withdraw", members, withdrawFields, p.withdraw)

	get("/web/account", members, p.account)
	get("/web/account/password", anyone, redirectTo("/web/account"))
	post("/web/account/password", members, passwordFields, p.changePassword)
	get(exportPath, members, p.exportData)
	post(exportPath, members, exportFields, p.allowExport)
	get("/web/account/erasure", members, p.erasure)
	post("/web/account/erasure", members, erasureFields, p.requestErasure)
	get("/web/account/erasure/cancel", anyone, redirectTo("/web/account"))
	post("/web/account/erasure/cancel", members, keepFields, p.cancelErasure)
	get("/web/account/sessions", anyone, redirectTo("/web/account"))
	post("/web/account/sessions", members, sessionsFields, p.endSessions)

	get(tokensPath, members, p.tokens)
	post(tokensPath, members, tokenFields, p.makeToken)
	get(tokensPath+"/revoke", anyone, redirectTo(tokensPath))
	post(tokensPath+"/revoke", members, revokeFields, p.revokeToken)

	get(factorPath, members, p.factor)
	get(factorPath+"/qr.png", members, p.factorPicture)
	post(factorPath, members, factorFields, p.offerFactor)
	get(factorPath+"/confirm", anyone, redirectTo(factorPath))
	post(factorPath+"/confirm", members, factorFields, p.confirmFactor)
	get(factorPath+"/remove", anyone, redirectTo(factorPath))
	post(factorPath+"/remove", members, factorFields, p.dropFactor)

	get(passkeysPath, members, p.passkeys)
	post(passkeysPath, members, passkeyFields, p.addPasskey)
	get(newPasskeyPath, members, p.newPasskey)
	post(newPasskeyPath, members, passkeyFields, p.offerPasskey)
	get(passkeysPath+"/remove", anyone, redirectTo(passkeysPath))
	post(passkeysPath+"/remove", members, dropPasskeyFields, p.dropPasskey)

	get("/web/signup", anyone, p.signUpForm)
	post("/web/signup", anyone, signUpFields, p.signUp)
	get("/web/forgot", anyone, p.forgotForm)
	post("/web/forgot", anyone, forgotFields, p.forgot)
	get(resetPath, anyone, p.resetForm)
	post(resetPath, anyone, resetFields, p.reset)
	get("/web/signin", anyone, p.signInForm)
	post("/web/signin", anyone, signInFields, p.signIn)
	get(codePath, anyone, p.codeForm)
	post(codePath, anyone, codeFields, p.code)
	get(askPasskeyPath, anyone, redirectTo(codePath))
	post(askPasskeyPath, anyone, codeFields, p.askPasskey)
	get("/web/signout", anyone, redirectTo("/web"))
	post("/web/signout", anyone, nil, p.signOut)
	get("/web/lang", anyone, p.setLanguage)
	post("/web/lang", anyone, nil, p.setLanguage)

	get(filmsPath, anyone, p.films)
	get(filmsPath+"/{id}", anyone, p.film)
	get(filmsPath+"/{kind:genre|decade|country}/{key}", anyone, p.shelf)
	get(peoplePath+"/{slug}", anyone, p.person)
	r.HandleFunc(postersPath+"{id}.svg", p.servePoster).Methods("GET", "HEAD")
	r.HandleFunc("/sitemap.xml", p.sitemap).Methods("GET", "HEAD")
	r.HandleFunc("/sitemap/{part:[1-9][0-9]{0,5}}.xml", p.sitemapPart).Methods("GET", "HEAD")
	r.HandleFunc("/robots.txt", p.robots).Methods("GET", "HEAD")

	get(auditPath, auditors, p.auditLog)
	get(auditPath+"/go", auditors, p.auditGo)
	get(auditPath+"/trial", auditors, p.auditTrial)
	get(auditPath+"/money", auditors, p.auditMoney)
	get(auditPath+"/adjustments", auditors, p.auditAdjustments)
	get(auditPath+"/adjustments.csv", auditors, p.auditAdjustmentTable)
	get(auditPath+"/entries/{position}", auditors, p.auditEntry)
	get(auditPath+"/entries/{position}/proof", auditors, p.auditProof)
	get(auditPath+"/users/{id}", auditors, p.auditTimeline)
	get(auditPath+"/close", auditors, p.auditClose)
	get(auditPath+"/export", auditors, p.auditExport)

	get(overviewPath, auditors, p.overview)
	get(actionsPath, auditors, p.actions)
	get(actionsPath+".csv", auditors, p.actionTable)
	get("/web/admin", admins, p.users)
	post("/web/admin", admins, findFields, p.find)
	get("/web/admin/user/{id}", admins, p.user)
	get("/web/admin/user/{id}/adjust", admins, p.confirm)
	post("/web/admin/user/{id}/adjust", admins, adjustFields, p.adjust)

	get(keptFilmsPath, admins, p.catalogue)
	get(newFilmPath, admins, p.keptFilm)
	post(newFilmPath, admins, filmFields, p.saveFilm)
	post(checkFilmPath, admins, nil, p.checkFilm)
	get(tryPath, admins, p.try)
	post(tryPath, admins, tryFields, p.tryQuestion)
	get(synonymsPath, admins, p.synonyms)
	post(synonymsPath, admins, synonymsFields, p.addSynonyms)
	get(synonymsPath+"/try", admins, redirectTo(synonymsPath))
	post(synonymsPath+"/try", admins, trySynonymsFields, p.trySynonyms)
	get(synonymsPath+"/remove", admins, redirectTo(synonymsPath))
	post(synonymsPath+"/remove", admins, dropSynonymsFields, p.removeSynonyms)
	get(uploadPath, admins, p.uploadForm)
	post(uploadPath, admins, uploadFields, p.upload)
	get(uploadPath+"/{id:[A-Z2-7]{26}}", admins, p.uploaded)
	post(uploadPath+"/{id:[A-Z2-7]{26}}", admins, takeFields, p.takeUpload)
	get(editionsPath, admins, p.editions)
	post(editionsPath, admins, undoFields, p.undo)
	get(editionsPath+"/{number:[1-9][0-9]{0,17}}", admins, p.edition)
	get(keptFilmPath+"/{id}", admins, p.keptFilm)
	post(keptFilmPath+"/{id}", admins, filmFields, p.saveFilm)
	get(keptFilmPath+"/{id}/remove", admins, func(pc *pageContext) error { return pc.redirect(removeFields.page(pc.r)) })
	post(keptFilmPath+"/{id}/remove", admins, removeFields, p.removeFilm)

	get(proposalsPath, admins, p.proposals)
	get(proposalsPath+"/{id}", admins, p.proposal)
	post(proposalsPath+"/{id}", admins, decideFields, p.decideProposal)
	get("/web/admin/user/{id}/erasure", admins, p.orderErasureForm)
	post("/web/admin/user/{id}/erasure", admins, orderErasureFields, p.orderErasure)
	get("/web/admin/user/{id}/keep", admins, p.orderKeepForm)
	post("/web/admin/user/{id}/keep", admins, orderKeepFields, p.orderKeep)
	get("/web/admin/user/{id}/access", admins, p.access)
	post("/web/admin/user/{id}/access", admins, accessFields, p.changeAccess)
	get("/web/admin/user/{id}/sessions", admins, p.endSessionsForm)
	post("/web/admin/user/{id}/sessions", admins, endAllFields, p.endSessionsOf)

	r.HandleFunc("/web/static/{version}/{file:[a-z]+\\.[a-z]+}", serveStatic).Methods("GET", "HEAD")
	r.HandleFunc("/favicon.ico", serveIcon).Methods("GET", "HEAD")
	r.NotFoundHandler = p.Refusal(http.StatusNotFound)
	r.MethodNotAllowedHandler = p.Refusal(http.StatusMethodNotAllowed)
	return r
}

// Refusal serves the page of an error status in the user's language: 400, 403, 404,
// 405, 413, 429, 500 or 503. The server uses it for its own refusals of requests under
// /web.
func (p *Pages) Refusal(status int) http.Handler {
	return p.serve(anyone, nil, func(pc *pageContext) error { return pc.refuse(status) })
}

// audience is who may see a page.
type audience int

const (
	anyone audience = iota
	members
	auditors // and admins
	admins
)

// page serves a request; an error that it returns becomes the page of its status.
type page func(pc *pageContext) error

// serve wraps a page; f is the form that is sent to it, nil for none.
func (p *Pages) serve(a audience, f *form, h page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		pc, err := p.newContext(w, r)
		switch {
		case err != nil:
		case a != anyone && pc.Person == nil:
			pc.toSignIn(f)
		case a == admins && !pc.Person.Admin, a == auditors && !pc.Person.MayAudit():
			err = pc.refuse(http.StatusForbidden)
		default:
			requestlog.Of(r.Context()).Admin = a >= auditors
			err = pc.served(a, h)
		}
		if err != nil {
			pc.fail(err)
		}
	}
}

// served serves a page, or, to an admin or auditor who needs a second factor for it, the way to one.
func (pc *pageContext) served(a audience, h page) error {
	if a >= auditors {
		err := pc.pages.Auth.RequireFactor(pc.r.Context(), *pc.Person)
		if refusal := domain.RefusalIn(err); refusal != nil {
			pc.Title = pc.T("factor.needed")
			return pc.show(problem.Status(refusal.Code), "factor_needed", pc.layout)
		}
		if err != nil {
			return err
		}
	}
	return h(pc)
}

// Errors with a status of their own.
var (
	errNoPage    = errors.New("web: there is no such page")
	errMalformed = errors.New("web: the request is malformed")
	errBehind    = errors.New("web: the views do not know the person yet")
)

func (pc *pageContext) fail(err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, errNoPage):
		status = http.StatusNotFound
	case errors.Is(err, errMalformed):
		status = http.StatusBadRequest
	case errors.Is(err, errBehind):
		status = http.StatusServiceUnavailable
	default:
		code, _ := pc.pages.Problems.Explain(pc.w, pc.r, err)
		status = problem.Status(code)
	}
	refuse := pc.refuse
	if problem.Doubtful(err) {
		refuse = func(status int) error { return pc.refuseIn("error.doubt", status) }
	}
	if err := refuse(status); err != nil {
		pc.pages.Problems.Explain(pc.w, pc.r, err)
		http.Error(pc.w, http.StatusText(status), status)
	}
}

type refusalPage struct {
	layout
	Status  int
	Message string
}

const refusalTemplate = "refusal"

// refuse shows the page of a status. A status without its own text is shown as 400 or
// 500.
func (pc *pageContext) refuse(status int) error {
	known := status
	switch status {
	case 400, 403, 404, 405, 413, 429, 500, 503:
	default:
		known = status / 500 * 500
		if known == 0 {
			known = http.StatusBadRequest
		}
	}
	name := "error." + pc.Number(int64(known))
	if known == http.StatusBadRequest && pc.r.Method != http.MethodPost { // no form was sent
		pc.Title = pc.T(name)
		return pc.show(status, refusalTemplate, refusalPage{pc.layout, status, pc.T("error.400.address")})
	}
	return pc.refuseIn(name, status)
}

// refuseIn is refuse in the words of a name.
func (pc *pageContext) refuseIn(name string, status int) error {
	pc.Title = pc.T(name)
	return pc.show(status, refusalTemplate, refusalPage{pc.layout, status, pc.T(name + ".text")})
}

func redirectTo(to string) page {
	return func(pc *pageContext) error { return pc.redirect(to) }
}
