package projections

import (
	"context"
	"errors"
	"fmt"
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
	available   domain.Credits
	held        domain.Credits
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

// Log is what a view reads when the broker did not bring everything.
type Log interface {
	After(ctx context.Context, at eventstore.Position, limit int) ([]eventstore.Recorded, error)
	Scan(ctx context.Context, at eventstore.Position, fn func([]eventstore.Recorded) error) error
}

// Replay applies everything that the log holds behind the views' position.
func (m *Memory) Replay(ctx context.Context, log Log) error {
	return log.Scan(ctx, m.at(), m.Apply)
}

// Receive applies a batch that the broker brought. Delivery is at least once and
// in any order: what was applied already is passed over, and what is missing
// before the batch is read from the log.
func (m *Memory) Receive(ctx context.Context, log Log, batch []eventstore.Recorded) error {
	err := m.Apply(batch)
	for errors.Is(err, ErrGap) {
		missing, readErr := log.After(ctx, m.at(), len(batch)+500)
		if readErr != nil {
			return readErr
		}
		if len(missing) == 0 {
			return fmt.Errorf("a batch begins at position %d, the log ends at %d", batch[0].Position, m.at())
		}
		if err = m.Apply(missing); err == nil {
			err = m.Apply(batch)
		}
	}
	return err
}

func (m *Memory) at() eventstore.Position {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.position
}

// Apply folds entries that follow the views' position; entries up to it are passed
// over. Errors: ErrGap, or domain.ErrBroken with the position.
func (m *Memory) Apply(batch []eventstore.Recorded) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.position
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
	if m.position > before {
		close(m.moved)
		m.moved = make(chan struct{})
	}
	return nil
}

func (m *Memory) apply(rec eventstore.Recorded) error {
	switch e := rec.Event.(type) {
	case domain.EmailClaimed:
		return nil
	case domain.SignedUp:
		if m.wallets[e.User] != nil {
			return fmt.Errorf("%w: %s signs up twice", domain.ErrBroken, e.User)
		}
		w := &wallet{user: User{ID: e.User, Email: e.Email, SignedUpAt: rec.Time, Position: rec.Position,
			Balance: Balance{User: e.User, Position: rec.Position}}}
		m.wallets[e.User], m.users = w, append(m.users, w)
		return nil
	}
	u, _ := rec.Stream.User()
	w := m.wallets[u]
	if w == nil {
		return fmt.Errorf("%w: %s on an account that nobody opened", domain.ErrBroken, rec.Type)
	}
	switch e := rec.Event.(type) {
	case domain.AdminGranted:
		w.user.Admin = true
	case domain.AdminRevoked:
		w.user.Admin = false
	case domain.PredictionRequested:
		p := predictionOf(rec, e)
		m.predictions[p.ID], m.open[p.ID] = &p, &p
		w.predictions = append(w.predictions, &p)
	}
	m.post(w, rec)
	w.line(rec)
	return m.end(w, rec)
}

// post adds what the event moves to the wallet and to the trial balance.
func (m *Memory) post(w *wallet, rec eventstore.Recorded) {
	available, held, house, ok := movementOf(rec.Event)
	if !ok {
		return
	}
	w.user.Balance.Available += available
	w.user.Balance.Held += held
	w.user.Balance.Position = rec.Position
	m.available += available
	m.held += held
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
	if p == nil {
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
