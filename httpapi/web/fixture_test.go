package web_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp"

	"kassa/catalog"
	"kassa/catalog/filmlinks"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi"
	"kassa/httpapi/auditing"
	"kassa/httpapi/editing"
	"kassa/httpapi/identity"
	"kassa/httpapi/overview"
	"kassa/httpapi/problem"
	"kassa/httpapi/statement"
	"kassa/httpapi/web"
	"kassa/internal/app"
	"kassa/internal/app/apptest"
	"kassa/internal/mail"
	"kassa/internal/security"
	"kassa/projections"
	"kassa/vault"
	"kassa/worker"
)

// Shared by all tests, because they take seconds to load and are not changed: the
// model, and the shipped films with their vectors.
var (
	model *worker.Embedder
	films *catalog.Catalogue
)

func TestMain(m *testing.M) {
	code, err := withFilms(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withFilms(m *testing.M) (code int, err error) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "kassa-web")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if model, err = worker.Open(ctx, worker.Options{UnpackTo: dir}); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	ledger, err := app.Storage{Folder: dir}.Open(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, ledger.Close()) }()
	if films, err = app.OpenCatalogue(ctx, ledger, worker.Models{model}, ""); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

const (
	price = 5
	bonus = 10

	erasureDelay = 7 * 24 * time.Hour
	// unansweredWord in a question makes the test's matcher leave it unanswered.
	unansweredWord = "терпение"
	password       = "семь слонов на трапеции"
)

// fixture is a server with all its parts on a real port.
type fixture struct {
	t           *testing.T
	env         *apptest.Fixture
	films       *catalog.Catalogue
	url         string
	httpHandler http.Handler // serves url
	streams     atomic.Int64 // open event streams
	store       *eventstore.Store
	vault       *vault.Vault
	views       *projections.Memory
	handler     *commands.Handler
	missing     atomic.Value // a string: what the process is said to lack to be ready
	clockAhead  atomic.Int64 // how far the clock is ahead, in nanoseconds
	streamsCut  atomic.Bool  // event streams are not delivered
	erased      atomic.Bool  // all keys are deleted
	damaged     atomic.Bool  // all keys are damaged
	failure     atomic.Value // an error that the pages' views return instead of a balance
	noSessions  atomic.Bool  // no session can start
	noAccount   atomic.Bool  // tokens and factors cannot be read
}

// faultyAuth is the pages' authenticator, with the fault that a test sets.
type faultyAuth struct {
	*identity.Authenticator
	fixture *fixture
}

func (j faultyAuth) StartSession(ctx context.Context, w http.ResponseWriter, r *http.Request, u domain.UserID, password string) (vault.SessionID, error) {
	if j.fixture.noSessions.Load() {
		return "", errors.New("sessions cannot be written")
	}
	return j.Authenticator.StartSession(ctx, w, r, u, password)
}

func (j faultyAuth) Tokens(ctx context.Context, u domain.UserID) ([]vault.Token, error) {
	if j.fixture.noAccount.Load() {
		return nil, errors.New("tokens cannot be read")
	}
	return j.Authenticator.Tokens(ctx, u)
}

func (j faultyAuth) FactorOffer(ctx context.Context, who identity.Person) (vault.Factor, *otp.Key, error) {
	if j.fixture.noAccount.Load() {
		return vault.Factor{}, nil, errors.New("factors cannot be read")
	}
	return j.Authenticator.FactorOffer(ctx, who)
}

// faultyViews are the pages' views and vault, with the faults that a test sets.
type faultyViews struct {
	*projections.Memory
	*vault.Vault
	fixture *fixture
}

func (f faultyViews) Balance(ctx context.Context, u domain.UserID, least eventstore.Position) (projections.Balance, eventstore.Position, error) {
	if err, ok := f.fixture.failure.Load().(error); ok {
		return projections.Balance{}, 0, err
	}
	return f.Memory.Balance(ctx, u, least)
}

func (f faultyViews) OpenEmail(ctx context.Context, u domain.UserID, sealed domain.Sealed) (string, error) {
	if err := f.fixture.vaultFault(); err != nil {
		return "", err
	}
	return f.Vault.OpenEmail(ctx, u, sealed)
}

