package commands_test

import (
	"context"
	"errors"
	"testing"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/vault"
)

func TestRoles(t *testing.T) {
	w := newFixture(t)
	ada, root := w.person("ada"), w.admin("root")
	for i, tt := range []struct {
		role        domain.Role
		by          domain.UserID // "": the operator
		grant, does bool
	}{
		{domain.AuditorRole, root, false, false}, {domain.AuditorRole, root, true, true}, {domain.AuditorRole, "", true, false},
		{domain.AdminRole, "", true, true}, {domain.AuditorRole, "", false, true}, {domain.AdminRole, root, false, true}, {domain.AdminRole, root, false, false},
	} {
		change := w.RevokeRole
		if tt.grant {
			change = w.GrantRole
		}
		order := commands.Order{User: ada, Admin: tt.by, By: "olga", Reason: "the audit of March"}
		at, err := change(t.Context(), tt.role, order)
		must(t, err)
		a, err := w.Account(t.Context(), ada)
		must(t, err)
		if a.Has(tt.role) != tt.grant || (at > 0) != tt.does {
			t.Errorf("step %d: %s is %t, position %d", i, tt.role, a.Has(tt.role), at)
		}
		if !tt.does {
			continue
		}
		rec := w.env.Log()[at-1]
		want, named := "operator", domain.Order{By: "olga", Reason: order.Reason}
		if tt.by != "" {
			want, named = "user:"+string(root), domain.Order{Admin: root, Reason: order.Reason}
		}
		if e, ok := rec.Event.(domain.RoleGranted); ok && e.Order != named || rec.Actor != want || rec.Stream != eventstore.AccountStream(ada) {
			t.Errorf("step %d: appended %+v", i, rec)
		}
	}
	for code, order := range map[domain.Code]commands.Order{
		domain.AccountNotFound: {User: "u_nobody", By: "olga"},
		domain.NotAdmin:        {User: root, Admin: ada, Reason: "r"},
		domain.OwnRole:         {User: root, Admin: root, Reason: "r"},
		domain.InvalidReason:   {User: ada, Admin: root},
		domain.LastAdmin:       {User: root, By: "olga", Stays: ada},
	} {
		_, err := w.RevokeRole(t.Context(), domain.AdminRole, order)
		refused(t, err, code)
	}
	_, err := w.GrantRole(t.Context(), domain.AdminRole, commands.Order{User: "no id", By: "olga"})
	refused(t, err, domain.AccountNotFound)
}

// A request that is sent again gives the first answer, also to an admin who is none any more.
func TestRoleIsGrantedOnce(t *testing.T) {
	w := newFixture(t)
	ada, root := w.person("ada"), w.admin("root")
	order := commands.Order{User: ada, Admin: root, Reason: "r", Key: "k"}
	at, err := w.GrantRole(t.Context(), domain.AuditorRole, order)
	must(t, err)
	_, err = w.RevokeRole(t.Context(), domain.AdminRole, commands.Order{User: root, By: "olga"})
	must(t, err)
	again, err := w.GrantRole(t.Context(), domain.AuditorRole, order)
	if err != nil || again != at {
		t.Errorf("the same request gave position %d, %v, the first %d", again, err, at)
	}
	order.Reason = "another"
	_, err = w.GrantRole(t.Context(), domain.AuditorRole, order)
	refused(t, err, domain.KeyReused)
}

// Two admins who revoke each other's role in the same moment leave one.
func TestOneAdminStays(t *testing.T) {
	w := newFixture(t)
	a, b := w.admin("root"), w.admin("eve")
	done := make(chan error, 2)
	for _, pair := range [][2]domain.UserID{{a, b}, {b, a}} {
		go func() {
			_, err := w.RevokeRole(t.Context(), domain.AdminRole, commands.Order{User: pair[0], Admin: pair[1], Reason: "a dispute"})
			done <- err
		}()
	}
	first, second := <-done, <-done
	refused(t, errors.Join(first, second), domain.NotAdmin)
	admins := 0
	for _, u := range []domain.UserID{a, b} {
		account, err := w.Account(t.Context(), u)
		must(t, err)
		if account.Admin {
			admins++
		}
	}
	if admins != 1 || first != nil && second != nil {
		t.Errorf("%d admins are left; %v, %v", admins, first, second)
	}
}

// The lock of an account ends what its person does, and nothing else.
func TestLock(t *testing.T) {
	w := newFixture(t)
	ada, root := w.person("ada"), w.admin("root")
	w.give(ada, 100)
	asked, err := w.Predict(t.Context(), commands.Predict{User: ada, Text: "a film with a whale"})
	must(t, err)
	order := commands.Order{User: ada, Admin: root, Reason: "a stolen phone"}
	at, err := w.Lock(t.Context(), order)
	must(t, err)
	if again, err := w.Lock(t.Context(), order); err != nil || again != 0 || at == 0 {
		t.Errorf("a lock at position %d, again at %d, %v", at, again, err)
	}
	for name, try := range map[string]func() error{
		"a deposit":    func() error { return second(w.Deposit(t.Context(), commands.Move{User: ada, Amount: 5})) },
		"a withdrawal": func() error { return second(w.Withdraw(t.Context(), commands.Move{User: ada, Amount: 5})) },
		"a question": func() error {
			return second(w.Predict(t.Context(), commands.Predict{User: ada, Text: "a film with a ship"}))
		},
		"an erasure": func() error {
			return second(w.RequestErasure(t.Context(), commands.Erasure{User: ada, Bought: domain.ForfeitCredits}))
		},
	} {
		t.Log(name)
		refused(t, try(), domain.Locked)
	}
	must(t, second(w.Complete(t.Context(), endingOf(ada, asked), answer)))
	must(t, second(w.AdjustAlone(t.Context(), commands.Adjust{Admin: root, User: ada, Correction: domain.Correction{Amount: -3, Reason: "r"}})))
	_, err = w.Unlock(t.Context(), order)
	must(t, err)
	must(t, second(w.Deposit(t.Context(), commands.Move{User: ada, Amount: 5})))
}

