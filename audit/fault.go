package audit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kassa/eventstore"
)

// Code is a kind of fault. Codes are part of the output of `kassa verify --json`: their
// meaning never changes.
type Code string

// Faults of the log as it is stored.
const (
	EntryMissing    Code = "entry_missing"
	EntryUnexpected Code = "entry_unexpected" // a row where no entry can be
	EntryUnreadable Code = "entry_unreadable"
	EntryMisplaced  Code = "entry_misplaced" // its bytes contain another position
	EntryChanged    Code = "entry_changed"   // its hash is not the one in the tree
	ColumnDiffers   Code = "column_differs"  // from the entry
	NodesDiffer     Code = "nodes_differ"
	RootDiffers     Code = "root_differs"
	HeadNotKept     Code = "head_not_continued" // the log does not continue the kept head
	SnapshotDiffers Code = "snapshot_differs"

	SignedHeadForged Code = "signed_head_forged"        // it is not signed by the key of the log, or is no signed head
	SignedNotKept    Code = "signed_head_not_continued" // the log does not continue a head that was signed
	TileDiffers      Code = "tile_differs"              // a published tile is not the one of the tree over the entries
)

// Faults of a fact in its own stream.
const (
	WrongStream     Code = "wrong_stream"
	VersionGap      Code = "version_gap"
	FactBroken      Code = "fact_broken" // it does not follow from the facts before it
	ClaimNotAlone   Code = "claim_not_alone"
	SignUpUnpaired  Code = "sign_up_unpaired" // a sign-up without a claim of an e-mail, or a claim without a sign-up
	PaymentUnpaired Code = "payment_unpaired" // a deposit or withdrawal without a claim of its payment, or a claim without either
	CreditsUnequal  Code = "credits_unbalanced"
	TimeImpossible  Code = "time_impossible" // earlier than Kassa exists
	CommandRepeated Code = "command_repeated"
)

// Faults of an entry in relation to others: each is valid alone, but no program of ours
// would have written it there.
const (
	TimeInFuture       Code = "time_in_future"
	ActorUnknown       Code = "actor_unknown"       // no known kind of actor
	ActorNotAllowed    Code = "actor_not_allowed"   // a kind that never writes this type
	ActorNotSubject    Code = "actor_not_subject"   // a person's command on another's account
	ActorNotAdmin      Code = "actor_not_admin"     // an adjustment by a user who was no admin then
	AdminNotActor      Code = "admin_not_actor"     // an adjustment names another admin than its author
	CauseWrongKind     Code = "cause_wrong_kind"    // a user's command without a command id, an ending without its request
	CauseNotEarlier    Code = "cause_not_earlier"   // it refers to this entry or a later one
	CauseNotRequest    Code = "cause_not_request"   // an ending refers to another entry than its request
	ExpiredEarly       Code = "expired_early"       // before the hold was due
	ErasedEarly        Code = "erased_early"        // before the erasure was due
	PaymentRepeated    Code = "payment_repeated"    // one payment of a provider, booked twice
	PredictionRepeated Code = "prediction_repeated" // asked again after it ended
	BonusApart         Code = "bonus_apart"         // not with the sign-up, or twice
	AdminUnchanged     Code = "admin_unchanged"     // granted to an admin, or revoked from another user
	ActorLocked        Code = "actor_locked"        // a command of a person whose account was locked then
	OrderedOwn         Code = "ordered_own"         // a role or a lock, changed by the person whose it is
	OrderUnchanged     Code = "order_unchanged"     // a role or a lock that was there, or was not
	TooManyHolds       Code = "too_many_holds"
	PriceDiffers       Code = "price_differs"        // a charge of another price than the one that was set
	PriceUnchanged     Code = "price_unchanged"      // set to what it was
	PeriodIsClosed     Code = "period_closed"        // dated into a month that was closed before
	PeriodDiffers      Code = "period_differs"       // closed with another entry than the last one of its time
	RefundLate         Code = "refund_late"          // after the period in which the answer could be refunded
	RefundOverLimit    Code = "refund_over_limit"    // more in a month than its policy allows, or than is possible
	RefundTooSoon      Code = "refund_too_soon"      // the account was too new for the policy
	MoveOver           Code = "move_over"            // something is moved in that was not accepted, or after the end of the move
	MoveDiffers        Code = "move_differs"         // the end of the move says something else than was moved in
	NotApproved        Code = "not_approved"         // an adjustment above the limit, without another admin
	NotAsProposed      Code = "not_as_proposed"      // an approval without its adjustment, or with another
	ApprovedOwn        Code = "approved_own"         // by the admin who proposed it
	OwnAdjustment      Code = "own_adjustment"       // made, proposed or decided by the admin whose balance it is
	OwnErasure         Code = "own_erasure"          // requested in the role of an admin, of the admin's own account
	DecidedLate        Code = "decided_late"         // after the proposal's time
	NotCounted         Code = "not_counted"          // for the daily limit of its admin, or counted without being done
	OverDailyLimit     Code = "over_daily_limit"     // more than an admin may adjust on a day
	FollowUpLate       Code = "follow_up_late"       // after the time that its policy gives, or a film is confirmed after that of refunds
	FollowUpOverLimit  Code = "follow_up_over_limit" // more of an answer than its policy allows, or than is possible
)

