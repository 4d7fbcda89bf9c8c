package eventstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"kassa/schema"
)

// engine is a database under the store. It keeps rows and answers questions; all
// rules are above it.
type engine interface {
	// begin starts the transaction of one batch: it waits for the head row, holds
	// it until commit or rollback, and reads what the sequencer must know. An
	// error means that nothing was, or will be, written.
	begin(ctx context.Context, streams []Stream, commands []string) (batch, error)
	// appendIf writes the rows and moves the head in one transaction, if the head is
	// as it was. The error wraps errRaced where it is not, or where a version or a
	// command of the rows is used, and ErrUnknown where the rows may be there; after
	// any other error, too, nothing was written.
	appendIf(ctx context.Context, was Head, rows []row, head Head) error

	head(ctx context.Context) (Head, error)
	// entries reads the positions and entries of up to limit rows behind the position,
	// in order, and leaves the rest of a row empty.
	entries(ctx context.Context, at Position, limit int) ([]row, error)
	// after reads up to limit whole rows behind the position, in order.
	after(ctx context.Context, at Position, limit int) ([]row, error)
	// stream reads up to limit rows of one stream behind the version, in order.
	stream(ctx context.Context, s Stream, after Version, limit int) ([]row, error)
	// command finds the first row of a command's append; 0 where there is none.
	command(ctx context.Context, id string) (Position, error)
	// nodes reads the stored tree nodes of the entries at these positions.
	nodes(ctx context.Context, at []Position) (map[Position][]byte, error)

	// takesWrites says why the database takes none, or cannot be reached.
	takesWrites(ctx context.Context) error
	// probe writes what an append of the largest entry would, and takes it back.
	probe(ctx context.Context) error
	// extend makes ready what the log needs to grow far beyond the size; it does nothing
	// where that is ready.
	extend(ctx context.Context, size Position) error

	snapshot(ctx context.Context, s Stream) (snapshot, error)
	saveSnapshots(ctx context.Context, list []snapshot) error
	snapshots(ctx context.Context, after Stream, limit int) ([]snapshot, error)

	// checkpoint also says whether the log has the entry that the follower was at.
	checkpoint(ctx context.Context, name string) (at Position, follows bool, err error)
	checkpoints(ctx context.Context) (map[string]Position, error)
	// setCheckpoint moves it while the lease is held; the error wraps ErrDeposed where
	// another process has taken it. The zero lease is always held.
	setCheckpoint(ctx context.Context, name string, at Position, by lease) error

	// takeLease makes the holder the leader for that long, if no other is, and gives
	// the epoch; 0 where another leads.
	takeLease(ctx context.Context, l lease, long time.Duration) (epoch int64, err error)
	// renewLease goes on; the error wraps ErrDeposed where another has taken the lease.
	renewLease(ctx context.Context, l lease, long time.Duration) error
	endLease(ctx context.Context, l lease) error

	// missingGuards names what keeps the log from being changed and is not there, or is
	// not as the migrations made it.
	missingGuards(ctx context.Context) ([]string, error)

	// listen calls hint when it hears how far the log has come, until ctx ends; an
	// engine that hears nothing returns at once. It reports when it cannot listen, and
	// nil when it can again.
	listen(ctx context.Context, hint func(Position), report func(error))
}

// errRaced: the log is not as the append expected it.
var errRaced = errors.New("somebody else has appended")

// atCommit marks the error of the statement that ends a transaction: with ErrUnknown,
// unless it proves that nothing was committed.
func atCommit(err error) error {
	if err == nil || errors.Is(err, errRaced) || schema.IsUndone(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnknown, err)
}

// batch is a transaction that holds the head row.
type batch interface {
	known() known
	// commit writes the rows, moves the head and commits. The error wraps ErrUnknown
	// where the rows may be there; after any other error nothing was written.
	commit(ctx context.Context, rows []row, head Head) error
	rollback()
}

// known is what the sequencer reads under the head's lock.
type known struct {
	head     Head
	versions map[Stream]Version
	commands map[string]Position // of those asked for, the ones that were used
	unread   bool                // nothing was: a stream stands where its first write expects it
}

// row is an entry as an engine keeps it. All columns but nodes can be read from
// the entry; verify compares them.
type row struct {
	position Position
	stream   Stream
	version  Version
	command  string // empty on all but the first entry of a command's append
	nodes    []byte // see Tree.Grow
	entry    []byte
}

// snapshot is a folded account as it is stored.
type snapshot struct {
	stream  Stream
	version Version
	format  int
	state   []byte
}

// scanner is one row of an answer, of either driver. That there is none is
// sql.ErrNoRows; pgx's own error wraps it.
type scanner interface{ Scan(columns ...any) error }

// scanHead reads size and root.
func scanHead(found scanner) (Head, error) {
	var h Head
	var root []byte
	if err := found.Scan(&h.Size, &root); err != nil {
		return Head{}, err
	}
	if len(root) != len(h.Root) {
		return Head{}, fmt.Errorf("%w: the head's root has %d bytes", ErrCorrupt, len(root))
	}
	copy(h.Root[:], root)
	return h, nil
}

// scanPosition gives 0 where there is no row.
func scanPosition(found scanner) (at Position, err error) {
	if err = found.Scan(&at); errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return at, err
}

// scanCheckpoint gives 0, which every log has, where there is no row.
func scanCheckpoint(found scanner) (at Position, follows bool, err error) {
	if err = found.Scan(&at, &follows); errors.Is(err, sql.ErrNoRows) {
		return 0, true, nil
	}
	return at, follows, err
}

// scanSnapshot reads stream, version, format and state; it gives the zero snapshot
// where there is no row.
func scanSnapshot(found scanner) (s snapshot, err error) {
	if err = found.Scan(&s.stream, &s.version, &s.format, &s.state); errors.Is(err, sql.ErrNoRows) {
		return snapshot{}, nil
	}
	return s, err
}
