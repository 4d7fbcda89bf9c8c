package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"kassa/eventstore"
	"kassa/internal/app"
	"kassa/transparency"
)

// headCommand is about signed heads.
type headCommand struct {
	Show showHead `cmd:"" default:"withargs" help:"Print the last signed head of the log. This is what kassa head does."`
	Keep keepHead `cmd:"" help:"Write the last signed head to --signed-head-file, or back to the database, where one of them has none: before the first start with that setting, or after one was lost."`
}

type showHead struct {
	dataSettings
	JSON bool `name:"json" help:"Answer with one JSON object."`
}

// Run prints the last signed head.
func (h showHead) Run(ctx context.Context, c *console) (err error) {
	l, err := h.openToRead(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	signed, cosigned, err := l.SignedHeads().Published(ctx)
	switch {
	case err != nil:
		return err
	case signed.Note == nil:
		return errors.New("no head of this log was signed yet: kassa serve does it where it has a key (kassa key new)")
	case !h.JSON:
		if cosigned.Note != nil {
			fmt.Fprintf(c.err, "The head of %d entries is cosigned by %d of %d witnesses, %s ago.\n", cosigned.Head.Size, cosigned.Witnesses, cosigned.Asked, time.Since(cosigned.At).Round(time.Second))
		}
		_, err = c.out.Write(signed.Note)
		return err
	}
	return json.NewEncoder(c.out).Encode(struct {
		Origin     string                        `json:"origin"`
		Size       eventstore.Position           `json:"size"`
		Root       eventstore.Hash               `json:"root"`
		Checkpoint string                        `json:"checkpoint"`
		Cosigned   *transparency.CosignedSummary `json:"cosigned,omitempty"`
	}{signed.Origin, signed.Head.Size, signed.Head.Root, string(signed.Note), cosigned.Summary()})
}

// signerSettings are those by which serve signs.
type signerSettings struct {
	dataSettings
	logKeySettings
	SignedHeadFile string `name:"signed-head-file" placeholder:"FILE" help:"File outside the database that keeps the last signed head of the log."`
}

func (s signerSettings) open(ctx context.Context) (*app.Ledger, *transparency.Signer, error) {
	storage, err := s.existing()
	if err != nil {
		return nil, nil, err
	}
	if storage.LogKey, err = s.text(); err != nil {
		return nil, nil, err
	}
	l, err := storage.Open(ctx)
	if err != nil {
		return nil, nil, err
	}
	keys, err := storage.LogKeys(ctx, l)
	if err == nil && !keys.Sign() {
		err = wrongArgument("there is no key of the log: give --log-key-file")
	}
	if err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	return l, &transparency.Signer{Log: l.Store, Heads: l.SignedHeads(), Keys: keys, File: s.SignedHeadFile}, nil
}

type keepHead struct{ signerSettings }

// Validate is called by the command line.
func (k keepHead) Validate() error {
	if k.SignedHeadFile == "" {
		return errors.New("--signed-head-file is missing")
	}
	return nil
}

// Run stops nothing: a service that signs meanwhile wins, and this fails.
func (k keepHead) Run(ctx context.Context, c *console) (err error) {
	l, signer, err := k.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	kept, err := signer.Keep(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "The database and %s have the head of %d entries.\n", k.SignedHeadFile, kept.Head.Size)
	return nil
}
