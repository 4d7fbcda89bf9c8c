package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// ErrGap: entries that are to be imported do not follow on each other, or on the log.
var ErrGap = errors.New("eventstore: the entries do not follow")

// importBatch is how many entries one transaction of an import commits.
const importBatch = 1024

// ReadEntry is the next entry of another log, as it was stored there; io.EOF behind the last.
type ReadEntry func() (Envelope, []byte, error)

// Import appends entries of another log byte by byte, so that the root is that of the other
// log. They begin at position 1. This log is empty, or has the first of them, as after an
// import that was interrupted.
//
// It commits in parts, and an error leaves the parts before it. It proves only that the
// entries follow on each other: whether they are a valid ledger is to be verified before.
// Errors wrap ErrGap, or ErrDiverged where this log has other entries, and then nothing was
// written.
func (s *Store) Import(ctx context.Context, next ReadEntry) (Head, error) {
	if s.readOnly {
		return Head{}, ErrReadOnly
	}
	head, err := s.Head(ctx)
	if err != nil {
		return Head{}, err
	}
	i := importing{store: s, next: next, numbering: numbering{log: logState{head: head}}}
	for err = i.pass(head); err == nil; {
		err = i.commit(ctx)
	}
	if !errors.Is(err, io.EOF) {
		return Head{}, err
	}
	return i.log.head, nil
}

// importing is an import under way.
type importing struct {
	store *Store
	next  ReadEntry
	last  Envelope // of the entry before
	numbering
}

// pass reads the entries that the log has, and proves that they are those of its head.
func (i *importing) pass(head Head) error {
	for Position(i.tree.size) < head.Size {
		if _, err := i.read(); err != nil {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: the log has %d entries, and the other one %d", ErrDiverged, head.Size, i.tree.size)
			}
			return err
		}
	}
	if have, err := i.tree.Head(); err != nil || have != head {
		return errors.Join(err, fmt.Errorf("%w: its first %d entries are others", ErrDiverged, head.Size))
	}
	return nil
}

// read takes the next entry into the tree, and gives its row.
func (i *importing) read() (row, error) {
	env, entry, err := i.next()
	if err != nil {
		return row{}, err
	}
	if want := Position(i.tree.size + 1); env.Position != want {
		return row{}, fmt.Errorf("%w: position %d where %d is expected", ErrGap, env.Position, want)
	}
	nodes, err := i.tree.Grow(LeafHash(entry))
	if err != nil {
		return row{}, err
	}
	r := row{position: env.Position, stream: env.Stream, version: env.Version, nodes: joinNodes(nodes), entry: entry}
	if command, ok := env.Cause.Command(); ok && !env.Continues(i.last) {
		r.command = command.ID
	}
	i.last = env
	return r, nil
}

// commit writes the next part, in one transaction on the head's lock. It gives io.EOF behind
// the last entry, when everything is committed.
func (i *importing) commit(ctx context.Context) error {
	var rows []row
	var end error
	for len(rows) < importBatch && end == nil {
		var r row
		if r, end = i.read(); end == nil {
			rows = append(rows, r)
		}
	}
	if end != nil && !errors.Is(end, io.EOF) || len(rows) == 0 {
		return end
	}
	head, err := i.tree.Head()
	if err != nil {
		return err
	}
	if err := i.store.engine.extend(ctx, head.Size); err != nil {
		return err
	}
	tx, err := i.store.engine.begin(ctx, nowhere, nil, nil)
	if err != nil {
		return fmt.Errorf("begin to import positions up to %d: %w", head.Size, err)
	}
	if now := tx.state().head; now != i.log.head {
		tx.rollback()
		return fmt.Errorf("%w: another process has appended meanwhile, the log has %d entries", ErrGap, now.Size)
	}
	if err := tx.commit(ctx, rows, head); err != nil {
		return fmt.Errorf("import positions %d to %d: %w", rows[0].position, head.Size, err)
	}
	i.log.head = head
	i.store.see(head.Size)
	return end
}
