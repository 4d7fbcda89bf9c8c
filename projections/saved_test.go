package projections_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kassa/audit/audittest"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/projections"
	"kassa/schema"
)

func openFile(t testing.TB) *schema.SQLite {
	t.Helper()
	return reopen(t, filepath.Join(t.TempDir(), "kassa.db"))
}

func reopen(t testing.TB, path string) *schema.SQLite {
	t.Helper()
	db, err := schema.OpenSQLite(t.Context(), path)
	fatal(t, err)
	t.Cleanup(func() { fatal(t, db.Close()) })
	return db
}

// openSaved opens saved views, of which no save may fail.
func openSaved(t testing.TB, db *schema.SQLite, log projections.Entries, every eventstore.Position) *projections.Memory {
	t.Helper()
	views, err := projections.OpenSavedEvery(t.Context(), db, log, every, func(err error) {
		if err != nil {
			t.Errorf("the views are not saved: %v", err)
		}
	})
	fatal(t, err)
	return views
}

// savedLedger is a ledger in one file, with a workload.
type savedLedger struct {
	path     string
	db       *schema.SQLite
	store    *eventstore.Store
	workload *eventstoretest.Workload
}

func newSavedLedger(t testing.TB) savedLedger {
	t.Helper()
	l := savedLedger{path: filepath.Join(t.TempDir(), "kassa.db"), workload: eventstoretest.NewWorkload(11, 5)}
	l.db = reopen(t, l.path)
	var err error
	l.store, err = eventstore.SQLite(t.Context(), l.db)
	fatal(t, err)
	t.Cleanup(func() { audittest.CheckLedger(t, l.store); l.store.Close() })
	return l
}

func (l savedLedger) grow(t testing.TB, appends int) {
	t.Helper()
	for range appends {
		_, err := l.workload.Step(t.Context(), l.store, 8)
		fatal(t, err)
	}
}

// shows insists that views show what a replay of the whole log does.
func shows(t testing.TB, what string, views *projections.Memory, log projections.Events) {
	t.Helper()
	want := projections.NewMemory()
	fatal(t, want.Replay(t.Context(), log))
	if err := audittest.CompareViews(t.Context(), views, want); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// What is in memory does not grow with the log: histories are saved, and open predictions stay.
func TestSavedHistoriesAreNotInMemory(t *testing.T) {
	l := newSavedLedger(t)
	views := openSaved(t, l.db, l.store, 50)
	for range 8 {
		l.grow(t, 20)
		fatal(t, views.Replay(t.Context(), l.store))
	}
	fatal(t, views.Save(t.Context()))
	head, err := l.store.Head(t.Context())
	fatal(t, err)
	open, err := views.OpenHolds(t.Context(), eventstore.Earliest.AddDate(100, 0, 0), 1000)
	fatal(t, err)
	if lines, predictions := views.InMemory(); lines != 0 || predictions != len(open) || len(open) == 0 {
		t.Errorf("of %d entries, %d lines and %d predictions are in memory; %d are open", head.Size, lines, predictions, len(open))
	}
	shows(t, "views of which everything is saved", views, l.store)
	shows(t, "views that were opened again", openSaved(t, l.db, l.store, 50), l.store)
}

// A crash in the middle of a save leaves the save before it, and one behind the commit the new
// one: whichever a start finds, it shows the log.
func TestSavedViewsAfterACrash(t *testing.T) {
	l := newSavedLedger(t)
	l.grow(t, 40)
	views := openSaved(t, l.db, l.store, 1<<40)
	fatal(t, views.Save(t.Context()))
	before := positionOfSaved(t, l.db)
	l.grow(t, 40)
	fatal(t, views.Replay(t.Context(), l.store))
	fatal(t, views.SaveUncommitted(t.Context(), func() { crashed(t, l.path, before) }))
	fatal(t, views.Save(t.Context()))
	at, err := views.Position(t.Context())
	fatal(t, err)
	crashed(t, l.path, at)
}

// crashed opens a copy of the files of a running process, as a crash would leave them.
func crashed(t *testing.T, from string, saved eventstore.Position) {
	t.Helper()
	to := filepath.Join(t.TempDir(), "kassa.db")
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(from + suffix)
		fatal(t, err)
		fatal(t, os.WriteFile(to+suffix, content, 0o600))
	}
	db := reopen(t, to)
	store, err := eventstore.SQLite(t.Context(), db)
	fatal(t, err)
	defer store.Close()
	if at := positionOfSaved(t, db); at != saved || saved == 0 {
		t.Errorf("the views are saved up to position %d, want %d", at, saved)
	}
	views := openSaved(t, db, store, 1<<40)
	shows(t, fmt.Sprintf("after a crash with views saved up to position %d", saved), views, store)
	audittest.CheckLedger(t, store)
}

