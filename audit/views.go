package audit

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
)

// Replaying gives views of an empty log, and the check that folds a log into
// them while Verify proves it.
func Replaying() (*projections.Memory, Check) {
	views := projections.NewMemory()
	return views, func(rec eventstore.Recorded) error {
		return views.Apply([]eventstore.Recorded{rec})
	}
}

// CompareTotals says whether views show the sums that Verify found. An error is a
// *Fault at the position of the head.
func CompareTotals(ctx context.Context, report Report, views projections.Views) error {
	trial, err := views.Trial(ctx)
	if err != nil {
		return err
	}
	at := report.Head.Size
	switch {
	case trial.Position != at:
		return fault(at, "the views stand at position %d", trial.Position)
	case trial.Available != report.Available || trial.Held != report.Held || trial.Users != report.Accounts:
		return fault(at, "the views say %d available, %d held, %d accounts; the log says %d, %d, %d",
			trial.Available, trial.Held, trial.Users, report.Available, report.Held, report.Accounts)
	case trial.Total() != 0:
		return fault(at, "the views' trial balance sums to %d", trial.Total())
	}
	for account, sum := range report.House {
		if trial.Accounts[account] != sum {
			return fault(at, "the views say %d for %s, the log says %d", trial.Accounts[account], account, sum)
		}
	}
	return nil
}

// CompareViews says whether two forms of the views, which must stand at the same
// position, show the same: every person, every line of both histories, and the
// trial balance. It is how live views are held against a replay.
func CompareViews(ctx context.Context, got, want projections.Views) error {
	if err := same(ctx, "trial balance", got.Trial, want.Trial); err != nil {
		return err
	}
	return eachPage(func(q projections.PageQuery) (string, error) {
		users, err := want.Users(ctx, q)
		if err != nil {
			return "", err
		}
		err = same(ctx, "page of users", func(ctx context.Context) (projections.Page[projections.User], error) {
			return got.Users(ctx, q)
		}, func(context.Context) (projections.Page[projections.User], error) { return users, nil })
		for _, u := range users.Items {
			err = errors.Join(err, compareHistories(ctx, got, want, u.ID))
		}
		return users.Next, err
	})
}

func compareHistories(ctx context.Context, got, want projections.Views, u domain.UserID) error {
	err := eachPage(func(q projections.PageQuery) (next string, err error) {
		of := func(v projections.Views) func(context.Context) (projections.Page[projections.Transaction], error) {
			return func(ctx context.Context) (projections.Page[projections.Transaction], error) {
				page, err := v.Transactions(ctx, u, projections.TransactionQuery{PageQuery: q})
				next = page.Next
				return page, err
			}
		}
		err = same(ctx, "transactions of "+string(u), of(got), of(want))
		return next, err
	})
	if err != nil {
		return err
	}
	return eachPage(func(q projections.PageQuery) (next string, err error) {
		of := func(v projections.Views) func(context.Context) (projections.Page[projections.Prediction], error) {
			return func(ctx context.Context) (projections.Page[projections.Prediction], error) {
				page, err := v.Predictions(ctx, u, projections.PredictionQuery{PageQuery: q})
				next = page.Next
				return page, err
			}
		}
		err = same(ctx, "predictions of "+string(u), of(got), of(want))
		return next, err
	})
}

func eachPage(page func(projections.PageQuery) (next string, err error)) error {
	q := projections.PageQuery{Limit: projections.MaxPage}
	for {
		next, err := page(q)
		if err != nil || next == "" {
			return err
		}
		q.Cursor = next
	}
}

// same asks both and compares.
func same[T any](ctx context.Context, what string, got, want func(context.Context) (T, error)) error {
	g, err := got(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	w, err := want(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if !reflect.DeepEqual(g, w) {
		return fmt.Errorf("views differ in the %s:\n got %+v\nwant %+v", what, g, w)
	}
	return nil
}
