// Package schema holds what is written down about data: the SQL of the tables,
// the JSON Schemas of events and the OpenAPI contract of the HTTP surface. It
// also opens database files, because opening one means bringing its tables to
// the version that this binary knows.
package schema

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // the driver "sqlite", in pure Go
)

//go:embed sqlite/*.sql
var sqliteFiles embed.FS

// ErrNewer means that a newer program has written to the database: this one is too
// old for it.
var ErrNewer = errors.New("the database is newer than this program, which is too old for it")

// SQLite is one database file: a single writing connection, since SQLite has one
// writer at a time anyhow and a queue in Go is fairer than its busy loop, and
// several reading ones.
type SQLite struct {
	Write *sql.DB
	Read  *sql.DB
}

// OpenSQLite opens the file, makes it if needed, and migrates its tables.
// Commits are durable when they return (WAL with synchronous=FULL).
func OpenSQLite(ctx context.Context, path string) (*SQLite, error) {
	write, err := sql.Open("sqlite", dsn(path, "_txlock=immediate"))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	if err := migrateSQLite(ctx, write); err != nil {
		write.Close()
		return nil, fmt.Errorf("bring %s to this version's tables: %w", path, err)
	}
	read, err := sql.Open("sqlite", dsn(path, "_pragma=query_only(1)"))
	if err != nil {
		write.Close()
		return nil, fmt.Errorf("open %s for reading: %w", path, err)
	}
	read.SetMaxOpenConns(8)
	read.SetMaxIdleConns(8)
	return &SQLite{Write: write, Read: read}, nil
}

// OpenSQLiteReadOnly opens an existing file for an audit and changes nothing
// in it: no migration, no table made. A missing file is an error.
func OpenSQLiteReadOnly(ctx context.Context, path string) (*SQLite, error) {
	read, err := sql.Open("sqlite", dsn(path, "mode=rw", "_pragma=query_only(1)"))
	if err != nil {
		return nil, fmt.Errorf("open %s for reading: %w", path, err)
	}
	read.SetMaxOpenConns(4)
	if err := read.PingContext(ctx); err != nil {
		read.Close()
		return nil, fmt.Errorf("open %s for reading: %w", path, err)
	}
	return &SQLite{Write: read, Read: read}, nil
}

// IsSQLiteConstraint says whether a statement was refused because of what is there,
// such as a second row with the same key.
func IsSQLiteConstraint(err error) bool {
	const constraint = 19 // SQLITE_CONSTRAINT; the higher bits say which kind
	said, ok := errors.AsType[*sqlite.Error](err)
	return ok && said.Code()&0xff == constraint
}

// Close closes both sides.
func (s *SQLite) Close() error {
	if s.Write == s.Read {
		return s.Read.Close()
	}
	return errors.Join(s.Read.Close(), s.Write.Close())
}

func dsn(path string, more ...string) string {
	q := "_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=foreign_keys(1)"
	for _, m := range more {
		q += "&" + m
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q}).String()
}

func migrateSQLite(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(sqliteFiles, "sqlite")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return err
	}
	if _, _, err := versions(ctx, provider); err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// versions are the database's and this binary's. A newer database than this binary
// knows is ErrNewer.
func versions(ctx context.Context, p *goose.Provider) (current, target int64, err error) {
	current, target, err = p.GetVersions(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("read the database's version: %w", err)
	}
	if current > target {
		return 0, 0, fmt.Errorf("%w: it has version %d, and %d is known here", ErrNewer, current, target)
	}
	return current, target, nil
}
