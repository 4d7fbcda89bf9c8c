package domain_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kassa/domain"
)

func refine(id, answer domain.PredictionID) request { return refineAt(noon, refining, id, answer) }

func refineAt(now time.Time, policy domain.RefinePolicy, id, answer domain.PredictionID) request {
	return func(a domain.Account) ([]domain.Event, error) {
		return a.Refine(answer, []string{"m_1"}, domain.Question{Prediction: id, Text: sealed, Limit: 10, AskedAt: now, ExpiresAt: noon}, policy)
	}
}

func confirm(now time.Time, answer domain.PredictionID) request {
	return func(a domain.Account) ([]domain.Event, error) { return a.Confirm(answer, "m_1", now) }
}

// paidAnswer is a conversation that has just begun, and after are facts behind it.
func paidAnswer(after ...step) []step {
	return append(facts(signedUp, bonus(3), deposited(30), requested("p_1", 5), completed("p_1", 5)), after...)
}

func TestRefine(t *testing.T) {
	second := []step{refined("p_2", "p_1", 1), completed("p_2", 0)}
	third := append(slices.Clone(second), refined("p_3", "p_1", 2), completed("p_3", 0))
	all := append(slices.Clone(third), refined("p_4", "p_1", 3), completed("p_4", 0))
	hour := noon.Add(time.Hour)
	for _, tt := range []decision{
		{name: "a paid answer is refined for nothing", given: paidAnswer(), when: refine("p_2", "p_1"), then: facts(refined("p_2", "p_1", 1, "m_1"))},
		{name: "with an empty wallet too", given: paidAnswer(withdrawn(28)), when: refine("p_2", "p_1"), then: facts(refined("p_2", "p_1", 1, "m_1"))},
		{name: "its follow-up is refined in the same conversation", given: paidAnswer(second...), when: refine("p_3", "p_2"), then: facts(refined("p_3", "p_1", 2, "m_1"))},
		{name: "an answer that is not the newest is refused", given: paidAnswer(second...), when: refine("p_3", "p_1"), refused: domain.NewerAnswer},
		{name: "two at once are refused", given: paidAnswer(refined("p_2", "p_1", 1)), when: refine("p_3", "p_1"), refused: domain.RefinementPending},
		{name: "the last one", given: paidAnswer(third...), when: refine("p_4", "p_3"), then: facts(refined("p_4", "p_1", 3, "m_1"))},
		{name: "one more is refused", given: paidAnswer(all...), when: refine("p_5", "p_4"), refused: domain.RefinementLimit},
		{name: "where there were more before", given: paidAnswer(third...), when: refineAt(noon, domain.RefinePolicy{Refinements: 2, Within: 3600}, "p_4", "p_3"), refused: domain.RefinementLimit},
		{name: "none at all", given: paidAnswer(), when: refineAt(noon, domain.RefinePolicy{Within: 3600}, "p_2", "p_1"), refused: domain.RefinementsOff},
		{name: "at the last moment", given: paidAnswer(), when: refineAt(hour, refining, "p_2", "p_1"), then: facts(refined("p_2", "p_1", 1, "m_1"))},
		{name: "a microsecond late is refused", given: paidAnswer(), when: refineAt(hour.Add(time.Microsecond), refining, "p_2", "p_1"), refused: domain.ConversationClosed},
		{name: "after a refund it is refused", given: paidAnswer(refunded("p_1", 5, 1)), when: refine("p_2", "p_1"), refused: domain.AlreadyRefunded},
		{name: "after that's it it is refused", given: paidAnswer(confirmed("p_1")), when: refine("p_2", "p_1"), refused: domain.ConversationClosed},
		{name: "after that's it of a follow-up too", given: paidAnswer(append(slices.Clone(second), confirmed("p_2"))...), when: refine("p_3", "p_1"), refused: domain.ConversationClosed},
		{name: "an expired one is not counted", given: paidAnswer(append(slices.Clone(third), refined("p_4", "p_1", 3), expired("p_4", 0))...), when: refine("p_5", "p_3"), then: facts(refined("p_5", "p_1", 3, "m_1"))},
		{name: "a failed one is not counted", given: paidAnswer(refined("p_2", "p_1", 1), failed("p_2", 0)), when: refine("p_3", "p_1"), then: facts(refined("p_3", "p_1", 1, "m_1"))},
		{name: "one that found nothing is", given: paidAnswer(refined("p_2", "p_1", 1), notFound("p_2", 0)), when: refine("p_3", "p_1"), then: facts(refined("p_3", "p_1", 2, "m_1"))},
		{name: "an open question is refused", given: facts(signedUp, deposited(30), requested("p_1", 5)), when: refine("p_2", "p_1"), refused: domain.ConversationClosed},
		{name: "a failed question is refused", given: facts(signedUp, deposited(30), requested("p_1", 5), failed("p_1", 5)), when: refine("p_2", "p_1"), refused: domain.ConversationClosed},
		{name: "a follow-up that failed is refused", given: paidAnswer(refined("p_2", "p_1", 1), notFound("p_2", 0)), when: refine("p_3", "p_2"), refused: domain.ConversationClosed},
		{name: "while an erasure is requested it is refused", given: paidAnswer(toErase), when: refine("p_2", "p_1"), refused: domain.ErasurePending},
		{name: "by a name that is in use", given: paidAnswer(requested("p_2", 5)), when: refine("p_2", "p_1"), refused: domain.PredictionExists},
		{name: "beside 64 open ones it is refused", given: facts(signedUp, deposited(100), requested("p_0", 5), completed("p_0", 5), open(64)), when: refine("p_99", "p_0"), refused: domain.TooManyOpen},
		{name: noAccount + "is refused", when: refine("p_2", "p_1"), refused: domain.AccountNotFound},
	} {
		tt.check(t)
	}
}

