package eventstore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a node of the Merkle tree (SHA-256, RFC 6962). It is a type of our own so
// that it is written in hexadecimal wherever it is printed; tlog's writes base64.
type Hash tlog.Hash

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes hexadecimal, in JSON too.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads 64 digits.
func (h *Hash) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(h) {
		return fmt.Errorf("a hash is %d hexadecimal digits", 2*len(h))
	}
	copy(h[:], b)
	return nil
}

// Head is the log's size and the root over its entries: what an auditor keeps.
type Head struct {
	Size Position
	Root Hash
}

// LeafHash is the hash of an entry as a leaf.
func LeafHash(entry []byte) Hash { return Hash(tlog.RecordHash(entry)) }

// Tree is the right edge of the Merkle tree: of each complete subtree that the
// size is made of, its root, by level. That is all that growing needs, so a
// commit costs the same however long the log is. The zero value is the tree of an
// empty log.
type Tree struct {
	size  int64
	peaks [63]tlog.Hash
}

// Grow adds a leaf, and gives the nodes that it completes: the leaf itself and
// every inner node whose right half ends with it. They are stored beside the
// entry, so any node can be found again by its leaf.
func (t *Tree) Grow(leaf Hash) ([]Hash, error) {
	nodes, err := tlog.StoredHashesForRecordHash(t.size, tlog.Hash(leaf), tlog.HashReaderFunc(t.read))
	if err != nil {
		return nil, fmt.Errorf("grow the tree at size %d: %w", t.size, err)
	}
	t.size++
	t.peaks[len(nodes)-1] = nodes[len(nodes)-1]
	completed := make([]Hash, len(nodes))
	for i, node := range nodes {
		completed[i] = Hash(node)
	}
	return completed, nil
}

// Peaks are the roots of the complete subtrees that the size is made of, the largest
// first. With the size they are the whole tree, for growing and for its root.
func (t *Tree) Peaks() []Hash {
	var list []Hash
	for level := len(t.peaks) - 1; level >= 0; level-- {
		if t.size>>level&1 == 1 {
			list = append(list, Hash(t.peaks[level]))
		}
	}
	return list
}

// NewTree gives the tree of a size and its peaks.
func NewTree(size Position, peaks []Hash) (Tree, error) {
	t := Tree{size: int64(size)}
	if size < 0 || bits.OnesCount64(uint64(size)) != len(peaks) {
		return Tree{}, fmt.Errorf("a tree of size %d does not have %d peaks", size, len(peaks))
	}
	for level := len(t.peaks) - 1; level >= 0; level-- {
		if t.size>>level&1 == 1 {
			t.peaks[level], peaks = tlog.Hash(peaks[0]), peaks[1:]
		}
	}
	return t, nil
}

// Head gives size and root.
func (t *Tree) Head() (Head, error) {
	root, err := tlog.TreeHash(t.size, tlog.HashReaderFunc(t.read))
	if err != nil {
		return Head{}, fmt.Errorf("root of the tree at size %d: %w", t.size, err)
	}
	return Head{Size: Position(t.size), Root: Hash(root)}, nil
}

// read serves the library the peaks; it asks for nothing else.
func (t *Tree) read(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		if t.size>>level&1 == 0 || n != t.size>>level-1 {
			return nil, fmt.Errorf("node %d of level %d is not on the right edge", n, level)
		}
		hashes[i] = t.peaks[level]
	}
	return hashes, nil
}

// ErrDiverged: the log does not begin with the entries of an earlier head.
var ErrDiverged = errors.New("eventstore: the log does not continue an earlier head")

// Extends proves, by a few stored nodes of the tree, that the log of one head begins with
// all entries of an earlier one: none of them was changed, removed or inserted. The error
// wraps ErrDiverged where it does not.
func (s *Store) Extends(ctx context.Context, now, earlier Head) error {
	if earlier.Size > now.Size {
		return fmt.Errorf("%w: that counts %d entries and the log %d", ErrDiverged, earlier.Size, now.Size)
	}
	proof, err := tlog.ProveTree(int64(now.Size), int64(earlier.Size), s.Nodes(ctx))
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(proof, int64(now.Size), tlog.Hash(now.Root), int64(earlier.Size), tlog.Hash(earlier.Root)); err != nil {
		return fmt.Errorf("%w of size %d: %w", ErrDiverged, earlier.Size, err)
	}
	return nil
}

// readEdge loads the tree of a head from the stored nodes, and proves it: where
// its root is not the head's, the error wraps ErrCorrupt.
func readEdge(ctx context.Context, e engine, head Head) (Tree, error) {
	t := Tree{size: int64(head.Size)}
	var at []Position
	for level := range t.peaks {
		if t.size>>level&1 == 1 {
			at = append(at, Position(t.size>>level<<level))
		}
	}
	stored, err := e.nodes(ctx, at)
	if err != nil {
		return Tree{}, fmt.Errorf("read the edge of the tree at size %d: %w", head.Size, err)
	}
	for level := range t.peaks {
		if t.size>>level&1 == 0 {
			continue
		}
		nodes, err := splitNodes(stored[Position(t.size>>level<<level)])
		if err != nil || len(nodes) <= level {
			return Tree{}, fmt.Errorf("%w: the tree's node of level %d is missing at size %d", ErrCorrupt, level, head.Size)
		}
		t.peaks[level] = tlog.Hash(nodes[level])
	}
	if now, err := t.Head(); err != nil || now != head {
		return Tree{}, fmt.Errorf("%w: the head says size %d and root %s, the stored tree has root %s", ErrCorrupt, head.Size, head.Root, now.Root)
	}
	return t, nil
}

// nodeAt finds the node with tlog's stored index: it is in the hashes of the entry at the
// position, at the index of its level.
func nodeAt(index int64) (at Position, level int) {
	level, n := tlog.SplitStoredHashIndex(index)
	return Position((n + 1) << level), level
}

// splitNodes reads the column in which an entry's completed nodes are stored.
func splitNodes(b []byte) ([]Hash, error) {
	if len(b) == 0 || len(b)%tlog.HashSize != 0 {
		return nil, fmt.Errorf("stored hashes have %d bytes", len(b))
	}
	nodes := make([]Hash, len(b)/tlog.HashSize)
	for i := range nodes {
		copy(nodes[i][:], b[i*tlog.HashSize:])
	}
	return nodes, nil
}

func joinNodes(nodes []Hash) []byte {
	b := make([]byte, 0, len(nodes)*tlog.HashSize)
	for _, n := range nodes {
		b = append(b, n[:]...)
	}
	return b
}
