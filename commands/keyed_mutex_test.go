package commands

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

// A key has one holder at a time, keys do not wait for each other, and nothing is
// kept of keys that are not in use.
func TestKeyedMutex(t *testing.T) {
	var mutex keyedMutex[int]
	var work sync.WaitGroup
	var holders [3]atomic.Int32
	for i := range 300 {
		work.Go(func() {
			key := i % len(holders)
			if err := mutex.Lock(context.Background(), key); err != nil {
				t.Error(err)
				return
			}
			if n := holders[key].Add(1); n != 1 {
				t.Errorf("%d hold the key at once", n)
			}
			holders[key].Add(-1)
			mutex.Unlock(key)
		})
	}
	work.Wait()
	if len(mutex.locks) != 0 {
		t.Errorf("%d keys are kept", len(mutex.locks))
	}
}

// A caller whose context ends while it waits gets its error and holds nothing; other
// keys can be locked meanwhile.
func TestKeyedMutexContext(t *testing.T) {
	var mutex keyedMutex[string]
	lock := func(key string) {
		t.Helper()
		if err := mutex.Lock(context.Background(), key); err != nil {
			t.Fatal(err)
		}
	}
	lock("a")
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := mutex.Lock(gone, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("a lock under an ended context gives %v", err)
	}
	lock("b")
	mutex.Unlock("b")
	mutex.Unlock("a")
	lock("a")
	mutex.Unlock("a")
	if len(mutex.locks) != 0 {
		t.Errorf("%d keys are kept", len(mutex.locks))
	}
}
