package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/eventstore/eventstoretest"
	"kassa/internal/bus/bustest"
	"kassa/schema/schematest"
)

// Programs that watch a process ask by its address, also where the process has names
// and is refused under any other.
func TestHealthWhereHostsAreNamed(t *testing.T) {
	s := serve(t, t.TempDir(), "--host", "kassa.example")
	for _, flags := range [][]string{{"health"}, {"health", "--ready"}} {
		if code, _, complaints := kassa(t, append(flags, "--addr", strings.TrimPrefix(s.url, "http://"))...); code != 0 {
			t.Errorf("kassa %s: exit code %d, %s", strings.Join(flags, " "), code, complaints)
		}
	}
	stranger := client{url: s.url, http: newHTTP()}
	if a := stranger.do(t.Context(), "GET", "/api/", "", nil); a.status != http.StatusMisdirectedRequest {
		t.Errorf("under a name that is not its own the rest answers %d %v", a.status, a.body)
	}
}

// A process waits for a broker that comes later; meanwhile whoever asks hears that it
// is alive and not ready.
func TestNotReadyBeforeTheBroker(t *testing.T) {
	broker := bustest.NewProxy(t, bustest.New(t).Address, "127.0.0.1")
	broker.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close() // the worker takes its place
	worker, opened, err := start(command(t, "worker", "--data", t.TempDir(), "--addr", address, "--log-format", "json", "--amqp-url", broker.Address()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.kill)
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.After(time.Minute); !strings.Contains(worker.log.String(), "the broker is not there yet"); {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("the worker does not wait for its broker:\n%s", worker.log)
		}
	}
	if code, out, _ := kassa(t, "health", "--ready", "--addr", address); code != exitFailed {
		t.Errorf("before the broker is there: exit code %d, %s", code, out)
	}
	if code, _, complaints := kassa(t, "health", "--addr", address); code != 0 {
		t.Errorf("it is alive before the broker is there: exit code %d, %s", code, complaints)
	}
	for _, path := range []string{"/api/ready", "/api/users/balance", "/"} { // as the contract says
		a := client{url: "http://" + address, http: newHTTP()}.do(t.Context(), "GET", path, "", nil)
		if a.status != http.StatusServiceUnavailable || a.text("code") != "not_ready" || a.header.Get("Retry-After") == "" || a.header.Get("X-Request-Id") == "" {
			t.Errorf("%s while it opens: %d %v %v", path, a.status, a.body, a.header)
		}
	}
	broker.Open(t)
	select {
	case <-opened:
	case <-time.After(time.Minute):
		t.Fatalf("the broker is there, and the worker does not open:\n%s", worker.log)
	}
	if code, _, complaints := kassa(t, "health", "--ready", "--addr", address); code != 0 {
		t.Errorf("when the broker is there: exit code %d, %s", code, complaints)
	}
	if code := worker.interrupt(t); code != 0 {
		t.Errorf("exit code %d after Ctrl-C:\n%s", code, worker.log)
	}
}

// everything asks what a person can ask of the service. The deposit has the key.
func (c client) everything(t *testing.T, key string) map[string]answer {
	ctx := t.Context()
	return map[string]answer{
		"balance":      c.do(ctx, "GET", "/api/users/balance", "", nil),
		"transactions": c.do(ctx, "GET", "/api/users/transaction/history", "", nil),
		"predictions":  c.do(ctx, "GET", "/api/events/prediction/history", "", nil),
		"deposit":      c.do(ctx, "POST", "/api/users/balance/adjust", key, adjustment{Amount: 50}),
		"question":     c.do(ctx, "POST", "/api/events/prediction/new", "", question{Text: "a ship in the ice"}),
		"sign-in":      c.do(ctx, "POST", "/api/users/signin", "", credentials{c.email, password}),
		"sign-up":      c.do(ctx, "POST", "/api/users/signup", "", credentials{"new-" + c.email, password}),
	}
}

// wantUnavailable insists on an answer that says to try again.
func wantUnavailable(t *testing.T, what string, a answer) {
	t.Helper()
	if a.status != http.StatusServiceUnavailable || a.text("code") != "unavailable" || a.header.Get("Retry-After") == "" {
		t.Errorf("%s: %d %v %v, Retry-After %q", what, a.status, a.body, a.err, a.header.Get("Retry-After"))
	}
}

// A database that does not get to it in time is one to ask again, whatever was asked,
// and certainly nothing was done.
func TestDatabaseBusy(t *testing.T) {
	database, data := schematest.Postgres(t), t.TempDir()
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
	exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lock_timeout = 300', current_database()); END $$`)
	s := serve(t, data, "--database-url", database, "--amqp-url", bustest.New(t).Address)
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	exec(`BEGIN;
		DO $$ DECLARE name regclass; BEGIN
			FOR name IN SELECT oid FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace IN (current_schema()::regnamespace, 'kassa_views'::regnamespace) LOOP
				EXECUTE format('LOCK TABLE %s', name);
			END LOOP;
		END $$`)
	for what, a := range ada.everything(t, "once") {
		wantUnavailable(t, "while all tables are locked: "+what, a)
		if !strings.Contains(a.text("detail"), "nothing was done") {
			t.Errorf("while all tables are locked: %s says %q", what, a.text("detail"))
		}
	}
	exec(`ROLLBACK`)
	var a answer
	eventstoretest.Eventually(t, "the same deposit again", func() bool {
		a = ada.do(t.Context(), "POST", "/api/users/balance/adjust", "once", adjustment{Amount: 50})
		return a.status == http.StatusOK
	})
	if a.number("balance") != 60 {
		t.Errorf("a bonus of 10 and a deposit of 50 give %v", a.body)
	}
	mustVerify(t, data, "--database-url", database)
}

// While the database is away a request is refused as one to try again, and nothing
// else is wrong; when it is back, so is the service, by itself.
func TestDatabaseAway(t *testing.T) {
	database := bustest.NewProxy(t, schematest.Postgres(t), "127.0.0.1")
	data := t.TempDir()
	s := serve(t, data, "--database-url", database.Address(), "--amqp-url", bustest.New(t).Address)
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	paid := ada.do(t.Context(), "POST", "/api/users/balance/adjust", "first", adjustment{Amount: 100})
	if paid.status != http.StatusOK {
		t.Fatalf("a deposit: %d %v", paid.status, paid.body)
	}
	seen := fmt.Sprint("/api/users/balance?min_position=", paid.number("position"))
	if a := ada.do(t.Context(), "GET", seen, "", nil); a.status != http.StatusOK {
		t.Fatalf("the balance: %d %v", a.status, a.body)
	}

	database.Close()
	database.Cut()
	for what, a := range ada.everything(t, "second") {
		wantUnavailable(t, "while the database is away: "+what, a)
	}
	address := strings.TrimPrefix(s.url, "http://")
	if code, _, complaints := kassa(t, "health", "--addr", address); code != 0 {
		t.Errorf("it is alive: exit code %d, %s", code, complaints)
	}
	if code, out, _ := kassa(t, "health", "--ready", "--addr", address); code != exitFailed {
		t.Errorf("it is not ready: exit code %d, %s", code, out)
	}

	database.Open(t)
	eventstoretest.Eventually(t, "the same deposit again", func() bool {
		return ada.do(t.Context(), "POST", "/api/users/balance/adjust", "second", adjustment{Amount: 50}).status == http.StatusOK
	})
	mustVerify(t, data, "--database-url", database.Address())
	if code := s.interrupt(t); code != 0 {
		t.Errorf("exit code %d after Ctrl-C:\n%s", code, s.log)
	}
}
