package commands_test

import (
	"context"
	"reflect"
	"testing"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
)

// keyed are the commands that take an Idempotency-Key. Each empties something, so
// that its retry would be refused if it were decided again: the wallet of ten, or
// the free e-mail.
var keyed = []struct {
	name string
	// run sends the command, or with other set the same with other content; ada has
	// 10 credits, root is an admin.
	run func(ctx context.Context, w *fixture, h *commands.Handler, ada, root domain.UserID, key string, other bool) (commands.Result, error)
	// other content of a sign-up is another e-mail, and that is another person.
	contentCounts bool
}{
	{"sign up", func(ctx context.Context, _ *fixture, h *commands.Handler, _, _ domain.UserID, key string, other bool) (commands.Result, error) {
		s := commands.SignUp{Email: "new@example.org", Password: password, Key: key}
		if other {
			s.Email = "other@example.org"
		}
		up, err := h.SignUp(ctx, s)
		return up.Result, err
	}, false},
	{"deposit", func(ctx context.Context, _ *fixture, h *commands.Handler, ada, _ domain.UserID, key string, other bool) (commands.Result, error) {
		return h.Deposit(ctx, commands.Move{User: ada, Amount: 5 + credit(other), Key: key})
	}, true},
	{"withdraw", func(ctx context.Context, _ *fixture, h *commands.Handler, ada, _ domain.UserID, key string, other bool) (commands.Result, error) {
		return h.Withdraw(ctx, commands.Move{User: ada, Amount: 10 - credit(other), Key: key})
	}, true},
	{"predict", func(ctx context.Context, w *fixture, h *commands.Handler, ada, _ domain.UserID, key string, other bool) (commands.Result, error) {
		p := commands.Predict{User: ada, Text: "a film with a whale", Key: key}
		if other {
			p.Text += "s"
		}
		asked, err := h.Predict(ctx, p)
		return asked.Result, err
	}, true},
	{"adjust", func(ctx context.Context, _ *fixture, h *commands.Handler, ada, root domain.UserID, key string, other bool) (commands.Result, error) {
		return h.Adjust(ctx, commands.Adjust{Admin: root, User: ada, Key: key,
			Correction: domain.Correction{Amount: -10 + credit(other), Reason: "as asked"}})
	}, true},
}

func credit(one bool) domain.Credits {
	if one {
		return 1
	}
	return 0
}

// The same key with the same content gives the first answer and moves nothing,
// through every process; with other content it is refused.
func TestTheSameKeyAgain(t *testing.T) {
	for _, tt := range keyed {
		t.Run(tt.name, func(t *testing.T) {
			w := newFixture(t)
			ada, root := w.person("ada"), w.admin("root")
			if tt.name == "predict" {
				w.give(ada, 5)
			}
			first, err := tt.run(t.Context(), w, w.Handler, ada, root, "k", false)
			must(t, err)
			if first.Replayed || first.Position == 0 {
				t.Fatalf("the first answer is %+v", first)
			}
			size := w.env.Size()
			want := first
			want.Replayed = true
			for name, h := range map[string]*commands.Handler{"here": w.Handler, "in another process": w.env.Process()} {
				again, err := tt.run(t.Context(), w, h, ada, root, "k", false)
				if err != nil || again != want {
					t.Errorf("%s the same again gave %+v, %v; want %+v", name, again, err, want)
				}
				_, err = tt.run(t.Context(), w, h, ada, root, "k", true)
				if got := code(t, err); tt.contentCounts && got != domain.KeyReused {
					t.Errorf("%s with other content it gave %q", name, got)
				}
			}
			if !tt.contentCounts {
				size += 3 // another person
			}
			if w.env.Size() != size {
				t.Errorf("the log grew from %d to %d", size, w.env.Size())
			}
		})
	}
}

// The same, after the account has moved on and the retry would be decided
// otherwise: the question has ended, the wallet is full, the admin is none any more.
func TestAnAnswerStaysAsItWas(t *testing.T) {
	w := newFixture(t)
	ada, root := w.person("ada"), w.admin("root")
	asked, err := w.ask(ada, "k")
	must(t, err)
	deposit := commands.Move{User: ada, Amount: 5, Key: "d"}
	first, err := w.Deposit(t.Context(), deposit)
	must(t, err)
	adjust := commands.Adjust{Admin: root, User: ada, Correction: domain.Correction{Amount: 1, Reason: "r"}, Key: "a"}
	adjusted, err := w.Adjust(t.Context(), adjust)
	must(t, err)

	_, err = w.Complete(t.Context(), endingOf(ada, asked), answer)
	must(t, err)
	_, err = w.RevokeRole(t.Context(), domain.AdminRole, commands.Order{User: root, By: "olga"})
	must(t, err)
	w.give(ada, domain.MaxBalance)
	w.now = w.now.Add(1 << 40)
	w.Price = 7

	again, err := w.ask(ada, "k")
	asked.Replayed = true
	if err != nil || !reflect.DeepEqual(again, asked) {
		t.Errorf("asked again: %+v, %v; want %+v", again, err, asked)
	}
	for name, tt := range map[string]struct {
		was commands.Result
		run func() (commands.Result, error)
	}{
		"deposit": {first, func() (commands.Result, error) { return w.Deposit(t.Context(), deposit) }},
		"adjust":  {adjusted, func() (commands.Result, error) { return w.Adjust(t.Context(), adjust) }},
	} {
		tt.was.Replayed = true
		if r, err := tt.run(); err != nil || r != tt.was {
			t.Errorf("%s again: %+v, %v; want %+v", name, r, err, tt.was)
		}
	}
}

