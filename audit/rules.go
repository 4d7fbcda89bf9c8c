package audit

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// The rules of this file relate several streams, or an entry's envelope to its event. A
// fact that breaks one is valid in its own stream and correctly hashed: it can only
// have been written without the service. The replay records the fault and continues.

// maxAhead is how far the clock of an entry's writer may be ahead of the verifier's.
const maxAhead = 5 * time.Minute

// maxEarly is how early an expiry may be: a clock may be set back between the decision
// and the append.
const maxEarly = time.Second

// broken records that an entry breaks a rule.
func (r *replay) broken(rec eventstore.Recorded, f *Fault) {
	f.Stream = rec.Stream
	r.found.add(f)
}

// checkTime checks the entry's time.
func (r *replay) checkTime(rec eventstore.Recorded) {
	if rec.Time.After(r.now) {
		r.broken(rec, fault(TimeInFuture, rec.Position, "the entry is from the future, or this machine's clock is behind").
			between("at most "+r.now.UTC().Format(time.RFC3339), rec.Time.Format(time.RFC3339)))
	}
	if rec.Time.Before(r.periods.Until) {
		r.broken(rec, fault(PeriodIsClosed, rec.Position, "the entry is dated into a period that was closed before").
			between("from "+r.periods.Until.Format(time.RFC3339), rec.Time.Format(time.RFC3339)))
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
	unknownAuthor author = iota
	person               // "user:<id>": by the user's own command
	operator             // "operator": by a command at the installation's console
	system               // "system:<part>": by an earlier entry
)

// authorOf parses an actor; for a user it returns the id.
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
	return unknownAuthor, ""
}

// writes are the kinds of actors that write events of a type.
func writes(t domain.EventType) []author {
	switch t {
	case domain.TypeAdminGranted, domain.TypeAdminRevoked, domain.TypeMoveInAccepted, domain.TypeBalanceMovedIn, domain.TypePriceSet, domain.TypeAdjustmentLimitsSet, domain.TypeLedgerVerified:
		return []author{operator}
	case domain.TypeViewsAttested, domain.TypeCatalogueRecorded, domain.TypePredictionCompleted, domain.TypePredictionFailed, domain.TypePredictionExpired,
		domain.TypeCreditsForfeited, domain.TypePersonalDataErased, domain.TypeAdjustmentExpired:
		return []author{system}
	case domain.TypeWithdrawn, domain.TypePaymentClaimed: // an erasure pays out
		return []author{person, system}
	case domain.TypeErasureRequested, domain.TypeErasureCancelled,
		domain.TypeRoleGranted, domain.TypeRoleRevoked, domain.TypeAccountLocked, domain.TypeAccountUnlocked,
		domain.TypeSignedUp, domain.TypeEmailClaimed: // the operator moves people in
		return []author{person, operator}
	}
	return []author{person}
}

// adminOf is the admin who is named as the author of an event; "" for none.
func adminOf(e domain.Event) domain.UserID {
	switch e := e.(type) {
	case domain.BalanceAdjusted:
		return e.Admin
	case domain.ErasureRequested:
		return e.Admin
	case domain.ErasureCancelled:
		return e.Admin
	case domain.RoleGranted:
		return e.Admin
	case domain.RoleRevoked:
		return e.Admin
	case domain.AccountLocked:
		return e.Admin
	case domain.AccountUnlocked:
		return e.Admin
	case domain.AdjustmentProposed:
		return e.Admin
	case domain.AdjustmentApproved:
		return e.Admin
	case domain.AdjustmentRejected:
		return e.Admin
	case domain.PeriodClosed:
		return e.Admin
	}
	return ""
}

