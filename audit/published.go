package audit

import (
	"bytes"
	"context"
	"errors"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/eventstore"
)

// Published is a log as it is published: C2SP tlog-tiles, read by its address.
type Published interface {
	// Head is the signed one, whose signature was verified.
	Head() eventstore.Head
	// Next is the bytes of the next entry; io.EOF behind the last.
	Next() ([]byte, error)
	// Tile is a tile of hashes.
	Tile(ctx context.Context, t tlog.Tile) ([]byte, error)
}

// Download appends the entries of a published log to an empty one, and proves that they are
// those of its signed head, and its tiles those of the tree over them. It contains *Faults
// where they are not. What the entries say is proved by Verify.
func Download(ctx context.Context, store *eventstore.Store, log Published) error {
	var found Faults
	return found.with(found.take(download(ctx, store, log)))
}

func download(ctx context.Context, store *eventstore.Store, log Published) error {
	at := eventstore.Position(0)
	head, err := store.Import(ctx, func() (eventstore.Envelope, []byte, error) {
		entry, err := log.Next()
		if err != nil {
			return eventstore.Envelope{}, nil, err
		}
		at++
		env, _, err := eventstore.DecodeEntry(entry)
		switch {
		case errors.Is(err, eventstore.ErrNewer):
		case err != nil:
			err = fault(EntryUnreadable, at, "%s", err)
		case env.Position != at:
			err = fault(EntryMisplaced, at, "the entry is of another position").between(at, env.Position)
		}
		return env, entry, err
	})
	if err != nil {
		return err
	}
	if want := log.Head(); head != want {
		return fault(RootDiffers, head.Size, "the signed root is not that of the tree over the entries").between(want.Root, head.Root)
	}
	for _, tile := range tlog.NewTiles(8, 0, int64(head.Size)) {
		want, err := tlog.ReadTileData(tile, store.Nodes(ctx))
		if err != nil {
			return err
		}
		have, err := log.Tile(ctx, tile)
		if err != nil {
			return err
		}
		if !bytes.Equal(have, want) {
			last := (tile.N<<8 + int64(tile.W)) << (8 * tile.L) // entries up to the last hash of the tile
			return fault(TileDiffers, eventstore.Position(min(last, int64(head.Size))), "the tile of hashes %d/%d is not the one of the entries", tile.L, tile.N)
		}
	}
	return nil
}
