package schema_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kassa/schema"
	"kassa/schema/schematest"
)

// The fault of each SQLSTATE in PostgreSQL 17's appendix A, in the classes that are not
// all mistakes, and of one code of each other class.
func TestFaultsOfPostgres(t *testing.T) {
	for fault, codes := range map[schema.Fault]string{
		schema.Away: `08000 08003 08006 08001 08004 08007 08P01 25006 40003 53300
			57000 57P01 57P02 57P03 57P04 57P05 58000 58030`,
		schema.Busy:  `25P03 25P04 53000 53200 53400 55000 55006 55P03 57014`,
		schema.Raced: `40000 40001 40P01 72000`,
		schema.Full:  `53100`,
		schema.Mistake: `03000 09000 0A000 0B000 0F000 0L000 0P000 0Z000 20000 21000 22001 23502 23505 23514 24000
			25000 25001 25P01 25P02 26000 27000 28000 28P01 2B000 2D000 2F000 34000 38000 39000 3B000 3D000 3F000
			40002 42501 42601 42P01 42P05 44000 54000 54001 55P02 55P04 58P01 58P02 58P03
			F0000 HV000 P0001 XX000 XX001 XX002 00000`,
	} {
		for _, code := range strings.Fields(codes) {
			err := fmt.Errorf("read the log: %w", &pgconn.PgError{Severity: "ERROR", Code: code})
			if got := schema.FaultOf(err); got != fault {
				t.Errorf("%s is %v, want %v", code, got, fault)
			}
		}
	}
}

// The same for the result codes of SQLite.
func TestFaultsOfSQLite(t *testing.T) {
	for fault, codes := range map[schema.Fault][]int{
		schema.Away:    {8, 8 | 4<<8, 10, 10 | 4<<8, 14},             // READONLY, _DBMOVED, IOERR, _FSYNC, CANTOPEN
		schema.Busy:    {5, 5 | 1<<8, 6, 7, 9, 10 | 12<<8, 15},       // BUSY, _RECOVERY, LOCKED, NOMEM, INTERRUPT, IOERR_NOMEM, PROTOCOL
		schema.Raced:   {5 | 2<<8, 17},                               // BUSY_SNAPSHOT, SCHEMA
		schema.Full:    {13, 10 | 19<<8},                             // FULL, IOERR_SHMSIZE
		schema.Mistake: {1, 2, 3, 4, 11, 12, 18, 19, 20, 21, 25, 26}, // ERROR, INTERNAL, PERM, ABORT, CORRUPT, ... CONSTRAINT, ... NOTADB
	} {
		for _, code := range codes {
			if got := schema.FaultOfSQLite(code); got != fault {
				t.Errorf("%d (%d of %d) is %v, want %v", code, code>>8, code&0xff, got, fault)
			}
		}
	}
}

// Real errors of SQLite, for a file that is locked, read-only, or full.
func TestErrorsOfSQLite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kassa.db")
	db, err := schema.OpenSQLite(t.Context(), file)
	must(t, err)
	defer db.Close()
	other, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(0)&_txlock=immediate")
	must(t, err)
	defer other.Close()
	tx, err := db.Write.BeginTx(t.Context(), nil)
	must(t, err)
	_, err = other.BeginTx(t.Context(), nil)
	wantFault(t, "a locked file", err, schema.Busy)
	must(t, tx.Rollback())
	_, err = db.Read.ExecContext(t.Context(), `DELETE FROM snapshots`)
	wantFault(t, "a connection that takes no writes", err, schema.Away)
	_, err = db.Read.ExecContext(t.Context(), `SELECT nothing FROM nowhere`)
	wantFault(t, "a mistake", err, schema.Mistake)
	_, err = db.Write.ExecContext(t.Context(), `PRAGMA max_page_count = 1`) // as many as it has already
	must(t, err)
	_, err = db.Write.ExecContext(t.Context(), `INSERT INTO snapshots VALUES ('s', 1, 1, randomblob(1000000))`)
	wantFault(t, "a full file", err, schema.Full)
}

