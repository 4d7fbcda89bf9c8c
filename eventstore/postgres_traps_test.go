package eventstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/audit/audittest"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
	"kassa/schema/schematest"
)

// connect gives a session that is no store's.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// Somebody goes around the store and takes a version, or a command's name, in the
// middle of a batch. A version is a conflict, told by the name of its constraint;
// a unique violation of anything else is none.
func TestPostgresUniqueViolations(t *testing.T) {
	for name, tt := range map[string]struct {
		theirs   string
		conflict bool
	}{
		"of a version": {`INSERT INTO event_index (stream, version, position) VALUES ('s', 1, 1000000)`, true},
		"of a command": {`INSERT INTO event_index (stream, version, position, command) VALUES ('other', 9, 1000000, 'key')`, false},
		"of a place":   {`INSERT INTO event_index (stream, version, position) VALUES ('other', 9, 1)`, false},
	} {
		t.Run(name, func(t *testing.T) {
			url := schematest.Postgres(t)
			store := inPostgres(t, url)()
			around, watcher := connect(t, url), connect(t, url)
			_, err := around.Exec(t.Context(), `BEGIN; `+tt.theirs) // not seen by the batch, and in its way
			must(t, err)
			done := make(chan error, 1)
			go func() {
				_, err := store.Append(context.Background(), commanded(plain("s", 0, 1), "key", "x"))
				done <- err
			}()
			waitForLock(t, watcher)
			_, err = around.Exec(t.Context(), `COMMIT`)
			must(t, err)
			if err := <-done; err == nil || errors.Is(err, eventstore.ErrConflict) != tt.conflict {
				t.Errorf("the append gave %v", err)
			}
		})
	}
}

// The plan of an append is made once, on a log that is empty, and kept while it grows: no
// part of it may read the whole index.
func TestPostgresAppendsLookUpByIndex(t *testing.T) {
	conn := connect(t, schematest.Postgres(t))
	answer, err := conn.PgConn().Exec(t.Context(), `EXPLAIN (GENERIC_PLAN) `+eventstore.AppendUnused).ReadAll()
	must(t, err)
	var plan string
	for _, line := range answer[0].Rows {
		plan += string(line[0]) + "\n"
	}
	for _, index := range []string{"event_index_stream_version", "event_index_command"} {
		if !strings.Contains(plan, " using "+index) {
			t.Errorf("the plan does not use %s", index)
		}
	}
	if strings.Contains(plan, "Seq Scan on event_index") || t.Failed() {
		t.Errorf("the plan reads the whole index:\n%s", plan)
	}
}

// waitForLock returns when a session waits for another.
func waitForLock(t *testing.T, watcher *pgx.Conn) {
	t.Helper()
	eventstoretest.Eventually(t, "a session that waits for a lock", func() (waiting bool) {
		must(t, watcher.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waiting))
		return waiting
	})
}

// A process that is frozen, or whose network is cut, while it holds the head does not
// stall the others for long. When it goes on, it learns that its batch is not in the
// log, or does not know; the same command again finds out.
func TestPostgresFrozenProcessLetsGo(t *testing.T) {
	url := schematest.Postgres(t)
	other := inPostgres(t, url)()
	pool, err := schema.OpenPostgres(t.Context(), url, 4)
	must(t, err)
	t.Cleanup(pool.Close)
	store, faults, err := eventstore.OpenFaultsPostgres(t.Context(), pool)
	must(t, err)
	t.Cleanup(store.Close)
	frozen, thawed := make(chan struct{}), make(chan struct{})
	faults.Once(eventstore.BeforeCommit, func() error { close(frozen); <-thawed; return nil })
	a, done := commanded(plain("s", 0, 1), "key", "x"), make(chan error, 1)
	go func() { _, err := store.Append(context.Background(), a); done <- err }()
	<-frozen
	began := time.Now()
	_, err = other.Append(t.Context(), plain("other", 0, 1))
	must(t, err)
	if waited := time.Since(began); waited > time.Minute {
		t.Errorf("the others waited for %s", waited)
	}
	close(thawed)
	if err := <-done; !errors.Is(err, eventstore.ErrUnknown) {
		t.Errorf("the batch whose session is gone gave %v", err)
	}
	r, err := store.Append(t.Context(), a)
	must(t, err)
	if r.Replayed || r.Position() != 2 {
		t.Errorf("position %d, replayed %t", r.Position(), r.Replayed)
	}
	eventstoretest.CheckLog(t, other)
}

