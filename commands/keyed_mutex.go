package commands

import (
	"context"
	"sync"
)

// keyedMutex is a mutex for each key. The zero value is ready.
type keyedMutex[K comparable] struct {
	mu    sync.Mutex
	locks map[K]*keyLock // of the keys that are locked or waited for
}

type keyLock struct {
	token chan struct{} // holds a token while the key is unlocked
	users int           // the holder, and those who wait
}

// Lock waits until the key is unlocked, or gives the error of ctx where that ends first.
func (m *keyedMutex[K]) Lock(ctx context.Context, key K) error {
	lock := m.acquire(key)
	select {
	case <-lock.token:
		return nil
	case <-ctx.Done():
		m.release(key, lock)
		return ctx.Err()
	}
}

// Unlock is called once by the holder.
func (m *keyedMutex[K]) Unlock(key K) {
	m.mu.Lock()
	lock := m.locks[key]
	m.mu.Unlock()
	lock.token <- struct{}{}
	m.release(key, lock)
}

func (m *keyedMutex[K]) acquire(key K) *keyLock {
	m.mu.Lock()
	defer m.mu.Unlock()
	lock := m.locks[key]
	if lock == nil {
		if m.locks == nil {
			m.locks = map[K]*keyLock{}
		}
		lock = &keyLock{token: make(chan struct{}, 1)}
		lock.token <- struct{}{}
		m.locks[key] = lock
	}
	lock.users++
	return lock
}

// release removes the key after its last user.
func (m *keyedMutex[K]) release(key K, lock *keyLock) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if lock.users--; lock.users == 0 {
		delete(m.locks, key)
	}
}
