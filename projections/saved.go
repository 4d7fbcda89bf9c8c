package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/schema"
)

// saved are the tables in which the embedded default keeps what it has folded of the log: so
// what is in memory does not grow with it, and a start replays a moment. Lines and
// predictions are kept as positions of entries; the log says the rest. All tables move in
// one transaction, with their position.
type saved struct {
	db     *schema.SQLite
	log    Entries
	report func(error)
	every  eventstore.Position // entries that are folded between two saves
	failed time.Time           // of the last save that failed, zero after one that did not
}

// Entries is a log that can be read at single positions.
type Entries interface {
	Events
	At(ctx context.Context, at []eventstore.Position) (map[eventstore.Position]eventstore.Recorded, error)
}

const (
	// savedFormat rises when the tables change, or what is folded into them.
	savedFormat = 3

	// saveEvery bounds what is in memory of histories, and what a start replays. A save
	// keeps appends waiting, some ten microseconds for each entry.
	saveEvery = 1000
	// saveSeldom is by how much more a start saves at once: nothing waits for it.
	saveSeldom = 50
	// saveAgain is how long after a failed save the next is tried.
	saveAgain = 5 * time.Second
)

// errMoved: the tables are at another position than this process has put them. Another
// process on the file has saved.
var errMoved = errors.New("projections: another process has saved the views")

// OpenSaved gives the views of the log up to where they were saved, and replays the rest.
// Where what is saved is not of this log, or of another format, it is thrown away. A save that
// fails later is reported, and tried again; nil is reported when one succeeds.
func OpenSaved(ctx context.Context, db *schema.SQLite, log Entries, report func(error)) (*Memory, error) {
	return openSaved(ctx, &saved{db: db, log: log, report: report, every: saveEvery})
}

func openSaved(ctx context.Context, s *saved) (*Memory, error) {
	m := NewMemory()
	m.saved = &saved{db: s.db, log: s.log, report: s.report, every: s.every * saveSeldom}
	var err error
	if m.folded, err = s.load(ctx); err != nil {
		return nil, fmt.Errorf("load the saved views: %w", err)
	}
	if err := m.Replay(ctx, s.log); err != nil {
		return nil, fmt.Errorf("replay the log: %w", err)
	}
	m.saved = s
	return m, m.saveIfDue(ctx)
}

// saveIfDue saves what was folded since the last save, if that is enough. A failure stops
// nothing: the entries are in the log.
func (m *Memory) saveIfDue(ctx context.Context) error {
	s := m.saved
	if m.position-m.kept < s.every || time.Since(s.failed) < saveAgain {
		return nil
	}
	err := m.save(ctx)
	if errors.Is(err, errMoved) {
		return m.load(ctx)
	}
	if err != nil && ctx.Err() != nil { // it was told to stop
		return nil
	}
	s.failed = time.Time{}
	if err != nil {
		s.failed = time.Now()
	}
	s.report(err)
	return nil
}

// save writes what is behind kept, and forgets what can be read from the log from now on.
func (m *Memory) save(ctx context.Context) error {
	tx, err := m.saved.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := writeFolded(ctx, tx, &m.folded); err != nil {
		return err
	}
	m.mu.Lock() // no read is between the commit and what follows
	defer m.mu.Unlock()
	if err := tx.Commit(); err != nil {
		return err
	}
	m.forget()
	return nil
}

// forget drops histories that are saved.
func (f *folded) forget() {
	for w := range f.changed {
		var open []*Prediction
		for _, p := range w.predictions {
			if p.State == domain.StateHeld {
				open = append(open, p)
			} else {
				delete(f.predictions, p.ID)
			}
		}
		w.predictions, w.lines = open, nil
	}
	clear(f.changed)
	clear(f.days)
	f.actions = nil
	f.kept = f.position
}

