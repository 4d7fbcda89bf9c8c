package audittest

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
)

// Replaying gives views of an empty log, and the check that folds a log into
// them while audit.Verify proves it.
func Replaying() (*projections.Memory, audit.Check) {
	views := projections.NewMemory()
	return views, func(rec eventstore.Recorded) error {
		return views.Apply([]eventstore.Recorded{rec})
	}
}

// CompareViews says whether two forms of the views, which must stand at the same
// position, show the same: every person, every line of both histories, and the
// trial balance. It is how live views are held against a replay.
func CompareViews(ctx context.Context, got, want projections.Views) error {
	_, err := same("trial balance", got, want, func(v projections.Views) (projections.Trial, error) { return v.Trial(ctx, 0) })
	if err != nil {
		return err
	}
	users := func(v projections.Views, q projections.PageQuery) (projections.Page[projections.User], error) {
		found, _, err := v.Users(ctx, q, 0)
		return found, err
	}
	return samePages("page of users", got, want, users, func(u projections.User) error { return compareHistories(ctx, got, want, u.ID) })
}

func compareHistories(ctx context.Context, got, want projections.Views, u domain.UserID) error {
	transactions := func(v projections.Views, q projections.PageQuery) (projections.Page[projections.Transaction], error) {
		found, _, err := v.Transactions(ctx, u, projections.TransactionQuery{PageQuery: q}, 0)
		return found, err
	}
	predictions := func(v projections.Views, q projections.PageQuery) (projections.Page[projections.Prediction], error) {
		found, _, err := v.Predictions(ctx, u, projections.PredictionQuery{PageQuery: q}, 0)
		return found, err
	}
	if err := samePages("transactions of "+string(u), got, want, transactions, nil); err != nil {
		return err
	}
	return samePages("predictions of "+string(u), got, want, predictions, nil)
}

// samePages compares a whole list, and calls each, unless it is nil, for every line
// of it, also of a page that differs.
func samePages[T any](what string, got, want projections.Views,
	read func(projections.Views, projections.PageQuery) (projections.Page[T], error), each func(T) error) error {
	q := projections.PageQuery{Limit: projections.MaxPage}
	for {
		page, err := same(what, got, want, func(v projections.Views) (projections.Page[T], error) { return read(v, q) })
		if each != nil {
			for _, line := range page.Items {
				err = errors.Join(err, each(line))
			}
		}
		if err != nil || page.Next == "" {
			return err
		}
		q.Cursor = page.Next
	}
}

// same asks both and compares. It gives what was wanted, also where they differ.
func same[T any](what string, got, want projections.Views, read func(projections.Views) (T, error)) (T, error) {
	var none T
	g, err := read(got)
	if err != nil {
		return none, fmt.Errorf("%s: %w", what, err)
	}
	w, err := read(want)
	if err != nil {
		return none, fmt.Errorf("%s: %w", what, err)
	}
	if !reflect.DeepEqual(g, w) {
		return w, fmt.Errorf("views differ in the %s:\n got %+v\nwant %+v", what, g, w)
	}
	return w, nil
}
