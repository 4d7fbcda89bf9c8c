package audit_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
)

// limitedLog is a valid log of fifteen entries: eve becomes an admin too (11 to 14), and above
// 50 credits another admin approves, with a daily limit of 200 (15).
func limitedLog() *logBuilder {
	c := validLog()
	c.signUp(eve)
	c.by("operator", domain.AdminGranted{User: eve})
	c.by("operator", domain.AdjustmentLimitsSet{AdjustmentLimits: domain.AdjustmentLimits{FourEyesAbove: 50, DailyLimit: 200}})
	return c
}

var gift = domain.Correction{Amount: 70, Kind: domain.GivenCredits, Reason: "a gift"}

// propose takes two positions, and approve three.
func (c *logBuilder) propose(by domain.UserID, used domain.Credits) {
	c.by("user:"+string(by), domain.AdjustmentCounted{User: by, Amount: 70, Used: used}, domain.AdjustmentProposed{User: ada, Proposal: "adj_1",
		Admin: by, Amount: gift.Amount, Kind: gift.Kind, Reason: gift.Reason, ExpiresAt: day.Add(time.Hour)})
}

func (c *logBuilder) approve(by domain.UserID, used domain.Credits, change func(*domain.Correction)) {
	correction := gift
	if change != nil {
		change(&correction)
	}
	c.by("user:"+string(by), append([]domain.Event{domain.AdjustmentCounted{User: by, Amount: 70, Used: used},
		domain.AdjustmentApproved{User: ada, Proposal: "adj_1", Admin: by, Reason: "checked"}}, c.adjusted(by, correction)...)...)
}

func (c *logBuilder) adjusted(by domain.UserID, correction domain.Correction) []domain.Event {
	return c.adjustedOf(ada, by, correction)
}

// adjustedOf is also of an admin's own balance, which no decision gives.
func (c *logBuilder) adjustedOf(u, by domain.UserID, correction domain.Correction) []domain.Event {
	e := decided(c.of(u).Adjust(domain.Account{User: "u_other", Admin: true}, correction))[0].(domain.BalanceAdjusted)
	e.Admin = by
	return []domain.Event{e}
}

