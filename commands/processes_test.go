package commands_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
)

// warm loads the account into the process's memory, where it goes stale.
func warm(t testing.TB, h *commands.Handler, users ...domain.UserID) {
	t.Helper()
	for _, u := range users {
		_, err := h.Account(context.Background(), u)
		must(t, err)
	}
}

// A process whose memory is behind neither refuses by the past nor reports that there
// is nothing left to do, and never approves by it.
func TestAStaleProcess(t *testing.T) {
	w := newFixture(t)
	ada, root := w.person("ada"), w.admin("root")
	here, there := w.Handler, w.env.Process()

	warm(t, here, ada)
	_, err := there.Deposit(t.Context(), commands.Move{User: ada, Amount: 30})
	must(t, err)
	_, err = here.Withdraw(t.Context(), commands.Move{User: ada, Amount: 40}) // memory has 10
	must(t, err)

	_, err = there.Withdraw(t.Context(), commands.Move{User: ada, Amount: 1}) // memory has 40
	refused(t, err, domain.InsufficientFunds)

	w.give(ada, 5)
	warm(t, here, ada)
	warm(t, there, ada)
	asked, err := there.Predict(t.Context(), commands.Predict{User: ada, Text: "a whale"})
	must(t, err)
	_, err = here.Predict(t.Context(), commands.Predict{User: ada, Text: "a shark"}) // memory has 5
	refused(t, err, domain.InsufficientFunds)

	at, err := here.Complete(t.Context(), endingOf(ada, asked), answer)
	if err != nil || at == 0 {
		t.Errorf("here it was completed at %d, %v", at, err)
	}
	if at, err := there.Fail(t.Context(), endingOf(ada, asked), domain.FailedWorker); err != nil || at != 0 { // memory has it open
		t.Errorf("there it failed at %d, %v", at, err)
	}

	warm(t, here, root)
	if at, err := there.RevokeRole(t.Context(), domain.AdminRole, commands.Order{User: root, By: "olga"}); err != nil || at == 0 {
		t.Errorf("revoked at %d, %v", at, err)
	}
	if at, err := here.GrantRole(t.Context(), domain.AdminRole, commands.Order{User: root, By: "olga"}); err != nil || at == 0 { // memory has an admin
		t.Errorf("granted at %d, %v", at, err)
	}
	w.wants(ada, 0, 0)
}

// An ending that this process has not yet heard of the question for is no ending
// of nothing: it looks afresh.
func TestAnAnswerToAQuestionOfAnotherProcess(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	there := w.env.Process()
	warm(t, there, ada)
	asked, err := w.ask(ada, "")
	must(t, err)
	at, err := there.Complete(t.Context(), endingOf(ada, asked), answer)
	if err != nil || at == 0 {
		t.Errorf("completed at %d, %v", at, err)
	}
}

// A right that is revoked between the decision and the append does not count, one
// that is granted does, and what else the admin does meanwhile is no matter.
func TestARightThatIsRevokedInTheSameMoment(t *testing.T) {
	w := newFixture(t)
	ada, root := w.person("ada"), w.admin("root")
	other := w.env.Process()
	log := &before{Store: w.store}
	h := w.over(log)
	adjust := commands.Adjust{Admin: root, User: ada, Correction: domain.Correction{Amount: 7, Reason: "a gift"}}

	log.once = func() error {
		_, err := other.RevokeRole(t.Context(), domain.AdminRole, commands.Order{User: root, By: "olga"})
		return err
	}
	_, err := h.Adjust(t.Context(), adjust)
	refused(t, err, domain.NotAdmin)
	w.wants(ada, 10, 0)

	_, err = other.GrantRole(t.Context(), domain.AdminRole, commands.Order{User: root, By: "olga"})
	must(t, err)
	_, err = h.Adjust(t.Context(), adjust)
	must(t, err)
	w.wants(ada, 17, 0)

	log.once = func() error {
		_, err := other.Deposit(t.Context(), commands.Move{User: root, Amount: 1})
		return err
	}
	if _, err = h.Adjust(t.Context(), adjust); err != nil {
		t.Errorf("beside a deposit of the admin's own: %v", err)
	}
}

// before lets something happen between a decision and its append.
type before struct {
	*eventstore.Store
	once func() error
}

