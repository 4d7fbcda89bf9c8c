package main

import (
	"net/http"
	"path"
	"strings"
	"testing"

	"kassa/eventstore/eventstoretest"
	"kassa/internal/bus/bustest"
	"kassa/schema/schematest"
)

// PostgreSQL's own disk is full. A deposit is refused at once with a code of its own and
// nothing is done, the process is not ready and gives the reason, and the doctor names it. When
// there is space again all is well by itself.
func TestFullDiskUnderPostgreSQL(t *testing.T) {
	t.Setenv("KASSA_PG_DISK", "512m")
	ownDatabase(t)
	data, database := t.TempDir(), schematest.Postgres(t)
	s := serve(t, data, "--database-url", database, "--amqp-url", bustest.New(t).Address)
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	// A new file of the WAL, which is made with its first entry, has space: without any,
	// PostgreSQL itself ends.
	services(t, "psql", "-Atqc", "SELECT pg_switch_wal()", "-c", "CHECKPOINT")
	filler := path.Join(path.Dir(strings.TrimSpace(services(t, "psql", "-Atqc", "SHOW data_directory"))), "filler")
	fill := func() { services(t, "exec", "postgres", "sh", "-c", "cat /dev/zero >> "+filler+" || true") }

	deposit := func(key string) answer {
		return ada.do(t.Context(), "POST", "/api/users/balance/adjust", key, adjustment{Amount: 50})
	}
	var a answer
	eventstoretest.Eventually(t, "a deposit that is refused", func() bool { // what the tables' files have left over is used first
		fill()
		a = deposit("")
		return a.status != http.StatusOK
	})
	if a.status != http.StatusServiceUnavailable || a.text("code") != "storage_full" || !strings.Contains(a.text("detail"), "nothing was done") || a.header.Get("Retry-After") == "" {
		t.Errorf("a deposit on a full disk: %d %v %v", a.status, a.body, a.err)
	}
	eventstoretest.Eventually(t, "not ready on a full disk", func() bool {
		a = ada.do(t.Context(), "GET", "/api/ready", "", nil)
		return a.status == http.StatusServiceUnavailable && strings.Contains(a.text("detail"), "no space left")
	})
	if code, out, complaints := kassa(t, "doctor", "--data", data, "--database-url", database); code != exitFailed || !strings.Contains(out, "disk is full") {
		t.Errorf("kassa doctor: exit code %d, %s%s", code, out, complaints)
	}
	services(t, "exec", "postgres", "rm", filler)
	eventstoretest.Eventually(t, "ready again", func() bool {
		return ada.do(t.Context(), "GET", "/api/ready", "", nil).status == http.StatusOK
	})
	if a := deposit("later"); a.status != http.StatusOK {
		t.Errorf("a deposit when there is space again: %d %v", a.status, a.body)
	}
	b := ada.do(t.Context(), "GET", "/api/users/balance", "", nil)
	if b.status != http.StatusOK {
		t.Errorf("the balance afterwards: %d %v", b.status, b.body)
	}
	mustVerify(t, data, "--database-url", database)
	if code := s.interrupt(t); code != 0 {
		t.Errorf("exit code %d after Ctrl-C:\n%s", code, tail(s.log.String()))
	}
}
