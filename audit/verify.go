package audit

import (
	"context"
	"errors"
	"math"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Report is what a ledger came to. Where faults were found it says how far the
// verification came.
type Report struct {
	Head      eventstore.Head
	Proved    eventstore.Position // up to where the replay came: the head's, unless something stopped it
	Accounts  int
	House     map[domain.LedgerAccount]domain.Credits // by account of the house
	Available domain.Credits                          // of all people together, given ones among them
	Held      domain.Credits
	Given     domain.Credits // how many of the available ones are given
	GivenHeld domain.Credits // how many of the held ones are given
	Events    map[domain.EventType]int
	Snapshots int // of long accounts, each compared with the fold of its entries
	Back      StepBack
	Views     []ServedView // of Ledger.Verify: those that were compared
	Duration  time.Duration
}

// StepBack is the widest step back of the entries' times. It is no fault: several
// processes with their own clocks append. A wide one says that a clock was wrong.
type StepBack struct {
	Position eventstore.Position // of the entry that is earlier than one before it; 0 for none
	By       time.Duration
}

// Check is given every entry in order once the entry is proved. Its error becomes a
// fault at the entry, and the replay ends.
type Check func(eventstore.Recorded) error

// Verify replays the log from nothing up to the head that it finds at the
// start, in one pass, and proves:
//
//   - positions are dense, and no row stands behind the head or before 1;
//   - every entry has its one spelling, and the indexed columns say what it says;
//   - times are not before eventstore.Earliest and not in the future. They may go
//     backwards: several processes with their own clocks append;
//   - versions are dense in every stream;
//   - a command's append is marked on its first entry and nowhere else, and no
//     command was done twice;
//   - the stored nodes are those of the RFC 6962 tree over the entries, and the
//     head's root is its root;
//   - every account folds: postings balance and are those of their event, the
//     balances that events state are the sums, no balance is below zero, holds end
//     once;
//   - an e-mail's claim stands alone in its stream, and is made by the append that
//     signs its person up; nobody signs up without one. The same holds of a payment's
//     claim and the deposit or withdrawal that books it, since there are such claims;
//   - every entry could have been written by who says so, for the cause that it
//     names; see rules.go;
//   - snapshots are the fold at their version;
//   - all credits of each book, of the house and of people, sum to zero.
//
// The log may grow meanwhile. An error that holds *Faults says that the ledger is
// wrong; one that holds eventstore.ErrNewer that this program is too old to judge it
// from there on; any other that it could not be read. A fact that contradicts the facts
// before it ends the replay; where only a rule over several streams is broken, it
// goes on, and finds the others too. Memory grows with accounts (some hundred bytes
// each), commands, payments and predictions (some 20 bytes each), not with entries.
func Verify(ctx context.Context, store *eventstore.Store, checks ...Check) (Report, error) {
	var found Faults
	report, err := verifyLog(ctx, store, &found, checks)
	return report, found.with(err)
}

func verifyLog(ctx context.Context, store *eventstore.Store, found *Faults, checks []Check) (Report, error) {
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
	r := newReplay(store, head, snapshots, found, checks)
	err = store.Rows(ctx, math.MinInt64, func(rows []eventstore.Stored) error { return r.rows(ctx, rows) })
	if err == nil || errors.Is(err, errBehindHead) {
		err = r.finish(ctx)
	}
	r.report.Proved, r.report.Duration = r.at, time.Since(start)
	return r.report, found.take(err)
}

func readSnapshots(ctx context.Context, store *eventstore.Store) (map[eventstore.Stream]eventstore.Snapshot, error) {
	all := map[eventstore.Stream]eventstore.Snapshot{}
	err := store.Snapshots(ctx, func(s eventstore.Snapshot) error {
		all[s.Stream] = s
		return nil
	})
	return all, err
}
