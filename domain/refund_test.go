package domain_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kassa/domain"
)

func refund(id domain.PredictionID) request { return refundAt(noon, policy, id) }

func refundAt(now time.Time, policy domain.RefundPolicy, id domain.PredictionID) request {
	return func(a domain.Account) ([]domain.Event, error) { return a.Refund(id, policy, now) }
}

// answered is n answers of one credit each, p_1 to p_n.
func answered(n int) (steps []step) {
	for i := range n {
		id := domain.PredictionID(fmt.Sprintf("p_%d", i+1))
		steps = append(steps, requested(id, 1), completed(id, 1))
	}
	return steps
}

func TestRefund(t *testing.T) {
	paid := facts(signedUp, bonus(3), deposited(30), requested("p_1", 5), requested("p_2", 7), completed("p_1", 5))
	rich := facts(signedUp, deposited(100))
	twice := append(slices.Clone(rich), append(answered(4), refunded("p_1", 1, 1), refunded("p_2", 1, 2))...)
	thrice := append(slices.Clone(twice), refunded("p_3", 1, 3))
	ofMonth := func(n int) domain.RefundPolicy { return domain.RefundPolicy{PerMonth: n} }
	for _, tt := range []decision{
		{name: "gives both kinds back to where they came from",
			given: paid, when: refund("p_1"), then: facts(refunded("p_1", 5, 1))},
		{name: "at the last moment",
			given: paid, when: refundAt(noon.Add(24*time.Hour), policy, "p_1"), then: facts(refunded("p_1", 5, 1))},
		{name: "a microsecond late is refused",
			given: paid, when: refundAt(noon.Add(24*time.Hour+time.Microsecond), policy, "p_1"), refused: domain.NotRefundable},
		{name: "by a clock that is behind",
			given: paid, when: refundAt(noon.Add(-time.Minute), domain.RefundPolicy{PerMonth: 3}, "p_1"), refused: domain.AccountTooNew},
		{name: "an open question is refused",
			given: paid, when: refund("p_2"), refused: domain.NotRefundable},
		{name: "what was never asked is refused",
			given: paid, when: refund("p_9"), refused: domain.NotRefundable},
		{name: "a failed one is refused",
			given: append(slices.Clone(paid), failed("p_2", 7)), when: refund("p_2"), refused: domain.NotRefundable},
		{name: "an expired one is refused",
			given: append(slices.Clone(paid), expired("p_2", 7)), when: refund("p_2"), refused: domain.NotRefundable},
		{name: "twice is refused",
			given: append(slices.Clone(paid), refunded("p_1", 5, 1)), when: refund("p_1"), refused: domain.AlreadyRefunded},
		{name: "twice is refused as that, however late",
			given: append(slices.Clone(paid), refunded("p_1", 5, 1)), when: refundAt(noon.AddDate(0, 1, 0), policy, "p_1"), refused: domain.AlreadyRefunded},

		{name: "the third of a month",
			given: twice, when: refund("p_3"), then: facts(refunded("p_3", 1, 3))},
		{name: "the fourth is refused",
			given: thrice, when: refund("p_4"), refused: domain.RefundLimit},
		{name: "where the policy was wider before",
			given: twice, when: refundAt(noon, ofMonth(1), "p_3"), refused: domain.RefundLimit},
		{name: "none at all",
			given: paid, when: refundAt(noon, ofMonth(0), "p_1"), refused: domain.RefundsOff},
		{name: "of an account of today where it must be older",
			given: paid, when: refundAt(noon.Add(23*time.Hour), domain.RefundPolicy{PerMonth: 3, AccountDays: 1}, "p_1"), refused: domain.AccountTooNew},
		{name: "the newest 32 answers are remembered",
			given: append(slices.Clone(rich), answered(33)...), when: refund("p_2"), then: facts(refunded("p_2", 1, 1))},
		{name: "and the one before is not",
			given: append(slices.Clone(rich), answered(33)...), when: refund("p_1"), refused: domain.NotRefundable},
		{name: "to a full wallet is refused",
			given: facts(signedUp, deposited(5), requested("p_1", 5), completed("p_1", 5), deposited(domain.MaxBalance)), when: refund("p_1"), refused: domain.BalanceLimit},
		{name: noAccount + "is refused",
			when: refund("p_1"), refused: domain.AccountNotFound},
	} {
		tt.check(t)
	}
}

