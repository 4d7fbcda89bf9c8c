package bus

import (
	"sync/atomic"
	"testing"
	"time"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
)

func TestHintsOverRabbitMQ(t *testing.T) {
	b := newBroker(t)
	got := make(chan eventstore.Position, 10)
	bus := b.run(t, b.Address, Handlers{Hint: func(at eventstore.Position) { got <- at }})
	eventstoretest.Eventually(t, "a hint, once there is a queue for it", func() bool {
		must(t, bus.PublishHint(4711))
		select {
		case at := <-got:
			if at != 4711 {
				t.Errorf("the hint says position %d", at)
			}
			return true
		default:
			return false
		}
	})
}

// Of many hints few are sent, and the newest always is: also the one behind which nothing
// comes.
func TestHintsAreApart(t *testing.T) {
	b := newBroker(t)
	var got atomic.Int32
	var newest atomic.Int64
	bus := b.run(t, b.Address, Handlers{Hint: func(at eventstore.Position) { newest.Store(int64(at)); got.Add(1) }})
	eventstoretest.Eventually(t, "a queue for hints", func() bool { must(t, bus.PublishHint(1)); return got.Load() > 0 })
	before, began, last := got.Load(), time.Now(), eventstore.Position(1)
	for time.Since(began) < 10*hintsApart {
		last++
		must(t, bus.PublishHint(last))
	}
	eventstoretest.Eventually(t, "the newest hint", func() bool { return newest.Load() == int64(last) })
	if sent, most := got.Load()-before, int32(time.Since(began)/hintsApart)+3; sent > most {
		t.Errorf("of %d hints %d were sent, want at most %d", last, sent, most)
	}
}
