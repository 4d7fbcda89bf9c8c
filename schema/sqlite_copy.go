package schema

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// CopyTo writes a copy of the whole file, as of one moment, to a new file that only its
// owner can read, while other connections and processes go on writing. The copy has no
// write-ahead log, and none of the bytes of what was deleted. It is durable when CopyTo
// returns; after an error nothing is left.
func (s *SQLite) CopyTo(ctx context.Context, path string) (err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // SQLite writes into an empty file
	if err != nil {
		return fmt.Errorf("copy %s: %w", s.path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(path) // half a copy
		}
	}()
	err = s.vacuumInto(ctx, path)
	if err == nil {
		err = file.Sync() // SQLite does not do it here
	}
	if ended := file.Close(); err == nil {
		err = ended
	}
	if err != nil {
		return fmt.Errorf("copy %s: %w", s.path, err)
	}
	return nil
}

// vacuumInto needs a connection that may write to other files; to this one VACUUM INTO does
// not write.
func (s *SQLite) vacuumInto(ctx context.Context, path string) (err error) {
	conn, err := s.Read.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, `PRAGMA query_only = 0`); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, `VACUUM INTO ?`, path)
	_, restored := conn.ExecContext(context.WithoutCancel(ctx), `PRAGMA query_only = 1`)
	return errors.Join(err, restored)
}
