package main

import (
	"net/http"
	"testing"

	"kassa/internal/bus/bustest"
	"kassa/schema"
	"kassa/schema/schematest"
)

// A row of a view makes nobody an admin, and a grant or its end by another process
// counts at the next request.
func TestAdminByAnotherProcess(t *testing.T) {
	data, database := t.TempDir(), schematest.Postgres(t)
	s := serve(t, data, "--database-url", database, "--amqp-url", bustest.New(t).Address)
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	pool, err := schema.OpenPostgres(t.Context(), database, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	people := func(when string, want int) {
		t.Helper()
		if a := ada.do(t.Context(), "GET", "/api/admin/users", "", nil); a.status != want {
			t.Errorf("%s: the list of people answers %d %v, want %d", when, a.status, a.body, want)
		}
	}
	people("at first", http.StatusForbidden)
	if tag, err := pool.Exec(t.Context(), `UPDATE kassa_views.users_v1 SET admin = true`); err != nil || tag.RowsAffected() != 1 {
		t.Fatal(tag, err)
	}
	people("with a forged row", http.StatusForbidden)
	for _, order := range []string{"grant", "revoke", "grant", "revoke"} {
		if code, _, complaints := kassa(t, "admin", order, ada.email, "--data", data, "--database-url", database); code != 0 {
			t.Fatalf("admin %s: exit code %d, %s", order, code, complaints)
		}
		people("after admin "+order, map[string]int{"grant": http.StatusOK, "revoke": http.StatusForbidden}[order])
	}
	mustVerify(t, data, "--database-url", database)
}