func TestConfirm(t *testing.T) {
	second := []step{refined("p_2", "p_1", 1), completed("p_2", 0)}
	day := noon.Add(24 * time.Hour)
	for _, tt := range []decision{
		{name: "a film of the paid answer", given: paidAnswer(), when: confirm(day, "p_1"), then: facts(confirmed("p_1"))},
		{name: "a film of a follow-up", given: paidAnswer(second...), when: confirm(noon, "p_2"), then: facts(confirmed("p_2"))},
		{name: "a film of the answer before", given: paidAnswer(second...), when: confirm(noon, "p_1"), then: facts(confirmed("p_1"))},
		{name: "beside a follow-up that waits", given: paidAnswer(refined("p_2", "p_1", 1)), when: confirm(noon, "p_1"), then: facts(confirmed("p_1"))},
		{name: "twice is refused", given: paidAnswer(confirmed("p_1")), when: confirm(noon, "p_1"), refused: domain.ConversationClosed},
		{name: "in both answers is refused", given: paidAnswer(append(slices.Clone(second), confirmed("p_2"))...), when: confirm(noon, "p_1"), refused: domain.ConversationClosed},
		{name: "after a refund it is refused", given: paidAnswer(refunded("p_1", 5, 1)), when: confirm(noon, "p_1"), refused: domain.AlreadyRefunded},
		{name: "without an answer it is refused", given: paidAnswer(refined("p_2", "p_1", 1)), when: confirm(noon, "p_2"), refused: domain.ConversationClosed},
		{name: "late it is refused", given: paidAnswer(), when: confirm(day.Add(time.Microsecond), "p_1"), refused: domain.ConversationClosed},
		{name: noAccount + "is refused", when: confirm(noon, "p_1"), refused: domain.AccountNotFound},

		{name: "no refund is after it", given: paidAnswer(confirmed("p_1")), when: refund("p_1"), refused: domain.NotRefundable},
		{name: "nor by the other answer", given: paidAnswer(append(slices.Clone(second), confirmed("p_2"))...), when: refund("p_1"), refused: domain.NotRefundable},
		{name: "a follow-up names the payment that is refunded", given: paidAnswer(second...), when: refund("p_2"), then: facts(refunded("p_1", 5, 1))},
		{name: "beside a follow-up that waits", given: paidAnswer(refined("p_2", "p_1", 1)), when: refund("p_1"), then: facts(refunded("p_1", 5, 1))},
		{name: "once for all answers", given: paidAnswer(append(slices.Clone(second), refunded("p_1", 5, 1))...), when: refund("p_2"), refused: domain.AlreadyRefunded},
	} {
		tt.check(t)
	}
}

