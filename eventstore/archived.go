package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"kassa/domain"
)

// ErrArchived: the entry is in an archive, and no more in the database.
var ErrArchived = errors.New("eventstore: the entry is archived")

// ErrDoneBefore: the command was done before, and what it came to is archived. It is no
// refusal: its first answer cannot be given again, and it is not done again.
var ErrDoneBefore = errors.New("eventstore: the command was done before, and its events are archived")

// Archive is the record of one archive: a stretch of the log that was written to files
// and taken out of the database.
type Archive struct {
	UpTo      Position // all entries up to here are archived, in this archive and those before
	Partition string   // in which they were
	Manifest  []byte   // of the archive, byte by byte
	Digest    Hash     // SHA-256 of the manifest
}

// ArchivedAccount is an account as it was at the end of an archive.
type ArchivedAccount struct {
	Stream  Stream                           `json:"stream"`
	Version Version                          `json:"version"`
	Format  int                              `json:"format"` // of the state
	State   json.RawMessage                  `json:"state"`  // domain.Account
	Asked   map[domain.PredictionID]Position `json:"asked"`  // where each open hold was asked for
}

// ArchivedFormat is the newest format of archived accounts; see FormatOf.
const ArchivedFormat = newestFormat

// Archived is up to which position entries are archived; 0 where the whole log is here.
func (s *Store) Archived(ctx context.Context) (Position, error) {
	at, err := s.engine.archived(ctx)
	if err != nil {
		return 0, fmt.Errorf("read up to where the log is archived: %w", err)
	}
	return at, nil
}

// Archives are the records of all archives, in order.
func (s *Store) Archives(ctx context.Context) ([]Archive, error) {
	list, err := s.engine.archives(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the records of archives: %w", err)
	}
	return list, nil
}

// ArchivedAccounts gives fn every account as it was at the archived position, in the
// order of their streams.
func (s *Store) ArchivedAccounts(ctx context.Context, upTo Position, fn func(ArchivedAccount) error) error {
	var after Stream
	for {
		list, err := s.engine.archivedAccounts(ctx, upTo, after, pageSize)
		if err != nil {
			return fmt.Errorf("read the archived accounts after %q: %w", after, err)
		}
		for _, a := range list {
			after = a.Stream
			if err := fn(a); err != nil {
				return err
			}
		}
		if len(list) < pageSize {
			return nil
		}
	}
}

// entries reads entries behind the position. Where the next one is archived, the error
// wraps ErrArchived: a reader that goes on without it would skip it.
func (s *Store) entries(ctx context.Context, at Position, limit int) ([]row, error) {
	rows, err := s.engine.entries(ctx, at, limit)
	if err != nil || len(rows) == 0 || rows[0].position == at+1 {
		return rows, err
	}
	upTo, err := s.Archived(ctx)
	if err == nil && at < upTo {
		err = archivedUpTo(upTo)
	}
	return rows, err
}

func archivedUpTo(upTo Position) error {
	return fmt.Errorf("%w: the entries from 1 to %d are", ErrArchived, upTo)
}
