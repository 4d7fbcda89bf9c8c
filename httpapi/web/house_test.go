package web_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kassa/audit/audittest"
	"kassa/catalog"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/httpapi/web"
	"kassa/projections"
	"kassa/schema"
	"kassa/vault"
	"kassa/worker"
)

// What the whole package shares, since it takes seconds to make and nobody
// changes it: the model, and the shipped films with their vectors.
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
	db, err := schema.OpenSQLite(ctx, filepath.Join(dir, "films.db"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if films, err = catalog.Open(ctx, db); err != nil {
		return 0, err
	}
	shipped, err := catalog.Shipped()
	if err != nil {
		return 0, err
	}
	if _, err = films.Import(ctx, shipped, model); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

const (
	price = 5
	bonus = 10
	// patience is a word in a question that the test's matcher leaves unanswered.
	patience = "терпение"
	password = "семь слонов на трапеции"
)

// house is the whole stack behind a real listener, and the test's matcher.
type house struct {
	t       *testing.T
	url     string
	front   http.Handler // what stands behind url
	file    string       // the ledger's
	streams atomic.Int64 // event streams that are open
	store   *eventstore.Store
	vault   *vault.Vault
	views   *projections.Memory
	handler *commands.Handler
	later   atomic.Int64 // how far the clock is ahead, in nanoseconds
	cut     atomic.Bool  // event streams do not come through
	erased  atomic.Bool  // the keys of all people are gone
	damaged atomic.Bool  // and they are there, and open nothing
	failure atomic.Value // what the pages' views answer instead of a balance, an error
	locked  atomic.Bool  // no session can begin
}

// jammed is the door as the pages see it, with the fault that a test asks for.
type jammed struct {
	*identity.Authenticator
	house *house
}

func (j jammed) StartSession(ctx context.Context, w http.ResponseWriter, u domain.UserID) error {
	if j.house.locked.Load() {
		return errors.New("sessions cannot be written")
	}
	return j.Authenticator.StartSession(ctx, w, u)
}

// frail is the views and the vault as the pages see them, with the faults that a
// test asks for.
type frail struct {
	*projections.Memory
	*vault.Vault
	house *house
}

func (f frail) Balance(ctx context.Context, u domain.UserID, least eventstore.Position) (projections.Balance, eventstore.Position, error) {
	if err, ok := f.house.failure.Load().(error); ok {
		return projections.Balance{}, 0, err
	}
	return f.Memory.Balance(ctx, u, least)
}

func (f frail) OpenEmail(ctx context.Context, u domain.UserID, sealed domain.Sealed) (string, error) {
	if err := f.house.lost(); err != nil {
		return "", err
	}
	return f.Vault.OpenEmail(ctx, u, sealed)
}

func (f frail) OpenText(ctx context.Context, u domain.UserID, p domain.PredictionID, sealed domain.Sealed) (string, error) {
	if err := f.house.lost(); err != nil {
		return "", err
	}
	return f.Vault.OpenText(ctx, u, p, sealed)
}

func (h *house) lost() error {
	switch {
	case h.damaged.Load():
		return fmt.Errorf("%w: the key of somebody", vault.ErrUnreadable)
	case h.erased.Load():
		return vault.ErrErased
	}
	return nil
}

type options struct {
	limits   identity.Limits
	secure   bool
	bonus    domain.Credits
	payments commands.Payments // nil: the sandbox
}

// open starts a house that ends with the test, and then proves its ledger.
func open(t *testing.T, o options) *house {
	t.Helper()
	dir := t.TempDir()
	db, err := schema.OpenSQLite(t.Context(), filepath.Join(dir, "kassa.db"))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, views: projections.NewMemory(), file: filepath.Join(dir, "kassa.db")}
	if h.store, err = eventstore.SQLite(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	secret, err := vault.LoadSecret(filepath.Join(dir, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	if h.vault, err = vault.SQLite(db, secret, vault.Options{Argon2: vault.Argon2{MemoryKiB: 64, Passes: 1}}); err != nil {
		t.Fatal(err)
	}
	if o.payments == nil {
		o.payments = commands.Sandbox{}
	}
	h.handler = &commands.Handler{Log: h.store, People: h.vault, Payments: o.payments, Now: h.now,
		Price: price, Bonus: o.bonus, HoldExpiry: 2 * time.Minute}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 3)
	go func() { ended <- h.follow(ctx, h.views.Apply) }()
	go func() { ended <- h.follow(ctx, h.match(ctx)) }()
	h.serve(ctx, o, ended)
	t.Cleanup(func() {
		stop()
		for range cap(ended) {
			if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		audittest.CheckLedger(t, h.store)
		h.store.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *house) now() time.Time { return time.Now().Add(time.Duration(h.later.Load())) }

func (h *house) serve(ctx context.Context, o options, ended chan<- error) {
	log := slog.New(slog.NewTextHandler(h.t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	problems := &problem.Writer{Log: log}
	door := &identity.Authenticator{People: h.handler, Vault: h.vault, Accounts: h.store, Views: h.views, Problems: problems, Now: h.now,
		Limits: o.limits, Secure: o.secure}
	weak := frail{h.views, h.vault, h}
	pages := &web.Pages{Commands: h.handler, Views: weak, Films: films, Vault: weak, Door: jammed{door, h}, Problems: problems,
		Price: price, Bonus: o.bonus, Sandbox: true, Secure: o.secure}
	server := &httpapi.Server{Commands: h.handler, Views: h.views, Head: h.store.Head, Films: films, Vault: h.vault, Identity: door,
		Problems: problems, Log: log, Pages: pages.Handler(), Refusal: pages.Refusal}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.url, h.front = "http://"+listener.Addr().String(), server.Handler()
	go func() { ended <- h.listen(ctx, listener, h.front) }()
}

// listen serves until ctx ends.
func (h *house) listen(ctx context.Context, l net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.cut.Load() && strings.HasSuffix(r.URL.Path, "/stream") {
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

// follow hands everything that the log holds, and will hold, to apply.
func (h *house) follow(ctx context.Context, apply func([]eventstore.Recorded) error) error {
	for at := eventstore.Position(0); ; {
		batch, err := h.store.After(ctx, at, 100)
		if err != nil {
			return err
		}
		if len(batch) == 0 {
			if err := h.store.Wait(ctx, at); err != nil {
				return err
			}
			continue
		}
		if err := apply(batch); err != nil {
			return err
		}
		at = batch[len(batch)-1].Position
	}
}

// match answers questions as the matcher of the program does, with the same model
// and films, except those that ask for patience.
func (h *house) match(ctx context.Context) func([]eventstore.Recorded) error {
	return func(batch []eventstore.Recorded) error {
		for _, rec := range batch {
			q, ok := rec.Event.(domain.PredictionRequested)
			if !ok {
				continue
			}
			text, err := h.vault.OpenText(ctx, q.User, q.Prediction, q.Text)
			if err != nil {
				return err
			}
			if strings.Contains(text, patience) {
				continue
			}
			if err := h.answer(ctx, q, text, rec.Position); err != nil {
				return err
			}
		}
		return nil
	}
}

func (h *house) answer(ctx context.Context, q domain.PredictionRequested, text string, at eventstore.Position) error {
	ending := commands.Ending{User: q.User, Prediction: q.Prediction, By: "matcher", Cause: at}
	vector, err := model.Embed(ctx, text)
	if errors.Is(err, worker.ErrNoMeaning) {
		_, err = h.handler.Fail(ctx, ending, domain.FailedNoMeaning)
		return err
	}
	if err != nil {
		return err
	}
	found, err := films.Nearest(ctx, catalog.Query{Model: model.ModelVersion(), Vector: vector.Embedding, Text: text, Limit: q.Limit})
	if err != nil {
		return err
	}
	answer := domain.Answer{Model: model.ModelVersion(), Catalogue: films.Version(), ProcessingTime: vector.ProcessingTime}
	for _, m := range found {
		answer.Movies = append(answer.Movies, domain.Match{Movie: m.MovieID, Score: m.Score})
	}
	_, err = h.handler.Complete(ctx, ending, answer)
	return err
}

// ending names the only open question of a person.
func (h *house) ending(u domain.UserID) commands.Ending {
	h.t.Helper()
	all := h.endings(u)
	if len(all) != 1 {
		h.t.Fatalf("%d open questions, want 1", len(all))
	}
	return all[0]
}

// endings names a person's open questions, of which there is at least one.
func (h *house) endings(u domain.UserID) (all []commands.Ending) {
	h.t.Helper()
	open, _, err := h.views.Predictions(h.t.Context(), u, projections.PredictionQuery{
		PageQuery: projections.PageQuery{Limit: projections.MaxPage}, State: domain.StateHeld}, 0)
	if err != nil || len(open.Items) == 0 {
		h.t.Fatalf("%d open questions (%v)", len(open.Items), err)
	}
	for _, p := range open.Items {
		all = append(all, commands.Ending{User: u, Prediction: p.ID, By: "test", Cause: p.Position})
	}
	return all
}

// ended waits until the views know of a settling command.
func (h *house) ended(at eventstore.Position, err error) {
	h.t.Helper()
	if err == nil {
		err = h.views.Wait(h.t.Context(), at)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// user is the account of an e-mail.
func (h *house) user(email string) domain.UserID {
	h.t.Helper()
	u, err := h.handler.FindUser(h.t.Context(), email)
	if err != nil {
		h.t.Fatal(err)
	}
	return u
}

// promote makes a person an admin.
func (h *house) promote(email string) {
	h.t.Helper()
	h.ended(h.handler.SetAdmin(h.t.Context(), h.user(email), true))
}

// colleague is an admin whom no page of the test shows.
func (h *house) colleague() domain.UserID {
	h.t.Helper()
	const email = "colleague@example.org"
	up, err := h.handler.SignUp(h.t.Context(), commands.SignUp{Email: email, Password: password})
	h.ended(up.Position, err)
	h.promote(email)
	return up.User
}

// pay deposits for a person, without a page.
func (h *house) pay(email string, amount domain.Credits) {
	h.t.Helper()
	r, err := h.handler.Deposit(h.t.Context(), commands.Move{User: h.user(email), Amount: amount})
	h.ended(r.Position, err)
}

// balance is what the views say a person has.
func (h *house) balance(email string) (available, held domain.Credits) {
	h.t.Helper()
	b, _, err := h.views.Balance(h.t.Context(), h.user(email), 0)
	if err != nil {
		h.t.Fatal(err)
	}
	return b.Available, b.Held
}
