package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Adjustment is an admin's correction of a balance.
type Adjustment struct {
	Position   eventstore.Position `json:"position"`
	Time       time.Time           `json:"time"`
	ProposedBy domain.UserID       `json:"proposed_by,omitempty"` // where another admin had to approve it; admin_id is who did
	Approval   string              `json:"approval,omitempty"`    // the reason of who approved it
	domain.BalanceAdjusted
}

// AdjustmentFilter chooses corrections.
type AdjustmentFilter struct {
	Since  eventstore.Position // behind it
	UpTo   eventstore.Position
	By     domain.UserID  // made, proposed or approved by this admin; "": by any
	Reason string         // contained in a reason or a reference, in any case; "": whatever was written
	Above  domain.Credits // of more credits than this, given or taken
}

func (f AdjustmentFilter) chooses(a Adjustment) bool {
	return (f.By == "" || a.Admin == f.By || a.ProposedBy == f.By) && max(a.Amount, -a.Amount) > f.Above &&
		slices.ContainsFunc([]string{a.Reason, a.Reference, a.Approval}, func(text string) bool {
			return strings.Contains(strings.ToLower(text), strings.ToLower(f.Reason))
		})
}

// Adjustments gives fn the corrections that the filter chooses, in order. The position is up to
// where it has looked, also with an error.
func Adjustments(ctx context.Context, log FullLog, f AdjustmentFilter, fn func(Adjustment) error) (looked eventstore.Position, err error) {
	looked = f.Since
	approved := map[eventstore.Cause]Proposed{} // by the cause that both entries of the append have
	err = proposals(ctx, log, f.UpTo, func(p Proposed) error {
		if p.State == domain.ProposalApproved && p.Ended > f.Since {
			approved[p.cause] = p
		}
		return nil
	})
	if err != nil {
		return looked, err
	}
	parts := []stretch{{f.Since, f.UpTo}}
	if log.Sums != nil {
		if parts, err = log.Sums.withAdjustments(ctx, log, f.Since, f.UpTo); err != nil {
			return looked, err
		}
	}
	for _, part := range parts {
		err = log.between(ctx, part.behind, part.upTo, func(rec eventstore.Recorded) error {
			if e, ok := rec.Event.(domain.BalanceAdjusted); ok {
				p := approved[rec.Cause]
				if one := (Adjustment{rec.Position, rec.Time, p.ProposedBy, p.Decision, e}); f.chooses(one) {
					if err := fn(one); err != nil {
						return err
					}
				}
			}
			looked = rec.Position
			return nil
		})
		if err != nil {
			return looked, err
		}
	}
	return f.UpTo, nil
}

// Proposed is an adjustment that waited for another admin, or waits.
type Proposed struct {
	Position eventstore.Position `json:"position"`
	Ended    eventstore.Position `json:"ended"` // of the decision or expiry; 0 while it waits
	domain.Proposal

	cause eventstore.Cause // of the end
}

// Proposals lists those that were made behind a position, up to another, as they were there, in
// order; at most most of them.
func Proposals(ctx context.Context, log FullLog, since, upTo eventstore.Position, most int) (list []Proposed, err error) {
	err = proposals(ctx, log, upTo, func(p Proposed) error {
		if p.Position > since {
			list = append(list, p)
		}
		return nil
	})
	slices.SortFunc(list, func(a, b Proposed) int { return int(a.Position - b.Position) })
	return list[:min(len(list), most)], err
}

// proposals gives fn each proposal when it ends, and then those that wait. Their stream stays in the
// database when entries are archived.
func proposals(ctx context.Context, log FullLog, upTo eventstore.Position, fn func(Proposed) error) error {
	var open []Proposed
	end := func(rec eventstore.Recorded, id domain.ProposalID, state domain.ProposalState, by domain.UserID, reason string) error {
		i := slices.IndexFunc(open, func(p Proposed) bool { return p.ID == id })
		if i < 0 {
			return nil // verify finds it
		}
		p := open[i]
		open = slices.Delete(open, i, i+1)
		p.State, p.DecidedBy, p.Decision, p.EndedAt, p.Ended, p.cause = state, by, reason, rec.Time, rec.Position, rec.Cause
		return fn(p)
	}
	err := log.OfStream(ctx, eventstore.AdjustmentsStream, upTo, func(rec eventstore.Recorded) error {
		switch e := rec.Event.(type) {
		case domain.AdjustmentProposed:
			open = append(open, Proposed{Position: rec.Position, Proposal: domain.Proposal{ID: e.Proposal, User: e.User, ProposedBy: e.Admin,
				Correction: domain.Correction{Amount: e.Amount, Kind: e.Kind, Reason: e.Reason, Reference: e.Reference},
				ProposedAt: rec.Time, ExpiresAt: e.ExpiresAt, State: domain.ProposalOpen}})
		case domain.AdjustmentApproved:
			return end(rec, e.Proposal, domain.ProposalApproved, e.Admin, e.Reason)
		case domain.AdjustmentRejected:
			return end(rec, e.Proposal, domain.ProposalRejected, e.Admin, e.Reason)
		case domain.AdjustmentExpired:
			return end(rec, e.Proposal, domain.ProposalExpired, "", "")
		}
		return nil
	})
	for _, p := range open {
		if err == nil {
			err = fn(p)
		}
	}
	return err
}

// errFull ends a list that is full.
var errFull = errors.New("the list is full")

// AdjustmentPage is a part of a list of corrections, the oldest first.
type AdjustmentPage struct {
	Items []Adjustment
	Next  eventstore.Position // from which the list goes on; 0 where it has ended
}

// PageOfAdjustments gives at most limit corrections. It looks for them for the time at most: a
// filter that chooses few takes several pages, which may be empty.
func PageOfAdjustments(ctx context.Context, log FullLog, f AdjustmentFilter, limit int, within time.Duration) (page AdjustmentPage, err error) {
	looking, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	looked, err := Adjustments(looking, log, f, func(one Adjustment) error {
		if len(page.Items) == limit {
			return errFull
		}
		page.Items = append(page.Items, one)
		return nil
	})
	if errors.Is(err, errFull) || looking.Err() != nil && ctx.Err() == nil && looked > f.Since {
		page.Next, err = looked, nil
	}
	return page, err
}

// WriteAdjustments writes the corrections that the filter chooses as a table in CSV.
func WriteAdjustments(ctx context.Context, log FullLog, f AdjustmentFilter, out io.Writer) (err error) {
	return errors.Join(WriteCSV(out, func(row func(...any)) { err = EachAdjustmentRow(ctx, log, f, row) }), err)
}

// EachAdjustmentRow gives row the heading of the table, and a line for each correction.
func EachAdjustmentRow(ctx context.Context, log FullLog, f AdjustmentFilter, row func(cells ...any)) error {
	row("position", "time", "admin", "proposed by", "person", "amount", "of it given", "reference", "reason")
	_, err := Adjustments(ctx, log, f, func(one Adjustment) error {
		row(one.Position, one.Time.UTC().Format("2006-01-02 15:04:05.000"), one.Admin, one.ProposedBy, one.User, fmt.Sprintf("%+d", one.Amount), one.GivenAmount, oneLine(one.Reference), oneLine(one.Reason))
		return nil
	})
	return err
}

// oneLine keeps what people wrote from looking like another line of the table.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}
