package schema

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed postgres/*.sql
var postgresFiles embed.FS

// AppRole is the PostgreSQL role that the service works as: it can add to the log
// and read it, and cannot change it.
const AppRole = "kassa_app"

// ErrOlder means that the database waits for migrations: run kassa migrate.
var ErrOlder = errors.New("the database is older than this program, run kassa migrate")

// OpenPostgres opens a pool whose connections have the rights of AppRole, and
// refuses a database of another version than this binary's.
func OpenPostgres(ctx context.Context, url string, conns int32) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", withoutURL(err))
	}
	config.MaxConns = conns
	config.MaxConnIdleTime = 5 * time.Minute
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	config.ConnConfig.DialFunc = dialer.DialContext
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET ROLE "+AppRole)
		return err
	}
	if err := checkVersion(ctx, url); err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return pool, nil
}

// dialer finds out within half a minute that a server is gone without a word, as
// the server does of us. Some connections wait for hours: for a leader's lock, or
// for news.
var dialer = net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}

// withoutURL keeps a password in a malformed URL out of the log.
func withoutURL(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("it is not a postgres:// URL")
	}
	return err
}

// Migration is one step that MigratePostgres did, or would do.
type Migration struct {
	Version int64
	Name    string
}

// PlanPostgres lists the migrations that the database waits for.
func PlanPostgres(ctx context.Context, url string) ([]Migration, error) {
	var plan []Migration
	err := withProvider(url, func(p *goose.Provider) error {
		current, _, err := versions(ctx, p)
		if err != nil {
			return err
		}
		for _, source := range p.ListSources() {
			if source.Version > current {
				plan = append(plan, Migration{source.Version, source.Path})
			}
		}
		return nil
	})
	return plan, err
}

// MigratePostgres brings the database to this binary's version, and gives the
// steps. Of several at once, one does it and the others wait.
func MigratePostgres(ctx context.Context, url string) ([]Migration, error) {
	var done []Migration
	err := withProvider(url, func(p *goose.Provider) error {
		if _, _, err := versions(ctx, p); err != nil {
			return err
		}
		results, err := p.Up(ctx)
		for _, r := range results {
			done = append(done, Migration{r.Source.Version, r.Source.Path})
		}
		return err
	})
	return done, err
}

func checkVersion(ctx context.Context, url string) error {
	return withProvider(url, func(p *goose.Provider) error {
		current, target, err := versions(ctx, p)
		if err == nil && current < target {
			err = fmt.Errorf("%w: it has version %d of %d", ErrOlder, current, target)
		}
		return err
	})
}

func withProvider(url string, do func(*goose.Provider) error) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("read the database URL: %w", withoutURL(err))
	}
	files, err := fs.Sub(postgresFiles, "postgres")
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	return do(provider)
}
