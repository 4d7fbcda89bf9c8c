package audit

import (
	"errors"
	"fmt"
	"strings"

	"kassa/eventstore"
)

// Code names a kind of fault. Codes are part of what `kassa verify --json` says:
// they never change their meaning.
type Code string

// What is wrong with the log as it lies in the database.
const (
	EntryMissing    Code = "entry_missing"
	EntryUnexpected Code = "entry_unexpected" // a row where no entry can be
	EntryUnreadable Code = "entry_unreadable"
	EntryMisplaced  Code = "entry_misplaced" // its bytes say another position
	EntryChanged    Code = "entry_changed"   // its hash is not the one in the tree
	ColumnDiffers   Code = "column_differs"  // from what the entry says
	NodesDiffer     Code = "nodes_differ"
	RootDiffers     Code = "root_differs"
	HeadNotKept     Code = "head_not_continued" // the log is another one than that of the kept head
	SnapshotDiffers Code = "snapshot_differs"
)

// What is wrong with a fact in its own stream.
const (
	WrongStream     Code = "wrong_stream"
	VersionGap      Code = "version_gap"
	FactBroken      Code = "fact_broken" // it does not follow from those before it
	ClaimNotAlone   Code = "claim_not_alone"
	SignUpUnpaired  Code = "sign_up_unpaired" // a sign-up without a claim of an e-mail, or a claim without a sign-up
	PaymentUnpaired Code = "payment_unpaired" // a deposit or withdrawal without a claim of its payment, or a claim without either
	CreditsUnequal  Code = "credits_unbalanced"
	TimeImpossible  Code = "time_impossible" // before there was a Kassa
	CommandRepeated Code = "command_repeated"
)

// What is wrong with an entry beside others: each is sound alone, and no program of
// ours would have written it there.
const (
	TimeInFuture       Code = "time_in_future"
	ActorUnknown       Code = "actor_unknown"       // of no kind that there is
	ActorNotAllowed    Code = "actor_not_allowed"   // of a kind that never writes this type
	ActorNotSubject    Code = "actor_not_subject"   // a person's command on another's account
	ActorNotAdmin      Code = "actor_not_admin"     // an adjustment by somebody who was no admin then
	AdminNotActor      Code = "admin_not_actor"     // an adjustment names another admin than its author
	CauseWrongKind     Code = "cause_wrong_kind"    // a person's act without a command, an ending without its request
	CauseNotEarlier    Code = "cause_not_earlier"   // it names this entry or a later one
	CauseNotRequest    Code = "cause_not_request"   // an ending names another entry than the request
	ExpiredEarly       Code = "expired_early"       // before the hold's time was up
	PaymentRepeated    Code = "payment_repeated"    // one payment of a provider, booked twice
	PredictionRepeated Code = "prediction_repeated" // asked again after it ended
	BonusApart         Code = "bonus_apart"         // not with the sign-up, or twice
	AdminUnchanged     Code = "admin_unchanged"     // granted to an admin, or revoked from somebody else
	TooManyHolds       Code = "too_many_holds"
)

// What is wrong with what is served.
const (
	ViewDiffers Code = "view_differs" // from what the log gives, at the view's own position
	ViewMissing Code = "view_missing" // its table is not there, or is none of ours
	ViewAhead   Code = "view_ahead"   // of the log
)

// What is wrong beside the log.
const (
	CheckpointAhead Code = "checkpoint_ahead" // of the log: a follower would pass over what comes
	GuardMissing    Code = "guard_missing"    // what keeps the log from being changed was taken away
)

// Fault is one place at which the ledger contradicts itself.
type Fault struct {
	Code Code `json:"code"`
	// Position is that of the bad entry; where an entry is missing, the position at
	// which it should be. A bad snapshot has the position of the entry up to which
	// it was folded, a bad root that of the last entry. It is 0 only for what belongs
	// to no entry at all.
	Position eventstore.Position `json:"position"`
	Stream   eventstore.Stream   `json:"stream,omitempty"` // of that entry
	View     string              `json:"view,omitempty"`   // the table, of what is served; Position is then the view's
	Key      string              `json:"key,omitempty"`    // of the row
	Expected string              `json:"expected,omitempty"`
	Found    string              `json:"found,omitempty"`
	What     string              `json:"message"`
}

func (f *Fault) Error() string {
	says := fmt.Sprintf("position %d: %s (%s)", f.Position, f.What, f.Code)
	if f.View != "" {
		says = strings.TrimSpace(f.View+" "+f.Key) + " at " + says
	}
	if f.Expected != "" || f.Found != "" {
		says += fmt.Sprintf(": expected %s, found %s", f.Expected, f.Found)
	}
	return says
}

func fault(code Code, at eventstore.Position, format string, args ...any) *Fault {
	return &Fault{Code: code, Position: at, What: fmt.Sprintf(format, args...)}
}

// between adds what should be there and what is.
func (f *Fault) between(expected, found any) *Fault {
	f.Expected, f.Found = fmt.Sprint(expected), fmt.Sprint(found)
	return f
}

// faultsMost bounds the faults that are listed; the rest is counted.
const faultsMost = 100

// Faults are what a verification found, in the order in which it came upon them.
// errors.As gives the first as a *Fault.
type Faults struct {
	List []*Fault
	More int // that are not listed
}

func (f *Faults) add(found *Fault) {
	if len(f.List) < faultsMost {
		f.List = append(f.List, found)
		return
	}
	f.More++
}

// take adds what is a *Fault, and gives back any other error.
func (f *Faults) take(err error) error {
	var one *Fault
	if errors.As(err, &one) {
		f.add(one)
		return nil
	}
	return err
}

// with gives what was found beside an error that is no fault; nil where there is
// neither.
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