// A read that breaks off in the middle is an error, never a shorter list. Here the
// server breaks it off at the third row.
func TestPostgresReadsThatBreakOff(t *testing.T) {
	url := schematest.Postgres(t)
	store := inPostgres(t, url)()
	for i := range 6 {
		_, err := store.Append(t.Context(), plain("s", eventstore.Version(i), 1))
		must(t, err)
	}
	owner := connect(t, url)
	for _, statement := range []string{
		`CREATE FUNCTION breaks_off(p bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
			IF p = 3 THEN RAISE EXCEPTION 'the disk is gone'; END IF; RETURN p; END $$`,
		`ALTER TABLE events RENAME TO whole_events`, `ALTER TABLE event_index RENAME TO whole_index`,
		`CREATE VIEW events AS SELECT breaks_off(position) AS position, hashes, entry FROM whole_events`,
		`CREATE VIEW event_index AS SELECT stream, version, breaks_off(position) AS position, command FROM whole_index`,
		`GRANT SELECT ON events, event_index TO ` + schema.AppRole,
	} {
		_, err := owner.Exec(t.Context(), statement)
		must(t, err)
	}
	pool, err := schema.OpenPostgres(t.Context(), url, 4)
	must(t, err)
	t.Cleanup(pool.Close)
	broken, err := eventstore.ReadPostgres(pool)
	must(t, err)
	t.Cleanup(broken.Close)
	for name, read := range map[string]func() (int, error){
		"After":  func() (int, error) { list, err := broken.After(t.Context(), 0, 100); return len(list), err },
		"Stream": func() (int, error) { list, err := broken.Stream(t.Context(), "s", 0, 100); return len(list), err },
		"Nodes": func() (int, error) {
			list, err := broken.Nodes(t.Context()).ReadHashes([]int64{0, 3})
			return len(list), err
		},
		"Scan": func() (n int, err error) {
			err = broken.Scan(t.Context(), 0, func(page []eventstore.Recorded) error { n += len(page); return nil })
			return n, err
		},
	} {
		if n, err := read(); err == nil {
			t.Errorf("%s read %d entries of 6, and says nothing", name, n)
		}
	}
}

// Notifications are a hint: where every one of them gets lost, what another process
// appended is found by looking.
func TestPostgresNotificationsGetLost(t *testing.T) {
	url := schematest.Postgres(t)
	other := inPostgres(t, url)()
	pool, err := schema.OpenPostgres(t.Context(), url, 4)
	must(t, err)
	t.Cleanup(pool.Close)
	store, err := eventstore.OpenUnnotified(t.Context(), pool)
	must(t, err)
	t.Cleanup(store.Close)
	for at := range eventstore.Position(3) {
		found := make(chan error, 1)
		go func() { found <- store.Wait(t.Context(), at) }()
		_, err := other.Append(t.Context(), plain("s", eventstore.Version(at), 1))
		must(t, err)
		must(t, <-found)
	}
}

// A replica, or a database that takes no writes, is no place to decide anything:
// the store does not open there.
func TestPostgresReplicaIsRefused(t *testing.T) {
	url := schematest.Postgres(t)
	appendOne(t, inPostgres(t, url)())
	owner := connect(t, url)
	_, err := owner.Exec(t.Context(), `ALTER DATABASE `+pgx.Identifier{owner.Config().Database}.Sanitize()+` SET default_transaction_read_only = on`)
	must(t, err)
	pool, err := schema.OpenPostgres(t.Context(), url, 4)
	must(t, err)
	t.Cleanup(pool.Close)
	if _, err := eventstore.Postgres(t.Context(), pool); !errors.Is(err, eventstore.ErrReadOnly) {
		t.Errorf("a store that decides was opened there: %v", err)
	}
	reading, err := schema.OpenPostgresReadOnly(t.Context(), url, 4)
	must(t, err)
	t.Cleanup(reading.Close)
	reader, err := eventstore.ReadPostgres(reading) // an audit may read it
	must(t, err)
	t.Cleanup(reader.Close)
	audittest.CheckLedger(t, reader)
}
