// Package schema holds what is written down about data: the SQL of the tables,
// the JSON Schemas of events and the OpenAPI contract of the HTTP surface. It
// also opens database files, because opening one means bringing its tables to
// the version that this binary knows.
package schema

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // the driver "sqlite", in pure Go
)

// SQLite is one database file: a single writing connection, since SQLite has one
// writer at a time anyhow and a queue in Go is fairer than its busy loop, and
// several reading ones.
type SQLite struct {
	Write *sql.DB
	Read  *sql.DB
	path  string
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
	return &SQLite{write, read, path}, nil
}

// OpenSQLiteReadOnly opens an existing file for an audit and changes nothing
// in it: no migration, no table made. A missing file is an error.
func OpenSQLiteReadOnly(ctx context.Context, path string) (*SQLite, error) {
	read, err := sql.Open("sqlite", address(path, "mode=rw", "_pragma=query_only(1)"))
	if err != nil {
		return nil, fmt.Errorf("open %s for reading: %w", path, err)
	}
	read.SetMaxOpenConns(4)
	if _, err := planSQLite(ctx, read); err != nil { // an older one can be read
		read.Close()
		return nil, fmt.Errorf("open %s for reading: %w", path, err)
	}
	return &SQLite{read, read, path}, nil
}

// IsSQLiteConstraint says whether a statement was refused because of what is there,
// such as a second row with the same key.
func IsSQLiteConstraint(err error) bool {
	const constraint = 19 // SQLITE_CONSTRAINT; the higher bits say which kind
	said, ok := errors.AsType[*sqlite.Error](err)
	return ok && said.Code()&0xff == constraint
}

// spaceNeeded is what must be free beside the database for appends to succeed: a large
// batch, and the log of it that SQLite writes first.
const spaceNeeded = 1 << 20

// Space says whether there is space for more beside the database, by writing a file
// and removing it.
func (s *SQLite) Space() error {
	bytes := make([]byte, spaceNeeded)
	_, _ = rand.Read(bytes) // never fails; what repeats itself may take no space
	probe := s.path + ".space"
	err := os.WriteFile(probe, bytes, 0o600)
	return errors.Join(err, os.Remove(probe))
}

// Close closes both sides.
func (s *SQLite) Close() error {
	if s.Write == s.Read {
		return s.Read.Close()
	}
	return errors.Join(s.Read.Close(), s.Write.Close())
}

func dsn(path string, more ...string) string {
	return address(path, append([]string{"_pragma=journal_mode(wal)", "_pragma=synchronous(full)", "_pragma=foreign_keys(1)"}, more...)...)
}

// address says nothing of the journal: its mode is kept in the file, and would be
// changed there.
func address(path string, more ...string) string {
	q := "_pragma=busy_timeout(10000)"
	for _, m := range more {
		q += "&" + m
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q}).String()
}

func migrateSQLite(ctx context.Context, db *sql.DB) error {
	if _, err := planSQLite(ctx, db); err != nil { // a newer ledger is left alone
		return err
	}
	ours, err := fs.Sub(files, "sqlite")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, ours, goose.WithAllowOutofOrder(true))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// planSQLite lists the steps that the file waits for. It changes nothing.
func planSQLite(ctx context.Context, db *sql.DB) ([]Migration, error) {
	applied, err := appliedSQLite(ctx, db)
	if err != nil {
		return nil, err
	}
	return missing("sqlite", applied)
}

// appliedSQLite gives the steps that the file has.
func appliedSQLite(ctx context.Context, db *sql.DB) (applied []int64, err error) {
	var begun bool
	err = db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'goose_db_version')`).Scan(&begun)
	if err != nil {
		return nil, fmt.Errorf("read the ledger's version: %w", err)
	}
	if !begun {
		return nil, nil
	}
	rows, err := db.QueryContext(ctx, selectApplied)
	if err != nil {
		return nil, fmt.Errorf("read the ledger's version: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var version int64
		if err := rows.Scan(&version); err != nil {
			return nil, fmt.Errorf("read the ledger's version: %w", err)
		}
		applied = append(applied, version)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the ledger's version: %w", err)
	}
	return applied, nil
}

// Older is how many steps the file is behind this program, which makes them when it
// opens the file for writing.
func (s *SQLite) Older(ctx context.Context) (int, error) {
	steps, err := planSQLite(ctx, s.Read)
	return len(steps), err
}