// authorship proves that the entry's actor could have written it, for a cause of the
// right kind.
func (r *replay) authorship(rec eventstore.Recorded) {
	kind, who := authorOf(rec.Actor)
	if kind == unknownAuthor {
		r.broken(rec, fault(ActorUnknown, rec.Position, "there is no actor %q", rec.Actor))
		return
	}
	switch {
	case !slices.Contains(writes(rec.Type), kind):
		r.broken(rec, fault(ActorNotAllowed, rec.Position, "%s by %q, who never writes it", rec.Type, rec.Actor))
	case kind == person && rec.Type != domain.TypeBalanceAdjusted && adminOf(rec.Event) == "" && who != rec.Event.Subject():
		r.broken(rec, fault(ActorNotSubject, rec.Position, "%s of an account by the command of another", rec.Type).
			between(rec.Event.Subject(), who))
	}
	if by := r.accounts[who]; kind == person && by != nil && by.Locked && rec.Type != domain.TypeDeposited && rec.Type != domain.TypePaymentClaimed {
		r.broken(rec, fault(ActorLocked, rec.Position, "%s by %q, whose account is locked", rec.Type, who))
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

// checkAccountRules checks one fact of an account, before it is folded.
func (r *replay) checkAccountRules(rec eventstore.Recorded, a *account) error {
	switch e := rec.Event.(type) {
	case domain.SignedUp, domain.BalanceMovedIn:
		r.movedIn(rec)
	case domain.BonusGranted:
		if joins := r.signUps[e.User]; !r.part.continued && (rec.Version != 2 || joins == nil || joins.signUp == 0) {
			r.broken(rec, fault(BonusApart, rec.Position, "a bonus that was not granted with the sign-up"))
		}
	case domain.Deposited:
		return r.payment(rec, eventstore.PaymentStream(e.Provider, e.Payment))
	case domain.Withdrawn:
		if kind, _ := authorOf(rec.Actor); kind == system {
			r.ofErasure(rec, a)
		}
		return r.payment(rec, eventstore.PayoutStream(e.Provider, e.Payment))
	case domain.BalanceAdjusted:
		r.byAdmin(rec, e.Admin)
		if rec.Schema > 1 { // while version 1 was written, an admin could adjust their own balance
			r.ofAnother(rec, e.Admin, OwnAdjustment)
		}
		r.adjusted(rec, a, e)
	case domain.ErasureRequested:
		if e.Admin != "" {
			r.byAdmin(rec, e.Admin)
			r.ofAnother(rec, e.Admin, OwnErasure)
		}
		a.erasure = rec.Position
	case domain.ErasureCancelled:
		if e.Admin != "" {
			r.byAdmin(rec, e.Admin)
			r.ofAnother(rec, e.Admin, OwnErasure)
		}
	case domain.CreditsForfeited:
		r.ofErasure(rec, a)
	case domain.PersonalDataErased:
		r.ofErasure(rec, a)
		r.report.Erased[e.User] = rec.Position
	case domain.PredictionRequested:
		return r.request(rec, a, e)
	case domain.PredictionCompleted:
		r.ending(rec, a, e.Prediction)
	case domain.PredictionFailed:
		r.ending(rec, a, e.Prediction)
	case domain.PredictionExpired:
		r.expiry(rec, a, e.Prediction)
		r.ending(rec, a, e.Prediction)
	case domain.PredictionRefunded:
		r.refund(rec, a, e)
	case domain.PredictionConfirmed:
		r.inConversation(rec, a, e.Prediction, domain.RefundWindow)
	case domain.AdminGranted, domain.AdminRevoked:
		if _, grants := e.(domain.AdminGranted); grants == a.Admin {
			r.broken(rec, fault(AdminUnchanged, rec.Position, "%s changes nothing", rec.Type))
		}
	case domain.RoleGranted:
		r.ordered(rec, e.Order, !a.Has(e.Role))
	case domain.RoleRevoked:
		r.ordered(rec, e.Order, a.Has(e.Role))
	case domain.AccountLocked:
		r.ordered(rec, e.Order, !a.Locked)
	case domain.AccountUnlocked:
		r.ordered(rec, e.Order, a.Locked)
	}
	return nil
}

// byAdmin proves that the author was an admin when the entry was appended: a later grant,
// or one that was revoked before, does not count.
func (r *replay) byAdmin(rec eventstore.Recorded, admin domain.UserID) {
	if _, who := authorOf(rec.Actor); who != admin {
		r.broken(rec, fault(AdminNotActor, rec.Position, "the entry names another admin than its author").between(who, admin))
	}
	if by := r.accounts[admin]; by == nil || !by.Admin {
		r.broken(rec, fault(ActorNotAdmin, rec.Position, "%s by %q, who is no admin", rec.Type, admin))
	}
}

// ofAnother proves that what an admin does as one is about another person.
func (r *replay) ofAnother(rec eventstore.Recorded, admin domain.UserID, code Code) {
	if admin == rec.Event.Subject() {
		r.broken(rec, fault(code, rec.Position, "%s by the admin whose account it is", rec.Type))
	}
}

// ordered proves that a role or a lock was changed by the operator, or by an admin who is
// another person, so that an admin remains; and that it was another before.
func (r *replay) ordered(rec eventstore.Recorded, o domain.Order, changes bool) {
	if kind, _ := authorOf(rec.Actor); kind != operator || o.Admin != "" {
		r.byAdmin(rec, o.Admin)
	}
	r.ofAnother(rec, o.Admin, OrderedOwn)
	if !changes {
		r.broken(rec, fault(OrderUnchanged, rec.Position, "%s changes nothing", rec.Type))
	}
}

// ofErasure proves that what an erasure does follows from its request, and not before it is
// due. That one is pending is proved by the fold.
func (r *replay) ofErasure(rec eventstore.Recorded, a *account) {
	if cause, ok := rec.Cause.Position(); ok && cause < rec.Position && cause != a.erasure && a.erasure > 0 {
		r.broken(rec, fault(CauseNotRequest, rec.Position, "%s names another entry than the request of the erasure as its cause", rec.Type).between(a.erasure, cause))
	}
	if a.Erasure.Pending() && rec.Time.Add(maxEarly).Before(a.Erasure.DueAt) {
		r.broken(rec, fault(ErasedEarly, rec.Position, "%s before the erasure is due", rec.Type).
			between("from "+a.Erasure.DueAt.Format(time.RFC3339Nano), rec.Time.Format(time.RFC3339Nano)))
	}
	if !a.Erasure.Pending() && rec.Type == domain.TypeWithdrawn {
		r.broken(rec, fault(ActorNotAllowed, rec.Position, "%s by %q, and no erasure is pending", rec.Type, rec.Actor))
	}
}

// payment notes the name of the provider's payment in its direction, and remembers it for
// the claim that must be in the same append.
func (r *replay) payment(rec eventstore.Recorded, stream eventstore.Stream) error {
	if !rec.Event.(domain.MoneyEvent).Money().Undivided { // before given credits existed, payments were not claimed
		r.pay(stream).booked = rec
	}
	return r.names.add(paymentName, string(stream), rec.Position)
}

// request remembers the position of a hold's request. That it is new among the open ones is
// proved by the fold, and among all by its name.
func (r *replay) request(rec eventstore.Recorded, a *account, e domain.PredictionRequested) error {
	if len(a.Holds) >= domain.MaxOpenHolds {
		r.broken(rec, fault(TooManyHolds, rec.Position, "the account has more open holds than it may have").
			between(domain.MaxOpenHolds, len(a.Holds)+1))
	}
	if f := e.FollowUp; f != nil {
		if f.RefinePolicy.Check() != nil || f.Number > f.Refinements || len(f.Excluded) > domain.MaxExcluded {
			r.broken(rec, fault(FollowUpOverLimit, rec.Position, "the answer has more follow-ups than it may have").
				between(min(f.Refinements, domain.MaxRefinements), f.Number))
		}
		r.inConversation(rec, a, f.Of, time.Duration(f.Within)*time.Second)
	} else {
		r.charge(rec, e)
	}
	if a.asked == nil {
		a.asked = map[domain.PredictionID]eventstore.Position{}
	}
	a.asked[e.Prediction] = rec.Position
	return r.names.add(predictionName, string(e.Prediction), rec.Position)
}

// ending proves that an ending has the hold's own request as its cause. That the hold
// is open is proved by the fold.
func (r *replay) ending(rec eventstore.Recorded, a *account, id domain.PredictionID) {
	asked, open := a.asked[id]
	if delete(a.asked, id); len(a.asked) == 0 {
		a.asked = nil // most accounts have none open, and an empty map takes some hundred bytes
	}
	if cause, ok := rec.Cause.Position(); open && ok && cause < rec.Position && cause != asked {
		r.broken(rec, fault(CauseNotRequest, rec.Position, "%s names another entry than its request as its cause", rec.Type).between(asked, cause))
	}
}

// expiry proves that the hold was due.
func (r *replay) expiry(rec eventstore.Recorded, a *account, id domain.PredictionID) {
	for _, h := range a.Holds {
		if h.Prediction == id && rec.Time.Add(maxEarly).Before(h.ExpiresAt) {
			r.broken(rec, fault(ExpiredEarly, rec.Position, "the hold of %s expires before its time", id).
				between("from "+h.ExpiresAt.Format(time.RFC3339Nano), rec.Time.Format(time.RFC3339Nano)))
		}
	}
}

// inConversation proves that what is said to an answer was in time. That the answer is paid,
// and not refunded, is proved by the fold.
func (r *replay) inConversation(rec eventstore.Recorded, a *account, id domain.PredictionID, within time.Duration) {
	if c, ok := a.Conversation(id); ok && rec.Time.After(c.At.Add(within)) {
		r.broken(rec, fault(FollowUpLate, rec.Position, "%s comes after the time for the answer of %s", rec.Type, c.Prediction).
			between("until "+c.At.Add(within).Format(time.RFC3339Nano), rec.Time.Format(time.RFC3339Nano)))
	}
}

// refund proves that a refund was in time and allowed by the policy in it. That the
// answer was paid and is refunded once is proved by the fold.
func (r *replay) refund(rec eventstore.Recorded, a *account, e domain.PredictionRefunded) {
	for _, c := range a.Captured {
		if until := c.At.Add(domain.RefundWindow); c.Prediction == e.Prediction && rec.Time.After(until) {
			r.broken(rec, fault(RefundLate, rec.Position, "the answer of %s is refunded too late", e.Prediction).
				between("until "+until.Format(time.RFC3339Nano), rec.Time.Format(time.RFC3339Nano)))
		}
	}
	if err := e.RefundPolicy.Check(); err != nil || e.Number > e.PerMonth {
		r.broken(rec, fault(RefundOverLimit, rec.Position, "the account has more refunds in this month than it may have").
			between(min(e.PerMonth, domain.MaxRefundsPerMonth), e.Number))
	}
	if from := a.JoinedAt.AddDate(0, 0, e.AccountDays); rec.Time.Before(from) {
		r.broken(rec, fault(RefundTooSoon, rec.Position, "the account is too new for a refund").
			between("from "+from.Format(time.RFC3339Nano), rec.Time.Format(time.RFC3339Nano)))
	}
}
