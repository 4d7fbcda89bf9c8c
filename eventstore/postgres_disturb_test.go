package eventstore_test

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/eventstore"
)

// disturb does one of the things that happen to sessions, and says which.
func (m *interleaving) disturb() string {
	p := m.processes[m.random.IntN(len(m.processes))]
	pause := time.Duration(m.random.IntN(30)) * time.Millisecond
	stall := func() error { <-time.After(pause); return nil }
	switch m.random.IntN(9) {
	case 0:
		p.faults.Once(eventstore.AtBegin, stall)
		return "stall before BEGIN"
	case 1:
		p.faults.Once(eventstore.BeforeCommit, stall)
		return "stall before COMMIT"
	case 2:
		p.faults.Once(eventstore.BeforeCommit, fails)
		return "ROLLBACK"
	case 3:
		p.faults.Once(eventstore.AfterCommit, fails)
		return "lost answer after COMMIT"
	case 4:
		m.kill(`wait_event = 'ClientRead' AND state = 'idle in transaction'`)
		return "kill a session in a transaction"
	case 5:
		m.kill(`state = 'active'`)
		return "kill a session at work"
	case 6:
		m.strange(pause, `COMMIT`)
		return "a stranger holds the head"
	case 7:
		m.strange(pause, `ROLLBACK`)
		return "a stranger writes and rolls back"
	default:
		m.strange(pause, ``)
		return "a stranger writes and is killed"
	}
}

// kill ends one session of the processes, and the server rolls it back.
func (m *interleaving) kill(which string) {
	_, err := m.stranger.Exec(m.t.Context(), `SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename = current_user AND `+which+` LIMIT 1) s`)
	must(m.t, err)
}

// strange is a session that does not belong to any process: it takes the head, and
// unless it is to commit, writes the next entries and moves the head. Its end is a
// statement, or a kill in the middle of the transaction. It has a moment to do all
// of it; where it gets no lock in time, nothing happens.
func (m *interleaving) strange(pause time.Duration, end string) {
	ctx, cancel := context.WithTimeout(m.t.Context(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, m.url)
	must(m.t, err)
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, `SET lock_timeout = '2s'; BEGIN; SELECT size FROM head FOR UPDATE`); err != nil {
		return
	}
	if end != `COMMIT` {
		_, err := conn.Exec(ctx, `UPDATE head SET size = size + 3;
			INSERT INTO events SELECT size - 3 + n, '', 'never' FROM head, generate_series(1, 3) n;
			INSERT INTO event_index SELECT 's-0', 1000000 + n, size - 3 + n, NULL FROM head, generate_series(1, 3) n`)
		must(m.t, err)
	}
	<-time.After(pause)
	if end == `` {
		_, err := m.stranger.Exec(ctx, `SELECT pg_terminate_backend($1)`, conn.PgConn().PID())
		must(m.t, err)
		return
	}
	_, err = conn.Exec(ctx, end)
	must(m.t, err)
}
