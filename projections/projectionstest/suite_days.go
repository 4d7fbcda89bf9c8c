package projectionstest

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
)

// days counts again what each day saw, question by question.
func (r reckoning) days(from projections.Date, n int) (days []map[projections.Measure]int64, took [][]time.Duration, before [2]domain.Credits) {
	days, took = make([]map[projections.Measure]int64, n), make([][]time.Duration, n)
	for i := range days {
		days[i] = map[projections.Measure]int64{}
	}
	add := func(at time.Time, m projections.Measure, amount int64) {
		if i := int(projections.DateOf(at) - from); !at.IsZero() && i >= 0 && i < n {
			days[i][m] += amount
		}
	}
	for _, u := range r.users() {
		add(u.SignedUpAt, projections.SignUps, 1)
		for _, p := range r.predictions(u.ID) {
			if i := int(projections.DateOf(p.EndedAt) - from); p.Movies != nil && i >= 0 && i < n {
				took[i] = append(took[i], p.EndedAt.Sub(p.RequestedAt))
			}
			failed := p.State == domain.StateExpired || p.Failure != "" && p.Failure != domain.FailedNotFound
			if p.FollowUpOf != "" {
				add(p.RequestedAt, projections.FollowUpsAsked, 1)
				add(p.ConfirmedAt, projections.FoundRefined, 1)
				if failed {
					add(p.EndedAt, projections.FollowUpsFailed, 1)
				}
				continue
			}
			add(p.RequestedAt, projections.QuestionsAsked, 1)
			add(p.ConfirmedAt, projections.FoundAtOnce, 1)
			add(p.RefundedAt, projections.Refunded, 1)
			switch {
			case p.State == domain.StateExpired:
				add(p.EndedAt, projections.Expired, 1)
			case failed:
				add(p.EndedAt, projections.Failed, 1)
			case p.Failure != "":
				add(p.EndedAt, projections.NotFound, 1)
			default:
				add(p.EndedAt, projections.Answered, 1)
			}
		}
	}
	for _, rec := range r {
		switch e := rec.Event.(type) {
		case domain.Deposited:
			add(rec.Time, projections.Deposits, 1)
			add(rec.Time, projections.CreditsIn, int64(e.Amount))
		case domain.Withdrawn:
			add(rec.Time, projections.Withdrawals, 1)
			add(rec.Time, projections.CreditsOut, int64(e.Amount))
		}
		e, ok := rec.Event.(domain.MoneyEvent)
		if !ok {
			continue
		}
		u := rec.Event.Subject()
		bought := e.Money().Amount(domain.AvailableOf(u)) + e.Money().Amount(domain.HeldOf(u))
		given := e.Money().Amount(domain.GivenOf(u)) + e.Money().Amount(domain.GivenHeldOf(u))
		if projections.DateOf(rec.Time) < from {
			before[0], before[1] = before[0]+bought, before[1]+given
		}
		add(rec.Time, projections.BoughtChange, int64(bought))
		add(rec.Time, projections.GivenChange, int64(given))
	}
	return days, took, before
}

// refunders counts those whose refund is behind a position.
func (r reckoning) refunders(since eventstore.Position, limit int) (list []projections.Refunder) {
	for _, u := range r.users() {
		one := projections.Refunder{User: u.ID}
		for _, p := range r.predictions(u.ID) {
			if p.RefundPosition > since {
				one.Refunds, one.Last = one.Refunds+1, max(one.Last, p.RefundPosition)
			}
		}
		if one.Refunds > 0 {
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b projections.Refunder) int {
		if a.Refunds != b.Refunds {
			return b.Refunds - a.Refunds
		}
		return int(b.Last - a.Last)
	})
	return list[:min(limit, len(list))]
}

// compareDays compares the figures of some days, and who was refunded.
func compareDays(t *testing.T, r reckoning, views projections.Views) {
	t.Helper()
	const n = 4
	ctx, from := t.Context(), projections.DateOf(noon)-1
	for _, from := range []projections.Date{from, from + 2} {
		course, _, err := views.Days(ctx, from, n, 0)
		must(t, err)
		days, took, before := r.days(from, n)
		if course.Bought != before[0] || course.Given != before[1] || len(course.Days) != n {
			t.Fatalf("before %s: %d bought and %d given, then %d days; want %v and %d", from, course.Bought, course.Given, len(course.Days), before, n)
		}
		for i, day := range course.Days {
			for _, m := range projections.Measures {
				if day.Of(m) != days[i][m] {
					t.Fatalf("%s on %s: %d, want %d", m, day.Date, day.Of(m), days[i][m])
				}
			}
			compareTimes(t, day.Figures, took[i])
			alone, err := views.Day(ctx, day.Date)
			must(t, err)
			if !reflect.DeepEqual(alone, day.Figures) {
				t.Fatalf("%s alone is %+v, among others %+v", day.Date, alone, day.Figures)
			}
		}
	}
	for _, since := range []eventstore.Position{0, eventstore.Position(len(r) / 2)} {
		for _, limit := range []int{1, 100} {
			got, err := views.Refunders(context.WithoutCancel(ctx), since, limit)
			answer(t, "refunders", r.refunders(since, limit))(append([]projections.Refunder(nil), got...), err)
		}
	}
}

