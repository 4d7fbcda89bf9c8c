package eventstoretest_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
)

// A client that sends its command until it hears of its success has done it
// once, whether the failures come before the append or after it.
func TestRetriesThroughFaults(t *testing.T) {
	db, err := schema.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "kassa.db"))
	must(t, err)
	defer db.Close()
	store, err := eventstore.SQLite(t.Context(), db)
	must(t, err)
	defer store.Close()
	lossy := eventstoretest.Lossy{Store: store, Fails: eventstoretest.NewPattern(1, 2)}
	failing := eventstoretest.Failing{Store: store, Fails: eventstoretest.NewPattern(2, 2)}

	const commands = 60
	replayed, failed := 0, map[string]int{}
	for i := range commands {
		name, appendTo := "lossy", lossy.Append
		if i%2 == 1 {
			name, appendTo = "failing", failing.Append
		}
		a := eventstore.Append{Time: eventstore.Earliest, Cause: eventstore.Command{ID: fmt.Sprint("key-", i), Content: "x"}.Cause(),
			Writes: []eventstore.Write{{Stream: "s", Expected: eventstore.Version(i), Events: []domain.Event{domain.AdminGranted{User: "u_1"}}}}}
		for {
			r, err := appendTo(t.Context(), a)
			if err == nil {
				if r.Replayed {
					replayed++
				}
				break
			}
			if !errors.Is(err, eventstoretest.ErrInjected) || errors.Is(err, eventstore.ErrUnknown) != (name == "lossy") {
				t.Fatalf("%s gave %v", name, err)
			}
			failed[name]++
		}
	}
	if log := eventstoretest.CheckLog(t, store); len(log) != commands {
		t.Errorf("%d commands led to %d entries", commands, len(log))
	}
	if failed["lossy"] == 0 || failed["failing"] == 0 || replayed == 0 {
		t.Errorf("nothing was tried: %v failed, %d were replayed", failed, replayed)
	}
}

func TestPatternIsThatOfItsSeed(t *testing.T) {
	draw := func(seed uint64, oneIn int) (s string) {
		p := eventstoretest.NewPattern(seed, oneIn)
		for range 64 {
			s += fmt.Sprint(p.Next())
		}
		return s
	}
	one, again, other := draw(1, 3), draw(1, 3), draw(2, 3)
	if one != again || one == other {
		t.Error("a pattern is not that of its seed")
	}
	if always := draw(5, 1); always != strings.Repeat("true", 64) {
		t.Errorf("one in one does not always fail: %s", always)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
