package identity

import (
	"context"
	"sync"
)

// shared lets concurrent callers share one call. Unlike in singleflight, a call is
// cancelled when the last of its waiters has left, and not before.
type shared struct {
	mu    sync.Mutex
	calls map[string]*call
}

type call struct {
	waiting int
	cancel  context.CancelFunc
	done    chan struct{}
	err     error // once done is closed
}

// do returns the result of check, or that of a call already running for the same name.
func (s *shared) do(ctx context.Context, name string, check func(context.Context) error) error {
	c := s.join(ctx, name, check)
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		s.leave(name, c)
		return ctx.Err()
	}
}

func (s *shared) join(ctx context.Context, name string, check func(context.Context) error) *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.calls[name]
	if !ok {
		common, cancel := context.WithCancel(context.WithoutCancel(ctx)) // the call continues for the others when the first caller leaves
		c = &call{cancel: cancel, done: make(chan struct{})}
		if s.calls == nil {
			s.calls = map[string]*call{}
		}
		s.calls[name] = c
		go func() {
			defer cancel()
			c.err = check(common)
			s.forget(name, c)
			close(c.done)
		}()
	}
	c.waiting++
	return c
}

func (s *shared) leave(name string, c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.waiting--; c.waiting == 0 {
		c.cancel()
		s.remove(name, c) // a later caller must not share the cancelled call
	}
}

func (s *shared) forget(name string, c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(name, c)
}

func (s *shared) remove(name string, c *call) {
	if s.calls[name] == c {
		delete(s.calls, name)
	}
}
