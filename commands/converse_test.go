package commands_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
)

func refinement(u domain.UserID, answer commands.Requested, said, key string) commands.Refine {
	return commands.Refine{User: u, Answer: answer.Prediction, Question: "a ship that sinks", Said: said, Key: key}
}

// A follow-up holds and captures nothing, its text has all that was said, under the
// person's key, and a repeat gives the same one, also when no other is left.
func TestRefineTwice(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	w.give(ada, 20)
	first := w.answered(ada)
	w.wants(ada, 15, 0)
	w.Refining.Refinements = 1
	f := refinement(ada, first, " older\n", "more")
	f.NotThese = []string{"jaws-1975"}
	next, err := w.Refine(t.Context(), f)
	must(t, err)
	if next.Price != 0 || next.Limit != 5 {
		t.Errorf("the follow-up is %+v", next)
	}
	w.wants(ada, 15, 0)
	rec := w.env.Log()[next.Position-1]
	e := rec.Event.(domain.PredictionRequested)
	text, err := w.opener().OpenText(t.Context(), ada, next.Prediction, e.Text)
	must(t, err)
	if text != "a ship that sinks;\nolder" || e.FollowUp.Of != first.Prediction || !rec.Time.Equal(w.now) || rec.Schema != 3 {
		t.Errorf("appended was %q, %+v", text, rec)
	}
	again, err := w.env.Process().Refine(t.Context(), f)
	must(t, err)
	if again.Prediction != next.Prediction || !again.Replayed || again.Position != next.Position {
		t.Errorf("again it gave %+v, want %+v", again, next)
	}
	_, err = w.Complete(t.Context(), endingOf(ada, next), answer)
	must(t, err)
	w.wants(ada, 15, 0)
	if again, err = w.Refine(t.Context(), f); err != nil || again.Prediction != next.Prediction {
		t.Errorf("after its answer it gave %+v, %v", again, err)
	}
	f.Said = "newer"
	_, err = w.Refine(t.Context(), f)
	refused(t, err, domain.KeyReused)
	f = refinement(ada, next, "newer", "")
	_, err = w.Refine(t.Context(), f)
	refused(t, err, domain.RefinementLimit)
}

// Whose answer it is not, who says nothing, or too much, or too late, gets nothing.
func TestRefineIsRefused(t *testing.T) {
	w := newFixture(t)
	ada, bob := w.person("ada"), w.person("bob")
	w.give(ada, 20)
	first := w.answered(ada)
	ask := func(f commands.Refine) error {
		_, err := w.Refine(t.Context(), f)
		return err
	}
	refused(t, ask(refinement(bob, first, "older", "")), domain.ConversationClosed)
	refused(t, ask(refinement(ada, first, " ", "")), domain.InvalidText)
	refused(t, ask(refinement(ada, first, "?", "")), domain.InvalidText)
	refused(t, ask(refinement(ada, first, string(make([]rune, 301)), "")), domain.InvalidText)
	long := make([]rune, domain.MaxSaidRunes+1)
	for i := range long {
		long[i] = 'я'
	}
	refused(t, ask(refinement(ada, first, string(long), "")), domain.InvalidText)
	w.now = w.now.Add(time.Hour + time.Second)
	refused(t, ask(refinement(ada, first, "older", "")), domain.ConversationClosed)
	w.wants(ada, 15, 0)
}

// Which films an answer has is decided by its entries in the log, however far back they are: a
// film of another answer is refused, and what was left out before is left out again.
func TestFilmsOfTheAnswer(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	w.give(ada, 20)
	first := w.answered(ada)
	for n := range domain.Credits(70) { // more entries than are read at a time
		w.give(ada, 15+n%2+1)
	}
	other := refinement(ada, first, "older", "")
	other.NotThese = []string{"jaws-1975", "orca-1977"}
	_, err := w.Refine(t.Context(), other)
	refused(t, err, domain.InvalidMovies)
	_, err = w.Confirm(t.Context(), commands.Confirm{User: ada, Answer: first.Prediction, Movie: "orca-1977"})
	refused(t, err, domain.InvalidMovies)

	excluded := []string{"jaws-1975"}
	f := refinement(ada, first, "older", "")
	f.NotThese = excluded
	second, err := w.Refine(t.Context(), f)
	must(t, err)
	then := answer
	then.Movies = []domain.Match{{MovieID: "orca-1977", Score: 0.5}}
	_, err = w.Complete(t.Context(), endingOf(ada, second), then)
	must(t, err)
	f = refinement(ada, second, "", "")
	f.NotThese = excluded // of the answer before
	_, err = w.Refine(t.Context(), f)
	refused(t, err, domain.InvalidMovies)
	f.NotThese = []string{"orca-1977"}
	third, err := w.Refine(t.Context(), f)
	must(t, err)
	e := w.env.Log()[third.Position-1].Event.(domain.PredictionRequested)
	if want := []string{"jaws-1975", "orca-1977"}; !slices.Equal(e.FollowUp.Excluded, want) || e.Limit != first.Limit {
		t.Errorf("asked for are %d films without %v, want %d without %v", e.Limit, e.FollowUp.Excluded, first.Limit, want)
	}
	_, err = w.Confirm(t.Context(), commands.Confirm{User: ada, Answer: second.Prediction, Movie: "jaws-1975"})
	refused(t, err, domain.InvalidMovies)
	_, err = w.Confirm(t.Context(), commands.Confirm{User: ada, Answer: second.Prediction, Movie: "orca-1977"})
	must(t, err)
}

