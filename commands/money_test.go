package commands_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"kassa/commands"
	"kassa/domain"
	"kassa/vault"
)

func TestDepositAndWithdraw(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	in, err := w.Deposit(t.Context(), commands.Move{User: ada, Amount: 30})
	must(t, err)
	if in.Available != 40 || in.Held != 0 || in.Position != 6 || in.Replayed {
		t.Errorf("the deposit came to %+v", in)
	}
	out, err := w.Withdraw(t.Context(), commands.Move{User: ada, Amount: 40})
	must(t, err)
	if out.Available != 0 || out.Position != 8 || out.Leaf == in.Leaf {
		t.Errorf("the withdrawal came to %+v", out)
	}
	w.wants(ada, 0, 0)
	log := w.env.Log()
	deposited, withdrawn := log[5].Event.(domain.Deposited), log[7].Event.(domain.Withdrawn)
	if deposited.Provider != "till" || withdrawn.Provider != "till" || deposited.Payment == withdrawn.Payment {
		t.Errorf("payments are %+v and %+v", deposited, withdrawn)
	}
	if w.payments.kept() != 30 || w.payments.asked != 1 {
		t.Errorf("the provider has %d and was asked %d times", w.payments.kept(), w.payments.asked)
	}
	// Without a key each is a command of its own.
	for range 2 {
		_, err := w.Deposit(t.Context(), commands.Move{User: ada, Amount: 3})
		must(t, err)
	}
	w.wants(ada, 6, 0)
}

func TestDepositRefusals(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	full := w.person("full")
	w.give(full, domain.MaxBalance-5)
	before := w.env.Size()
	for _, tt := range []struct {
		name string
		move commands.Move
		want domain.Code
	}{
		{"nothing", commands.Move{User: ada, Amount: 0}, domain.InvalidAmount},
		{"less than nothing", commands.Move{User: ada, Amount: -1}, domain.InvalidAmount},
		{"too much at once", commands.Move{User: ada, Amount: domain.MaxAmount + 1}, domain.InvalidAmount},
		{"more than a wallet holds", commands.Move{User: full, Amount: 6}, domain.BalanceLimit},
		{"a bad amount into a full wallet", commands.Move{User: full, Amount: 0}, domain.InvalidAmount},
		{"a bad key and a bad amount", commands.Move{User: ada, Amount: 0, Key: strings.Repeat("k", 201)}, domain.InvalidKey},
	} {
		_, err := w.Deposit(t.Context(), tt.move)
		if got := code(t, err); got != tt.want {
			t.Errorf("%s: refused with %q, want %q", tt.name, got, tt.want)
		}
	}
	if w.payments.asked != 0 || w.env.Size() != before {
		t.Errorf("the provider was asked %d times, the log grew by %d", w.payments.asked, w.env.Size()-before)
	}
	for u, most := range map[domain.UserID]domain.Credits{ada: domain.MaxAmount, full: 5} {
		_, err := w.Deposit(t.Context(), commands.Move{User: u, Amount: most})
		must(t, err)
	}
}

func TestWithdrawRefusals(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	before := w.env.Size()
	for _, tt := range []struct {
		amount domain.Credits
		want   domain.Code
	}{{0, domain.InvalidAmount}, {-1, domain.InvalidAmount}, {domain.MaxAmount + 1, domain.InvalidAmount}, {11, domain.InsufficientFunds}} {
		_, err := w.Withdraw(t.Context(), commands.Move{User: ada, Amount: tt.amount})
		if got := code(t, err); got != tt.want {
			t.Errorf("%d: refused with %q, want %q", tt.amount, got, tt.want)
		}
	}
	if w.env.Size() != before {
		t.Errorf("the log grew by %d", w.env.Size()-before)
	}
	// What is held cannot be withdrawn.
	_, err := w.Predict(t.Context(), commands.Predict{User: ada, Text: "a whale"})
	must(t, err)
	_, err = w.Withdraw(t.Context(), commands.Move{User: ada, Amount: 6})
	refused(t, err, domain.InsufficientFunds)
	_, err = w.Withdraw(t.Context(), commands.Move{User: ada, Amount: 5})
	must(t, err)
	w.wants(ada, 0, 5)
}

