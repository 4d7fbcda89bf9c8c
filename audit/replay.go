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

// errBehindHead ends the reading of rows: the next one stands behind the head
// that is being verified.
var errBehindHead = errors.New("row behind the head")

// replay is a verification under way.
type replay struct {
	store  *eventstore.Store
	head   eventstore.Head
	checks []Check

	at        eventstore.Position // the last one proved
	behind    eventstore.Position // of the first row behind the head, 0 where there is none
	tree      eventstore.Tree
	accounts  map[domain.UserID]*account
	emails    map[eventstore.Stream]struct{}
	snapshots map[eventstore.Stream]eventstore.Snapshot // those whose version was not met yet
	last      eventstore.Envelope                       // of the entry before
	names     names
	joining   map[domain.UserID]*joined   // sign-ups of the append under way
	paying    map[eventstore.Stream]*paid // payments of the append under way
	now       time.Time                   // at which the head was read, and a tolerance
	latest    time.Time                   // of all entries so far
	report    Report
	found     *Faults
}

type account struct {
	domain.Account
	version eventstore.Version
	asked   map[domain.PredictionID]eventstore.Position // where each open hold was asked for
}

func newReplay(store *eventstore.Store, head eventstore.Head, snapshots map[eventstore.Stream]eventstore.Snapshot, found *Faults, checks []Check) *replay {
	return &replay{store: store, head: head, checks: checks, snapshots: snapshots, found: found,
		accounts: map[domain.UserID]*account{}, emails: map[eventstore.Stream]struct{}{},
		names: newNames(), joining: map[domain.UserID]*joined{}, paying: map[eventstore.Stream]*paid{}, now: time.Now().Add(ahead),
		report: Report{Head: head, Snapshots: len(snapshots), House: map[domain.LedgerAccount]domain.Credits{}, Events: map[domain.EventType]int{}}}
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
	}
	return nil
}

// inStream adds the stream of the entry to a fault that belongs to it.
func inStream(err error, s eventstore.Stream) error {
	var f *Fault
	if errors.As(err, &f) && f.Stream == "" && f.Position > 0 {
		f.Stream = s
	}
	return err
}

// row proves one row, from its place to its meaning.
func (r *replay) row(ctx context.Context, row *eventstore.Stored) error {
	if err := r.place(row); err != nil {
		return err
	}
	if err := r.grow(row); err != nil {
		return err
	}
	rec := row.Recorded
	if rec.Time.Before(eventstore.Earliest) {
		return fault(TimeImpossible, rec.Position, "the entry says that it happened on %s", rec.Time)
	}
	r.moment(rec)
	follows := sameAppend(r.last, rec.Envelope)
	if !follows {
		if err := r.claimedInPairs(); err != nil {
			return err
		}
	}
	if err := r.command(ctx, row, follows); err != nil {
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

// place proves that the row is the one that follows, and that its entry and its
// columns agree.
func (r *replay) place(row *eventstore.Stored) error {
	want := r.at + 1
	switch rec := row.Recorded; {
	case row.Position < want:
		return fault(EntryUnexpected, row.Position, "a row stands before the first position")
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

// newer stops before an entry that a later program wrote, once it is sure that it
// was not one of ours which somebody has changed.
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

// sameAppend says whether b may have been appended together with a just before
// it: what an append gives all its entries is the same in both.
func sameAppend(a, b eventstore.Envelope) bool {
	return a.Position > 0 && a.Cause == b.Cause && a.Actor == b.Actor && a.Time.Equal(b.Time)
}

// command proves the column that makes a command idempotent: the first entry of
// its append has it, those that follow do not, and no other append has it again.
func (r *replay) command(ctx context.Context, row *eventstore.Stored, follows bool) error {
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
	first, err := r.earlier(ctx, "command", want, row.Position, func(rec eventstore.Recorded) bool {
		then, _ := rec.Cause.Command()
		return then.ID == want
	})
	if err == nil && first > 0 {
		return fault(CommandRepeated, row.Position, "the command %s was done before, at position %d", want, first)
	}
	return err
}

// fold proves that the entry is a fact that could follow in its stream.
func (r *replay) fold(ctx context.Context, rec eventstore.Recorded) error {
	user, ofAccount := rec.Stream.User()
	switch event := rec.Event.(type) {
	case domain.EmailClaimed:
		return r.claim(rec, event)
	case domain.PaymentClaimed:
		return r.claimPayment(rec)
	case domain.SignedUp:
		r.join(event.User).signUp = rec.Position
	}
	if !ofAccount {
		return fault(WrongStream, rec.Position, "%s is in %q, which is no account's stream", rec.Type, rec.Stream)
	}
	if rec.Event.Subject() != user {
		return fault(WrongStream, rec.Position, "%s of one account is in the stream of another", rec.Type).between(user, rec.Event.Subject())
	}
	a := r.accounts[user]
	if a == nil {
		a = &account{asked: map[domain.PredictionID]eventstore.Position{}}
		r.accounts[user] = a
	}
	if rec.Version != a.version+1 {
		return fault(VersionGap, rec.Position, "the version does not follow in its stream").between(a.version+1, rec.Version)
	}
	if err := r.deed(ctx, rec, a); err != nil {
		return err
	}
	if err := a.Apply(rec.Event); err != nil {
		return fault(FactBroken, rec.Position, "%s", err)
	}
	a.version = rec.Version
	if m, ok := rec.Event.(domain.Mover); ok {
		for _, p := range m.Moved().Postings {
			if strings.HasPrefix(string(p.Account), "house:") {
				r.report.House[p.Account] += p.Amount
			}
		}
	}
	return r.snapshot(rec, a)
}

// snapshot compares the stored snapshot of this very version, where there is one.
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

// finish proves what can be said at the end only.
func (r *replay) finish(ctx context.Context) error {
	if r.at < r.head.Size {
		return fault(EntryMissing, r.at+1, "the entry is missing, the head counts %d", r.head.Size)
	}
	if err := r.claimedInPairs(); err != nil {
		return err
	}
	if r.behind > 0 { // fair where the log grew meanwhile
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

// sums closes the books.
func (r *replay) sums() error {
	if left := slices.Sorted(maps.Keys(r.snapshots)); len(left) > 0 {
		f := fault(SnapshotDiffers, 0, "the snapshot is of version %d, which the log does not have", r.snapshots[left[0]].Version)
		f.Stream = left[0]
		return f
	}
	r.report.Accounts = len(r.accounts)
	for _, a := range r.accounts {
		r.report.Available += a.Available
		r.report.Held += a.Held
		r.report.Given += a.Given
		r.report.GivenHeld += a.GivenHeld
	}
	given := r.report.Given + r.report.GivenHeld
	bought := r.report.Available + r.report.Held - given
	for account, amount := range r.report.House {
		if account.Given() {
			given += amount
		} else {
			bought += amount
		}
	}
	if bought != 0 {
		return fault(CreditsUnequal, r.at, "the book of bought credits does not sum to zero").between(0, bought)
	}
	if given != 0 {
		return fault(CreditsUnequal, r.at, "the book of given credits does not sum to zero").between(0, given)
	}
	return nil
}
