package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"kassa/audit/audittest"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
)

var errFault = errors.New("the disk is gone")

func fails() error { return errFault }

// withFaults opens a store whose engine can fail, and a way to open others on
// the same file.
func withFaults(t testing.TB) (*eventstore.Store, *eventstore.Faults, eventstoretest.Open) {
	t.Helper()
	file := newFile(t)
	store, faults, err := eventstore.OpenFaults(t.Context(), openFile(t, file))
	must(t, err)
	t.Cleanup(store.Close)
	return store, faults, inFile(t, file)
}

// Each step of sequence.go fails: it did not happen and said so, or it happened
// and said that it did not. After each the whole ledger is proved, the same
// command is sent again, and the ledger is proved again; so it is by a process
// that starts afterwards.
func TestSequenceErrors(t *testing.T) {
	for _, tt := range []struct {
		step    eventstore.Step
		unknown bool // the caller cannot know what came of it
		done    bool // it was appended all the same
	}{
		{step: eventstore.AtBegin},
		{step: eventstore.AtEdge},
		{step: eventstore.BeforeCommit, unknown: true},
		{step: eventstore.AfterCommit, unknown: true, done: true},
	} {
		for _, other := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, another process appends %t", tt.step, other), func(t *testing.T) {
				store, faults, open := withFaults(t)
				workload, others := eventstoretest.NewWorkload(1, 5), eventstoretest.NewWorkload(2, 5)
				append1(t, store, workload)
				if tt.step == eventstore.AtEdge { // the edge is read where another process appended
					append1(t, open(), others)
				}
				before := audittest.CheckLedger(t, store).Head.Size

				a := workload.Append(2)
				faults.Once(tt.step, fails)
				r, err := store.Append(t.Context(), a)
				if !errors.Is(err, errFault) || errors.Is(err, eventstore.ErrUnknown) != tt.unknown || len(r.Events) > 0 {
					t.Fatalf("the append gave %+v, %v", r, err)
				}
				if !faults.Fired(tt.step) {
					t.Fatalf("nothing came to the step %q", tt.step)
				}
				after := audittest.CheckLedger(t, store).Head.Size
				if grew := after > before; grew != tt.done {
					t.Fatalf("the log went from %d to %d entries", before, after)
				}
				if other {
					append1(t, open(), others)
				}
				r, err = store.Append(t.Context(), a)
				must(t, err)
				if r.Replayed != tt.done {
					t.Errorf("the same command again says replayed %t", r.Replayed)
				}
				append1(t, store, workload)
				append1(t, open(), others)
				append1(t, store, workload)
				audittest.CheckLedger(t, store)
				audittest.CheckLedger(t, open())
			})
		}
	}
}

func append1(t testing.TB, store *eventstore.Store, workload *eventstoretest.Workload) eventstore.Receipt {
	t.Helper()
	r, err := workload.Step(t.Context(), store, 2)
	must(t, err)
	return r
}

// Another process is faster between the caller's decision and this process's lock.
func TestAnotherProcessAppendedInBetween(t *testing.T) {
	store, faults, open := withFaults(t)
	workload, others := eventstoretest.NewWorkload(1, 5), eventstoretest.NewWorkload(2, 5)
	first := append1(t, store, workload)

	var theirs eventstore.Receipt
	faults.Once(eventstore.AtBegin, func() error { theirs = append1(t, open(), others); return nil })
	r := append1(t, store, workload)
	if theirs.Events[0].Position != first.Position()+1 || r.Events[0].Position != theirs.Position()+1 {
		t.Errorf("positions end at %d, then theirs at %d, then ours begin at %d", first.Position(), theirs.Position(), r.Events[0].Position)
	}

	a := workload.Append(2) // now on the very streams of the append
	faults.Once(eventstore.AtBegin, func() error {
		same := a
		same.Cause = eventstore.Command{ID: "theirs", Content: "living"}.Cause()
		_, err := open().Append(t.Context(), same)
		return err
	})
	if _, err := store.Append(t.Context(), a); !errors.Is(err, eventstore.ErrConflict) {
		t.Errorf("a stream that moved on in between gave %v", err)
	}

	a = workload.Append(2) // and the very command
	faults.Once(eventstore.AtBegin, func() error { _, err := open().Append(t.Context(), a); return err })
	r, err := store.Append(t.Context(), a)
	must(t, err)
	if !r.Replayed {
		t.Error("the command that another process did was done again")
	}
	append1(t, store, workload)
	audittest.CheckLedger(t, store)
}

