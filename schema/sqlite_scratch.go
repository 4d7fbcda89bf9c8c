package schema

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ScratchSQLite makes an empty file in a temporary folder, which Close removes. It is for
// entries that are not believed yet: nothing in it refuses an entry, so that verify finds
// what is wrong with it. After a crash nothing of it is needed, so it is not made durable.
func ScratchSQLite(ctx context.Context) (*SQLite, error) {
	folder, err := os.MkdirTemp("", "kassa-scratch-")
	if err != nil {
		return nil, err
	}
	s, err := OpenSQLite(ctx, filepath.Join(folder, "log.db"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	s.copied = folder
	for _, statement := range []string{
		`PRAGMA synchronous = OFF`,
		`DROP TRIGGER events_only_next`,
		`DROP INDEX events_stream_version`,
		`DROP INDEX events_command`,
		`CREATE INDEX events_stream_version ON events (stream, version)`,
	} {
		if _, err := s.Write.ExecContext(ctx, statement); err != nil {
			return nil, errors.Join(fmt.Errorf("make a temporary ledger: %w", err), s.Close())
		}
	}
	return s, nil
}
