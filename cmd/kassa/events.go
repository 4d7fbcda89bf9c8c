package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
)

type eventsCommand struct {
	dataSettings
	After  int64  `placeholder:"N" help:"Begin behind this position."`
	Limit  int    `placeholder:"N" help:"End after so many entries."`
	Stream string `placeholder:"NAME" help:"Only this stream, such as account-u_…"`
	Type   string `placeholder:"TYPE" help:"Only events of this type, such as Deposited."`
	Follow bool   `short:"f" help:"Go on with what is appended, until Ctrl-C."`
	JSON   bool   `name:"json" help:"One JSON object a line, with the payload and the leaf hash."`
}

// Run reads with a store of its own, so it can follow a service that runs.
func (e eventsCommand) Run(ctx context.Context, c *console) (err error) {
	l, err := e.openToRead(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	at, shown := eventstore.Position(e.After), 0
	for {
		list, err := l.Store.After(ctx, at, 500)
		if err != nil {
			return err
		}
		for _, rec := range list {
			at = rec.Position
			if e.Stream != "" && string(rec.Stream) != e.Stream || e.Type != "" && string(rec.Type) != e.Type {
				continue
			}
			if err := e.print(c.out, rec); err != nil {
				return err
			}
			if shown++; shown == e.Limit {
				return nil
			}
		}
		if len(list) > 0 {
			continue
		}
		if !e.Follow {
			return nil
		}
		if err := l.Store.Wait(ctx, at); err != nil {
			return err
		}
	}
}

func (e eventsCommand) print(w io.Writer, rec eventstore.Recorded) error {
	if !e.JSON {
		_, err := fmt.Fprintf(w, "%8d  %s  %-20s %s@%d  by %s  %s\n", rec.Position, rec.Time.Format("2006-01-02 15:04:05.000"),
			rec.Type, rec.Stream, rec.Version, rec.Actor, movement(rec.Event))
		return err
	}
	entry, err := audit.EntryOf(rec)
	if err != nil {
		return err
	}
	line, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", line)
	return err
}

// movement is what the event did to the wallet, in one line.
func movement(e domain.Event) string {
	m, ok := e.(domain.MoneyEvent)
	if !ok {
		return ""
	}
	moved := m.Money()
	var pairs []string
	for p := range slices.Chunk(moved.Postings, 2) {
		pairs = append(pairs, fmt.Sprintf("%s → %s  %d", p[0].Account, p[1].Account, p[1].Amount))
	}
	return fmt.Sprintf("%s  (available %d, %d of them given, held %d)", strings.Join(pairs, ", "), moved.Available, moved.Given, moved.Held)
}
