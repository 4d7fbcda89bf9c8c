package commands_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/vault"
)

const week = 7 * 24 * time.Hour

// lived is a person with given and bought credits, an answer, and an open question.
func (w *fixture) lived(name string) (u domain.UserID, open commands.Ending) {
	w.t.Helper()
	up, err := w.SignUp(context.Background(), commands.SignUp{Email: name + "@example.org", Password: password})
	must(w.t, err)
	w.give(up.User, 40) // 10 of them given
	for range 2 {
		asked, err := w.ask(up.User, "")
		must(w.t, err)
		if open.User != "" {
			_, err = w.Complete(context.Background(), open, answer)
			must(w.t, err)
		}
		open = endingOf(up.User, asked)
	}
	return up.User, open
}

// events are the types of what was appended since.
func (w *fixture) events(since eventstore.Position) (list []domain.EventType) {
	for _, rec := range w.env.Log()[since:] {
		list = append(list, rec.Type)
	}
	return list
}

func TestErasure(t *testing.T) {
	for _, tt := range []struct {
		bought domain.ErasureCredits
		events []domain.EventType
	}{
		{domain.WithdrawCredits, []domain.EventType{domain.TypeErasureRequested, domain.TypePredictionFailed, domain.TypePaymentClaimed, domain.TypeWithdrawn,
			domain.TypeCreditsForfeited, domain.TypePersonalDataErased}},
		{domain.ForfeitCredits, []domain.EventType{domain.TypeErasureRequested, domain.TypePredictionFailed, domain.TypeCreditsForfeited, domain.TypePersonalDataErased}},
	} {
		t.Run(string(tt.bought), func(t *testing.T) {
			w := newFixture(t)
			w.ErasureDelay = week
			bob := w.person("bob")
			ada, open := w.lived("ada")
			sealed := w.env.Log()[open.Cause-1].Event.(domain.PredictionRequested).Text
			before := w.env.Size()

			asked, err := w.RequestErasure(t.Context(), commands.Erasure{User: ada, Bought: tt.bought})
			must(t, err)
			if !asked.DueAt.Equal(noon.Add(week)) {
				t.Errorf("it is due at %s", asked.DueAt)
			}
			_, err = w.Deposit(t.Context(), commands.Move{User: ada, Amount: 1})
			refused(t, err, domain.ErasurePending)
			w.now = asked.DueAt.Add(-time.Second)
			w.env.Erase()
			if got := w.events(before); len(got) != 1 {
				t.Fatalf("before it is due, the log has %v", got)
			}
			w.now = asked.DueAt
			w.env.Erase()
			w.env.Erase()
			if got := w.events(before); !slices.Equal(got, tt.events) {
				t.Errorf("the log has %v, want %v", got, tt.events)
			}
			w.wants(ada, 0, 0)
			w.wants(bob, 10, 0)
			if at, err := w.Complete(t.Context(), open, answer); at != 0 || err != nil {
				t.Errorf("a late answer was stored at %d, %v", at, err)
			}
			_, err = w.env.Vault.OpenText(t.Context(), ada, open.Prediction, sealed)
			if !errors.Is(err, vault.ErrErased) {
				t.Errorf("the question opens: %v", err)
			}
			if ok, err := w.env.Vault.Verify(t.Context(), ada, "another "+password); ok || err != nil {
				t.Errorf("a password of nobody: %t, %v", ok, err)
			}
			trial, err := w.env.Views.Trial(t.Context(), w.env.Size())
			must(t, err)
			if want := map[domain.ErasureCredits]domain.Credits{domain.WithdrawCredits: 0, domain.ForfeitCredits: 30}[tt.bought]; trial.Accounts[domain.HouseForfeited] != want || trial.Total() != 0 {
				t.Errorf("the house has %d, and all sums to %d", trial.Accounts[domain.HouseForfeited], trial.Total())
			}
		})
	}
}

func TestErasureIsCancelled(t *testing.T) {
	w := newFixture(t)
	w.ErasureDelay = week
	ada := w.person("ada")
	_, err := w.CancelErasure(t.Context(), ada, "")
	refused(t, err, domain.NoErasure)
	first, err := w.RequestErasure(t.Context(), commands.Erasure{User: ada, Bought: domain.WithdrawCredits, Key: "k"})
	must(t, err)
	again, err := w.RequestErasure(t.Context(), commands.Erasure{User: ada, Bought: domain.WithdrawCredits, Key: "k"})
	must(t, err)
	if again.Position != first.Position || !again.DueAt.Equal(first.DueAt) || !again.Replayed {
		t.Errorf("the same key gave %+v, the first time %+v", again, first)
	}
	_, err = w.RequestErasure(t.Context(), commands.Erasure{User: ada, Bought: domain.ForfeitCredits, Key: "k"})
	refused(t, err, domain.KeyReused)
	_, err = w.RequestErasure(t.Context(), commands.Erasure{User: ada, Bought: domain.ForfeitCredits, Key: "other"})
	refused(t, err, domain.ErasurePending)
	for _, again := range []bool{false, true} {
		if cancelled, err := w.CancelErasure(t.Context(), ada, "c"); err != nil || cancelled.Replayed != again {
			t.Errorf("cancelled: %+v, %v", cancelled, err)
		}
	}
	w.now = first.DueAt.Add(time.Hour)
	before := w.env.Size()
	w.env.Erase()
	if got := w.events(before); len(got) > 0 {
		t.Errorf("what was cancelled is erased: %v", got)
	}
	_, err = w.Deposit(t.Context(), commands.Move{User: ada, Amount: 1})
	must(t, err)
}

