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

// Requests that come while two statements are under way are loaded together by the next,
// those of the same key too; an error goes to the requests of its statement.
func TestBatcher(t *testing.T) {
	var b batcher[string, int]
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
			read, err := b.Load(t.Context(), name, ask)
			if got := fmt.Sprint(read.value, read.found, read.at, err); got != want {
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
	if _, err := b.Load(left, "late", ask); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that left got %v", err)
	}
	for waiting := 0; waiting < 5; { // until all of them wait
		b.mu.Lock()
		waiting = len(b.waiting)
		b.mu.Unlock()
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
	// All requests are answered, and a moment later the loading goroutines end.
	for loads, end := 1, time.Now().Add(time.Minute); loads != 0; runtime.Gosched() {
		b.mu.Lock()
		loads = b.loads
		b.mu.Unlock()
		if time.Now().After(end) {
			t.Fatalf("%d statements are still under way", loads)
		}
	}
	if len(b.waiting) != 0 {
		t.Errorf("%d requests wait", len(b.waiting))
	}
}
