// Package schematest gives tests a PostgreSQL database of their own.
package schematest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/schema"
)

// Server is the address of the database server for tests. A test that needs one
// fails where there is none: a test that was left out proves nothing.
func Server(t testing.TB) string {
	t.Helper()
	server := os.Getenv("KASSA_DATABASE_URL")
	if server == "" {
		t.Fatal("this test needs PostgreSQL, and KASSA_DATABASE_URL is not set: run it with go tool task test, or after eval \"$(docker/services env)\"")
	}
	return server
}

// Postgres makes a database, migrates it to this binary's version, and gives its
// address. It is dropped, with its connections, when the test ends.
func Postgres(t testing.TB) string {
	t.Helper()
	database := Empty(t)
	if _, err := schema.MigratePostgres(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	return database
}

// Empty is Postgres without the migrations.
func Empty(t testing.TB) string {
	t.Helper()
	server := Server(t)
	at, err := url.Parse(server)
	if err != nil {
		t.Fatal("KASSA_DATABASE_URL is not a postgres:// URL")
	}
	name := "kassa_test_" + strings.ToLower(rand.Text())
	if err := onServer(server, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := onServer(server, "DROP DATABASE "+name+" WITH (FORCE)")
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == "42501" {
			// The server's own vacuum was at work in it: force may not end that, and a
			// plain drop does.
			err = onServer(server, "DROP DATABASE "+name)
		}
		if err != nil {
			t.Error(err)
		}
	})
	at.Path = "/" + name
	return at.String()
}

// Service makes a login that may do what the service may and no more, as the one in
// production does, and gives the database's address with it.
func Service(t testing.TB, database string) string {
	t.Helper()
	return login(t, database, "service", schema.AppRole)
}

// Auditor is Service for a login of auditors.
func Auditor(t testing.TB, database string) string {
	t.Helper()
	return login(t, database, "auditor", schema.AuditorRole)
}

func login(t testing.TB, database, kind, role string) string {
	t.Helper()
	at, err := url.Parse(database)
	if err != nil {
		t.Fatal("the database's address is not a postgres:// URL")
	}
	name, password := "kassa_test_"+kind+"_"+strings.ToLower(rand.Text()), rand.Text()
	if err := onServer(database, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s' IN ROLE %s", name, password, role)); err != nil {
		t.Fatal(err)
	}
	DropRole(t, database, name)
	at.User = url.UserPassword(name, password)
	return at.String()
}

// DropRole drops a role of the server, and what it was granted in the database, when
// the test ends.
func DropRole(t testing.TB, database, name string) {
	t.Helper()
	t.Cleanup(func() {
		for _, statement := range []string{"GRANT " + name + " TO CURRENT_USER", "DROP OWNED BY " + name, "DROP ROLE " + name} {
			if err := onServer(database, statement); err != nil {
				t.Error(err)
			}
		}
	})
}

// ThroughPooler gives the address of a database by way of PgBouncer in transaction mode,
// for the same login.
func ThroughPooler(t testing.TB, database string) string {
	t.Helper()
	pooler, err := url.Parse(os.Getenv("KASSA_PGBOUNCER_URL"))
	if err != nil || pooler.Host == "" {
		t.Fatal("this test needs PgBouncer, and KASSA_PGBOUNCER_URL is not set: run it with go tool task test, or after eval \"$(docker/services env)\"")
	}
	at, err := url.Parse(database)
	if err != nil {
		t.Fatal("the database's address is not a postgres:// URL")
	}
	at.Host = pooler.Host
	return at.String()
}

// Pooled makes a database as Postgres does, by way of PgBouncer. It gives the owner's
// direct address, and that of a login like Service's by way of the pooler, which works
// in the service's role by itself.
func Pooled(t testing.TB) (owner, service string) {
	t.Helper()
	// The login outlives the database: the pooler keeps sessions of it, and those of a
	// login that is gone could not be ended.
	server := Server(t)
	pooled, err := url.Parse(Service(t, server))
	if err != nil {
		t.Fatal("the service's address is not a postgres:// URL")
	}
	name := pooled.User.Username()
	if err := onServer(server, "ALTER ROLE "+name+" SET role = "+schema.AppRole+"; GRANT "+name+" TO CURRENT_USER"); err != nil {
		t.Fatal(err)
	}
	owner = Empty(t)
	if _, err := schema.MigratePostgres(t.Context(), ThroughPooler(t, owner)); err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(owner)
	if err != nil {
		t.Fatal("the database's address is not a postgres:// URL")
	}
	pooled.Path = at.Path
	return owner, ThroughPooler(t, pooled.String())
}

func onServer(server, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return fmt.Errorf("the database server for tests cannot be reached: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// Pool makes a database as Postgres does, and opens it as the service would, with
// that many connections.
func Pool(t testing.TB, conns int32) *pgxpool.Pool {
	t.Helper()
	pool, err := schema.OpenPostgres(t.Context(), Postgres(t), conns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}
