package schema_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"kassa/schema"
	"kassa/schema/schematest"
)

// A pooler is recognised automatically. Through it no session settings are made and
// nothing is prepared, because the session is shared with other clients.
func TestThroughAPooler(t *testing.T) {
	ctx := t.Context()
	owner, service := schematest.Pooled(t) // the schema was migrated through the pooler
	if plan, err := schema.PlanPostgres(ctx, schematest.ThroughPooler(t, owner)); err != nil || len(plan) > 0 {
		t.Fatalf("the database waits for %v, %v", plan, err)
	}
	for address, want := range map[string]bool{owner: true, service: false} {
		conn, err := pgx.Connect(ctx, address)
		must(t, err)
		if own, err := schema.OwnsSession(ctx, conn); own != want || err != nil {
			t.Errorf("a session of its own: %t, %v; want %t", own, err, want)
		}
		must(t, conn.Close(ctx))
	}
	for _, address := range []string{service, owner + "&default_query_exec_mode=exec"} {
		pool, err := schema.OpenPostgres(ctx, address, 4)
		must(t, err)
		defer pool.Close()
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				for range 20 {
					var role string
					var prepared int
					err := pool.QueryRow(ctx, `SELECT current_user, (SELECT count(*) FROM pg_prepared_statements) + $1::int`, 0).Scan(&role, &prepared)
					if err != nil || role != schema.AppRole || prepared != 0 {
						t.Errorf("works as %s, with %d prepared statements, %v", role, prepared, err)
						return
					}
				}
			})
		}
		clients.Wait()
	}
	conn, err := pgx.Connect(ctx, schematest.ThroughPooler(t, owner))
	must(t, err)
	defer conn.Close(context.Background())
	var role, login string
	must(t, conn.QueryRow(ctx, `SELECT current_user, session_user`, pgx.QueryExecModeSimpleProtocol).Scan(&role, &login))
	if role != login {
		t.Errorf("another client of the pooler works as %s", role)
	}
}

// The pooler of the tests really assigns a session for each transaction; otherwise the
// tests through it would show nothing.
func TestThePoolerLendsForATransaction(t *testing.T) {
	_, service := schematest.Pooled(t)
	one, err := pgx.Connect(t.Context(), service)
	must(t, err)
	defer one.Close(context.Background())
	other, err := pgx.Connect(t.Context(), service)
	must(t, err)
	defer other.Close(context.Background())
	session := func(conn *pgx.Conn) (pid int) {
		t.Helper()
		must(t, conn.QueryRow(t.Context(), `SELECT pg_backend_pid()`, pgx.QueryExecModeSimpleProtocol).Scan(&pid))
		return pid
	}
	if kept, lent := session(one), session(other); kept != lent {
		t.Errorf("a client keeps the session %d when its transaction has ended, and another has %d", kept, lent)
	}
}

// Where the service cannot give up the owner's rights, it refuses to start.
func TestThroughAPoolerWithTheOwnersRights(t *testing.T) {
	owner, _ := schematest.Pooled(t)
	pooled := schematest.ThroughPooler(t, owner)
	pool, err := schema.OpenPostgres(t.Context(), pooled, 2)
	must(t, err)
	defer pool.Close()
	if err := pool.Ping(t.Context()); !errors.Is(err, schema.ErrPooledRole) || !strings.Contains(err.Error(), "ALTER ROLE") {
		t.Errorf("the service works as the owner: %v", err)
	}
	reading, err := schema.OpenPostgresReadOnly(t.Context(), pooled, 2)
	must(t, err)
	defer reading.Close()
	must(t, reading.Ping(t.Context()))
}