// A user without a key can do nothing more: that is a
// fault, and no money moves.
func TestWithoutAKeyNothingIsAsked(t *testing.T) {
	w := newFixture(t)
	_, err := w.Deposit(t.Context(), commands.Move{User: "u_nobody", Amount: 5})
	if !errors.Is(err, vault.ErrErased) || domain.RefusalIn(err) != nil {
		t.Errorf("the deposit gave %v", err)
	}
	_, err = w.Predict(t.Context(), commands.Predict{User: "u_nobody", Text: "a whale"})
	if !errors.Is(err, vault.ErrErased) {
		t.Errorf("the question gave %v", err)
	}
	if w.payments.asked != 0 || w.env.Size() != 0 {
		t.Errorf("the provider was asked %d times, the log has %d", w.payments.asked, w.env.Size())
	}
}

func TestAPaymentIsDeclined(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	w.payments.before = func(string) error { return domain.Reject(domain.PaymentDeclined, "no") }
	_, err := w.Deposit(t.Context(), commands.Move{User: ada, Amount: 5, Key: "k"})
	refused(t, err, domain.PaymentDeclined)
	w.wants(ada, 10, 0)
	if w.payments.asked != 1 {
		t.Errorf("the provider was asked %d times", w.payments.asked)
	}
	w.payments.before = nil
	_, err = w.Deposit(t.Context(), commands.Move{User: ada, Amount: 5, Key: "k"})
	must(t, err)
	w.wants(ada, 15, 0)
}

// A provider that fails leaves it open whether it took the money: the same key
// again asks for the same payment, and it is taken once.
func TestAPaymentFails(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	broken := errors.New("the line is dead")
	var payments []string
	w.payments.before = func(payment string) error {
		payments = append(payments, payment)
		w.payments.mu.Lock()
		w.payments.taken[payment] = 5 // it was taken, and then the line died
		w.payments.mu.Unlock()
		return broken
	}
	_, err := w.Deposit(t.Context(), commands.Move{User: ada, Amount: 5, Key: "k"})
	if !errors.Is(err, broken) || domain.RefusalIn(err) != nil {
		t.Fatalf("the deposit gave %v", err)
	}
	w.wants(ada, 10, 0)
	w.payments.before = func(payment string) error { payments = append(payments, payment); return nil }
	_, err = w.Deposit(t.Context(), commands.Move{User: ada, Amount: 5, Key: "k"})
	must(t, err)
	w.wants(ada, 15, 0)
	if len(payments) != 2 || payments[0] != payments[1] || w.payments.kept() != 5 {
		t.Errorf("payments %q, %d kept", payments, w.payments.kept())
	}
}

// While the provider takes the money, the wallet fills up in another process: the
// deposit is refused after the charge, and the money goes back.
func TestARefusedDepositIsRefunded(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	w.give(ada, domain.MaxBalance-10)
	other := w.env.Process()
	w.payments.before = func(string) error {
		w.payments.before = nil
		_, err := other.Deposit(t.Context(), commands.Move{User: ada, Amount: 10})
		return err
	}
	_, err := w.Deposit(t.Context(), commands.Move{User: ada, Amount: 5, Key: "k"})
	refused(t, err, domain.BalanceLimit)
	if w.payments.kept() != 10 || len(w.payments.returned) != 1 {
		t.Errorf("the provider keeps %d, and gave back %v", w.payments.kept(), w.payments.returned)
	}
	// There is room again, and the same command again: its payment was given back,
	// so it is no payment for it any more.
	_, err = w.Withdraw(t.Context(), commands.Move{User: ada, Amount: 10})
	must(t, err)
	_, err = w.Deposit(t.Context(), commands.Move{User: ada, Amount: 5, Key: "k"})
	refused(t, err, domain.PaymentDeclined)
	w.wants(ada, domain.MaxBalance-10, 0)
}

