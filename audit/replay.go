package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// errBehindHead ends the reading of rows: the next one is after the head that is being
// verified.
var errBehindHead = errors.New("row behind the head")

// replay is a verification in progress.
type replay struct {
	store  *eventstore.Store
	head   eventstore.Head
	checks []Check
	each   Progress // nil, or called with every page

	at         eventstore.Position // the last one proved
	behind     eventstore.Position // the first row after the head, 0 for none
	tree       eventstore.Tree
	accounts   map[domain.UserID]*account
	snapshots  map[eventstore.Stream]eventstore.Snapshot // whose version was not reached yet
	last       eventstore.Envelope                       // of the entry before
	moveIn     MoveIn                                    // up to here
	prices     Prices                                    // that are in force
	periods    Periods                                   // that are closed
	closedUpTo eventstore.Position                       // the last entry of the last one, whatever it states; where that cannot be read, an earlier one
	names      *names
	signUps    map[domain.UserID]*signUpPair      // of the current append
	payments   map[eventstore.Stream]*paymentPair // of the current append
	now        time.Time                          // when the head was read, with a tolerance
	latest     time.Time                          // the maximum of all times so far
	report     Report
	found      *Faults
	part       archivedPart

	adjustments adjustments
	attests     *states                  // that the attested ones are compared with; nil: they are not
	catalogue   domain.CatalogueRecorded // the last one; zero where that is not known
}

type account struct {
	domain.Account
	version eventstore.Version
	asked   map[domain.PredictionID]eventstore.Position // the request of each open hold; may be nil
	erasure eventstore.Position                         // the request of the pending erasure; 0 where it is archived
}

func newReplay(store *eventstore.Store, head eventstore.Head, snapshots map[eventstore.Stream]eventstore.Snapshot, part archivedPart, found *Faults, checks []Check) *replay {
	part.kept = map[eventstore.Stream]eventstore.Version{}
	return &replay{store: store, part: part, head: head, checks: checks, snapshots: snapshots, found: found,
		accounts: map[domain.UserID]*account{},
		names:    newNames(), signUps: map[domain.UserID]*signUpPair{}, payments: map[eventstore.Stream]*paymentPair{}, now: time.Now().Add(maxAhead),
		report: Report{Head: head, Snapshots: len(snapshots), House: map[domain.LedgerAccount]domain.Credits{}, Events: map[domain.EventType]int{}, Erased: map[domain.UserID]eventstore.Position{}}}
}

func (r *replay) rows(ctx context.Context, rows []eventstore.Stored) error {
	for i := range rows {
		row := &rows[i]
		if row.Position > r.head.Size && r.at == r.head.Size {
			r.behind = row.Position
			return errBehindHead
		}
		if err := r.row(ctx, row); err != nil {
			return inStream(err, row.Stream)
		}
		r.at = row.Position
		if err := r.endOfArchive(ctx, r.at); err != nil {
			return err
		}
	}
	if r.each != nil {
		r.each(r.at, r.head.Size)
	}
	return nil
}

// inStream adds the entry's stream to a fault.
func inStream(err error, s eventstore.Stream) error {
	var f *Fault
	if errors.As(err, &f) && f.Stream == "" && f.Position > 0 {
		f.Stream = s
	}
	return err
}

// row proves one row, from its position to its meaning.
func (r *replay) row(ctx context.Context, row *eventstore.Stored) error {
	if err := r.inPart(ctx, row); err != nil {
		return err
	}
	if row.Archived {
		if r.part.files == nil {
			return r.pass(row)
		}
		if err := r.restore(row); err != nil {
			return err
		}
	}
	if err := r.place(row); err != nil {
		return err
	}
	if err := r.grow(row); err != nil {
		return err
	}
	rec := row.Recorded
	if rec.Time.Before(eventstore.Earliest) {
		return fault(TimeImpossible, rec.Position, "the entry has the time %s", rec.Time)
	}
	r.checkTime(rec)
	follows := rec.Continues(r.last)
	if !follows {
		r.checkAdjusted()
		if err := r.checkPairs(); err != nil {
			return err
		}
	}
	if err := r.command(row, follows); err != nil {
		return err
	}
	r.last = rec.Envelope
	r.authorship(rec)
	if err := r.fold(ctx, rec); err != nil {
		return err
	}
	r.report.Events[rec.Type]++
	for _, check := range r.checks {
		if err := check(rec); err != nil {
			return fault(FactBroken, rec.Position, "%s", err)
		}
	}
	return nil
}

