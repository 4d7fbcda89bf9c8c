package projections

import (
	"context"

	"kassa/eventstore"
	"kassa/schema"
)

// OpenSavedEvery is OpenSaved with saves after so many entries.
func OpenSavedEvery(ctx context.Context, db *schema.SQLite, log Entries, every eventstore.Position, report func(error)) (*Memory, error) {
	return openSaved(ctx, &saved{db: db, log: log, report: report, every: every})
}

// Save saves at once.
func (m *Memory) Save(ctx context.Context) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	return m.save(ctx)
}

// InMemory counts what is in memory of histories: lines, and predictions.
func (m *Memory) InMemory() (lines, predictions int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, w := range m.users {
		lines, predictions = lines+len(w.lines), predictions+len(w.predictions)
	}
	return lines, predictions
}

// SaveUncommitted calls fn when everything of a save is written but its commit, and takes
// it back.
func (m *Memory) SaveUncommitted(ctx context.Context, fn func()) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	tx, err := m.saved.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := writeFolded(ctx, tx, &m.folded); err != nil {
		return err
	}
	fn()
	return tx.Rollback()
}

// SavedCourse reads days from the tables: ?1 and ?2 are the first and the one behind the last.
const SavedCourse = savedCourse
