package projections

import "sync"

// bells let many wait for things by name. Who waits for the same thing shares a
// bell; a bell is gone when it has rung or when the last of them has left. The
// zero value is ready.
type bells[K comparable] struct {
	mu   sync.Mutex
	list map[K]*bell
}

type bell struct {
	rung    chan struct{}
	waiting int
}

// wait gives a channel that is closed when the thing comes about. Leave must be
// called once.
func (b *bells[K]) wait(thing K) (rung <-chan struct{}, leave func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	mine := b.list[thing]
	if mine == nil {
		mine = &bell{rung: make(chan struct{})}
		if b.list == nil {
			b.list = map[K]*bell{}
		}
		b.list[thing] = mine
	}
	mine.waiting++
	return mine.rung, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if mine.waiting--; mine.waiting == 0 && b.list[thing] == mine {
			delete(b.list, thing)
		}
	}
}

// ring wakes those who wait for these things.
func (b *bells[K]) ring(things ...K) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, thing := range things {
		if mine := b.list[thing]; mine != nil {
			close(mine.rung)
			delete(b.list, thing)
		}
	}
}

// awaited lists the things that somebody waits for.
func (b *bells[K]) awaited() []K {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]K, 0, len(b.list))
	for thing := range b.list {
		list = append(list, thing)
	}
	return list
}
