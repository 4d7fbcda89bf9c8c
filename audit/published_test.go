package audit_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/audit"
	"kassa/eventstore"
	"kassa/schema"
)

// published is a log as somebody publishes it, who may have changed a part.
type published struct {
	store   *eventstore.Store
	head    eventstore.Head
	entries [][]byte
	spoil   string // how the path of a tile begins of which a byte is changed
	at      int
}

func (p *published) Head() eventstore.Head { return p.head }

func (p *published) Next() ([]byte, error) {
	if p.at == len(p.entries) {
		return nil, io.EOF
	}
	p.at++
	return p.entries[p.at-1], nil
}

func (p *published) Tile(ctx context.Context, t tlog.Tile) ([]byte, error) {
	body, err := tlog.ReadTileData(t, p.store.Nodes(ctx))
	if err == nil && p.spoil != "" && strings.HasPrefix(t.Path(), p.spoil) {
		body[len(body)-1] ^= 1
	}
	return body, err
}

// A published log is proved to be the one of its signed head: each entry, and each tile.
func TestDownload(t *testing.T) {
	l := newLedger(t, 17, 60)
	store := l.read(t)
	for _, tt := range []struct {
		name   string
		change func(p *published)
		want   []want
	}{
		{"as it is", func(*published) {}, nil},
		{"a byte of an entry", func(p *published) {
			e := append([]byte{}, p.entries[40]...)
			e[len(e)-3] ^= 1
			p.entries[40] = e
		}, []want{{audit.RootDiffers, l.head.Size}}},
		{"no entry at all", func(p *published) { p.entries[40] = []byte{1} }, []want{{audit.EntryUnreadable, 41}}},
		{"two exchanged", func(p *published) { p.entries[40], p.entries[41] = p.entries[41], p.entries[40] }, []want{{audit.EntryMisplaced, 41}}},
		{"the last one cut off", func(p *published) { p.entries = p.entries[:len(p.entries)-1] }, []want{{audit.RootDiffers, l.head.Size - 1}}},
		{"a full tile", func(p *published) { p.spoil = "tile/8/0/000" }, []want{{audit.TileDiffers, 256}}},
		{"a tile above", func(p *published) { p.spoil = "tile/8/1/" }, []want{{audit.TileDiffers, l.head.Size &^ 255}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &published{store: store, head: l.head}
			list, err := store.After(t.Context(), 0, int(l.head.Size))
			must(t, err)
			for _, rec := range list {
				p.entries = append(p.entries, rec.Entry)
			}
			tt.change(p)
			db, err := schema.ScratchSQLite(t.Context())
			must(t, err)
			defer db.Close()
			to, err := eventstore.SQLite(t.Context(), db)
			must(t, err)
			defer to.Close()
			err = audit.Download(t.Context(), to, p)
			finds(t, err, tt.want...)
			if len(tt.want) == 0 {
				_, err := audit.Ledger{Store: to, Alone: true, Signed: []audit.SignedHead{{From: "here", Head: l.head}}}.Verify(t.Context())
				must(t, err)
			}
		})
	}
}

// A signed head that does not hold, or that the log does not continue, is a fault.
func TestSignedHeads(t *testing.T) {
	l := newLedger(t, 18, 40)
	other, longer := l.head, l.head
	other.Root[0] ^= 1
	longer.Size++
	for _, tt := range []struct {
		name string
		head audit.SignedHead
		want []want
	}{
		{"of the log", audit.SignedHead{Head: l.head}, nil},
		{"another root", audit.SignedHead{Head: other}, []want{{audit.SignedNotKept, l.head.Size}}},
		{"a longer log", audit.SignedHead{Head: longer}, []want{{audit.SignedNotKept, l.head.Size}}},
		{"no signature", audit.SignedHead{Bad: errors.New("it is forged")}, []want{{audit.SignedHeadForged, 0}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := audit.Ledger{Store: l.read(t), Signed: []audit.SignedHead{tt.head}}.Verify(t.Context())
			finds(t, err, tt.want...)
		})
	}
}
