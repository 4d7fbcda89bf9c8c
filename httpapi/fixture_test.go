package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"kassa/catalog"
	"kassa/catalog/filmlinks"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/auditing"
	"kassa/httpapi/editing"
	"kassa/httpapi/identity"
	"kassa/httpapi/overview"
	"kassa/httpapi/problem"
	"kassa/httpapi/statement"
	"kassa/internal/app"
	"kassa/internal/app/apptest"
	"kassa/projections"
	"kassa/vault"
)

// fixture is a server over the service of a test. Its questions are answered by a model of
// bags of words.
type fixture struct {
	t      testing.TB
	env    *apptest.Fixture
	clock  *clock
	store  *eventstore.Store
	vault  *vault.Vault
	views  *projections.Memory
	server *Server
	broken chan error
}

var terms = app.Terms{Price: 5, Bonus: 10, HoldExpiry: 2 * time.Minute, Refunds: domain.RefundPolicy{PerMonth: 2}, Refining: domain.RefinePolicy{Refinements: 3, Within: 3600}, FreePerHour: 4, ErasureDelay: 7 * 24 * time.Hour}

func newFixture(t testing.TB, limits identity.Limits) *fixture {
	t.Helper()
	w := &fixture{t: t, clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, broken: make(chan error, 1)}
	w.env = apptest.New(t, apptest.Options{Folder: t.TempDir(), Terms: terms, Now: w.clock.Now, NotFoundBelow: 0.05,
		Catalogue: apptest.SeedFilms(t, "inception-2010"), Model: apptest.BagOfWords{}})
	w.store, w.vault, w.views = w.env.Store, w.env.Vault, w.env.Memory
	w.server = w.newServer(w.vault, limits)
	return w
}

func (w *fixture) newServer(v *vault.Vault, limits identity.Limits) *Server {
	log := slog.New(slog.DiscardHandler)
	problems := &problem.Writer{Log: log, Broken: func(err error) { w.broken <- err }}
	handler := (&app.Ledger{Store: w.store, Vault: v}).Commands(terms)
	handler.Now = w.clock.Now
	course := &overview.Reader{Views: w.views, Log: w.store, Now: w.clock.Now, Shown: w.env.ViewPositions, Failing: w.env.Failing, Missing: func(context.Context) string { return "" }}
	return &Server{Overview: course, Editor: w.editor(), Audit: auditing.New(w.store, w.env.SignedHeads(), w.env.ViewPositions, w.clock.Now), Commands: handler, Views: w.views, Head: w.store.Head, Films: w.env.Catalogue, FilmLinks: filmlinks.Default, Vault: v, Problems: problems, Log: log, Version: "test",
		PositionWait: 200 * time.Millisecond, Statements: &statement.Books{Log: w.store, Zone: time.UTC, Issuer: "Kassa Ltd\n1 Main Street"},
		Identity: &identity.Authenticator{Users: handler, Vault: v, Accounts: w.store, Views: w.views, Problems: problems, Now: w.clock.Now, Limits: limits}}
}

// editor changes the films of the fixture.
func (w *fixture) editor() *editing.Editor {
	bag := apptest.BagOfWords{}
	return &editing.Editor{Catalogue: w.env.Catalogue, NotFoundBelow: 0.05, Models: func() []catalog.Embedder { return []catalog.Embedder{bag} },
		Embed: func(ctx context.Context, text string) (string, []float32, error) {
			vectors, err := bag.EmbedAll(ctx, []string{text})
			if err != nil {
				return "", nil, err
			}
			return bag.ModelVersion(), vectors[0], nil
		}}
}

// newVault is the vault of a process that has just started, with empty caches.
func (w *fixture) newVault() *vault.Vault {
	w.t.Helper()
	return w.env.Open().Vault
}

// clock is the fixture's time.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func email(name string) string { return name + "@example.org" }

func password(name string) string { return name + " likes films" }

// setAdmin grants or ends a user's admin rights.
func (w *fixture) setAdmin(name string, admin bool) {
	w.t.Helper()
	w.env.SetAdmin(w.env.User(email(name)), admin)
}

// addUser signs a user up by the command, without the API.
func (w *fixture) addUser(name string) domain.UserID {
	w.t.Helper()
	return w.env.AddUser(email(name), password(name))
}

func basic(r *http.Request, name string) *http.Request {
	r.SetBasicAuth(email(name), password(name))
	return r
}
