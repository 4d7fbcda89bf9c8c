package projections

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sort"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

var _ Views = (*Memory)(nil)

// Wait returns when the views hold everything up to the position.
func (m *Memory) Wait(ctx context.Context, at eventstore.Position) error {
	for {
		m.mu.RLock()
		position, moved := m.position, m.moved
		m.mu.RUnlock()
		if position >= at {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return behindIn(ctx, at)
		}
	}
}

// read calls fn, while nothing is applied, when the views hold the least position, and
// gives their position.
func (m *Memory) read(ctx context.Context, least eventstore.Position, fn func() error) (eventstore.Position, error) {
	if err := m.Wait(ctx, least); err != nil {
		return 0, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.position, fn()
}

// of calls fn with a person's wallet, or gives ErrNotFound.
func (m *Memory) of(ctx context.Context, u domain.UserID, least eventstore.Position, fn func(*wallet)) (eventstore.Position, error) {
	return m.read(ctx, least, func() error {
		w := m.wallets[u]
		if w == nil {
			return ErrNotFound
		}
		fn(w)
		return nil
	})
}

// Position is up to where the views hold everything.
func (m *Memory) Position(context.Context) (eventstore.Position, error) { return m.at(), nil }

// Balance gives a wallet's balance.
func (m *Memory) Balance(ctx context.Context, u domain.UserID, least eventstore.Position) (b Balance, at eventstore.Position, err error) {
	at, err = m.of(ctx, u, least, func(w *wallet) { b = w.user.Balance })
	return b, at, err
}

// Users gives a page of all persons, the newest first.
func (m *Memory) Users(ctx context.Context, q PageQuery, least eventstore.Position) (found Page[User], at eventstore.Position, err error) {
	at, err = m.read(ctx, least, func() error {
		before, err := q.before()
		list := newest(m.users, before, q.size()+1, func(w *wallet) (eventstore.Position, bool) { return w.user.Position, true })
		users := make([]User, len(list))
		for i, w := range list {
			users[i] = w.user
		}
		found = cut(q, users, func(u *User) eventstore.Position { return u.Position })
		return err
	})
	return found, at, err
}

// newest gives up to limit of those that are wanted, from a list that is in order of
// position: before a position, the newest first.
func newest[T any](list []T, before eventstore.Position, limit int, want func(T) (at eventstore.Position, wanted bool)) (found []T) {
	end := sort.Search(len(list), func(i int) bool { at, _ := want(list[i]); return at >= before })
	for i := end - 1; i >= 0 && len(found) < limit; i-- {
		if _, wanted := want(list[i]); wanted {
			found = append(found, list[i])
		}
	}
	return found
}

// cut makes a page of items that are the newest first, one more than it shows where there
// are more.
func cut[T any](q PageQuery, items []T, at func(*T) eventstore.Position) Page[T] {
	page := Page[T]{Items: append([]T{}, items[:min(len(items), q.size())]...)}
	if len(items) > q.size() {
		page.Next = cursorAt(at(&page.Items[q.size()-1]))
	}
	return page
}

// Ended waits until the prediction has ended; where ctx ends first, it gives the
// prediction as it is.
func (m *Memory) Ended(ctx context.Context, p Prediction, held eventstore.Position) (Prediction, eventstore.Position, error) {
	if err := m.Wait(ctx, held); err != nil {
		return p, held, nil
	}
	select {
	case <-m.ended(p.ID):
	case <-ctx.Done(): // what is read then takes a moment
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return m.Prediction(ctx, p.User, p.ID, held)
}

// ended gives a channel that is closed when the prediction has ended.
func (m *Memory) ended(id domain.PredictionID) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	done := m.ends[id]
	if done == nil {
		done = make(chan struct{})
		if m.open[id] == nil { // it ended in this moment
			close(done)
			return done
		}
		m.ends[id] = done
	}
	return done
}

// User gives one person.
func (m *Memory) User(ctx context.Context, u domain.UserID, least eventstore.Position) (found User, at eventstore.Position, err error) {
	at, err = m.of(ctx, u, least, func(w *wallet) { found = w.user })
	return found, at, err
}

// Erased gives the persons whose data was erased.
func (m *Memory) Erased(context.Context) (list []domain.UserID, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, w := range m.users {
		if w.user.Email != nil && len(w.user.Email) == 0 {
			list = append(list, w.user.ID)
		}
	}
	return list, nil
}

// Trial gives the sums of the whole ledger.
func (m *Memory) Trial(ctx context.Context, least eventstore.Position) (t Trial, err error) {
	_, err = m.read(ctx, least, func() error {
		t = Trial{Position: m.position, Accounts: maps.Clone(m.house), Available: m.all.Available, Held: m.all.Held, Given: m.all.Given, GivenHeld: m.all.GivenHeld, Users: len(m.users)}
		return nil
	})
	return t, err
}

// OpenHolds lists predictions that have not ended and expire before the time.
func (m *Memory) OpenHolds(_ context.Context, before time.Time, limit int) ([]Prediction, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var list []Prediction
	for _, p := range m.open {
		if p.ExpiresAt.Before(before) {
			list = append(list, *p)
		}
	}
	slices.SortFunc(list, func(a, b Prediction) int {
		return cmp.Or(a.ExpiresAt.Compare(b.ExpiresAt), cmp.Compare(a.Position, b.Position))
	})
	return list[:min(len(list), limit)], nil
}

// Oldest gives the position of the first request that has not ended, ok false
// where there is none. A relay over a bus without storage starts again before it.
func (m *Memory) Oldest() (at eventstore.Position, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, p := range m.open {
		if !ok || p.Position < at {
			at, ok = p.Position, true
		}
	}
	return at, ok
}
