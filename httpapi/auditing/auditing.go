// Package auditing is what an auditor is shown of the log, for the pages and the API alike. What it
// shows it reads from the log by package audit, and not from the views.
//
// An auditor's question can be about all of a long log. So each has a time of its own, after which it
// is refused with 503: what was read until then is remembered (audit.Sums), and the same question
// asked again goes on from there. Files are made one at a time in each process.
package auditing

import (
	"context"
	"errors"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/problem"
	"kassa/transparency"
)

// Reader reads for an auditor.
type Reader struct {
	log   audit.FullLog
	heads transparency.Heads
	views func(context.Context) (map[string]eventstore.Position, error)
	now   func() time.Time
	files chan struct{} // taken while a file is made
}

// New gives a reader of a log, its signed heads, and the positions of the views by their names.
func New(log *eventstore.Store, heads transparency.Heads, views func(context.Context) (map[string]eventstore.Position, error), now func() time.Time) *Reader {
	return &Reader{audit.FullLog{Store: log, Sums: audit.NewSums()}, heads, views, now, make(chan struct{}, 1)}
}

// How long is worked for one answer.
const (
	questionTime = 5 * time.Second
	searchTime   = 2 * time.Second // for a part of a list; what was found until then is shown
)

// PageSize is how many lines a part of a list has at most.
const PageSize = 100

func question(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, questionTime)
}

// maxMoment is the longest text of one, in bytes; the contract says the same.
const maxMoment = 40

// Moment reads a position, a time or a date; nil, the end of the log, of nothing. The error is a
// refusal.
func Moment(text string) (*audit.Moment, error) {
	if text == "" {
		return nil, nil
	}
	m := &audit.Moment{}
	if len(text) > maxMoment {
		return nil, domain.Reject(problem.InvalidMoment, "a position, a time or a date has at most %d bytes", maxMoment)
	}
	if err := m.UnmarshalText([]byte(text)); err != nil {
		return nil, domain.Reject(problem.InvalidMoment, "%s", err)
	}
	return m, nil
}

// at is the position of a moment.
func (a *Reader) at(ctx context.Context, m *audit.Moment) (eventstore.Position, error) {
	at, err := m.In(ctx, a.log)
	if errors.Is(err, audit.ErrRange) {
		err = domain.Reject(problem.InvalidMoment, "%s", err)
	}
	return at, err
}

// refused turns errors of the log into refusals.
func refused(err error) error {
	switch {
	case errors.Is(err, eventstore.ErrArchived):
		return domain.Reject(problem.Archived, "this part of the log is archived: ask kassa audit, with --archive")
	case errors.Is(err, audit.ErrNoEntry):
		return domain.Reject(problem.NotFound, "there is no such entry, or it is archived")
	case errors.Is(err, audit.ErrNotBegun), errors.Is(err, audit.ErrRange):
		return domain.Reject(problem.InvalidMoment, "%s", err)
	}
	return err
}

// State is how far the log has come, and who vouches for it.
type State struct {
	Size     eventstore.Position `json:"size"`
	Root     eventstore.Hash     `json:"root"`
	Archived eventstore.Position `json:"archived"` // up to where entries are in archives

	Signed   *Signed                        `json:"signed,omitempty"`   // nil: no head was signed yet
	Cosigned *transparency.CosignedSummary  `json:"cosigned,omitempty"` // nil: no witness has cosigned one
	Views    map[string]eventstore.Position `json:"views"`              // up to where each shows the log

	Attested  *Attested  `json:"attested,omitempty"`  // nil: the views were never attested
	Catalogue *Catalogue `json:"catalogue,omitempty"` // nil: the films were never recorded
	Verified  *Verified  `json:"verified,omitempty"`  // nil: no verification was recorded
}

// Attested is when the service last stated what its views were.
type Attested struct {
	RecordedAt
	domain.ViewsAttested
}

// Catalogue is which films were recorded last.
type Catalogue struct {
	RecordedAt
	domain.CatalogueRecorded
}

// Verified is the last verification that the operator recorded.
type Verified struct {
	RecordedAt
	domain.LedgerVerified
}

// RecordedAt is where the log says it, and since when.
type RecordedAt struct {
	At   eventstore.Position `json:"entry"`
	Time time.Time           `json:"at"`
}

// Signed is the last signed head.
type Signed struct {
	Origin    string              `json:"origin"`
	Size      eventstore.Position `json:"size"`
	Root      eventstore.Hash     `json:"root"`
	Continued bool                `json:"continued"` // the log has the entries that were signed
	// WrittenAt is the time of the newest entry that it covers: it was signed after that.
	WrittenAt *time.Time `json:"written_at,omitempty"`
	// WaitingSince is the time of the oldest entry that no head covers yet.
	WaitingSince *time.Time `json:"waiting_since,omitempty"`
}

// State reads all of it now.
func (a *Reader) State(ctx context.Context) (s State, err error) {
	ctx, cancel := question(ctx)
	defer cancel()
	if s.Views, err = a.views(ctx); err != nil { // before the head, so that none is ahead of it
		return s, err
	}
	signed, cosigned, err := a.heads.Published(ctx)
	if err != nil {
		return s, err
	}
	head, err := a.log.Head(ctx)
	if err != nil {
		return s, err
	}
	s.Size, s.Root, s.Cosigned = head.Size, head.Root, cosigned.Summary()
	if s.Archived, err = a.log.Archived(ctx); err != nil {
		return s, err
	}
	if err := a.recorded(ctx, &s); err != nil || signed.Note == nil {
		return s, err
	}
	s.Signed, err = a.signed(ctx, signed)
	return s, err
}

// recorded reads what the house recorded last of itself.
func (a *Reader) recorded(ctx context.Context, s *State) error {
	for _, stream := range []eventstore.Stream{eventstore.AttestationsStream, eventstore.CatalogueStream, eventstore.VerificationsStream} {
		last, err := audit.Last(ctx, a.log.Store, stream)
		if err != nil {
			return err
		}
		at := RecordedAt{last.Position, last.Time}
		switch e := last.Event.(type) {
		case domain.ViewsAttested:
			s.Attested = &Attested{at, e}
		case domain.CatalogueRecorded:
			s.Catalogue = &Catalogue{at, e}
		case domain.LedgerVerified:
			s.Verified = &Verified{at, e}
		}
	}
	return nil
}

func (a *Reader) signed(ctx context.Context, c transparency.Checkpoint) (*Signed, error) {
	s := &Signed{Origin: c.Origin, Size: c.Head.Size, Root: c.Head.Root}
	err := audit.Consistent(ctx, a.log.Store, c.Head)
	if _, differs := errors.AsType[*audit.Fault](err); err != nil && !differs {
		return nil, err
	}
	s.Continued = err == nil
	near, err := a.log.At(ctx, []eventstore.Position{c.Head.Size, c.Head.Size + 1})
	if err != nil {
		return nil, err
	}
	for at, shown := range map[eventstore.Position]**time.Time{c.Head.Size: &s.WrittenAt, c.Head.Size + 1: &s.WaitingSince} {
		if rec, there := near[at]; there {
			*shown = &rec.Time
		}
	}
	return s, nil
}
