package eventstore_test

import (
	"bytes"
	"reflect"
	"strconv"
	"testing"

	"kassa/audit/audittest"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema/schematest"
)

// follow reads the log to its end as one who follows it, and gives what came.
func follow(t *testing.T, store *eventstore.Store, at eventstore.Position) []eventstore.Recorded {
	t.Helper()
	head, err := store.Head(t.Context())
	must(t, err)
	var all []eventstore.Recorded
	for at < head.Size {
		must(t, store.Wait(t.Context(), at))
		list, err := store.Recent(t.Context(), at, 7)
		must(t, err)
		for _, rec := range list {
			if at++; rec.Position != at {
				t.Fatalf("position %d came for %d", rec.Position, at)
			}
		}
		all = append(all, list...)
	}
	if more, err := store.Recent(t.Context(), at, 7); err != nil || len(more) > 0 {
		t.Fatalf("behind the end there are %d entries, %v", len(more), err)
	}
	return all
}

// same compares entries with those that are stored: their bytes, and what they mean.
func same(t *testing.T, what string, got, stored []eventstore.Recorded) {
	t.Helper()
	if len(got) != len(stored) {
		t.Fatalf("%s: %d entries, and %d are stored", what, len(got), len(stored))
	}
	for i, rec := range got {
		if want := stored[i]; !bytes.Equal(rec.Entry, want.Entry) || !reflect.DeepEqual(rec.Envelope, want.Envelope) || !reflect.DeepEqual(rec.Event, want.Event) {
			t.Fatalf("%s: position %d is\n%+v, and is stored as\n%+v", what, want.Position, rec, want)
		}
	}
}

// Those who follow get what is stored, whoever appended it: two processes that append in turn
// and at once, each of which follows all the time, or only now and then.
func TestRecentIsWhatIsStored(t *testing.T) {
	onEachEngine(t, func(t *testing.T, store *eventstore.Store, _ *eventstore.Faults, open eventstoretest.Open) {
		other := open()
		stores := []*eventstore.Store{store, other}
		workloads := []*eventstoretest.Workload{eventstoretest.NewWorkload(1, 5), eventstoretest.NewWorkload(2, 5)}
		var followed [2][]eventstore.Recorded
		for round := range 60 {
			for i := range stores {
				for range (round + i) % 4 {
					append1(t, stores[i], workloads[i])
				}
				if i == 0 || round%9 == 8 {
					followed[i] = append(followed[i], follow(t, stores[i], eventstore.Position(len(followed[i])))...)
				}
			}
		}
		for i, s := range stores {
			followed[i] = append(followed[i], follow(t, s, eventstore.Position(len(followed[i])))...)
			stored, err := open().After(t.Context(), 0, 100_000)
			must(t, err)
			same(t, []string{"one", "the other"}[i], followed[i], stored)
		}
		audittest.CheckLedger(t, store)
	})
}

// Entries at positions are read where they are not remembered, and are the same then.
func TestRecentAtPositions(t *testing.T) {
	onEachEngine(t, func(t *testing.T, store *eventstore.Store, faults *eventstore.Faults, open eventstoretest.Open) {
		fill(t, store, "u_ada", 5)
		stored, err := open().After(t.Context(), 0, 100)
		must(t, err)
		end := eventstore.Position(len(stored))
		at := []eventstore.Position{end, 1, end + 1}
		reads := func(what string, of *eventstore.Store) {
			t.Helper()
			found, err := of.RecentAt(t.Context(), at)
			must(t, err)
			if len(found) != 2 {
				t.Errorf("%s: %d entries", what, len(found))
			}
			same(t, what, []eventstore.Recorded{found[1], found[end]}, []eventstore.Recorded{stored[0], stored[end-1]})
		}
		faults.RowsRead()
		reads("by who appended them", store)
		if n := faults.RowsRead(); n != 0 {
			t.Errorf("%d rows were read by who appended them", n)
		}
		reads("by another", open())
	})
}