func positionOfSaved(t testing.TB, db *schema.SQLite) (at eventstore.Position) {
	t.Helper()
	fatal(t, db.Read.QueryRowContext(t.Context(), `SELECT position FROM saved_views`).Scan(&at))
	return at
}

// What is saved of another log, in another format, or without what it is about, is thrown
// away and made again.
func TestSavedViewsThatDoNotFit(t *testing.T) {
	l := newSavedLedger(t)
	l.grow(t, 60)
	for what, change := range map[string]string{
		"nothing":                        `SELECT 1`,
		"another leaf":                   `UPDATE saved_views SET leaf = zeroblob(32)`,
		"another format":                 `UPDATE saved_views SET format = 99`,
		"an entry that is not there":     `UPDATE saved_views SET position = 1000000`,
		"open predictions that are none": `UPDATE saved_predictions SET position = position + 1000000, state = 'held'`,
		"no accounts":                    `DELETE FROM saved_accounts`,
	} {
		fatal(t, openSaved(t, l.db, l.store, 1).Save(t.Context()))
		_, err := l.db.Write.ExecContext(t.Context(), change)
		fatal(t, err)
		shows(t, "after "+what+" was changed", openSaved(t, l.db, l.store, 1), l.store)
	}
}

// Two processes on a file save in turn, and each goes on with what the other has saved: also
// a read that finds the tables elsewhere.
func TestTwoProcessesSaveTheViews(t *testing.T) {
	l := newSavedLedger(t)
	l.grow(t, 40)
	other := reopen(t, l.path)
	one, two := openSaved(t, l.db, l.store, 30), openSaved(t, other, l.store, 30)
	for round := range 6 {
		l.grow(t, 12)
		saves, reads := one, two
		if round%2 == 1 {
			saves, reads = two, one
		}
		fatal(t, saves.Replay(t.Context(), l.store))
		shows(t, "who saves", saves, l.store)
		for range 2 {
			fatal(t, reads.Replay(t.Context(), l.store))
			shows(t, "who reads", reads, l.store)
		}
	}
}

// A save that fails stops nothing: it is reported, and the next one has everything.
func TestASaveThatFails(t *testing.T) {
	l := newSavedLedger(t)
	l.grow(t, 30)
	var reported []error
	views, err := projections.OpenSavedEvery(t.Context(), l.db, l.store, 1, func(err error) { reported = append(reported, err) })
	fatal(t, err)
	before := positionOfSaved(t, l.db)
	_, err = l.db.Write.ExecContext(t.Context(), `CREATE TRIGGER full BEFORE INSERT ON saved_lines BEGIN SELECT RAISE(ABORT, 'full'); END`)
	fatal(t, err)
	reported = nil
	l.grow(t, 30)
	fatal(t, views.Replay(t.Context(), l.store))
	shows(t, "views that are not saved", views, l.store)
	if len(reported) != 1 || reported[0] == nil || positionOfSaved(t, l.db) != before {
		t.Errorf("reported were %v, the views are saved up to %d", reported, positionOfSaved(t, l.db))
	}
	_, err = l.db.Write.ExecContext(t.Context(), `DROP TRIGGER full`)
	fatal(t, err)
	fatal(t, views.Save(t.Context()))
	shows(t, "views that are saved again", views, l.store)
	shows(t, "views that were opened again", openSaved(t, l.db, l.store, 1), l.store)
}

// A question that was asked and answered long ago, and whose id comes again, is found broken.
func TestSavedPredictionAskedAgain(t *testing.T) {
	l := newSavedLedger(t)
	l.grow(t, 60)
	views := openSaved(t, l.db, l.store, 1)
	fatal(t, views.Save(t.Context()))
	var asked domain.Event
	fatal(t, l.store.Scan(t.Context(), 0, func(list []eventstore.Recorded) error {
		for _, rec := range list {
			if e, ok := rec.Event.(domain.PredictionCompleted); ok {
				asked = domain.PredictionRequested{User: e.User, Prediction: e.Prediction, Price: 5, Limit: 1}
			}
		}
		return nil
	}))
	at, err := views.Position(context.Background())
	fatal(t, err)
	again := entry(t, at+1, eventstore.AccountStream(asked.Subject()), asked)
	if err := views.Apply([]eventstore.Recorded{again}); !errors.Is(err, domain.ErrBroken) {
		t.Errorf("it gave %v", err)
	}
}

// What persons had before some days is read without all else of the days before.
func TestSavedLevelsAreReadByAnIndex(t *testing.T) {
	rows, err := openFile(t).Read.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+projections.SavedCourse, 20000, 20001)
	fatal(t, err)
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		fatal(t, rows.Scan(&id, &parent, &unused, &step))
		steps = append(steps, step)
	}
	fatal(t, rows.Err())
	if plan := strings.Join(steps, "\n"); !strings.Contains(plan, "INDEX saved_days_levels") {
		t.Errorf("the plan is\n%s", plan)
	}
}
