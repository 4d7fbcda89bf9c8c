package projectionstest

import (
	"context"
	"encoding/base64"
	"fmt"
	"testing"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/projections"
)

// pager gives one page of a list.
type pager[T any] func(projections.PageQuery) (projections.Page[T], error)

func usersOf(ctx context.Context, form Form) pager[projections.User] {
	return func(q projections.PageQuery) (projections.Page[projections.User], error) {
		return plain(form.Users(ctx, q, 0))
	}
}

func transactionsOf(ctx context.Context, form Form, u domain.UserID, filter projections.TransactionType) pager[projections.Transaction] {
	return func(q projections.PageQuery) (projections.Page[projections.Transaction], error) {
		return plain(form.Transactions(ctx, u, projections.TransactionQuery{PageQuery: q, Type: filter}, 0))
	}
}

func predictionsOf(ctx context.Context, form Form, u domain.UserID, filter domain.PredictionState) pager[projections.Prediction] {
	return func(q projections.PageQuery) (projections.Page[projections.Prediction], error) {
		return plain(form.Predictions(ctx, u, projections.PredictionQuery{PageQuery: q, State: filter}, 0))
	}
}

// walk reads a list from its first page to its last, in pages of the size. It
// insists that every page but the last is full, and that the last is not empty,
// unless it is the only one.
func walk[T any](next pager[T], size int) (list []T, err error) {
	full := min(max(size, 1), projections.MaxPage)
	q := projections.PageQuery{Limit: size}
	for n := 0; ; n++ {
		page, err := next(q)
		switch {
		case err != nil:
			return nil, err
		case page.Items == nil:
			return nil, fmt.Errorf("page %d has no list, which an empty one is", n)
		case len(page.Items) > full || page.Next != "" && len(page.Items) < full:
			return nil, fmt.Errorf("page %d of size %d has %d items, and a next one %t", n, size, len(page.Items), page.Next != "")
		case n > 0 && len(page.Items) == 0:
			return nil, fmt.Errorf("page %d is empty, and the one before spoke of it", n)
		}
		list = append(list, page.Items...)
		if page.Next == "" {
			return list, nil
		}
		q.Cursor = page.Next
	}
}

// transactionsBothWays walks a person's lines forth by Next, and from each page back by Previous,
// and counts them, within any two positions.
func transactionsBothWays(t *testing.T, form Form, u domain.UserID, all []projections.Transaction) {
	t.Helper()
	ctx := t.Context()
	for _, within := range [][2]int{{0, len(all)}, {1, len(all) - 2}, {len(all) / 2, len(all)}, {3, 3}} {
		for _, kind := range append([]projections.TransactionType{""}, projections.TransactionTypes...) {
			q := projections.TransactionQuery{PageQuery: projections.PageQuery{Limit: 4}, Type: kind}
			if within[0] > 0 {
				q.UpTo = all[within[0]].Position // lists are the newest first
			}
			if within[1] < len(all) {
				q.Since = all[within[1]].Position
			}
			want := []projections.Transaction{}
			for _, line := range all[within[0]:within[1]] {
				if kind == "" || line.Type == kind {
					want = append(want, line)
				}
			}
			what := fmt.Sprintf("%q of %s behind %d up to %d", kind, u, q.Since, q.UpTo)
			if n, err := form.CountTransactions(ctx, u, q, 1000); err != nil || n != len(want) {
				t.Fatalf("%s: %d are counted of %d, %v", what, n, len(want), err)
			}
			if n, err := form.CountTransactions(ctx, u, q, 2); err != nil || n != min(2, len(want)) {
				t.Fatalf("%s: of at most 2 %d are counted, %v", what, n, err)
			}
			for from := 0; ; from += 4 {
				page, _, err := form.Transactions(ctx, u, q, 0)
				answer(t, what, want[from:min(from+4, len(want))])(page.Items, err)
				if (page.Next == "") != (from+4 >= len(want)) || (page.Previous == "") != (from == 0) {
					t.Fatalf("%s: the page from %d has the next %q and the previous %q", what, from, page.Next, page.Previous)
				}
				if from > 0 {
					back := q
					back.Cursor = page.Previous
					before, _, err := form.Transactions(ctx, u, back, 0)
					answer(t, what+", back", want[from-4:from])(before.Items, err)
					if (before.Previous == "") != (from == 4) || before.Next == "" {
						t.Fatalf("%s: the page before %d has the next %q and the previous %q", what, from, before.Next, before.Previous)
					}
				}
				if q.Cursor = page.Next; q.Cursor == "" {
					break
				}
			}
		}
	}
}

