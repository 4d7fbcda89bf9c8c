package commands_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/internal/app"
	"kassa/internal/app/apptest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const password = "a long walk home"

// fixture is the service of a test with a payment provider that keeps books. At the end of
// each test the whole ledger is proved, the views equal a replay, and the provider's books
// equal the ledger.
type fixture struct {
	t tb
	*commands.Handler
	env      *apptest.Fixture
	store    *eventstore.Store
	payments *fakePayments
	now      time.Time // moved only while no command runs

	unsettled bool // a charge whose deposit failed may remain at the end
}

type tb = apptest.TB

func newFixture(t testing.TB) *fixture {
	t.Helper()
	return newFixtureIn(t, t.TempDir())
}

func newFixtureIn(t tb, folder string) *fixture {
	t.Helper()
	w := &fixture{t: t, now: noon, payments: newFakePayments()}
	w.env = apptest.New(t, apptest.Options{Folder: folder, Payments: w.payments, Now: func() time.Time { return w.now },
		Terms: app.Terms{Price: 5, Bonus: 10, HoldExpiry: 2 * time.Minute, Refunds: refunds, Refining: refining}})
	w.Handler, w.store = w.env.Commands, w.env.Store
	t.Cleanup(func() { w.payments.check(t, w.env.Log(), w.unsettled) })
	return w
}

var (
	refunds  = domain.RefundPolicy{PerMonth: 3}
	refining = domain.RefinePolicy{Refinements: 3, Within: 3600}
)

// over gives commands over another store than the fixture's own, in the same process.
func (w *fixture) over(log commands.Store) *commands.Handler { return w.with(log, w.Handler.Vault) }

// with gives commands over another store and vault.
func (w *fixture) with(log commands.Store, keys commands.Vault) *commands.Handler {
	h := w.Handler
	return &commands.Handler{Store: log, Vault: keys, Payments: h.Payments, Now: h.Now, Price: h.Price, Bonus: h.Bonus, HoldExpiry: h.HoldExpiry, Refunds: h.Refunds,
		Limits: h.Limits, ProposalLife: h.ProposalLife}
}

// person signs a user up, who has no bonus and 10 credits that they paid for.
func (w *fixture) person(name string) domain.UserID {
	w.t.Helper()
	bonus := w.Bonus
	w.Bonus = 0
	defer func() { w.Bonus = bonus }()
	up, err := w.SignUp(context.Background(), commands.SignUp{Email: name + "@example.org", Password: password})
	must(w.t, err)
	w.give(up.User, 10)
	return up.User
}

func (w *fixture) admin(name string) domain.UserID {
	w.t.Helper()
	u := w.person(name)
	_, err := w.GrantRole(context.Background(), domain.AdminRole, commands.Order{User: u, By: "olga"})
	must(w.t, err)
	return u
}

// give sets the wallet to exactly so many credits, over the limit of one movement
// too, by a payment in or out of another provider that no command asks.
func (w *fixture) give(u domain.UserID, to domain.Credits) {
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

// balance is read from the account's own stream.
func (w *fixture) balance(u domain.UserID) (available, held domain.Credits) {
	w.t.Helper()
	l, err := w.store.Refresh(context.Background(), u)
	must(w.t, err)
	return l.Account.Available, l.Account.Held
}

func (w *fixture) wants(u domain.UserID, available, held domain.Credits) {
	w.t.Helper()
	if a, h := w.balance(u); a != available || h != held {
		w.t.Errorf("the wallet has %d available and %d held, want %d and %d", a, h, available, held)
	}
}

func (w *fixture) wantsGiven(u domain.UserID, given, givenHeld domain.Credits) {
	w.t.Helper()
	l, err := w.store.Refresh(context.Background(), u)
	must(w.t, err)
	if l.Account.Given != given || l.Account.GivenHeld != givenHeld {
		w.t.Errorf("the wallet has %d given and %d of them held, want %d and %d", l.Account.Given, l.Account.GivenHeld, given, givenHeld)
	}
}

// fakePayments is a payment provider that keeps its contract: the same payment is not
// charged twice, and one that was refunded is refused.
type fakePayments struct {
	mu       sync.Mutex
	taken    map[string]domain.Credits
	returned map[string]bool
	asked    int
	before   func(payment string) error // called before each charge; its error is the charge's
	refund   error                      // the error of refunds
}

func newFakePayments() *fakePayments {
	return &fakePayments{taken: map[string]domain.Credits{}, returned: map[string]bool{}}
}

func (*fakePayments) Name() string { return "till" }

func (l *fakePayments) Charge(_ context.Context, payment string, _ domain.UserID, amount domain.Credits) error {
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

func (l *fakePayments) Refund(_ context.Context, payment string) error {
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
func (l *fakePayments) kept() (sum domain.Credits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for payment, amount := range l.taken {
		if !l.returned[payment] {
			sum += amount
		}
	}
	return sum
}

// check compares the provider's books with the ledger: every deposit has a payment of its
// own that was not refunded, and every payment that was kept has a deposit.
func (l *fakePayments) check(t tb, log []eventstore.Recorded, unsettled bool) {
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

// onceOf runs a command n times at once, and wants it done once and refused else.
func onceOf(t *testing.T, n int, otherwise domain.Code, run func(i int) error) {
	t.Helper()
	var all sync.WaitGroup
	results := make(chan error, n)
	for i := range n {
		all.Go(func() { results <- run(i) })
	}
	all.Wait()
	close(results)
	done := 0
	for err := range results {
		if err == nil {
			done++
			continue
		}
		refused(t, err, otherwise)
	}
	if done != 1 {
		t.Errorf("it was done %d times", done)
	}
}
