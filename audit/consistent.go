package audit

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/eventstore"
)

// Consistent proves that the log still begins with the entries that it had when
// the kept head was read: nothing in them was changed, removed or inserted,
// though everything since may have been rewritten. It looks at the tree's nodes
// only, a few of them; Verify is what proves that the entries are the tree's. An
// error is a *Fault where the log is another one than the kept head's.
func Consistent(ctx context.Context, store *eventstore.Store, kept eventstore.Head) error {
	now, err := store.Head(ctx)
	if err != nil {
		return err
	}
	if kept.Size > now.Size {
		return fault(EntryMissing, now.Size+1, "the entry is missing, the kept head counts %d and the log %d", kept.Size, now.Size)
	}
	if kept.Size < 1 {
		if empty, err := new(eventstore.Tree).Head(); err != nil || kept != empty {
			return fault(HeadNotKept, 0, "the kept head of size %d is none that a log can have", kept.Size)
		}
		return nil
	}
	proof, err := tlog.ProveTree(int64(now.Size), int64(kept.Size), store.Nodes(ctx))
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(proof, int64(now.Size), tlog.Hash(now.Root), int64(kept.Size), tlog.Hash(kept.Root)); err != nil {
		return fault(HeadNotKept, kept.Size, "the log does not continue the kept head: an entry up to here was changed")
	}
	return nil
}