func TestBrokenFollowUps(t *testing.T) {
	second := []step{refined("p_2", "p_1", 1), completed("p_2", 0)}
	free := once(domain.PredictionRequested{User: ada, Prediction: "p_2", Text: sealed, Limit: 1, ExpiresAt: noon, Movement: domain.Movement{Available: 28}})
	priced := func(b *book) []domain.Event {
		e := requested("p_2", 5)(b)[0].(domain.PredictionRequested)
		e.FollowUp = &domain.FollowUp{Of: "p_1", Number: 1, RefinePolicy: refining}
		return []domain.Event{e}
	}
	for name, tt := range map[string]struct {
		given []step
		fact  step
	}{
		"a free question that follows nothing":      {paidAnswer(), free},
		"a follow-up with a price":                  {paidAnswer(), priced},
		"a follow-up of what was never asked":       {paidAnswer(), refined("p_2", "p_9", 1)},
		"a follow-up of an open question":           {facts(signedUp, deposited(30), requested("p_1", 5)), refined("p_2", "p_1", 1)},
		"a follow-up of a follow-up":                {paidAnswer(second...), refined("p_3", "p_2", 1)},
		"two at once":                               {paidAnswer(refined("p_2", "p_1", 1)), refined("p_3", "p_1", 2)},
		"a wrong number":                            {paidAnswer(second...), refined("p_3", "p_1", 1)},
		"a follow-up after a refund":                {paidAnswer(refunded("p_1", 5, 1)), refined("p_2", "p_1", 1)},
		"a follow-up after that's it":               {paidAnswer(confirmed("p_1")), refined("p_2", "p_1", 1)},
		"a follow-up that ends with a price":        {paidAnswer(refined("p_2", "p_1", 1)), completed("p_2", 5)},
		"a paid question that ends without":         {facts(signedUp, deposited(30), requested("p_1", 5)), completed("p_1", 0)},
		"a refund of a follow-up":                   {paidAnswer(second...), refunded("p_2", 0, 1)},
		"a refund of a follow-up with its price":    {paidAnswer(second...), refunded("p_2", 5, 1)},
		"that's it of an open follow-up":            {paidAnswer(refined("p_2", "p_1", 1)), confirmed("p_2")},
		"that's it of what was never asked":         {paidAnswer(), confirmed("p_9")},
		"that's it after a refund":                  {paidAnswer(refunded("p_1", 5, 1)), confirmed("p_1")},
		"that's it twice":                           {paidAnswer(confirmed("p_1")), confirmed("p_1")},
		"a refund after that's it":                  {paidAnswer(confirmed("p_1")), refunded("p_1", 5, 1)},
		"an answer of a follow-up that was stopped": {paidAnswer(refined("p_2", "p_1", 1), expired("p_2", 0)), completed("p_2", 0)},
	} {
		t.Run(name, func(t *testing.T) { checkBroken(t, tt.given, tt.fact) })
	}
}

// What comes after the conversation is over changes nothing but its own hold.
func TestFollowUpEndsAfterItsConversation(t *testing.T) {
	for name, over := range map[string]step{"refunded": refunded("p_1", 5, 1), "found": confirmed("p_1")} {
		for _, end := range []step{completed("p_2", 0), failed("p_2", 0), expired("p_2", 0)} {
			a := fold(t, new(book).write(paidAnswer(refined("p_2", "p_1", 1), over, end)))
			if len(a.Holds) != 0 || a.Held != 0 || a.Refunds.Count != map[string]int{"refunded": 1}[name] {
				t.Errorf("%s: %+v", name, a)
			}
		}
	}
}

// A clone does not see what becomes of a conversation.
func TestFollowUpsOfAClone(t *testing.T) {
	var b book
	a := fold(t, b.write(paidAnswer(refined("p_2", "p_1", 1))))
	before := a.Clone()
	want := fold(t, new(book).write(paidAnswer(refined("p_2", "p_1", 1))))
	for _, e := range b.write(facts(completed("p_2", 0), refined("p_3", "p_1", 2), expired("p_3", 0), confirmed("p_2"))) {
		if err := a.Apply(e, noon); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(before, want) {
		t.Errorf("the clone is %+v, want %+v", before, want)
	}
	if a.Captured != nil {
		t.Errorf("the conversation is still there: %+v", a)
	}
}

func TestRefineOffer(t *testing.T) {
	account := fold(t, new(book).write(paidAnswer(refined("p_2", "p_1", 1), completed("p_2", 0))))
	hour := noon.Add(time.Hour)
	for _, tt := range []struct {
		id   domain.PredictionID
		at   time.Time
		want domain.RefineOffer
	}{
		{"p_2", noon, domain.RefineOffer{RefinePolicy: refining, Until: hour, Left: 2, Open: true}},
		{"p_1", noon, domain.RefineOffer{RefinePolicy: refining, Until: hour, Left: 2, No: domain.NewerAnswer, Open: true}},
		{"p_2", hour.Add(1), domain.RefineOffer{RefinePolicy: refining, Until: hour, Left: 2, No: domain.ConversationClosed, Open: true}},
		{"p_9", noon, domain.RefineOffer{RefinePolicy: refining, No: domain.ConversationClosed}},
	} {
		if got := account.RefineOffer(tt.id, refining, tt.at); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.id, got, tt.want)
		}
	}
	if account.RefineOffer("p_1", refining, noon.AddDate(0, 0, 2)).Open {
		t.Error("a film can be confirmed after two days")
	}
}