// A key belongs to who sends it, and a refusal does not use it up.
func TestKeysArePersonal(t *testing.T) {
	w := newFixture(t)
	ada, bob := w.person("ada"), w.person("bob")
	for _, u := range []domain.UserID{ada, bob} {
		r, err := w.Deposit(t.Context(), commands.Move{User: u, Amount: 5, Key: "k"})
		if err != nil || r.Replayed || r.Available != 15 {
			t.Errorf("%s deposited %+v, %v", u, r, err)
		}
	}
	move := commands.Move{User: ada, Amount: 20, Key: "later"}
	_, err := w.Withdraw(t.Context(), move)
	refused(t, err, domain.InsufficientFunds)
	w.give(ada, 20)
	r, err := w.Withdraw(t.Context(), move)
	if err != nil || r.Replayed || r.Available != 0 {
		t.Errorf("withdrew %+v, %v", r, err)
	}
}

// The money of the first deposit stays where it is when its key comes again with
// another amount: neither is it charged once more nor given back.
func TestAReusedKeyLeavesTheFirstPaymentAlone(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	_, err := w.Deposit(t.Context(), commands.Move{User: ada, Amount: 5, Key: "k"})
	must(t, err)
	_, err = w.Deposit(t.Context(), commands.Move{User: ada, Amount: 7, Key: "k"})
	refused(t, err, domain.KeyReused)
	if w.payments.kept() != 5 {
		t.Errorf("the provider keeps %d", w.payments.kept())
	}
	w.wants(ada, 15, 0)
}

// A second request with the key of one that still runs is refused, with any content.
func TestAKeyInProgress(t *testing.T) {
	w := newFixture(t)
	ada, bob := w.person("ada"), w.person("bob")
	entered, leave := make(chan bool), make(chan bool)
	w.payments.before = func(string) error {
		entered <- true
		<-leave
		return nil
	}
	move := commands.Move{User: ada, Amount: 5, Key: "k"}
	first := make(chan error, 1)
	go func() { _, err := w.Deposit(context.Background(), move); first <- err }()
	<-entered
	_, err := w.Deposit(t.Context(), move)
	refused(t, err, domain.KeyInProgress)
	_, err = w.Withdraw(t.Context(), move)
	refused(t, err, domain.KeyInProgress)

	second := make(chan error, 1) // another's key of the same name is another key
	go func() {
		_, err := w.Deposit(context.Background(), commands.Move{User: bob, Amount: 5, Key: "k"})
		second <- err
	}()
	leave <- true
	must(t, <-first)
	<-entered
	leave <- true
	must(t, <-second)

	w.payments.mu.Lock()
	w.payments.before = nil
	w.payments.mu.Unlock()
	r, err := w.Deposit(t.Context(), move)
	if err != nil || !r.Replayed {
		t.Errorf("when it is through, the key gives %+v, %v", r, err)
	}
	w.wants(ada, 15, 0)
}

// A caller who leaves while another of the account's commands runs has asked for
// nothing.
func TestLeavingWhileWaiting(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	entered, leave := make(chan bool), make(chan bool)
	w.payments.before = func(string) error {
		entered <- true
		<-leave
		return nil
	}
	first := make(chan error, 1)
	go func() {
		_, err := w.Deposit(context.Background(), commands.Move{User: ada, Amount: 5})
		first <- err
	}()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, 1)
	go func() {
		_, err := w.Withdraw(ctx, commands.Move{User: ada, Amount: 1, Key: "k"})
		waiting <- err
	}()
	cancel()
	if err := <-waiting; err == nil || domain.RefusalIn(err) != nil {
		t.Errorf("who left got %v", err)
	}
	leave <- true
	must(t, <-first)
	w.wants(ada, 15, 0)
}

// Signing up again with the key of the first time gives the first answer, in
// another spelling of the e-mail too; without it the e-mail is taken, and with another
// password the key was used for another request, in another process too.
func TestSignUpAgain(t *testing.T) {
	w := newFixture(t)
	first, err := w.SignUp(t.Context(), commands.SignUp{Email: "ada@example.org", Password: password, Key: "k"})
	must(t, err)
	again, err := w.SignUp(t.Context(), commands.SignUp{Email: "ADA@example.org", Password: password, Key: "k"})
	if err != nil || again.User != first.User || again.Position != first.Position || !again.Replayed {
		t.Errorf("signed up again as %+v, %v", again, err)
	}
	_, err = w.SignUp(t.Context(), commands.SignUp{Email: "ada@example.org", Password: password, Key: "l"})
	refused(t, err, domain.EmailTaken)
	_, err = w.SignUp(t.Context(), commands.SignUp{Email: "ada@example.org", Password: password + "!", Key: "k"})
	refused(t, err, domain.KeyReused)
	_, err = w.env.Process().SignUp(t.Context(), commands.SignUp{Email: "ada@example.org", Password: password + "!", Key: "k"})
	refused(t, err, domain.KeyReused)
	if log := w.env.Log(); len(log) != 3 || log[0].Stream == eventstore.AccountStream(first.User) {
		t.Errorf("the log has %d entries", len(log))
	}
}

// A question that the catalogue no longer allows is refused, and one that was asked before is
// the same request still.
func TestARepeatOfWhatIsRefusedNow(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	w.give(ada, 10)
	p := commands.Predict{User: ada, Text: "a film with a whale", Sent: "a whale, of the sea", Key: "first"}
	first, err := w.Predict(t.Context(), p)
	must(t, err)
	p.Refused = domain.Reject(domain.InvalidText, "no such condition")
	again, err := w.Predict(t.Context(), p)
	if err != nil || again.Prediction != first.Prediction || again.Leaf != first.Leaf || !again.Replayed {
		t.Errorf("the repeat gave %+v, %v; want %+v", again, err, first)
	}
	p.Key = "another"
	_, err = w.Predict(t.Context(), p)
	refused(t, err, domain.InvalidText)
}
