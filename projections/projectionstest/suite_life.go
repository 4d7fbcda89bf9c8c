package projectionstest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/projections"
)

// everyEvent appends one of each kind, and compares after each.
func everyEvent(t *testing.T, log *Log, form Form) {
	s := newStory(t, log)
	correct := func(c domain.Correction) func(domain.Account) ([]domain.Event, error) {
		return func(a domain.Account) ([]domain.Event, error) {
			return a.Adjust(domain.Account{User: "u_root", Admin: true}, c)
		}
	}
	for _, step := range []func(){
		func() { s.signUp("u_ada") },
		func() {
			s.apply("u_poor", func(a domain.Account) ([]domain.Event, error) { return a.SignUp("u_poor", domain.Sealed{1}, 0) })
		},
		func() { s.add(eventstore.PaymentStream("till", "pay"), domain.PaymentClaimed{User: "u_ada"}) },
		func() { s.deposit("u_ada", 30) },
		func() {
			s.apply("u_ada", func(a domain.Account) ([]domain.Event, error) { return a.Withdraw(5, "till", "pay") })
		},
		func() {
			s.apply("u_poor", correct(domain.Correction{Amount: 7, Reason: "Ünglück & \"Pech\"", Reference: "T-1"}))
		},
		func() { s.apply("u_poor", correct(domain.Correction{Amount: -7, Reason: "taken back"})) },
		func() { s.ask("u_ada", "p_1", time.Minute) },
		func() { s.complete("u_ada", "p_1") },
		func() { s.ask("u_ada", "p_2", time.Minute) },
		func() { s.fail("u_ada", "p_2") },
		func() { s.ask("u_ada", "p_3", time.Minute) },
		func() { s.expire("u_ada", "p_3") },
		func() { s.ask("u_ada", "p_4", time.Minute) },
		func() { // no film is an answer too
			s.apply("u_ada", func(a domain.Account) ([]domain.Event, error) {
				return a.Complete("p_4", domain.Answer{Model: "model-1", Catalogue: "films-1"})
			})
		},
		func() { s.refine("u_ada", "p_4", "p_5", "moby-dick-1956") },
		func() { s.complete("u_ada", "p_5") },
		func() { s.refine("u_ada", "p_5", "p_6", "moby-dick-1956", "orca-1977") },
		func() { s.expire("u_ada", "p_6") },
		func() { s.refine("u_ada", "p_5", "p_7") },
		func() { s.fail("u_ada", "p_7") },
		func() {
			s.apply("u_ada", func(a domain.Account) ([]domain.Event, error) { return a.Confirm("p_5", "jaws-1975", s.now) })
		},
		func() { s.refund("u_ada", "p_1") },
		func() { // nothing of these is shown
			for _, e := range []domain.Event{domain.AdjustmentLimitsSet{AdjustmentLimits: domain.AdjustmentLimits{FourEyesAbove: 5}},
				domain.AdjustmentCounted{User: "u_ada", Amount: 7, Used: 7}, domain.AdjustmentProposed{User: "u_poor", Proposal: "adj_1", Admin: "u_ada", Amount: 7},
				domain.AdjustmentRejected{User: "u_poor", Proposal: "adj_1"}, domain.AdjustmentExpired{User: "u_poor", Proposal: "adj_1"},
				domain.AdjustmentApproved{User: "u_poor", Proposal: "adj_1"}} {
				s.add(eventstore.AdjustmentsStream, e)
			}
		},
		func() { s.role("u_ada", domain.Account.GrantRole) },
		func() { s.role("u_ada", domain.Account.RevokeRole) },
		func() { s.fact("u_ada", domain.AdminGranted{User: "u_ada"}) }, // of before there were two roles
		func() { s.fact("u_ada", domain.AdminRevoked{User: "u_ada"}) },
		func() { s.fact("u_ada", domain.RoleGranted{User: "u_ada", Role: domain.AuditorRole}) },
		func() { s.apply("u_ada", lockedBy(domain.Account.Lock)) },
		func() { s.apply("u_ada", lockedBy(domain.Account.Unlock)) },
		func() { s.role("u_ada", domain.Account.GrantRole) },
		func() { s.erase("u_ada", noon.Add(time.Hour)) },
		func() { s.apply("u_ada", domain.Account.CancelErasure) },
		func() { s.erase("u_ada", noon.Add(time.Hour)) },
		func() {
			s.apply("u_ada", func(a domain.Account) ([]domain.Event, error) { return a.Erase(noon.Add(time.Hour)) })
		},
		func() { s.add(eventstore.EmailStream("hash of u_ada"), domain.EmailClaimed{User: "u_poor"}) },
		func() {
			s.add(eventstore.MoveInStream, domain.MoveInAccepted{By: "olga", Report: strings.Repeat("0af9", 16), People: 1, Bought: 30, Given: 3})
		},
		func() { s.moveIn("u_moved", domain.MovedCredits{Bought: 30, Given: 3}) },
		func() {
			s.apply("u_moved", func(a domain.Account) ([]domain.Event, error) {
				return a.MoveBalance(domain.MovedCredits{Bought: 5, Given: -2})
			})
		},
		func() { s.add(eventstore.PricesStream, domain.PriceSet{Price: 5, Currency: "RUB", CreditPrice: 150}) },
		func() { s.add(eventstore.PeriodsStream, domain.PeriodClosed{Admin: "u_root", Zone: "UTC"}) },
		func() { s.add(eventstore.AttestationsStream, domain.ViewsAttested{Program: "v1"}) },
		func() { s.add(eventstore.CatalogueStream, domain.CatalogueRecorded{Films: 1}) },
		func() { s.add(eventstore.VerificationsStream, domain.LedgerVerified{By: "olga"}) },
	} {
		step()
		catchUp(t, log, form)
		compare(t, log, form)
		addsUp(t, log, form)
	}
	if gone, err := form.Erased(t.Context()); err != nil || !slices.Equal(gone, []domain.UserID{"u_ada"}) {
		t.Errorf("erased are %v, %v", gone, err)
	}
	seen := map[domain.EventType]bool{}
	for _, rec := range log.all() {
		seen[rec.Type] = true
	}
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, domain.EventTypes()) {
		t.Fatalf("the story has the events %q, there are %q", got, domain.EventTypes())
	}
}

