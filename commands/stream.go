package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"kassa/domain"
	"kassa/eventstore"
)

// readStream gives fn the entries of a stream behind a version, in order.
func readStream(ctx context.Context, store Store, stream eventstore.Stream, after eventstore.Version, fn func(eventstore.Recorded) error) error {
	const page = 256
	for {
		list, err := store.Stream(ctx, stream, after, page)
		if err != nil {
			return err
		}
		for _, rec := range list {
			if err := fn(rec); err != nil {
				return fmt.Errorf("%s at position %d: %w", rec.Stream, rec.Position, err)
			}
			after = rec.Version
		}
		if len(list) < page {
			return nil
		}
	}
}

// lookBack gives fn the entries of an account from a version back to the first, as long as it
// wants more. The error wraps ErrArchived where it wants one that is archived.
func (h *Handler) lookBack(ctx context.Context, u domain.UserID, upTo eventstore.Version, fn func(eventstore.Recorded) (more bool)) error {
	page := eventstore.Version(64)
	for upTo > 0 {
		from := max(0, upTo-page)
		list, err := h.Store.Stream(ctx, eventstore.AccountStream(u), from, int(upTo-from))
		if errors.Is(err, eventstore.ErrArchived) && upTo-from > 1 { // the first of the page are, perhaps not the last
			page = (upTo - from) / 2
			continue
		}
		if err != nil {
			return err
		}
		for _, rec := range slices.Backward(list) {
			if !fn(rec) {
				return nil
			}
		}
		upTo = from
	}
	return nil
}

// folded is the fold of a stream that a process keeps, so that it reads only what is new. The
// zero value is that of an empty stream.
type folded[T any] struct {
	mu      sync.Mutex
	state   T
	version eventstore.Version // of the last entry in it; 0 for none
	leaf    eventstore.Hash    // of that entry
}

// errOtherStream: the stream does not have the last entry that was folded.
var errOtherStream = errors.New("the stream is another than the one that was read before")

// read calls take with the fold as the database has it now. What it keeps may be of a database
// that was restored or failed over since, so it reads on from its last entry, and begins again
// where the database has another one there, or none. Take must copy what can change.
func (f *folded[T]) read(ctx context.Context, store Store, stream eventstore.Stream, apply func(*T, eventstore.Recorded) error, take func(T, eventstore.Version)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.readOn(ctx, store, stream, apply)
	if errors.Is(err, errOtherStream) {
		f.reset()
		err = f.readOn(ctx, store, stream, apply)
	}
	if err == nil {
		take(f.state, f.version)
	}
	return err
}

func (f *folded[T]) readOn(ctx context.Context, store Store, stream eventstore.Stream, apply func(*T, eventstore.Recorded) error) error {
	joined := f.version == 0
	err := readStream(ctx, store, stream, max(0, f.version-1), func(rec eventstore.Recorded) error {
		leaf := eventstore.LeafHash(rec.Entry)
		if !joined {
			if joined = leaf == f.leaf; !joined {
				return errOtherStream
			}
			return nil
		}
		if err := apply(&f.state, rec); err != nil {
			f.reset() // it may have changed in part
			return err
		}
		f.version, f.leaf = rec.Version, leaf
		return nil
	})
	if err == nil && !joined {
		err = errOtherStream
	}
	return err
}

func (f *folded[T]) reset() {
	var empty T
	f.state, f.version, f.leaf = empty, 0, eventstore.Hash{}
}
