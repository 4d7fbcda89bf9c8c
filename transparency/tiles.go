package transparency

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/eventstore"
)

// TileHeight is that of C2SP tlog-tiles: a full tile has 256 hashes.
const TileHeight = 8

// TilePath is the path of a tile in a published log: tile/<L>/<N>, or tile/entries/<N> for
// level -1, with .p/<W> for a partial one.
func TilePath(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", TileHeight))
	if rest, entries := strings.CutPrefix(path, "data/"); entries { // as package tlog calls them
		path = "entries/" + rest
	}
	return "tile/" + path
}

// Tile is a part of the tree: consecutive hashes of one level, or the entries below the
// hashes of a tile of level 0.
type Tile struct{ tile tlog.Tile }

// Entries reports whether the tile is a bundle of entries.
func (t Tile) Entries() bool { return t.tile.L < 0 }

// ErrNoTile means that the path is none of a tile, or of one that the tree does not have.
var ErrNoTile = errors.New("there is no such tile")

// ParseTile reads the path of a tile behind "tile/": <L>/<N>, or entries/<N>, each with
// .p/<W> for a partial one.
func ParseTile(path string) (Tile, error) {
	if rest, entries := strings.CutPrefix(path, "entries/"); entries {
		path = "data/" + rest // as package tlog calls them
	} else if strings.HasPrefix(path, "data/") {
		return Tile{}, ErrNoTile
	}
	t, err := tlog.ParseTilePath(fmt.Sprintf("tile/%d/%s", TileHeight, path))
	if err != nil {
		return Tile{}, ErrNoTile
	}
	return Tile{t}, nil
}

// within reports whether all hashes of the tile are of a tree of that size.
func (t Tile) within(size eventstore.Position) bool {
	level := max(t.tile.L, 0)
	subtrees := int64(size) >> (TileHeight * level) // complete ones, each of which has a hash in this level
	return t.tile.N <= subtrees>>TileHeight && t.tile.N<<TileHeight+int64(t.tile.W) <= subtrees
}

// Read gives the bytes of a tile: hashes one after the other, made from the nodes that are
// stored beside the entries, or entries, each behind its length as two bytes. Only what the
// head covers is given, else the error is ErrNoTile. It wraps eventstore.ErrArchived where
// entries are archived.
func (t Tile) Read(ctx context.Context, log *eventstore.Store, head eventstore.Head) ([]byte, error) {
	if !t.within(head.Size) {
		return nil, ErrNoTile
	}
	if !t.Entries() {
		bytes, err := tlog.ReadTileData(t.tile, log.Nodes(ctx))
		if err != nil {
			return nil, fmt.Errorf("read the tile %s: %w", t.tile.Path(), err)
		}
		return bytes, nil
	}
	first := eventstore.Position(t.tile.N << TileHeight)
	list, err := log.After(ctx, first, t.tile.W)
	if err != nil {
		return nil, fmt.Errorf("read the entries from position %d: %w", first+1, err)
	}
	if len(list) != t.tile.W {
		return nil, fmt.Errorf("%w: of %d entries from position %d there are %d", eventstore.ErrCorrupt, t.tile.W, first+1, len(list))
	}
	var bundle []byte
	for _, rec := range list {
		bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(rec.Entry))) // at most 32 KiB
		bundle = append(bundle, rec.Entry...)
	}
	return bundle, nil
}
