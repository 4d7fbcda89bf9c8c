package auditing

import (
	"context"
	"errors"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
)

// Balance is the trial balance as it was.
type Balance struct {
	audit.Trial
	Owed  audit.Amount    `json:"owed"`  // bought credits that persons have, and what they cost at the price of then
	Gifts domain.Credits  `json:"gifts"` // given ones
	Price domain.PriceSet `json:"price"` // of then
}

// Money is what is owed in money; ok is false where no price of a credit was stated.
func (b Balance) Money() (m audit.Money, ok bool) { return audit.Worth(b.Owed.Credits, b.Price) }

// Balance adds up the log as of a moment; nil is now.
func (a *Reader) Balance(ctx context.Context, asOf *audit.Moment) (b Balance, err error) {
	ctx, cancel := question(ctx)
	defer cancel()
	at, err := a.at(ctx, asOf)
	if err != nil {
		return b, refused(err)
	}
	if b.Trial, err = audit.TrialAt(ctx, a.log, at); err != nil {
		return b, refused(err)
	}
	b.Price, err = audit.PriceAt(ctx, a.log, at)
	b.Owed.Credits, b.Gifts = Owed(b.Trial)
	if m, ok := b.Money(); ok {
		b.Owed.Minor = &m.Minor
	}
	return b, err
}

// Owed is what persons have of each book: bought credits, which are owed to them, and given ones.
func Owed(t audit.Trial) (bought, given domain.Credits) {
	return t.Users["available"] + t.Users["held"], t.Users["given"] + t.Users["given_held"]
}

// Course gives the trial balance at equal steps of time from the first entry until now.
func (a *Reader) Course(ctx context.Context, points int) ([]audit.Moving, error) {
	ctx, cancel := question(ctx)
	defer cancel()
	archived, err := a.log.Archived(ctx)
	if err != nil {
		return nil, err
	}
	list, err := a.log.After(ctx, archived, 1)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	first, until := list[0].Time, a.now()
	times := make([]time.Time, 0, points)
	for i := range points {
		times = append(times, first.Add(until.Sub(first)/time.Duration(points)*time.Duration(i+1)))
	}
	course, err := a.log.Sums.Course(ctx, a.log, times)
	return course, refused(err)
}

// AdjustmentQuery chooses corrections of balances.
type AdjustmentQuery struct {
	Since, Until *audit.Moment       // nil: from the beginning, to the end
	After        eventstore.Position // from which the list goes on; 0: from its beginning
	By           domain.UserID
	Reason       string
	Above        domain.Credits
}

func (a *Reader) filter(ctx context.Context, q AdjustmentQuery) (f audit.AdjustmentFilter, err error) {
	f = audit.AdjustmentFilter{By: q.By, Reason: q.Reason, Above: q.Above}
	if q.Since != nil {
		if f.Since, err = a.at(ctx, q.Since); err != nil {
			return f, refused(err)
		}
	} else if f.Since, err = a.log.Archived(ctx); err != nil {
		return f, err
	}
	if f.UpTo, err = a.at(ctx, q.Until); err != nil {
		return f, refused(err)
	}
	f.Since = max(f.Since, q.After)
	f.UpTo = max(f.UpTo, f.Since)
	return f, nil
}

// Adjustments gives a part of the list, the oldest first.
func (a *Reader) Adjustments(ctx context.Context, q AdjustmentQuery, limit int) (audit.AdjustmentPage, error) {
	ctx, cancel := question(ctx)
	defer cancel()
	f, err := a.filter(ctx, q)
	if err != nil {
		return audit.AdjustmentPage{}, err
	}
	page, err := audit.PageOfAdjustments(ctx, a.log, f, min(limit, PageSize), searchTime)
	return page, refused(err)
}

// Proposals gives the adjustments that were proposed in the time, with their decisions: the first
// PageSize of them.
func (a *Reader) Proposals(ctx context.Context, q AdjustmentQuery) ([]audit.Proposed, error) {
	ctx, cancel := question(ctx)
	defer cancel()
	f, err := a.filter(ctx, q)
	if err != nil {
		return nil, err
	}
	list, err := audit.Proposals(ctx, a.log, f.Since, f.UpTo, PageSize)
	return list, refused(err)
}

// Entry is one entry, and how it is in the signed log.
type Entry struct {
	audit.Entry
	Append []eventstore.Position `json:"append"`          // of all entries that were appended together, this one too
	Proof  *Proof                `json:"proof,omitempty"` // nil: the entry is not in the log of the head
}

// Proof is the path from the leaf to the root of a signed head, or, where none covers the entry,
// of the log as it is.
type Proof struct {
	Size   eventstore.Position `json:"size"`
	Root   eventstore.Hash     `json:"root"`
	Signed bool                `json:"signed"`
	Steps  []audit.Step        `json:"steps"`
}

// Entry reads the entry at a position.
func (a *Reader) Entry(ctx context.Context, at eventstore.Position) (e Entry, err error) {
	ctx, cancel := question(ctx)
	defer cancel()
	rec, err := audit.EntryAt(ctx, a.log, at)
	if err != nil {
		return e, refused(err)
	}
	if e.Entry, err = audit.EntryOf(rec); err != nil {
		return e, err
	}
	together, err := audit.AppendOf(ctx, a.log, rec)
	if err != nil {
		return e, err
	}
	for _, one := range together {
		e.Append = append(e.Append, one.Position)
	}
	signed, _, err := a.heads.Published(ctx)
	if err != nil {
		return e, err
	}
	now, err := a.log.Head(ctx)
	if err != nil {
		return e, err
	}
	head := signed.Head
	if head.Size < at || head.Size > now.Size { // not signed yet; or the log was set back
		head = now
	}
	steps, err := audit.PathTo(ctx, a.log, head, rec)
	if errors.Is(err, audit.ErrNoPath) {
		return e, nil
	}
	e.Proof = &Proof{head.Size, head.Root, head == signed.Head, steps}
	return e, err
}

// Timeline gives a part of what the log has of a person, the newest first. Where there is no such
// person it is empty.
func (a *Reader) Timeline(ctx context.Context, u domain.UserID, before eventstore.Version, limit int) (audit.TimelinePage, error) {
	ctx, cancel := question(ctx)
	defer cancel()
	page, err := audit.Timeline(ctx, a.log, u, before, min(limit, PageSize))
	return page, refused(err)
}
