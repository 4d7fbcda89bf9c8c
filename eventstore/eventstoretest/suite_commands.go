package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"kassa/eventstore"
)

func replays(t *testing.T, open Open) {
	store := open()
	appended(t, store, one("noise", 0, 1))
	for _, n := range []int{1, 2, 8, 9, 30} { // also more than one page of a replay
		stream := eventstore.Stream(fmt.Sprintf("s-%d", n))
		a := by(fmt.Sprint("key-", n), "content", one(stream, 0, n))
		first := appended(t, store, a)
		appended(t, store, by(fmt.Sprint("next-", n), "content", one(stream, eventstore.Version(n), 1)))
		for name, again := range map[string]*eventstore.Store{"the same store": store, "another store": open()} {
			r := appended(t, again, a) // the expected version is that of then; it no longer matters
			if !r.Replayed || first.Replayed {
				t.Errorf("%s: replayed is %t, at first %t", name, r.Replayed, first.Replayed)
			}
			sameEntries(t, r.Events, first.Events)
			done, ok, err := again.Done(t.Context(), eventstore.Command{ID: fmt.Sprint("key-", n), Content: "content"})
			must(t, err)
			if !ok {
				t.Errorf("%s: the command is not found as done", name)
			}
			sameEntries(t, done.Events, first.Events)
		}
	}
	if _, ok, err := store.Done(t.Context(), eventstore.Command{ID: "never", Content: "content"}); ok || err != nil {
		t.Errorf("a command that was never done is found: %t, %v", ok, err)
	}
	CheckLog(t, store)
}

func keysReused(t *testing.T, open Open) {
	store := open()
	first := appended(t, store, by("key", "this", one("s", 0, 2)))
	for _, again := range []*eventstore.Store{store, open()} {
		r, err := again.Append(t.Context(), by("key", "that", one("s", 2, 1)))
		if !errors.Is(err, eventstore.ErrKeyReused) || len(r.Events) > 0 {
			t.Errorf("the key with other content gave %+v, %v", r, err)
		}
		if _, ok, err := again.Done(t.Context(), eventstore.Command{ID: "key", Content: "that"}); ok || !errors.Is(err, eventstore.ErrKeyReused) {
			t.Errorf("the key with other content is found as done: %t, %v", ok, err)
		}
	}
	// A command that conflicted was not done: its key is free for the next try.
	a := by("other key", "this", one("s", 0, 1))
	if _, err := store.Append(t.Context(), a); !errors.Is(err, eventstore.ErrConflict) {
		t.Errorf("got %v", err)
	}
	a.Writes[0].Expected = 2
	if r := appended(t, store, a); r.Replayed {
		t.Error("a command that conflicted at first was taken for done")
	}
	if log := CheckLog(t, store); len(log) != 3 {
		t.Errorf("%d entries, want 3 (%d of the first)", len(log), len(first.Events))
	}
}

// One command, sent by impatient clients over two processes at once; among them
// are some who use its key for something else.
func commandRace(t *testing.T, open Open) {
	stores := []*eventstore.Store{open(), open()}
	var mu sync.Mutex
	var receipts []eventstore.Receipt
	var work sync.WaitGroup
	for w := range 24 {
		work.Go(func() {
			content := "this"
			if w%4 == 3 {
				content = "that"
			}
			r, err := stores[w%2].Append(t.Context(), by("key", content, one(eventstore.Stream("s-"+content), 0, 2)))
			if err != nil && !errors.Is(err, eventstore.ErrKeyReused) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				receipts = append(receipts, r)
			}
		})
	}
	work.Wait()
	fresh := 0
	for _, r := range receipts {
		if !r.Replayed {
			fresh++
		}
		sameEntries(t, r.Events, receipts[0].Events)
	}
	if log := CheckLog(t, stores[0]); fresh != 1 || len(log) != 2 {
		t.Errorf("%d did it first, and the log has %d entries; want 1 and 2", fresh, len(log))
	}
	if n := len(receipts); n != 18 && n != 6 {
		t.Errorf("%d of 24 got the receipt; 18 sent one content and 6 the other", n)
	}
}

// The caller's context ends while the append is on its way. It may be appended
// or not; the same command finds out.
func leaving(t *testing.T, open Open) {
	store := open()
	for i := range 50 {
		a := by(fmt.Sprint("key-", i), "x", one(eventstore.Stream(fmt.Sprint("s-", i)), 0, 1))
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		r, err := store.Append(ctx, a)
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		again := appended(t, store, a)
		if err == nil && (!again.Replayed || again.Position() != r.Position()) {
			t.Fatalf("acknowledged at %d, and then found at %d (%t)", r.Position(), again.Position(), again.Replayed)
		}
	}
	if log := CheckLog(t, store); len(log) != 50 {
		t.Errorf("%d entries for 50 commands", len(log))
	}
}