// compareTimes compares quantiles with those of all times in order.
func compareTimes(t *testing.T, f projections.Figures, all []time.Duration) {
	t.Helper()
	slices.Sort(all)
	for share, i := range map[float64]int{0: 0, 0.5: (len(all) - 1) / 2, 1: len(all) - 1} {
		got, ok := f.Quantile(share)
		if ok != (len(all) > 0) {
			t.Fatalf("a quantile of %d times: %s, %t", len(all), got, ok)
		}
		if ok && (got < all[i] || float64(got) > max(1.13*float64(all[i]), float64(time.Millisecond))) {
			t.Fatalf("the quantile %g is %s, and of all times it is %s", share, got, all[i])
		}
	}
}

// daysAreCounted is about questions over midnight, conversations, and what came before.
func daysAreCounted(t *testing.T, log *Log, form Form) {
	s := newStory(t, log)
	midnight := noon.Add(12 * time.Hour)
	s.signUp("u_ada")
	s.signUp("u_bob")
	s.deposit("u_ada", 100)
	s.now = midnight.Add(-90 * time.Second)
	for _, id := range []domain.PredictionID{"p_once", "p_refined", "p_none", "p_failed", "p_refunded", "p_late"} {
		s.ask("u_ada", id, 24*time.Hour)
	}
	catchUp(t, log, form) // so that what follows is of questions from before
	s.now = midnight.Add(-time.Second / 2)
	s.complete("u_ada", "p_once") // half a second behind midnight
	s.complete("u_ada", "p_refined")
	s.refine("u_ada", "p_refined", "p_more", "jaws-1975")
	s.complete("u_ada", "p_refunded")
	catchUp(t, log, form)
	s.complete("u_ada", "p_more")
	s.refine("u_ada", "p_more", "p_lost")
	catchUp(t, log, form)
	s.apply("u_ada", func(a domain.Account) ([]domain.Event, error) { return a.Fail("p_lost", domain.FailedWorker) })
	s.apply("u_ada", func(a domain.Account) ([]domain.Event, error) { return a.Fail("p_none", domain.FailedNotFound) })
	s.fail("u_ada", "p_failed")
	s.apply("u_ada", func(a domain.Account) ([]domain.Event, error) { return a.Expire("p_late", noon.Add(25*time.Hour)) })
	catchUp(t, log, form)
	confirm := func(id domain.PredictionID) {
		s.apply("u_ada", func(a domain.Account) ([]domain.Event, error) { return a.Confirm(id, "orca-1977", s.now) })
	}
	confirm("p_once")
	confirm("p_more")
	s.refund("u_ada", "p_refunded")
	s.apply("u_ada", func(a domain.Account) ([]domain.Event, error) { return a.Withdraw(5, "till", "pay") })
	catchUp(t, log, form)
	compare(t, log, form)

	course, _, err := form.Days(t.Context(), projections.DateOf(noon), 2, 0)
	must(t, err)
	for i, want := range []map[projections.Measure]int64{
		{projections.SignUps: 2, projections.Deposits: 1, projections.CreditsIn: 100, projections.QuestionsAsked: 6, projections.BoughtChange: 100, projections.GivenChange: 20},
		{projections.Answered: 3, projections.FoundAtOnce: 1, projections.FoundRefined: 1, projections.NotFound: 1, projections.Failed: 1, projections.Expired: 1, projections.Refunded: 1,
			projections.FollowUpsAsked: 2, projections.FollowUpsFailed: 1, projections.Withdrawals: 1, projections.CreditsOut: 5},
	} {
		got := maps.Clone(course.Days[i].Sums)
		if i == 1 { // which credits an answer takes is of another test
			delete(got, projections.BoughtChange)
			delete(got, projections.GivenChange)
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", course.Days[i].Date, got, want)
		}
	}
	if at := course.Days[1].Date.String(); at != "2026-03-02" {
		t.Errorf("the second day is %s", at)
	}
	if took, ok := course.Days[1].Quantile(0.95); !ok || took < 85*time.Second || took > 102*time.Second {
		t.Errorf("answers that took 90 seconds at most took %s, %t", took, ok)
	}
}