// batched sends all appends so that they share one batch: the sequencer is held
// in the begin of a first one until the others wait. It gives what became of each.
func batched(t testing.TB, store *eventstore.Store, faults *eventstore.Faults, list []eventstore.Append) ([]eventstore.Receipt, []error) {
	t.Helper()
	held, release := make(chan struct{}), make(chan struct{})
	faults.Once(eventstore.AtBegin, func() error { close(held); <-release; return errFault })
	go store.Append(context.Background(), plain("first", 0, 1))
	<-held
	receipts, errs := make([]eventstore.Receipt, len(list)), make([]error, len(list))
	answered := make(chan struct{})
	for i, a := range list {
		go func() {
			receipts[i], errs[i] = store.Append(context.Background(), a)
			answered <- struct{}{}
		}()
		eventstoretest.Eventually(t, "the append in the queue", func() bool { return eventstore.Queued(store) == i+1 })
	}
	close(release)
	for range list {
		<-answered
	}
	return receipts, errs
}

// plain is an append to a stream that is no account's.
func plain(stream eventstore.Stream, expected eventstore.Version, n int) eventstore.Append {
	w := eventstore.Write{Stream: stream, Expected: expected}
	for range n {
		w.Events = append(w.Events, domain.AdminGranted{User: "u_any"})
	}
	return eventstore.Append{Time: eventstore.Earliest, Actor: "system:test", Writes: []eventstore.Write{w}}
}

func commanded(a eventstore.Append, id, content string) eventstore.Append {
	a.Cause = eventstore.Command{ID: id, Content: content}.Cause()
	return a
}

// What stands in one batch is decided in its order, as if each were alone.
func TestOneBatch(t *testing.T) {
	store, faults, open := withFaults(t)
	receipts, errs := batched(t, store, faults, []eventstore.Append{
		0: plain("s", 0, 2),
		1: plain("s", 0, 1), // conflicts with its neighbour
		2: plain("s", 2, 1), // builds upon it
		3: commanded(plain("c", 0, 2), "key", "this"),
		4: commanded(plain("c", 0, 2), "key", "this"), // the same command
		5: commanded(plain("c", 2, 1), "key", "that"), // its key, for something else
		6: commanded(plain("s", 0, 1), "late", "x"),   // conflicts, so it is not done
		7: commanded(plain("s", 3, 1), "late", "x"),   // and its key is free
		8: {Time: eventstore.Earliest, Writes: []eventstore.Write{{Stream: "s", Expected: 4}, plain("d", 0, 1).Writes[0]}},
		9: {Time: eventstore.Earliest, Writes: []eventstore.Write{{Stream: "s", Expected: 3}, plain("e", 0, 1).Writes[0]}},
	})
	for i, want := range []struct {
		err      error
		position eventstore.Position
		replayed bool
	}{
		{nil, 2, false}, {eventstore.ErrConflict, 0, false}, {nil, 3, false},
		{nil, 5, false}, {nil, 5, true}, {eventstore.ErrKeyReused, 0, false},
		{eventstore.ErrConflict, 0, false}, {nil, 6, false},
		{nil, 7, false}, {eventstore.ErrConflict, 0, false},
	} {
		if !errors.Is(errs[i], want.err) || receipts[i].Position() != want.position || receipts[i].Replayed != want.replayed {
			t.Errorf("append %d gave position %d, replayed %t, %v; want %+v", i, receipts[i].Position(), receipts[i].Replayed, errs[i], want)
		}
	}
	eventstoretest.CheckLog(t, store)
	eventstoretest.CheckLog(t, open())
}

// A batch whose commit fails: all who were in it learn that it is unknown, but
// those who conflicted know it. Their commands, sent again, find out.
func TestOneBatchFails(t *testing.T) {
	for _, step := range []eventstore.Step{eventstore.BeforeCommit, eventstore.AfterCommit} {
		t.Run(string(step), func(t *testing.T) {
			store, faults, open := withFaults(t)
			list := []eventstore.Append{
				commanded(plain("a", 0, 2), "1", "x"),
				commanded(plain("b", 0, 1), "2", "x"),
				commanded(plain("b", 0, 1), "2", "x"),
				commanded(plain("b", 7, 1), "3", "x"),
			}
			faults.Once(step, fails)
			receipts, errs := batched(t, store, faults, list)
			for i, err := range errs {
				want := eventstore.ErrUnknown
				if i == 3 {
					want = eventstore.ErrConflict
				}
				if !errors.Is(err, want) || len(receipts[i].Events) > 0 {
					t.Errorf("append %d gave %+v, %v", i, receipts[i], err)
				}
			}
			done := step == eventstore.AfterCommit
			for _, a := range list[:2] {
				r, err := store.Append(t.Context(), a)
				must(t, err)
				if r.Replayed != done {
					t.Errorf("%s again says replayed %t", a.Cause, r.Replayed)
				}
			}
			if log := eventstoretest.CheckLog(t, open()); len(log) != 3 {
				t.Errorf("%d entries, want 3", len(log))
			}
		})
	}
}

