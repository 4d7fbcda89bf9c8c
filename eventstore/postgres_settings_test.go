package eventstore_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/audit/audittest"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
	"kassa/schema/schematest"
)

// A server whose transactions are stricter by default than we need refuses none of our
// appends, neither where a connection sets its default itself nor where it cannot, as
// through a pooler.
func TestPostgresStricterIsolation(t *testing.T) {
	for _, isolation := range []string{"repeatable read", "serializable"} {
		for _, sets := range []bool{true, false} {
			t.Run(isolation+map[bool]string{true: "", false: ", and connections keep it"}[sets], func(t *testing.T) {
				url := schematest.Postgres(t)
				owner := connect(t, url)
				_, err := owner.Exec(t.Context(), `ALTER DATABASE `+pgx.Identifier{owner.Config().Database}.Sanitize()+` SET default_transaction_isolation = '`+isolation+`'`)
				must(t, err)
				open := inPostgres(t, url)
				if !sets {
					open = func() *eventstore.Store {
						pool, err := pgxpool.New(t.Context(), url)
						must(t, err)
						t.Cleanup(pool.Close)
						store, err := eventstore.Postgres(t.Context(), pool)
						must(t, err)
						t.Cleanup(store.Close)
						return store
					}
				}
				var processes sync.WaitGroup
				for i := range uint64(4) {
					store, workload := open(), eventstoretest.NewWorkload(i, 5)
					processes.Go(func() {
						for range 40 {
							if _, err := store.Append(t.Context(), workload.Append(2)); err != nil {
								t.Errorf("an append: %v", err)
							}
						}
					})
				}
				processes.Wait()
				audittest.CheckLedger(t, open())
			})
		}
	}
}

// A database that takes no writes any more, as the primary of before does after a
// failover, is away: nothing was done, the process is not ready, and its connections are
// left for ones that take writes.
func TestPostgresTurnsReadOnly(t *testing.T) {
	pool := schematest.Pool(t, 4)
	store, err := eventstore.Postgres(t.Context(), pool)
	must(t, err)
	t.Cleanup(store.Close)
	workload := eventstoretest.NewWorkload(1, 5)
	append1(t, store, workload)
	must(t, store.Ready(t.Context()))
	turn := func() (sessions map[uint32]bool) {
		sessions = map[uint32]bool{}
		var all []*pgxpool.Conn
		for range pool.Config().MaxConns {
			conn, err := pool.Acquire(t.Context())
			must(t, err)
			all = append(all, conn)
			_, err = conn.Exec(t.Context(), `SET default_transaction_read_only = on`)
			must(t, err)
			sessions[conn.Conn().PgConn().PID()] = true
		}
		for _, conn := range all {
			conn.Release()
		}
		return sessions
	}

	turn()
	a := workload.Append(2)
	refused := 0
	for {
		r, err := store.Append(t.Context(), a)
		if err == nil {
			if r.Replayed {
				t.Error("an append that was refused was done")
			}
			break
		}
		if refused++; schema.FaultOf(err) != schema.Away || errors.Is(err, eventstore.ErrUnknown) || refused > int(pool.Config().MaxConns) {
			t.Fatalf("append %d gave %v", refused, err)
		}
	}
	if refused == 0 {
		t.Error("no append was refused")
	}

	before := turn()
	if err := store.Ready(t.Context()); !errors.Is(err, eventstore.ErrReadOnly) {
		t.Errorf("a database that takes no writes: ready says %v", err)
	}
	eventstoretest.Eventually(t, "ready again", func() bool { return store.Ready(t.Context()) == nil })
	must(t, pool.AcquireFunc(t.Context(), func(conn *pgxpool.Conn) error {
		if before[conn.Conn().PgConn().PID()] {
			t.Error("a connection that takes no writes is still in use")
		}
		return nil
	}))
	append1(t, store, workload)
	audittest.CheckLedger(t, store)
}

// An address may name several servers; the one that takes writes is found.
func TestPostgresFindsThePrimary(t *testing.T) {
	url := schematest.Postgres(t)
	owner := connect(t, url)
	database := pgx.Identifier{owner.Config().Database}.Sanitize()
	_, err := owner.Exec(t.Context(), `ALTER DATABASE `+database+` SET default_transaction_read_only = on`)
	must(t, err)
	pool, err := schema.OpenPostgres(t.Context(), url, 2)
	must(t, err)
	t.Cleanup(pool.Close)
	err = pool.Ping(t.Context())
	if schema.FaultOf(err) != schema.Away {
		t.Errorf("where no server takes writes: %v", err)
	}
	_, err = owner.Exec(context.Background(), `ALTER DATABASE `+database+` RESET default_transaction_read_only`)
	must(t, err)
	must(t, pool.Ping(t.Context()))
}

// A race that is lost on a version or a command is no error to the server: its log is for
// what somebody must look at.
func TestPostgresLostRacesAreNoErrors(t *testing.T) {
	config, err := pgxpool.ParseConfig(schematest.Postgres(t))
	must(t, err)
	var said atomic.Int32
	config.ConnConfig.OnPgError = func(_ *pgconn.PgConn, err *pgconn.PgError) bool {
		t.Logf("the server says %v", err)
		said.Add(1)
		return true
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	must(t, err)
	t.Cleanup(pool.Close)
	store, err := eventstore.Postgres(t.Context(), pool)
	must(t, err)
	t.Cleanup(store.Close)
	first := func() eventstore.Append {
		a := commanded(plain(eventstore.AccountStream("u_a"), 0, 1), "1", "x")
		a.Writes[0].Events = []domain.Event{domain.AdminGranted{User: "u_a"}}
		return a
	}
	for i := range 3 { // each pair begins alone: an append on condition
		if r, err := store.Append(t.Context(), first()); err != nil || r.Replayed != (i > 0) {
			t.Errorf("the same command: replayed %t, %v", r.Replayed, err)
		}
		if _, err := store.Append(t.Context(), plain("b", 0, 1)); (i > 0) != errors.Is(err, eventstore.ErrConflict) {
			t.Errorf("a version that is used: %v", err)
		}
	}
	if n := said.Load(); n > 0 {
		t.Errorf("%d statements failed", n)
	}
	eventstoretest.CheckLog(t, store)
}
