package audit

import (
	"context"
	"strconv"
	"strings"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// The rules of this file speak of several streams, or of an entry's envelope beside
// its event. A fact that breaks one is sound in its own stream, and was hashed as it
// should be: only somebody who goes around the service can have written it. The
// replay notes it and goes on.

// ahead is how far the clock that wrote an entry may be before the verifier's.
const ahead = 5 * time.Minute

// earlyMost is by how much an expiry may come before its time: a clock that is set
// back between the decision and the append.
const earlyMost = time.Second

// broken notes that an entry breaks a rule.
func (r *replay) broken(rec eventstore.Recorded, f *Fault) {
	f.Stream = rec.Stream
	r.found.add(f)
}

// moment looks at when the entry says that it happened.
func (r *replay) moment(rec eventstore.Recorded) {
	if rec.Time.After(r.now) {
		r.broken(rec, fault(TimeInFuture, rec.Position, "the entry is from the future, or this machine's clock is behind").
			between("at most "+r.now.UTC().Format(time.RFC3339), rec.Time.Format(time.RFC3339)))
	}
	if by := r.latest.Sub(rec.Time); by > r.report.Back.By {
		r.report.Back = StepBack{rec.Position, by}
	}
	if rec.Time.After(r.latest) {
		r.latest = rec.Time
	}
}

// author is a kind of actor.
type author int

const (
	nobody   author = iota
	person          // "user:<id>": by a command of their own
	operator        // "operator": by a command at the installation's console
	system          // "system:<part>": by an earlier entry
)

// authorOf reads an actor; of a person it gives who it is.
func authorOf(actor string) (author, domain.UserID) {
	if id, ok := strings.CutPrefix(actor, "user:"); ok && id != "" {
		return person, domain.UserID(id)
	}
	if part, ok := strings.CutPrefix(actor, "system:"); ok && part != "" {
		return system, ""
	}
	if actor == "operator" {
		return operator, ""
	}
	return nobody, ""
}

// writes says which kind of actor alone writes events of a type.
func writes(t domain.EventType) author {
	switch t {
	case domain.TypeAdminGranted, domain.TypeAdminRevoked:
		return operator
	case domain.TypePredictionCompleted, domain.TypePredictionFailed, domain.TypePredictionExpired:
		return system
	}
	return person
}

// authorship proves that who is named as the entry's actor could have written it, for
// a cause of the right kind.
func (r *replay) authorship(rec eventstore.Recorded) {
	kind, who := authorOf(rec.Actor)
	if kind == nobody {
		r.broken(rec, fault(ActorUnknown, rec.Position, "there is no actor %q", rec.Actor))
		return
	}
	switch {
	case kind != writes(rec.Type):
		r.broken(rec, fault(ActorNotAllowed, rec.Position, "%s by %q, who never writes it", rec.Type, rec.Actor))
	case kind == person && rec.Type != domain.TypeBalanceAdjusted && who != rec.Event.Subject():
		r.broken(rec, fault(ActorNotSubject, rec.Position, "%s of an account by the command of another", rec.Type).
			between(rec.Event.Subject(), who))
	}
	_, byCommand := rec.Cause.Command()
	request, byEntry := rec.Cause.Position()
	switch {
	case kind == system && !byEntry:
		r.broken(rec, fault(CauseWrongKind, rec.Position, "%s follows from an entry, and its cause names none", rec.Type).
			between("position:N", strconv.Quote(string(rec.Cause))))
	case kind != system && !byCommand:
		r.broken(rec, fault(CauseWrongKind, rec.Position, "%s is a command's, and its cause names none", rec.Type).
			between("command:ID:CONTENT", strconv.Quote(string(rec.Cause))))
	case byEntry && request >= rec.Position:
		r.broken(rec, fault(CauseNotEarlier, rec.Position, "the cause is no earlier entry").
			between("before "+strconv.FormatInt(int64(rec.Position), 10), request))
	}
}

// deed looks at one fact of an account, before it is folded into it.
func (r *replay) deed(ctx context.Context, rec eventstore.Recorded, a *account) error {
	switch e := rec.Event.(type) {
	case domain.BonusGranted:
		if joins := r.joining[e.User]; rec.Version != 2 || joins == nil || joins.signUp == 0 {
			r.broken(rec, fault(BonusApart, rec.Position, "a bonus that was not granted with the sign-up"))
		}
	case domain.Deposited:
		return r.payment(ctx, rec, eventstore.PaymentStream(e.Provider, e.Payment))
	case domain.Withdrawn:
		return r.payment(ctx, rec, eventstore.PayoutStream(e.Provider, e.Payment))
	case domain.BalanceAdjusted:
		r.adjustment(rec, e)
	case domain.PredictionRequested:
		return r.request(ctx, rec, a, e)
	case domain.PredictionCompleted:
		r.ending(rec, a, e.Prediction)
	case domain.PredictionFailed:
		r.ending(rec, a, e.Prediction)
	case domain.PredictionExpired:
		r.expiry(rec, a, e.Prediction)
		r.ending(rec, a, e.Prediction)
	case domain.AdminGranted, domain.AdminRevoked:
		if _, grants := e.(domain.AdminGranted); grants == a.Admin {
			r.broken(rec, fault(AdminUnchanged, rec.Position, "%s changes nothing", rec.Type))
		}
	}
	return nil
}

// adjustment proves that the author was an admin when the entry was appended: what
// was granted later, or was revoked before, does not count.
func (r *replay) adjustment(rec eventstore.Recorded, e domain.BalanceAdjusted) {
	if _, who := authorOf(rec.Actor); who != e.Admin {
		r.broken(rec, fault(AdminNotActor, rec.Position, "the adjustment names another admin than its author").between(who, e.Admin))
	}
	if by := r.accounts[e.Admin]; by == nil || !by.Admin {
		r.broken(rec, fault(ActorNotAdmin, rec.Position, "%q adjusts a balance and is no admin", e.Admin))
	}
}

// payment proves that the provider's payment was not booked before in this direction,
// and remembers it for the claim that the same append must make.
func (r *replay) payment(ctx context.Context, rec eventstore.Recorded, stream eventstore.Stream) error {
	if !rec.Event.(domain.Mover).Moved().Undivided { // before there were two books, payments were not claimed
		r.pay(stream).booked = rec
	}
	first, err := r.earlier(ctx, "payment", string(stream), rec.Position, func(then eventstore.Recorded) bool {
		switch e := then.Event.(type) {
		case domain.Deposited:
			return eventstore.PaymentStream(e.Provider, e.Payment) == stream
		case domain.Withdrawn:
			return eventstore.PayoutStream(e.Provider, e.Payment) == stream
		}
		return false
	})
	if err == nil && first > 0 {
		r.broken(rec, fault(PaymentRepeated, rec.Position, "the payment of %q was booked before, at position %d", stream, first))
	}
	return err
}

// request remembers where a hold was asked for. That it is open already the fold says.
func (r *replay) request(ctx context.Context, rec eventstore.Recorded, a *account, e domain.PredictionRequested) error {
	if len(a.Holds) >= domain.MaxOpenHolds {
		r.broken(rec, fault(TooManyHolds, rec.Position, "the account has more open holds than it may have").
			between(domain.MaxOpenHolds, len(a.Holds)+1))
	}
	a.asked[e.Prediction] = rec.Position
	first, err := r.earlier(ctx, "prediction", string(e.Prediction), rec.Position, func(then eventstore.Recorded) bool {
		asked, ok := then.Event.(domain.PredictionRequested)
		return ok && asked.Prediction == e.Prediction
	})
	if err == nil && first > 0 {
		r.broken(rec, fault(PredictionRepeated, rec.Position, "the prediction %s was asked before, at position %d", e.Prediction, first))
	}
	return err
}

// ending proves that an end follows from the very request that it ends. That there
// is an open hold the fold says.
func (r *replay) ending(rec eventstore.Recorded, a *account, id domain.PredictionID) {
	asked, open := a.asked[id]
	delete(a.asked, id)
	if cause, ok := rec.Cause.Position(); open && ok && cause < rec.Position && cause != asked {
		r.broken(rec, fault(CauseNotRequest, rec.Position, "%s names another entry than its request as its cause", rec.Type).between(asked, cause))
	}
}

// expiry proves that the hold's time was up.
func (r *replay) expiry(rec eventstore.Recorded, a *account, id domain.PredictionID) {
	for _, h := range a.Holds {
		if h.Prediction == id && rec.Time.Add(earlyMost).Before(h.ExpiresAt) {
			r.broken(rec, fault(ExpiredEarly, rec.Position, "the hold of %s expires before its time", id).
				between("from "+h.ExpiresAt.Format(time.RFC3339Nano), rec.Time.Format(time.RFC3339Nano)))
		}
	}
}
