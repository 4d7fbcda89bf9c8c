package schematest

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// Backup keeps the log of a database as it is now. What it gives sets the log back to
// that, as the restore of a backup does, and leaves everything else: views, checkpoints and
// processes are then ahead of it.
func Backup(t testing.TB, url string) (restore func()) {
	t.Helper()
	owner, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = owner.Close(t.Context()) }) // its database goes with it
	exec := func(statement string) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	exec(`CREATE SCHEMA backup; CREATE TABLE backup.events AS TABLE events; CREATE TABLE backup.event_index AS TABLE event_index;
		CREATE TABLE backup.head AS TABLE head; CREATE TABLE backup.snapshots AS TABLE snapshots`)
	return func() {
		t.Helper()
		exec(`BEGIN; ` + triggers("DISABLE") + `;
			DELETE FROM events; DELETE FROM event_index; DELETE FROM head; DELETE FROM snapshots;
			INSERT INTO events TABLE backup.events; INSERT INTO event_index TABLE backup.event_index;
			INSERT INTO head TABLE backup.head; INSERT INTO snapshots TABLE backup.snapshots;
			` + triggers("ENABLE ALWAYS") + `; COMMIT`)
	}
}

// triggers switches those that keep the log, as the migrations leave them.
func triggers(how string) string {
	return `DO $$ DECLARE t record; BEGIN
		FOR t IN SELECT tgrelid::regclass AS log, tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid IN (
			SELECT relid FROM pg_partition_tree('events') UNION VALUES ('event_index'::regclass), ('head')) LOOP
			EXECUTE format('ALTER TABLE %s ` + how + ` TRIGGER %I', t.log, t.tgname);
		END LOOP; END $$`
}
