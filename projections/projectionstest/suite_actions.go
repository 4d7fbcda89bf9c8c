package projectionstest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
)

// actionsAreListed is about what admins and the operator do, and what is no action.
func actionsAreListed(t *testing.T, log *Log, form Form) {
	var want []projections.Action // the oldest first
	now := noon
	add := func(actor string, stream eventstore.Stream, e domain.Event) projections.Action {
		now = now.Add(6 * time.Hour)
		rec := log.add(t, eventstore.Append{Time: now, Actor: actor, Writes: []eventstore.Write{{Stream: stream, Events: []domain.Event{e}}}})[0]
		if len(log.all())%3 == 0 {
			catchUp(t, log, form)
		}
		return projections.Action{Position: rec.Position, At: now, Type: e.Type(), User: e.Subject()}
	}
	ada := eventstore.AccountStream("u_ada")
	did := func(actor string, stream eventstore.Stream, e domain.Event, set func(*projections.Action)) {
		a := add(actor, stream, e)
		set(&a)
		want = append(want, a)
	}
	const boss, operator = "user:u_boss", "operator"
	byBoss := func(reason, reference string) func(*projections.Action) {
		return func(a *projections.Action) { a.Admin, a.Reason, a.Reference = "u_boss", reason, reference }
	}
	add("system:story", ada, domain.SignedUp{User: "u_ada", Email: domain.Sealed{1}})
	add("user:u_ada", ada, domain.ErasureRequested{User: "u_ada", Bought: domain.ForfeitCredits, DueAt: noon.AddDate(1, 0, 0)}) // her own
	add("user:u_ada", ada, domain.ErasureCancelled{User: "u_ada"})
	did(boss, ada, domain.AccountLocked{User: "u_ada", Order: domain.Order{Admin: "u_boss", Reason: "Потерян ТЕЛЕФОН"}}, byBoss("Потерян ТЕЛЕФОН", ""))
	did(operator, ada, domain.AccountUnlocked{User: "u_ada", Order: domain.Order{By: "Olga"}}, func(a *projections.Action) { a.Operator = "Olga" })
	did(boss, ada, domain.RoleGranted{User: "u_ada", Role: domain.AuditorRole, Order: domain.Order{Admin: "u_boss", Reason: "the audit"}},
		func(a *projections.Action) { byBoss("the audit", "")(a); a.Role = domain.AuditorRole })
	did(operator, eventstore.AdjustmentsStream, domain.AdjustmentLimitsSet{AdjustmentLimits: domain.AdjustmentLimits{FourEyesAbove: 50}}, func(a *projections.Action) { a.Amount = 50 })
	add(boss, eventstore.AdjustmentsStream, domain.AdjustmentCounted{User: "u_boss", Amount: 70, Used: 70})
	did(boss, eventstore.AdjustmentsStream, domain.AdjustmentProposed{User: "u_ada", Proposal: "adj_1", Admin: "u_boss", Amount: 70, Reason: "paid twice", Reference: "T-1", ExpiresAt: noon.AddDate(1, 0, 0)},
		func(a *projections.Action) { byBoss("paid twice", "T-1")(a); a.Amount = 70 })
	did("user:u_eve", eventstore.AdjustmentsStream, domain.AdjustmentApproved{User: "u_ada", Proposal: "adj_1", Admin: "u_eve", Reason: "checked"},
		func(a *projections.Action) { a.Admin, a.Reason = "u_eve", "checked" })
	did(boss, ada, domain.ErasureRequested{User: "u_ada", Admin: "u_boss", Reason: "a letter", Bought: domain.ForfeitCredits, DueAt: noon.AddDate(1, 0, 0)}, byBoss("a letter", ""))
	catchUp(t, log, form)

	slices.Reverse(want)
	for _, tt := range []struct {
		q    projections.ActionQuery
		keep func(projections.Action) bool
	}{
		{projections.ActionQuery{}, func(projections.Action) bool { return true }},
		{projections.ActionQuery{By: "u_boss"}, func(a projections.Action) bool { return a.Admin == "u_boss" }},
		{projections.ActionQuery{By: "Olga"}, func(a projections.Action) bool { return a.Operator == "Olga" }},
		{projections.ActionQuery{Type: domain.TypeAccountLocked}, func(a projections.Action) bool { return a.Type == domain.TypeAccountLocked }},
		{projections.ActionQuery{User: "u_ada"}, func(a projections.Action) bool { return a.User == "u_ada" }},
		{projections.ActionQuery{Text: "телефон"}, func(a projections.Action) bool { return a.Type == domain.TypeAccountLocked }},
		{projections.ActionQuery{Text: "t-1"}, func(a projections.Action) bool { return a.Reference == "T-1" }},
		{projections.ActionQuery{Text: "nothing like it"}, func(projections.Action) bool { return false }},
		{projections.ActionQuery{From: want[3].At, Until: want[1].At}, func(a projections.Action) bool { return !a.At.Before(want[3].At) && a.At.Before(want[1].At) }},
	} {
		var chosen []projections.Action
		for _, a := range want {
			if tt.keep(a) {
				chosen = append(chosen, a)
			}
		}
		for _, size := range []int{1, 2, 3, 100} {
			t.Run(fmt.Sprintf("%+v, %d a page", tt.q, size), func(t *testing.T) { pagesOfActions(t, form, tt.q, size, chosen) })
		}
	}
	_, _, err := form.Actions(t.Context(), projections.ActionQuery{PageQuery: projections.PageQuery{Cursor: "x", Limit: 1}}, 0)
	refuses[struct{}](t, "a bad cursor", projections.ErrBadCursor)(struct{}{}, err)
}

// pagesOfActions goes through a list to its end and back.
func pagesOfActions(t *testing.T, form Form, q projections.ActionQuery, size int, want []projections.Action) {
	t.Helper()
	q.Limit = size
	var pages [][]projections.Action
	var back string
	for {
		page, _, err := form.Actions(t.Context(), q, 0)
		must(t, err)
		pages, back = append(pages, page.Items), page.Previous
		if page.Next == "" {
			break
		}
		q.Cursor = page.Next
	}
	answer(t, "actions", append([]projections.Action(nil), want...))(append([]projections.Action(nil), slices.Concat(pages...)...), nil)
	for i := len(pages) - 2; i >= 0; i-- {
		q.Cursor = back
		page, _, err := form.Actions(t.Context(), q, 0)
		answer(t, "actions on the way back", pages[i])(page.Items, err)
		back = page.Previous
	}
	if back != "" {
		t.Errorf("the first page has one before it")
	}
}
