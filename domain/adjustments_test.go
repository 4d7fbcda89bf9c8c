package domain_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"kassa/domain"
)

// samplesOfAdjustments are events of each type of the stream of adjustments, with every
// field filled.
var samplesOfAdjustments = []domain.Event{
	domain.AdjustmentLimitsSet{AdjustmentLimits: limits},
	domain.AdjustmentCounted{User: root, Amount: 70, Used: 90},
	domain.AdjustmentProposed{User: ada, Proposal: "adj_1", Admin: root, Amount: -70, Kind: domain.BoughtCredits, Reason: "paid twice", Reference: "T-1", ExpiresAt: noon},
	domain.AdjustmentApproved{User: ada, Proposal: "adj_1", Admin: "u_eve", Reason: "checked"},
	domain.AdjustmentRejected{User: ada, Proposal: "adj_1", Admin: "u_eve", Reason: "no such payment"},
	domain.AdjustmentExpired{User: ada, Proposal: "adj_1"},
}

var limits = domain.AdjustmentLimits{FourEyesAbove: 50, DailyLimit: 200}

func adjustmentsOf(t *testing.T, events ...domain.Event) (a domain.Adjustments) {
	t.Helper()
	for _, e := range events {
		if err := a.Apply(e, noon); err != nil {
			t.Fatalf("apply %+v: %v", e, err)
		}
	}
	return a
}

var (
	limited  = domain.AdjustmentLimitsSet{AdjustmentLimits: limits}
	proposed = domain.AdjustmentProposed{User: ada, Proposal: "adj_1", Admin: root, Amount: 70, Reason: "a gift", ExpiresAt: noon.Add(time.Hour)}
	eve      = domain.Account{User: "u_eve", Admin: true}
	admin    = domain.Account{User: root, Admin: true}
)