// Real errors of PostgreSQL; each of them has occurred in operation.
func TestErrorsOfPostgres(t *testing.T) {
	address := schematest.Postgres(t)
	ctx := t.Context()
	connect := func() *pgx.Conn {
		t.Helper()
		conn, err := pgx.Connect(ctx, address)
		must(t, err)
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		return conn
	}
	holder, conn := connect(), connect()
	exec := func(conn *pgx.Conn, statement string) error { _, err := conn.Exec(ctx, statement); return err }

	must(t, exec(holder, `BEGIN; LOCK TABLE head`))
	must(t, exec(conn, `SET lock_timeout = 10`))
	wantFault(t, "a lock timeout", exec(conn, `SELECT * FROM head`), schema.Busy)
	must(t, exec(conn, `SET lock_timeout = 0; SET statement_timeout = 10`))
	wantFault(t, "a statement timeout", exec(conn, `SELECT * FROM head`), schema.Busy)
	must(t, exec(holder, `ROLLBACK`))
	must(t, exec(conn, `SET statement_timeout = 0; SET transaction_timeout = 10; BEGIN`))
	err := exec(conn, `SELECT pg_sleep(5)`)
	if schema.FaultOf(err) != schema.Busy || schema.IsUndone(err) {
		t.Errorf("a transaction timeout, which ends the session, gives %v", err)
	}

	conn = connect()
	must(t, exec(conn, `SET default_transaction_read_only = on`))
	wantFault(t, "a database that takes no writes", exec(conn, `UPDATE head SET size = size + 1`), schema.Away)
	wantFault(t, "a mistake", exec(conn, `SELECT nothing FROM nowhere`), schema.Mistake)

	raced := connect()
	must(t, exec(raced, `BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM head`))
	must(t, exec(holder, `UPDATE head SET size = size + 1`))
	wantFault(t, "a serialization failure", exec(raced, `UPDATE head SET size = size + 1`), schema.Raced)

	must(t, exec(holder, `SELECT pg_terminate_backend(`+strconv.Itoa(int(raced.PgConn().PID()))+`)`))
	err = exec(raced, `SELECT 1`)
	if schema.FaultOf(err) != schema.Away || schema.IsUndone(err) {
		t.Errorf("a session that the server ended gives %v", err)
	}
	must(t, exec(holder, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 0', current_database()); END $$`))
	_, err = pgx.Connect(ctx, address)
	wantFault(t, "too many connections", err, schema.Away)
}

// Errors of the connection.
func TestErrorsOnTheWay(t *testing.T) {
	_, err := pgx.Connect(t.Context(), "postgres://kassa@127.0.0.1:1/kassa?sslmode=disable")
	wantFault(t, "a port on which nothing listens", err, schema.Away)
	for fault, list := range map[schema.Fault][]error{
		schema.Away:    {io.ErrUnexpectedEOF, net.ErrClosed, &net.OpError{Op: "read", Err: syscall.ECONNRESET}},
		schema.Full:    {&os.PathError{Op: "write", Path: "kassa.db", Err: syscall.ENOSPC}, syscall.EDQUOT},
		schema.Busy:    {context.DeadlineExceeded},
		schema.Mistake: {errors.New("a mistake"), nil, io.EOF},
	} {
		for _, err := range list {
			if got := schema.FaultOf(err); got != fault {
				t.Errorf("%v is %v, want %v", err, got, fault)
			}
			if schema.IsUndone(err) {
				t.Errorf("%v is taken to prove that nothing was committed", err)
			}
		}
	}
	for code, undone := range map[string]bool{"23505": true, "40001": true, "53100": true, "40003": false, "08007": false} {
		if got := schema.IsUndone(&pgconn.PgError{SeverityUnlocalized: "ERROR", Severity: "FEHLER", Code: code}); got != undone {
			t.Errorf("an ERROR %s proves that nothing was committed: %t, want %t", code, got, undone)
		}
		if schema.IsUndone(&pgconn.PgError{SeverityUnlocalized: "FATAL", Severity: "FATAL", Code: code}) {
			t.Errorf("a FATAL %s is taken to prove that nothing was committed", code)
		}
	}
}

// wantFault also checks that the statement is known to be undone.
func wantFault(t *testing.T, what string, err error, want schema.Fault) {
	t.Helper()
	if err == nil || schema.FaultOf(err) != want {
		t.Errorf("%s gives %v, which is %v, want %v", what, err, schema.FaultOf(err), want)
	}
	if !schema.IsUndone(err) {
		t.Errorf("%s gives %v, which leaves open whether something was done", what, err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
