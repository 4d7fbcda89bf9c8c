package eventstore_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"kassa/audit/audittest"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema/schematest"
)

// pay appends to an account as the database has it.
func pay(t *testing.T, store *eventstore.Store, u domain.UserID, id string) error {
	t.Helper()
	return paid(t, store, u, id, 5)
}

func paid(t *testing.T, store *eventstore.Store, u domain.UserID, id string, amount domain.Credits) error {
	t.Helper()
	loaded, err := store.Refresh(t.Context(), u)
	must(t, err)
	events, err := loaded.Account.Deposit(amount, "sandbox", "pay-"+id)
	must(t, err)
	_, err = store.Append(t.Context(), eventstore.Append{Time: eventstore.Earliest, Actor: "user:" + string(u),
		Cause:  eventstore.Command{ID: id, Content: "deposit"}.Cause(),
		Writes: append(eventstoretest.ClaimsOf(events), eventstore.Write{Stream: eventstore.AccountStream(u), Expected: loaded.Version, Events: events})})
	return err
}

// A process that lives through the restore of its database finds out by the next look at
// the head, forgets what it remembered, and says so to those who follow.
func TestPostgresIsRestoredUnderAProcess(t *testing.T) {
	url := schematest.Postgres(t)
	store, follower := inPostgres(t, url)(), inPostgres(t, url)()
	fill(t, store, "u_ada", 3)
	before, err := store.Head(t.Context())
	must(t, err)
	restore := schematest.Backup(t, url)
	for _, id := range []string{"lost-1", "lost-2", "lost-3"} {
		must(t, pay(t, store, "u_ada", id))
	}
	after, err := follower.Head(t.Context())
	must(t, err)
	if lost, err := follower.Refresh(t.Context(), "u_ada"); err != nil || lost.Version != 6 {
		t.Fatalf("the account is %+v, %v", lost, err)
	}
	restore()
	for name, s := range map[string]*eventstore.Store{"who appended": store, "who followed": follower} {
		if err := s.Wait(t.Context(), after.Size); !errors.Is(err, eventstore.ErrAhead) {
			t.Errorf("%s: to follow from position %d of %d gave %v", name, after.Size, before.Size, err)
		}
		if now, err := s.Account(t.Context(), "u_ada"); err != nil || now.Version != 3 {
			t.Errorf("%s has the account at version %d, %v", name, now.Version, err)
		}
	}
	woken := make(chan error, 1)
	go func() { woken <- follower.Wait(t.Context(), before.Size) }()
	must(t, pay(t, store, "u_ada", "kept-1"))
	must(t, <-woken)
	must(t, pay(t, follower, "u_ada", "kept-2"))
	audittest.CheckLedger(t, store)
}

// An account from memory is of the database as it was. After a restore it is compared with the
// stream before anything is decided on it, whether that is shorter now, or another one that is as
// long or longer; and who has appended what was lost appends behind the restored log.
func TestAccountsOfARestoredDatabase(t *testing.T) {
	for kept := range 3 {
		t.Run(fmt.Sprint(kept, " kept"), func(t *testing.T) {
			url := schematest.Postgres(t)
			store, reader := inPostgres(t, url)(), inPostgres(t, url)()
			fill(t, store, "u_ada", 3)
			restore := schematest.Backup(t, url)
			must(t, paid(t, store, "u_ada", "lost", 7))
			_, err := reader.Refresh(t.Context(), "u_ada")
			must(t, err)
			restore()
			again := inPostgres(t, url)()
			for n := range kept {
				must(t, pay(t, again, "u_ada", fmt.Sprint("kept-", n)))
			}
			fresh, err := again.Refresh(t.Context(), "u_ada")
			must(t, err)
			for name, s := range map[string]*eventstore.Store{"who appended": store, "who read": reader} {
				now, err := s.Refresh(t.Context(), "u_ada")
				must(t, err)
				if !reflect.DeepEqual(now.Account, fresh.Account) || now.Version != fresh.Version {
					t.Errorf("%s has %+v at version %d, and stored is %+v at %d", name, now.Account, now.Version, fresh.Account, fresh.Version)
				}
			}
			for name, s := range map[string]*eventstore.Store{"who appended": store, "who read": reader} {
				paidAtLast(t, s, name)
			}
			audittest.CheckLedger(t, store)
		})
	}
}