// load takes what another process has saved in place of what is in memory, at no earlier
// position. The writing lock is held.
func (m *Memory) load(ctx context.Context) error {
	other, err := openSaved(ctx, m.saved)
	if err != nil {
		return err
	}
	if at := m.at(); other.position < at {
		return fmt.Errorf("%w: the views hold position %d, and the log ends at %d", eventstore.ErrAhead, at, other.position)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.folded = other.folded
	for id, done := range m.ends {
		if m.open[id] == nil {
			close(done)
			delete(m.ends, id)
		}
	}
	close(m.moved)
	m.moved = make(chan struct{})
	return nil
}

// reload loads, unless the position of the tables that a read has found wrong is not the one
// that is expected any more.
func (m *Memory) reload(ctx context.Context, expected eventstore.Position) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	if m.kept != expected {
		return nil
	}
	return m.load(ctx)
}

// recall brings predictions into memory that a batch asks again or judges, and that may be in the tables only.
func (m *Memory) recall(ctx context.Context, batch []eventstore.Recorded) error {
	var ids []domain.PredictionID
	for _, rec := range batch {
		if rec.Position <= m.position {
			continue
		}
		id, named := verdictOf(rec.Event)
		if asks, ok := rec.Event.(domain.PredictionRequested); ok {
			id, named = asks.Prediction, true
		}
		if named && m.predictions[id] == nil {
			ids = append(ids, id)
		}
	}
	found, err := m.saved.named(ctx, m.kept, ids)
	if errors.Is(err, errMoved) {
		if err = m.load(ctx); err == nil {
			return m.recall(ctx, batch)
		}
	}
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range found {
		m.remember(p.Prediction)
	}
	return nil
}

// remember takes an ended prediction into memory, until the next save.
func (f *folded) remember(p Prediction) {
	w := f.wallets[p.User]
	list := make([]*Prediction, 0, len(w.predictions)+1)
	i := indexAt(w.predictions, p.Position)
	list = append(append(append(list, w.predictions[:i]...), &p), w.predictions[i:]...)
	w.predictions, f.predictions[p.ID] = list, &p
	f.touch(w)
}

// load reads what is saved, if it is of this log; else it throws it away. In its
// transaction no other process saves.
func (s *saved) load(ctx context.Context) (f folded, err error) {
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return folded{}, err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	fits, err := s.fits(ctx, tx, &f)
	if err == nil && fits {
		err = s.read(ctx, tx, &f)
	}
	if err == nil && !fits || errors.Is(err, eventstore.ErrCorrupt) {
		f.begin()
		err = empty(ctx, tx)
	}
	if err != nil {
		return folded{}, err
	}
	return f, tx.Commit()
}

// begin makes f that of an empty log, beside tables.
func (f *folded) begin() {
	*f = newFolded()
	f.changed = map[*wallet]struct{}{}
}

// fits reports whether what is saved has the format of this program, and ends with an
// entry of the log.
func (s *saved) fits(ctx context.Context, tx *sql.Tx, f *folded) (bool, error) {
	f.begin()
	var format int
	var leaf []byte
	if err := tx.QueryRowContext(ctx, `SELECT format, position, leaf FROM saved_views`).Scan(&format, &f.kept, &leaf); err != nil {
		return false, err
	}
	found, err := s.log.At(ctx, []eventstore.Position{f.kept})
	if err != nil {
		return false, err
	}
	last, there := found[f.kept]
	f.position, f.last = f.kept, last.Entry
	hash := eventstore.LeafHash(last.Entry)
	return there && format == savedFormat && string(hash[:]) == string(leaf), nil
}

// empty throws away what is saved.
func empty(ctx context.Context, tx *sql.Tx) error {
	for _, table := range []string{savedAccounts, savedLines, savedPredictions, savedSums, savedDays, savedActions} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `UPDATE saved_views SET format = ?, position = 0, leaf = x''`, savedFormat)
	return err
}

// sqlReader is a database or a transaction.
type sqlReader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// rowsOfQuery calls fn for each row of a query.
func rowsOfQuery(ctx context.Context, db sqlReader, fn func(*sql.Rows) error, query string, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
