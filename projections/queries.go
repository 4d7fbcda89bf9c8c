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
func (m *Memory) of(ctx context.Context, u domain.UserID, least eventstore.Position, fn func(*wallet) error) (eventstore.Position, error) {
	return m.read(ctx, least, func() error {
		if w := m.wallets[u]; w != nil {
			return fn(w)
		}
		return ErrNotFound
	})
}

// Questions gives the sealed texts of predictions of one person.
func (m *Memory) Questions(ctx context.Context, u domain.UserID, ids []domain.PredictionID) (map[domain.PredictionID]domain.Sealed, error) {
	found := map[domain.PredictionID]domain.Sealed{}
	_, err := m.read(ctx, 0, func() error {
		for _, id := range ids {
			if p := m.predictions[id]; p != nil && p.User == u {
				found[id] = p.Text
			}
		}
		return nil
	})
	return found, err
}

// Position is up to where the views hold everything.
func (m *Memory) Position(context.Context) (eventstore.Position, error) { return m.at(), nil }

// Balance gives a wallet's balance.
func (m *Memory) Balance(ctx context.Context, u domain.UserID, least eventstore.Position) (b Balance, at eventstore.Position, err error) {
	at, err = m.of(ctx, u, least, func(w *wallet) error { b = w.user.Balance; return nil })
	return b, at, err
}

// Transactions gives a page of a wallet's lines, the newest first.
func (m *Memory) Transactions(ctx context.Context, u domain.UserID, q TransactionQuery, least eventstore.Position) (found Page[Transaction], at eventstore.Position, err error) {
	at, err = m.of(ctx, u, least, func(w *wallet) (err error) {
		found, err = page(w.transactions, q.PageQuery,
			func(t *Transaction) eventstore.Position { return t.Position },
			func(t *Transaction) bool { return q.Type == "" || t.Type == q.Type })
		return err
	})
	return found, at, err
}

// Predictions gives a page of a person's predictions, the newest first.
func (m *Memory) Predictions(ctx context.Context, u domain.UserID, q PredictionQuery, least eventstore.Position) (found Page[Prediction], at eventstore.Position, err error) {
	at, err = m.of(ctx, u, least, func(w *wallet) error {
		list, err := page(w.predictions, q.PageQuery,
			func(p **Prediction) eventstore.Position { return (*p).Position },
			func(p **Prediction) bool { return q.State == "" || (*p).State == q.State })
		found = convert(list, func(p *Prediction) Prediction { return *p })
		return err
	})
	return found, at, err
}

// Users gives a page of all persons, the newest first.
func (m *Memory) Users(ctx context.Context, q PageQuery, least eventstore.Position) (found Page[User], at eventstore.Position, err error) {
	at, err = m.read(ctx, least, func() error {
		list, err := page(m.users, q,
			func(w **wallet) eventstore.Position { return (*w).user.Position },
			func(**wallet) bool { return true })
		found = convert(list, func(w *wallet) User { return w.user })
		return err
	})
	return found, at, err
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
func (m *Memory) Prediction(ctx context.Context, u domain.UserID, id domain.PredictionID, least eventstore.Position) (found Prediction, at eventstore.Position, err error) {
	at, err = m.read(ctx, least, func() error {
		p := m.predictions[id]
		if p == nil || p.User != u {
			return ErrNotFound
		}
		found = *p
		return nil
	})
	return found, at, err
}

// Ended waits until the prediction has ended; where ctx ends first, it gives the
// prediction as it is.
func (m *Memory) Ended(ctx context.Context, u domain.UserID, id domain.PredictionID, least eventstore.Position) (Prediction, eventstore.Position, error) {
	p, at, err := m.Prediction(ctx, u, id, least)
	if err != nil || p.State.Ended() {
		return p, at, err
	}
	select {
	case <-m.ended(id):
	case <-ctx.Done():
	}
	return m.Prediction(context.WithoutCancel(ctx), u, id, at)
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
	at, err = m.of(ctx, u, least, func(w *wallet) error { found = w.user; return nil })
	return found, at, err
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