func TestRefinePolicyCheck(t *testing.T) {
	for _, p := range []domain.RefinePolicy{refining, {Refinements: 0, Within: 1}, {Refinements: 10, Within: 86400}} {
		if err := p.Check(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
	for _, p := range []domain.RefinePolicy{{}, {Refinements: -1, Within: 1}, {Refinements: 11, Within: 1}, {Refinements: 1, Within: 86401}} {
		if p.Check() == nil {
			t.Errorf("%+v is allowed", p)
		}
	}
}

func notFound(id domain.PredictionID, price domain.Credits) step {
	return func(b *book) []domain.Event {
		return []domain.Event{domain.PredictionFailed{User: ada, Prediction: id, Price: price, Reason: domain.FailedNotFound, Movement: b.released(id, price)}}
	}
}

func isFollowUp(w *workload, e domain.Event) bool {
	switch e := e.(type) {
	case domain.PredictionRequested:
		return e.FollowUp != nil
	case domain.PredictionCompleted:
		return w.paid[e.Prediction] != e.Prediction
	case domain.PredictionFailed:
		return w.paid[e.Prediction] != e.Prediction
	case domain.PredictionExpired:
		return w.paid[e.Prediction] != e.Prediction
	}
	return false
}

// accountHas reports whether the account still knows the prediction as a part of a
// conversation.
func (w *workload) accountHas(u domain.UserID, id domain.PredictionID) bool {
	return slices.ContainsFunc(w.accounts[u].Captured, func(c domain.Captured) bool {
		return c.Prediction == id || slices.ContainsFunc(c.FollowUps, func(f domain.FollowUpState) bool { return f.Prediction == id })
	})
}

// refine asks for a follow-up of any prediction, in any state, and checks that it costs
// nothing, that its conversation is paid and open, and that there are not too many.
func (w *workload) refine(t *rapid.T) {
	if len(w.asked) == 0 {
		return
	}
	of := rapid.SampledFrom(w.asked).Draw(t, "answer")
	policy := domain.RefinePolicy{Refinements: rapid.IntRange(0, 3).Draw(t, "refinements"), Within: 3600}
	q := domain.Question{Prediction: domain.PredictionID(fmt.Sprintf("p_%d", len(w.asked)+1)), Text: sealed, Limit: 5, AskedAt: w.now, ExpiresAt: w.now.Add(2 * time.Minute)}
	before, paid := w.accounts[of.user], w.paid[of.id]
	events := w.decide(t, of.user, func(a domain.Account) ([]domain.Event, error) { return a.Refine(of.id, nil, q, policy) })
	if len(events) == 0 {
		return
	}
	after := w.accounts[of.user]
	if after.Available != before.Available || after.Held != before.Held || w.refunds[paid] > 0 || w.found[paid] || w.ends[of.id] != 1 {
		t.Fatalf("%s was refined: %+v became %+v", of.id, before, after)
	}
	if f := events[0].(domain.PredictionRequested).FollowUp; f.Of != paid || f.Number > policy.Refinements {
		t.Fatalf("%s was refined as %+v by %+v", of.id, f, policy)
	}
	q.Prediction += "_again" // another tab
	if again := w.decide(t, of.user, func(a domain.Account) ([]domain.Event, error) { return a.Refine(of.id, nil, q, policy) }); len(again) > 0 {
		t.Fatalf("%s was refined twice at once", of.id)
	}
}

// confirm ends the conversation of any prediction, once; nothing comes back afterwards.
func (w *workload) confirm(t *rapid.T) {
	if len(w.asked) == 0 {
		return
	}
	of := rapid.SampledFrom(w.asked).Draw(t, "answer")
	paid, before := w.paid[of.id], w.accounts[of.user]
	did := w.twice(t, of.user, func(a domain.Account) ([]domain.Event, error) { return a.Confirm(of.id, "m_1", w.now) })
	if did || before.Available != w.accounts[of.user].Available {
		t.Fatalf("%s was confirmed twice, or for credits", of.id)
	}
	if !w.found[paid] {
		return
	}
	back := w.decide(t, of.user, func(a domain.Account) ([]domain.Event, error) {
		return a.Refund(paid, domain.RefundPolicy{PerMonth: domain.MaxRefundsPerMonth}, w.now)
	})
	if len(back) > 0 {
		t.Fatalf("%s was confirmed, and then %v", of.id, back)
	}
}

// In any order of refinements, repeats, expiries, refunds and confirmations, no more
// comes back than was paid: w.check and the commands see to it.
func TestAnyOrderOfAConversation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorkload(t)
		w.decide(t, people[0], deposit(50))
		commands := w.commands()
		names := []string{"ask", "ask", "complete", "complete", "fail", "expire", "refine", "refine", "refine", "refund", "confirm", "wait"}
		for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 60, 160).Draw(t, "commands") {
			commands[name](t)
			w.check(t)
		}
		bonus := domain.Credits(42) // of four people at most; what they have is never more than they got
		var have domain.Credits
		for _, u := range people {
			have += w.accounts[u].Available + w.accounts[u].Held
		}
		if have > 50+bonus {
			t.Fatalf("50 credits were bought and %d given, and there are %d", bonus, have)
		}
	})
}