var states = append([]domain.PredictionState{""}, domain.PredictionStates...)

// pages walks every list with every filter, in pages of sizes that divide it, that
// do not, and that are out of bounds.
func pages(t *testing.T, log *Log, form Form) {
	log.live(t, eventstoretest.NewWorkload(7, 3), 80)
	story := newStory(t, log)
	story.signUp("u_new") // a user with one line, and no prediction
	catchUp(t, log, form)
	ctx, r := t.Context(), reckoning(log.all())
	for _, size := range []int{-1, 0, 1, 2, 7, 20, projections.MaxPage, projections.MaxPage + 1} {
		answer(t, "users", r.users())(walk(usersOf(ctx, form), size))
		for _, u := range r.users() {
			if all := r.transactions(u.ID); size == 7 && len(all) > 5 {
				transactionsBothWays(t, form, u.ID, all)
			}
			for _, filter := range append([]projections.TransactionType{"", "none of them"}, projections.TransactionTypes...) {
				var want []projections.Transaction
				for _, line := range r.transactions(u.ID) {
					if filter == "" || line.Type == filter {
						want = append(want, line)
					}
				}
				answer(t, fmt.Sprintf("%q of %s by %d", filter, u.ID, size), want)(walk(transactionsOf(ctx, form, u.ID, filter), size))
			}
			for _, filter := range states {
				var want []projections.Prediction
				for _, p := range r.questions(u.ID) {
					if filter == "" || p.State == filter {
						want = append(want, p)
					}
				}
				answer(t, fmt.Sprintf("%q of %s by %d", filter, u.ID, size), want)(walk(predictionsOf(ctx, form, u.ID, filter), size))
			}
		}
	}
	if n := len(r.transactions(r.users()[1].ID)); n <= projections.MaxPage {
		t.Fatalf("no list of this test is longer than a page: %d lines", n)
	}
}

// growingPages reads a page, lets the log grow, and goes on by the page's cursor:
// what is new is before the first page and moves nothing.
func growingPages(t *testing.T, log *Log, form Form) {
	story := newStory(t, log)
	story.signUp("u_ada")
	for range 5 {
		story.deposit("u_ada", 3)
	}
	catchUp(t, log, form)
	before := reckoning(log.all()).transactions("u_ada")
	next := transactionsOf(t.Context(), form, "u_ada", "")
	var seen []projections.Transaction
	q := projections.PageQuery{Limit: 2}
	for {
		page, err := next(q)
		must(t, err)
		if seen = append(seen, page.Items...); page.Next == "" {
			break
		}
		q.Cursor = page.Next
		story.deposit("u_ada", 4)
		story.signUp(domain.UserID(fmt.Sprintf("u_%d", len(seen))))
		catchUp(t, log, form)
	}
	answer(t, "what was there at the first page", before)(seen, nil)

	// A cursor is a place in the log, whatever the filter.
	page, err := next(projections.PageQuery{Limit: 2})
	must(t, err)
	charges, err := transactionsOf(t.Context(), form, "u_ada", projections.Bonus)(projections.PageQuery{Limit: 2, Cursor: page.Next})
	if err != nil || len(charges.Items) != 1 || charges.Next != "" {
		t.Fatalf("the bonus behind the cursor of another filter: %+v, %v", charges, err)
	}
}

func badCursors(t *testing.T, log *Log, form Form) {
	story := newStory(t, log)
	story.signUp("u_ada")
	story.deposit("u_ada", 3)
	catchUp(t, log, form)
	ctx := t.Context()
	good, err := transactionsOf(ctx, form, "u_ada", "")(projections.PageQuery{Limit: 1})
	if err != nil || good.Next == "" {
		t.Fatalf("the first page is %+v, %v", good, err)
	}
	in := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for _, cursor := range []string{"x", "!", "5", " ", in("p"), in("p0"), in("p-1"), in("px"), in("5"), in("p+5"), in("p05"), in("p5 "),
		in("p9223372036854775808"), in("q5"), good.Next + "=", good.Next + "\n", good.Next + "AAAA", good.Next[:len(good.Next)-1]} {
		q := projections.PageQuery{Limit: 1, Cursor: cursor}
		what := fmt.Sprintf("cursor %q", cursor)
		refuses[projections.Page[projections.Transaction]](t, what, projections.ErrBadCursor)(transactionsOf(ctx, form, "u_ada", "")(q))
		refuses[projections.Page[projections.Transaction]](t, what, projections.ErrBadCursor)(transactionsOf(ctx, form, "u_ada", projections.Deposit)(q))
		refuses[projections.Page[projections.Prediction]](t, what, projections.ErrBadCursor)(predictionsOf(ctx, form, "u_ada", "")(q))
		refuses[projections.Page[projections.Prediction]](t, what, projections.ErrBadCursor)(predictionsOf(ctx, form, "u_ada", domain.StateHeld)(q))
		refuses[projections.Page[projections.User]](t, what, projections.ErrBadCursor)(usersOf(ctx, form)(q))
	}
	if rest, err := transactionsOf(ctx, form, "u_ada", "")(projections.PageQuery{Limit: 1, Cursor: good.Next}); err != nil || len(rest.Items) != 1 {
		t.Fatalf("a good cursor gave %+v, %v", rest, err)
	}
}

