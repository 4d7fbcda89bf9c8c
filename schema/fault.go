package schema

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// Fault classifies a database error by what the caller can do about it.
type Fault int

const (
	// Mistake: a retry fails again. It is a bug, a wrong configuration or damage. Every
	// error of no other kind is a Mistake.
	Mistake Fault = iota
	// Away: the database cannot be reached, or does not serve requests for now: it
	// restarts, the network is down, it became a standby or read-only.
	Away
	// Busy: it timed out, or lacked memory or locks.
	Busy
	// Raced: a concurrent transaction was in the way. The same transaction is likely to
	// succeed if it is retried at once.
	Raced
	// Full: no space is left on its disk.
	Full
)

// faultsOfPostgres maps SQLSTATE classes (two characters) and codes to faults; a code
// takes precedence over its class. Other classes are mistakes: the statement, its data
// or the rights are wrong.
var faultsOfPostgres = map[string]Fault{
	"08":    Away, // connection exception
	"25006": Away, // read-only transaction: a standby, or read-only mode
	"25P03": Busy, // idle in a transaction for too long: this process was blocked
	"25P04": Busy, // the transaction took too long
	"40":    Raced,
	"40002": Mistake, // transaction integrity constraint violation
	"40003": Away,    // statement completion unknown
	"53":    Busy,    // insufficient resources
	"53100": Full,
	"53300": Away, // too many connections
	"55":    Busy, // object not in prerequisite state: in use, or its lock is not available
	"55P02": Mistake,
	"55P04": Mistake,
	"57":    Away, // operator intervention: it shuts down, crashed or starts
	"57014": Busy, // query canceled: the statement timeout
	"58":    Away, // system error outside PostgreSQL
	"58P01": Mistake,
	"58P02": Mistake,
	"58P03": Mistake,
	"72000": Raced, // snapshot too old
}

// faultsOfSQLite is the same for SQLite's result codes: the primary ones, and the
// extended ones that differ from their primary code.
var faultsOfSQLite = map[int]Fault{
	5:          Busy,  // BUSY: another connection writes
	5 | 2<<8:   Raced, // BUSY_SNAPSHOT: another connection has written since the transaction began
	6:          Busy,  // LOCKED
	7:          Busy,  // NOMEM
	8:          Away,  // READONLY
	9:          Busy,  // INTERRUPT
	10:         Away,  // IOERR
	10 | 12<<8: Busy,  // IOERR_NOMEM
	10 | 19<<8: Full,  // IOERR_SHMSIZE: the shared-memory file cannot grow
	13:         Full,  // FULL
	14:         Away,  // CANTOPEN
	15:         Busy,  // PROTOCOL: a race for the locks
	17:         Raced, // SCHEMA: the tables have changed
}

// FaultOf classifies an error of either engine, or of the connection. It looks through
// all wrapped errors.
func FaultOf(err error) Fault {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		if _, connecting := errors.AsType[*pgconn.ConnectError](err); !connecting {
			return faultOfPostgres(pgErr.Code)
		}
	}
	if sqliteErr, ok := errors.AsType[*sqlite.Error](err); ok {
		return faultOfSQLite(sqliteErr.Code())
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return Full
	}
	if unreachable(err) {
		return Away
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Busy
	}
	return Mistake
}

func faultOfPostgres(code string) Fault {
	if fault, ok := faultsOfPostgres[code]; ok || len(code) < 2 {
		return fault
	}
	return faultsOfPostgres[code[:2]]
}

func faultOfSQLite(code int) Fault {
	if fault, ok := faultsOfSQLite[code]; ok {
		return fault
	}
	return faultsOfSQLite[code&0xff]
}

// unreachable reports whether the connection failed: it could not be opened, or it
// broke.
func unreachable(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	return pgconn.SafeToRetry(err) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// IsUndone reports whether an error of COMMIT, or of a transaction as a whole, proves that
// it changed nothing. After any other error of COMMIT it may have been committed.
func IsUndone(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true // it never began
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		// After an ERROR the server has always rolled back. After FATAL it ends the
		// session, and may have committed before.
		severity := cmp.Or(pgErr.SeverityUnlocalized, pgErr.Severity)
		return severity == "ERROR" && pgErr.Code != "40003" && pgErr.Code != "08007"
	}
	if sqliteErr, ok := errors.AsType[*sqlite.Error](err); ok {
		// After an I/O error the commit may be in the file, and be found at the next
		// start. After any other error it is not.
		return sqliteErr.Code()&0xff != 10
	}
	return pgconn.SafeToRetry(err)
}
