package audit

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// adjustments is the stream of adjustments in a replay, and what the current append has of it.
type adjustments struct {
	domain.Adjustments
	version  eventstore.Version
	proposed map[domain.ProposalID]eventstore.Position // of open proposals

	counted  eventstore.Recorded // that its adjustment, proposal or approval must follow; zero for none
	approved eventstore.Recorded // that its adjustment must follow; zero for none
	proposal domain.Proposal     // that is approved
}

// adjustment proves an entry of the stream of adjustments.
func (r *replay) adjustment(rec eventstore.Recorded) error {
	a := &r.adjustments
	if err := inOrder(rec, eventstore.AdjustmentsStream, a.version); err != nil {
		return err
	}
	r.checkAdjustmentRules(rec)
	if err := a.follow(rec); err != nil {
		return fault(FactBroken, rec.Position, "%s", err)
	}
	return nil
}

func (a *adjustments) follow(rec eventstore.Recorded) error {
	if err := a.Apply(rec.Event, rec.Time); err != nil {
		return err
	}
	a.version = rec.Version
	switch e := rec.Event.(type) {
	case domain.AdjustmentProposed:
		if a.proposed == nil {
			a.proposed = map[domain.ProposalID]eventstore.Position{}
		}
		a.proposed[e.Proposal] = rec.Position
	case domain.AdjustmentApproved:
		delete(a.proposed, e.Proposal)
	case domain.AdjustmentRejected:
		delete(a.proposed, e.Proposal)
	case domain.AdjustmentExpired:
		delete(a.proposed, e.Proposal)
	}
	return nil
}

// ofAdjustments reports whether a type is one of the stream of adjustments.
func ofAdjustments(t domain.EventType) bool {
	switch t {
	case domain.TypeAdjustmentLimitsSet, domain.TypeAdjustmentCounted, domain.TypeAdjustmentProposed,
		domain.TypeAdjustmentApproved, domain.TypeAdjustmentRejected, domain.TypeAdjustmentExpired:
		return true
	}
	return false
}

// checkAdjustmentRules checks an entry of the stream before it is folded.
func (r *replay) checkAdjustmentRules(rec eventstore.Recorded) {
	a := &r.adjustments
	switch e := rec.Event.(type) {
	case domain.AdjustmentCounted:
		if e.Used > a.Limits.DailyLimit {
			r.broken(rec, fault(OverDailyLimit, rec.Position, "an admin adjusts more on a day than the limit").between(a.Limits.DailyLimit, e.Used))
		}
		a.counted = rec
	case domain.AdjustmentProposed:
		r.byAdmin(rec, e.Admin)
		r.ofAnother(rec, e.Admin, OwnAdjustment)
		r.count(rec, e.Admin, e.Amount)
	case domain.AdjustmentApproved:
		p := r.decided(rec, e.Proposal, e.Admin)
		if p.ProposedBy == e.Admin {
			r.broken(rec, fault(ApprovedOwn, rec.Position, "the proposal %s is approved by the admin who proposed it", e.Proposal))
		}
		r.count(rec, e.Admin, p.Amount)
		a.approved, a.proposal = rec, p
	case domain.AdjustmentRejected:
		r.decided(rec, e.Proposal, e.Admin)
	case domain.AdjustmentExpired:
		p, _ := a.Proposal(e.Proposal)
		if rec.Time.Add(maxEarly).Before(p.ExpiresAt) {
			r.broken(rec, fault(ExpiredEarly, rec.Position, "the proposal %s expires before its time", e.Proposal).
				between("from "+p.ExpiresAt.Format(time.RFC3339Nano), rec.Time.Format(time.RFC3339Nano)))
		}
		asked, open := a.proposed[e.Proposal]
		if cause, ok := rec.Cause.Position(); open && ok && cause < rec.Position && cause != asked {
			r.broken(rec, fault(CauseNotRequest, rec.Position, "%s names another entry than the proposal as its cause", rec.Type).between(asked, cause))
		}
	}
}

