package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"kassa/eventstore"
)

// Ledger is what is audited: the log, and what is kept beside it.
type Ledger struct {
	Store     *eventstore.Store
	Tables    Tables           // the served tables; nil if there are none, or if they are not compared
	Keys      Keys             // of the vault; nil if they are not looked at
	Catalogue Catalogue        // the films and vectors; nil if they are not compared
	Kept      *eventstore.Head // an earlier head that the log must continue; nil for none
	Signed    []SignedHead     // heads that were signed, each of which the log must continue
	Progress  Progress         // nil, or called while the log is replayed
	// Proved is a file in which a run that finds no fault of the log keeps what it proved, and from
	// which a later one goes on; "" for none. A run that goes on proves that the log
	// continues the log of then, by the tree. It does not read the earlier entries again,
	// and does not compare the served tables. The file is believed: nothing signs it.
	Proved string
	// Archives are the log's archives; nil if they are not given. Then the head is
	// proved to cover their entries, by the kept leaves of the tree, but the entries
	// are not read: the rest is proved from the recorded accounts, earlier names are
	// checked by the database's unique indexes only, and the served tables are not
	// compared.
	Archives *Archives
	// Alone means that only the log is there, as in an export: nothing guards it, and nothing
	// is beside it but the kept head.
	Alone bool
}

// SignedHead is a head that was signed. It is read before the log, which may grow meanwhile.
type SignedHead struct {
	From string // where it is kept, for people
	Head eventstore.Head
	Bad  error // why its signature does not hold; then Head is of no use
}

// Progress is called some thousand times in a long replay: entries up to a position are
// proved, of that many.
type Progress func(at, of eventstore.Position)

// Verify proves the log as the function Verify does, and then that
//
//   - what the service attested of its views is what the log gives;
//   - no follower of the log and no view is ahead of it;
//   - every row of every served table is what the log gives at the table's position;
//   - nobody whom the log says to be erased has a key in the vault;
//   - the films and vectors are those that were recorded last, or their revision says that they
//     were changed since;
//   - the log continues the kept head and the signed ones, and these are signed;
//   - the database still has the guards of the log.
//
// It only reads, also while the service runs. Errors are as of the function Verify.
func (l Ledger) Verify(ctx context.Context) (Report, error) {
	var found Faults
	report, err := l.verify(ctx, &found)
	return report, found.with(err)
}

func (l Ledger) verify(ctx context.Context, found *Faults) (Report, error) {
	// Followers and views are read before the head. Otherwise they could be ahead of it
	// only because the log has grown meanwhile.
	followers, err := l.Store.Checkpoints(ctx)
	if err != nil {
		return Report{}, err
	}
	var views *servedViews
	var checks []Check
	part, err := partOf(ctx, l.Store, l.Archives)
	if err != nil {
		return Report{}, found.take(err)
	}
	_, kept := os.Stat(l.Proved)
	if part.upTo() > 0 && l.Archives == nil || l.Proved != "" && kept == nil {
		l.Tables = nil
	}
	if l.Tables != nil {
		if views, err = readServed(ctx, l.Tables); err != nil {
			return Report{}, err
		}
		checks = append(checks, views.check)
	}
	report, err := verifyLog(ctx, l.Store, part, found, checks, verifyOptions{l.Progress, l.Proved, true})
	if err != nil {
		return report, err
	}
	if report.Proved == report.Head.Size { // a log with faults proves nothing else
		if err := l.beside(ctx, &report, found, followers, views); err != nil {
			return report, err
		}
	}
	return report, l.guards(ctx, found)
}

// beside compares what is kept beside the log with the log, which was proved before.
func (l Ledger) beside(ctx context.Context, r *Report, found *Faults, followers map[string]eventstore.Position, views *servedViews) (err error) {
	for _, name := range slices.Sorted(maps.Keys(followers)) {
		if at := followers[name]; at > r.Head.Size {
			found.add(fault(CheckpointAhead, at, "the follower %q is ahead of the log", name).between(r.Head.Size, at))
		}
	}
	if views != nil {
		if r.Views, err = views.compare(ctx, FullLog{Store: l.Store, Archives: l.Archives}, r.Head, found); err != nil {
			return err
		}
	}
	if err := l.keys(ctx, r, found); err != nil {
		return err
	}
	if l.Catalogue != nil {
		r.Catalogue, err = CompareCatalogue(ctx, l.Store, l.Catalogue)
		if err := found.take(err); err != nil && !errors.Is(err, ErrCatalogueHidden) {
			return err
		}
	}
	if l.Kept != nil {
		if err := found.take(Consistent(ctx, l.Store, *l.Kept)); err != nil {
			return err
		}
	}
	return l.signed(ctx, r, found)
}

// signed compares the log with the heads that were signed.
func (l Ledger) signed(ctx context.Context, r *Report, found *Faults) error {
	for _, s := range l.Signed {
		if s.Bad != nil {
			found.add(fault(SignedHeadForged, 0, "the signed head %s does not hold: %s", s.From, s.Bad))
			continue
		}
		err := Consistent(ctx, l.Store, s.Head)
		if _, differs := errors.AsType[*Fault](err); differs {
			head, err := l.Store.Head(ctx)
			if err != nil {
				return err
			}
			found.add(fault(SignedNotKept, min(s.Head.Size, head.Size), "the log does not continue the signed head %s: it was set back, or rewritten", s.From).
				between(fmt.Sprintf("%d:%s", s.Head.Size, s.Head.Root), fmt.Sprintf("%d:%s", head.Size, head.Root)))
			continue
		}
		if err != nil {
			return err
		}
		r.Signed = append(r.Signed, s.From)
	}
	return nil
}

// guards checks the guards of the log.
func (l Ledger) guards(ctx context.Context, found *Faults) error {
	if l.Alone {
		return nil
	}
	gone, err := l.Store.MissingGuards(ctx)
	for _, what := range gone {
		found.add(fault(GuardMissing, 0, "what keeps the log from being changed is gone or was changed: %s", what))
	}
	return err
}