// What one admin does alone, what another must approve, and who may not.
func TestDecisionsOfAdjustments(t *testing.T) {
	account := fold(t, new(book).write(facts(signedUp, deposited(30))))
	gift := domain.Correction{Amount: 70, Reason: "a gift"}
	adjust := func(by domain.Account, c domain.Correction) func(domain.Adjustments) (domain.Adjusting, error) {
		return func(a domain.Adjustments) (domain.Adjusting, error) {
			return a.Adjust(account, by, c, "adj_2", noon, noon.Add(time.Hour))
		}
	}
	alone := func(by domain.Account, c domain.Correction) func(domain.Adjustments) (domain.Adjusting, error) {
		return func(a domain.Adjustments) (domain.Adjusting, error) { return a.AdjustAlone(account, by, c, noon) }
	}
	open := make([]domain.Event, domain.MaxOpenProposals)
	for n := range open {
		e := proposed
		e.Proposal = domain.NewProposalID(fmt.Sprint(n))
		open[n] = e
	}
	approve := func(by domain.Account, reason string, at time.Time) func(domain.Adjustments) (domain.Adjusting, error) {
		return func(a domain.Adjustments) (domain.Adjusting, error) {
			return a.Approve("adj_1", account, by, reason, at)
		}
	}
	reject := func(by domain.Account, reason string, at time.Time) func(domain.Adjustments) (domain.Adjusting, error) {
		return func(a domain.Adjustments) (domain.Adjusting, error) { return a.Reject("adj_1", by, reason, at) }
	}
	taken := domain.AdjustmentProposed{User: ada, Proposal: "adj_1", Admin: root, Amount: -70, Reason: "a mistake", ExpiresAt: noon.Add(time.Hour)}
	for _, tt := range []struct {
		name   string
		given  []domain.Event
		when   func(domain.Adjustments) (domain.Adjusting, error)
		stream []domain.Event
		moves  domain.Credits
		want   domain.Code
	}{
		{"no limits", nil, adjust(admin, gift), nil, 70, ""},
		{"at the limit", []domain.Event{limited}, adjust(admin, domain.Correction{Amount: 50, Reason: "r"}),
			[]domain.Event{domain.AdjustmentCounted{User: root, Amount: 50, Used: 50}}, 50, ""},
		{"above it", []domain.Event{limited}, adjust(admin, domain.Correction{Amount: 51, Kind: domain.BoughtCredits, Reason: "r", Reference: "T"}),
			[]domain.Event{domain.AdjustmentCounted{User: root, Amount: 51, Used: 51}, domain.AdjustmentProposed{User: ada, Proposal: "adj_2", Admin: root,
				Amount: 51, Kind: domain.BoughtCredits, Reason: "r", Reference: "T", ExpiresAt: noon.Add(time.Hour)}}, 0, ""},
		{"above it, to take more than there is", []domain.Event{limited}, adjust(admin, domain.Correction{Amount: -70, Reason: "r"}), nil, 0, domain.InsufficientFunds},
		{"above it, by nobody special", []domain.Event{limited}, adjust(domain.Account{User: "u_eve"}, gift), nil, 0, domain.NotAdmin},
		{"above it, of one's own", []domain.Event{limited}, adjust(domain.Account{User: ada, Admin: true}, gift), nil, 0, domain.OwnAdjustment},
		{"above it, without a reason", []domain.Event{limited}, adjust(admin, domain.Correction{Amount: 70}), nil, 0, domain.InvalidReason},
		{"the daily limit, to the credit", []domain.Event{limited, domain.AdjustmentCounted{User: root, Amount: 180, Used: 180}},
			adjust(admin, domain.Correction{Amount: -20, Reason: "r"}), []domain.Event{domain.AdjustmentCounted{User: root, Amount: 20, Used: 200}}, -20, ""},
		{"over the daily limit", []domain.Event{limited, domain.AdjustmentCounted{User: root, Amount: 181, Used: 181}},
			adjust(admin, domain.Correction{Amount: -20, Reason: "r"}), nil, 0, domain.AdminDailyLimit},
		{"another admin's day", []domain.Event{limited, domain.AdjustmentCounted{User: root, Amount: 200, Used: 200}},
			adjust(eve, domain.Correction{Amount: 20, Reason: "r"}), []domain.Event{domain.AdjustmentCounted{User: "u_eve", Amount: 20, Used: 20}}, 20, ""},
		{"a proposal over the daily limit", []domain.Event{limited, domain.AdjustmentCounted{User: root, Amount: 150, Used: 150}}, adjust(admin, gift), nil, 0, domain.AdminDailyLimit},

		{"alone, at the limit", []domain.Event{limited}, alone(admin, domain.Correction{Amount: 50, Reason: "r"}),
			[]domain.Event{domain.AdjustmentCounted{User: root, Amount: 50, Used: 50}}, 50, ""},
		{"alone, above it", []domain.Event{limited}, alone(admin, gift), nil, 0, domain.ApprovalRequired},
		{"alone, above it and over the daily limit", []domain.Event{limited, domain.AdjustmentCounted{User: root, Amount: 150, Used: 150}}, alone(admin, gift), nil, 0, domain.ApprovalRequired},
		{"alone, above it, beside too many proposals", append(open, limited), alone(admin, gift), nil, 0, domain.ApprovalRequired},
		{"alone, above it, to take more than there is", []domain.Event{limited}, alone(admin, domain.Correction{Amount: -70, Reason: "r"}), nil, 0, domain.InsufficientFunds},
		{"alone, above it, by nobody special", []domain.Event{limited}, alone(domain.Account{User: "u_eve"}, gift), nil, 0, domain.NotAdmin},
		{"alone, over the daily limit", []domain.Event{limited, domain.AdjustmentCounted{User: root, Amount: 181, Used: 181}},
			alone(admin, domain.Correction{Amount: -20, Reason: "r"}), nil, 0, domain.AdminDailyLimit},

		{"approved", []domain.Event{proposed}, approve(eve, "checked", noon), []domain.Event{
			domain.AdjustmentApproved{User: ada, Proposal: "adj_1", Admin: "u_eve", Reason: "checked"}}, 70, ""},
		{"approved, and counted", []domain.Event{limited, proposed}, approve(eve, "checked", noon), []domain.Event{
			domain.AdjustmentCounted{User: "u_eve", Amount: 70, Used: 70},
			domain.AdjustmentApproved{User: ada, Proposal: "adj_1", Admin: "u_eve", Reason: "checked"}}, 70, ""},
		{"approved without a reason", []domain.Event{proposed}, approve(eve, " ", noon), nil, 0, domain.InvalidReason},
		{"approved by who proposes", []domain.Event{proposed}, approve(admin, "r", noon), nil, 0, domain.OwnProposal},
		{"approved by whose balance it is", []domain.Event{proposed}, approve(domain.Account{User: ada, Admin: true}, "r", noon), nil, 0, domain.OwnAdjustment},
		{"approved by nobody special", []domain.Event{proposed}, approve(domain.Account{User: "u_bob"}, "r", noon), nil, 0, domain.NotAdmin},
		{"approved by who is no admin any more", []domain.Event{proposed}, approve(domain.Account{User: "u_eve"}, "r", noon), nil, 0, domain.NotAdmin},
		{"approved a moment before its end", []domain.Event{proposed}, approve(eve, "checked", noon.Add(time.Hour-1)), []domain.Event{
			domain.AdjustmentApproved{User: ada, Proposal: "adj_1", Admin: "u_eve", Reason: "checked"}}, 70, ""},
		{"approved at its end", []domain.Event{proposed}, approve(eve, "r", noon.Add(time.Hour)), nil, 0, domain.ProposalEnded},
		{"approved over the daily limit", []domain.Event{limited, proposed, domain.AdjustmentCounted{User: "u_eve", Amount: 131, Used: 131}},
			approve(eve, "r", noon), nil, 0, domain.AdminDailyLimit},
		{"approved where the credits are gone", []domain.Event{taken}, approve(eve, "r", noon), nil, 0, domain.InsufficientFunds},
		{"approved and unknown", nil, approve(eve, "r", noon), nil, 0, domain.ProposalNotFound},
		{"approved twice", []domain.Event{proposed, samplesOfAdjustments[3]}, approve(eve, "r", noon), nil, 0, domain.ProposalEnded},
		{"approved after a rejection", []domain.Event{proposed, samplesOfAdjustments[4]}, approve(eve, "r", noon), nil, 0, domain.ProposalEnded},
		{"rejected after an approval", []domain.Event{proposed, samplesOfAdjustments[3]}, reject(eve, "r", noon), nil, 0, domain.ProposalEnded},
		{"rejected", []domain.Event{limited, proposed}, reject(eve, "no", noon), []domain.Event{
			domain.AdjustmentRejected{User: ada, Proposal: "adj_1", Admin: "u_eve", Reason: "no"}}, 0, ""},
		{"rejected by who proposes", []domain.Event{proposed}, reject(admin, "a mistake", noon), []domain.Event{
			domain.AdjustmentRejected{User: ada, Proposal: "adj_1", Admin: root, Reason: "a mistake"}}, 0, ""},
		{"rejected by whose balance it is", []domain.Event{taken}, reject(domain.Account{User: ada, Admin: true}, "r", noon), nil, 0, domain.OwnAdjustment},
		{"rejected by nobody special", []domain.Event{proposed}, reject(domain.Account{User: "u_bob"}, "r", noon), nil, 0, domain.NotAdmin},
		{"rejected at its end", []domain.Event{proposed}, reject(eve, "r", noon.Add(time.Hour)), nil, 0, domain.ProposalEnded},

		{"expired", []domain.Event{proposed}, func(a domain.Adjustments) (domain.Adjusting, error) {
			return a.Expire("adj_1", noon.Add(time.Hour)), nil
		}, []domain.Event{samplesOfAdjustments[5]}, 0, ""},
		{"expired too early", []domain.Event{proposed}, func(a domain.Adjustments) (domain.Adjusting, error) {
			return a.Expire("adj_1", noon.Add(time.Hour-1)), nil
		}, nil, 0, ""},
		{"expired after a rejection", []domain.Event{proposed, samplesOfAdjustments[4]}, func(a domain.Adjustments) (domain.Adjusting, error) {
			return a.Expire("adj_1", noon.Add(2*time.Hour)), nil
		}, nil, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := adjustmentsOf(t, tt.given...)
			before := a.Clone()
			got, err := tt.when(a)
			if !reflect.DeepEqual(a, before) {
				t.Errorf("the decision changed the adjustments to %+v", a)
			}
			if refusal := domain.RefusalIn(err); tt.want != "" {
				if refusal == nil || refusal.Code != tt.want || len(got.Stream)+len(got.Account) > 0 {
					t.Fatalf("decided %+v and %v, want the refusal %s", got, err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatalf("refused with %v", err)
			}
			if len(got.Stream) != len(tt.stream) || len(got.Stream) > 0 && !reflect.DeepEqual(got.Stream, tt.stream) {
				t.Errorf("decided %+v, want %+v", got.Stream, tt.stream)
			}
			var moved domain.Credits
			for _, e := range got.Account {
				moved += e.(domain.BalanceAdjusted).Amount
			}
			if moved != tt.moves {
				t.Errorf("it moves %d, want %d", moved, tt.moves)
			}
			for _, e := range got.Stream {
				if err := a.Apply(e, noon); err != nil {
					t.Errorf("what was decided does not fold: %v", err)
				}
			}
		})
	}
}

// The day of the limit is that of the entries' times, in UTC, and never goes back.
func TestDailyLimitBeginsAgain(t *testing.T) {
	a := adjustmentsOf(t, limited, domain.AdjustmentCounted{User: root, Amount: 150, Used: 150})
	midnight := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for at, want := range map[time.Time]domain.Credits{noon: 150, midnight.Add(-1): 150, midnight: 0, midnight.Add(-1).In(time.FixedZone("", 5*3600)): 150} {
		if used := a.Used(root, at); used != want {
			t.Errorf("at %s %d are used, want %d", at, used, want)
		}
	}
	if err := a.Apply(domain.AdjustmentCounted{User: "u_eve", Amount: 10, Used: 10}, midnight); err != nil {
		t.Fatal(err)
	}
	if err := a.Apply(domain.AdjustmentCounted{User: root, Amount: 20, Used: 20}, midnight.Add(-time.Second)); err != nil { // another process's clock
		t.Fatal(err)
	}
	if a.Used(root, noon) != 20 || a.Used("u_eve", midnight) != 10 {
		t.Errorf("used are %d and %d", a.Used(root, noon), a.Used("u_eve", midnight))
	}
	_, err := a.Adjust(fold(t, new(book).write(facts(signedUp))), admin, domain.Correction{Amount: 50, Reason: "r"}, "adj_2", midnight.Add(23*time.Hour), midnight)
	if err != nil {
		t.Fatal(err)
	}
	a.Limits.DailyLimit = 60
	_, err = a.Adjust(fold(t, new(book).write(facts(signedUp))), admin, domain.Correction{Amount: 50, Reason: "r"}, "adj_2", midnight.Add(23*time.Hour), midnight)
	if r := domain.RefusalIn(err); r == nil || r.Code != domain.AdminDailyLimit || r.RetryAfter != time.Hour {
		t.Errorf("refused with %+v", err)
	}
}

// Facts that no decision could have made.
func TestAdjustmentsRefuseBrokenFacts(t *testing.T) {
	for name, events := range map[string][]domain.Event{
		"proposed twice":                 {proposed, proposed},
		"nothing proposed":               {domain.AdjustmentProposed{User: ada, Proposal: "adj_1", Admin: root, ExpiresAt: noon}},
		"too much proposed":              {domain.AdjustmentProposed{User: ada, Proposal: "adj_1", Admin: root, Amount: -domain.MaxAmount - 1, ExpiresAt: noon}},
		"the least number proposed":      {domain.AdjustmentProposed{User: ada, Proposal: "adj_1", Admin: root, Amount: math.MinInt64, ExpiresAt: noon}},
		"more counted than is adjusted":  {domain.AdjustmentCounted{User: root, Amount: domain.MaxAmount + 1, Used: domain.MaxAmount + 1}},
		"approved, and never proposed":   {samplesOfAdjustments[3]},
		"approved twice":                 {proposed, samplesOfAdjustments[3], samplesOfAdjustments[3]},
		"rejected after it was approved": {proposed, samplesOfAdjustments[3], samplesOfAdjustments[4]},
		"expired after it was rejected":  {proposed, samplesOfAdjustments[4], samplesOfAdjustments[5]},
		"approved for another person":    {proposed, domain.AdjustmentApproved{User: "u_bob", Proposal: "adj_1", Admin: "u_eve", Reason: "r"}},
		"counted wrongly":                {domain.AdjustmentCounted{User: root, Amount: 5, Used: 5}, domain.AdjustmentCounted{User: root, Amount: 5, Used: 9}},
		"nothing counted":                {domain.AdjustmentCounted{User: root}},
		"a fact of an account":           {domain.AdminGranted{User: ada}},
	} {
		var a domain.Adjustments
		var err error
		for _, e := range events {
			err = errors.Join(err, a.Apply(e, noon))
		}
		if !errors.Is(err, domain.ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is kept of proposals does not grow with their number, and open ones are never dropped.
func TestProposalsAreBounded(t *testing.T) {
	var a domain.Adjustments
	account := fold(t, new(book).write(facts(signedUp)))
	for n := range 400 {
		id := domain.NewProposalID(fmt.Sprint(n))
		if got, err := a.Propose(account, admin, domain.Correction{Amount: 1, Reason: "r"}, id, noon, noon); err != nil {
			if len(a.Open()) != domain.MaxOpenProposals || domain.RefusalIn(err).Code != domain.TooManyProposals {
				t.Fatalf("refused the proposal %d with %v", n, err)
			}
		} else if err := a.Apply(got.Stream[0], noon); err != nil {
			t.Fatal(err)
		}
		if n%2 == 1 {
			if err := a.Apply(domain.AdjustmentExpired{User: ada, Proposal: a.Open()[1].ID}, noon); err != nil {
				t.Fatal(err)
			}
		}
	}
	if first, ok := a.Proposal("adj_0"); !ok || first.State != domain.ProposalOpen || len(a.Proposals) > 2*domain.MaxOpenProposals {
		t.Errorf("%d are kept, and of the first %+v", len(a.Proposals), first)
	}
}

// Of proposals that have ended, those that ended last are kept, whenever they were made.
func TestTheProposalsThatEndedLastAreKept(t *testing.T) {
	var a domain.Adjustments
	apply := func(e domain.Event) {
		t.Helper()
		if err := a.Apply(e, noon); err != nil {
			t.Fatal(err)
		}
	}
	propose := func(id domain.ProposalID) {
		e := proposed
		e.Proposal = id
		apply(e)
	}
	end := func(id domain.ProposalID) { apply(domain.AdjustmentExpired{User: ada, Proposal: id}) }
	propose("adj_long_open")
	for n := range 100 {
		id := domain.NewProposalID(fmt.Sprint(n))
		propose(id)
		end(id)
	}
	copied := a.Clone()
	end("adj_long_open") // made first, ended last
	if p, ok := a.Proposal("adj_long_open"); !ok || p.State != domain.ProposalExpired {
		t.Errorf("the one that ended last is %+v, %v", p, ok)
	}
	if _, ok := a.Proposal("adj_0"); ok || len(a.Proposals) != 100 {
		t.Errorf("%d are kept, the one that ended first among them: %v", len(a.Proposals), ok)
	}
	if _, ok := copied.Proposal("adj_0"); !ok || len(copied.Proposals) != 101 {
		t.Error("a copy changed too")
	}
}

func TestAdjustmentLimitsAreChecked(t *testing.T) {
	for l, good := range map[domain.AdjustmentLimits]bool{
		{}: true, limits: true, {FourEyesAbove: -1}: false, {DailyLimit: -1}: false,
		{FourEyesAbove: domain.MaxAmount}: true, {FourEyesAbove: domain.MaxAmount + 1}: false, {DailyLimit: domain.MaxBalance + 1}: false,
	} {
		if err := l.Check(); (err == nil) != good {
			t.Errorf("%+v: %v", l, err)
		}
	}
	if got := adjustmentsOf(t, limited).SetLimits(limits); got != nil {
		t.Errorf("the same limits are stated again: %+v", got)
	}
	if got := adjustmentsOf(t, limited).SetLimits(domain.AdjustmentLimits{}); !reflect.DeepEqual(got, []domain.Event{domain.AdjustmentLimitsSet{}}) {
		t.Errorf("no limits are stated as %+v", got)
	}
}
