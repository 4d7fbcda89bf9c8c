// Package projectionstest holds the suite that every form of the views passes.
package projectionstest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
)

// Form is one form of the views: what can be asked of it, and how it follows the log.
type Form interface {
	projections.Views
	// CatchUp applies everything that the log holds behind the views' position.
	CatchUp(ctx context.Context) error
	// Run does so whenever the log has grown, until ctx ends or the ledger is broken.
	Run(ctx context.Context) error
}

// Open gives views that hold nothing yet, over the log. The test closes nothing:
// that is left to a clean-up of Open.
type Open func(t *testing.T, log *Log) Form

// Suite proves that a form shows what the log has, and keeps the promises of
// projections.Views. Every test opens a form of its own.
func Suite(t *testing.T, open Open) {
	for _, tt := range []struct {
		name string
		run  func(*testing.T, *Log, Form)
	}{
		{"an empty log shows nothing", emptyLog},
		{"every event shows as it should", everyEvent},
		{"a captured charge is one line, a released or expired one two", lines},
		{"a random life shows what the whole log says", randomLife},
		{"every page of every list, of every size", pages},
		{"pages hold still while the log grows", growingPages},
		{"cursors that no page gave", badCursors},
		{"what is another's is not found", ownership},
		{"Wait", waits},
		{"Ended waits and wakes", endings},
		{"every read gives its position, and is at least at the one that it is asked for", positions},
		{"open holds come in the order of their expiry", holds},
		{"what is counted by day", daysAreCounted},
		{"what admins and the operator did", actionsAreListed},
		{"a log that is read in pieces of any size", anyPieces},
		{"several who catch up at once", manyAtOnce},
		{"Run follows the log until it is stopped", runs},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := newLog()
			tt.run(t, log, open(t, log))
		})
	}
	for _, b := range broken {
		t.Run("a broken fact stops the views: "+b.what, func(t *testing.T) {
			log := newLog()
			brokenFact(t, log, open(t, log), b.fact)
		})
	}
}

// catchUp applies everything that the log has.
func catchUp(t *testing.T, log *Log, form Form) {
	t.Helper()
	must(t, form.CatchUp(t.Context()))
	at, err := form.Position(t.Context())
	if err != nil || int(at) != len(log.all()) {
		t.Fatalf("the views stand at position %d of %d, %v", at, len(log.all()), err)
	}
}

// answer insists on what a query answers.
func answer[T any](t *testing.T, what string, want T) func(got T, err error) {
	return func(got T, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s:\n got %+v, %v\nwant %+v", what, got, err, want)
		}
	}
}

// refuses insists on an error.
func refuses[T any](t *testing.T, what string, want error) func(got T, err error) {
	return func(got T, err error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Fatalf("%s: got %+v, %v; want %v", what, got, err, want)
		}
	}
}

// plain leaves out the position that a read gives; that is a test of its own.
func plain[T any](got T, _ eventstore.Position, err error) (T, error) { return got, err }

// compare asks everything, and holds it against the reckoning.
func compare(t *testing.T, log *Log, form Form) {
	t.Helper()
	ctx, r := t.Context(), reckoning(log.all())
	answer(t, "position", eventstore.Position(len(r)))(form.Position(ctx))
	answer(t, "trial balance", r.trial())(form.Trial(ctx, 0))
	users := r.users()
	answer(t, "users", users)(walk(usersOf(ctx, form), projections.MaxPage))
	for _, u := range users {
		answer(t, "user "+string(u.ID), u)(plain(form.User(ctx, u.ID, 0)))
		answer(t, "balance of "+string(u.ID), u.Balance)(plain(form.Balance(ctx, u.ID, 0)))
		answer(t, "predictions of "+string(u.ID), r.questions(u.ID))(walk(predictionsOf(ctx, form, u.ID, ""), projections.MaxPage))
		answer(t, "follow-ups of "+string(u.ID), r.followUps(u.ID))(form.FollowUps(ctx, u.ID, r.ids(u.ID), 0))
		for _, p := range r.predictions(u.ID) {
			answer(t, "prediction "+string(p.ID), p)(plain(form.Prediction(ctx, u.ID, p.ID, 0)))
		}
		lines, err := walk(transactionsOf(ctx, form, u.ID, ""), projections.MaxPage)
		answer(t, "transactions of "+string(u.ID), r.transactions(u.ID))(lines, err)
		checkLines(t, lines, u.Balance)
	}
	compareDays(t, r, form)
	for _, before := range []time.Time{noon, noon.Add(1000 * time.Hour)} {
		for _, limit := range []int{1, 1000} {
			held, err := form.OpenHolds(ctx, before, limit)
			answer(t, "open holds", r.openHolds(before, limit))(append([]projections.Prediction(nil), held...), err) // none is nil
		}
	}
}

// checkLines sums a wallet's lines up: each states the sum up to it, and all
// together are the balance.
func checkLines(t *testing.T, lines []projections.Transaction, b projections.Balance) {
	t.Helper()
	var sum domain.Credits
	for _, line := range slices.Backward(lines) {
		if sum += line.Amount; line.BalanceAfter != sum {
			t.Fatalf("the line at position %d says %d after it, the sum is %d", line.Position, line.BalanceAfter, sum)
		}
	}
	if sum != b.Available {
		t.Fatalf("the lines of %s sum to %d, the balance is %d", b.User, sum, b.Available)
	}
}
