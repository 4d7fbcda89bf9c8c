package schema_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/schema"
	"kassa/schema/schematest"
)

// wantMissing checks that exactly one guard is missing, and that it is named.
func wantMissing(t *testing.T, missing []string, err error, name string) {
	t.Helper()
	must(t, err)
	if len(missing) != 1 || !strings.Contains(missing[0], name) {
		t.Errorf("missing is %q, want one that names %q", missing, name)
	}
}

// The owner of the database can remove the guards of the log: each removal is detected.
func TestMissingGuardsPostgres(t *testing.T) {
	url := schematest.Postgres(t)
	pool, err := pgxpool.New(t.Context(), url) // as the database's owner
	must(t, err)
	t.Cleanup(pool.Close)
	exec := func(statement string) {
		t.Helper()
		_, err := pool.Exec(t.Context(), statement)
		must(t, err)
	}
	none := func() {
		t.Helper()
		if missing, err := schema.MissingGuardsPostgres(t.Context(), pool); err != nil || len(missing) > 0 {
			t.Fatalf("of a new database %q are missing, %v", missing, err)
		}
	}
	none()
	// All triggers on the log, as listed by the database, so that none is left out
	// here.
	rows, err := pool.Query(t.Context(), `SELECT tgrelid::regclass::text, tgname::text, pg_get_triggerdef(oid) FROM pg_trigger
		WHERE NOT tgisinternal AND (tgrelid::regclass::text IN ('events', 'event_index', 'head', 'archives', 'archived_events', 'archived_accounts') OR tgrelid::regclass::text LIKE 'events\_p%')`)
	must(t, err)
	var triggers [][3]string
	for rows.Next() {
		var one [3]string
		must(t, rows.Scan(&one[0], &one[1], &one[2]))
		triggers = append(triggers, one)
	}
	must(t, rows.Err())
	if len(triggers) < 10 {
		t.Fatalf("there are %d triggers", len(triggers))
	}
	for _, one := range triggers {
		table, name := one[0], one[1]
		for _, state := range []string{"DISABLE TRIGGER", "ENABLE TRIGGER", "ENABLE REPLICA TRIGGER"} {
			exec(`ALTER TABLE ` + table + ` ` + state + ` ` + name)
			missing, err := schema.MissingGuardsPostgres(t.Context(), pool)
			wantMissing(t, missing, err, table+" "+name+" is disabled")
		}
		exec(`DROP TRIGGER ` + name + ` ON ` + table)
		missing, err := schema.MissingGuardsPostgres(t.Context(), pool)
		wantMissing(t, missing, err, "the trigger "+table+" "+name)
		exec(one[2])
		exec(`ALTER TABLE ` + table + ` ENABLE ALWAYS TRIGGER ` + name)
	}
	none()
	for _, tt := range []struct{ do, undo, name string }{
		{`CREATE TRIGGER extra BEFORE INSERT ON events_p0 FOR EACH ROW EXECUTE FUNCTION refuse_change()`, `DROP TRIGGER extra ON events_p0`, "events_p0 extra is none of ours"},
		{`DROP INDEX event_index_command`, `CREATE UNIQUE INDEX event_index_command ON event_index (command) INCLUDE (position) WHERE command IS NOT NULL`, "event_index_command"},
		{`DROP INDEX event_index_position`, `CREATE INDEX event_index_position ON event_index (position)`, "event_index_position"},
		{`SELECT 1`, `DROP INDEX event_index_position; CREATE UNIQUE INDEX event_index_position ON event_index (position)`, "event_index_position"}, // it was not unique
		{`ALTER TABLE event_index DROP CONSTRAINT event_index_stream_version`, `ALTER TABLE event_index ADD CONSTRAINT event_index_stream_version PRIMARY KEY (stream, version) INCLUDE (position)`, "event_index_stream_version"},
		{`ALTER TABLE events DROP CONSTRAINT events_pkey`, `ALTER TABLE events ADD PRIMARY KEY (position)`, "events_pkey"},
		{`ALTER TABLE head DROP CONSTRAINT head_pkey`, `ALTER TABLE head ADD PRIMARY KEY (one)`, "head_pkey"},
	} {
		exec(tt.do)
		missing, err := schema.MissingGuardsPostgres(t.Context(), pool)
		wantMissing(t, missing, err, tt.name)
		exec(tt.undo)
	}
	none()
	for _, name := range []string{"refuse_change", "only_next"} {
		var made string
		must(t, pool.QueryRow(t.Context(), `SELECT pg_get_functiondef($1::regproc)`, name).Scan(&made))
		exec(`CREATE OR REPLACE FUNCTION ` + name + `() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`)
		missing, err := schema.MissingGuardsPostgres(t.Context(), pool)
		wantMissing(t, missing, err, "the function "+name)
		exec(made)
	}
	none()
}

// The same for a file.
func TestMissingGuardsSQLite(t *testing.T) {
	ctx := context.Background()
	db, err := schema.OpenSQLite(ctx, filepath.Join(t.TempDir(), "kassa.db"))
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	exec := func(statement string) {
		t.Helper()
		_, err := db.Write.ExecContext(ctx, statement)
		must(t, err)
	}
	none := func() {
		t.Helper()
		if missing, err := schema.MissingGuardsSQLite(ctx, db.Read); err != nil || len(missing) > 0 {
			t.Fatalf("of a new ledger %q are missing, %v", missing, err)
		}
	}
	none()
	rows, err := db.Read.QueryContext(ctx, `SELECT type, name, sql FROM sqlite_schema WHERE tbl_name = 'events' AND type <> 'table'`)
	must(t, err)
	defer rows.Close()
	var objects [][3]string
	for rows.Next() {
		var one [3]string
		must(t, rows.Scan(&one[0], &one[1], &one[2]))
		objects = append(objects, one)
	}
	must(t, rows.Err())
	if len(objects) != 5 {
		t.Fatalf("there are %d triggers and indexes on the log", len(objects))
	}
	for _, one := range objects {
		exec(`DROP ` + one[0] + ` ` + one[1])
		missing, err := schema.MissingGuardsSQLite(ctx, db.Read)
		wantMissing(t, missing, err, "the "+one[0]+" "+one[1])
		exec(one[2])
	}
	none()
	for _, tt := range []struct{ do, undo, name string }{
		{`DROP TRIGGER events_no_update; CREATE TRIGGER events_no_update BEFORE UPDATE ON events WHEN NEW.position < 0 BEGIN SELECT RAISE(ABORT, 'no'); END`,
			`DROP TRIGGER events_no_update; ` + statementOf(objects, "events_no_update"), "events_no_update is not as it was made"},
		{`CREATE TRIGGER extra AFTER UPDATE ON head BEGIN SELECT 1; END`, `DROP TRIGGER extra`, "extra is none of ours"},
		{`ALTER TABLE events ADD COLUMN more TEXT`, `ALTER TABLE events DROP COLUMN more`, "table events is not as it was made"},
	} {
		exec(tt.do)
		missing, err := schema.MissingGuardsSQLite(ctx, db.Read)
		wantMissing(t, missing, err, tt.name)
		exec(tt.undo)
	}
}

func statementOf(objects [][3]string, name string) string {
	for _, one := range objects {
		if one[1] == name {
			return one[2]
		}
	}
	return ""
}
