package commands_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/audit/audittest"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/projections"
	"kassa/schema"
	"kassa/vault"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var cheap = vault.Options{Argon2: vault.Argon2{MemoryKiB: 8, Passes: 1}}

var secret = vault.Secret("a secret of this test alone, 32 b")

const password = "a long walk home"

// world is everything that commands need, real but for the money: a store and a
// vault in one database file, views that follow live, a payment provider that
// keeps books. Whatever a test does in it, at its end the whole ledger is proved,
// the live views are a replay's, and the provider's books are the ledger's.
type world struct {
	t tb
	*commands.Handler
	file  string
	store *eventstore.Store
	views *projections.Memory
	till  *till
	now   time.Time // moved only while no command runs

	unsettled bool // a charge whose deposit failed may stand alone at the end
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldIn(t, t.TempDir())
}

// tb is what a world needs of its test; *rapid.T has it too.
type tb interface {
	eventstoretest.TB
	Errorf(format string, args ...any)
	Cleanup(func())
}

func newWorldIn(t tb, folder string) *world {
	t.Helper()
	w := &world{t: t, file: filepath.Join(folder, "kassa.db"), now: noon, views: projections.NewMemory(), till: newTill()}
	w.Handler = w.process()
	w.store = w.Log.(*eventstore.Store)
	w.follow()
	t.Cleanup(w.check)
	return w
}

// process gives commands as another process on the same file would have them: a
// store, a vault and caches of its own.
func (w *world) process() *commands.Handler {
	w.t.Helper()
	db, err := schema.OpenSQLite(context.Background(), w.file)
	must(w.t, err)
	w.t.Cleanup(func() { must(w.t, db.Close()) })
	store, err := eventstore.SQLite(context.Background(), db)
	must(w.t, err)
	w.t.Cleanup(store.Close)
	people, err := vault.SQLite(db, secret, cheap)
	must(w.t, err)
	return w.handler(store, people)
}

func (w *world) handler(log commands.Log, people commands.People) *commands.Handler {
	return &commands.Handler{Log: log, People: people, Payments: w.till, Now: func() time.Time { return w.now },
		Price: 5, Bonus: 10, HoldExpiry: 2 * time.Minute}
}

// over gives commands over another log than the world's own, in the same process.
func (w *world) over(log commands.Log) *commands.Handler { return w.handler(log, w.People) }

// follow keeps the live views.
func (w *world) follow() {
	ctx, stop := context.WithCancel(context.Background())
	followed := make(chan error, 1)
	go func() { followed <- w.views.Follow(ctx, w.store, slog.New(slog.DiscardHandler)) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-followed; err != nil {
			w.t.Errorf("the views stopped: %v", err)
		}
	})
}

// check is all that must be true whatever happened.
func (w *world) check() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	log := w.log()
	replay, fold := audittest.Replaying()
	report := audittest.CheckLedger(w.t, w.store, fold)
	must(w.t, w.views.Wait(ctx, report.Head.Size))
	must(w.t, audittest.CompareViews(ctx, w.views, replay))
	w.till.check(w.t, log, w.unsettled)
}

// log is everything that was ever appended.
func (w *world) log() (log []eventstore.Recorded) {
	w.t.Helper()
	must(w.t, w.store.Scan(context.Background(), 0, func(page []eventstore.Recorded) error {
		log = append(log, page...)
		return nil
	}))
	return log
}

// size is how many events the log has.
func (w *world) size() eventstore.Position {
	w.t.Helper()
	head, err := w.store.Head(context.Background())
	must(w.t, err)
	return head.Size
}

// person signs somebody up, who has no bonus and 10 credits that they paid for.
func (w *world) person(name string) domain.UserID {
	w.t.Helper()
	bonus := w.Bonus
	w.Bonus = 0
	defer func() { w.Bonus = bonus }()
	up, err := w.SignUp(context.Background(), commands.SignUp{Email: name + "@example.org", Password: password})
	must(w.t, err)
	w.give(up.User, 10)
	return up.User
}

func (w *world) admin(name string) domain.UserID {
	w.t.Helper()
	u := w.person(name)
	_, err := w.SetAdmin(context.Background(), u, true)
	must(w.t, err)
	return u
}

