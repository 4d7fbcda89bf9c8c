package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/internal/bus"
	"kassa/internal/bus/bustest"
	"kassa/schema"
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

// A process waits for a broker that comes later, and a worker for the queues, which it
// may not make; meanwhile it answers that it is alive and not ready.
func TestNotReadyBeforeTheBroker(t *testing.T) {
	direct := bustest.New(t).Address
	broker := bustest.NewProxy(t, direct, "127.0.0.1")
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
	waits := func(what, says string) {
		t.Helper()
		eventstoretest.Eventually(t, what, func() bool { return strings.Contains(worker.log.String(), says) })
		if code, out, _ := kassa(t, "health", "--ready", "--addr", address); code != exitFailed {
			t.Errorf("%s: ready with exit code %d, %s", what, code, out)
		}
		if code, _, complaints := kassa(t, "health", "--addr", address); code != 0 {
			t.Errorf("%s: alive with exit code %d, %s", what, code, complaints)
		}
	}
	waits("the worker waits for its broker", "the broker is not there yet")
	for _, path := range []string{"/api/ready", "/api/users/balance", "/"} { // as in the contract
		a := client{url: "http://" + address, http: newHTTP()}.do(t.Context(), "GET", path, "", nil)
		if a.status != http.StatusServiceUnavailable || a.text("code") != "not_ready" || a.header.Get("Retry-After") == "" || a.header.Get("X-Request-Id") == "" {
			t.Errorf("%s while it opens: %d %v %v", path, a.status, a.body, a.header)
		}
	}
	broker.Open(t)
	waits("the worker waits for the queues", "the queues are not there")
	key, err := bus.ParseKey(brokerKey)
	must(t, err)
	service, err := bus.Broker{Addresses: []string{direct}, Key: key, Declares: true}.Open(t.Context(), slog.New(slog.DiscardHandler))
	must(t, err)
	service.Close()
	select {
	case <-opened:
	case <-time.After(time.Minute):
		t.Fatalf("the queues are there, and the worker does not open:\n%s", worker.log)
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

// wantUnavailable insists on an answer with a time to try again.
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
	exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lock_timeout = 1000', current_database()); END $$`)
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

// A database that takes no writes any more, as after a failover, is away: requests are
// to be tried again, the process is not ready and gives the reason, and when the database takes
// writes again, all is well by itself.
func TestDatabaseTakesNoWrites(t *testing.T) {
	database, data := schematest.Postgres(t), t.TempDir()
	s := serve(t, data, "--database-url", database, "--amqp-url", bustest.New(t).Address)
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	owner, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	turn := func(how string) { // a failover ends all sessions
		t.Helper()
		for _, statement := range []string{ // each committed by itself: who comes back meets the new setting
			`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I ` + how + `', current_database()); END $$`,
			`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid()`,
		} {
			if _, err := owner.Exec(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
	}
	turn(`SET default_transaction_read_only = on`)
	for what, a := range ada.everything(t, "once") {
		wantUnavailable(t, "while the database takes no writes: "+what, a)
	}
	if a := ada.do(t.Context(), "GET", "/api/ready", "", nil); a.status != http.StatusServiceUnavailable || !strings.Contains(a.text("detail"), "takes no writes") {
		t.Errorf("ready: %d %v", a.status, a.body)
	}
	turn(`RESET default_transaction_read_only`)
	eventstoretest.Eventually(t, "ready again", func() bool {
		return ada.do(t.Context(), "GET", "/api/ready", "", nil).status == http.StatusOK
	})
	if a := ada.do(t.Context(), "POST", "/api/users/balance/adjust", "once", adjustment{Amount: 50}); a.status != http.StatusOK || a.number("balance") != 60 {
		t.Errorf("the same deposit again: %d %v", a.status, a.body)
	}
	mustVerify(t, data, "--database-url", database)
}

// A process that meets an entry of a newer program lives on, is not ready and gives the
// reason, and leaves what one process does at a time to newer ones. Its verify reports that it is too
// old, and not that the ledger is broken.
func TestTooOldForTheLog(t *testing.T) {
	database, data := schematest.Postgres(t), t.TempDir()
	s := serve(t, data, "--database-url", database, "--amqp-url", bustest.New(t).Address)
	pool, err := schema.OpenPostgres(t.Context(), database, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	newer, err := eventstore.Postgres(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(newer.Close)
	_, err = newer.Append(t.Context(), eventstore.Append{Time: time.Now(), Actor: "operator", Cause: "an upgrade",
		Writes: []eventstore.Write{{Stream: eventstore.AccountStream("u_ada"), Events: []domain.Event{eventstoretest.FromNewer{User: "u_ada"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	guest := client{url: s.url, http: newHTTP()}
	eventstoretest.Eventually(t, "not ready, because it is too old", func() bool {
		a := guest.do(t.Context(), "GET", "/api/ready", "", nil)
		return a.status == http.StatusServiceUnavailable && strings.Contains(a.text("detail"), "too old")
	})
	eventstoretest.Eventually(t, "the relay's leadership is free", func() bool {
		err := newer.LeadNow(t.Context(), "relay", func(context.Context, *eventstore.Leadership) error { return nil })
		return err == nil
	})
	if a := guest.do(t.Context(), "GET", "/api/health", "", nil); a.status != http.StatusOK {
		t.Errorf("it lives on: %d %v", a.status, a.err)
	}
	if code, out, complaints := kassa(t, "verify", "--data", data, "--database-url", database); code != 4 {
		t.Errorf("verify: exit code %d, %s%s", code, out, complaints)
	}
	if code := s.interrupt(t); code != 0 {
		t.Errorf("exit code %d after Ctrl-C:\n%s", code, s.log)
	}
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
