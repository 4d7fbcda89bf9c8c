// Package eventstore is the append-only log that all of Kassa is derived from.
//
// Its promises:
//
//   - Positions are dense and in commit order: 1, 2, 3 … without a gap or a late
//     arrival. A reader at position N has seen everything up to N.
//   - A stream's versions are dense too, and none is used twice.
//   - An append is atomic over all its streams; a conflict fails that append
//     alone and never its neighbours in the batch.
//   - A command id is used once. The same command again gets the first receipt.
//   - Bytes are stored once, hashed as stored, and never rewritten. Position N is
//     leaf N-1 of an RFC 6962 Merkle tree whose size and root move in the commit
//     that stores the entries.
//   - When Append returns a receipt, the entries are durable.
//
// Files: entry.go (bytes of an entry), store.go (the API), sequence.go and number.go
// (group commit), tree.go (the Merkle tree), read.go (reads and waiting), rows.go (raw
// rows for verify), account.go (folded accounts), lead.go (leases), sqlite.go and
// postgres.go (the engines), postgres_pipe.go (appends that are sent before the last one
// is answered).
package eventstore
