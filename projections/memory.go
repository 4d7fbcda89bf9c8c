package projections

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"kassa/domain"
	"kassa/eventstore"
)

// ErrGap: a batch does not begin at the next position. What lies between must be
// read from the store first.
var ErrGap = errors.New("projections: batch does not follow")

// Memory is the replayed form of all views. By NewMemory it keeps everything in memory, for
// comparisons. By OpenSaved it keeps accounts, open predictions and what came last, and
// reads histories from the log; see saved. An error that wraps domain.ErrBroken means that
// the ledger is wrong and the process must stop.
type Memory struct {
	writing sync.Mutex // one applies and saves at a time
	saved   *saved     // nil: everything is in memory

	mu    sync.RWMutex
	moved chan struct{} // closed when the position grows
	folded
	ends map[domain.PredictionID]chan struct{} // closed when it ends, for those who wait
}

// folded is a log up to a position, as the views hold it. Histories up to kept are in
// tables; kept is 0 where there are none.
type folded struct {
	position, kept eventstore.Position
	last           []byte // the entry at the position

	wallets     map[domain.UserID]*wallet
	users       []*wallet // in the order in which they signed up
	predictions map[domain.PredictionID]*Prediction
	open        map[domain.PredictionID]*Prediction
	house       map[domain.LedgerAccount]domain.Credits
	all         Balance              // of all persons together
	days        figures              // of what is behind kept
	actions     []Action             // behind kept
	changed     map[*wallet]struct{} // behind kept; nil where everything is in memory
}

// wallet is what the views hold in memory of one person.
type wallet struct {
	user        User
	lines       []Transaction // behind kept; charges are shown as held
	predictions []*Prediction // that are open, or that an entry behind kept began or changed, in order of position
}

// NewMemory gives views of an empty log.
func NewMemory() *Memory {
	return &Memory{moved: make(chan struct{}), folded: newFolded(), ends: map[domain.PredictionID]chan struct{}{}}
}

func newFolded() folded {
	return folded{wallets: map[domain.UserID]*wallet{}, predictions: map[domain.PredictionID]*Prediction{},
		open: map[domain.PredictionID]*Prediction{}, house: map[domain.LedgerAccount]domain.Credits{}, days: figures{}}
}

// Replay applies everything that the log holds behind the views' position.
func (m *Memory) Replay(ctx context.Context, events Events) error {
	return events.Scan(ctx, m.at(), func(batch []eventstore.Recorded) error { return m.apply(ctx, batch) })
}

