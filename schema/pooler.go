package schema

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// OwnsSession says whether the connection has a session of the server to itself. A
// pooler between (PgBouncer in transaction mode, and its like) lends sessions by the
// transaction: what is set, listened for, locked or prepared in one is then found, or
// missed, by somebody else. It shows in the process number, which a pooler makes up.
func OwnsSession(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var pid uint32
	if err := conn.QueryRow(ctx, `SELECT pg_backend_pid()`, pgx.QueryExecModeSimpleProtocol).Scan(&pid); err != nil {
		return false, fmt.Errorf("ask for the session's process: %w", err)
	}
	return pid == conn.PgConn().PID(), nil
}

// settle makes connections say what we rely on, and finds out whether a pooler stands
// before the database.
func settle(ctx context.Context, config *pgx.ConnConfig) (pooled bool, err error) {
	leaveReadOnly(config)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return false, fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	own, err := OwnsSession(ctx, conn)
	if err != nil {
		return false, err
	}
	if own {
		// Each statement sees what was committed before it: on this rest appends and views,
		// whatever the server's default is. A pooler takes no such parameters, so transactions
		// that need it say so too.
		config.RuntimeParams["default_transaction_isolation"] = "read committed"
	}
	if !own || config.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement {
		// Nothing is prepared, because a pooler has it in another session, or because the
		// address asks for that. Of the ways to do without, this is the one that knows the
		// types of parameters: it remembers what the server says of a statement.
		config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	return !own, nil
}

// leaveReadOnly closes a connection on which a write was refused because the server is
// a replica or takes none: the server of before may be another's replica now, and the
// next connection finds the primary.
func leaveReadOnly(config *pgx.ConnConfig) {
	keep := config.OnPgError
	config.OnPgError = func(conn *pgconn.PgConn, said *pgconn.PgError) bool {
		return keep(conn, said) && said.Code != "25006"
	}
}