// A refund that fails is no refusal: an operator has to look at it.
func TestAFailedRefundIsAFault(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	w.give(ada, domain.MaxBalance-5)
	other := w.env.Process()
	w.payments.before = func(string) error {
		w.payments.before = nil
		_, err := other.Deposit(t.Context(), commands.Move{User: ada, Amount: 5})
		return err
	}
	w.payments.refund, w.unsettled = errors.New("closed for today"), true
	_, err := w.Deposit(t.Context(), commands.Move{User: ada, Amount: 5})
	if !errors.Is(err, w.payments.refund) || domain.RefusalIn(err) != nil {
		t.Errorf("the deposit gave %v", err)
	}
}

func TestAdjust(t *testing.T) {
	w := newFixture(t)
	root, ada := w.admin("root"), w.person("ada")
	full := w.person("full")
	w.give(full, domain.MaxBalance)
	give := func(by, to domain.UserID, amount domain.Credits, reason string) (commands.Result, error) {
		return w.Adjust(t.Context(), commands.Adjust{Admin: by, User: to,
			Correction: domain.Correction{Amount: amount, Reason: reason, Reference: "T-1"}})
	}
	r, err := give(root, ada, 7, "a gift")
	must(t, err)
	e := w.env.Log()[r.Position-1].Event.(domain.BalanceAdjusted)
	if r.Available != 17 || e.Admin != root || e.User != ada || e.Amount != 7 || e.Reason != "a gift" || e.Reference != "T-1" {
		t.Errorf("adjusted %+v to %+v", e, r)
	}
	_, err = give(root, ada, -17, "taken back")
	must(t, err)
	w.wants(ada, 0, 0)

	before := w.env.Size()
	for _, tt := range []struct {
		name   string
		by, to domain.UserID
		amount domain.Credits
		reason string
		want   domain.Code
	}{
		{"nothing", root, ada, 0, "", domain.InvalidAmount},
		{"too much", root, ada, -domain.MaxAmount - 1, "r", domain.InvalidAmount},
		{"no reason", root, ada, 1, " ", domain.InvalidReason},
		{"by nobody special", ada, root, 1, "r", domain.NotAdmin},
		{"by nobody special, without a reason", ada, root, 1, "", domain.InvalidReason},
		{"by nobody special, of nobody", ada, "u_nobody", 1, "r", domain.NotAdmin},
		{"one's own, by nobody special", ada, ada, 1, "r", domain.NotAdmin},
		{"one's own", root, root, 1, "r", domain.OwnAdjustment},
		{"one's own, to take", root, root, -1, "r", domain.OwnAdjustment},
		{"of nobody", root, "u_nobody", 1, "r", domain.AccountNotFound},
		{"more than there is", root, ada, -1, "r", domain.InsufficientFunds},
		{"over the limit of a wallet", root, full, 1, "r", domain.BalanceLimit},
	} {
		_, err := give(tt.by, tt.to, tt.amount, tt.reason)
		if got := code(t, err); got != tt.want {
			t.Errorf("%s: refused with %q, want %q", tt.name, got, tt.want)
		}
	}
	_, err = w.Adjust(t.Context(), commands.Adjust{Admin: root, User: ada,
		Correction: domain.Correction{Amount: 1, Reason: "r", Reference: strings.Repeat("t", domain.MaxReferenceRunes+1)}})
	refused(t, err, domain.InvalidReference)
	if w.env.Size() != before {
		t.Errorf("refusals appended %d events", w.env.Size()-before)
	}
}

func TestSandboxTakesEverything(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	h := w.env.Process()
	h.Payments = commands.Sandbox{}
	if h.Payments.Name() != "sandbox" || h.Payments.Charge(context.Background(), "p", ada, 5) != nil || h.Payments.Refund(context.Background(), "p") != nil {
		t.Error("the sandbox refuses")
	}
}
