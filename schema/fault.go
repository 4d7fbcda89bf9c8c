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

// Fault is what an error of a database means for the one who asked.
type Fault int

const (
	// Mistake: the same again fails again. It is a mistake of this program or of the
	// database's set-up, or damage; every error that is of no other kind is one.
	Mistake Fault = iota
	// Away: the database cannot be reached, or does not serve us for now. It
	// restarts, the network is cut, it became a standby or takes no writes.
	Away
	// Busy: it did not get to it in time, or lacked memory or locks.
	Busy
	// Raced: others were at work at the same time. The same transaction again, at
	// once, is likely to succeed.
	Raced
	// Full: there is no space left on its disk.
	Full
)

// faultsOfPostgres gives the meaning of SQLSTATE codes, by class (two characters) or by
// code, which counts more. Classes that are not in it are mistakes: the statement,
// its data or the rights are wrong.
var faultsOfPostgres = map[string]Fault{
	"08":    Away, // connection exception
	"25006": Away, // read-only transaction: a standby, or it takes no writes
	"25P03": Busy, // idle in a transaction for too long: this process was held up
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
// extended ones that mean something else.
var faultsOfSQLite = map[int]Fault{
	5:          Busy,  // BUSY: another connection writes
	5 | 2<<8:   Raced, // BUSY_SNAPSHOT: another has written since the transaction began
	6:          Busy,  // LOCKED
	7:          Busy,  // NOMEM
	8:          Away,  // READONLY
	9:          Busy,  // INTERRUPT
	10:         Away,  // IOERR
	10 | 12<<8: Busy,  // IOERR_NOMEM
	10 | 19<<8: Full,  // IOERR_SHMSIZE: the file that connections share cannot grow
	13:         Full,  // FULL
	14:         Away,  // CANTOPEN
	15:         Busy,  // PROTOCOL: a race for the locks
	17:         Raced, // SCHEMA: the tables have changed
}

// FaultOf says what an error of a database, of either engine or from the way to it,
// means. It looks at all that the error wraps.
func FaultOf(err error) Fault {
	if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		if _, connecting := errors.AsType[*pgconn.ConnectError](err); !connecting {
			return faultOfPostgres(said.Code)
		}
	}
	if said, ok := errors.AsType[*sqlite.Error](err); ok {
		return faultOfSQLite(said.Code())
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

// unreachable says whether the fault lies on the way to the server: no connection
// came about, or one broke.
func unreachable(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	return pgconn.SafeToRetry(err) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// IsUndone says whether the error proves that its transaction changed nothing, though
// it came as the answer to the statement that ends it. Any other error there leaves
// open whether the transaction was committed.
func IsUndone(err error) bool {
	if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		// With an ERROR the server rolls back, always. After a FATAL one it ends the
		// session, and may have committed before.
		severity := cmp.Or(said.SeverityUnlocalized, said.Severity)
		return severity == "ERROR" && said.Code != "40003" && said.Code != "08007"
	}
	if said, ok := errors.AsType[*sqlite.Error](err); ok {
		// After an I/O error the commit may be in the file, and be found there at the
		// next start. With every other error it is not.
		return said.Code()&0xff != 10
	}
	return pgconn.SafeToRetry(err)
}