// What a follower has read is folded into the accounts in memory, and lets it append without
// the lock: the database compares the head that it came to.
func TestFollowersAppendWithoutTheLock(t *testing.T) {
	store, faults, open := postgresWithFaults(t)
	other := open()
	fill(t, store, "u_ada", 1)
	faults.Locked()
	ctx := t.Context()
	for i, s := range []*eventstore.Store{other, store, other, other, store, store} {
		for _, f := range []*eventstore.Store{store, other} {
			follow(t, f, 0)
		}
		fresh, err := open().Refresh(ctx, "u_ada")
		must(t, err)
		if known, err := s.Account(ctx, "u_ada"); err != nil || known.Version != fresh.Version {
			t.Errorf("the follower has the account at version %d of %d, %v", known.Version, fresh.Version, err)
		}
		must(t, pay(t, s, "u_ada", strconv.Itoa(i)))
	}
	if locks := faults.Locked(); locks != 0 {
		t.Errorf("%d batches took the lock", locks)
	}
	audittest.CheckLedger(t, store)
}

// A follower that lived through a restore forgets what it remembered, also where others have
// appended as many entries since, so that the log looks only longer. What was read, or
// committed, before that does not come back.
func TestRecentIsForgottenWithTheLog(t *testing.T) {
	url := schematest.Postgres(t)
	store, follower := inPostgres(t, url)(), inPostgres(t, url)()
	fill(t, store, "u_ada", 3)
	before, err := store.Head(t.Context())
	must(t, err)
	restore := schematest.Backup(t, url)
	must(t, pay(t, store, "u_ada", "lost"))
	lost := follow(t, follower, before.Size)
	restore()

	again := inPostgres(t, url)()
	for _, id := range []string{"kept-1", "kept-2"} {
		must(t, pay(t, again, "u_ada", id))
	}
	must(t, eventstore.Fetch(t.Context(), follower))
	stored, err := again.After(t.Context(), before.Size, 100)
	must(t, err)
	now, err := follower.Recent(t.Context(), before.Size, 100)
	must(t, err)
	same(t, "behind the restored log", now, stored)

	eventstore.AppendedBefore(follower, before.Size+1, lost[0])
	now, err = follower.Recent(t.Context(), before.Size, 100)
	must(t, err)
	same(t, "after the commit of an era that is over", now, stored)
	audittest.CheckLedger(t, again)
}

// A follower that lived through a restore joins nothing to what it remembered: not by the next
// read behind its last entry, and not by one that comes to it, though the log looks only longer.
func TestRecentJoinsNothingToAnotherLog(t *testing.T) {
	for name, from := range map[string]eventstore.Position{"behind the last entry": 1, "from before it": -1} {
		t.Run(name, func(t *testing.T) {
			url := schematest.Postgres(t)
			store, follower := inPostgres(t, url)(), inPostgres(t, url)()
			fill(t, store, "u_ada", 3)
			before, err := store.Head(t.Context())
			must(t, err)
			restore := schematest.Backup(t, url)
			must(t, paid(t, store, "u_ada", "lost", 7))
			lost := follow(t, follower, before.Size) // two entries, the claim of the payment first
			last := lost[len(lost)-1].Position
			restore()

			again := inPostgres(t, url)()
			for _, id := range []string{"kept-1", "kept-2"} {
				must(t, pay(t, again, "u_ada", id))
			}
			_, err = follower.Head(t.Context()) // looks only longer
			must(t, err)
			at := last
			if from < 0 {
				at = before.Size - 1
			}
			stored, err := again.After(t.Context(), at, 100)
			must(t, err)
			now, err := follower.Recent(t.Context(), at, 100)
			must(t, err)
			same(t, "what was read", now, stored)
			stored, err = again.After(t.Context(), before.Size, 100)
			must(t, err)
			now, err = follower.Recent(t.Context(), before.Size, 100)
			must(t, err)
			same(t, "what is remembered", now, stored)
			account, err := follower.Account(t.Context(), "u_ada")
			must(t, err)
			fresh, err := again.Refresh(t.Context(), "u_ada")
			must(t, err)
			if !reflect.DeepEqual(account.Account, fresh.Account) || account.Version != fresh.Version {
				t.Errorf("the account is remembered as %+v, and is %+v", account, fresh)
			}
			audittest.CheckLedger(t, again)
		})
	}
}
