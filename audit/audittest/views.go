package audittest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
)

// Replaying returns views of an empty log, and the check that folds a log into them
// while audit.Verify proves it.
func Replaying() (*projections.Memory, audit.Check) {
	views := projections.NewMemory()
	return views, func(rec eventstore.Recorded) error {
		return views.Apply([]eventstore.Recorded{rec})
	}
}

// mostBehind is how long views may take to come to where those that they are compared with are.
const mostBehind = 30 * time.Second

// CompareViews reports whether two implementations of the views return the same at the
// position of want: every user, every line of both histories, the trial balance, and what is counted by day. So
// served views are compared with a replay.
func CompareViews(ctx context.Context, got, want projections.Views) error {
	ctx, cancel := context.WithTimeout(ctx, mostBehind)
	defer cancel()
	at, err := want.Position(ctx)
	if err != nil {
		return fmt.Errorf("read to where the views are compared: %w", err)
	}
	_, err = same("trial balance", got, want, func(v projections.Views) (projections.Trial, error) { return v.Trial(ctx, at) })
	if err != nil {
		return err
	}
	_, err = same("figures of days", got, want, func(v projections.Views) (projections.Course, error) {
		course, _, err := v.Days(ctx, 0, 30000, at)
		return course, err
	})
	if err != nil {
		return err
	}
	_, err = same("list of refunds", got, want, func(v projections.Views) ([]projections.Refunder, error) {
		list, err := v.Refunders(ctx, 0, 1000)
		return append([]projections.Refunder(nil), list...), err // none is nil
	})
	if err != nil {
		return err
	}
	actions := func(v projections.Views, q projections.PageQuery) (projections.Page[projections.Action], error) {
		found, _, err := v.Actions(ctx, projections.ActionQuery{PageQuery: q}, at)
		return found, err
	}
	if err := samePages("actions", got, want, actions, nil); err != nil {
		return err
	}
	users := func(v projections.Views, q projections.PageQuery) (projections.Page[projections.User], error) {
		found, _, err := v.Users(ctx, q, at)
		return found, err
	}
	return samePages("page of users", got, want, users, func(u projections.User) error { return compareHistories(ctx, got, want, u.ID, at) })
}

func compareHistories(ctx context.Context, got, want projections.Views, u domain.UserID, at eventstore.Position) error {
	transactions := func(v projections.Views, q projections.PageQuery) (projections.Page[projections.Transaction], error) {
		found, _, err := v.Transactions(ctx, u, projections.TransactionQuery{PageQuery: q}, at)
		return found, err
	}
	predictions := func(v projections.Views, q projections.PageQuery) (projections.Page[projections.Prediction], error) {
		found, _, err := v.Predictions(ctx, u, projections.PredictionQuery{PageQuery: q}, at)
		return found, err
	}
	if err := samePages("transactions of "+string(u), got, want, transactions, nil); err != nil {
		return err
	}
	return samePages("predictions of "+string(u), got, want, predictions, nil)
}

// samePages compares a whole list. It calls each, unless it is nil, for every line,
// also of a page that differs.
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

// same reads both and compares. It returns the expected value, also where they differ.
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
