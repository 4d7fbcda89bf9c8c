package audit

import (
	"context"
	"errors"

	"kassa/eventstore"
)

// Consistent proves that the log still begins with the entries that it had when the
// kept head was read: none of them was changed, removed or inserted, though everything
// since may have been rewritten. It reads only a few nodes of the tree; that the
// entries are the tree's is proved by Verify. An error is a *Fault if the log is not a
// continuation of the kept head's.
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
	err = store.Extends(ctx, now, kept)
	if errors.Is(err, eventstore.ErrDiverged) {
		return fault(HeadNotKept, kept.Size, "the log does not continue the kept head: an entry up to here was changed")
	}
	return err
}
