package projections

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"kassa/eventstore"
)

// Questions that come while two statements are under way are asked together by the
// next, those of the same name too; a fault is told to those whom it concerns.
func TestGathered(t *testing.T) {
	var g gathered[string, int]
	begun, goOn := make(chan []string), make(chan bool)
	gone := errors.New("the connection is gone")
	ask := func(_ context.Context, names []string) (map[string]int, eventstore.Position, error) {
		begun <- names
		<-goOn
		if names[0] == "bob" {
			return nil, 0, gone
		}
		answers := map[string]int{}
		for _, name := range names {
			if name != "nobody" {
				answers[name] = len(name)
			}
		}
		return answers, 7, nil
	}
	var all sync.WaitGroup
	get := func(name, want string) {
		all.Go(func() {
			read, err := g.get(t.Context(), name, ask)
			if got := fmt.Sprint(read.answer, read.found, read.at, err); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		})
	}
	get("ada", "3 true 7 <nil>")
	first := <-begun
	get("bob", "0 false 0 the connection is gone")
	second := <-begun
	for _, name := range []string{"grace", "grace", "linus"} {
		get(name, "5 true 7 <nil>")
	}
	get("nobody", "0 false 7 <nil>")
	left, leave := context.WithCancel(t.Context())
	leave()
	if _, err := g.get(left, "late", ask); !errors.Is(err, context.Canceled) {
		t.Errorf("who left was told %v", err)
	}
	for waiting := 0; waiting < 5; { // until all of them stand in line
		g.mu.Lock()
		waiting = len(g.waiting)
		g.mu.Unlock()
	}
	goOn <- true // one of the two; the other is still under way
	third := <-begun
	if len(first) != 1 || len(second) != 1 || len(third) != 5 {
		t.Errorf("asked %q, then %q, then %q", first, second, third)
	}
	slices.Sort(third)
	if !slices.Equal(third, []string{"grace", "grace", "late", "linus", "nobody"}) {
		t.Errorf("asked %q together", third)
	}
	goOn <- true
	goOn <- true
	all.Wait()
	// Whoever asked has been answered, and a moment later who asked for them ends.
	for asking, end := 1, time.Now().Add(10*time.Second); asking != 0; runtime.Gosched() {
		g.mu.Lock()
		asking = g.asking
		g.mu.Unlock()
		if time.Now().After(end) {
			t.Fatalf("%d statements are still under way", asking)
		}
	}
	if len(g.waiting) != 0 {
		t.Errorf("%d questions wait", len(g.waiting))
	}
}
