package audit

import (
	"context"
	"maps"
	"slices"

	"kassa/eventstore"
)

// Ledger is what is audited: the log, and what is kept beside it.
type Ledger struct {
	Store  *eventstore.Store
	Tables Tables           // the served tables; nil where they are not looked at, or there are none
	Kept   *eventstore.Head // an earlier head that the log must continue; nil for none
}

// Verify proves the log as the function Verify does, and then that
//
//   - no follower of the log and no view is ahead of it;
//   - every row of every served table is what the log gives at the table's position;
//   - the log continues the kept head;
//   - the database still has what keeps the log from being changed.
//
// It only reads, also while the service runs. Errors are as of the function Verify.
func (l Ledger) Verify(ctx context.Context) (Report, error) {
	var found Faults
	report, err := l.verify(ctx, &found)
	return report, found.with(err)
}

func (l Ledger) verify(ctx context.Context, found *Faults) (Report, error) {
	// Followers and views are read before the head, so that none is ahead of it only
	// because the log grew meanwhile.
	followers, err := l.Store.Checkpoints(ctx)
	if err != nil {
		return Report{}, err
	}
	var views *servedViews
	var checks []Check
	if l.Tables != nil {
		if views, err = readServed(ctx, l.Tables); err != nil {
			return Report{}, err
		}
		checks = append(checks, views.check)
	}
	report, err := verifyLog(ctx, l.Store, found, checks)
	if err != nil {
		return report, err
	}
	if report.Proved == report.Head.Size { // what does not hold by itself proves nothing else
		if err := l.beside(ctx, &report, found, followers, views); err != nil {
			return report, err
		}
	}
	return report, l.guards(ctx, found)
}

// beside compares what is kept beside the log with the log, which was proved.
func (l Ledger) beside(ctx context.Context, r *Report, found *Faults, followers map[string]eventstore.Position, views *servedViews) (err error) {
	for _, name := range slices.Sorted(maps.Keys(followers)) {
		if at := followers[name]; at > r.Head.Size {
			found.add(fault(CheckpointAhead, at, "the follower %q is ahead of the log", name).between(r.Head.Size, at))
		}
	}
	if views != nil {
		if r.Views, err = views.compare(ctx, l.Store, r.Head, found); err != nil {
			return err
		}
	}
	if l.Kept != nil {
		return found.take(Consistent(ctx, l.Store, *l.Kept))
	}
	return nil
}

// guards looks for what keeps the log from being changed.
func (l Ledger) guards(ctx context.Context, found *Faults) error {
	gone, err := l.Store.MissingGuards(ctx)
	for _, what := range gone {
		found.add(fault(GuardMissing, 0, "what keeps the log from being changed is gone or was changed: %s", what))
	}
	return err
}
