package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"kassa/audit/audittest"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
	"kassa/schema/schematest"
)

// Where in a transaction the database fails decides what its caller is told: before
// the commit was sent nothing can have happened, and an error of severity ERROR, which
// rolls back, proves the same at the commit. Only after a session that broke at the
// commit is the outcome unknown.
func TestOutcomeOfDatabaseFaults(t *testing.T) {
	url := schematest.Postgres(t)
	owner, err := pgx.Connect(t.Context(), url)
	must(t, err)
	t.Cleanup(func() { _ = owner.Close(context.Background()) })
	exec := func(statement string, args ...any) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), statement, args...); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	seed := uint64(0)
	for _, tt := range []struct {
		name    string
		fault   string // what the owner does before the append
		during  string // and while it waits for a lock; $1 is its session
		mend    string
		want    schema.Fault
		unknown [2]bool // by whether the process takes the head's lock, or appends on condition
	}{
		{name: "a lock timeout", fault: `BEGIN; SELECT * FROM head FOR UPDATE`, mend: `ROLLBACK`, want: schema.Busy},
		{name: "the server ends the session", fault: `BEGIN; SELECT * FROM head FOR UPDATE`, mend: `ROLLBACK`,
			during: `SELECT pg_terminate_backend($1)`, want: schema.Away, unknown: [2]bool{false, true}},
		{name: "the owner cancels the statement", fault: `BEGIN; SELECT * FROM head FOR UPDATE`, mend: `ROLLBACK`,
			during: `SELECT pg_cancel_backend($1)`, want: schema.Busy},
		{name: "a full disk", fault: onInsert("BEFORE INSERT", "53100"), mend: `DROP TRIGGER fails ON event_index`, want: schema.Full},
		{name: "a full disk at the commit", fault: onInsert("AFTER INSERT", "53100"), mend: `DROP TRIGGER fails ON event_index`, want: schema.Full},
		{name: "a deadlock, each time", fault: onInsert("BEFORE INSERT", "40P01"), mend: `DROP TRIGGER fails ON event_index`, want: schema.Raced},
		{name: "a serialization failure at the commit, each time", fault: onInsert("AFTER INSERT", "40001"), mend: `DROP TRIGGER fails ON event_index`, want: schema.Raced},
		{name: "a commit of which the server does not know", fault: onInsert("AFTER INSERT", "40003"), mend: `DROP TRIGGER fails ON event_index`,
			want: schema.Away, unknown: [2]bool{true, true}},
	} {
		for i, way := range []string{"under the head's lock", "on condition"} {
			t.Run(tt.name+", "+way, func(t *testing.T) {
				patience := map[bool]string{true: "2000", false: "0"}[tt.during == ""] // in milliseconds
				exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lock_timeout = ` + patience + `', current_database()); END $$`)
				seed += 2
				store, workload := inPostgres(t, url)(), eventstoretest.NewWorkload(seed, 5)
				append1(t, store, workload)
				append1(t, store, workload) // from here on it appends on condition
				if i == 0 {
					append1(t, inPostgres(t, url)(), eventstoretest.NewWorkload(seed+1, 5))
				}
				before := audittest.CheckLedger(t, store).Head
				a := workload.Append(2)
				exec(tt.fault)
				done := make(chan error, 1)
				go func() {
					_, err := store.Append(t.Context(), a)
					done <- err
				}()
				if tt.during != "" {
					exec(tt.during, waitsForALock(t, owner))
				}
				err = <-done
				if schema.FaultOf(err) != tt.want || errors.Is(err, eventstore.ErrUnknown) != tt.unknown[i] {
					t.Errorf("the append gave %v; want the fault %v, unknown %t", err, tt.want, tt.unknown[i])
				}
				exec(tt.mend)
				if after := audittest.CheckLedger(t, store).Head; after != before {
					t.Errorf("the log went from %d to %d entries", before.Size, after.Size)
				}
				if r, err := store.Append(t.Context(), a); err != nil || r.Replayed {
					t.Errorf("the same command again gave replayed %t, %v", r.Replayed, err)
				}
				audittest.CheckLedger(t, store)
			})
		}
	}
}

// onInsert lets an append fail with the code as its rows are written, or as its
// transaction ends.
func onInsert(moment, code string) string {
	deferred := ""
	if moment == "AFTER INSERT" {
		deferred = "DEFERRABLE INITIALLY DEFERRED"
	}
	kind := map[string]string{"": "", "DEFERRABLE INITIALLY DEFERRED": "CONSTRAINT"}[deferred]
	return fmt.Sprintf(`CREATE OR REPLACE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN RAISE EXCEPTION 'made up' USING ERRCODE = '%s'; END $$;
		CREATE %s TRIGGER fails %s ON event_index %s FOR EACH ROW EXECUTE FUNCTION fails()`, code, kind, moment, deferred)
}

// waitsForALock gives the session that waits for one, as soon as one does.
func waitsForALock(t *testing.T, owner *pgx.Conn) (session int32) {
	t.Helper()
	eventstoretest.Eventually(t, "a session that waits for a lock", func() bool {
		_, err := owner.Exec(t.Context(), `SELECT pg_stat_clear_snapshot()`)
		must(t, err)
		err = owner.QueryRow(t.Context(), `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&session)
		return err == nil
	})
	return session
}

// The same of SQLite, with another process that holds the file, and with a file that
// cannot grow.
func TestOutcomeOfFileFaults(t *testing.T) {
	for i, way := range []string{"under the head's lock", "on condition"} {
		t.Run(way, func(t *testing.T) {
			file := newFile(t)
			db, other := openFile(t, file), openFile(t, file)
			_, err := db.Write.ExecContext(t.Context(), `PRAGMA busy_timeout = 50`)
			must(t, err)
			store, err := eventstore.SQLite(t.Context(), db)
			must(t, err)
			t.Cleanup(store.Close)
			workload, others := eventstoretest.NewWorkload(1, 200), eventstoretest.NewWorkload(2, 5)
			append1(t, store, workload)
			if i == 0 {
				append1(t, inFile(t, file)(), others)
			}
			a := workload.Append(400) // more than fits into the pages that the file has
			for ; len(a.Writes[len(a.Writes)-1].Events) < 400; a = workload.Append(400) {
				_, err := store.Append(t.Context(), a)
				must(t, err)
			}
			fails := func(want schema.Fault) {
				t.Helper()
				before := audittest.CheckLedger(t, store).Head
				if _, err := store.Append(t.Context(), a); schema.FaultOf(err) != want || errors.Is(err, eventstore.ErrUnknown) {
					t.Errorf("the append gave %v; want the fault %v", err, want)
				}
				if after := audittest.CheckLedger(t, store).Head; after != before {
					t.Errorf("the log went from %d to %d entries", before.Size, after.Size)
				}
			}
			tx, err := other.Write.BeginTx(t.Context(), nil)
			must(t, err)
			fails(schema.Busy)
			must(t, tx.Rollback())

			_, err = db.Write.ExecContext(t.Context(), `PRAGMA max_page_count = 1`) // as many as there are
			must(t, err)
			fails(schema.Full)
			_, err = db.Write.ExecContext(t.Context(), `PRAGMA max_page_count = 1000000`)
			must(t, err)
			if r, err := store.Append(t.Context(), a); err != nil || r.Replayed {
				t.Errorf("the same command again gave replayed %t, %v", r.Replayed, err)
			}
			audittest.CheckLedger(t, store)
		})
	}
}