// addsUp compares the history of each person with the postings in the log, which every
// event that moves money carries: a kind of event that the history passes over, or shows
// with another amount, does not add up, whatever the expectations of this suite know.
func addsUp(t *testing.T, log *Log, form Form) {
	t.Helper()
	posted := map[domain.UserID]domain.Credits{}
	for _, rec := range log.all() {
		if m, ok := rec.Event.(domain.MoneyEvent); ok {
			u := rec.Event.Subject()
			posted[u] += m.Money().Amount(domain.AvailableOf(u)) + m.Money().Amount(domain.GivenOf(u))
		}
	}
	for u, want := range posted {
		found, err := walk(transactionsOf(t.Context(), form, u, ""), projections.MaxPage)
		must(t, err)
		var sum domain.Credits
		for _, line := range found {
			sum += line.Amount
		}
		if sum != want {
			t.Errorf("the transactions of %s add up to %d, what was posted to %d", u, sum, want)
		}
	}
}

// lines has literally what a person reads.
func lines(t *testing.T, log *Log, form Form) {
	s := newStory(t, log)
	s.signUp("u_ada") // positions 1 to 3
	s.deposit("u_ada", 30)
	s.apply("u_ada", func(a domain.Account) ([]domain.Event, error) { return a.Withdraw(4, "till", "pay") })
	s.apply("u_ada", func(a domain.Account) ([]domain.Event, error) {
		return a.Adjust(domain.Account{User: "u_root", Admin: true}, domain.Correction{Amount: -6, Reason: "too much", Reference: "T-7"})
	})
	s.ask("u_ada", "p_1", time.Minute)
	s.ask("u_ada", "p_2", time.Minute)
	s.ask("u_ada", "p_3", time.Minute)
	s.ask("u_ada", "p_4", time.Minute) // position 10
	s.complete("u_ada", "p_2")
	s.fail("u_ada", "p_1")
	s.expire("u_ada", "p_3")
	catchUp(t, log, form)

	type line struct {
		position eventstore.Position
		kind     projections.TransactionType
		status   string
		amount   domain.Credits
		given    domain.Credits
		after    domain.Credits
		of       domain.PredictionID
	}
	var got []line
	found, err := walk(transactionsOf(t.Context(), form, "u_ada", ""), 4)
	must(t, err)
	for _, f := range found {
		got = append(got, line{f.Position, f.Type, f.Status, f.Amount, f.Given, f.BalanceAfter, f.Prediction})
		if want := log.all()[f.Position-1].Time; f.User != "u_ada" || !f.At.Equal(want) {
			t.Errorf("the line at position %d is %+v", f.Position, f)
		}
	}
	if a := found[len(found)-4]; a.Admin != "u_root" || a.Reason != "too much" || a.Reference != "T-7" {
		t.Errorf("the adjustment is %+v", a)
	}
	if want := []line{
		{13, projections.Charge, "expired", 5, 0, 20, "p_3"},
		{12, projections.Charge, "released", 5, 4, 15, "p_1"},
		{10, projections.Charge, "held", -5, 0, 10, "p_4"},
		{9, projections.Charge, "expired", -5, 0, 15, "p_3"},
		{8, projections.Charge, "captured", -5, 0, 20, "p_2"},
		{7, projections.Charge, "released", -5, -4, 25, "p_1"},
		{6, projections.AdminAdjustment, "completed", -6, -6, 30, ""},
		{5, projections.Withdrawal, "completed", -4, 0, 36, ""},
		{4, projections.Deposit, "completed", 30, 0, 40, ""},
		{3, projections.Bonus, "completed", 10, 10, 10, ""},
	}; !slices.Equal(got, want) {
		t.Errorf("the lines are\n %+v, want\n %+v", got, want)
	}
	answer(t, "balance", projections.Balance{User: "u_ada", Available: 20, Held: 5, Given: 4, Position: 13})(plain(form.Balance(t.Context(), "u_ada", 0)))
	trial, err := form.Trial(t.Context(), 0)
	answer(t, "trial balance", projections.Trial{Position: 13, Available: 20, Held: 5, Given: 4, Users: 1, Accounts: map[domain.LedgerAccount]domain.Credits{
		"house:cash": -26, "house:revenue": 5, "house:given_bonus": -10, "house:given_adjustments": 6}})(trial, err)
	if trial.Total() != 0 || trial.Bought() != 0 || trial.GivenAway() != 0 || trial.Owed() != 21 || trial.Outstanding() != 4 {
		t.Errorf("the books sum to %d and %d; %d are owed, and %d given away", trial.Bought(), trial.GivenAway(), trial.Owed(), trial.Outstanding())
	}
}

