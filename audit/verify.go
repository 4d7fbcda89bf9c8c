package audit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Report is what a clean ledger came to.
type Report struct {
	Head      eventstore.Head
	Accounts  int
	House     map[domain.LedgerAccount]domain.Credits // by account of the house
	Available domain.Credits                          // of all people together
	Held      domain.Credits
	Events    map[domain.EventType]int
	Duration  time.Duration
}

// Fault is the first place at which the ledger contradicts itself.
type Fault struct {
	// Position is that of the first bad entry; where an entry is missing, the
	// position at which it should stand. A bad snapshot has the position of the
	// entry up to which it was folded, a bad root that of the last entry. It is 0
	// only for what belongs to no entry at all.
	Position eventstore.Position
	What     string
}

func (f *Fault) Error() string { return fmt.Sprintf("position %d: %s", f.Position, f.What) }

func fault(at eventstore.Position, format string, args ...any) error {
	return &Fault{at, fmt.Sprintf(format, args...)}
}

// Check is given every entry in order once the entry is proved. Its error
// becomes a fault at the entry. Whoever compares views with the log folds them here.
type Check func(eventstore.Recorded) error

// Verify replays the log from nothing up to the head that it finds at the
// start, in one pass, and proves:
//
//   - positions are dense, and no row stands behind the head or before 1;
//   - every entry has its one spelling, and the indexed columns say what it says;
//   - times are not before eventstore.Earliest. They may go backwards: several
//     processes with their own clocks append;
//   - versions are dense in every stream;
//   - a command's append is marked on its first entry and nowhere else, and no
//     command was done twice;
//   - the stored nodes are those of the RFC 6962 tree over the entries, and the
//     head's root is its root;
//   - every account folds: postings balance and are those of their event, the
//     balances that events state are the sums, no balance is below zero, holds end
//     once;
//   - an e-mail's claim stands alone in its stream, and is made by the append that
//     signs its person up; nobody signs up without one;
//   - snapshots are the fold at their version;
//   - all credits, of the house and of people, sum to zero.
//
// The log may grow meanwhile. An error is a *Fault where the ledger is wrong; any
// other says that it could not be read. Memory grows with accounts (some hundred
// bytes each) and commands (some 20 bytes each), not with entries.
func Verify(ctx context.Context, store *eventstore.Store, checks ...Check) (Report, error) {
	start := time.Now()
	// The snapshots are read before the head, so that it covers them all.
	snapshots, err := readSnapshots(ctx, store)
	if err != nil {
		return Report{}, err
	}
	head, err := store.Head(ctx)
	if err != nil {
		return Report{}, err
	}
	r := newReplay(store, head, snapshots, checks)
	err = store.Rows(ctx, math.MinInt64, func(rows []eventstore.Stored) error { return r.rows(ctx, rows) })
	if err != nil && !errors.Is(err, errBehindHead) {
		return Report{}, err
	}
	if err := r.finish(ctx); err != nil {
		return Report{}, err
	}
	report := r.report
	report.Duration = time.Since(start)
	return report, nil
}

func readSnapshots(ctx context.Context, store *eventstore.Store) (map[eventstore.Stream]eventstore.Snapshot, error) {
	all := map[eventstore.Stream]eventstore.Snapshot{}
	err := store.Snapshots(ctx, func(s eventstore.Snapshot) error {
		all[s.Stream] = s
		return nil
	})
	return all, err
}
