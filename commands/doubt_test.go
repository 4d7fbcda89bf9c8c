package commands_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
)

// doubtful is a log whose first append is of unknown outcome: with appended it was
// done. What comes later fails by the test's word; nil: it does not.
type doubtful struct {
	*eventstore.Store
	appended bool
	appends  int
	unread   func(domain.UserID) error // what comes of reading an account
	unfound  func() error              // what comes of asking whether the command was done
	refused  func() error              // what comes of more appends
}

func (d *doubtful) Append(ctx context.Context, a eventstore.Append) (eventstore.Receipt, error) {
	d.appends++
	switch {
	case d.appends > 1 && d.refused != nil:
		return eventstore.Receipt{}, d.refused()
	case d.appends > 1:
		return d.Store.Append(ctx, a)
	case d.appended:
		if _, err := d.Store.Append(ctx, a); err != nil {
			return eventstore.Receipt{}, err
		}
	}
	return eventstore.Receipt{}, fmt.Errorf("the connection was cut: %w", eventstore.ErrUnknown)
}

func (d *doubtful) Refresh(ctx context.Context, u domain.UserID) (eventstore.Loaded, error) {
	if d.appends > 0 && d.unread != nil {
		if err := d.unread(u); err != nil {
			return eventstore.Loaded{}, err
		}
	}
	return d.Store.Refresh(ctx, u)
}

func (d *doubtful) Done(ctx context.Context, c eventstore.Command) (eventstore.Receipt, bool, error) {
	if d.unfound != nil {
		return eventstore.Receipt{}, false, d.unfound()
	}
	return d.Store.Done(ctx, c)
}

// patience is how many faults after the unknown append the caller waits for; each
// comes after a longer pause.
const patience = 3

// After an append of unknown outcome, what fails afterwards does not decide it: the
// command stays of unknown outcome, whether it was done or not, its payment stays
// where it is, and sent again it is done once.
func TestOnceUnknownAlwaysUnknown(t *testing.T) {
	for _, fault := range []struct {
		name  string
		reads bool // the log can be read, so a command that was done may be found
		set   func(s *prepared, log *doubtful, fails func() error)
	}{
		{"nothing can be read", false, func(_ *prepared, log *doubtful, fails func() error) {
			log.unread, log.refused = func(domain.UserID) error { return fails() }, fails
		}},
		{"the admin cannot be read", true, func(s *prepared, log *doubtful, fails func() error) {
			log.unread = func(u domain.UserID) error {
				if u == s.root {
					return fails()
				}
				return nil
			}
			log.refused = fails
		}},
		{"it cannot be looked up", true, func(_ *prepared, log *doubtful, fails func() error) { log.refused, log.unfound = fails, fails }},
		{"the next append fails", true, func(_ *prepared, log *doubtful, fails func() error) { log.refused = fails }},
		{"the store is shut", true, func(_ *prepared, log *doubtful, _ func() error) {
			log.refused = func() error { return eventstore.ErrClosed }
		}},
		{"somebody else is always faster", true, func(_ *prepared, log *doubtful, fails func() error) {
			log.refused, log.unfound = func() error { return eventstore.ErrConflict }, fails
		}},
	} {
		for _, appended := range []bool{false, true} {
			for _, tt := range acts() {
				t.Run(fmt.Sprintf("%s/%s/appended %t", fault.name, tt.name, appended), func(t *testing.T) {
					s := newPrepared(t)
					before := s.env.Size()
					log := &doubtful{Store: s.store, appended: appended}
					ctx, leave := context.WithCancel(t.Context())
					defer leave()
					faults := 0
					fault.set(s, log, func() error {
						if faults++; faults == patience {
							leave()
						}
						return errUnreadable
					})
					at, err := tt.run(ctx, s, s.over(log))
					found := err == nil && appended && fault.reads
					if !found && (!errors.Is(err, eventstore.ErrUnknown) || domain.RefusalIn(err) != nil) {
						t.Fatalf("the command gave position %d, %v", at, err)
					}
					done := 0
					if appended {
						done = 1
					}
					if n := s.count(tt.what, before); n != done {
						t.Fatalf("%d events", n)
					}
					if len(s.payments.returned) != 0 {
						t.Fatalf("the provider gave back %v", s.payments.returned)
					}
					if _, err := tt.run(t.Context(), s, s.Handler); err != nil || s.count(tt.what, before) != 1 {
						t.Errorf("sent again: %v, and %d events", err, s.count(tt.what, before))
					}
				})
			}
		}
	}
}

