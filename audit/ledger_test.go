package audit_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"kassa/audit"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
)

// ledger is a closed database file with a workload in it.
type ledger struct {
	file string
	head eventstore.Head
}

// newLedger runs a workload of so many appends. Some of its users have long streams,
// with snapshots.
func newLedger(t testing.TB, seed uint64, appends int) ledger {
	t.Helper()
	ctx := t.Context()
	l := ledger{file: filepath.Join(t.TempDir(), "kassa.db")}
	store, shut := open(t, l.file)
	defer shut()
	workload := eventstoretest.NewWorkload(seed, 3)
	for range appends {
		_, err := workload.Step(ctx, store, 40)
		must(t, err)
	}
	eventstoretest.Eventually(t, "a snapshot", func() bool {
		n := 0
		must(t, store.Snapshots(ctx, func(eventstore.Snapshot) error { n++; return nil }))
		return n > 0
	})
	var err error
	l.head, err = store.Head(ctx)
	must(t, err)
	return l
}

// open opens a log for writing, until shut is called.
func open(t testing.TB, file string) (store *eventstore.Store, shut func()) {
	t.Helper()
	db, err := schema.OpenSQLite(t.Context(), file)
	must(t, err)
	store, err = eventstore.SQLite(t.Context(), db)
	must(t, err)
	return store, func() {
		store.Close()
		must(t, db.Close())
	}
}

// tampered returns a copy that was changed by these statements, in one session with all
// rights to the file.
func (l ledger) tampered(t testing.TB, change func(*sql.Conn)) ledger {
	t.Helper()
	content, err := os.ReadFile(l.file)
	must(t, err)
	l.file = filepath.Join(t.TempDir(), "tampered.db")
	must(t, os.WriteFile(l.file, content, 0o600))
	db, err := sql.Open("sqlite", l.file)
	must(t, err)
	defer db.Close()
	conn, err := db.Conn(t.Context())
	must(t, err)
	defer conn.Close()
	for _, first := range []string{`PRAGMA synchronous = OFF`, `DROP TRIGGER IF EXISTS events_no_update`, `DROP TRIGGER IF EXISTS events_no_delete`, `DROP TRIGGER IF EXISTS events_only_next`,
		`DROP INDEX IF EXISTS events_command`, `DROP INDEX IF EXISTS events_stream_version`, `PRAGMA ignore_check_constraints = 1`} {
		exec(t, conn, first)
	}
	change(conn)
	return l
}

// verify audits the file as `kassa verify` does: it opens it read-only.
func (l ledger) verify(t testing.TB, checks ...audit.Check) (audit.Report, error) {
	t.Helper()
	store := l.read(t)
	return audit.Verify(t.Context(), store, checks...)
}

func (l ledger) read(t testing.TB) *eventstore.Store {
	t.Helper()
	db, err := schema.OpenSQLiteReadOnly(t.Context(), l.file)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	store, err := eventstore.ReadSQLite(db)
	must(t, err)
	t.Cleanup(store.Close)
	return store
}

// stored returns the bytes of an entry and of its nodes.
func (l ledger) stored(t testing.TB, at eventstore.Position) (entry, nodes []byte) {
	t.Helper()
	must(t, l.read(t).Rows(t.Context(), at-1, func(rows []eventstore.Stored) error {
		if entry == nil {
			entry = rows[0].Recorded.Entry
			for _, node := range rows[0].Nodes {
				nodes = append(nodes, node[:]...)
			}
		}
		return nil
	}))
	return entry, nodes
}

// commands finds an entry with its command in the column, and one whose append began
// before it.
func (l ledger) commands(t testing.TB) (marked, unmarked eventstore.Position) {
	t.Helper()
	must(t, l.read(t).Rows(t.Context(), 20, func(rows []eventstore.Stored) error {
		for _, row := range rows {
			if row.Command != "" {
				marked = row.Position
			} else {
				unmarked = row.Position
			}
		}
		return nil
	}))
	return marked, unmarked
}

// snapshot finds a stored one, and its position.
func (l ledger) snapshot(t testing.TB) (eventstore.Stream, eventstore.Position) {
	t.Helper()
	store := l.read(t)
	var found eventstore.Snapshot
	must(t, store.Snapshots(t.Context(), func(s eventstore.Snapshot) error { found = s; return nil }))
	entry, err := store.Stream(t.Context(), found.Stream, found.Version-1, 1)
	must(t, err)
	return found.Stream, entry[0].Position
}

// faultAt checks that err is a fault at the position.
func faultAt(t testing.TB, err error, at eventstore.Position) {
	t.Helper()
	var f *audit.Fault
	if !errors.As(err, &f) {
		t.Fatalf("no fault was found at position %d: %v", at, err)
	}
	if f.Position != at {
		t.Fatalf("the fault is at position %d, found was %v", at, f)
	}
	if f.What == "" {
		t.Fatalf("the fault at position %d has no text", at)
	}
}

func exec(t testing.TB, conn *sql.Conn, query string, args ...any) {
	t.Helper()
	_, err := conn.ExecContext(context.Background(), query, args...)
	must(t, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
