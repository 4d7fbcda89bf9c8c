package commands_test

import (
	"errors"
	"testing"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
)

// The welcome bonus is for answers: it is spent first, comes back where there is no
// answer, and is never paid out.
func TestTheBonusIsNotPaidOut(t *testing.T) {
	w := newFixture(t)
	up, err := w.SignUp(t.Context(), commands.SignUp{Email: "ada@example.org", Password: password})
	must(t, err)
	ada := up.User
	if up.Available != 10 || up.Given != 10 {
		t.Errorf("signed up as %+v", up)
	}
	_, err = w.Withdraw(t.Context(), commands.Move{User: ada, Amount: 1})
	refused(t, err, domain.InsufficientFunds)
	in, err := w.Deposit(t.Context(), commands.Move{User: ada, Amount: 8})
	if err != nil || in.Available != 18 || in.Given != 10 {
		t.Errorf("the deposit came to %+v, %v", in, err)
	}
	_, err = w.Withdraw(t.Context(), commands.Move{User: ada, Amount: 9})
	refused(t, err, domain.InsufficientFunds)

	var asked []commands.Requested
	for _, given := range []domain.Credits{5, 0, 0} {
		a, err := w.ask(ada, "")
		must(t, err)
		if a.Given != given {
			t.Errorf("after a question %d given credits are left, want %d", a.Given, given)
		}
		asked = append(asked, a)
	}
	w.wants(ada, 3, 15)
	w.wantsGiven(ada, 0, 10)
	_, err = w.Complete(t.Context(), endingOf(ada, asked[0]), answer)
	must(t, err)
	_, err = w.Fail(t.Context(), endingOf(ada, asked[1]), domain.FailedNoMeaning)
	must(t, err)
	_, err = w.Complete(t.Context(), endingOf(ada, asked[2]), answer)
	must(t, err)
	w.wants(ada, 8, 0)
	w.wantsGiven(ada, 5, 0)
	_, err = w.Withdraw(t.Context(), commands.Move{User: ada, Amount: 4})
	refused(t, err, domain.InsufficientFunds)
	out, err := w.Withdraw(t.Context(), commands.Move{User: ada, Amount: 3})
	if err != nil || out.Available != 5 || out.Given != 5 {
		t.Errorf("the withdrawal came to %+v, %v", out, err)
	}
	trial, err := w.env.Memory.Trial(t.Context(), out.Position)
	if err != nil || trial.Owed() != 0 || trial.Outstanding() != 5 || trial.Accounts[domain.HouseGivenSpent] != 5 || trial.Accounts[domain.HouseRevenue] != 5 {
		t.Errorf("the trial balance is %+v, %v", trial, err)
	}
}

// An admin chooses which credits a correction is about; the kind is part of what a key
// identifies.
func TestAdjustSaysWhichCredits(t *testing.T) {
	w := newFixture(t)
	root, ada := w.admin("root"), w.person("ada")
	adjust := commands.Adjust{Admin: root, User: ada, Correction: domain.Correction{Amount: 7, Reason: "sorry"}, Key: "k"}
	_, err := w.Adjust(t.Context(), adjust)
	must(t, err)
	w.wants(ada, 17, 0)
	w.wantsGiven(ada, 7, 0)
	adjust.Kind = domain.BoughtCredits
	_, err = w.Adjust(t.Context(), adjust)
	refused(t, err, domain.KeyReused)
	adjust.Key = "l"
	for _, replayed := range []bool{false, true} {
		r, err := w.Adjust(t.Context(), adjust)
		if err != nil || r.Replayed != replayed || r.Available != 24 || r.Given != 7 {
			t.Errorf("adjusted to %+v, %v", r, err)
		}
	}
	adjust.Key, adjust.Kind = "", "lent"
	_, err = w.Adjust(t.Context(), adjust)
	refused(t, err, domain.InvalidKind)
	adjust.Kind, adjust.Amount = "", -8
	_, err = w.Adjust(t.Context(), adjust)
	must(t, err)
	w.wants(ada, 16, 0)
	w.wantsGiven(ada, 0, 0)
}

// The fingerprint of an adjustment without a kind is that of before there were kinds: a
// client that retries across the upgrade gets its first answer.
func TestAKeyOfBeforeThereWereKinds(t *testing.T) {
	w := newFixture(t)
	root, ada := w.admin("root"), w.person("ada")
	r, err := w.Adjust(t.Context(), commands.Adjust{Admin: root, User: ada, Correction: domain.Correction{Amount: 7, Reason: "sorry", Reference: "T-1"}, Key: "k"})
	must(t, err)
	command, _ := w.env.Log()[r.Position-1].Cause.Command()
	want, err := w.Vault.Fingerprint(t.Context(), root, `adjust `+string(ada)+` 7 "sorry" "T-1"`)
	if err != nil || command.Content != want {
		t.Errorf("the content is %q, want %q (%v)", command.Content, want, err)
	}
}

// A payment is booked once, by any writer: its stream has one version.
func TestOnePaymentIsBookedOnce(t *testing.T) {
	w := newFixture(t)
	ada, bob := w.person("ada"), w.person("bob")
	in, err := w.Deposit(t.Context(), commands.Move{User: ada, Amount: 5})
	must(t, err)
	out, err := w.Withdraw(t.Context(), commands.Move{User: ada, Amount: 5})
	must(t, err)
	for _, position := range []eventstore.Position{in.Position, out.Position} {
		claim, booked := w.env.Log()[position-2], w.env.Log()[position-1]
		if _, ok := claim.Event.(domain.PaymentClaimed); !ok || !claim.Stream.OfPayment() || claim.Version != 1 || claim.Cause != booked.Cause || claim.Event.Subject() != ada {
			t.Errorf("before %s stands %+v", booked.Type, claim)
		}
		before := w.env.Size()
		l, err := w.store.Refresh(t.Context(), bob)
		must(t, err)
		again := domain.Deposited{User: bob, Amount: 5, Provider: "till", Payment: "again", Movement: domain.Movement{Available: l.Account.Available + 5,
			Postings: []domain.Posting{{Account: domain.HouseCash, Amount: -5}, {Account: domain.AvailableOf(bob), Amount: 5}}}}
		_, err = w.store.Append(t.Context(), eventstore.Append{Time: noon, Actor: "user:" + string(bob), Cause: eventstore.Command{ID: "again", Content: "x"}.Cause(),
			Writes: []eventstore.Write{{Stream: claim.Stream, Events: []domain.Event{domain.PaymentClaimed{User: bob}}},
				{Stream: eventstore.AccountStream(bob), Expected: l.Version, Events: []domain.Event{again}}}})
		if !errors.Is(err, eventstore.ErrConflict) || w.env.Size() != before {
			t.Errorf("the same payment again gives %v, the log went from %d to %d", err, before, w.env.Size())
		}
	}
}
