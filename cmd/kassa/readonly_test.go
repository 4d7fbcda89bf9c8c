package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"kassa/schema"
	"kassa/schema/schematest"
)

// reader makes a login that may read everything of the database and change nothing,
// and gives the database's address with it.
func reader(t *testing.T, owner *pgx.Conn, database string) string {
	t.Helper()
	at, err := url.Parse(schematest.Service(t, database)) // made, and dropped at the end
	if err != nil {
		t.Fatal(err)
	}
	name := at.User.Username()
	for _, statement := range []string{
		fmt.Sprintf(`REVOKE %s FROM %s`, schema.AppRole, name),
		fmt.Sprintf(`GRANT USAGE ON SCHEMA public, kassa_views TO %s`, name),
		fmt.Sprintf(`GRANT SELECT ON ALL TABLES IN SCHEMA public, kassa_views TO %s`, name),
		fmt.Sprintf(`ALTER ROLE %s SET default_transaction_read_only = on`, name),
	} {
		if _, err := owner.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	t.Cleanup(func() { // what it was given would keep the role
		if _, err := owner.Exec(context.Background(), fmt.Sprintf(`GRANT %[1]s TO CURRENT_USER WITH INHERIT TRUE; DROP OWNED BY %[1]s`, name)); err != nil {
			t.Error(err)
		}
	})
	return at.String()
}

// everything lists what is in the database, and how much of it.
const everything = `SELECT coalesce(string_agg(line, E'\n' ORDER BY line), '') FROM (
	SELECT concat_ws(' ', c.oid::regclass, c.relkind, c.relowner::regrole, c.relacl, c.relfilenode) AS line FROM pg_class c
		WHERE relnamespace::regnamespace::text NOT IN ('pg_catalog', 'pg_toast', 'information_schema')
	UNION ALL SELECT concat_ws(' ', oid::regprocedure, xmin) FROM pg_proc WHERE pronamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')
	UNION ALL SELECT concat_ws(' ', nspname, nspacl) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'
	UNION ALL SELECT concat_ws(' ', schemaname, relname, n_tup_ins, n_tup_upd, n_tup_del) FROM pg_stat_user_tables) all_of_it`

// Looking changes nothing: not where there is nothing yet, and not with a login that
// cannot write at all.
func TestLookingChangesNothing(t *testing.T) {
	connect := func(url string) *pgx.Conn {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		return conn
	}
	look := func(owner *pgx.Conn) (all string) {
		if err := owner.QueryRow(t.Context(), everything).Scan(&all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	empty := schematest.Empty(t)
	owner := connect(empty)
	before := look(owner)
	for _, line := range []string{"migrate --plan", "doctor", "verify"} {
		args := append(strings.Fields(line), "--database-url", empty)
		_, out, complaints := kassa(t, args...)
		if after := look(owner); after != before {
			t.Errorf("%s on an empty database: it has\n%s\nnow; it said %s%s", line, after, out, complaints)
		}
	}

	full := schematest.Postgres(t)
	owner = connect(full)
	address := reader(t, owner, full)
	before = look(owner)
	for line, says := range map[string]string{"migrate --plan": "up to date", "doctor": "ok       tables", "verify": "The ledger is whole"} {
		args := append(strings.Fields(line), "--database-url", address)
		_, out, complaints := kassa(t, args...)
		if !strings.Contains(out, says) || strings.Contains(complaints, "read-only") {
			t.Errorf("%s with a login that only reads: %s%s", line, out, complaints)
		}
		if after := look(owner); after != before {
			t.Errorf("%s changed\n%s\nto\n%s", line, before, after)
		}
	}
}
