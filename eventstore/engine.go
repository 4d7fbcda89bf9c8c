package eventstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"kassa/schema"
)

// engine is a database under the store. It keeps rows and answers queries; all rules
// are above it.
type engine interface {
	// begin starts the transaction of one batch: it waits for the head row, holds
	// it until commit or rollback, and reads what the sequencer must know, perhaps with
	// the next entries behind the position. An error means that nothing was, or will be,
	// written.
	begin(ctx context.Context, at Position, streams []Stream, commands []string) (transaction, error)
	// appendIf writes the rows and moves the head in one transaction, if the head is
	// as it was and the streams are at these versions. The error that is answered wraps
	// errRaced where they are not, or where a command of the rows is used, and ErrUnknown
	// where the rows may be there; after any other error, too, nothing was written. Up to
	// as many as pipelined returns may be called before the first is answered: they are done
	// in the order of the calls, which come from one goroutine.
	appendIf(ctx context.Context, was Head, streams []condition, rows []row, head Head) <-chan error
	pipelined() int

	head(ctx context.Context) (Head, error)
	// entries reads the positions and entries of up to limit rows behind the position,
	// in order, and leaves the rest of a row empty.
	entries(ctx context.Context, at Position, limit int) ([]row, error)
	// at is entries at these positions, in any order.
	at(ctx context.Context, at []Position) ([]row, error)
	// after reads up to limit whole rows behind the position, in order, archived ones too.
	after(ctx context.Context, at Position, limit int) ([]row, error)
	// stream reads up to limit rows of one stream behind the version, in order, archived
	// ones too.
	stream(ctx context.Context, s Stream, after Version, limit int) ([]row, error)
	// archived is up to which position entries are archived; 0 where none is.
	archived(ctx context.Context) (Position, error)
	archives(ctx context.Context) ([]Archive, error)
	// archivedAccounts reads up to limit accounts behind the stream, each as it was when
	// the log was archived up to the position.
	archivedAccounts(ctx context.Context, upTo Position, after Stream, limit int) ([]ArchivedAccount, error)
	// command finds the first row of a command's append; 0 where there is none.
	command(ctx context.Context, id string) (Position, error)
	// nodes reads the stored tree nodes of the entries at these positions.
	nodes(ctx context.Context, at []Position) (map[Position][]byte, error)

	// takesWrites gives an error where the database takes none, or cannot be reached.
	takesWrites(ctx context.Context) error
	// probe writes what an append of the largest entry would, and takes it back.
	probe(ctx context.Context) error
	// extend makes ready what the log needs to grow far beyond the size; it does nothing
	// where that is ready.
	extend(ctx context.Context, size Position) error

	// snapshot gives the latest state of a stream that is stored in a format of today, in a
	// snapshot or as it was archived.
	snapshot(ctx context.Context, s Stream) (snapshot, error)
	saveSnapshots(ctx context.Context, list []snapshot) error
	snapshots(ctx context.Context, after Stream, limit int) ([]snapshot, error)

	// checkpoint also reports whether the log has the entry that the follower was at.
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

	// unheard reports whether other processes may append of which no notification comes.
	unheard() bool
	// listen calls hint with the log's size when the database notifies it, until ctx
	// ends; an engine without notifications returns at once. It reports when it cannot
	// listen, and nil when it can again.
	listen(ctx context.Context, hint func(Position), report func(error))
}

// errRaced: the log is not as the append expected it.
var errRaced = errors.New("another process has appended")

// answered is a channel with an answer.
func answered(err error) <-chan error {
	answer := make(chan error, 1)
	answer <- err
	return answer
}

// atCommit marks the error of the statement that ends a transaction: with ErrUnknown,
// unless it proves that nothing was committed.
func atCommit(err error) error {
	if err == nil || errors.Is(err, errRaced) || schema.IsUndone(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnknown, err)
}

// transaction writes one batch. It holds the head row.
type transaction interface {
	state() logState
	// commit writes the rows, moves the head and commits. The error wraps ErrUnknown
	// where the rows may be there; after any other error nothing was written.
	commit(ctx context.Context, rows []row, head Head) error
	rollback()
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
	archived bool // then the entry is empty, unless it is kept beside the archive
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