// paidAtLast deposits for a store whose sequencer may not have found the restore yet: then the
// first append conflicts.
func paidAtLast(t *testing.T, s *eventstore.Store, name string) {
	t.Helper()
	err := paid(t, s, "u_ada", name, 9)
	if errors.Is(err, eventstore.ErrConflict) {
		err = paid(t, s, "u_ada", name, 9)
	}
	must(t, err)
}

// What was decided on an account of before the restore is not appended, though the account has as
// many entries again: it conflicts, and is decided on what is stored.
func TestNothingIsAppendedByALostAccount(t *testing.T) {
	for _, noticed := range []bool{false, true} { // between the decision and the append, by another request
		t.Run(fmt.Sprintf("noticed %t", noticed), func(t *testing.T) { appendByALostAccount(t, noticed) })
	}
}

func appendByALostAccount(t *testing.T, noticed bool) {
	url := schematest.Postgres(t)
	store, reader := inPostgres(t, url)(), inPostgres(t, url)()
	fill(t, store, "u_ada", 3)
	restore := schematest.Backup(t, url)
	must(t, paid(t, store, "u_ada", "lost", 7))
	_, err := reader.Refresh(t.Context(), "u_ada")
	must(t, err)
	restore()
	must(t, pay(t, inPostgres(t, url)(), "u_ada", "kept"))
	for name, s := range map[string]*eventstore.Store{"who appended": store, "who read": reader} {
		was, err := s.Account(t.Context(), "u_ada")
		must(t, err)
		events, err := was.Account.Deposit(9, "sandbox", "pay-"+name)
		must(t, err)
		if noticed {
			_, err := s.Refresh(t.Context(), "u_ada")
			must(t, err)
		}
		_, err = s.Append(t.Context(), eventstore.Append{Time: eventstore.Earliest, Actor: "user:u_ada", Cause: eventstore.Command{ID: name, Content: "deposit"}.Cause(),
			Writes: append(eventstoretest.ClaimsOf(events), was.Write("u_ada", events...))})
		if !errors.Is(err, eventstore.ErrConflict) || was.Version != 4 {
			t.Errorf("%s: on version %d it gave %v", name, was.Version, err)
		}
		paidAtLast(t, s, "again-"+name)
	}
	audittest.CheckLedger(t, store)
}

// A checkpoint that was ahead of the log is found also when the log has grown past it: in
// PostgreSQL, where several processes may have appended before anybody looks.
func TestPostgresCheckpointOfAnotherLog(t *testing.T) {
	url := schematest.Postgres(t)
	store, workload := inPostgres(t, url)(), eventstoretest.NewWorkload(1, 5)
	append1(t, store, workload)
	head, err := store.Head(t.Context())
	must(t, err)
	must(t, store.SetCheckpoint(t.Context(), "relay", head.Size+1))
	append1(t, store, workload)
	append1(t, store, workload)
	if at, err := store.Checkpoint(t.Context(), "relay"); !errors.Is(err, eventstore.ErrAhead) {
		t.Errorf("the checkpoint is %d, %v", at, err)
	}
	must(t, store.SetCheckpoint(t.Context(), "relay", head.Size+1))
	if at, err := store.Checkpoint(t.Context(), "relay"); at != head.Size+1 || err != nil {
		t.Errorf("the checkpoint is %d, %v", at, err)
	}
	audittest.CheckLedger(t, store)
}

// Hints come from anybody. Wrong ones wake nobody and cost one look in an interval of
// polling, however many come; a right one is found behind any number of wrong ones.
func TestHints(t *testing.T) {
	store, faults, open := withFaults(t)
	other, workload := open(), eventstoretest.NewWorkload(1, 5)
	append1(t, store, workload)
	head, err := store.Head(t.Context())
	must(t, err)
	faults.HeadsRead()
	const intervals = 5
	for flood := time.Now(); time.Since(flood) < intervals*eventstore.PollInterval; {
		for _, wrong := range []eventstore.Position{1 << 62, -1, 0, head.Size, head.Size + 1} {
			store.Hint(wrong)
		}
	}
	if looks := faults.HeadsRead(); looks < 1 || looks > intervals+1 {
		t.Errorf("the head was read %d times in %d intervals", looks, intervals)
	}
	if known := eventstore.Known(store); known != head.Size {
		t.Errorf("the log is taken to be at position %d, and is at %d", known, head.Size)
	}
	append1(t, other, workload)
	next, err := other.Head(t.Context())
	must(t, err)
	store.Hint(next.Size)
	eventstoretest.Eventually(t, "what the hint spoke of", func() bool { return eventstore.Known(store) == next.Size })
	audittest.CheckLedger(t, store)
}
