package schema

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// OwnsSession reports whether the connection has a server session of its own. A
// connection pooler (PgBouncer in transaction mode, and similar) assigns a session for
// each transaction, so settings, LISTEN, locks and prepared statements would be seen,
// or missed, by other clients. A pooler is recognised by the process number, which it
// invents.
func OwnsSession(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var pid uint32
	if err := conn.QueryRow(ctx, `SELECT pg_backend_pid()`, pgx.QueryExecModeSimpleProtocol).Scan(&pid); err != nil {
		return false, fmt.Errorf("ask for the session's process: %w", err)
	}
	return pid == conn.PgConn().PID(), nil
}

// settle sets what our connections rely on, and reports whether a pooler is in between.
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
		// Each statement must see what was committed before it, whatever the server's
		// default is: appends and views rely on it. A pooler does not pass such
		// parameters, so transactions that need it set it too.
		config.RuntimeParams["default_transaction_isolation"] = "read committed"
	}
	if !own || config.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement {
		// Statements are not prepared, because a pooler may use another session, or
		// because the address asks for that. Of the modes without prepared statements
		// this one knows the types of parameters: it caches the server's descriptions.
		config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	return !own, nil
}

// leaveReadOnly closes a connection on which a write was refused because the server is
// a replica or read-only: after a failover the next connection finds the primary.
func leaveReadOnly(config *pgx.ConnConfig) {
	keep := config.OnPgError
	config.OnPgError = func(conn *pgconn.PgConn, pgErr *pgconn.PgError) bool {
		return keep(conn, pgErr) && pgErr.Code != "25006"
	}
}
