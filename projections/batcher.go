package projections

import (
	"context"
	"sync"
	"time"

	"kassa/eventstore"
)

const (
	maxLoads    = 2   // statements under way; more would only make each smaller
	maxLoadKeys = 500 // keys of one statement
	loadTimeout = 10 * time.Second
)

// batcher loads values by key, those that are asked for at the same time in one
// statement: a statement for one key costs as much as one for many. No request waits for
// others to come, and each is answered by a statement that began after it, so no answer
// is older than its request. The zero value is ready.
type batcher[K comparable, V any] struct {
	mu      sync.Mutex
	waiting []*loadRequest[K, V]
	loads   int // statements under way
}

type loadRequest[K comparable, V any] struct {
	key    K
	done   chan struct{} // closed when result and err are set
	result loaded[V]
	err    error
}

// loaded is the value of one key, found false where there is none.
type loaded[V any] struct {
	value V
	found bool
	at    eventstore.Position // up to which the value shows the log
}

// loadFunc loads many keys with one statement; those without a value are left out.
type loadFunc[K comparable, V any] func(context.Context, []K) (map[K]V, eventstore.Position, error)

// Load gives the value of one key. The function is the same one at every call.
func (b *batcher[K, V]) Load(ctx context.Context, key K, load loadFunc[K, V]) (loaded[V], error) {
	r := &loadRequest[K, V]{key: key, done: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, r)
	if b.loads < maxLoads {
		b.loads++
		go b.run(load)
	}
	b.mu.Unlock()
	select {
	case <-r.done:
		return r.result, r.err
	case <-ctx.Done():
		return loaded[V]{}, ctx.Err()
	}
}

// run loads until no request waits.
func (b *batcher[K, V]) run(load loadFunc[K, V]) {
	for {
		b.mu.Lock()
		n := min(len(b.waiting), maxLoadKeys)
		if n == 0 {
			b.loads--
			b.mu.Unlock()
			return
		}
		requests := b.waiting[:n:n]
		b.waiting = b.waiting[n:]
		b.mu.Unlock()
		loadAll(requests, load)
	}
}

// loadAll uses no caller's context: one that leaves must not fail the others.
func loadAll[K comparable, V any](requests []*loadRequest[K, V], load loadFunc[K, V]) {
	ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
	defer cancel()
	values, at, err := load(ctx, column(requests, func(r **loadRequest[K, V]) K { return (*r).key }))
	for _, r := range requests {
		value, found := values[r.key]
		r.result, r.err = loaded[V]{value, found, at}, err
		close(r.done)
	}
}
