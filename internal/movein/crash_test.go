package movein_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
)

// failing is a vault and a store of which one write fails, and all after it: it did nothing,
// or it did what was asked and the answer was lost.
type failing struct {
	commands.Store
	commands.Vault
	lock      sync.Mutex
	calls, at int // the write that fails
	after     bool
}

var errCrash = errors.New("crashed here")

func (f *failing) call(do func() error) error {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.calls++
	switch {
	case f.calls > f.at || f.calls == f.at && !f.after:
		return errCrash
	case f.calls == f.at:
		_ = do() // its answer is lost
		return errCrash
	}
	return do()
}

func (f *failing) Append(ctx context.Context, a eventstore.Append) (r eventstore.Receipt, err error) {
	err = f.call(func() error { r, err = f.Store.Append(ctx, a); return err })
	return r, err
}

func (f *failing) EnrollMoved(ctx context.Context, u domain.UserID, hash string) error {
	return f.call(func() error { return f.Vault.EnrollMoved(ctx, u, hash) })
}

// A run is killed before or after its first writes, and then before or after every fifth one,
// up to the last acceptance. The next run moves the rest, and nothing is moved twice.
func TestMoveInAfterACrash(t *testing.T) {
	const writes = 1 + 2*7 + 1 // the acceptance, a key and an append for each person, the end
	for _, at := range []int{1, 2, 3, 8, 13, writes} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d, after %t", at, after), func(t *testing.T) {
				m := newMover(t)
				f := &failing{Store: m.f.Store, Vault: m.f.Vault, at: at, after: after}
				h := m.f.Process()
				h.Store, h.Vault = f, f
				m.commands = h
				if _, err := m.run(true); !errors.Is(err, errCrash) || f.calls < at {
					t.Fatalf("it did not crash: %v, after %d writes", err, f.calls)
				}
				m.commands = nil
				result, err := m.run(true)
				if done := at == writes && after; done != errors.Is(err, domain.ErrMoveInOver) || !done && err != nil {
					t.Fatalf("the next run: %+v, %v", result, err)
				}
				m.wantAll(first)
				joined := 0
				for _, rec := range m.f.Log() {
					if rec.Type == domain.TypeSignedUp {
						joined++
					}
				}
				if joined != len(first) {
					t.Errorf("%d people have moved in, want %d", joined, len(first))
				}
			})
		}
	}
}
