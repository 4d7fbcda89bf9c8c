package bus

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	amqp091 "github.com/rabbitmq/amqp091-go"

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

// A hint that no process takes comes back to the one that sent it, and none does where one
// takes them.
func TestHintsThatNobodyTakesComeBack(t *testing.T) {
	b := newBroker(t)
	b.bus(t, b.Address) // declares the exchange
	h := &hinter{link: &link{broker: b.at(b.Address)}, exchange: b.names.sendHints}
	t.Cleanup(h.link.close)
	send := func(id string) { must(t, h.send(t.Context(), message.NewMessage(id, []byte("{}")))) }
	first, second, third := watermill.NewUUID(), watermill.NewUUID(), watermill.NewUUID()
	send(first)
	if back := within(t, "the hint to come back", h.untaken); back.MessageId != first {
		t.Errorf("message %s came back, want %s", back.MessageId, first)
	}
	takes, err := h.link.channel()
	must(t, err)
	queue, err := b.names.declareHints(takes)
	must(t, err)
	send(second)
	eventstoretest.Eventually(t, "the hint", func() bool {
		got, ok, err := takes.Get(queue, true)
		must(t, err)
		return ok && got.MessageId == second
	})
	_, err = takes.QueueDelete(queue, false, false, false)
	must(t, err)
	send(third)
	if back := within(t, "the hint to come back", h.untaken); back.MessageId != third {
		t.Errorf("message %s came back, want %s", back.MessageId, third)
	}
}

// After a hint that nobody took, the next one waits.
func TestRestsBetweenHints(t *testing.T) {
	for name, tt := range map[string]struct {
		then func(returns chan amqp091.Return)
		want time.Duration
	}{
		"taken":            {func(chan amqp091.Return) {}, hintsApart},
		"the channel ends": {func(returns chan amqp091.Return) { close(returns) }, hintsApart},
		"not taken": {func(returns chan amqp091.Return) {
			for range 3 { // also those of before
				returns <- amqp091.Return{}
			}
		}, hintsUntaken},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				returns := make(chan amqp091.Return, 1)
				go tt.then(returns)
				began := time.Now()
				(&hinter{untaken: returns}).rest(context.Background())
				if rested := time.Since(began); rested != tt.want {
					t.Errorf("it rested for %s, want %s", rested, tt.want)
				}
			})
		})
	}
}
