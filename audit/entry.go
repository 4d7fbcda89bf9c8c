package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/domain"
	"kassa/eventstore"
)

// Entry is an entry as people and programs read it. What is sealed in its payload is sealed here.
type Entry struct {
	Position eventstore.Position `json:"position"`
	Stream   eventstore.Stream   `json:"stream"`
	Version  eventstore.Version  `json:"version"`
	Type     domain.EventType    `json:"type"`
	Schema   int                 `json:"schema_version"`
	Time     time.Time           `json:"time"`
	Actor    string              `json:"actor"`
	Cause    eventstore.Cause    `json:"causation"`
	Leaf     eventstore.Hash     `json:"leaf_hash"`
	Payload  json.RawMessage     `json:"payload"`
}

// EntryOf reads the stored bytes of an entry.
func EntryOf(rec eventstore.Recorded) (Entry, error) {
	_, payload, err := eventstore.DecodeEntry(rec.Entry)
	return Entry{rec.Position, rec.Stream, rec.Version, rec.Type, rec.Schema, rec.Time, rec.Actor, rec.Cause, eventstore.LeafHash(rec.Entry), payload}, err
}

// ErrNoEntry: the log has no entry at the position, or it is archived.
var ErrNoEntry = errors.New("audit: there is no such entry, or it is archived")

// EntryAt finds one entry. The error wraps ErrNoEntry.
func EntryAt(ctx context.Context, log FullLog, at eventstore.Position) (eventstore.Recorded, error) {
	found, err := log.At(ctx, []eventstore.Position{at})
	if err != nil {
		return eventstore.Recorded{}, err
	}
	rec, there := found[at]
	if !there {
		return rec, fmt.Errorf("%w: position %d", ErrNoEntry, at)
	}
	return rec, nil
}

// around is how many entries on each side of one are looked at for its append: more than any
// append of ours has.
const around = 16

// AppendOf gives the entries that were appended together with one, and itself, in order.
func AppendOf(ctx context.Context, log FullLog, rec eventstore.Recorded) ([]eventstore.Recorded, error) {
	return appendsOf(ctx, log, []eventstore.Recorded{rec})
}

// appendsOf gives the entries that were appended together with some of a list, and these, in order.
func appendsOf(ctx context.Context, log FullLog, list []eventstore.Recorded) ([]eventstore.Recorded, error) {
	var near []eventstore.Position
	for _, rec := range list {
		for at := max(1, rec.Position-around); at <= rec.Position+around; at++ {
			near = append(near, at)
		}
	}
	slices.Sort(near)
	found, err := log.At(ctx, slices.Compact(near))
	if err != nil {
		return nil, err
	}
	together := map[eventstore.Position]eventstore.Recorded{}
	for _, rec := range list {
		together[rec.Position] = rec
		for _, step := range []eventstore.Position{-1, 1} {
			for at := rec.Position + step; ; at += step {
				next, there := found[at]
				if !there || !next.Continues(rec.Envelope) {
					break
				}
				together[at] = next
			}
		}
	}
	all := make([]eventstore.Recorded, 0, len(together))
	for _, rec := range together {
		all = append(all, rec)
	}
	slices.SortFunc(all, func(a, b eventstore.Recorded) int { return int(a.Position - b.Position) })
	return all, nil
}

// Step is one step from a leaf to the root of the tree: the hash of other entries beside it, and
// the hash of both together.
type Step struct {
	From   eventstore.Position `json:"from"` // the entries that the hash beside it is of
	UpTo   eventstore.Position `json:"upto"`
	Left   bool                `json:"left"`   // they are before the entry
	Hash   eventstore.Hash     `json:"hash"`   // of them
	Parent eventstore.Hash     `json:"parent"` // of them and what came before, in order
}

// ErrNoPath: the entry is not in the log of the head.
var ErrNoPath = errors.New("audit: there is no path from the entry to the root")

// PathTo gives the steps from the leaf of an entry to the root of a head that the log continues.
// The last parent is the root; the error wraps ErrNoPath where it is not.
func PathTo(ctx context.Context, log FullLog, head eventstore.Head, rec eventstore.Recorded) ([]Step, error) {
	hashes, err := tlog.ProveRecord(int64(head.Size), int64(rec.Position)-1, log.Nodes(ctx))
	if err != nil {
		return nil, fmt.Errorf("prove that the log of %d entries has the one at position %d: %w", head.Size, rec.Position, err)
	}
	steps := beside(1, head.Size, rec.Position)
	if len(steps) != len(hashes) {
		return nil, fmt.Errorf("%w: it has %d hashes, expected %d", ErrNoPath, len(hashes), len(steps))
	}
	hash := tlog.RecordHash(rec.Entry)
	for i := range steps {
		s := &steps[i]
		s.Hash = eventstore.Hash(hashes[i])
		if s.Left {
			hash = tlog.NodeHash(hashes[i], hash)
		} else {
			hash = tlog.NodeHash(hash, hashes[i])
		}
		s.Parent = eventstore.Hash(hash)
	}
	if eventstore.Hash(hash) != head.Root {
		return nil, fmt.Errorf("%w: the entry at position %d leads to the root %s, and the head has %s", ErrNoPath, rec.Position, eventstore.Hash(hash), head.Root)
	}
	return steps, nil
}

// beside gives which entries are in the hashes of the path, from the leaf on (RFC 6962, 2.1.1).
func beside(from, upTo, at eventstore.Position) []Step {
	if from == upTo {
		return nil
	}
	half := eventstore.Position(1) // the largest power of two below their number
	for half*2 < upTo-from+1 {
		half *= 2
	}
	if middle := from + half; at < middle {
		return append(beside(from, middle-1, at), Step{From: middle, UpTo: upTo})
	} else {
		return append(beside(middle, upTo, at), Step{From: from, UpTo: middle - 1, Left: true})
	}
}