// Who asks again for an erasure that was cancelled is erased, although the cancellation is
// sent again, or a reminder of the first request is just being dropped.
func TestErasureAfterACancelledOne(t *testing.T) {
	w := newFixture(t)
	w.ErasureDelay = week
	ada, root := w.person("ada"), w.admin("root")
	ask := func() {
		t.Helper()
		must(t, second(w.RequestErasure(t.Context(), commands.Erasure{User: ada, Bought: domain.ForfeitCredits})))
	}
	ask()
	keep := commands.Keep{User: ada, Admin: root, Reason: "letter 8", Key: "k"}
	must(t, second(w.CancelErasureBy(t.Context(), keep)))
	ask()
	must(t, second(w.CancelErasureBy(t.Context(), keep))) // the answer to the first request was lost
	if due, err := w.env.Vault.ErasuresDue(t.Context(), noon.Add(week), 10); err != nil || len(due) != 1 {
		t.Fatalf("the reminders are %v, %v", due, err)
	}
	must(t, second(w.CancelErasure(t.Context(), ada, "")))

	w.now = noon.Add(week + time.Hour) // the reminder is of no erasure
	expirer := w.with(w.store, beforeDropping{w.env.Vault, ask})
	if erased, err := expirer.FinishErasure(t.Context(), ada); err != nil || erased {
		t.Errorf("what was cancelled is erased: %t, %v", erased, err)
	}
	w.now = w.now.Add(week)
	w.env.Erase()
	if account, err := w.Account(t.Context(), ada); err != nil || !account.Erased {
		t.Errorf("the second request is forgotten: %+v, %v", account.Erasure, err)
	}
}

// beforeDropping is a vault in which something happens before a reminder is dropped.
type beforeDropping struct {
	commands.Vault
	do func()
}

func (v beforeDropping) DropReminder(ctx context.Context, u domain.UserID, dueBy time.Time) error {
	v.do()
	return v.Vault.DropReminder(ctx, u, dueBy)
}

// A person who was erased may come back with the same e-mail, as another.
func TestTheEmailOfAPersonWhoWasErased(t *testing.T) {
	w := newFixture(t)
	const email = "Ada@Example.org"
	var users []domain.UserID
	other := w.env.Process()
	for range 3 {
		up, err := other.SignUp(t.Context(), commands.SignUp{Email: email, Password: password})
		must(t, err)
		if slices.Contains(users, up.User) {
			t.Fatalf("%s came back", up.User)
		}
		users = append(users, up.User)
		_, err = w.SignUp(t.Context(), commands.SignUp{Email: email, Password: password})
		refused(t, err, domain.EmailTaken)
		if got, err := w.FindUser(t.Context(), email); err != nil || got != up.User {
			t.Errorf("the e-mail is that of %q, %v", got, err)
		}
		must(t, second(w.OrderErasure(t.Context(), commands.Erasure{User: up.User, Reason: "letter 7", Bought: domain.ForfeitCredits, Now: true})))
		w.env.Erase()
		// This process and the other learn of it within the time for which they keep it.
		for name, h := range map[string]*commands.Handler{"here": w.Handler, "there": other} {
			eventstoretest.Eventually(t, "the e-mail is free "+name, func() bool {
				_, err := h.FindUser(t.Context(), email)
				return err != nil && code(t, err) == domain.AccountNotFound
			})
		}
	}
}

func second[T any](_ T, err error) error { return err }