// Follow keeps the views up with the log until ctx ends; see follow. An error that wraps
// eventstore.ErrAhead means that the log was restored: what was folded cannot be taken back,
// so the process must start again.
func (m *Memory) Follow(ctx context.Context, events LiveEvents, logger *slog.Logger) error {
	return follow(ctx, events, logger, func(ctx context.Context) (eventstore.Position, error) {
		before := m.at()
		if err := m.Replay(ctx, events); err != nil || m.at() > before || before == 0 {
			return m.at(), err
		}
		last, err := events.After(ctx, before-1, 1)
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
// over. Errors: ErrGap, or domain.ErrBroken with the position; the entries before
// it are applied, and the broken entry changes nothing.
func (m *Memory) Apply(batch []eventstore.Recorded) error {
	return m.apply(context.Background(), batch)
}

func (m *Memory) apply(ctx context.Context, batch []eventstore.Recorded) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	if m.saved == nil {
		return m.fold(batch)
	}
	if err := m.recall(ctx, batch); err != nil {
		return err
	}
	if err := m.fold(batch); err != nil {
		return err
	}
	return m.saveIfDue(ctx)
}

// fold applies a batch.
func (m *Memory) fold(batch []eventstore.Recorded) error {
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
		if err := m.step(rec); err != nil {
			return fmt.Errorf("views at position %d: %w", rec.Position, err)
		}
		if id, ok := endingOf(rec.Event); ok && m.ends[id] != nil {
			close(m.ends[id])
			delete(m.ends, id)
		}
		m.position, m.last = rec.Position, rec.Entry
	}
	return nil
}

// step applies one entry, or changes nothing.
func (f *folded) step(rec eventstore.Recorded) error {
	if ofNoAccount(rec.Event) {
		f.act(rec)
		return nil
	}
	if err := inItsStream(rec); err != nil {
		return err
	}
	u := rec.Event.Subject()
	w := f.wallets[u]
	if e, ok := rec.Event.(domain.SignedUp); ok {
		if w != nil {
			return fmt.Errorf("%w: %s signs up twice", domain.ErrBroken, u)
		}
		f.days.count(rec)
		f.addWallet(User{ID: u, Email: e.Email, SignedUpAt: rec.Time, Position: rec.Position, Balance: Balance{User: u, Position: rec.Position}})
		return nil
	}
	if w == nil {
		return fmt.Errorf("%w: %s on an account that was not opened", domain.ErrBroken, rec.Type)
	}
	if c, ok := userChangeOf(rec.Event); ok {
		c.apply(&w.user)
	}
	if e, ok := rec.Event.(domain.PredictionRequested); ok {
		if f.predictions[e.Prediction] != nil {
			return fmt.Errorf("%w: prediction %s is asked twice", domain.ErrBroken, e.Prediction)
		}
		f.addOpen(w, predictionOf(rec, e))
	}
	if err := f.change(w, rec); err != nil {
		return err
	}
	f.post(w, rec)
	f.days.count(rec)
	f.act(rec)
	if t, ok := transactionOf(rec); ok {
		w.lines = append(w.lines, t)
	}
	f.touch(w)
	return nil
}

// act notes what an admin or the operator did.
func (f *folded) act(rec eventstore.Recorded) {
	if a, ok := actionOf(rec); ok {
		f.actions = append(f.actions, a)
	}
}

func (f *folded) addWallet(u User) {
	w := &wallet{user: u}
	f.wallets[u.ID], f.users = w, append(f.users, w)
	f.touch(w)
}

func (f *folded) addOpen(w *wallet, p Prediction) {
	f.predictions[p.ID], f.open[p.ID] = &p, &p
	w.predictions = append(w.predictions, &p)
}

// touch notes that a wallet is not as it was saved.
func (f *folded) touch(w *wallet) {
	if f.changed != nil {
		f.changed[w] = struct{}{}
	}
}

// post adds what the event moves to the wallet and to the trial balance.
func (f *folded) post(w *wallet, rec eventstore.Recorded) {
	wallet, house, ok := movementOf(rec.Event)
	if !ok {
		return
	}
	w.user.Balance.add(wallet)
	w.user.Balance.Position = rec.Position
	f.all.add(wallet)
	for _, p := range house {
		f.house[p.Account] += p.Amount
	}
}

// change ends a prediction, once, or notes the verdict on an answered one.
func (f *folded) change(w *wallet, rec eventstore.Recorded) error {
	id, ends := endingOf(rec.Event)
	p := f.open[id]
	if !ends {
		var judges bool
		if id, judges = verdictOf(rec.Event); !judges {
			return nil
		}
		p = f.predictions[id]
	}
	switch {
	case ends && (p == nil || p.User != w.user.ID):
		return fmt.Errorf("%w: %s ends prediction %s, which is not open", domain.ErrBroken, rec.Type, id)
	case p == nil:
		return fmt.Errorf("%w: %s on prediction %s, which is not there", domain.ErrBroken, rec.Type, id)
	}
	next, ok := p.step(rec)
	if !ok {
		return fmt.Errorf("%w: %s on a prediction that is %s", domain.ErrBroken, rec.Type, p.State)
	}
	if s, ok := saidBy(rec); ok {
		f.days.say(s, asked{p.RequestedAt, p.FollowUpOf != ""})
	}
	delete(f.open, id)
	f.predictions[id] = &next // not in place: a read may have the one before
	w.predictions[indexAt(w.predictions, p.Position)] = &next
	return nil
}

// indexAt finds the prediction that was asked at the position, or where it would be.
func indexAt(list []*Prediction, at eventstore.Position) int {
	i, _ := slices.BinarySearchFunc(list, at, func(p *Prediction, at eventstore.Position) int { return cmp.Compare(p.Position, at) })
	return i
}