func ownership(t *testing.T, log *Log, form Form) {
	story := newStory(t, log)
	story.signUp("u_ada")
	story.signUp("u_bob")
	story.ask("u_ada", "p_1", 0)
	catchUp(t, log, form)
	ctx := t.Context()
	if p, _, err := form.Prediction(ctx, "u_ada", "p_1", 0); err != nil || p.User != "u_ada" {
		t.Fatalf("one's own prediction is %+v, %v", p, err)
	}
	named := []domain.PredictionID{"p_2", "p_1", "p_1", ""}
	answer(t, "one's own questions", map[domain.PredictionID]domain.Sealed{"p_1": log.all()[len(log.all())-1].Event.(domain.PredictionRequested).Text})(
		form.Questions(ctx, "u_ada", named))
	for _, u := range []domain.UserID{"u_bob", "u_nobody", ""} {
		answer(t, "another's questions", map[domain.PredictionID]domain.Sealed{})(form.Questions(ctx, u, named))
	}
	for _, tt := range []struct {
		user domain.UserID
		id   domain.PredictionID
	}{{"u_bob", "p_1"}, {"u_nobody", "p_1"}, {"", "p_1"}, {"u_ada", "p_2"}, {"u_ada", ""}} {
		refuses[projections.Prediction](t, fmt.Sprint(tt), projections.ErrNotFound)(plain(form.Prediction(ctx, tt.user, tt.id, 0)))
	}
	answer(t, "bob's predictions", projections.Page[projections.Prediction]{Items: []projections.Prediction{}})(
		plain(form.Predictions(ctx, "u_bob", projections.PredictionQuery{}, 0)))
	for _, u := range []domain.UserID{"u_nobody", "", "u_ad", "U_ADA"} {
		nothingOf(t, form, u)
	}
}

// nothingOf insists that every question about the person is answered with
// ErrNotFound.
func nothingOf(t *testing.T, form Form, u domain.UserID) {
	t.Helper()
	ctx, what := t.Context(), "of "+string(u)
	refuses[projections.Balance](t, what, projections.ErrNotFound)(plain(form.Balance(ctx, u, 0)))
	refuses[projections.User](t, what, projections.ErrNotFound)(plain(form.User(ctx, u, 0)))
	refuses[projections.Page[projections.Transaction]](t, what, projections.ErrNotFound)(plain(form.Transactions(ctx, u, projections.TransactionQuery{}, 0)))
	refuses[projections.Page[projections.Transaction]](t, what, projections.ErrNotFound)(plain(form.Transactions(ctx, u, projections.TransactionQuery{Type: projections.Deposit}, 0)))
	refuses[projections.Page[projections.Prediction]](t, what, projections.ErrNotFound)(plain(form.Predictions(ctx, u, projections.PredictionQuery{}, 0)))
	refuses[projections.Prediction](t, what, projections.ErrNotFound)(plain(form.Prediction(ctx, u, "p_1", 0)))
}

func emptyLog(t *testing.T, log *Log, form Form) {
	ctx := t.Context()
	must(t, form.CatchUp(ctx))
	must(t, form.Wait(ctx, 0))
	answer(t, "position", eventstore.Position(0))(form.Position(ctx))
	answer(t, "trial balance", projections.Trial{Accounts: map[domain.LedgerAccount]domain.Credits{}})(form.Trial(ctx, 0))
	answer(t, "users", projections.Page[projections.User]{Items: []projections.User{}})(plain(form.Users(ctx, projections.PageQuery{Limit: 5}, 0)))
	nothingOf(t, form, "u_ada")
	if held, err := form.OpenHolds(ctx, noon.AddDate(100, 0, 0), 10); err != nil || len(held) != 0 {
		t.Fatalf("open holds are %+v, %v", held, err)
	}
	compare(t, log, form)
}
