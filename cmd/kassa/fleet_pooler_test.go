package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"kassa/schema/schematest"
)

// The whole service runs behind PgBouncer in transaction mode, with default settings.
// Questions are answered; and when the processes that lead are killed, whose sessions
// the pooler keeps, others lead, and a question without an answer gives its credits back.
func TestFleetBehindAPooler(t *testing.T) {
	owner, service := schematest.Pooled(t)
	f := newFleet(t)
	f.database = service
	f.add("api", 2)
	f.add("backend", 2)
	f.add("worker", 1)
	f.begin()
	ada := (&server{url: f.of("api")[0].address()}).signUp(t, f.http, "ada@example.com")
	answered := ada.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "a ship in the ice", wait: 20})
	if answered.status != http.StatusOK || answered.number("cost") != 5 {
		t.Fatalf("a question: %d %v", answered.status, answered.body)
	}

	f.of("worker")[0].signal(syscall.SIGSTOP)
	asked := ada.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "a bear in the forest"})
	if asked.status != http.StatusAccepted {
		t.Fatalf("a question that nobody answers: %d %v", asked.status, asked.body)
	}
	before := leaders(t, owner)
	for what, leader := range before {
		if leader.epoch == 0 {
			t.Fatalf("nobody leads the %s", what)
		}
		for _, m := range f.of("backend") {
			if m.runsAs(leader.pid) {
				m.signal(syscall.SIGKILL)
			}
		}
	}
	f.await("other leaders", func() bool {
		for what, leader := range leaders(t, owner) {
			if leader.epoch <= before[what].epoch {
				return false
			}
		}
		return true
	})
	ada.url = f.of("api")[1].address()
	f.await("the credits of a question without an answer", func() bool {
		a := ada.do(t.Context(), "GET", "/api/users/balance", "", nil)
		return a.number("held") == 0 && a.number("balance") == 95
	})
	f.of("worker")[0].signal(syscall.SIGCONT)
	mustVerify(t, f.data, "--database-url", f.database)
	f.awaitReady()
	f.stop()
}

// leader is who holds a lease.
type leader struct {
	pid   int
	epoch int64
}

func leaders(t *testing.T, owner string) map[string]leader {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	list := map[string]leader{"relay": {}, "expirer": {}}
	for what := range list {
		var l leader
		var holder string
		if err := conn.QueryRow(t.Context(), `SELECT holder, epoch FROM leases WHERE name = $1`, what).Scan(&holder, &l.epoch); err != nil {
			t.Fatalf("who leads the %s: %v", what, err)
		}
		if _, err := fmt.Sscan(strings.Fields(holder)[1], &l.pid); err != nil {
			t.Fatalf("the leader of the %s is %q", what, holder)
		}
		list[what] = l
	}
	return list
}

func (m *member) runsAs(pid int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.process != nil && m.process.cmd.Process.Pid == pid
}