// place proves that the row is the next one, and that its entry and its columns agree.
func (r *replay) place(row *eventstore.Stored) error {
	want := r.at + 1
	switch rec := row.Recorded; {
	case row.Position < want:
		return fault(EntryUnexpected, row.Position, "a row is before the first position")
	case row.Position > want:
		return fault(EntryMissing, want, "the entry is missing, the next one is at %d", row.Position)
	case errors.Is(row.Err, eventstore.ErrNewer):
		return r.newer(row)
	case row.Err != nil:
		return fault(EntryUnreadable, want, "%s", row.Err)
	case rec.Position != want:
		return fault(EntryMisplaced, want, "the entry is of another position").between(want, rec.Position)
	case rec.Stream != row.Stream:
		return fault(ColumnDiffers, want, "the indexed stream is not the entry's").between(rec.Stream, row.Stream)
	case rec.Version != row.Version:
		return fault(ColumnDiffers, want, "the indexed version is not the entry's").between(rec.Version, row.Version)
	}
	return nil
}

// newer stops at an entry that a later program wrote, after proving that it is not a
// changed entry of ours.
func (r *replay) newer(row *eventstore.Stored) error {
	if err := r.grow(row); err != nil {
		return err
	}
	return fmt.Errorf("position %d: %w", row.Position, row.Err)
}

// grow proves the entry's hash and the nodes stored beside it.
func (r *replay) grow(row *eventstore.Stored) error {
	nodes, err := r.tree.Grow(row.Leaf)
	if err != nil {
		return err
	}
	if !slices.Equal(nodes, row.Nodes) {
		if len(row.Nodes) > 0 && row.Nodes[0] != row.Leaf {
			return fault(EntryChanged, row.Position, "the entry is not the one that was hashed").between(row.Nodes[0], row.Leaf)
		}
		return fault(NodesDiffer, row.Position, "the stored nodes of the tree are not those of the entries")
	}
	return nil
}

// command proves the column that makes a command idempotent: the first entry of its
// append has it, and the following do not. That no other append has it is found by its name.
func (r *replay) command(row *eventstore.Stored, follows bool) error {
	command, ok := row.Recorded.Cause.Command()
	want := command.ID
	if !ok || follows {
		want = ""
	}
	if row.Command != want {
		return fault(ColumnDiffers, row.Position, "the column of the command is not what the entry's cause makes it").
			between(strconv.Quote(want), strconv.Quote(row.Command))
	}
	if want == "" {
		return nil
	}
	return r.names.add(commandName, want, row.Position)
}

// fold proves that the entry is a valid next fact of its stream.
func (r *replay) fold(ctx context.Context, rec eventstore.Recorded) error {
	if rec.Stream == eventstore.AdjustmentsStream || ofAdjustments(rec.Type) {
		return r.adjustment(rec)
	}
	user := rec.Event.Subject()
	switch event := rec.Event.(type) {
	case domain.EmailClaimed:
		return r.claim(ctx, rec, event)
	case domain.PaymentClaimed:
		return r.claimPayment(rec)
	case domain.MoveInAccepted:
		return r.accept(rec, event)
	case domain.PriceSet:
		return r.setPrice(rec, event)
	case domain.PeriodClosed:
		return r.closePeriod(ctx, rec, event)
	case domain.ViewsAttested:
		return r.attested(rec, event)
	case domain.CatalogueRecorded:
		return r.recordCatalogue(rec, event)
	case domain.LedgerVerified:
		return r.verified(ctx, rec, event)
	case domain.SignedUp:
		r.join(event.User).signUp = rec.Position
	}
	a := r.accounts[user]
	if a == nil {
		a = &account{}
	}
	if err := inOrder(rec, eventstore.AccountStream(user), a.version); err != nil {
		return err
	}
	r.accounts[user] = a
	if err := r.checkAccountRules(rec, a); err != nil {
		return err
	}
	if err := a.Apply(rec.Event, rec.Time); err != nil {
		return fault(FactBroken, rec.Position, "%s", err)
	}
	a.version = rec.Version
	over := false
	for _, p := range postingsIn(rec.Event) {
		if strings.HasPrefix(string(p.Account), "house:") {
			r.report.House[p.Account] = plus(r.report.House[p.Account], p.Amount, &over)
		}
	}
	if err := counted(rec, over); err != nil {
		return err
	}
	return r.snapshot(rec, a)
}

