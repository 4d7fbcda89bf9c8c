package eventstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kassa/audit/audittest"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
	"kassa/schema/schematest"
)

// inPostgres gives stores on one database, each with a pool of its own, as other
// processes would have.
func inPostgres(t *testing.T, url string) eventstoretest.Open {
	return func() *eventstore.Store {
		t.Helper()
		pool, err := schema.OpenPostgres(context.Background(), url, 8)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		store, err := eventstore.Postgres(t.Context(), pool)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(store.Close)
		return store
	}
}

func TestPostgresKeepsThePromises(t *testing.T) {
	eventstoretest.Suite(t, func(t *testing.T) eventstoretest.Open { return inPostgres(t, schematest.Postgres(t)) })
}

// The service's role cannot change what was written, and neither can a careless
// owner.
func TestPostgresLogCannotBeChanged(t *testing.T) {
	url := schematest.Postgres(t)
	store := inPostgres(t, url)()
	appendOne(t, store)
	owner, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	for _, statement := range []string{
		`UPDATE events SET entry = entry`, `DELETE FROM events`, `TRUNCATE events`,
		`UPDATE events_p0 SET entry = entry`, `DELETE FROM events_p0`, `TRUNCATE events_p0`,
		`UPDATE event_index SET version = version`, `DELETE FROM event_index`, `TRUNCATE event_index`,
	} {
		if _, err := owner.Exec(t.Context(), statement); sqlState(err) != "42501" {
			t.Errorf("the owner's %s: %v", statement, err)
		}
		if _, err := owner.Exec(t.Context(), `SET ROLE `+schema.AppRole); err != nil {
			t.Fatal(err)
		}
		if _, err := owner.Exec(t.Context(), statement); sqlState(err) != "42501" {
			t.Errorf("the service's %s: %v", statement, err)
		}
		if _, err := owner.Exec(t.Context(), `RESET ROLE`); err != nil {
			t.Fatal(err)
		}
	}
	audittest.CheckLedger(t, store)
}

func sqlState(err error) string {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return said.Code
	}
	return ""
}

// The head row's lock is what puts batches in order: while another session holds
// it, an append waits; when that session is killed, the append goes on.
func TestPostgresWaitsForTheHead(t *testing.T) {
	url := schematest.Postgres(t)
	store := inPostgres(t, url)()
	other, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(context.Background())
	if _, err := other.Exec(t.Context(), `BEGIN; SELECT * FROM head FOR UPDATE; UPDATE head SET size = 99`); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := store.Append(t.Context(), anAppend())
		done <- err
	}()
	killer, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer killer.Close(context.Background())
	var waiting bool
	for !waiting { // until the append stands in the queue of the lock
		if err := killer.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-done:
		t.Fatalf("an append did not wait for the head: %v", err)
	default:
	}
	if _, err := killer.Exec(t.Context(), `SELECT pg_terminate_backend($1)`, other.PgConn().PID()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	audittest.CheckLedger(t, store)
}

func TestPostgresPartitionsAreMadeAhead(t *testing.T) {
	url := schematest.Postgres(t)
	_ = inPostgres(t, url)()
	owner, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	var partitions int
	if err := owner.QueryRow(t.Context(), `SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass`).Scan(&partitions); err != nil || partitions < 3 {
		t.Errorf("%d partitions (%v)", partitions, err)
	}
}

func anAppend() eventstore.Append { return eventstoretest.NewWorkload(1, 3).Append(1) }

func appendOne(t *testing.T, store *eventstore.Store) {
	t.Helper()
	if _, err := store.Append(t.Context(), anAppend()); err != nil {
		t.Fatal(err)
	}
}