func (f faultyViews) OpenText(ctx context.Context, u domain.UserID, p domain.PredictionID, sealed domain.Sealed) (string, error) {
	if err := f.fixture.vaultFault(); err != nil {
		return "", err
	}
	return f.Vault.OpenText(ctx, u, p, sealed)
}

func (h *fixture) vaultFault() error {
	switch {
	case h.damaged.Load():
		return fmt.Errorf("%w: the key of a user", vault.ErrUnreadable)
	case h.erased.Load():
		return vault.ErrErased
	}
	return nil
}

type options struct {
	adminFactor bool // admins need a second factor
	limits      identity.Limits
	secure      bool
	bonus       domain.Credits
	payments    commands.Payments // nil: the sandbox
	security    *security.Log
	mail        *mail.Sender // nil: none is sent
	adjust      domain.AdjustmentLimits
	own         bool // the test changes films: it has a few of its own
}

// newFixture starts a server that ends with the test; its ledger is verified then.
func newFixture(t *testing.T, o options) *fixture {
	t.Helper()
	h := &fixture{t: t, films: films}
	h.env = apptest.New(t, apptest.Options{Folder: t.TempDir(), Payments: o.payments, Now: h.now, Model: model, Mail: o.mail,
		Catalogue: func(l *app.Ledger) *catalog.Catalogue {
			if o.own {
				h.films = fewFilms(t, l)
			}
			return h.films
		},
		Terms: app.Terms{Price: price, Bonus: o.bonus, HoldExpiry: 2 * time.Minute, ErasureDelay: erasureDelay, Refunds: domain.RefundPolicy{PerMonth: 2},
			Refining: domain.RefinePolicy{Refinements: 3, Within: 3600}, Limits: o.adjust, ProposalLife: 72 * time.Hour}})
	h.env.Questions.KeepOpen(func(text string) bool { return strings.Contains(text, unansweredWord) })
	h.store, h.vault, h.views, h.handler = h.env.Store, h.env.Vault, h.env.Memory, h.env.Commands
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	h.serve(ctx, o, ended)
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *fixture) now() time.Time { return time.Now().Add(time.Duration(h.clockAhead.Load())) }

