package audit

import (
	"kassa/domain"
	"kassa/eventstore"
)

// joined pairs a person's sign-up with the claim of their e-mail: the positions,
// 0 for the one that did not come yet.
type joined struct{ claim, signUp eventstore.Position }

// paid pairs a deposit or withdrawal with the claim of its payment; zero for the one
// that did not come yet.
type paid struct{ claim, booked eventstore.Recorded }

func (p *paid) whole() bool {
	return p.claim.Position > 0 && p.booked.Position > 0 && p.claim.Event.Subject() == p.booked.Event.Subject()
}

func (r *replay) claim(rec eventstore.Recorded, event domain.EmailClaimed) error {
	if !rec.Stream.OfEmail() {
		return fault(WrongStream, rec.Position, "an e-mail's claim is in %q", rec.Stream)
	}
	if _, taken := r.emails[rec.Stream]; taken || rec.Version != 1 {
		return fault(ClaimNotAlone, rec.Position, "an e-mail's claim is not alone in its stream")
	}
	r.emails[rec.Stream] = struct{}{}
	j := r.join(event.User)
	if j.claim != 0 {
		return fault(ClaimNotAlone, rec.Position, "%q claims two e-mails in one append", event.User)
	}
	j.claim = rec.Position
	return nil
}

func (r *replay) join(u domain.UserID) *joined {
	j := r.joining[u]
	if j == nil {
		j = &joined{}
		r.joining[u] = j
	}
	return j
}

// claimPayment looks at the claim of a payment. That the same payment is not claimed
// again follows: each claim has its booking, and no payment is booked twice.
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

func (r *replay) pay(stream eventstore.Stream) *paid {
	p := r.paying[stream]
	if p == nil {
		p = &paid{}
		r.paying[stream] = p
	}
	return p
}

// claimedInPairs looks back on an append that ended: who signed up claimed an e-mail
// in it, who was paid or paid out claimed the payment, and the other way round.
func (r *replay) claimedInPairs() error {
	var first *Fault
	for _, p := range r.paying {
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
	clear(r.paying)
	for user, j := range r.joining {
		f := fault(SignUpUnpaired, j.signUp, "%q signs up without claiming an e-mail in the same append", user)
		if j.signUp == 0 {
			f = fault(SignUpUnpaired, j.claim, "%q claims an e-mail and does not sign up in the same append", user)
		}
		f.Stream = eventstore.AccountStream(user)
		if (j.signUp == 0 || j.claim == 0) && (first == nil || f.Position < first.Position) {
			first = f
		}
	}
	clear(r.joining)
	if first != nil {
		return first
	}
	return nil
}
