package eventstore

import (
	"context"
	"errors"
)

// Stored is one row of the log as the database has it, beside its decoded bytes. Nothing
// was compared yet: verify does that.
type Stored struct {
	Position Position
	Stream   Stream
	Version  Version
	Command  string // empty where the column is null
	Nodes    []Hash // of the tree, completed by this entry, its own leaf first
	Leaf     Hash   // of the bytes as they are now; of an archived entry that is not kept, the stored one
	Recorded Recorded
	Archived bool  // Recorded is empty then, unless the entry is kept beside the archive
	Err      error // why the bytes, or the nodes, cannot be read; then Recorded or Nodes is empty
}

// Rows gives fn every row behind the position in order, with gaps where rows
// are missing, and with rows that this store did not append. To see them all,
// begin at the lowest number there is: a forger may have used one below 1.
func (s *Store) Rows(ctx context.Context, at Position, fn func([]Stored) error) error {
	return inPages(ctx, s.engine.after, at, storedRows, fn)
}

func storedRows(rows []row, _ Position) ([]Stored, error) {
	list := make([]Stored, len(rows))
	for i, r := range rows {
		nodes, badNodes := splitNodes(r.nodes)
		list[i] = Stored{Position: r.position, Stream: r.stream, Version: r.version, Command: r.command, Nodes: nodes, Archived: r.archived}
		if r.archived && len(r.entry) == 0 {
			if list[i].Err = badNodes; badNodes == nil {
				list[i].Leaf = nodes[0]
			}
			continue
		}
		rec, badEntry := Decode(r.entry)
		list[i].Leaf, list[i].Recorded, list[i].Err = LeafHash(r.entry), rec, errors.Join(badEntry, badNodes)
	}
	return list, nil
}
