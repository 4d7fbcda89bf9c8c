// Package apptest runs the service for a test, wired as in the program, on an embedded
// ledger in a folder of its own. Only the hashing of passwords is
// cheaper, and, where a test asks for it, the model is a bag of words.
package apptest

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"kassa/audit/audittest"
	"kassa/catalog"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/internal/app"
	"kassa/internal/mail"
	"kassa/projections"
	"kassa/vault"
)

// TB is what a fixture needs of its test; testing.TB has it, and so has *rapid.T.
type TB interface {
	eventstoretest.TB
	Errorf(format string, args ...any)
	Cleanup(func())
}

// Options are what tests differ in.
type Options struct {
	Folder   string // of the ledger
	Terms    app.Terms
	Payments commands.Payments // nil: the sandbox
	Now      func() time.Time  // nil: time.Now

	Catalogue func(*app.Ledger) *catalog.Catalogue // nil: no films
	Model     Model                                // answers questions; nil: they stay open

	Mail *mail.Sender // nil: no mail is sent; SendMails sends what was asked for

	NotFoundBelow float64 // as in app.Config
}

// Fixture is the service in a test. When the test ends, the whole ledger is proved, and the
// views are compared with a replay of it.
type Fixture struct {
	*app.Service
	Memory    *projections.Memory // the views
	Questions *Questions
	Storage   app.Storage

	t       TB
	options Options
}

// cheapHashing makes the hash of a password take microseconds.
var cheapHashing = vault.Options{Argon2: vault.Argon2{MemoryKiB: 8, Passes: 1}}

// New starts a service that ends with the test.
func New(t TB, o Options) *Fixture {
	t.Helper()
	f := &Fixture{t: t, options: o, Storage: app.Storage{Folder: o.Folder, Vault: cheapHashing}}
	ledger := f.Open()
	config := app.Config{Roles: app.Roles{app.Projector}, Terms: o.Terms, NotFoundBelow: o.NotFoundBelow, Mail: o.Mail, Version: "test", Logger: slog.New(slog.DiscardHandler)}
	if o.Catalogue != nil {
		config.Catalogue = o.Catalogue(ledger)
	}
	var err error
	f.Service, err = app.Open(context.Background(), ledger, config)
	must(t, err)
	f.Memory = f.Views.(*projections.Memory)
	f.set(f.Commands)
	f.run(o.Model)
	return f
}

// set gives a handler the payments and the clock of the test.
func (f *Fixture) set(h *commands.Handler) *commands.Handler {
	if f.options.Payments != nil {
		h.Payments = f.options.Payments
	}
	if f.options.Now != nil {
		h.Now = f.options.Now
	}
	return h
}

// Open opens the ledger as another process does: with a store, a vault and caches of its
// own.
func (f *Fixture) Open() *app.Ledger {
	f.t.Helper()
	ledger, err := f.Storage.Open(context.Background())
	must(f.t, err)
	f.t.Cleanup(func() { must(f.t, ledger.Close()) })
	return ledger
}

// Process gives commands as another process on the same ledger has them.
func (f *Fixture) Process() *commands.Handler {
	f.t.Helper()
	return f.set(f.Open().Commands(f.options.Terms))
}

// run keeps the views and answers questions until the test ends, and then proves what was
// written.
func (f *Fixture) run(model Model) {
	ctx, stop := context.WithCancel(context.Background())
	answering, answered := context.WithCancel(ctx)
	var questions, parts sync.WaitGroup
	ended := make(chan error, 1)
	parts.Go(func() {
		ended <- f.Run(ctx, app.Front{Serve: func(ctx context.Context) error { <-ctx.Done(); return nil }})
	})
	f.Questions = &Questions{fixture: f, model: model}
	if model != nil {
		questions.Go(func() { f.Questions.follow(answering) })
	}
	f.t.Cleanup(func() {
		f.t.Helper()
		answered()
		questions.Wait() // an answer in progress is settled: the views are compared with a log that stays as it is
		defer func() {
			stop()
			parts.Wait()
			must(f.t, <-ended)
		}()
		f.check()
	})
}

// check is what must hold at the end of any test.
func (f *Fixture) check() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	replay, fold := audittest.Replaying()
	report := audittest.CheckLedger(f.t, f.Store, fold)
	must(f.t, f.Memory.Wait(ctx, report.Head.Size))
	must(f.t, audittest.CompareViews(ctx, f.Memory, replay))
}

// WaitFor waits until the views have reached the position.
func (f *Fixture) WaitFor(at eventstore.Position) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := f.Memory.Wait(ctx, at); err != nil {
		f.t.Fatalf("the views do not come to position %d: %v", at, err)
	}
}

// AddUser signs a user up by the command, without a request.
func (f *Fixture) AddUser(email, password string) domain.UserID {
	f.t.Helper()
	up, err := f.Commands.SignUp(context.Background(), commands.SignUp{Email: email, Password: password})
	must(f.t, err)
	f.WaitFor(up.Position)
	return up.User
}

// User is the account of an e-mail.
func (f *Fixture) User(email string) domain.UserID {
	f.t.Helper()
	u, err := f.Commands.FindUser(context.Background(), email)
	must(f.t, err)
	return u
}

// SetAdmin grants or ends a user's admin rights.
func (f *Fixture) SetAdmin(u domain.UserID, admin bool) {
	f.t.Helper()
	f.SetRole(u, domain.AdminRole, admin)
}

// SetRole grants or ends a role, as the operator does.
func (f *Fixture) SetRole(u domain.UserID, r domain.Role, has bool) {
	f.t.Helper()
	change := f.Commands.RevokeRole
	if has {
		change = f.Commands.GrantRole
	}
	at, err := change(context.Background(), r, commands.Order{User: u, By: "olga"})
	must(f.t, err)
	f.WaitFor(at)
}

// Expire ends the holds that are due, as the role does.
func (f *Fixture) Expire() {
	f.t.Helper()
	must(f.t, f.ExpireDue(context.Background()))
	f.WaitFor(f.Size())
}

// Erase finishes the erasures that are due, as the role expirer does.
func (f *Fixture) Erase() {
	f.t.Helper()
	must(f.t, f.EraseDue(context.Background()))
	f.WaitFor(f.Size())
}

// Log is everything that was ever appended.
func (f *Fixture) Log() (log []eventstore.Recorded) {
	f.t.Helper()
	must(f.t, f.Store.Scan(context.Background(), 0, func(page []eventstore.Recorded) error {
		log = append(log, page...)
		return nil
	}))
	return log
}

// Size is the number of entries in the ledger.
func (f *Fixture) Size() eventstore.Position {
	f.t.Helper()
	head, err := f.Store.Head(context.Background())
	must(f.t, err)
	return head.Size
}

// must ends the test with an error.
func must(t eventstoretest.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
