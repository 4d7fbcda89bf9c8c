package transparency_test

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/eventstore"
	"kassa/transparency"
)

// Tiles are the hashes of the tree over the entries, computed here from nothing but the
// entries, and bundles are the entries behind their lengths: full and partial ones, of two
// levels, in both databases.
func TestTiles(t *testing.T) {
	onBoth(t, func(t *testing.T, l *ledger) {
		var log []eventstore.Recorded
		for len(log) < 600 {
			l.grow(t, 30)
			list, err := l.store.After(t.Context(), eventstore.Position(len(log)), 1000)
			must(t, err)
			log = append(log, list...)
		}
		tree := treeOf(t, log)
		head, err := l.store.Head(t.Context())
		must(t, err)
		for _, tile := range tlog.NewTiles(8, 0, int64(head.Size)) {
			path := strings.TrimPrefix(tile.Path(), "tile/8/")
			want, err := tlog.ReadTileData(tile, tree)
			must(t, err)
			if got := read(t, l, path, head); string(got) != string(want) {
				t.Errorf("the tile %s is another", path)
			}
			if tile.L > 0 {
				continue
			}
			bundle := read(t, l, "entries/"+strings.TrimPrefix(path, "0/"), head)
			for i := range tile.W {
				size := binary.BigEndian.Uint16(bundle)
				entry := bundle[2 : 2+size]
				if at := tile.N*256 + int64(i); string(entry) != string(log[at].Entry) {
					t.Fatalf("in the bundle %s the entry of position %d is another", path, at+1)
				}
				bundle = bundle[2+size:]
			}
			if len(bundle) > 0 {
				t.Errorf("the bundle %s has %d bytes more", path, len(bundle))
			}
		}
	})
}

func read(t *testing.T, l *ledger, path string, head eventstore.Head) []byte {
	t.Helper()
	tile, err := transparency.ParseTile(path)
	must(t, err)
	bytes, err := tile.Read(t.Context(), l.store, head)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return bytes
}

// treeOf is the tree over the entries, with all its nodes in memory.
func treeOf(t *testing.T, log []eventstore.Recorded) tlog.HashReader {
	t.Helper()
	var nodes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			list[i] = nodes[index]
		}
		return list, nil
	})
	for i, rec := range log {
		added, err := tlog.StoredHashes(int64(i), rec.Entry, reader)
		must(t, err)
		nodes = append(nodes, added...)
	}
	return reader
}

// A tile that the head does not cover is not given, though the log has grown meanwhile, and
// what is no path of a tile in its one form is none.
func TestNoTile(t *testing.T) {
	l := inSQLite(t, filepath.Join(t.TempDir(), "kassa.db"))
	for size := eventstore.Position(0); size < 310; {
		l.grow(t, 30)
		now, err := l.store.Head(t.Context())
		must(t, err)
		size = now.Size
	}
	head := eventstore.Head{Size: 300}
	for _, path := range []string{"0/000", "0/001.p/44", "0/001.p/1", "1/000.p/1", "entries/000", "entries/001.p/44"} {
		read(t, l, path, head)
	}
	for _, path := range []string{"0/001.p/45", "0/001", "0/002.p/1", "1/000.p/2", "1/000", "2/000.p/1", "7/000.p/1", "8/000.p/1", "63/000.p/1", "entries/001.p/45", "entries/001",
		"0/x999/x999/x999/x999/x999/999.p/1"} {
		tile, err := transparency.ParseTile(path)
		if err == nil {
			_, err = tile.Read(t.Context(), l.store, head)
		}
		if !errors.Is(err, transparency.ErrNoTile) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{"", "0", "0/", "0/1", "0/0000", "00/000", "0/x000/001", "0/000.p/0", "0/000.p/256", "0/000.p/01", "-1/000", "data/000", "entries", "0/000/", "0/../000", "64/000.p/1", "+1/000"} {
		if tile, err := transparency.ParseTile(path); !errors.Is(err, transparency.ErrNoTile) {
			if _, err = tile.Read(t.Context(), l.store, head); !errors.Is(err, transparency.ErrNoTile) {
				t.Errorf("%q: %v", path, err)
			}
		}
	}
}
