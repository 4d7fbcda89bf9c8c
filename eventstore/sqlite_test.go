package eventstore_test

import (
	"errors"
	"path/filepath"
	"testing"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
)

// inFile opens stores on one database file, each with its own connections, as
// processes have.
func inFile(t testing.TB, file string) eventstoretest.Open {
	return func() *eventstore.Store {
		t.Helper()
		store, err := eventstore.SQLite(t.Context(), openFile(t, file))
		must(t, err)
		t.Cleanup(store.Close)
		return store
	}
}

func openFile(t testing.TB, file string) *schema.SQLite {
	t.Helper()
	db, err := schema.OpenSQLite(t.Context(), file)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

func newFile(t testing.TB) string { return filepath.Join(t.TempDir(), "kassa.db") }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSQLite(t *testing.T) {
	eventstoretest.Suite(t, func(t *testing.T) eventstoretest.Open { return inFile(t, newFile(t)) })
}

// The log refuses to be changed, by whoever comes with SQL.
func TestTriggersKeepTheLog(t *testing.T) {
	file := newFile(t)
	store := inFile(t, file)()
	_, err := store.Append(t.Context(), eventstoretest.NewWorkload(1, 3).Append(1))
	must(t, err)
	db := openFile(t, file)
	for _, change := range []string{
		`UPDATE events SET entry = x'00' WHERE position = 1`,
		`UPDATE events SET command = NULL`,
		`UPDATE OR REPLACE events SET position = 9 WHERE position = 1`,
		`DELETE FROM events`,
		`DELETE FROM events WHERE position = 1`,
		`REPLACE INTO events SELECT * FROM events WHERE position = 1`,
		`REPLACE INTO events SELECT (SELECT max(position) + 1 FROM events), stream, version, NULL, hashes, entry FROM events WHERE position = 1`,
		`REPLACE INTO events SELECT (SELECT max(position) + 1 FROM events), 'other', 1, command, hashes, entry FROM events WHERE position = 1`,
		`INSERT INTO events SELECT max(position) + 2, 'other', 1, NULL, hashes, entry FROM events`,
		`INSERT INTO events SELECT max(position) + 1, 'other', 2, NULL, hashes, entry FROM events`,
		`INSERT INTO events VALUES (9, 'other', 0, NULL, x'00', x'00')`,
		`INSERT INTO events VALUES (0, 'other', 1, NULL, x'00', x'00')`,
		`INSERT INTO events VALUES (9, 'other', 1, NULL, x'00', zeroblob(32769))`,
		`INSERT INTO head VALUES (2, 0, zeroblob(32))`,
		`UPDATE head SET root = x'00'`,
		`UPDATE head SET size = -1`,
	} {
		if _, err := db.Write.ExecContext(t.Context(), change); err == nil {
			t.Errorf("the database let somebody do this: %s", change)
		}
	}
	eventstoretest.CheckLog(t, store)
}

// A file that a newer Kassa migrated is left alone.
func TestNewerDatabaseIsRefused(t *testing.T) {
	file := newFile(t)
	db, err := schema.OpenSQLite(t.Context(), file)
	must(t, err)
	_, err = db.Write.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	must(t, err)
	must(t, db.Close())
	if _, err := schema.OpenSQLite(t.Context(), file); !errors.Is(err, schema.ErrNewer) {
		t.Errorf("a database of version 9999 gave %v", err)
	}
}

// A store does not start on a head that the tree does not have, and an auditor's
// does: to say what is wrong. That one changes nothing.
func TestStartOnACorruptHead(t *testing.T) {
	file := newFile(t)
	workload := eventstoretest.NewWorkload(1, 3)
	store := inFile(t, file)()
	_, err := store.Append(t.Context(), workload.Append(1))
	must(t, err)
	store.Close()
	db := openFile(t, file)
	for _, change := range []string{`UPDATE head SET root = zeroblob(32)`, `UPDATE head SET size = size + 1`, `UPDATE head SET size = 1`} {
		_, err := db.Write.ExecContext(t.Context(), change)
		must(t, err)
		if _, err := eventstore.SQLite(t.Context(), db); !errors.Is(err, eventstore.ErrCorrupt) {
			t.Errorf("after %s the store gave %v", change, err)
		}
	}
	reader, err := eventstore.ReadSQLite(db)
	must(t, err)
	defer reader.Close()
	if head, err := reader.Head(t.Context()); err != nil || head.Size != 1 {
		t.Errorf("the auditor reads the head %+v, %v", head, err)
	}
	if _, err := reader.Append(t.Context(), workload.Append(1)); !errors.Is(err, eventstore.ErrReadOnly) {
		t.Errorf("the auditor's store took an append: %v", err)
	}
}