// A refusal that was decided on what came after the unknown append ends the doubt: the
// append cannot come any more. The deposit was not made, and its payment goes back.
func TestARefusalEndsTheDoubt(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	w.give(ada, domain.MaxBalance-5)
	log := &doubtful{Store: w.store}
	log.unread = func(domain.UserID) error {
		log.unread = nil
		w.give(ada, domain.MaxBalance)
		return nil
	}
	_, err := w.over(log).Deposit(t.Context(), commands.Move{User: ada, Amount: 5})
	refused(t, err, domain.BalanceLimit)
	if w.payments.kept() != 0 || log.appends != 1 {
		t.Errorf("the provider keeps %d after %d appends", w.payments.kept(), log.appends)
	}
}

// An append fails and certainly nothing was done: with a key the payment waits for the
// client to send the deposit again; without one it cannot be, and it goes back.
func TestAPaymentWhoseDepositFails(t *testing.T) {
	for _, key := range []string{"", "k"} {
		w := newFixture(t)
		w.unsettled = key != ""
		ada := w.person("ada")
		failing := w.over(eventstoretest.Failing{Store: w.store, Fails: eventstoretest.NewPattern(1, 1)})
		_, err := failing.Deposit(t.Context(), commands.Move{User: ada, Amount: 5, Key: key})
		if !errors.Is(err, eventstoretest.ErrInjected) || errors.Is(err, eventstore.ErrUnknown) || domain.RefusalIn(err) != nil {
			t.Errorf("key %q: the deposit gave %v", key, err)
		}
		if kept := w.payments.kept() == 5; kept != (key != "") {
			t.Errorf("key %q: the provider keeps %d", key, w.payments.kept())
		}
	}
}

// A provider that fails may have taken the money: the deposit is of unknown outcome.
func TestAChargeOfUnknownOutcome(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	w.payments.before = func(string) error { return errors.New("the line is dead") }
	_, err := w.Deposit(t.Context(), commands.Move{User: ada, Amount: 5})
	if !errors.Is(err, eventstore.ErrUnknown) || domain.RefusalIn(err) != nil || w.payments.asked != 1 || len(w.payments.returned) != 0 {
		t.Errorf("the deposit gave %v; the provider was asked %d times and gave back %v", err, w.payments.asked, w.payments.returned)
	}
}

// What an adjustment rests on cannot be read: that is a fault, and nothing is adjusted.
func TestAnAdminWhoCannotBeRead(t *testing.T) {
	s := newPrepared(t)
	before := s.env.Size()
	_, err := s.over(blind{s.store, s.root}).Adjust(t.Context(), commands.Adjust{Admin: s.root, User: s.ada,
		Correction: domain.Correction{Amount: 5, Reason: "a gift"}})
	if !errors.Is(err, errUnreadable) || domain.RefusalIn(err) != nil || s.env.Size() != before {
		t.Errorf("the adjustment gave %v, the log went from %d to %d", err, before, s.env.Size())
	}
}

// blind cannot read one account.
type blind struct {
	*eventstore.Store
	of domain.UserID
}

func (b blind) Refresh(ctx context.Context, u domain.UserID) (eventstore.Loaded, error) {
	if u == b.of {
		return eventstore.Loaded{}, errUnreadable
	}
	return b.Store.Refresh(ctx, u)
}
