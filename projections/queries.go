package projections

import (
	"cmp"
	"context"
	"errors"
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
			return ctx.Err()
		}
	}
}

// Questions gives the sealed texts of predictions of one person.
func (m *Memory) Questions(ctx context.Context, u domain.UserID, ids []domain.PredictionID) (map[domain.PredictionID]domain.Sealed, error) {
	found := map[domain.PredictionID]domain.Sealed{}
	for _, id := range ids {
		p, err := m.Prediction(ctx, u, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[id] = p.Text
	}
	return found, nil
}

// Position is up to where the views hold everything.
func (m *Memory) Position(context.Context) (eventstore.Position, error) { return m.at(), nil }

// Balance gives a wallet's balance.
func (m *Memory) Balance(_ context.Context, u domain.UserID) (Balance, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	w := m.wallets[u]
	if w == nil {
		return Balance{}, ErrNotFound
	}
	return w.user.Balance, nil
}

// Transactions gives a page of a wallet's lines, the newest first.
func (m *Memory) Transactions(_ context.Context, u domain.UserID, q TransactionQuery) (Page[Transaction], error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	w := m.wallets[u]
	if w == nil {
		return Page[Transaction]{}, ErrNotFound
	}
	return page(w.transactions, q.PageQuery,
		func(t *Transaction) eventstore.Position { return t.Position },
		func(t *Transaction) bool { return q.Type == "" || t.Type == q.Type })
}

// Predictions gives a page of a person's predictions, the newest first.
func (m *Memory) Predictions(_ context.Context, u domain.UserID, q PredictionQuery) (Page[Prediction], error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	w := m.wallets[u]
	if w == nil {
		return Page[Prediction]{}, ErrNotFound
	}
	found, err := page(w.predictions, q.PageQuery,
		func(p **Prediction) eventstore.Position { return (*p).Position },
		func(p **Prediction) bool { return q.State == "" || (*p).State == q.State })
	return convert(found, func(p *Prediction) Prediction { return *p }), err
}

// Users gives a page of all persons, the newest first.
func (m *Memory) Users(_ context.Context, q PageQuery) (Page[User], error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	found, err := page(m.users, q,
		func(w **wallet) eventstore.Position { return (*w).user.Position },
		func(**wallet) bool { return true })
	return convert(found, func(w *wallet) User { return w.user }), err
}

// page cuts one page out of a list that is in order of position, from its end.
func page[T any](list []T, q PageQuery, at func(*T) eventstore.Position, want func(*T) bool) (Page[T], error) {
	before, err := q.before()
	if err != nil {
		return Page[T]{}, err
	}
	out := Page[T]{Items: []T{}}
	end := sort.Search(len(list), func(i int) bool { return at(&list[i]) >= before })
	for i := end - 1; i >= 0; i-- {
		if !want(&list[i]) {
			continue
		}
		if len(out.Items) == q.size() {
			out.Next = cursorAt(at(&out.Items[len(out.Items)-1]))
			break
		}
		out.Items = append(out.Items, list[i])
	}
	return out, nil
}

func convert[A, B any](p Page[A], f func(A) B) Page[B] {
	out := Page[B]{Items: make([]B, len(p.Items)), Next: p.Next}
	for i, item := range p.Items {
		out.Items[i] = f(item)
	}
	return out
}

// Prediction gives one of the person's predictions.
func (m *Memory) Prediction(_ context.Context, u domain.UserID, id domain.PredictionID) (Prediction, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	p := m.predictions[id]
	if p == nil || p.User != u {
		return Prediction{}, ErrNotFound
	}
	return *p, nil
}

// Ended waits until the prediction has ended; where ctx ends first, it gives the
// prediction as it is.
func (m *Memory) Ended(ctx context.Context, u domain.UserID, id domain.PredictionID) (Prediction, error) {
	m.mu.Lock()
	p := m.predictions[id]
	if p == nil || p.User != u {
		m.mu.Unlock()
		return Prediction{}, ErrNotFound
	}
	if p.State.Ended() {
		defer m.mu.Unlock()
		return *p, nil
	}
	done := m.ends[id]
	if done == nil {
		done = make(chan struct{})
		m.ends[id] = done
	}
	m.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	}
	return m.Prediction(ctx, u, id)
}

// User gives one person.
func (m *Memory) User(_ context.Context, u domain.UserID) (User, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	w := m.wallets[u]
	if w == nil {
		return User{}, ErrNotFound
	}
	return w.user, nil
}

// Trial gives the sums of the whole ledger.
func (m *Memory) Trial(context.Context) (Trial, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return Trial{Position: m.position, Accounts: maps.Clone(m.house), Available: m.available, Held: m.held, Users: len(m.users)}, nil
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
// where there is none. A relay over a bus that forgets starts again before it.
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
