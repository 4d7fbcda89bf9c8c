package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"kassa/audit"
	"kassa/internal/app"
	"kassa/transparency"
)

// signedHeads are the last signed head of a ledger, and the kept one of --head. Of a log that
// was downloaded the signed head is proved by its download.
func (v verifyCommand) signedHeads(ctx context.Context, l *app.Ledger) (list []audit.SignedHead, err error) {
	var keys transparency.Keys
	if v.Key != "" || v.KeyFile != "" {
		if keys, err = v.keys(); err != nil {
			return nil, err
		}
	}
	if !v.alone() {
		switch last, err := l.SignedHeads().Last(ctx); {
		case errors.Is(err, transparency.ErrForged):
			list = append(list, audit.SignedHead{From: "in the database", Bad: err})
		case err != nil:
			return nil, err
		case last.Note != nil:
			list = append(list, signedHead("in the database", last.Note, keys))
		}
	}
	if v.Head != "" {
		text, err := os.ReadFile(v.Head)
		if err != nil {
			return nil, wrongArgument("--head: %w", err)
		}
		if _, err := transparency.Parse(text); err != nil {
			return nil, wrongArgument("--head: %s: %w", v.Head, err)
		}
		list = append(list, signedHead("in "+v.Head, text, keys))
	}
	return list, nil
}

// signedHead reads a signed note; with keys, it must be signed by one of them.
func signedHead(from string, text []byte, keys transparency.Keys) audit.SignedHead {
	c, err := transparency.Parse(text)
	if err == nil && keys.Name() != "" {
		c, err = keys.Open(text)
	}
	return audit.SignedHead{From: from, Head: c.Head, Bad: err}
}

// printSigned prints what was proved of signed heads.
func (v verifyCommand) printSigned(w io.Writer, r audit.Report) {
	if v.URL != "" {
		fmt.Fprintln(w, "Its entries are those of the head that the log publishes, which is signed by the key, and its tiles are those of the entries.")
	}
	signed := "Its signature is looked at with --key."
	if v.Key != "" || v.KeyFile != "" {
		signed = "That is signed by the key."
	}
	for _, from := range r.Signed {
		fmt.Fprintf(w, "It continues the signed head %s. %s\n", from, signed)
	}
}