func TestRefundOffer(t *testing.T) {
	account := fold(t, new(book).write(append(facts(signedUp, deposited(100)), append(answered(3), refunded("p_1", 1, 1))...)))
	for _, tt := range []struct {
		id     domain.PredictionID
		policy domain.RefundPolicy
		want   domain.RefundOffer
	}{
		{"p_2", policy, domain.RefundOffer{RefundPolicy: policy, Until: noon.Add(24 * time.Hour), Left: 2}},
		{"p_1", policy, domain.RefundOffer{RefundPolicy: policy, Left: 2, No: domain.AlreadyRefunded}},
		{"p_2", domain.RefundPolicy{PerMonth: 1}, domain.RefundOffer{RefundPolicy: domain.RefundPolicy{PerMonth: 1}, No: domain.RefundLimit}},
		{"p_2", domain.RefundPolicy{}, domain.RefundOffer{No: domain.RefundsOff}},
		{"p_9", policy, domain.RefundOffer{RefundPolicy: policy, Left: 2, No: domain.NotRefundable}},
	} {
		if got := account.RefundOffer(tt.id, tt.policy, noon); got != tt.want {
			t.Errorf("%s by %+v: %+v, want %+v", tt.id, tt.policy, got, tt.want)
		}
	}
}

// In another month the count begins again, and around midnight, between clocks that
// differ, it does not go back.
func TestRefundsOfAMonth(t *testing.T) {
	end := time.Date(2026, 3, 31, 23, 59, 59, 0, time.UTC)
	next := end.Add(2 * time.Second)
	r := domain.Refunds{Month: "2026-03", Count: 3}
	for _, tt := range []struct {
		at   time.Time
		want domain.Refunds
	}{
		{end, r}, {end.AddDate(-1, 0, 0), r},
		{next, domain.Refunds{Month: "2026-04"}},
		{next.In(time.FixedZone("", -5*3600)), domain.Refunds{Month: "2026-04"}},
		{next.AddDate(0, 8, 0), domain.Refunds{Month: "2026-12"}},
	} {
		if got := r.On(tt.at); got != tt.want {
			t.Errorf("at %s: %+v, want %+v", tt.at, got, tt.want)
		}
	}
	if got := (domain.Refunds{Month: "2026-04", Count: 1}).On(end); got != (domain.Refunds{Month: "2026-04", Count: 1}) {
		t.Errorf("a clock behind midnight gives %+v", got)
	}
}

// Clones share the list of answers, so no fact may change it in place.
func TestAnswersAreNotSharedForWriting(t *testing.T) {
	var b book
	a := fold(t, b.write(append(facts(signedUp, deposited(100)), answered(3)...)))
	clone := a.Clone()
	other := b
	for _, e := range slices.Concat(refunded("p_2", 1, 1)(&other), requested("p_9", 1)(&other), completed("p_9", 1)(&other)) {
		if err := a.Apply(e, noon); err != nil {
			t.Fatal(err)
		}
	}
	if len(clone.Captured) != 3 || clone.Captured[1].Refunded || clone.Refunds.Count != 0 || !a.Captured[1].Refunded || len(a.Captured) != 4 {
		t.Errorf("the clone became %+v", clone)
	}
}

func TestRefundPolicyBounds(t *testing.T) {
	for _, p := range []domain.RefundPolicy{{}, {PerMonth: 3}, {PerMonth: 100, AccountDays: 366}} {
		if err := p.Check(); err != nil {
			t.Error(err)
		}
	}
	for _, p := range []domain.RefundPolicy{{PerMonth: -1}, {PerMonth: 101}, {PerMonth: 3, AccountDays: -1}, {PerMonth: 3, AccountDays: 367}} {
		if p.Check() == nil {
			t.Errorf("%+v is allowed", p)
		}
	}
}

