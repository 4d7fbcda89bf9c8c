package commands_test

import (
	"context"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
)

// answered is a question of the person's that was answered.
func (w *fixture) answered(u domain.UserID) commands.Requested {
	w.t.Helper()
	asked, err := w.ask(u, "")
	must(w.t, err)
	_, err = w.Complete(context.Background(), endingOf(u, asked), answer)
	must(w.t, err)
	return asked
}

// The same key gets the first answer, also when the limit is reached and the day over;
// without one, a second request is refused.
func TestNoneOfTheseTwice(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	w.give(ada, 20)
	asked := w.answered(ada)
	w.now = w.now.Add(24 * time.Hour)
	n := commands.NoneOfThese{User: ada, Prediction: asked.Prediction, Key: "not these"}
	first, err := w.NoneOfThese(t.Context(), n)
	must(t, err)
	w.wants(ada, 20, 0)
	rec := w.env.Log()[first.Position-1]
	if rec.Actor != "user:"+string(ada) || !rec.Time.Equal(w.now) {
		t.Errorf("appended was %+v", rec.Envelope)
	}
	w.now = w.now.Add(time.Hour)
	again, err := w.env.Process().NoneOfThese(t.Context(), n)
	must(t, err)
	if first.Replayed = true; again != first {
		t.Errorf("again it gave %+v, want %+v", again, first)
	}
	n.Key = ""
	_, err = w.NoneOfThese(t.Context(), n)
	refused(t, err, domain.AlreadyRefunded)
	n.Key, n.Prediction = "not these", "p_other"
	_, err = w.NoneOfThese(t.Context(), n)
	refused(t, err, domain.KeyReused)
	w.wants(ada, 20, 0)
}

// Whose answer it is not, who asks too late, or too often, or whose account is too new,
// gets nothing.
func TestNoneOfTheseIsRefused(t *testing.T) {
	w := newFixture(t)
	ada, bob := w.person("ada"), w.person("bob")
	w.give(ada, 100)
	first := w.answered(ada)
	ask := func(u domain.UserID, p domain.PredictionID) error {
		_, err := w.NoneOfThese(t.Context(), commands.NoneOfThese{User: u, Prediction: p})
		return err
	}
	refused(t, ask(bob, first.Prediction), domain.NotRefundable)
	for range refunds.PerMonth {
		must(t, ask(ada, w.answered(ada).Prediction))
	}
	refused(t, ask(ada, first.Prediction), domain.RefundLimit)
	w.Refunds.AccountDays = 1
	refused(t, ask(ada, first.Prediction), domain.AccountTooNew)
	w.Refunds.PerMonth = 0
	refused(t, ask(ada, first.Prediction), domain.RefundsOff)
	w.Refunds = refunds
	w.now = w.now.Add(24*time.Hour + time.Second)
	refused(t, ask(ada, first.Prediction), domain.NotRefundable)
	w.wants(ada, 95, 0)
}

// Two processes, and many requests of each at once: one refund.
func TestNoneOfTheseAtOnce(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	w.give(ada, 20)
	asked := w.answered(ada)
	roads := []*commands.Handler{w.Handler, w.env.Process()}
	for _, h := range roads {
		warm(t, h, ada)
	}
	onceOf(t, 16, domain.AlreadyRefunded, func(i int) error {
		_, err := roads[i%2].NoneOfThese(context.Background(), commands.NoneOfThese{User: ada, Prediction: asked.Prediction})
		return err
	})
	w.wants(ada, 20, 0)
}

// The number of free attempts is one for all processes, and holds for an hour.
func TestFreeAttemptsOfTwoProcesses(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	roads := []*commands.Handler{w.Handler, w.env.Process()}
	for _, h := range roads {
		h.FreePerHour = 4
	}
	try := func(h *commands.Handler, reason domain.FailureReason) error {
		asked, err := h.Predict(t.Context(), commands.Predict{User: ada, Text: "xyzzy"})
		if err == nil {
			_, err = h.Fail(t.Context(), endingOf(ada, asked), reason)
		}
		return err
	}
	for i, reason := range []domain.FailureReason{domain.FailedNotFound, domain.FailedNoMeaning, domain.FailedWorker, domain.FailedNotFound, domain.FailedNotFound} {
		must(t, try(roads[i%2], reason))
		w.now = w.now.Add(time.Minute)
	}
	before := w.env.Size()
	for _, h := range roads {
		refused(t, try(h, domain.FailedNotFound), domain.TooManyFree)
	}
	if w.env.Size() != before {
		t.Error("a refused question was appended")
	}
	w.now = w.now.Add(55 * time.Minute)
	must(t, try(roads[1], domain.FailedNotFound))
	w.wants(ada, 10, 0)
}

// A question in place of another: one append gives the credits back and holds them again,
// however often it is repeated; a change of what it is asked instead of is another command.
func TestPredictInstead(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	w.give(ada, 5)
	first := w.answered(ada)
	w.now = w.now.Add(time.Hour)
	p := commands.Predict{User: ada, Text: "a !dreem", Key: "as typed", InsteadOf: first.Prediction}
	asked, err := w.Predict(t.Context(), p)
	must(t, err)
	w.wants(ada, 0, 5)
	if asked.Refunded != 5 || asked.Price != 5 || asked.Request.Position != asked.Position {
		t.Errorf("it gave %+v", asked)
	}
	refund, request := w.env.Log()[asked.Position-2], w.env.Log()[asked.Position-1]
	if refund.Event.Type() != (domain.PredictionRefunded{}).Type() || !refund.Time.Equal(w.now) || !request.Time.Equal(w.now) {
		t.Errorf("appended were %+v and %+v", refund.Envelope, request.Envelope)
	}
	again, err := w.env.Process().Predict(t.Context(), p)
	must(t, err)
	if !again.Replayed || again.Prediction != asked.Prediction || again.Refunded != asked.Refunded {
		t.Errorf("again it gave %+v", again)
	}
	p.InsteadOf = ""
	_, err = w.Predict(t.Context(), p)
	refused(t, err, domain.KeyReused)
	p.Key, p.InsteadOf = "", first.Prediction
	_, err = w.Predict(t.Context(), p)
	refused(t, err, domain.InsufficientFunds)
	w.wants(ada, 0, 5)
}