func (h *fixture) serve(ctx context.Context, o options, ended chan<- error) {
	log := slog.New(slog.NewTextHandler(h.t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	problems := &problem.Writer{Log: log}
	auth := &identity.Authenticator{Users: h.handler, Vault: h.vault, Accounts: h.store, Views: h.views, Problems: problems, Now: h.now,
		Limits: o.limits, Mails: o.mail != nil, Secure: o.secure, Security: o.security, AdminFactor: o.adminFactor}
	faulty := faultyViews{h.views, h.vault, h}
	server := &httpapi.Server{Commands: h.handler, Views: h.views, Head: h.store.Head, Films: h.films, Vault: h.vault, Identity: auth,
		Problems: problems, Log: log}
	reader := auditing.New(h.store, h.env.SignedHeads(), h.env.ViewPositions, h.now)
	pages := &web.Pages{Audit: reader, Overview: &overview.Reader{Views: h.views, Log: h.store, Now: h.now, Shown: h.env.ViewPositions, Failing: h.env.Failing,
		Missing: func(context.Context) string { missing, _ := h.missing.Load().(string); return missing }}, Commands: h.handler, Views: faulty, Films: h.films, Vault: faulty, Auth: faultyAuth{auth, h}, Problems: problems, Editor: h.editor(auth.RecordEdition),
		Links:      filmlinks.Default,
		Statements: &statement.Books{Log: h.store, Zone: time.UTC}, Now: h.now,
		Receipts: &httpapi.Transparency{Log: h.store, Heads: h.env.SignedHeads()},
		Export:   server.ExportZip, ErasureDelay: erasureDelay, Limits: o.adjust, Mails: o.mail != nil,
		Prices: h.handler.ShownPrices, Bonus: o.bonus, Sandbox: true, Secure: o.secure}
	server.Pages, server.Refusal = pages.Handler(), pages.Refusal
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.url, h.httpHandler = "http://"+listener.Addr().String(), server.Handler()
	go func() { ended <- h.listen(ctx, listener, h.httpHandler) }()
}

// fewFilms is a catalogue of the first shipped films.
func fewFilms(t *testing.T, l *app.Ledger) *catalog.Catalogue {
	t.Helper()
	few, err := l.Films(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := few.Import(t.Context(), films.Movies()[:60], model); err != nil {
		t.Fatal(err)
	}
	return few
}

// editor changes the films of the fixture, as in the program.
func (h *fixture) editor(record func(context.Context, domain.UserID, catalog.Edition)) *editing.Editor {
	return &editing.Editor{Catalogue: h.films, Record: record, NotFoundBelow: catalog.NotFoundBelow,
		Models: func() []catalog.Embedder { return []catalog.Embedder{model} },
		Embed: func(ctx context.Context, text string) (string, []float32, error) {
			answer, err := model.Embed(ctx, text)
			if errors.Is(err, worker.ErrNoMeaning) {
				return "", nil, nil
			}
			return answer.ModelVersion, answer.Embedding, err
		}}
}

// listen serves until ctx ends.
func (h *fixture) listen(ctx context.Context, l net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.streamsCut.Load() && strings.HasSuffix(r.URL.Path, "/stream") {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/stream") {
			h.streams.Add(1)
			defer h.streams.Add(-1)
		}
		handler.ServeHTTP(w, r)
	})}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ending identifies the only open prediction of a user.
func (h *fixture) ending(u domain.UserID) commands.Ending {
	h.t.Helper()
	all := h.endings(u)
	if len(all) != 1 {
		h.t.Fatalf("%d open questions, want 1", len(all))
	}
	return all[0]
}

// endings identifies the open predictions of a user, at least one.
func (h *fixture) endings(u domain.UserID) (all []commands.Ending) {
	h.t.Helper()
	open, err := h.views.OpenHolds(h.t.Context(), h.now().AddDate(1, 0, 0), projections.MaxPage)
	for _, p := range open {
		if p.User == u {
			all = append(all, commands.Ending{User: u, Prediction: p.ID, By: "test", Cause: p.Position})
		}
	}
	if err != nil || len(all) == 0 {
		h.t.Fatalf("%d open questions (%v)", len(all), err)
	}
	return all
}

// answered waits until no question of a user is open.
func (h *fixture) answered(u domain.UserID) {
	h.t.Helper()
	open, err := h.views.OpenHolds(h.t.Context(), h.now().AddDate(1, 0, 0), projections.MaxPage)
	for _, p := range open {
		if p.User == u && err == nil {
			_, _, err = h.views.Ended(h.t.Context(), p, p.Position)
		}
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// ended waits until the views have a settling command.
func (h *fixture) ended(at eventstore.Position, err error) {
	h.t.Helper()
	if err == nil {
		err = h.views.Wait(h.t.Context(), at)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// promote makes a user an admin.
func (h *fixture) promote(email string) {
	h.t.Helper()
	h.env.SetAdmin(h.env.User(email), true)
}

// colleague is another admin, whose pages the test does not use.
func (h *fixture) colleague() domain.UserID {
	h.t.Helper()
	const email = "colleague@example.org"
	u := h.env.AddUser(email, password)
	h.env.SetAdmin(u, true)
	return u
}

// pay deposits for a user, without a page.
func (h *fixture) pay(email string, amount domain.Credits) {
	h.t.Helper()
	r, err := h.handler.Deposit(h.t.Context(), commands.Move{User: h.env.User(email), Amount: amount})
	h.ended(r.Position, err)
}

// balance is the user's balance in the views.
func (h *fixture) balance(email string) (available, held domain.Credits) {
	h.t.Helper()
	b, _, err := h.views.Balance(h.t.Context(), h.env.User(email), 0)
	if err != nil {
		h.t.Fatal(err)
	}
	return b.Available, b.Held
}
