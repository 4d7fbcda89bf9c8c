package eventstore_test

import (
	"errors"
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
	loaded, err := store.Refresh(t.Context(), u)
	must(t, err)
	events, err := loaded.Account.Deposit(5, "sandbox", "pay-"+id)
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

// A checkpoint that was ahead of the log is found also when the log has grown past it: in
// PostgreSQL, where several processes may have appended before anybody looks.
func TestPostgresCheckpointOfAnotherLog(t *testing.T) {
	url := schematest.Postgres(t)
	store, town := inPostgres(t, url)(), eventstoretest.NewTown(1, 5)
	append1(t, store, town)
	head, err := store.Head(t.Context())
	must(t, err)
	must(t, store.SetCheckpoint(t.Context(), "relay", head.Size+1))
	append1(t, store, town)
	append1(t, store, town)
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
	other, town := open(), eventstoretest.NewTown(1, 5)
	append1(t, store, town)
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
	append1(t, other, town)
	next, err := other.Head(t.Context())
	must(t, err)
	store.Hint(next.Size)
	eventstoretest.Eventually(t, "what the hint spoke of", func() bool { return eventstore.Known(store) == next.Size })
	audittest.CheckLedger(t, store)
}
