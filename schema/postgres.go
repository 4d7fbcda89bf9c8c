package schema

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// AppRole is the PostgreSQL role of the service: it can append to the log and read it,
// and cannot change it.
const AppRole = "kassa_app"

// AuditorRole is the PostgreSQL role of auditors: it can read what verify reads.
const AuditorRole = "kassa_auditor"

// OpenPostgres opens a pool of writable connections with the rights of AppRole, and
// refuses a database of another version than this binary's.
func OpenPostgres(ctx context.Context, url string, conns int32) (*pgxpool.Pool, error) {
	return openPostgres(ctx, url, conns, func(config *pgxpool.Config, pooled bool) {
		if config.ConnConfig.ValidateConnect == nil { // the address may name several servers, and require another kind
			config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
		}
		config.AfterConnect = takeRole
		if pooled {
			config.AfterConnect = haveRole
		}
	})
}

func takeRole(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SET ROLE `+AppRole)
	return err
}

// haveRole checks that the login works as AppRole already. It cannot be set through a
// pooler: it would also apply to the next client of the session.
func haveRole(ctx context.Context, conn *pgx.Conn) error {
	var role, login string
	if err := conn.QueryRow(ctx, `SELECT current_user, session_user`).Scan(&role, &login); err != nil {
		return err
	}
	if role != AppRole {
		return fmt.Errorf("%w: as a superuser, ALTER ROLE %s SET role = %s; a login that owns the tables is not for the service", ErrPooledRole, pgx.Identifier{login}.Sanitize(), AppRole)
	}
	return nil
}

// ErrPooledRole means that connections go through a pooler, and that the login does not
// work as AppRole by default.
var ErrPooledRole = errors.New("through a connection pooler the service cannot take its role")

// OpenPostgresReadOnly is OpenPostgres for reading, also from a replica: a login that
// is no member of AppRole takes AuditorRole, and one of neither keeps its own rights.
func OpenPostgresReadOnly(ctx context.Context, url string, conns int32) (*pgxpool.Pool, error) {
	return openPostgres(ctx, url, conns, func(config *pgxpool.Config, pooled bool) {
		if pooled {
			return
		}
		config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, `SELECT set_config('role', rolname, false) FROM (SELECT rolname FROM pg_roles
				WHERE rolname IN ('`+AppRole+`', '`+AuditorRole+`') AND pg_has_role(oid, 'SET') ORDER BY rolname = '`+AppRole+`' DESC LIMIT 1) r`)
			return err
		}
	})
}

func openPostgres(ctx context.Context, url string, conns int32, more func(config *pgxpool.Config, pooled bool)) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", withoutURL(err))
	}
	config.MaxConns = conns
	config.MaxConnIdleTime = 5 * time.Minute
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	config.ConnConfig.DialFunc = dialer.DialContext
	pooled, err := settle(ctx, config.ConnConfig)
	if err != nil {
		return nil, err
	}
	if err := checkVersion(ctx, config.ConnConfig); err != nil { // first, because an empty database has no role either
		return nil, err
	}
	more(config, pooled)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return pool, nil
}

// dialer detects within half a minute that a server has vanished, as the server does
// for clients. Some connections wait for notifications for hours.
var dialer = net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}

var errNoURL = errors.New("it is not a postgres:// URL, or one with a wrong setting behind the question mark")

// withoutURL removes a malformed URL from the error, so that its password is not
// logged.
func withoutURL(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errNoURL
	}
	return err
}

// Connect opens one connection with the login's own rights, for inspection.
func Connect(ctx context.Context, url string) (*pgx.Conn, error) {
	config, err := parse(ctx, url)
	if err != nil {
		return nil, err
	}
	return pgx.ConnectConfig(ctx, config)
}

// PlanPostgres lists the pending migrations. It changes nothing.
func PlanPostgres(ctx context.Context, url string) ([]Migration, error) {
	config, err := parse(ctx, url)
	if err != nil {
		return nil, err
	}
	return plan(ctx, config)
}

// MigratePostgres migrates the database to this binary's version, and returns the
// applied steps. Of concurrent calls one migrates and the others wait.
func MigratePostgres(ctx context.Context, url string) (done []Migration, err error) {
	return migratePostgres(ctx, url, math.MaxInt64)
}

func migratePostgres(ctx context.Context, url string, upTo int64) (done []Migration, err error) {
	config, err := parse(ctx, url)
	if err != nil {
		return nil, err
	}
	if _, err := plan(ctx, config); err != nil { // a newer database is not touched
		return nil, err
	}
	ours, err := fs.Sub(files, "postgres")
	if err != nil {
		return nil, err
	}
	// A lease in a table, because through a pooler a session lock would stay with a
	// shared session.
	locker, err := lock.NewPostgresTableLocker(lock.WithTableLockTimeout(time.Second, 300))
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, ours, goose.WithLocker(locker), goose.WithAllowOutofOrder(true))
	if err != nil {
		return nil, err
	}
	results, err := provider.UpTo(ctx, upTo)
	for _, r := range results {
		done = append(done, Migration{r.Source.Version, r.Source.Path})
	}
	return done, err
}

// CheckURL checks an address without connecting. The driver also accepts keyword/value
// strings, and almost any text parses as one.
func CheckURL(url string) error {
	if !strings.HasPrefix(url, "postgres://") && !strings.HasPrefix(url, "postgresql://") {
		return errNoURL
	}
	_, err := pgx.ParseConfig(url)
	return withoutURL(err)
}

func parse(ctx context.Context, url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", withoutURL(err))
	}
	_, err = settle(ctx, config)
	return config, err
}

func checkVersion(ctx context.Context, config *pgx.ConnConfig) error {
	steps, err := plan(ctx, config)
	if err == nil && len(steps) > 0 {
		err = fmt.Errorf("%w: it lacks %d migrations, from %s", ErrOlder, len(steps), steps[0].Name)
	}
	return err
}

// plan lists the pending steps.
func plan(ctx context.Context, config *pgx.ConnConfig) ([]Migration, error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var begun bool
	if err := conn.QueryRow(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&begun); err != nil {
		return nil, fmt.Errorf("read the database's version: %w", err)
	}
	var applied []int64
	if begun {
		rows, _ := conn.Query(ctx, selectApplied)
		if applied, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil {
			return nil, fmt.Errorf("read the database's version: %w", err)
		}
	}
	return missing("postgres", applied)
}

// raceTries is how often a transaction is retried that the server aborted because of a
// concurrent one.
const raceTries = 5

// InTransaction runs do in a transaction whose statements each see what was committed
// before them, whatever the server's default is. If the server aborts it because of a
// concurrent transaction, it is retried from the start: do must allow for that.
func InTransaction(ctx context.Context, pool *pgxpool.Pool, do func(pgx.Tx) error) error {
	for tries := 1; ; tries++ {
		err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, do)
		if FaultOf(err) != Raced || tries == raceTries {
			return err
		}
	}
}
