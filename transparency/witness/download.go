package witness

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/eventstore"
	"kassa/transparency"
)

// Download reads the entries and tiles of a published log, up to its signed head.
type Download struct {
	Signed transparency.Checkpoint // its signature was verified

	ctx    context.Context
	log    *Log
	at     eventstore.Position // the last one that was read
	bundle []byte              // what is left of the last bundle of entries
}

// Download begins with the newest head that the log shows. The error is an
// UnreachableError, or that the keys have not signed it.
func (l *Log) Download(ctx context.Context, keys transparency.Keys) (*Download, error) {
	text, err := l.Fetch(ctx, "checkpoint")
	if err != nil {
		return nil, err
	}
	signed, err := keys.Open(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsigned, err)
	}
	return &Download{Signed: signed, ctx: ctx, log: l}, nil
}

// Head is the signed one.
func (d *Download) Head() eventstore.Head { return d.Signed.Head }

// Tile reads a tile of hashes, which is not verified.
func (d *Download) Tile(ctx context.Context, t tlog.Tile) ([]byte, error) {
	return d.log.Fetch(ctx, transparency.TilePath(t))
}

// Next is the bytes of the next entry; io.EOF behind the last of the signed head.
func (d *Download) Next() ([]byte, error) {
	if len(d.bundle) == 0 && d.at < d.Signed.Head.Size {
		if err := d.read(); err != nil {
			return nil, err
		}
	}
	switch {
	case d.at == d.Signed.Head.Size && len(d.bundle) == 0:
		return nil, io.EOF
	case d.at == d.Signed.Head.Size:
		return nil, fmt.Errorf("the last bundle of entries has %d bytes more than its entries", len(d.bundle))
	case len(d.bundle) < 2 || len(d.bundle) < 2+int(binary.BigEndian.Uint16(d.bundle)):
		return nil, fmt.Errorf("the bundle of entries ends within position %d", d.at+1)
	}
	size := 2 + int(binary.BigEndian.Uint16(d.bundle))
	entry := d.bundle[2:size:size]
	d.bundle = d.bundle[size:]
	d.at++
	return entry, nil
}

// read fetches the bundle with the next entry.
func (d *Download) read() error {
	tile := tlog.Tile{H: transparency.TileHeight, L: -1, N: int64(d.at) >> transparency.TileHeight}
	tile.W = int(min(int64(d.Signed.Head.Size)-tile.N<<transparency.TileHeight, 1<<transparency.TileHeight))
	body, err := d.log.Fetch(d.ctx, transparency.TilePath(tile))
	if status, is := errors.AsType[statusError](err); is && (status == 401 || status == 403) {
		return fmt.Errorf("%w: the entries of this log are not public, only their hashes are", err)
	}
	if err == nil && len(body) == 0 {
		err = fmt.Errorf("the bundle of entries from position %d is empty", d.at+1)
	}
	d.bundle = body
	return err
}
