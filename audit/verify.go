package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Report is the result of a verification. With faults it contains how far the
// verification came.
type Report struct {
	Head      eventstore.Head
	Proved    eventstore.Position // the last position proved: the head's, unless a fault ended the replay
	Accounts  int
	House     map[domain.LedgerAccount]domain.Credits // by account of the house
	Available domain.Credits                          // of all users, including given credits
	Held      domain.Credits
	Given     domain.Credits // the given part of Available
	GivenHeld domain.Credits // the given part of Held
	Events    map[domain.EventType]int
	Erased    map[domain.UserID]eventstore.Position // by the last entry of the account, or the archive that has it
	KeysSeen  bool                                  // that no erased account has a key was looked at
	Snapshots int                                   // of long accounts, each compared with the fold of its entries
	Back      StepBack
	Views     []ServedView      // the compared ones, of Ledger.Verify
	Attested  Attested          // zero where nothing was attested, or where the replay did not begin with the first entry
	Catalogue ComparedCatalogue // zero where it was not compared, or never recorded
	Signed    []string          // where the signed heads are kept that the log continues
	Archived  ArchivedPart
	Resumed   eventstore.Position // up to here the entries were proved by an earlier run, and not read; 0 for none
	Duration  time.Duration
}

// ArchivedPart is the archived part of the log.
type ArchivedPart struct {
	UpTo     eventstore.Position // 0 for none
	Manifest eventstore.Hash     // SHA-256 of the last archive's manifest
	Proved   bool                // the archives were given, and their entries replayed
}

// StepBack is the widest step back of the entries' times. It is no fault, because
// several processes with their own clocks append. A wide one means that a clock was
// wrong.
type StepBack struct {
	Position eventstore.Position // of an entry that is earlier than its predecessor; 0 for none
	By       time.Duration
}

// Check is called with every entry in order, after the entry is proved. Its error
// becomes a fault at the entry, and ends the replay.
type Check func(eventstore.Recorded) error

// Verify replays the log from the beginning to the head at the start of the call, in
// one pass, and proves:
//
//   - positions are dense, and no row is after the head or before 1;
//   - every entry is in its canonical encoding, and the indexed columns equal its fields;
//   - times are not before eventstore.Earliest and not in the future. They may go
//     backwards: several processes with their own clocks append;
//   - versions are dense in every stream;
//   - a command's append is marked on its first entry and nowhere else, and no
//     command was done twice;
//   - the stored nodes are those of the RFC 6962 tree over the entries, and the
//     head's root is its root;
//   - every account folds: postings balance and are those of their event, the
//     balances in events are the sums, no balance is below zero, holds end once;
//   - an e-mail's claim is alone in its stream, or follows that of a person who was erased,
//     and is made by the append that signs its user up; every sign-up has one. The same is true of a payment's claim and
//     the deposit or withdrawal that books it, since such claims exist;
//   - every entry could have been written by its actor, for its cause; see rules.go;
//   - questions are charged with the price that was set before them, since there are such prices;
//   - snapshots are the fold at their version;
//   - all credits, bought and given separately, of the house and of users, sum to zero.
//
// The entries of an archived part of the log are not read: see Ledger.Archives.
//
// The log may grow meanwhile. An error that contains *Faults means that the ledger is
// wrong; one that contains eventstore.ErrNewer, that this program is too old to judge
// it from there on; any other, that it could not be read. A fact that contradicts the
// facts before it ends the replay; after a fault of the rules over several streams it
// continues. Memory grows with accounts (some hundred bytes each), not with entries; a
// temporary file takes 16 bytes for each command, payment, prediction and e-mail.
func Verify(ctx context.Context, store *eventstore.Store, checks ...Check) (Report, error) {
	var found Faults
	part, err := partOf(ctx, store, nil)
	var report Report
	if err == nil {
		report, err = verifyLog(ctx, store, part, &found, checks, verifyOptions{})
	} else {
		err = found.take(err)
	}
	return report, found.with(err)
}

// verifyOptions are what Ledger has and the function Verify has not.
type verifyOptions struct {
	progress Progress
	proved   string // see Ledger.Proved
	states   bool   // compare the attested states of the views with the log
}

func verifyLog(ctx context.Context, store *eventstore.Store, part archivedPart, found *Faults, checks []Check, o verifyOptions) (_ Report, err error) {
	start := time.Now()
	// The snapshots are read before the head, so that it covers all of them.
	snapshots, err := readSnapshots(ctx, store)
	if err != nil {
		return Report{}, err
	}
	head, err := store.Head(ctx)
	if err != nil {
		return Report{}, err
	}
	r := newReplay(store, head, snapshots, part, found, checks)
	defer func() { err = errors.Join(err, r.names.close()) }()
	r.each = o.progress
	if n := len(part.records); n > 0 {
		r.report.Archived = ArchivedPart{part.records[n-1].UpTo, part.records[n-1].Digest, part.files != nil}
	}
	if o.proved != "" {
		err = r.resume(ctx, o.proved)
	}
	if err == nil && o.states && r.at == 0 && (part.upTo() == 0 || part.files != nil) {
		if r.attests, err = readStates(ctx, FullLog{Store: store, Archives: part.files}); err == nil {
			r.checks = append(slices.Clip(checks), r.attests.check)
		}
	}
	if err == nil {
		err = r.run(ctx, r.finish)
	}
	r.report.Proved, r.report.Attested = r.at, r.attests.result()
	if err == nil && len(found.List) == 0 && o.proved != "" {
		if err := r.keep(o.proved); err != nil {
			return r.report, fmt.Errorf("keep what was proved: %w", err)
		}
	}
	if r.attests != nil { // only now: a state that was wrong once says nothing against the log
		found.insert(r.attests.differ)
	}
	r.report.Duration = time.Since(start)
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
