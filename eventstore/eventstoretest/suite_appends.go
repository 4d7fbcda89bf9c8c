package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"kassa/domain"
	"kassa/eventstore"
)

// Two stores, many writers in each, and a reader that follows all the time.
func manyWriters(t *testing.T, open Open) {
	const writers, each = 8, 12
	stores := []*eventstore.Store{open(), open()}
	var mu sync.Mutex
	var receipts []eventstore.Recorded
	var work sync.WaitGroup
	for s, store := range stores {
		for w := range writers {
			work.Go(func() {
				stream := eventstore.Stream(fmt.Sprintf("writer-%d-%d", s, w))
				for i := range each {
					r, err := store.Append(t.Context(), one(stream, eventstore.Version(2*i), 2))
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					receipts = append(receipts, r.Events...)
					mu.Unlock()
				}
			})
		}
	}
	const total = 2 * writers * each * 2
	var seen eventstore.Position
	for ctx := within(t, minute); seen < total; {
		must(t, stores[0].Wait(ctx, seen))
		page, err := stores[1].After(ctx, seen, 50)
		must(t, err) // After insists that what follows is dense
		seen += eventstore.Position(len(page))
	}
	work.Wait()
	log := CheckLog(t, stores[0])
	if len(log) != total || len(receipts) != total {
		t.Fatalf("%d entries and %d in receipts, want %d", len(log), len(receipts), total)
	}
	for _, rec := range receipts {
		sameEntries(t, log[rec.Position-1:rec.Position], []eventstore.Recorded{rec})
	}
}

// Each of many writers insists on its own version of one stream, and tries until
// the others before it are done. In one batch or in several, the order is that
// of the versions.
func racingForVersions(t *testing.T, open Open) {
	const writers = 24
	stores := []*eventstore.Store{open(), open()}
	var work sync.WaitGroup
	for w := range writers {
		work.Go(func() {
			for {
				r, err := stores[w%2].Append(t.Context(), one("race", eventstore.Version(w), 1))
				if errors.Is(err, eventstore.ErrConflict) {
					continue
				}
				if err != nil || r.Events[0].Version != eventstore.Version(w+1) {
					t.Errorf("writer %d got %+v, %v", w, r.Events, err)
				}
				return
			}
		})
	}
	work.Wait()
	if log := CheckLog(t, stores[0]); len(log) != writers {
		t.Fatalf("%d entries, want %d", len(log), writers)
	}
}

func atomicAppends(t *testing.T, open Open) {
	store := open()
	both := one("left", 0, 2)
	both.Writes = append(both.Writes, one("right", 0, 3).Writes...)
	r := appended(t, store, both)
	for i, want := range []struct {
		stream  eventstore.Stream
		version eventstore.Version
	}{{"left", 1}, {"left", 2}, {"right", 1}, {"right", 2}, {"right", 3}} {
		rec := r.Events[i]
		if rec.Stream != want.stream || rec.Version != want.version || rec.Position != eventstore.Position(i+1) {
			t.Errorf("event %d is version %d of %s at position %d, want %+v", i, rec.Version, rec.Stream, rec.Position, want)
		}
		if !rec.Time.Equal(noon) || rec.Actor != both.Actor || rec.Cause != both.Cause {
			t.Errorf("event %d says %+v", i, rec.Envelope)
		}
	}
	if r.Position() != 5 || r.Leaf() != eventstore.LeafHash(r.Events[4].Entry) || r.Replayed {
		t.Errorf("the receipt is %+v", r)
	}
	// One stream has moved on: nothing of the append is there, in either.
	for _, a := range []eventstore.Append{
		{Time: noon, Writes: []eventstore.Write{one("left", 2, 1).Writes[0], one("right", 2, 1).Writes[0]}},
		{Time: noon, Writes: []eventstore.Write{one("left", 1, 1).Writes[0], one("right", 3, 1).Writes[0]}},
		{Time: noon, Writes: []eventstore.Write{one("new", 0, 1).Writes[0], one("right", 4, 1).Writes[0]}},
	} {
		r, err := store.Append(t.Context(), a)
		if !errors.Is(err, eventstore.ErrConflict) || len(r.Events) > 0 {
			t.Errorf("an append half of which conflicts gave %+v, %v", r, err)
		}
	}
	sameEntries(t, CheckLog(t, store), r.Events)
}