// inOrder proves that an entry is in its stream, and the next one there.
func inOrder(rec eventstore.Recorded, stream eventstore.Stream, last eventstore.Version) error {
	if rec.Stream != stream {
		return fault(WrongStream, rec.Position, "%s is in another stream than its own", rec.Type).between(stream, rec.Stream)
	}
	if rec.Version != last+1 {
		return fault(VersionGap, rec.Position, "the version does not follow in its stream").between(last+1, rec.Version)
	}
	return nil
}

// snapshot compares the stored snapshot of this version, if there is one.
func (r *replay) snapshot(rec eventstore.Recorded, a *account) error {
	s, ok := r.snapshots[rec.Stream]
	if !ok || s.Version != rec.Version {
		return nil
	}
	state, err := json.Marshal(a.Account)
	if err != nil {
		return err
	}
	if !bytes.Equal(state, s.State) {
		return fault(SnapshotDiffers, rec.Position, "the snapshot at version %d is not the fold of the entries", s.Version).between(string(state), string(s.State))
	}
	delete(r.snapshots, rec.Stream)
	return nil
}

// finish proves what can be proved only at the end.
func (r *replay) finish(ctx context.Context) error {
	if r.at < r.head.Size {
		return fault(EntryMissing, r.at+1, "the entry is missing, the head counts %d", r.head.Size)
	}
	r.checkAdjusted()
	if err := r.checkPairs(); err != nil {
		return err
	}
	if r.behind > 0 { // valid if the log has grown meanwhile
		now, err := r.store.Head(ctx)
		if err != nil {
			return err
		}
		if r.behind > now.Size {
			return fault(EntryUnexpected, r.behind, "the entry is behind the head, which counts %d", now.Size)
		}
	}
	head, err := r.tree.Head()
	if err != nil {
		return err
	}
	if head != r.head {
		return fault(RootDiffers, r.at, "the head's root is not that of the tree over the entries").between(head.Root, r.head.Root)
	}
	return r.sums()
}

// sums checks that all ledger accounts sum to zero.
func (r *replay) sums() error {
	if left := slices.Sorted(maps.Keys(r.snapshots)); len(left) > 0 {
		f := fault(SnapshotDiffers, 0, "the snapshot is of version %d, which the log does not have", r.snapshots[left[0]].Version)
		f.Stream = left[0]
		return f
	}
	over := false
	r.report.Accounts = len(r.accounts)
	for u, a := range r.accounts {
		if _, known := r.report.Erased[u]; a.Erased && !known {
			r.report.Erased[u] = r.part.upTo()
		}
		r.report.Available = plus(r.report.Available, a.Available, &over)
		r.report.Held = plus(r.report.Held, a.Held, &over)
		r.report.Given = plus(r.report.Given, a.Given, &over)
		r.report.GivenHeld = plus(r.report.GivenHeld, a.GivenHeld, &over)
	}
	given := plus(r.report.Given, r.report.GivenHeld, &over)
	bought := plus(plus(r.report.Available, r.report.Held, &over), -given, &over)
	for account, amount := range r.report.House {
		if account.Given() {
			given = plus(given, amount, &over)
		} else {
			bought = plus(bought, amount, &over)
		}
	}
	if over {
		return fault(CreditsUnequal, r.at, "all credits together are more than can be counted")
	}
	if bought != 0 {
		return fault(CreditsUnequal, r.at, "the book of bought credits does not sum to zero").between(0, bought)
	}
	if given != 0 {
		return fault(CreditsUnequal, r.at, "the book of given credits does not sum to zero").between(0, given)
	}
	return nil
}