// What admins do alone, propose and approve: valid logs, and forged ones, whose hashes are right.
func TestForgedAdjustments(t *testing.T) {
	limitsOff := domain.AdjustmentLimitsSet{}
	daily := func(c *logBuilder, amount, used domain.Credits) {
		c.by("user:u_bob", append([]domain.Event{domain.AdjustmentCounted{User: bob, Amount: amount, Used: used}},
			c.adjusted(bob, domain.Correction{Amount: amount, Reason: "paid"})...)...)
	}
	for _, tt := range []struct {
		name string
		want []want
		lie  func(*logBuilder)
	}{
		{"nothing", nil, func(c *logBuilder) {
			daily(c, 50, 50)
			c.propose(bob, 120)
			c.approve(eve, 70, nil)
			c.by("operator", limitsOff)
			c.by("user:u_bob", c.adjusted(bob, domain.Correction{Amount: 1000, Reason: "no limits"})...)
		}},
		{"nothing, and a proposal that expires", nil, func(c *logBuilder) {
			c.propose(bob, 70) // 16 and 17
			c.add("system:expirer", eventstore.ByPosition(17), domain.AdjustmentExpired{User: ada, Proposal: "adj_1"}).time = day.Add(time.Hour)
		}},
		{"an adjustment above the limit", []want{{audit.NotApproved, 17}}, func(c *logBuilder) { daily(c, 51, 51) }},
		{"an adjustment above the limit, to take", []want{{audit.NotApproved, 18}}, func(c *logBuilder) {
			c.deposit(ada, 100, "pay-2")
			c.by("user:u_bob", append([]domain.Event{domain.AdjustmentCounted{User: bob, Amount: 51, Used: 51}},
				c.adjusted(bob, domain.Correction{Amount: -51, Reason: "r"})...)...)
		}},
		{"an adjustment of one's own balance", []want{{audit.OwnAdjustment, 17}}, func(c *logBuilder) {
			c.by("user:u_bob", append([]domain.Event{domain.AdjustmentCounted{User: bob, Amount: 5, Used: 5}}, c.adjustedOf(bob, bob, domain.Correction{Amount: 5, Reason: "r"})...)...)
		}},
		{"an adjustment of one's own balance, without limits", []want{{audit.OwnAdjustment, 17}}, func(c *logBuilder) {
			c.by("operator", limitsOff)
			c.by("user:u_bob", c.adjustedOf(bob, bob, domain.Correction{Amount: 5, Reason: "r"})...)
		}},
		{"an adjustment that is not counted", []want{{audit.NotCounted, 16}}, func(c *logBuilder) {
			c.by("user:u_bob", c.adjusted(bob, domain.Correction{Amount: 5, Reason: "r"})...)
		}},
		{"an adjustment that is counted as less", []want{{audit.NotCounted, 17}}, func(c *logBuilder) {
			c.by("user:u_bob", append([]domain.Event{domain.AdjustmentCounted{User: bob, Amount: 1, Used: 1}}, c.adjusted(bob, domain.Correction{Amount: 5, Reason: "r"})...)...)
		}},
		{"an adjustment that is counted for another", []want{{audit.ActorNotSubject, 16}, {audit.NotCounted, 17}}, func(c *logBuilder) {
			c.by("user:u_bob", append([]domain.Event{domain.AdjustmentCounted{User: eve, Amount: 5, Used: 5}}, c.adjusted(bob, domain.Correction{Amount: 5, Reason: "r"})...)...)
		}},
		{"credits counted for nothing", []want{{audit.NotCounted, 16}}, func(c *logBuilder) {
			c.by("user:u_bob", domain.AdjustmentCounted{User: bob, Amount: 5, Used: 5})
			c.deposit(ada, 1, "pay-2")
		}},
		{"over the daily limit", []want{{audit.OverDailyLimit, 24}}, func(c *logBuilder) {
			for n := range domain.Credits(4) {
				daily(c, 50, 50*(n+1))
			}
			daily(c, 1, 201)
		}},
		{"a sum of the day that is none", []want{{audit.FactBroken, 18}}, func(c *logBuilder) {
			daily(c, 50, 50)
			daily(c, 50, 50)
		}},
		{"limits by an admin", []want{{audit.ActorNotAllowed, 16}}, func(c *logBuilder) { c.by("user:u_bob", limitsOff) }},
		{"limits that are none", []want{{audit.FactBroken, 16}}, func(c *logBuilder) {
			c.by("operator", domain.AdjustmentLimitsSet{AdjustmentLimits: domain.AdjustmentLimits{FourEyesAbove: domain.MaxAmount}})
			c.log[15].event = domain.AdjustmentLimitsSet{AdjustmentLimits: domain.AdjustmentLimits{FourEyesAbove: -1}}
		}},
		{"a version left out", []want{{audit.VersionGap, 17}}, func(c *logBuilder) {
			c.propose(bob, 70)
			c.log[16].version++
		}},
		{"in an account's stream", []want{{audit.WrongStream, 16}}, func(c *logBuilder) {
			c.by("user:u_bob", domain.AdjustmentCounted{User: bob, Amount: 5, Used: 5}).stream = eventstore.AccountStream(bob)
		}},
		{"a proposal by a user who is no admin", []want{{audit.ActorNotAdmin, 17}}, func(c *logBuilder) {
			c.propose(ada, 70)
			c.log[16].event = proposalOf(bob, ada)
		}},
		{"a proposal for one's own balance", []want{{audit.OwnAdjustment, 17}}, func(c *logBuilder) {
			c.propose(bob, 70)
			c.log[16].event = proposalOf(bob, bob)
		}},
		{"an approval by who proposed it", []want{{audit.ApprovedOwn, 19}}, func(c *logBuilder) {
			c.propose(bob, 70)
			c.approve(bob, 140, nil)
		}},
		{"an approval in the name of another", []want{{audit.AdminNotActor, 19}, {audit.ActorNotAdmin, 19}, {audit.NotCounted, 19}, {audit.NotAsProposed, 20}}, func(c *logBuilder) {
			c.propose(bob, 70)
			c.approve(eve, 70, nil)
			c.log[18].event = domain.AdjustmentApproved{User: ada, Proposal: "adj_1", Admin: "u_zoe", Reason: "checked"}
		}},
		{"an approval by the admin whose balance it is", []want{{audit.ActorNotAdmin, 19}, {audit.OwnAdjustment, 19}, {audit.ActorNotAdmin, 20}, {audit.OwnAdjustment, 20}, {audit.NotAsProposed, 20}}, func(c *logBuilder) {
			c.propose(bob, 70)
			c.approve(eve, 70, nil)
			adjusted := c.log[19].event.(domain.BalanceAdjusted)
			adjusted.Admin = ada
			for i, e := range []domain.Event{domain.AdjustmentCounted{User: ada, Amount: 70, Used: 70},
				domain.AdjustmentApproved{User: ada, Proposal: "adj_1", Admin: ada, Reason: "mine"}, adjusted} {
				c.log[17+i].event, c.log[17+i].actor = e, "user:u_ada"
			}
		}},
		{"an approval after its time", []want{{audit.DecidedLate, 19}}, func(c *logBuilder) {
			c.propose(bob, 70)
			c.approve(eve, 70, nil)
			for i := range 3 {
				c.log[17+i].time = day.Add(time.Hour)
			}
		}},
		{"a rejection after its time, by who is no admin", []want{{audit.ActorNotAdmin, 18}, {audit.OwnAdjustment, 18}, {audit.DecidedLate, 18}}, func(c *logBuilder) {
			c.propose(bob, 70)
			c.by("user:u_ada", domain.AdjustmentRejected{User: ada, Proposal: "adj_1", Admin: ada, Reason: "no"}).time = day.Add(time.Hour)
		}},
		{"an approval twice", []want{{audit.FactBroken, 22}}, func(c *logBuilder) {
			c.propose(bob, 70)
			c.approve(eve, 70, nil)
			c.approve(eve, 140, nil)
		}},
		{"an approval of nothing", []want{{audit.NotCounted, 17}, {audit.FactBroken, 17}}, func(c *logBuilder) { c.approve(eve, 70, nil) }},
		{"an approval after a rejection", []want{{audit.FactBroken, 20}}, func(c *logBuilder) {
			c.propose(bob, 70)
			c.by("user:u_eve", domain.AdjustmentRejected{User: ada, Proposal: "adj_1", Admin: eve, Reason: "no"})
			c.approve(eve, 70, nil)
		}},
		{"an approval that is not carried out", []want{{audit.NotAsProposed, 19}}, func(c *logBuilder) {
			c.propose(bob, 70)
			c.approve(eve, 70, nil)
			c.log = c.log[:19]
		}},
		{"an approval, and an adjustment in an append of its own", []want{{audit.NotAsProposed, 19}, {audit.NotApproved, 20}, {audit.NotCounted, 20}}, func(c *logBuilder) {
			c.propose(bob, 70)
			c.approve(eve, 70, nil)
			c.log[19].cause, c.log[19].command = caused("c20"), "c20"
		}},
		{"more than was proposed", []want{{audit.NotAsProposed, 20}}, func(c *logBuilder) {
			c.propose(bob, 70)
			c.approve(eve, 70, func(adjusted *domain.Correction) { adjusted.Amount = 71 })
		}},
		{"bought credits where given ones were proposed", []want{{audit.NotAsProposed, 20}}, func(c *logBuilder) {
			c.propose(bob, 70)
			c.approve(eve, 70, func(adjusted *domain.Correction) { adjusted.Kind = domain.BoughtCredits })
		}},
		{"another reason than was proposed", []want{{audit.NotAsProposed, 20}}, func(c *logBuilder) {
			c.propose(bob, 70)
			c.approve(eve, 70, func(adjusted *domain.Correction) { adjusted.Reason = "another" })
		}},
		{"an expiry before its time", []want{{audit.ExpiredEarly, 18}}, func(c *logBuilder) {
			c.propose(bob, 70)
			c.add("system:expirer", eventstore.ByPosition(17), domain.AdjustmentExpired{User: ada, Proposal: "adj_1"})
		}},
		{"an expiry of another cause, by a user", []want{{audit.ActorNotAllowed, 18}, {audit.CauseWrongKind, 18}, {audit.CauseNotRequest, 18}}, func(c *logBuilder) {
			c.propose(bob, 70)
			c.add("user:u_bob", eventstore.ByPosition(16), domain.AdjustmentExpired{User: ada, Proposal: "adj_1"}).time = day.Add(time.Hour)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := limitedLog()
			tt.lie(c)
			_, err := forge(t, c.log).verify(t)
			finds(t, err, tt.want...)
			resumes(t, c, err)
		})
	}
}