// Appends of which every other one conflicts, at once.
func conflicts(t *testing.T, open Open) {
	store := open()
	const writers = 40
	var work sync.WaitGroup
	for w := range writers {
		work.Go(func() {
			stream := eventstore.Stream(fmt.Sprintf("s-%d", w))
			r, err := store.Append(t.Context(), one(stream, eventstore.Version(w%2), 1))
			if w%2 == 0 && (err != nil || len(r.Events) != 1) {
				t.Errorf("writer %d: its neighbours' conflicts cost it its append: %v", w, err)
			}
			if w%2 == 1 && (!errors.Is(err, eventstore.ErrConflict) || errors.Is(err, eventstore.ErrUnknown)) {
				t.Errorf("writer %d expected version 1 of an empty stream, and got %v", w, err)
			}
		})
	}
	work.Wait()
	if log := CheckLog(t, store); len(log) != writers/2 {
		t.Fatalf("%d entries, want %d", len(log), writers/2)
	}
}

func assertions(t *testing.T, open Open) {
	store := open()
	appended(t, store, one("watched", 0, 2))
	guarded := func(expected eventstore.Version) eventstore.Append {
		a := one("guarded", 0, 1)
		a.Writes = append(a.Writes, eventstore.Write{Stream: "watched", Expected: expected})
		return a
	}
	for _, wrong := range []eventstore.Version{0, 1, 3} {
		if _, err := store.Append(t.Context(), guarded(wrong)); !errors.Is(err, eventstore.ErrConflict) {
			t.Errorf("insisting on version %d of 2 gave %v", wrong, err)
		}
	}
	if r := appended(t, store, guarded(2)); len(r.Events) != 1 || r.Events[0].Stream != "guarded" {
		t.Errorf("the receipt has %+v", r.Events)
	}
	only := eventstore.Append{Time: noon, Writes: []eventstore.Write{{Stream: "watched", Expected: 2}}}
	if _, err := store.Append(t.Context(), only); err == nil || errors.Is(err, eventstore.ErrUnknown) {
		t.Errorf("an append without any event gave %v", err)
	}
	if log := CheckLog(t, store); len(log) != 3 {
		t.Errorf("%d entries, want 3", len(log))
	}
}

// The limit is of the stored entry, whatever its position and version will be:
// so a few bytes are reserved for them, and the same event is never too large
// only because it comes late.
func limits(t *testing.T, open Open) {
	store := open()
	event := func(size int) domain.Event {
		return domain.AdminGranted{User: domain.UserID(strings.Repeat("x", size))}
	}
	try := func(size int) (eventstore.Receipt, error) {
		head, err := store.Head(t.Context())
		must(t, err)
		return store.Append(t.Context(), eventstore.Append{Time: noon,
			Writes: []eventstore.Write{{Stream: "big", Expected: eventstore.Version(head.Size), Events: []domain.Event{event(size)}}}})
	}
	fits, over := 1, eventstore.MaxEntry
	for fits+1 < over { // the largest that fits
		middle := (fits + over) / 2
		if _, err := try(middle); errors.Is(err, eventstore.ErrTooLarge) {
			over = middle
		} else {
			must(t, err)
			fits = middle
		}
	}
	r, err := try(fits)
	must(t, err)
	if n := len(r.Events[0].Entry); n > eventstore.MaxEntry || n < eventstore.MaxEntry-32 {
		t.Errorf("the largest entry has %d bytes of %d", n, eventstore.MaxEntry)
	}
	before, err := store.Head(t.Context())
	must(t, err)
	if _, err := try(over); !errors.Is(err, eventstore.ErrTooLarge) || errors.Is(err, eventstore.ErrUnknown) {
		t.Errorf("one byte more gave %v", err)
	}
	if after, err := store.Head(t.Context()); err != nil || after != before {
		t.Errorf("the head moved from %+v to %+v (%v)", before, after, err)
	}
	CheckLog(t, store)
}

// What a database or a codec would not give back as it got it, and nothing of it
// may hurt the neighbours in a batch.
func refusals(t *testing.T, open Open) {
	store := open()
	early := one("s", 0, 1)
	early.Time = eventstore.Earliest.Add(-1)
	timeless := one("s", 0, 1)
	timeless.Time = timeless.Time.AddDate(-3000, 0, 0)
	for name, a := range map[string]eventstore.Append{
		"no time": timeless, "an early time": early,
		"no stream": one("", 0, 1), "no text": one("s-\xff", 0, 1), "a zero byte": one("s-\x00", 0, 1),
		"a command of no text": by("c-\xff", "x", one("s", 0, 1)),
		"nothing":              {Time: noon},
	} {
		r, err := store.Append(context.Background(), a)
		if err == nil || errors.Is(err, eventstore.ErrUnknown) || len(r.Events) > 0 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	// And what looks dangerous, and is not.
	for i, stream := range []eventstore.Stream{`a"b\`, "12", "null", "поток-1", "<&>", " ", "\n"} {
		appended(t, store, by(fmt.Sprintf("%s %d", stream, i), "x", one(stream, 0, 1)))
		appended(t, store, by(fmt.Sprintf("%s %d again", stream, i), "x", one(stream, 1, 1)))
	}
	CheckLog(t, store)
}
