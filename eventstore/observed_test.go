package eventstore_test

import (
	"errors"
	"testing"

	"kassa/audit/audittest"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
)

// Each batch is reported once, before its callers have their answers, with what became of
// its appends. A command that was done before appends nothing again.
func TestObservedBatches(t *testing.T) {
	store, faults, _ := withFaults(t)
	var seen []eventstore.Batch
	store.Observe(func(b eventstore.Batch) { seen = append(seen, b) }) // read after the append has returned
	expect := func(what string, appends, entries, conflicts, unknown, failed int) {
		t.Helper()
		if len(seen) != 1 {
			t.Fatalf("%s: %d batches were reported", what, len(seen))
		}
		if b := seen[0]; b.Appends != appends || len(b.Entries) != entries || b.Conflicts != conflicts || b.Unknown != unknown || b.Failed != failed || b.Took <= 0 {
			t.Errorf("%s: reported as %+v", what, b)
		}
		seen = nil
	}
	workload := eventstoretest.NewWorkload(1, 5)
	first := workload.Append(2)
	r, err := store.Append(t.Context(), first)
	must(t, err)
	expect("an append", 1, len(r.Events), 0, 0, 0)

	_, err = store.Append(t.Context(), first)
	must(t, err)
	expect("the same command", 1, 0, 0, 0, 0)

	late := first
	late.Cause = ""
	if _, err := store.Append(t.Context(), late); !errors.Is(err, eventstore.ErrConflict) {
		t.Fatal(err)
	}
	expect("an append to a version that is past", 1, 0, 1, 0, 0)

	unknown := eventstoretest.NewWorkload(3, 5).Append(1)
	faults.Once(eventstore.AfterCommit, fails)
	if _, err := store.Append(t.Context(), unknown); !errors.Is(err, eventstore.ErrUnknown) {
		t.Fatal(err)
	}
	expect("a commit of unknown outcome", 1, 0, 0, 1, 0)

	faults.Once(eventstore.AtBegin, fails)
	if _, err := store.Append(t.Context(), eventstoretest.NewWorkload(4, 5).Append(1)); !errors.Is(err, errFault) {
		t.Fatal(err)
	}
	expect("a database that is away", 1, 0, 0, 0, 1)
	if n := store.Waiting(); n != 0 {
		t.Errorf("%d appends wait", n)
	}
	audittest.CheckLedger(t, store)
}
