package projections

import (
	"context"
	"errors"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"kassa/domain"
	"kassa/eventstore"
)

// endings read the log while predictions are waited for, once for all who wait, and keep
// what ended last. So a wait ends as soon as its ending is committed, in whichever process,
// and costs no read of the views.
type endings struct {
	events LiveEvents
	report func(error)
	start  func(follow func(context.Context)) // in the background of the views

	waiting waiters[domain.PredictionID]

	mu      sync.Mutex
	running bool
	since   eventstore.Position // all endings behind it were read,
	at      eventstore.Position // up to here
	last    *lru.Cache[domain.PredictionID, eventstore.Recorded]
}

// endingsTask is reported while the log cannot be read for those who wait.
const endingsTask = "read the log for those who wait for answers"

const (
	endingsPage = 1000 // entries of one read
	endingsKept = 4096 // endings, of one to three kilobytes with their films
)

var (
	// errHeld: the prediction has not ended, as far as the log was read.
	errHeld = errors.New("it is still held")
	// errNotRead: the log behind the position was not read from there, so an ending may
	// have been passed over.
	errNotRead = errors.New("the log was not read from there")
	// errStopped: the log cannot be read now.
	errStopped = errors.New("the log is not read")
)

// await gives the ending of a prediction that was held at the position, when it has come.
// Its error is errNotRead, with the position from which the log was read, errStopped, or
// that of ctx.
func (e *endings) await(ctx context.Context, id domain.PredictionID, held eventstore.Position) (eventstore.Recorded, eventstore.Position, error) {
	for first := true; ; first = false {
		ended, leave := e.waiting.Wait(id) // before the look, so that no ending is missed
		if first {
			e.begin(held)
		}
		rec, since, err := e.look(id, held)
		if errors.Is(err, errHeld) {
			select {
			case <-ended:
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		leave()
		if !errors.Is(err, errHeld) {
			return rec, since, err
		}
	}
}

// look finds the ending among those that are kept.
func (e *endings) look(id domain.PredictionID, held eventstore.Position) (eventstore.Recorded, eventstore.Position, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.last != nil {
		if rec, ok := e.last.Peek(id); ok {
			return rec, e.since, nil
		}
	}
	switch {
	case held < e.since:
		return eventstore.Recorded{}, e.since, errNotRead
	case !e.running:
		return eventstore.Recorded{}, e.since, errStopped
	}
	return eventstore.Recorded{}, e.since, errHeld
}

// begin starts to read the log behind the position, unless it is being read.
func (e *endings) begin(held eventstore.Position) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running {
		return
	}
	last, err := lru.NewWithEvict(endingsKept, func(_ domain.PredictionID, rec eventstore.Recorded) { e.since = rec.Position })
	if err != nil {
		panic(err) // the size is a constant above zero
	}
	e.running, e.since, e.at, e.last = true, held, held, last
	e.start(e.follow)
}

// follow reads the log while there are waiters. Where it cannot be read, all who wait find that
// out, and ask the views.
func (e *endings) follow(ctx context.Context) {
	for reported := false; e.wanted(); {
		began := time.Now()
		list, err := e.events.Recent(ctx, e.at, endingsPage)
		if err == nil {
			e.take(list)
			if !reported {
				e.report(nil)
				reported = true
			}
			if len(list) < endingsPage {
				err = waitForMore(ctx, e.events, e.at, time.Since(began))
			}
		}
		if err != nil {
			if ctx.Err() == nil {
				e.report(err)
			}
			e.stop()
			return
		}
	}
}

// wanted reports whether there are waiters; else the log is not read from here on.
func (e *endings) wanted() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running = !e.waiting.Empty()
	return e.running
}

func (e *endings) stop() {
	e.mu.Lock()
	e.running = false
	e.mu.Unlock()
	e.waiting.Notify(e.waiting.Keys()...)
}

func (e *endings) take(list []eventstore.Recorded) {
	var ended []domain.PredictionID
	e.mu.Lock()
	for _, rec := range list {
		if id, ok := endingOf(rec.Event); ok {
			e.last.Add(id, rec)
			ended = append(ended, id)
		}
		e.at = rec.Position
	}
	e.mu.Unlock()
	e.waiting.Notify(ended...)
}

// waiters let many goroutines wait for keys. Those that wait for the same key share a
// channel; it is forgotten when it was closed or the last of them has left. The zero
// value is ready.
type waiters[K comparable] struct {
	mu    sync.Mutex
	byKey map[K]*waiter
}

type waiter struct {
	done  chan struct{} // closed by Notify
	count int
}

// Wait gives a channel that Notify closes. Leave must be called once.
func (w *waiters[K]) Wait(key K) (done <-chan struct{}, leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	shared := w.byKey[key]
	if shared == nil {
		shared = &waiter{done: make(chan struct{})}
		if w.byKey == nil {
			w.byKey = map[K]*waiter{}
		}
		w.byKey[key] = shared
	}
	shared.count++
	return shared.done, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if shared.count--; shared.count == 0 && w.byKey[key] == shared {
			delete(w.byKey, key)
		}
	}
}

// Notify wakes all that wait for these keys.
func (w *waiters[K]) Notify(keys ...K) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range keys {
		if shared := w.byKey[key]; shared != nil {
			close(shared.done)
			delete(w.byKey, key)
		}
	}
}

// Empty reports whether nothing is waited for.
func (w *waiters[K]) Empty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.byKey) == 0
}

// Keys lists what is waited for.
func (w *waiters[K]) Keys() []K {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]K, 0, len(w.byKey))
	for key := range w.byKey {
		list = append(list, key)
	}
	return list
}
