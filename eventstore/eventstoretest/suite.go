package eventstoretest

import (
	"context"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Open gives another store on one database, as another process would open it.
// The test closes the store, or leaves that to a clean-up of Open.
type Open func() *eventstore.Store

// Suite proves that an engine keeps the promises of package eventstore. Fresh
// gives an empty database for every test.
func Suite(t *testing.T, fresh func(t *testing.T) Open) {
	for _, tt := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"positions are dense and in commit order under many writers", manyWriters},
		{"a stream takes its versions one after the other", racingForVersions},
		{"an append over several streams is atomic", atomicAppends},
		{"a conflict fails its own append only", conflicts},
		{"a write without events insists on a version", assertions},
		{"the same command gets the first receipt", replays},
		{"a command id has one content", keysReused},
		{"one command sent many times at once is done once", commandRace},
		{"entries have a limit", limits},
		{"what could not be read back is refused", refusals},
		{"streams and the log are read in pages", reads},
		{"appends wake who waits", waits},
		{"the tree proves every entry and every growth", proofs},
		{"accounts are folded", accounts},
		{"another process's facts are seen by Refresh", refreshes},
		{"long wallets have snapshots", snapshots},
		{"a closed store takes nothing, and opens again", reopening},
		{"who leaves in the middle finds out by the command", leaving},
		{"checkpoints", checkpoints},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, fresh(t)) })
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

// facts gives n events that belong to no account; streams of other names than
// accounts take any.
func facts(n int) []domain.Event {
	list := make([]domain.Event, n)
	for i := range list {
		list[i] = domain.AdminGranted{User: domain.UserID("u_" + string(rune('a'+i%26)))}
	}
	return list
}

// one is an append of n events to one stream.
func one(stream eventstore.Stream, expected eventstore.Version, n int) eventstore.Append {
	return eventstore.Append{Time: noon, Actor: "system:suite",
		Writes: []eventstore.Write{{Stream: stream, Expected: expected, Events: facts(n)}}}
}

func by(id, content string, a eventstore.Append) eventstore.Append {
	a.Cause = eventstore.Command{ID: id, Content: content}.Cause()
	return a
}

func appended(t testing.TB, store *eventstore.Store, a eventstore.Append) eventstore.Receipt {
	t.Helper()
	r, err := store.Append(t.Context(), a)
	must(t, err)
	return r
}

func live(t testing.TB, store *eventstore.Store, workload *Workload, facts int) {
	t.Helper()
	_, err := workload.Step(t.Context(), store, facts)
	must(t, err)
}

func sameEntries(t testing.TB, got, want []eventstore.Recorded) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d entries, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i].Envelope != want[i].Envelope || string(got[i].Entry) != string(want[i].Entry) || got[i].Event == nil {
			t.Fatalf("entry %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