// decided proves that an admin could decide about a proposal at this time. That it is open is
// proved by the fold.
func (r *replay) decided(rec eventstore.Recorded, id domain.ProposalID, admin domain.UserID) domain.Proposal {
	r.byAdmin(rec, admin)
	r.ofAnother(rec, admin, OwnAdjustment)
	p, known := r.adjustments.Proposal(id)
	if known && p.Due(rec.Time) {
		r.broken(rec, fault(DecidedLate, rec.Position, "the proposal %s is decided after its time", id).
			between("before "+p.ExpiresAt.Format(time.RFC3339Nano), rec.Time.Format(time.RFC3339Nano)))
	}
	return p
}

// count proves that an amount was counted for the admin's daily limit, earlier in the same append.
func (r *replay) count(rec eventstore.Recorded, admin domain.UserID, amount domain.Credits) {
	a := &r.adjustments
	if r.part.continued { // the beginning of the append was not read
		return
	}
	counted, _ := a.counted.Event.(domain.AdjustmentCounted)
	a.counted = eventstore.Recorded{}
	if limit := a.Limits.DailyLimit; limit > 0 && (counted.User != admin || counted.Amount != max(amount, -amount)) {
		r.broken(rec, fault(NotCounted, rec.Position, "%s is not counted for the daily limit of its admin", rec.Type).
			between(max(amount, -amount), counted.Amount))
	}
}

// adjusted proves that a correction of a balance is within the limits of what its admin does
// alone, or just what was proposed by another and approved in the same append.
func (r *replay) adjusted(rec eventstore.Recorded, of *account, e domain.BalanceAdjusted) {
	a := &r.adjustments
	if r.part.continued { // the beginning of the append was not read
		return
	}
	approved, _ := a.approved.Event.(domain.AdjustmentApproved)
	if p := a.proposal; a.approved.Position > 0 && approved.User == e.User {
		a.approved = eventstore.Recorded{}
		want, err := of.Adjust(domain.Account{User: approved.Admin, Admin: true}, p.Correction)
		if err != nil || !reflect.DeepEqual(want[0], domain.Event(e)) {
			r.broken(rec, fault(NotAsProposed, rec.Position, "the adjustment is another than the proposal %s that was approved", p.ID))
		}
		return
	}
	if a.Limits.Above(e.Amount) {
		r.broken(rec, fault(NotApproved, rec.Position, "an adjustment above the limit without the approval of another admin").
			between("at most "+strconv.FormatInt(int64(a.Limits.FourEyesAbove), 10), e.Amount))
	}
	r.count(rec, e.Admin, e.Amount)
}

// checkAdjusted checks an append that has ended: what was counted or approved in it was done.
func (r *replay) checkAdjusted() {
	a := &r.adjustments
	if rec := a.counted; rec.Position > 0 && !r.part.continued {
		r.broken(rec, fault(NotCounted, rec.Position, "credits are counted for a daily limit, and nothing is adjusted in the same append"))
	}
	if rec := a.approved; rec.Position > 0 && !r.part.continued {
		r.broken(rec, fault(NotAsProposed, rec.Position, "the proposal %s is approved, and not carried out in the same append", a.proposal.ID))
	}
	a.counted, a.approved = eventstore.Recorded{}, eventstore.Recorded{}
}

// readAdjustments folds the stream up to a position from which a replay goes on. It is kept when
// entries are archived.
func (r *replay) readAdjustments(ctx context.Context, upTo eventstore.Position) error {
	page := 256
	a := &r.adjustments
	for {
		list, err := r.store.Stream(ctx, eventstore.AdjustmentsStream, a.version, page)
		unreadable := errors.Is(err, eventstore.ErrCorrupt) || errors.Is(err, eventstore.ErrNewer)
		switch {
		case unreadable && page > 1:
			page = 1
			continue
		case unreadable: // it is behind the position: the replay comes to it
			return nil
		case err != nil:
			return err
		}
		for _, rec := range list {
			if rec.Position > upTo {
				return nil
			}
			if err := a.follow(rec); err != nil {
				return fault(FactBroken, rec.Position, "%s", err)
			}
		}
		if len(list) < page {
			return nil
		}
	}
}