// SQLite itself refuses the COMMIT, and the connection stays fit for the next.
func TestSQLiteRefusesTheCommit(t *testing.T) {
	file := newFile(t)
	db := openFile(t, file)
	store := inFile(t, file)()
	workload := eventstoretest.NewWorkload(1, 5)
	append1(t, store, workload)
	for _, change := range []string{
		`CREATE TABLE parents (id INTEGER PRIMARY KEY)`,
		`CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)`,
		`CREATE TRIGGER orphan AFTER UPDATE ON head BEGIN INSERT INTO children VALUES (1); END`,
	} {
		_, err := db.Write.ExecContext(t.Context(), change)
		must(t, err)
	}
	a := workload.Append(2)
	for range 3 {
		if _, err := store.Append(t.Context(), a); !schema.IsSQLiteConstraint(err) || errors.Is(err, eventstore.ErrUnknown) {
			t.Fatalf("an append whose COMMIT was refused, so that nothing was done, gave %v", err)
		}
	}
	_, err := db.Write.ExecContext(t.Context(), `DROP TRIGGER orphan`)
	must(t, err)
	r, err := store.Append(t.Context(), a)
	must(t, err)
	if r.Replayed {
		t.Error("what was never committed is replayed")
	}
	append1(t, store, workload)
	audittest.CheckLedger(t, store)
}

// The head cannot be read: a start fails, and a wait says so.
func TestHeadCannotBeRead(t *testing.T) {
	store, faults, open := withFaults(t)
	faults.Once(eventstore.AtHead, fails)
	if _, err := store.Head(t.Context()); !errors.Is(err, errFault) {
		t.Errorf("the head gave %v", err)
	}
	faults.Once(eventstore.AtHead, fails)
	if err := store.Wait(t.Context(), 10); !errors.Is(err, errFault) {
		t.Errorf("a wait gave %v", err)
	}
	append1(t, open(), eventstoretest.NewWorkload(1, 5))
	must(t, store.Wait(t.Context(), 0))
	audittest.CheckLedger(t, store)
}

// Leaving while the sequencer is at work leaves the append in its hands.
func TestLeavingDoesNotStopTheAppend(t *testing.T) {
	store, faults, _ := withFaults(t)
	held, release := make(chan struct{}), make(chan struct{})
	faults.Once(eventstore.BeforeCommit, func() error { close(held); <-release; return nil })
	ctx, cancel := context.WithCancel(t.Context())
	a := eventstoretest.NewWorkload(1, 5).Append(2)
	left := make(chan error, 1)
	go func() { _, err := store.Append(ctx, a); left <- err }()
	<-held
	cancel()
	if err := <-left; !errors.Is(err, eventstore.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	close(release)
	r, err := store.Append(t.Context(), a)
	must(t, err)
	if !r.Replayed {
		t.Error("the append of one who left was dropped")
	}
	audittest.CheckLedger(t, store)
}

// Close waits for what was accepted.
func TestCloseFinishesWhatWasAccepted(t *testing.T) {
	store, faults, open := withFaults(t)
	held, release := make(chan struct{}), make(chan struct{})
	let := sync.OnceFunc(func() { close(release) })
	defer let() // also where the test fails: Close waits for what is held
	faults.Once(eventstore.AtBegin, func() error { close(held); <-release; return nil })
	const n = 20
	errs := make(chan error, n)
	one := func(i int) {
		_, err := store.Append(context.Background(), plain(eventstore.Stream(fmt.Sprint("s-", i)), 0, 1))
		errs <- err
	}
	go one(0) // alone, so that the others are not of its batch
	<-held
	for i := 1; i < n; i++ {
		go one(i)
	}
	eventstoretest.Eventually(t, "all appends in the queue", func() bool { return eventstore.Queued(store) == n-1 })
	closed := make(chan struct{})
	go func() { store.Close(); close(closed) }()
	let()
	<-closed
	for range n {
		must(t, <-errs)
	}
	if log := eventstoretest.CheckLog(t, open()); len(log) != n {
		t.Errorf("%d entries of %d that were accepted", len(log), n)
	}
}
