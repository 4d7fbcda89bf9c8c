package eventstore

import (
	"context"
	"errors"
)

// Stored is one row of the log as it lies in the database, and beside it what
// its bytes say. Nothing was compared yet: that is what verify does.
type Stored struct {
	Position Position
	Stream   Stream
	Version  Version
	Command  string // empty where the column is null
	Nodes    []Hash // of the tree, completed by this entry, its own leaf first
	Leaf     Hash   // of the bytes as they are now
	Recorded Recorded
	Err      error // why the bytes, or the nodes, cannot be read; then Recorded or Nodes is empty
}

// Rows gives fn every row behind the position in order, with gaps where rows
// are missing, and with rows that nobody appended. To see them all, begin at the
// lowest number there is: a forger may have used one below 1.
func (s *Store) Rows(ctx context.Context, at Position, fn func([]Stored) error) error {
	return inPages(ctx, s.engine.after, at, storedRows, fn)
}

func storedRows(rows []row, _ Position) ([]Stored, error) {
	list := make([]Stored, len(rows))
	for i, r := range rows {
		nodes, badNodes := splitNodes(r.nodes)
		rec, badEntry := Decode(r.entry)
		list[i] = Stored{Position: r.position, Stream: r.stream, Version: r.version, Command: r.command,
			Nodes: nodes, Leaf: LeafHash(r.entry), Recorded: rec, Err: errors.Join(badEntry, badNodes)}
	}
	return list, nil
}
