package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
)

// ErrChanged means that another process began to write to a file which was read as one
// that nobody writes to: what was read may be of two moments.
var ErrChanged = errors.New("another process has written to the file while it was read: nothing follows from what was read, read it again")

// OpenSQLiteReadOnly opens an existing file for an audit: no migration, no new table. A
// missing file is an error. The bytes of the file and of its write-ahead log stay as they
// are, also where a process was killed with the file open, where the file is on a
// read-only medium, and where it belongs to another user. If nothing can be locked there,
// and another process writes meanwhile, Close returns ErrChanged.
func OpenSQLiteReadOnly(ctx context.Context, path string) (*SQLite, error) {
	s, err := openToRead(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open %s for reading: %w", path, err)
	}
	return s, nil
}

// openToRead chooses how. With write access SQLite would move the write-ahead log into the
// file when the last connection is closed, so it is given only where there is nothing to
// move.
func openToRead(ctx context.Context, path string) (*SQLite, error) {
	wal, err := os.Stat(path + "-wal")
	pending := err == nil && wal.Size() > 0
	_, err = os.Stat(path + "-shm")
	indexed := err == nil
	switch {
	case pending && indexed: // a process is running, or was killed
		return readFrom(ctx, path, "mode=ro", "readonly_shm=1")
	case pending: // SQLite would make the index beside the file: a copy without it
		return readCopy(ctx, path)
	}
	s, err := readFrom(ctx, path, "mode=rw")
	if !cannotWrite(err) {
		return s, err
	}
	frozen, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if s, err = readFrom(ctx, path, "mode=ro", "immutable=1"); err == nil {
		s.frozen = frozen
	}
	return s, err
}

func readFrom(ctx context.Context, path string, mode ...string) (*SQLite, error) {
	read, err := sql.Open("sqlite", address(path, append(mode, "_pragma=query_only(1)")...))
	if err != nil {
		return nil, err
	}
	read.SetMaxOpenConns(4)
	if _, err := planSQLite(ctx, read); err != nil { // an older one can be read
		return nil, errors.Join(err, read.Close())
	}
	return &SQLite{Write: read, Read: read, path: path}, nil
}

// readCopy reads a copy of the file and its write-ahead log, which Close removes.
func readCopy(ctx context.Context, path string) (s *SQLite, err error) {
	folder, err := os.MkdirTemp("", "kassa-read-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(folder))
		}
	}()
	copied := filepath.Join(folder, filepath.Base(path))
	for _, end := range []string{"", "-wal"} {
		if err := copyFile(path+end, copied+end); err != nil {
			return nil, fmt.Errorf("copy it, because its write-ahead log has no index beside it: %w", err)
		}
	}
	if s, err = readFrom(ctx, copied, "mode=rw"); err == nil {
		s.copied = folder
	}
	return s, err
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// cannotWrite reports that SQLite could not make the files that it needs beside a file.
func cannotWrite(err error) bool {
	const readOnly, cannotOpen = 8, 14 // SQLITE_READONLY, SQLITE_CANTOPEN; the higher bits are the kind
	sqliteErr, ok := errors.AsType[*sqlite.Error](err)
	return ok && (sqliteErr.Code()&0xff == readOnly || sqliteErr.Code()&0xff == cannotOpen)
}

// endReading removes a copy, and reports whether a file was changed under the reader.
func (s *SQLite) endReading() error {
	if s.copied != "" {
		return os.RemoveAll(s.copied)
	}
	if s.frozen == nil {
		return nil
	}
	now, err := os.Stat(s.path)
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrChanged, err)
	}
	wal, err := os.Stat(s.path + "-wal")
	if now.Size() != s.frozen.Size() || !now.ModTime().Equal(s.frozen.ModTime()) || err == nil && wal.Size() > 0 {
		return ErrChanged
	}
	return nil
}