// Faults of what is served.
const (
	ViewDiffers Code = "view_differs" // from the log, at the view's own position
	ViewMissing Code = "view_missing" // its table is missing, or is not ours
	ViewAhead   Code = "view_ahead"   // of the log's end

	StateDiffers      Code = "state_differs"       // a view was attested that the log does not give
	CatalogueDiffers  Code = "catalogue_differs"   // from the one that was recorded last, and nothing says that it was changed
	RecordUnchanged   Code = "record_unchanged"    // a catalogue is recorded that is the one before
	VerifiedOtherRoot Code = "verified_other_root" // the operator recorded that they verified another log
)

// Faults beside the log.
const (
	CheckpointAhead Code = "checkpoint_ahead" // of the log's end: the follower would skip new entries
	GuardMissing    Code = "guard_missing"    // a guard of the log was removed
	KeyKept         Code = "key_kept"         // of a person who was erased, so that their data can be read
)

// Faults of an archive, or of what is kept of it.
const (
	ArchiveDiffers Code = "archive_differs" // its files differ from the record
	RecordDiffers  Code = "record_differs"  // what the database keeps of an archive differs from the record
)

// Fault is one contradiction in the ledger.
type Fault struct {
	Code Code `json:"code"`
	// Position is that of the bad entry; for a missing entry, the position at which it
	// should be. A bad snapshot has the position of the last entry in it, a bad root
	// that of the last entry. It is 0 only for faults of no entry.
	Position eventstore.Position `json:"position"`
	Stream   eventstore.Stream   `json:"stream,omitempty"` // of the entry
	View     string              `json:"view,omitempty"`   // the table, for a fault of what is served; Position is then the view's, or that of the entry that attests it
	Key      string              `json:"key,omitempty"`    // of the row
	Expected string              `json:"expected,omitempty"`
	Found    string              `json:"found,omitempty"`
	What     string              `json:"message"`
}

func (f *Fault) Error() string {
	text := fmt.Sprintf("position %d: %s (%s)", f.Position, f.What, f.Code)
	if f.View != "" {
		text = strings.TrimSpace(f.View+" "+f.Key) + " at " + text
	}
	if f.Expected != "" || f.Found != "" {
		text += fmt.Sprintf(": expected %s, found %s", f.Expected, f.Found)
	}
	return text
}

func fault(code Code, at eventstore.Position, format string, args ...any) *Fault {
	return &Fault{Code: code, Position: at, What: fmt.Sprintf(format, args...)}
}

// between adds what is expected and what was found.
func (f *Fault) between(expected, found any) *Fault {
	f.Expected, f.Found = fmt.Sprint(expected), fmt.Sprint(found)
	return f
}

// maxFaults limits the listed faults; the others are counted.
const maxFaults = 100

// Faults are what a verification found, in the order of detection. errors.As returns
// the first as a *Fault.
type Faults struct {
	List []*Fault
	More int // not listed
}

func (f *Faults) add(found *Fault) {
	if len(f.List) < maxFaults {
		f.List = append(f.List, found)
		return
	}
	f.More++
}

// insert adds faults at their positions.
func (f *Faults) insert(found []*Fault) {
	f.List = append(f.List, found...)
	slices.SortStableFunc(f.List, func(a, b *Fault) int { return cmp.Compare(a.Position, b.Position) })
	if more := len(f.List) - maxFaults; more > 0 {
		f.List, f.More = f.List[:maxFaults], f.More+more
	}
}

// upTo drops faults that a replay would not have come to which the last one ended.
func (f *Faults) upTo(last *Fault) {
	before := len(f.List)
	f.List = slices.DeleteFunc(f.List, func(one *Fault) bool {
		return one.Position > last.Position || one.Position == last.Position && last.Code == CommandRepeated && one.Code != TimeInFuture
	})
	if len(f.List) < before {
		f.More = 0 // they were behind those
	}
}

// take adds a *Fault and returns nil; it returns any other error.
func (f *Faults) take(err error) error {
	var one *Fault
	if errors.As(err, &one) {
		f.add(one)
		return nil
	}
	return err
}

// with joins what was found with another error; nil if there is neither.
func (f *Faults) with(err error) error {
	switch {
	case len(f.List) == 0:
		return err
	case err == nil:
		return f
	}
	return errors.Join(f, err)
}

func (f *Faults) Error() string {
	if n := len(f.List) - 1 + f.More; n > 0 {
		return fmt.Sprintf("%s, and %d more", f.List[0], n)
	}
	return f.List[0].Error()
}

func (f *Faults) Unwrap() []error {
	list := make([]error, len(f.List))
	for i, one := range f.List {
		list[i] = one
	}
	return list
}