// refund asks for the credits of any question back, twice. They come back from a paid
// answer of the last day, up to a number in a month, and from nothing else.
func (w *workload) refund(t *rapid.T) {
	if len(w.asked) == 0 {
		return
	}
	q := rapid.SampledFrom(w.asked).Draw(t, "question")
	policy := domain.RefundPolicy{PerMonth: rapid.IntRange(0, 2).Draw(t, "per month"), AccountDays: rapid.SampledFrom([]int{0, 1, 40}).Draw(t, "account days")}
	named := q.id // any answer of the conversation names it
	if q.id = w.paid[q.id]; !w.accountHas(q.user, named) {
		named = q.id
	}
	before, refunded, wants := w.accounts[q.user], w.refunds[q.id] > 0, w.mayRefund(q, policy)
	again := func(a domain.Account) ([]domain.Event, error) { return a.Refund(named, policy, w.now) }
	if w.twice(t, q.user, again) {
		t.Fatalf("%s was refunded twice", q.id)
	}
	if did := w.refunds[q.id] > 0 && !refunded; did != wants {
		t.Fatalf("%s was refunded: %v, want %v of %+v by %+v at %s", q.id, did, wants, before, policy, w.now)
	}
	after := w.accounts[q.user]
	if wants && (after.Available-before.Available != w.priceOf(q) || after.Withdrawable()-before.Withdrawable() > w.priceOf(q)) {
		t.Fatalf("the refund of %d moved %+v to %+v", w.priceOf(q), before, after)
	}
}

// mayRefund reads from the whole stream what the account has folded.
func (w *workload) mayRefund(q question, policy domain.RefundPolicy) bool {
	var answers, count int // answers after q's, and refunds of this month
	found, joined := false, time.Time{}
	for _, e := range w.streams[q.user] {
		switch event := e.Event.(type) {
		case domain.SignedUp:
			joined = e.at
		case domain.PredictionConfirmed:
			if w.paid[event.Prediction] == q.id {
				return false
			}
			if found {
				answers-- // the list of the newest 32 has one less
			}
		case domain.PredictionCompleted:
			if event.Price == 0 {
				continue
			}
			answers++
			if event.Prediction == q.id {
				found, answers = w.now.Sub(e.at) <= 24*time.Hour, 0
			}
		case domain.PredictionRefunded:
			if event.Prediction == q.id {
				return false
			}
			if e.at.Format("2006-01") == w.now.Format("2006-01") {
				count++
			}
		}
	}
	return found && answers < 32 && count < policy.PerMonth && !w.now.Before(joined.AddDate(0, 0, policy.AccountDays))
}

// A question that is asked in place of another gives its credits back first, so they can
// pay for it; where there is no refund, it is a question like any other.
func TestRequestInstead(t *testing.T) {
	broke := facts(signedUp, bonus(2), deposited(3), requested("p_1", 5), completed("p_1", 5))
	rich := append(slices.Clone(broke), deposited(7))
	instead := func(policy domain.RefundPolicy) request {
		return func(a domain.Account) ([]domain.Event, error) {
			return a.RequestInstead("p_1", domain.Question{Prediction: "p_2", Text: sealed, Price: 5, Limit: 10, AskedAt: noon, ExpiresAt: noon}, policy)
		}
	}
	for _, tt := range []decision{
		{name: "the credits that come back pay for it", given: broke, when: instead(policy), then: facts(refunded("p_1", 5, 1), requested("p_2", 5))},
		{name: "without refunds it costs what it costs", given: rich, when: instead(domain.RefundPolicy{}), then: facts(requested("p_2", 5))},
		{name: "without refunds and credits it is refused", given: broke, when: instead(domain.RefundPolicy{}), refused: domain.InsufficientFunds},
		{name: "a second time it costs", given: append(slices.Clone(rich), refunded("p_1", 5, 1)), when: instead(policy), then: facts(requested("p_2", 5))},
		{name: "where the question is refused nothing comes back", given: append(slices.Clone(broke), deposited(6), requested("p_2", 1)), when: instead(policy), refused: domain.PredictionExists},
	} {
		tt.check(t)
	}
}
