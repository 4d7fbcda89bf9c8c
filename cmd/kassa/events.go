package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

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
func (e eventsCommand) Run(ctx context.Context, c *console) error {
	l, err := e.openToRead(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	at, shown := eventstore.Position(e.After), 0
	for {
		list, err := l.store.After(ctx, at, 500)
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
		if err := l.store.Wait(ctx, at); err != nil {
			return err
		}
	}
}

// printedEvent is an entry in the JSONL form.
type printedEvent struct {
	Position eventstore.Position `json:"position"`
	Stream   eventstore.Stream   `json:"stream"`
	Version  eventstore.Version  `json:"version"`
	Type     domain.EventType    `json:"type"`
	Schema   int                 `json:"schema_version"`
	Time     time.Time           `json:"time"`
	Actor    string              `json:"actor"`
	Cause    eventstore.Cause    `json:"causation"`
	Leaf     string              `json:"leaf_hash"`
	Payload  json.RawMessage     `json:"payload"`
}

func (e eventsCommand) print(w io.Writer, rec eventstore.Recorded) error {
	if !e.JSON {
		_, err := fmt.Fprintf(w, "%8d  %s  %-20s %s@%d  by %s  %s\n", rec.Position, rec.Time.Format("2006-01-02 15:04:05.000"),
			rec.Type, rec.Stream, rec.Version, rec.Actor, movement(rec.Event))
		return err
	}
	_, payload, err := eventstore.DecodeEntry(rec.Entry)
	if err != nil {
		return err
	}
	leaf := eventstore.LeafHash(rec.Entry)
	line, err := json.Marshal(printedEvent{rec.Position, rec.Stream, rec.Version, rec.Type, rec.Schema, rec.Time, rec.Actor, rec.Cause,
		hex.EncodeToString(leaf[:]), payload})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", line)
	return err
}

// movement says in a word what the event did to the wallet.
func movement(e domain.Event) string {
	m, ok := e.(domain.Mover)
	if !ok {
		return ""
	}
	moved := m.Moved()
	var pairs []string
	for p := range slices.Chunk(moved.Postings, 2) {
		pairs = append(pairs, fmt.Sprintf("%s → %s  %d", p[0].Account, p[1].Account, p[1].Amount))
	}
	return fmt.Sprintf("%s  (available %d, %d of them given, held %d)", strings.Join(pairs, ", "), moved.Available, moved.Given, moved.Held)
}
