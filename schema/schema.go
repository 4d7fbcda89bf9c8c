// Package schema contains the definitions of stored data: the SQL of the tables, the
// JSON Schemas of events and the OpenAPI contract. It also opens databases, because
// opening one checks or migrates its tables to this binary's version.
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

// SQLite is one database file: a single writing connection, because SQLite has one
// writer at a time and a queue in Go is fairer than its busy loop, and several reading
// ones.
type SQLite struct {
	Write *sql.DB
	Read  *sql.DB
	path  string

	frozen os.FileInfo // the file at its opening, where SQLite does not notice changes of it; else nil
	copied string      // the temporary folder in which it is; "" where it is in none
}

// OpenSQLite opens the file, creates it if needed, and migrates its tables. Commits are
// durable when they return (WAL with synchronous=FULL).
func OpenSQLite(ctx context.Context, path string) (*SQLite, error) {
	// Deleted rows are overwritten: among them are keys of people who were erased.
	write, err := sql.Open("sqlite", dsn(path, "_txlock=immediate", "_pragma=secure_delete(1)"))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	if err := migrateSQLite(ctx, write); err != nil {
		write.Close()
		return nil, fmt.Errorf("migrate %s: %w", path, err)
	}
	read, err := sql.Open("sqlite", dsn(path, "_pragma=query_only(1)"))
	if err != nil {
		write.Close()
		return nil, fmt.Errorf("open %s for reading: %w", path, err)
	}
	read.SetMaxOpenConns(8)
	read.SetMaxIdleConns(8)
	return &SQLite{Write: write, Read: read, path: path}, nil
}

// IsSQLiteConstraint reports whether a statement violated a constraint, such as a
// second row with the same key.
func IsSQLiteConstraint(err error) bool {
	const constraint = 19 // SQLITE_CONSTRAINT; the higher bits are the kind
	sqliteErr, ok := errors.AsType[*sqlite.Error](err)
	return ok && sqliteErr.Code()&0xff == constraint
}

// spaceNeeded is the free space that an append needs: a large batch, and SQLite's
// write-ahead log of it.
const spaceNeeded = 1 << 20

// Space checks that there is free space beside the database, by writing a file and
// removing it.
func (s *SQLite) Space() error {
	bytes := make([]byte, spaceNeeded)
	_, _ = rand.Read(bytes) // never fails; a file system may compress repeated bytes
	probe := s.path + ".space"
	err := os.WriteFile(probe, bytes, 0o600)
	return errors.Join(err, os.Remove(probe))
}

// ErrBusy means that the write-ahead log could not be emptied, because another connection
// reads from it.
var ErrBusy = errors.New("schema: the write-ahead log is in use")

// Checkpoint writes the write-ahead log into the file and empties it, so that the bytes of
// what was deleted before are in neither.
func (s *SQLite) Checkpoint(ctx context.Context) error {
	var busy, pages, written int
	err := s.Write.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &written)
	if err == nil && busy != 0 {
		err = ErrBusy
	}
	if err != nil {
		return fmt.Errorf("write the write-ahead log into %s: %w", s.path, err)
	}
	return nil
}

// Close closes all connections. The error wraps ErrChanged as of OpenSQLiteReadOnly.
func (s *SQLite) Close() error {
	if s.Write == s.Read {
		return errors.Join(s.Read.Close(), s.endReading())
	}
	return errors.Join(s.Read.Close(), s.Write.Close(), s.endReading())
}

func dsn(path string, more ...string) string {
	return address(path, append([]string{"_pragma=journal_mode(wal)", "_pragma=synchronous(full)", "_pragma=foreign_keys(1)"}, more...)...)
}

// address sets no journal mode: it is stored in the file, and setting it would change
// the file.
func address(path string, more ...string) string {
	q := "_pragma=busy_timeout(10000)"
	for _, m := range more {
		q += "&" + m
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q}).String()
}

func migrateSQLite(ctx context.Context, db *sql.DB) error {
	if _, err := planSQLite(ctx, db); err != nil { // a newer ledger is not touched
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

// planSQLite lists the pending steps. It changes nothing.
func planSQLite(ctx context.Context, db *sql.DB) ([]Migration, error) {
	applied, err := appliedSQLite(ctx, db)
	if err != nil {
		return nil, err
	}
	return missing("sqlite", applied)
}

// appliedSQLite returns the applied steps of the file.
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

// Older is how many steps the file is behind this program, which applies them when it
// opens the file for writing.
func (s *SQLite) Older(ctx context.Context) (int, error) {
	steps, err := planSQLite(ctx, s.Read)
	return len(steps), err
}
