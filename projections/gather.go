package projections

import (
	"context"
	"sync"
	"time"

	"kassa/eventstore"
)

const (
	askedAtOnce = 2   // statements under way; more would only make each smaller
	askedMost   = 500 // questions of one statement
	askTime     = 10 * time.Second
)

// gathered asks questions by name, those that come at the same time together: a
// statement for one costs as much as a statement for many. No question waits for
// others to come, and each is answered by a statement that began after it was
// asked, so nobody is told what was true before. The zero value is ready.
type gathered[K comparable, V any] struct {
	mu      sync.Mutex
	waiting []*question[K, V]
	asking  int // statements under way
}

type question[K comparable, V any] struct {
	name K
	done chan struct{} // closed when the rest is set
	read answered[V]
	err  error
}

// answered is the answer to one question, found false where there is none.
type answered[V any] struct {
	answer V
	found  bool
	at     eventstore.Position // up to which the log was shown
}

// asker asks many questions at once, and gives the answers to those that have one.
type asker[K comparable, V any] func(context.Context, []K) (map[K]V, eventstore.Position, error)

// get gives the answer to one question. ask is the same one at every call.
func (g *gathered[K, V]) get(ctx context.Context, name K, ask asker[K, V]) (answered[V], error) {
	q := &question[K, V]{name: name, done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, q)
	if g.asking < askedAtOnce {
		g.asking++
		go g.work(ask)
	}
	g.mu.Unlock()
	select {
	case <-q.done:
		return q.read, q.err
	case <-ctx.Done():
		return answered[V]{}, ctx.Err()
	}
}

// work asks until nobody waits.
func (g *gathered[K, V]) work(ask asker[K, V]) {
	for {
		g.mu.Lock()
		n := min(len(g.waiting), askedMost)
		if n == 0 {
			g.asking--
			g.mu.Unlock()
			return
		}
		now := g.waiting[:n:n]
		g.waiting = g.waiting[n:]
		g.mu.Unlock()
		answerAll(now, ask)
	}
}

// answerAll asks in nobody's context: that one of them left must not fail the others.
func answerAll[K comparable, V any](questions []*question[K, V], ask asker[K, V]) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	answers, at, err := ask(ctx, column(questions, func(q **question[K, V]) K { return (*q).name }))
	for _, q := range questions {
		answer, found := answers[q.name]
		q.read, q.err = answered[V]{answer, found, at}, err
		close(q.done)
	}
}
