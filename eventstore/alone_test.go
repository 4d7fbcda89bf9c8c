package eventstore_test

import (
	"errors"
	"fmt"
	"testing"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
	"kassa/schema/schematest"
)

// onEachEngine opens a store whose batches are counted, and a way to open others
// on the same log.
func onEachEngine(t *testing.T, test func(t *testing.T, store *eventstore.Store, faults *eventstore.Faults, open eventstoretest.Open)) {
	t.Run("SQLite", func(t *testing.T) {
		store, faults, open := withFaults(t)
		test(t, store, faults, open)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		store, faults, open := postgresWithFaults(t)
		test(t, store, faults, open)
	})
}

func postgresWithFaults(t *testing.T) (*eventstore.Store, *eventstore.Faults, eventstoretest.Open) {
	t.Helper()
	url := schematest.Postgres(t)
	pool, err := schema.OpenPostgres(t.Context(), url, 8)
	must(t, err)
	t.Cleanup(pool.Close)
	store, faults, err := eventstore.OpenFaultsPostgres(t.Context(), pool)
	must(t, err)
	t.Cleanup(store.Close)
	return store, faults, inPostgres(t, url)
}

// A process that appends alone does not ask for the lock. Whatever it cannot know by
// itself is decided under the lock, and then it is alone again.
func TestAloneWithoutTheLock(t *testing.T) {
	onEachEngine(t, func(t *testing.T, store *eventstore.Store, faults *eventstore.Faults, open eventstoretest.Open) {
		workload, others := eventstoretest.NewWorkload(1, 5), eventstoretest.NewWorkload(2, 5)
		locks := func(want int, why string) {
			t.Helper()
			if got := faults.Locked(); got != want {
				t.Errorf("%s: %d batches took the lock, want %d", why, got, want)
			}
		}
		append1(t, store, workload)
		locks(1, "the first batch")
		for range 5 {
			append1(t, store, workload)
		}
		locks(0, "nobody else appends")

		append1(t, open(), others)
		append1(t, store, workload)
		locks(1, "somebody else has appended")
		append1(t, store, workload)
		locks(1, "it is not known yet whether they go on")
		append1(t, store, workload)
		locks(0, "they do not")

		a := workload.Append(1)
		_, err := store.Append(t.Context(), a)
		must(t, err)
		if r, err := store.Append(t.Context(), a); err != nil || !r.Replayed {
			t.Errorf("the same command again: replayed %t, %v", r.Replayed, err)
		}
		locks(1, "a command that is used")

		admin := domain.UserID("u_admin")
		rights := eventstore.AccountStream(admin)
		granted := plain(rights, 0, 1)
		granted.Writes[0].Events = []domain.Event{domain.AdminGranted{User: admin}}
		_, err = store.Append(t.Context(), granted)
		must(t, err)
		locks(0, "a new stream")
		insist := plain("s", 0, 1)
		insist.Writes = append(insist.Writes, eventstore.Write{Stream: rights, Expected: 1})
		_, err = store.Append(t.Context(), insist)
		must(t, err)
		locks(0, "a write that only insists on a version")
		for _, version := range []eventstore.Version{0, 2, 7} {
			insist := plain(eventstore.Stream(fmt.Sprint("s-", version)), 0, 1)
			insist.Writes = append(insist.Writes, eventstore.Write{Stream: rights, Expected: version})
			for _, a := range []eventstore.Append{insist, plain(rights, version, 1)} {
				if _, err := store.Append(t.Context(), a); !errors.Is(err, eventstore.ErrConflict) {
					t.Errorf("version %d, where the stream is at 1, gave %v", version, err)
				}
			}
		}
		locks(6, "versions at which the stream is not")
		eventstoretest.CheckLog(t, open())
	})
}

// Neighbours in a batch that raced are decided again, each by itself: what lost the
// race conflicts, and the others are appended.
func TestRacedBatchIsDecidedAgain(t *testing.T) {
	onEachEngine(t, func(t *testing.T, store *eventstore.Store, faults *eventstore.Faults, open eventstoretest.Open) {
		_, err := store.Append(t.Context(), plain("before", 0, 1))
		must(t, err)
		if _, err := open().Append(t.Context(), plain("theirs", 0, 1)); err != nil {
			t.Fatal(err)
		}
		faults.Locked()
		receipts, errs := batched(t, store, faults, []eventstore.Append{
			commanded(plain("a", 0, 2), "1", "x"),
			commanded(plain("theirs", 0, 1), "2", "x"),
			commanded(plain("b", 0, 1), "3", "x"),
			commanded(plain("b", 0, 1), "1", "x"), // the command of the first
			commanded(plain("b", 0, 1), "4", "x"),
		})
		if locks := faults.Locked(); locks != 1 {
			t.Errorf("%d batches took the lock", locks)
		}
		for i, want := range []struct {
			err      error
			position eventstore.Position
			replayed bool
		}{{nil, 4, false}, {eventstore.ErrConflict, 0, false}, {nil, 5, false}, {nil, 4, true}, {eventstore.ErrConflict, 0, false}} {
			if r := receipts[i]; !errors.Is(errs[i], want.err) || r.Position() != want.position || r.Replayed != want.replayed {
				t.Errorf("append %d gave position %d, replayed %t, %v; want %+v", i, r.Position(), r.Replayed, errs[i], want)
			}
		}
		eventstoretest.CheckLog(t, open())
	})
}
