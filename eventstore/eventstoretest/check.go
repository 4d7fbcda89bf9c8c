package eventstoretest

import (
	"bytes"
	"context"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/eventstore"
)

// TB is the little that checks need of a test: testing.TB has it, and so has
// *rapid.T.
type TB interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// CheckLog reads the whole log and proves the promises of package eventstore:
// dense positions, dense streams, entries of one spelling, the tree recomputed
// from nothing. It knows no rule of accounts, so it may be used on any facts;
// audittest.CheckLedger proves those too. It gives the log.
func CheckLog(t TB, store *eventstore.Store) []eventstore.Recorded {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	head, err := store.Head(ctx)
	must(t, err)
	log := everything(t, ctx, store)
	if len(log) < int(head.Size) {
		t.Fatalf("the head counts %d entries, the log has %d", head.Size, len(log))
	}
	log = log[:head.Size]
	versions := map[eventstore.Stream]eventstore.Version{}
	var tree []tlog.Hash // by tlog's stored index
	read := tlog.HashReaderFunc(func(indexes []int64) (list []tlog.Hash, _ error) {
		for _, i := range indexes {
			list = append(list, tree[i])
		}
		return list, nil
	})
	for i, rec := range log {
		if rec.Position != eventstore.Position(i+1) {
			t.Fatalf("position %d stands at place %d", rec.Position, i+1)
		}
		if versions[rec.Stream]++; rec.Version != versions[rec.Stream] {
			t.Fatalf("position %d is version %d of %s, expected %d", rec.Position, rec.Version, rec.Stream, versions[rec.Stream])
		}
		env, payload, err := eventstore.DecodeEntry(rec.Entry)
		must(t, err)
		if env != rec.Envelope || !bytes.Equal(eventstore.EncodeEntry(env, payload), rec.Entry) {
			t.Fatalf("position %d: the entry does not say what was read from it", rec.Position)
		}
		nodes, err := tlog.StoredHashes(int64(i), rec.Entry, read)
		must(t, err)
		tree = append(tree, nodes...)
	}
	root, err := tlog.TreeHash(int64(len(log)), read)
	must(t, err)
	if eventstore.Hash(root) != head.Root {
		t.Fatalf("the root over the %d entries is %s, the head says %s", len(log), eventstore.Hash(root), head.Root)
	}
	return log
}

func everything(t TB, ctx context.Context, store *eventstore.Store) (log []eventstore.Recorded) {
	t.Helper()
	must(t, store.Scan(ctx, 0, func(page []eventstore.Recorded) error {
		log = append(log, page...)
		return nil
	}))
	return log
}

func must(t TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually waits until something has come about, and fails the test where it
// does not in a minute: a machine may be busy.
func Eventually(t TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come about in a minute", what)
		}
	}
}
