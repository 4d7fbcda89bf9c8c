package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"kassa/eventstore"
)

// ErrInjected is in every error that a wrapper of this package made up.
var ErrInjected = errors.New("injected fault")

// Lossy is a store that sometimes appends, and then answers that the outcome is unknown:
// so it is when the connection dies after COMMIT.
type Lossy struct {
	*eventstore.Store
	Fails *Pattern
}

// Append appends. An error of its own wraps ErrInjected and eventstore.ErrUnknown.
func (l Lossy) Append(ctx context.Context, a eventstore.Append) (eventstore.Receipt, error) {
	r, err := l.Store.Append(ctx, a)
	if err == nil && l.Fails.Next() {
		return eventstore.Receipt{}, fmt.Errorf("%w: %w: after the commit", ErrInjected, eventstore.ErrUnknown)
	}
	return r, err
}

// Failing is a store that sometimes fails before it appends anything, and answers so.
type Failing struct {
	*eventstore.Store
	Fails *Pattern
}

// Append appends, or does nothing and gives an error that wraps ErrInjected.
func (f Failing) Append(ctx context.Context, a eventstore.Append) (eventstore.Receipt, error) {
	if f.Fails.Next() {
		return eventstore.Receipt{}, fmt.Errorf("%w: before the begin", ErrInjected)
	}
	return f.Store.Append(ctx, a)
}

// Pattern decides which calls fail. It may be called by many goroutines.
type Pattern struct {
	mu    sync.Mutex
	rng   *rand.Rand
	oneIn int
}

// NewPattern gives a pattern in which one call in so many fails; with 1, all do.
// The same seed gives the same pattern.
func NewPattern(seed uint64, oneIn int) *Pattern {
	return &Pattern{rng: rand.New(rand.NewPCG(seed, 2)), oneIn: oneIn}
}

// Next reports whether this call fails.
func (p *Pattern) Next() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rng.IntN(p.oneIn) == 0
}
