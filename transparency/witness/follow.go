package witness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/eventstore"
	"kassa/transparency"
)

const (
	fetchTimeout = 15 * time.Second // for one file of a log
	fetchMost    = 16 << 20         // bytes of a file that are read; the largest is a bundle of 256 entries of 32 KiB
)

// Log is a published log, read by its public address.
type Log struct {
	base   *url.URL
	client *http.Client
}

// At is the log of a service that has this address, such as https://kassa.example.com.
func At(address string) (*Log, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" {
		return nil, fmt.Errorf("%q is no http:// or https:// URL of a service", address)
	}
	return &Log{u.JoinPath("log"), &http.Client{Timeout: fetchTimeout}}, nil
}

// UnreachableError means that a file of the log could not be read: nothing is known.
type UnreachableError struct {
	Path string
	Err  error
}

func (u *UnreachableError) Error() string {
	return fmt.Sprintf("read %s of the log: %v", u.Path, u.Err)
}
func (u *UnreachableError) Unwrap() error { return u.Err }

// statusError is an answer of HTTP that is none.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("HTTP status %d", int(s)) }

// Fetch reads a file of the log, such as checkpoint. Errors are an UnreachableError.
func (l *Log) Fetch(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.base.JoinPath(path).String(), nil)
	if err != nil {
		return nil, &UnreachableError{path, err}
	}
	response, err := l.client.Do(request)
	if err != nil {
		return nil, &UnreachableError{path, err}
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, &UnreachableError{path, statusError(response.StatusCode)}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, fetchMost))
	if err != nil {
		return nil, &UnreachableError{path, err}
	}
	return body, nil
}

// tiles reads tiles of hashes for package tlog, which verifies them.
type tiles struct {
	ctx context.Context
	log *Log
}

func (t tiles) Height() int                     { return transparency.TileHeight }
func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t tiles) ReadTiles(list []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(list))
	for i, tile := range list {
		var err error
		if data[i], err = t.log.Fetch(t.ctx, transparency.TilePath(tile)); err != nil {
			return nil, err
		}
		if want := tile.W * tlog.HashSize; len(data[i]) != want { // package tlog expects it
			return nil, fmt.Errorf("the tile has %d bytes, not %d", len(data[i]), want)
		}
	}
	return data, nil
}

// Hashes reads nodes of the tree of a head, and verifies by its root that they belong to
// it. Errors that are no UnreachableError mean that they do not.
func (l *Log) Hashes(ctx context.Context, head eventstore.Head) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: int64(head.Size), Hash: tlog.Hash(head.Root)}, tiles{ctx, l})
}

// Check looks at the head that the log shows now, and keeps and cosigns it where it
// continues the last one. A Contradiction is an alarm; after other errors nothing is known:
// the log was not reached (UnreachableError), or what it shows is not signed (ErrUnsigned).
func (w *Witness) Check(ctx context.Context, log *Log) (transparency.Checkpoint, error) {
	for {
		seen := w.Last() // before the log is asked: what is submitted meanwhile may be newer than its answer
		head, err := w.check(ctx, log, seen)
		if _, stale := errors.AsType[StaleError](err); !stale || ctx.Err() != nil {
			return head, err
		}
	}
}

func (w *Witness) check(ctx context.Context, log *Log, seen transparency.Checkpoint) (transparency.Checkpoint, error) {
	signed, err := log.Fetch(ctx, "checkpoint")
	if err != nil {
		return seen, err
	}
	shown, err := w.open(signed)
	switch {
	case errors.Is(err, ErrUnknownLog) && seen.Note != nil:
		return seen, w.alarm(&Contradiction{OtherLog, seen, shown})
	case err != nil:
		return seen, err
	case shown.Head.Size < seen.Head.Size:
		return seen, w.alarm(&Contradiction{Rollback, seen, shown})
	}
	var proof tlog.TreeProof
	if 0 < seen.Head.Size && seen.Head.Size < shown.Head.Size {
		proof, err = tlog.ProveTree(int64(shown.Head.Size), int64(seen.Head.Size), log.Hashes(ctx, shown.Head))
		if _, unreachable := errors.AsType[*UnreachableError](err); unreachable {
			return seen, err
		} else if err != nil {
			return seen, w.alarm(&Contradiction{WrongTiles, seen, shown})
		}
	}
	switch _, err := w.Add(seen.Head.Size, proof, signed); {
	case errors.Is(err, ErrProof): // of hashes that belong to the new head
		return seen, w.alarm(&Contradiction{SplitView, seen, shown})
	case err != nil:
		return seen, err
	}
	return w.Last(), nil
}