// Many tabs in two processes refine one answer at once: one follow-up.
func TestRefineAtOnce(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	w.give(ada, 20)
	first := w.answered(ada)
	roads := []*commands.Handler{w.Handler, w.env.Process()}
	for _, h := range roads {
		h.Refining = refining
		warm(t, h, ada)
	}
	onceOf(t, 8, domain.RefinementPending, func(i int) error {
		_, err := roads[i%2].Refine(context.Background(), refinement(ada, first, "older", ""))
		return err
	})
	w.wants(ada, 15, 0)
}

// A film is confirmed or the credits come back, never both, of two processes at once.
func TestConfirmOrRefund(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	w.give(ada, 20)
	first := w.answered(ada)
	other := w.env.Process()
	warm(t, w.Handler, ada)
	warm(t, other, ada)
	var all sync.WaitGroup
	var confirmed, refund error
	all.Go(func() {
		_, confirmed = w.Confirm(context.Background(), commands.Confirm{User: ada, Answer: first.Prediction, Movie: "jaws-1975"})
	})
	all.Go(func() {
		_, refund = other.NoneOfThese(context.Background(), commands.NoneOfThese{User: ada, Prediction: first.Prediction})
	})
	all.Wait()
	switch {
	case confirmed == nil:
		refused(t, refund, domain.NotRefundable)
		w.wants(ada, 15, 0)
	default:
		refused(t, confirmed, domain.AlreadyRefunded)
		must(t, refund)
		w.wants(ada, 20, 0)
	}
}

func TestConfirmTwice(t *testing.T) {
	w := newFixture(t)
	ada, bob := w.person("ada"), w.person("bob")
	w.give(ada, 20)
	first := w.answered(ada)
	c := commands.Confirm{User: ada, Answer: first.Prediction, Movie: "jaws-1975", Key: "it"}
	_, err := w.Confirm(t.Context(), commands.Confirm{User: bob, Answer: first.Prediction, Movie: "jaws-1975"})
	refused(t, err, domain.ConversationClosed)
	done, err := w.Confirm(t.Context(), c)
	must(t, err)
	again, err := w.env.Process().Confirm(t.Context(), c)
	must(t, err)
	if done.Replayed = true; again != done {
		t.Errorf("again it gave %+v, want %+v", again, done)
	}
	c.Movie = "orca-1977"
	_, err = w.Confirm(t.Context(), c)
	refused(t, err, domain.KeyReused)
	c.Key = ""
	_, err = w.Confirm(t.Context(), c)
	refused(t, err, domain.ConversationClosed)
	_, err = w.NoneOfThese(t.Context(), commands.NoneOfThese{User: ada, Prediction: first.Prediction})
	refused(t, err, domain.NotRefundable)
	w.wants(ada, 15, 0)
}

// A follow-up that is open when the person is erased ends with the others, and nothing of
// what was said can be read.
func TestEraseWithAFollowUp(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	w.give(ada, 20)
	first := w.answered(ada)
	next, err := w.Refine(t.Context(), refinement(ada, first, "older", ""))
	must(t, err)
	_, err = w.RequestErasure(t.Context(), commands.Erasure{User: ada, Bought: domain.ForfeitCredits})
	must(t, err)
	w.env.Erase()
	ended := false
	for _, rec := range w.env.Log() {
		switch e := rec.Event.(type) {
		case domain.PredictionFailed:
			ended = ended || e.Prediction == next.Prediction && e.Price == 0 && e.Reason == domain.FailedErased
		case domain.PredictionRequested:
			if text, err := w.env.Vault.OpenText(t.Context(), ada, e.Prediction, e.Text); err == nil {
				t.Errorf("%q can be read", text)
			}
		}
	}
	if !ended {
		t.Error("the follow-up did not end")
	}
}