// An admin gives a reason, and is one when it is appended.
func TestErasureByAnAdmin(t *testing.T) {
	w := newFixture(t)
	w.ErasureDelay = week
	ada, root := w.person("ada"), w.admin("root")
	e := commands.Erasure{User: ada, Admin: root, Reason: "letter 7", Bought: domain.WithdrawCredits}
	for name, tt := range map[string]struct {
		change func(*commands.Erasure)
		want   domain.Code
	}{
		"by no admin":       {func(e *commands.Erasure) { e.Admin, e.User = ada, root }, domain.NotAdmin},
		"without a reason":  {func(e *commands.Erasure) { e.Reason = " " }, domain.InvalidReason},
		"of themselves":     {func(e *commands.Erasure) { e.User = root }, domain.OwnErasure},
		"of nobody":         {func(e *commands.Erasure) { e.User = "u_nobody" }, domain.AccountNotFound},
		"of what is no id":  {func(e *commands.Erasure) { e.User = "u_\x00" }, domain.AccountNotFound},
		"without a choice":  {func(e *commands.Erasure) { e.Bought = "" }, domain.InvalidCredits},
		"with a wrong word": {func(e *commands.Erasure) { e.Bought = "burn" }, domain.InvalidCredits},
	} {
		wrong := e
		tt.change(&wrong)
		if _, err := w.RequestErasure(t.Context(), wrong); code(t, err) != tt.want {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
	if due, err := w.env.Vault.ErasuresDue(t.Context(), noon.Add(100*week), 10); err != nil || len(due) > 0 {
		t.Errorf("what was refused has left the reminders %v, %v", due, err)
	}
	_, err := w.RequestErasure(t.Context(), e)
	must(t, err)
	must(t, second(w.CancelErasure(t.Context(), ada, ""))) // the person may take it back
}

// An admin cancels an erasure with a reason, once, and is named; the reminder goes after its time.
func TestErasureIsCancelledByAnAdmin(t *testing.T) {
	w := newFixture(t)
	w.ErasureDelay = week
	ada, bob, root := w.person("ada"), w.person("bob"), w.admin("root")
	must(t, second(w.RequestErasure(t.Context(), commands.Erasure{User: ada, Bought: domain.WithdrawCredits})))
	keep := commands.Keep{User: ada, Admin: root, Reason: "letter 8", Key: "k"}
	for name, tt := range map[string]struct {
		change func(*commands.Keep)
		want   domain.Code
	}{
		"by no admin":      {func(k *commands.Keep) { k.Admin = bob }, domain.NotAdmin},
		"without a reason": {func(k *commands.Keep) { k.Reason = " " }, domain.InvalidReason},
		"of themselves":    {func(k *commands.Keep) { k.User = root }, domain.OwnErasure},
		"of another":       {func(k *commands.Keep) { k.User = bob }, domain.NoErasure},
		"of nobody":        {func(k *commands.Keep) { k.User = "u_nobody" }, domain.AccountNotFound},
		"of what is no id": {func(k *commands.Keep) { k.User = "u_\x00" }, domain.AccountNotFound},
	} {
		wrong := keep
		wrong.Key = ""
		tt.change(&wrong)
		if _, err := w.CancelErasureBy(t.Context(), wrong); code(t, err) != tt.want {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
	before := w.env.Size()
	for _, again := range []bool{false, true} {
		if done, err := w.CancelErasureBy(t.Context(), keep); err != nil || done.Replayed != again {
			t.Errorf("cancelled: %+v, %v", done, err)
		}
	}
	rec := w.env.Log()[before]
	if want := (domain.ErasureCancelled{User: ada, Admin: root, Reason: "letter 8"}); w.env.Size() != before+1 || rec.Event != domain.Event(want) || rec.Schema != 2 {
		t.Errorf("written is %+v, of schema %d", rec.Event, rec.Schema)
	}
	w.now = noon.Add(week + 2*time.Minute)
	w.env.Erase()
	if due, err := w.env.Vault.ErasuresDue(t.Context(), noon.Add(100*week), 10); err != nil || len(due) > 0 {
		t.Errorf("the reminders %v are left, %v", due, err)
	}
}

// failing is a vault and a store of which one call fails: it did nothing, or it did what was
// asked and the answer was lost.
type failing struct {
	commands.Store
	commands.Vault
	calls, at int // the call that fails
	after     bool
}

var errCrash = errors.New("crashed here")

// call runs one call, or crashes before or after it.
func (f *failing) call(do func() error) error {
	f.calls++
	switch {
	case f.calls > f.at || f.calls == f.at && !f.after:
		return errCrash
	case f.calls == f.at:
		_ = do() // its answer is lost
		return errCrash
	}
	return do()
}

func (f *failing) Append(ctx context.Context, a eventstore.Append) (r eventstore.Receipt, err error) {
	err = f.call(func() error { r, err = f.Store.Append(ctx, a); return err })
	return r, err
}

func (f *failing) RemindErasure(ctx context.Context, u domain.UserID, due time.Time) error {
	return f.call(func() error { return f.Vault.RemindErasure(ctx, u, due) })
}

func (f *failing) Erase(ctx context.Context, users ...domain.UserID) (some bool, err error) {
	err = f.call(func() error { some, err = f.Vault.Erase(ctx, users...); return err })
	return some, err
}

// A process crashes before or after each write of an erasure. Another one finishes it, and
// nothing is done twice; a request that never came to the log is none.
func TestErasureAfterACrash(t *testing.T) {
	const writes = 6 // reminder, request, question, payout, erasure, keys
	for at := 1; at <= writes; at++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d, after %t", at, after), func(t *testing.T) { crashErasure(t, at, after) })
		}
	}
}

func crashErasure(t *testing.T, at int, after bool) {
	w := newFixture(t)
	w.ErasureDelay = week
	ada, _ := w.lived("ada")
	before := w.env.Size()
	f := &failing{Store: w.store, Vault: w.env.Vault, at: at, after: after}
	crashes := w.with(f, f)
	crashes.ErasureDelay = week
	_, err := crashes.RequestErasure(t.Context(), commands.Erasure{User: ada, Bought: domain.WithdrawCredits})
	if err == nil {
		w.now = noon.Add(week)
		_, err = crashes.FinishErasure(t.Context(), ada)
	}
	if !errors.Is(err, errCrash) {
		t.Fatalf("it did not crash: %v", err)
	}
	requested := at > 2 || at == 2 && after
	w.now = noon.Add(week + 2*time.Minute)
	w.env.Erase()
	w.env.Erase()
	var want []domain.EventType
	if requested {
		want = []domain.EventType{domain.TypeErasureRequested, domain.TypePredictionFailed, domain.TypePaymentClaimed, domain.TypeWithdrawn, domain.TypeCreditsForfeited, domain.TypePersonalDataErased}
	}
	if got := w.events(before); !slices.Equal(got, want) {
		t.Errorf("the log has %v, want %v", got, want)
	}
	if due, err := w.env.Vault.ErasuresDue(t.Context(), noon.Add(100*week), 10); err != nil || len(due) > 0 {
		t.Errorf("there are still the reminders %v, %v", due, err)
	}
	if _, err := w.env.Vault.SealText(t.Context(), ada, "p_1", "x"); errors.Is(err, vault.ErrErased) != requested {
		t.Errorf("the key: %v", err)
	}
}

// Another process keeps a key for a second at most.
func TestOtherProcessesForgetAKey(t *testing.T) {
	w := newFixture(t)
	ada, open := w.lived("ada")
	sealed := w.env.Log()[open.Cause-1].Event.(domain.PredictionRequested).Text
	other := w.env.Open()
	_, err := other.Vault.OpenText(t.Context(), ada, open.Prediction, sealed)
	must(t, err)
	must(t, second(w.OrderErasure(t.Context(), commands.Erasure{User: ada, Reason: "letter 7", Bought: domain.ForfeitCredits, Now: true})))
	w.env.Erase()
	erased := time.Now()
	eventstoretest.Eventually(t, "the other process cannot read", func() bool {
		began := time.Since(erased)
		_, err := other.Vault.OpenText(t.Context(), ada, open.Prediction, sealed)
		if err == nil && began > time.Second {
			t.Errorf("the other process reads %s later", began)
		}
		return errors.Is(err, vault.ErrErased)
	})
}

// The vault comes back from an older backup than the log: keys of people who were erased
// are deleted again when the service starts.
func TestAVaultThatWasRestored(t *testing.T) {
	w := newFixture(t)
	ada, _ := w.lived("ada")
	bob := w.person("bob")
	rows := w.vaultRows(ada)
	must(t, second(w.OrderErasure(t.Context(), commands.Erasure{User: ada, Reason: "letter 7", Bought: domain.ForfeitCredits, Now: true})))
	w.env.Erase()
	w.restoreVault(ada, rows)
	_, err := w.env.Vault.SealText(t.Context(), ada, "p_1", "x")
	must(t, err)
	w.env.Erase()
	if _, err := w.env.Vault.SealText(t.Context(), ada, "p_1", "x"); !errors.Is(err, vault.ErrErased) {
		t.Errorf("the key is back: %v", err)
	}
	must(t, second(w.env.Vault.SealText(t.Context(), bob, "p_1", "x")))
}

// vaultRows are the key and the password hash of a person, as they are stored.
func (w *fixture) vaultRows(u domain.UserID) (rows [2][]byte) {
	w.t.Helper()
	must(w.t, w.env.File.Read.QueryRow(`SELECT wrapped, hash FROM subject_keys JOIN passwords USING (user_id) WHERE user_id = ?`, u).Scan(&rows[0], &rows[1]))
	return rows
}

func (w *fixture) restoreVault(u domain.UserID, rows [2][]byte) {
	w.t.Helper()
	_, err := w.env.File.Write.Exec(`INSERT INTO subject_keys (user_id, wrapped) VALUES (?, ?)`, u, rows[0])
	must(w.t, err)
	_, err = w.env.File.Write.Exec(`INSERT INTO passwords (user_id, hash) VALUES (?, ?)`, u, string(rows[1]))
	must(w.t, err)
}