// proposalOf is the proposal adj_1 for another's balance.
func proposalOf(u, by domain.UserID) domain.Event {
	return domain.AdjustmentProposed{User: u, Proposal: "adj_1", Admin: by, Amount: gift.Amount, Kind: gift.Kind, Reason: gift.Reason, ExpiresAt: day.Add(time.Hour)}
}

// The list of adjustments names both admins, and is found by either.
func TestAdjustmentsNameBothAdmins(t *testing.T) {
	c := limitedLog()
	c.by("user:u_bob", append([]domain.Event{domain.AdjustmentCounted{User: bob, Amount: 5, Used: 5}}, c.adjusted(bob, domain.Correction{Amount: 5, Reason: "alone"})...)...)
	c.propose(bob, 75)
	c.approve(eve, 70, nil) // 20 to 22
	log := audit.FullLog{Store: forge(t, c.log).read(t)}
	for _, tt := range []struct {
		by    domain.UserID
		since eventstore.Position
		want  string
	}{
		{"", 0, "17 u_bob  alone , 22 u_eve u_bob a gift checked"}, {bob, 0, "17 u_bob  alone , 22 u_eve u_bob a gift checked"},
		{eve, 0, "22 u_eve u_bob a gift checked"}, {"", 17, "22 u_eve u_bob a gift checked"}, {ada, 0, ""},
	} {
		var got []string
		_, err := audit.Adjustments(t.Context(), log, audit.AdjustmentFilter{Since: tt.since, UpTo: 22, By: tt.by}, func(a audit.Adjustment) error {
			got = append(got, fmt.Sprint(a.Position, " ", a.Admin, " ", a.ProposedBy, " ", a.Reason, " ", a.Approval))
			return nil
		})
		must(t, err)
		if all := strings.Join(got, ", "); all != tt.want {
			t.Errorf("by %q since %d: %s, want %s", tt.by, tt.since, all, tt.want)
		}
	}
}

