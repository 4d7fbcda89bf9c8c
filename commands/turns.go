package commands

import (
	"context"
	"fmt"
	"sync"

	"kassa/domain"
)

// turns let one command of an account decide at a time in this process: two at
// once would only conflict, and one of them would decide again for nothing. The
// zero value is ready.
type turns struct {
	mu   sync.Mutex
	list map[domain.UserID]*turn // of accounts that have a command
}

type turn struct {
	free  chan struct{} // holds a token while nobody has the turn
	users int           // who has it, and who waits
}

// take waits for the account's turn. Leave must be called once.
func (t *turns) take(ctx context.Context, u domain.UserID) (leave func(), err error) {
	mine := t.join(u)
	select {
	case <-mine.free:
		return func() { mine.free <- struct{}{}; t.part(u, mine) }, nil
	case <-ctx.Done():
		t.part(u, mine)
		return nil, fmt.Errorf("wait for the account: %w", ctx.Err())
	}
}

func (t *turns) join(u domain.UserID) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	mine := t.list[u]
	if mine == nil {
		if t.list == nil {
			t.list = map[domain.UserID]*turn{}
		}
		mine = &turn{free: make(chan struct{}, 1)}
		mine.free <- struct{}{}
		t.list[u] = mine
	}
	mine.users++
	return mine
}

func (t *turns) part(u domain.UserID, mine *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if mine.users--; mine.users == 0 {
		delete(t.list, u)
	}
}
