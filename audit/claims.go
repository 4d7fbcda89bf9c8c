package audit

import (
	"context"
	"errors"
	"fmt"

	"kassa/domain"
	"kassa/eventstore"
)

// signUpPair pairs a sign-up with the claim of its e-mail: their positions, 0 for the
// one not seen yet.
type signUpPair struct{ claim, signUp eventstore.Position }

// paymentPair pairs a deposit or withdrawal with the claim of its payment; zero for the
// one not seen yet.
type paymentPair struct{ claim, booked eventstore.Recorded }

func (p *paymentPair) whole() bool {
	return p.claim.Position > 0 && p.booked.Position > 0 && p.claim.Event.Subject() == p.booked.Event.Subject()
}

func (r *replay) claim(ctx context.Context, rec eventstore.Recorded, event domain.EmailClaimed) error {
	if !rec.Stream.OfEmail() {
		return fault(WrongStream, rec.Position, "an e-mail's claim is in %q", rec.Stream)
	}
	if rec.Version != 1 {
		if err := r.released(ctx, rec); err != nil {
			return err
		}
	}
	if err := r.names.add(emailName, claimName(rec), rec.Position); err != nil {
		return err
	}
	j := r.join(event.User)
	if j.claim != 0 {
		return fault(ClaimNotAlone, rec.Position, "%q claims two e-mails in one append", event.User)
	}
	j.claim = rec.Position
	return nil
}

// claimName names one claim of an e-mail: each version of its stream is used once.
func claimName(rec eventstore.Recorded) string { return fmt.Sprintf("%s %d", rec.Stream, rec.Version) }

// released proves that an e-mail which is claimed again was that of a person who is erased.
// The streams of e-mails are kept when entries are archived.
func (r *replay) released(ctx context.Context, rec eventstore.Recorded) error {
	before, err := r.store.Stream(ctx, rec.Stream, rec.Version-2, 1)
	if err != nil && !errors.Is(err, eventstore.ErrCorrupt) {
		return err
	}
	if err != nil || len(before) == 0 || before[0].Position >= rec.Position {
		return fault(ClaimNotAlone, rec.Position, "an e-mail's claim does not follow in its stream")
	}
	holder := before[0].Event.Subject()
	if a := r.accounts[holder]; a == nil || !a.Erased {
		return fault(ClaimNotAlone, rec.Position, "an e-mail is claimed again, and %q, whose it is, was not erased", holder)
	}
	return nil
}

func (r *replay) join(u domain.UserID) *signUpPair {
	j := r.signUps[u]
	if j == nil {
		j = &signUpPair{}
		r.signUps[u] = j
	}
	return j
}

// claimPayment checks the claim of a payment. It need not check that the payment is not
// claimed twice: each claim has its booking, and no payment is booked twice.
func (r *replay) claimPayment(rec eventstore.Recorded) error {
	if !rec.Stream.OfPayment() {
		return fault(WrongStream, rec.Position, "a payment's claim is in %q", rec.Stream)
	}
	p := r.pay(rec.Stream)
	if rec.Version != 1 || p.claim.Position != 0 {
		return fault(ClaimNotAlone, rec.Position, "a payment's claim is not alone in its stream")
	}
	p.claim = rec
	return nil
}

func (r *replay) pay(stream eventstore.Stream) *paymentPair {
	p := r.payments[stream]
	if p == nil {
		p = &paymentPair{}
		r.payments[stream] = p
	}
	return p
}

// checkPairs checks an append that has ended: each sign-up in it claims an e-mail, each
// deposit or withdrawal its payment, and the reverse.
func (r *replay) checkPairs() error {
	if r.part.continued { // its beginning was not read
		r.part.continued = false
		clear(r.payments)
		clear(r.signUps)
		return nil
	}
	var first *Fault
	for _, p := range r.payments {
		f := fault(PaymentUnpaired, p.booked.Position, "a payment is booked without being claimed by its person in the same append")
		f.Stream = p.booked.Stream
		if p.booked.Position == 0 {
			f = fault(PaymentUnpaired, p.claim.Position, "a payment is claimed and not booked in the same append")
			f.Stream = p.claim.Stream
		}
		if !p.whole() && (first == nil || f.Position < first.Position) {
			first = f
		}
	}
	clear(r.payments)
	for user, j := range r.signUps {
		f := fault(SignUpUnpaired, j.signUp, "%q signs up without claiming an e-mail in the same append", user)
		if j.signUp == 0 {
			f = fault(SignUpUnpaired, j.claim, "%q claims an e-mail and does not sign up in the same append", user)
		}
		f.Stream = eventstore.AccountStream(user)
		if (j.signUp == 0 || j.claim == 0) && (first == nil || f.Position < first.Position) {
			first = f
		}
	}
	clear(r.signUps)
	if first != nil {
		return first
	}
	return nil
}