func (b *before) Append(ctx context.Context, a eventstore.Append) (eventstore.Receipt, error) {
	if once := b.once; once != nil {
		b.once = nil
		if err := once(); err != nil {
			return eventstore.Receipt{}, err
		}
	}
	return b.Store.Append(ctx, a)
}

// Another writer is always faster: after ten attempts the account is busy, nothing
// was appended, and a charge goes back.
func TestABusyAccount(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	other := w.env.Process()
	log := &before{Store: w.store}
	n := 0
	var faster func() error
	faster = func() error {
		n++
		log.once = faster
		_, err := other.Deposit(t.Context(), commands.Move{User: ada, Amount: 1})
		return err
	}
	log.once = faster
	_, err := w.over(log).Deposit(t.Context(), commands.Move{User: ada, Amount: 100})
	refused(t, err, domain.Busy)
	if n != 10 || w.payments.kept() != 10 {
		t.Errorf("%d attempts, the provider keeps %d", n, w.payments.kept())
	}
	w.wants(ada, 20, 0)
}

// 64 commands on one account at once in one process: all end, as one after the
// other would, and none is refused because the account is busy.
func TestManyAtOnceOnOneAccount(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	w.give(ada, 20*5) // enough for 20 of 32 questions
	codes := together(64, func(i int) error {
		if i%2 == 0 {
			_, err := w.Deposit(context.Background(), commands.Move{User: ada, Amount: 1, Key: fmt.Sprint(i)})
			return err
		}
		_, err := w.ask(ada, fmt.Sprint(i))
		return err
	})
	asked := 0
	for i, err := range codes {
		switch got := code(t, err); {
		case got == "" && i%2 == 1:
			asked++
		case got != "" && (got != domain.InsufficientFunds || i%2 == 0):
			t.Errorf("command %d: %v", i, err)
		}
	}
	if asked < 20 || asked > 26 { // 132 credits in all
		t.Errorf("%d questions were asked", asked)
	}
	w.wants(ada, domain.Credits(100+32-5*asked), domain.Credits(5*asked))
}

// The same command many times at once in two processes is done once; every other
// gets its answer, or hears that it still runs.
func TestOneCommandManyTimesAtOnce(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	processes := []*commands.Handler{w.Handler, w.env.Process()}
	before := w.env.Size()
	for i, err := range together(40, func(i int) error {
		r, err := processes[i%2].Deposit(context.Background(), commands.Move{User: ada, Amount: 5, Key: "k"})
		if err == nil && r.Available != 15 {
			return fmt.Errorf("the answer is %+v", r)
		}
		return err
	}) {
		if got := code(t, err); got != "" && got != domain.KeyInProgress {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if w.env.Size() != before+2 || w.payments.kept() != 5 {
		t.Errorf("%d events, the provider keeps %d", w.env.Size()-before, w.payments.kept())
	}
}

// Of a hundred sign-ups with one e-mail, in two processes, exactly one succeeds.
func TestManySignUpsWithOneEmail(t *testing.T) {
	w := newFixture(t)
	processes := []*commands.Handler{w.Handler, w.env.Process()}
	spellings := []string{"ada@example.org", "ADA@EXAMPLE.ORG", " Ada@example.org"}
	signedUp := 0
	for i, err := range together(100, func(i int) error {
		_, err := processes[i%2].SignUp(context.Background(), commands.SignUp{Email: spellings[i%3], Password: password})
		return err
	}) {
		switch got := code(t, err); got {
		case "":
			signedUp++
		case domain.EmailTaken:
		default:
			t.Errorf("sign-up %d: %v", i, err)
		}
	}
	if signedUp != 1 || w.env.Size() != 3 {
		t.Errorf("%d signed up, the log has %d events", signedUp, w.env.Size())
	}
	if u, err := w.FindUser(t.Context(), spellings[0]); err != nil || u == "" {
		t.Errorf("found %q, %v", u, err)
	}
}

// together runs n at once and gives what became of each.
func together(n int, run func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var work sync.WaitGroup
	for i := range n {
		work.Go(func() {
			<-start
			errs[i] = run(i)
		})
	}
	close(start)
	work.Wait()
	return errs
}
