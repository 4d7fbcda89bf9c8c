package commands

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"kassa/domain"
)

// One at a time has an account's turn, accounts do not wait for each other, and
// nothing is kept of those who are through.
func TestTurns(t *testing.T) {
	var all turns
	var work sync.WaitGroup
	var inside [3]atomic.Int32
	for i := range 300 {
		work.Go(func() {
			u := i % len(inside)
			leave, err := all.take(context.Background(), domain.UserID(rune('a'+u)))
			if err != nil {
				t.Error(err)
				return
			}
			if n := inside[u].Add(1); n != 1 {
				t.Errorf("%d at once have the turn", n)
			}
			inside[u].Add(-1)
			leave()
		})
	}
	work.Wait()
	if len(all.list) != 0 {
		t.Errorf("%d accounts are kept", len(all.list))
	}
}

// Who leaves while waiting takes nothing along; others have their turns meanwhile.
func TestTurnsLeft(t *testing.T) {
	var all turns
	leave, err := all.take(context.Background(), "a")
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := all.take(gone, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	other, err := all.take(context.Background(), "b")
	if err != nil {
		t.Fatal(err)
	}
	other()
	leave()
	next, err := all.take(context.Background(), "a")
	if err != nil {
		t.Fatal(err)
	}
	next()
	if len(all.list) != 0 {
		t.Errorf("%d accounts are kept", len(all.list))
	}
}
