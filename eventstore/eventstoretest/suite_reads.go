package eventstoretest

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/eventstore"
)

const minute = time.Minute

func reads(t *testing.T, open Open) {
	store := open()
	ctx := t.Context()
	if list, err := store.After(ctx, 0, 10); len(list) > 0 || err != nil {
		t.Errorf("an empty log gave %v, %v", list, err)
	}
	if log := everything(t, ctx, store); len(log) > 0 {
		t.Errorf("an empty log gave %v", log)
	}
	for i := range eventstore.Version(120) { // more than one page of a scan
		appended(t, store, one("a", 10*i, 10))
		appended(t, store, one("b", i, 1))
	}
	log := CheckLog(t, open())
	var a []eventstore.Recorded
	for _, rec := range log {
		if rec.Stream == "a" {
			a = append(a, rec)
		}
	}
	size := len(log)
	for _, tt := range []struct{ after, limit, from, to int }{
		{0, 1, 0, 1}, {0, 7, 0, 7}, {5, 3, 5, 8}, {size - 1, 5, size - 1, size}, {size, 5, size, size}, {size + 9, 5, size, size},
	} {
		page, err := store.After(ctx, eventstore.Position(tt.after), tt.limit)
		must(t, err)
		sameEntries(t, page, log[tt.from:tt.to])
		end := min(tt.to, len(a))
		page, err = store.Stream(ctx, "a", eventstore.Version(tt.after), tt.limit)
		must(t, err)
		sameEntries(t, page, a[min(tt.from, end):end])
	}
	var behind []eventstore.Recorded
	must(t, store.Scan(ctx, 500, func(page []eventstore.Recorded) error { behind = append(behind, page...); return nil }))
	sameEntries(t, behind, log[500:])

	stop := errors.New("enough")
	if err := store.Scan(ctx, 0, func([]eventstore.Recorded) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a scan that its reader stopped gave %v", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := store.Scan(gone, 0, func([]eventstore.Recorded) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a scan whose context had ended gave %v", err)
	}
	if list, err := store.Stream(ctx, "nobody's", 0, 10); len(list) > 0 || err != nil {
		t.Errorf("a stream that does not exist gave %v, %v", list, err)
	}
}

func waits(t *testing.T, open Open) {
	here, there := open(), open()
	for at := range eventstore.Version(3) {
		for _, appender := range []*eventstore.Store{here, there} { // in process, and by polling
			head, err := here.Head(t.Context())
			must(t, err)
			woken := make(chan error, 1)
			go func() { woken <- here.Wait(within(t, minute), head.Size) }()
			select {
			case err := <-woken:
				t.Fatalf("woken before anything was appended: %v", err)
			default:
			}
			appended(t, appender, one(eventstore.Stream(map[bool]string{true: "here", false: "there"}[appender == here]), at, 1))
			must(t, <-woken)
			list, err := here.After(t.Context(), head.Size, 10)
			must(t, err)
			if len(list) != 1 {
				t.Fatalf("woken, and %d entries are there", len(list))
			}
		}
	}
	must(t, here.Wait(t.Context(), 2)) // long there
	head, err := here.Head(t.Context())
	must(t, err)
	if err := here.Wait(t.Context(), head.Size+1); !errors.Is(err, eventstore.ErrAhead) {
		t.Errorf("a wait behind a position that the log does not have gave %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := here.Wait(ctx, head.Size); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait whose context had ended gave %v", err)
	}
	left := make(chan error, 1)
	go func() { left <- here.Wait(context.Background(), head.Size) }()
	here.Close()
	if err := <-left; !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("a wait on a store that closes gave %v", err)
	}
}

// Every entry is proved in the tree, and every size is proved to be continued by
// the last one, from the stored nodes and with the library's own checks.
func proofs(t *testing.T, open Open) {
	store := open()
	heads := []eventstore.Head{}
	for i := range eventstore.Version(21) {
		appended(t, store, one("s", 2*i, 2))
		head, err := store.Head(t.Context())
		must(t, err)
		heads = append(heads, head)
	}
	log := CheckLog(t, store)
	nodes, last := open().Nodes(t.Context()), heads[len(heads)-1]
	size := int64(last.Size)
	for i, rec := range log {
		proof, err := tlog.ProveRecord(size, int64(i), nodes)
		must(t, err)
		must(t, tlog.CheckRecord(proof, size, tlog.Hash(last.Root), int64(i), tlog.Hash(eventstore.LeafHash(rec.Entry))))
	}
	for _, head := range heads {
		proof, err := tlog.ProveTree(size, int64(head.Size), nodes)
		must(t, err)
		must(t, tlog.CheckTree(proof, size, tlog.Hash(last.Root), int64(head.Size), tlog.Hash(head.Root)))
	}
	if _, err := tlog.ProveTree(size+2, size+1, nodes); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("nodes that are not there gave %v", err)
	}
}

func checkpoints(t *testing.T, open Open) {
	store := open()
	appended(t, store, one("s", 0, 9))
	for _, step := range []struct {
		name string
		at   eventstore.Position
	}{{"relay", 5}, {"views", 7}, {"relay", 9}, {"views", 0}} {
		must(t, store.SetCheckpoint(t.Context(), step.name, step.at))
		if at, err := open().Checkpoint(t.Context(), step.name); err != nil || at != step.at {
			t.Errorf("checkpoint %s is %d (%v), want %d", step.name, at, err, step.at)
		}
	}
	must(t, store.SetCheckpoint(t.Context(), "relay", 10))
	if at, err := store.Checkpoint(t.Context(), "relay"); !errors.Is(err, eventstore.ErrAhead) {
		t.Errorf("a checkpoint ahead of the log is %d (%v)", at, err)
	}
	appended(t, store, one("s", 9, 2))
	if at, err := store.Checkpoint(t.Context(), "views"); at != 0 || err != nil {
		t.Errorf("checkpoint views is %d (%v)", at, err)
	}
	if at, err := store.Checkpoint(t.Context(), "nobody's"); at != 0 || err != nil {
		t.Errorf("a checkpoint that was never moved is %d (%v)", at, err)
	}
}

func reopening(t *testing.T, open Open) {
	store := open()
	first := appended(t, store, by("key", "x", one("s", 0, 3)))
	store.Close()
	store.Close() // twice is once
	if _, err := store.Append(t.Context(), one("s", 3, 1)); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("a closed store gave %v", err)
	}
	again := open()
	sameEntries(t, CheckLog(t, again), first.Events)
	if r := appended(t, again, one("s", 3, 1)); r.Position() != 4 || r.Events[0].Version != 4 {
		t.Errorf("after the reopening came position %d", r.Position())
	}
	CheckLog(t, again)
}
