package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/internal/bus/bustest"
	"kassa/internal/wait"
	"kassa/schema"
	"kassa/schema/schematest"
)

// A row of a view makes no user an admin, and a grant or its end by another process
// counts at the next request, a lock within a second.
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
	s.signUp(t, newHTTP(), "zoe@example.com")
	if code, _, complaints := kassa(t, "admin", "grant", "zoe@example.com", "--data", data, "--database-url", database); code != 0 {
		t.Fatal(complaints)
	}
	if tag, err := pool.Exec(t.Context(), `UPDATE kassa_views.users_v1 SET admin = true`); err != nil || tag.RowsAffected() != 2 {
		t.Fatal(tag, err)
	}
	people("with a forged row", http.StatusForbidden)
	for _, order := range []string{"grant", "revoke", "grant", "revoke"} {
		if code, _, complaints := kassa(t, "admin", order, ada.email, "--data", data, "--database-url", database); code != 0 {
			t.Fatalf("admin %s: exit code %d, %s", order, code, complaints)
		}
		people("after admin "+order, map[string]int{"grant": http.StatusOK, "revoke": http.StatusForbidden}[order])
	}
	if code, _, complaints := kassa(t, "admin", "revoke", "zoe@example.com", "--data", data, "--database-url", database); code == 0 || !strings.Contains(complaints, "last_admin") {
		t.Errorf("the last admin: exit code %d, %s", code, complaints)
	}
	for _, order := range []string{"grant", "revoke"} {
		if code, out, complaints := kassa(t, "admin", order, ada.email, "--role", "auditor", "--as", "olga", "--reason", "the audit of March", "--data", data, "--database-url", database); code != 0 {
			t.Fatalf("exit code %d, %s%s", code, out, complaints)
		}
		a := ada.do(t.Context(), "GET", "/api/admin/trial", "", nil)
		if want := map[string]int{"grant": http.StatusOK, "revoke": http.StatusForbidden}[order]; a.status != want {
			t.Errorf("the trial balance, after %s: %d, want %d", order, a.status, want)
		}
		people("to an auditor", http.StatusForbidden)
	}
	balance := func(when string, want int) {
		t.Helper()
		a := ada.do(t.Context(), "GET", "/api/users/balance", "", nil)
		for ends := time.Now().Add(time.Minute); a.status != want && time.Now().Before(ends); {
			wait.For(t.Context(), 20*time.Millisecond)
			a = ada.do(t.Context(), "GET", "/api/users/balance", "", nil)
		}
		if a.status != want {
			t.Errorf("%s the balance answers %d %v, want %d", when, a.status, a.body, want)
		}
	}
	for _, order := range []string{"lock", "lock", "unlock"} {
		if code, out, complaints := kassa(t, "admin", order, ada.email, "--as", "olga", "--reason", "a stolen phone", "--data", data, "--database-url", database); code != 0 {
			t.Fatalf("admin %s: exit code %d, %s%s", order, code, out, complaints)
		}
		balance("after admin "+order, map[string]int{"lock": http.StatusForbidden, "unlock": http.StatusOK}[order])
	}
	lockedByHalf(t, data, database, ada.email)
	if code, _, complaints := kassa(t, "admin", "lock", "zoe@example.com", "--data", data, "--database-url", database); code == 0 || !strings.Contains(complaints, "last_admin") {
		t.Errorf("the last admin is locked: exit code %d, %s", code, complaints)
	}
	mustVerify(t, data, "--database-url", database)
}

// lockedByHalf locks a person whose sessions cannot be ended: that the account is locked is in the
// security log all the same, and the outcome is not that nothing was done. The same again ends it.
func lockedByHalf(t *testing.T, data, database, email string) {
	t.Helper()
	owner, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	exec := func(statement string) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$`)
	exec(`CREATE TRIGGER fail BEFORE DELETE ON sessions FOR EACH STATEMENT EXECUTE FUNCTION fail()`)
	lock := func() (int, string) {
		code, out, complaints := kassa(t, "admin", "lock", email, "--as", "olga", "--reason", "a stolen phone", "--data", data, "--database-url", database)
		return code, out + complaints
	}
	if code, answer := lock(); code == 0 || !strings.Contains(answer, "account_locked") || !strings.Contains(answer, "its sessions may be there") {
		t.Errorf("exit code %d, %s", code, answer)
	}
	exec(`DROP FUNCTION fail() CASCADE`)
	if code, answer := lock(); code != 0 || !strings.Contains(answer, "is locked already") {
		t.Errorf("again: exit code %d, %s", code, answer)
	}
}
