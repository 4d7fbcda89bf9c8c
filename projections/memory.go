package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"kassa/domain"
	"kassa/eventstore"
)

// ErrGap: a batch does not begin at the next position. What lies between must be
// read from the store first.
var ErrGap = errors.New("projections: batch does not follow")

// Memory is the replayed form of all views. The zero value is not ready: use
// NewMemory. An error that wraps domain.ErrBroken means that the ledger is wrong
// and the process must stop.
type Memory struct {
	mu       sync.RWMutex
	position eventstore.Position
	moved    chan struct{} // closed when position grows

	wallets     map[domain.UserID]*wallet
	users       []*wallet // in the order in which they signed up
	predictions map[domain.PredictionID]*Prediction
	open        map[domain.PredictionID]*Prediction
	ends        map[domain.PredictionID]chan struct{} // closed when it ends, for those who wait
	house       map[domain.LedgerAccount]domain.Credits
	all         Balance // of all persons together
}

// wallet is all that the views hold of one person.
type wallet struct {
	user         User
	transactions []Transaction
	held         map[domain.PredictionID]int // where the lines of open charges stand in transactions
	predictions  []*Prediction
}

// NewMemory gives views of an empty log.
func NewMemory() *Memory {
	return &Memory{moved: make(chan struct{}), wallets: map[domain.UserID]*wallet{},
		predictions: map[domain.PredictionID]*Prediction{}, open: map[domain.PredictionID]*Prediction{},
		ends: map[domain.PredictionID]chan struct{}{}, house: map[domain.LedgerAccount]domain.Credits{}}
}

// Replay applies everything that the log holds behind the views' position.
func (m *Memory) Replay(ctx context.Context, log Log) error {
	return log.Scan(ctx, m.at(), m.Apply)
}

// Follow keeps the views up with the log until ctx ends; see follow. An error that wraps
// eventstore.ErrAhead says that the log was restored: what was folded cannot be taken back,
// so the process must start again.
func (m *Memory) Follow(ctx context.Context, log Followed, logger *slog.Logger) error {
	return follow(ctx, log, logger, func(ctx context.Context) (eventstore.Position, error) {
		before := m.at()
		if err := m.Replay(ctx, log); err != nil || m.at() > before || before == 0 {
			return m.at(), err
		}
		last, err := log.After(ctx, before-1, 1)
		if err == nil && len(last) == 0 {
			err = fmt.Errorf("%w: the views hold position %d, and the log ends before it", eventstore.ErrAhead, before)
		}
		return before, err
	})
}

func (m *Memory) at() eventstore.Position {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.position
}

// Apply folds entries that follow the views' position; entries up to it are passed
// over. Errors: ErrGap, or domain.ErrBroken with the position; what stands before
// that is applied, and the broken entry changes nothing.
func (m *Memory) Apply(batch []eventstore.Recorded) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.position
	defer func() {
		if m.position > before {
			close(m.moved)
			m.moved = make(chan struct{})
		}
	}()
	for _, rec := range batch {
		if rec.Position <= m.position {
			continue
		}
		if rec.Position != m.position+1 {
			return fmt.Errorf("%w: position %d after %d", ErrGap, rec.Position, m.position)
		}
		if err := m.apply(rec); err != nil {
			return fmt.Errorf("views at position %d: %w", rec.Position, err)
		}
		m.position = rec.Position
	}
	return nil
}

func (m *Memory) apply(rec eventstore.Recorded) error {
	if claims(rec.Event) {
		return nil
	}
	if err := inItsStream(rec); err != nil {
		return err
	}
	u := rec.Event.Subject()
	w := m.wallets[u]
	if e, ok := rec.Event.(domain.SignedUp); ok {
		if w != nil {
			return fmt.Errorf("%w: %s signs up twice", domain.ErrBroken, u)
		}
		w = &wallet{user: User{ID: u, Email: e.Email, SignedUpAt: rec.Time, Position: rec.Position,
			Balance: Balance{User: u, Position: rec.Position}}}
		m.wallets[u], m.users = w, append(m.users, w)
		return nil
	}
	if w == nil {
		return fmt.Errorf("%w: %s on an account that nobody opened", domain.ErrBroken, rec.Type)
	}
	switch e := rec.Event.(type) {
	case domain.AdminGranted:
		w.user.Admin = true
	case domain.AdminRevoked:
		w.user.Admin = false
	case domain.PredictionRequested:
		if m.predictions[e.Prediction] != nil {
			return fmt.Errorf("%w: prediction %s is asked twice", domain.ErrBroken, e.Prediction)
		}
		p := predictionOf(rec, e)
		m.predictions[p.ID], m.open[p.ID] = &p, &p
		w.predictions = append(w.predictions, &p)
	}
	if err := m.end(w, rec); err != nil {
		return err
	}
	m.post(w, rec)
	w.line(rec)
	return nil
}

// post adds what the event moves to the wallet and to the trial balance.
func (m *Memory) post(w *wallet, rec eventstore.Recorded) {
	wallet, house, ok := movementOf(rec.Event)
	if !ok {
		return
	}
	w.user.Balance.add(wallet)
	w.user.Balance.Position = rec.Position
	m.all.add(wallet)
	for _, p := range house {
		m.house[p.Account] += p.Amount
	}
}

// line adds the event's transaction, and remembers where the line of an open
// charge stands, so that its status can follow.
func (w *wallet) line(rec eventstore.Recorded) {
	t, ok := transactionOf(rec)
	if !ok {
		return
	}
	w.transactions = append(w.transactions, t)
	if t.Status == string(domain.StateHeld) {
		if w.held == nil {
			w.held = map[domain.PredictionID]int{}
		}
		w.held[t.Prediction] = len(w.transactions) - 1
	}
}

// end takes a prediction to its end, once, and wakes who waits for it.
func (m *Memory) end(w *wallet, rec eventstore.Recorded) error {
	id, ok := endingOf(rec.Event)
	if !ok {
		return nil
	}
	p := m.open[id]
	if p == nil || p.User != w.user.ID {
		return fmt.Errorf("%w: %s ends prediction %s, which is not open", domain.ErrBroken, rec.Type, id)
	}
	ended, ok := p.end(rec)
	if !ok {
		return fmt.Errorf("%w: %s on a prediction that is %s", domain.ErrBroken, rec.Type, p.State)
	}
	*p = ended
	w.transactions[w.held[id]].Status = string(p.State)
	delete(w.held, id)
	delete(m.open, id)
	if done := m.ends[id]; done != nil {
		close(done)
		delete(m.ends, id)
	}
	return nil
}