// give sets the wallet to exactly so many credits, over the limit of one movement
// too, by a payment in or out of another provider that no command asks.
func (w *world) give(u domain.UserID, to domain.Credits) {
	w.t.Helper()
	l, err := w.store.Refresh(context.Background(), u)
	must(w.t, err)
	amount, name := to-l.Account.Available, strings.ToLower(rand.Text())
	if amount == 0 {
		return
	}
	movement := domain.Movement{Available: to, Held: l.Account.Held, Given: l.Account.Given, GivenHeld: l.Account.GivenHeld, Postings: []domain.Posting{
		{Account: domain.HouseCash, Amount: -amount}, {Account: domain.AvailableOf(u), Amount: amount}}}
	var given domain.Event = domain.Deposited{User: u, Amount: amount, Provider: "test", Payment: name, Movement: movement}
	payment := eventstore.PaymentStream("test", name)
	if amount < 0 {
		slices.Reverse(movement.Postings)
		given = domain.Withdrawn{User: u, Amount: -amount, Provider: "test", Payment: name, Movement: movement}
		payment = eventstore.PayoutStream("test", name)
	}
	_, err = w.store.Append(context.Background(), eventstore.Append{Time: w.now, Actor: "user:" + string(u),
		Cause: eventstore.Command{ID: name, Content: "give"}.Cause(), Writes: []eventstore.Write{
			{Stream: payment, Events: []domain.Event{domain.PaymentClaimed{User: u}}},
			{Stream: eventstore.AccountStream(u), Expected: l.Version, Events: []domain.Event{given}}}})
	must(w.t, err)
}

// balance is what the account's own stream says, read afresh.
func (w *world) balance(u domain.UserID) (available, held domain.Credits) {
	w.t.Helper()
	l, err := w.store.Refresh(context.Background(), u)
	must(w.t, err)
	return l.Account.Available, l.Account.Held
}

func (w *world) wants(u domain.UserID, available, held domain.Credits) {
	w.t.Helper()
	if a, h := w.balance(u); a != available || h != held {
		w.t.Errorf("the wallet has %d available and %d held, want %d and %d", a, h, available, held)
	}
}

func (w *world) wantsGiven(u domain.UserID, given, givenHeld domain.Credits) {
	w.t.Helper()
	l, err := w.store.Refresh(context.Background(), u)
	must(w.t, err)
	if l.Account.Given != given || l.Account.GivenHeld != givenHeld {
		w.t.Errorf("the wallet has %d given and %d of them held, want %d and %d", l.Account.Given, l.Account.GivenHeld, given, givenHeld)
	}
}

// till is a payment provider that keeps its word: the same payment again is not
// charged again, and one that was given back is not taken any more.
type till struct {
	mu       sync.Mutex
	taken    map[string]domain.Credits
	returned map[string]bool
	asked    int
	before   func(payment string) error // what comes of the next charges instead, nil: nothing
	refund   error                      // what comes of refunds instead
}

func newTill() *till {
	return &till{taken: map[string]domain.Credits{}, returned: map[string]bool{}}
}

func (*till) Name() string { return "till" }

func (l *till) Charge(_ context.Context, payment string, _ domain.UserID, amount domain.Credits) error {
	l.mu.Lock()
	before := l.before
	l.asked++
	l.mu.Unlock()
	if before != nil {
		if err := before(payment); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch was, known := l.taken[payment]; {
	case l.returned[payment]:
		return domain.Reject(domain.PaymentDeclined, "this payment was given back")
	case known && was != amount:
		return fmt.Errorf("payment %s was of %d, not of %d", payment, was, amount)
	}
	l.taken[payment] = amount
	return nil
}

func (l *till) Refund(_ context.Context, payment string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refund != nil {
		return l.refund
	}
	if _, known := l.taken[payment]; !known {
		return fmt.Errorf("payment %s was never made", payment)
	}
	l.returned[payment] = true
	return nil
}

// kept is the sum of all that was taken and not given back.
func (l *till) kept() (sum domain.Credits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for payment, amount := range l.taken {
		if !l.returned[payment] {
			sum += amount
		}
	}
	return sum
}

// check holds the provider's books against the ledger: a payment stands behind
// every deposit and no other, and none was given back; and behind every payment
// that was kept stands a deposit.
func (l *till) check(t tb, log []eventstore.Recorded, unsettled bool) {
	t.Helper()
	credited := map[string]bool{}
	for _, rec := range log {
		e, ok := rec.Event.(domain.Deposited)
		if !ok || e.Provider != l.Name() {
			continue
		}
		switch {
		case credited[e.Payment]:
			t.Errorf("payment %s was credited twice", e.Payment)
		case l.taken[e.Payment] != e.Amount:
			t.Errorf("position %d credits %d, its payment was of %d", rec.Position, e.Amount, l.taken[e.Payment])
		case l.returned[e.Payment]:
			t.Errorf("position %d credits a payment that was given back", rec.Position)
		}
		credited[e.Payment] = true
	}
	for payment, amount := range l.taken {
		if !credited[payment] && !l.returned[payment] && !unsettled {
			t.Errorf("payment %s of %d was taken and never credited", payment, amount)
		}
	}
}

func must(t eventstoretest.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// code is the refusal in err; "" where there is none.
func code(t eventstoretest.TB, err error) domain.Code {
	t.Helper()
	if err == nil {
		return ""
	}
	if r := domain.RefusalIn(err); r != nil {
		return r.Code
	}
	t.Fatalf("this is not a refusal: %v", err)
	return ""
}

// refused insists on a refusal.
func refused(t eventstoretest.TB, err error, want domain.Code) {
	t.Helper()
	if got := code(t, err); got != want {
		t.Fatalf("refused with %q, want %q", got, want)
	}
}