func randomLife(t *testing.T, log *Log, form Form) {
	for seed := range uint64(3) {
		workload := eventstoretest.NewWorkload(seed, 4)
		workload.FollowUps = true
		log.live(t, workload, 25)
		catchUp(t, log, form)
		compare(t, log, form)
	}
}

// anyPieces lets the log grow by a few entries or many between two readings; some
// readings find nothing new.
func anyPieces(t *testing.T, log *Log, form Form) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	workload := eventstoretest.NewWorkload(11, 6)
	workload.FollowUps = true
	for range 20 {
		log.live(t, workload, rng.IntN(5))
		catchUp(t, log, form)
	}
	compare(t, log, form)
}

// manyAtOnce catch up beside each other while the log grows.
func manyAtOnce(t *testing.T, log *Log, form Form) {
	workload := eventstoretest.NewWorkload(12, 6)
	log.live(t, workload, 10)
	errs, grown := make(chan error, 8), make(chan struct{})
	for range cap(errs) {
		go func() {
			for {
				if err := form.CatchUp(t.Context()); err != nil {
					errs <- err
					return
				}
				select {
				case <-grown:
					errs <- form.CatchUp(t.Context())
					return
				default:
				}
			}
		}()
	}
	for range 20 {
		log.live(t, workload, 1)
	}
	close(grown)
	for range cap(errs) {
		must(t, <-errs)
	}
	catchUp(t, log, form)
	compare(t, log, form)
}

// runs appends while Run follows, and stops it.
func runs(t *testing.T, log *Log, form Form) {
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- form.Run(ctx) }()
	s := newStory(t, log)
	s.signUp("u_ada")
	for n := range domain.Credits(5) {
		must(t, form.Wait(t.Context(), s.deposit("u_ada", n+1)))
	}
	compare(t, log, form)
	stop()
	must(t, soon(t, "the end of Run", ended))
}

// holds come in the order of their expiry, and of their request where that is the
// same.
func holds(t *testing.T, log *Log, form Form) {
	s := newStory(t, log)
	for i, seconds := range []time.Duration{30, 10, 20, 10, 40} {
		u := domain.UserID(fmt.Sprintf("u_%d", i%2))
		if i < 2 {
			s.signUp(u)
			s.deposit(u, 100)
		}
		s.ask(u, domain.PredictionID(fmt.Sprintf("p_%d", i)), seconds*time.Second)
	}
	s.ask("u_0", "p_over", 5*time.Second)
	s.fail("u_0", "p_over")
	catchUp(t, log, form)
	for _, tt := range []struct {
		before time.Duration
		limit  int
		want   []domain.PredictionID
	}{
		{time.Hour, 10, []domain.PredictionID{"p_1", "p_3", "p_2", "p_0", "p_4"}},
		{time.Hour, 3, []domain.PredictionID{"p_1", "p_3", "p_2"}},
		{20 * time.Second, 10, []domain.PredictionID{"p_1", "p_3"}},
		{20*time.Second + time.Microsecond, 10, []domain.PredictionID{"p_1", "p_3", "p_2"}},
		{10 * time.Second, 10, nil},
		{time.Hour, 0, nil},
	} {
		list, err := form.OpenHolds(t.Context(), noon.Add(tt.before), tt.limit)
		must(t, err)
		var got []domain.PredictionID
		for _, p := range list {
			got = append(got, p.ID)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("before %s, at most %d: %v, want %v", tt.before, tt.limit, got, tt.want)
		}
	}
	s.expire("u_1", "p_1")
	catchUp(t, log, form)
	compare(t, log, form)
}