// The stream of adjustments stays readable when its entries are archived, and a replay without
// the archive goes on from it.
func TestAdjustmentsOfAnArchive(t *testing.T) {
	c := newArchiveFixture(t, 2, 40, 20_000)
	limit := func(store *eventstore.Store, version eventstore.Version, l domain.Credits) eventstore.Position {
		t.Helper()
		r, err := store.Append(t.Context(), eventstore.Append{Time: time.Now(), Actor: "operator", Cause: eventstore.Command{ID: fmt.Sprint("limits", version)}.Cause(),
			Writes: []eventstore.Write{{Stream: eventstore.AdjustmentsStream, Expected: version,
				Events: []domain.Event{domain.AdjustmentLimitsSet{AdjustmentLimits: domain.AdjustmentLimits{FourEyesAbove: l}}}}}})
		must(t, err)
		return r.Position()
	}
	if at := limit(c.store, 0, domain.MaxAmount); at > 40 {
		t.Fatalf("the limits are at position %d, which is not archived", at)
	}
	c.run(t, 60)
	must(t, c.workload.EndOpen(t.Context(), c.store))
	must(t, c.views.CatchUp(t.Context()))
	c.archived(t, c.archiving(t), 40)
	limit(c.newStore(t), 1, domain.MaxAmount-1)
	must(t, c.views.CatchUp(t.Context()))
	for name, files := range map[string]*audit.Archives{"without": nil, "with": c.archives(t)} {
		if _, err := c.verifyWith(t, files, nil); err != nil {
			t.Errorf("%s the archive: %v", name, err)
		}
	}
}