// A payment that was taken is booked for a person who was locked meanwhile.
func TestPaymentOfALockedPerson(t *testing.T) {
	w := newFixture(t)
	ada, other := w.person("ada"), w.env.Process()
	w.payments.before = func(string) error {
		return second(other.Lock(t.Context(), commands.Order{User: ada, By: "olga"}))
	}
	must(t, second(w.Deposit(t.Context(), commands.Move{User: ada, Amount: 5})))
	w.wants(ada, 15, 0)
	if w.payments.asked != 1 {
		t.Errorf("the provider was asked %d times", w.payments.asked)
	}
	_, err := w.Deposit(t.Context(), commands.Move{User: ada, Amount: 6})
	refused(t, err, domain.Locked)
	if w.payments.asked != 1 {
		t.Error("the provider was asked for a person who is locked")
	}
}

// An admin who is locked decides nothing, and the decision of the same moment fails.
func TestLockedAdmin(t *testing.T) {
	w := newFixture(t)
	ada, root, eve := w.person("ada"), w.admin("root"), w.admin("eve")
	_, err := w.Lock(t.Context(), commands.Order{User: root, Admin: eve, Reason: "left"})
	must(t, err)
	_, err = w.GrantRole(t.Context(), domain.AuditorRole, commands.Order{User: ada, Admin: root, Reason: "r"})
	refused(t, err, domain.NotAdmin)
	_, err = w.AdjustAlone(t.Context(), commands.Adjust{Admin: root, User: ada, Correction: domain.Correction{Amount: 3, Reason: "r"}})
	refused(t, err, domain.NotAdmin)
	_, err = w.Lock(t.Context(), commands.Order{User: eve, Admin: eve, Reason: "r"})
	refused(t, err, domain.OwnLock)
	_, err = w.Lock(t.Context(), commands.Order{User: eve, By: "olga", Stays: root})
	refused(t, err, domain.LastAdmin)
}

// Sessions that the end of access has missed do not come back with the unlocking, and the outcome
// of such a lock is not that nothing was done.
func TestLockThatLeavesSessions(t *testing.T) {
	w := newFixture(t)
	ada, root := w.person("ada"), w.admin("root")
	token := w.signIn(ada)
	order := commands.Order{User: ada, Admin: root, Reason: "a stolen phone", Key: "k"}
	stored := w.Handler.Vault
	w.Handler.Vault = stuckAccess{stored}
	at, err := w.Lock(t.Context(), order)
	if !errors.Is(err, eventstore.ErrUnknown) || at != w.env.Size() {
		t.Errorf("locked, with sessions there: position %d, %v", at, err)
	}
	order.Key = "u"
	if _, err := w.Unlock(t.Context(), order); err == nil {
		t.Error("unlocked, with sessions there")
	}
	w.Handler.Vault = stored
	late := w.signIn(ada) // had read that the account is not locked
	must(t, second(w.Unlock(t.Context(), order)))
	for _, token := range []string{token, late} {
		if w.isSignedIn(token) {
			t.Error("a session came back with the unlocking")
		}
	}
}

// An order that is sent again, after it was taken back, changes nothing and does not say it did.
func TestOrdersThatWereTakenBack(t *testing.T) {
	w := newFixture(t)
	ada, root := w.person("ada"), w.admin("root")
	order := func(key string) commands.Order {
		return commands.Order{User: ada, Admin: root, Reason: "a stolen phone", Key: key}
	}
	locked, err := w.Lock(t.Context(), order("k"))
	must(t, err)
	if again, err := w.Lock(t.Context(), order("k")); err != nil || again != locked {
		t.Errorf("the same request gave position %d, %v, the first %d", again, err, locked)
	}
	must(t, second(w.Unlock(t.Context(), order("u"))))
	must(t, second(w.GrantRole(t.Context(), domain.AuditorRole, order("g"))))
	must(t, second(w.RevokeRole(t.Context(), domain.AuditorRole, order("r"))))
	token, size := w.signIn(ada), w.env.Size()
	for name, again := range map[string]func() (eventstore.Position, error){
		"a lock": func() (eventstore.Position, error) { return w.Lock(t.Context(), order("k")) },
		"a role": func() (eventstore.Position, error) {
			return w.GrantRole(t.Context(), domain.AuditorRole, order("g"))
		},
	} {
		if at, err := again(); err != nil || at != 0 || w.env.Size() != size {
			t.Errorf("%s, again: position %d, %v", name, at, err)
		}
	}
	if !w.isSignedIn(token) {
		t.Error("a lock that was ended ends sessions")
	}
}

func (w *fixture) signIn(u domain.UserID) (token string) {
	w.t.Helper()
	token, _, err := w.env.Vault.NewSession(context.Background(), u, password, vault.Origin{}, w.now)
	must(w.t, err)
	return token
}

func (w *fixture) isSignedIn(token string) bool {
	w.t.Helper()
	_, ok, err := w.env.Vault.Session(context.Background(), token, "", w.now)
	must(w.t, err)
	return ok
}

// stuckAccess cannot be ended.
type stuckAccess struct{ commands.Vault }

func (stuckAccess) EndAccess(context.Context, domain.UserID) error {
	return errors.New("the database is away")
}
