package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
)

type verifyCommand struct {
	dataSettings
	Kept string `placeholder:"SIZE:ROOT" help:"A head that you kept from an earlier run: also prove that the log still begins with exactly those entries."`
	JSON bool   `name:"json" help:"Answer with one JSON object."`
}

// verdict is the answer in its JSON form.
type verdict struct {
	OK        bool                                    `json:"ok"`
	Position  eventstore.Position                     `json:"position,omitempty"` // of the first fault
	Fault     string                                  `json:"fault,omitempty"`
	Size      eventstore.Position                     `json:"size"`
	Root      string                                  `json:"root,omitempty"`
	Accounts  int                                     `json:"accounts"`
	House     map[domain.LedgerAccount]domain.Credits `json:"house,omitempty"`
	Available domain.Credits                          `json:"users_available"`
	Held      domain.Credits                          `json:"users_held"`
	Events    map[domain.EventType]int                `json:"events,omitempty"`
	Seconds   float64                                 `json:"seconds"`
}

func (v verifyCommand) Run(ctx context.Context, c *console) error {
	kept, err := parseHead(v.Kept)
	if err != nil {
		return err
	}
	l, err := v.openToRead(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	report, err := verify(ctx, l.store, kept)
	var fault *audit.Fault
	if err != nil && !errors.As(err, &fault) {
		return err // it could not be read; that is no verdict
	}
	if v.JSON {
		if err := printVerdict(c.out, report, fault); err != nil {
			return err
		}
	} else if fault == nil {
		printReport(c.out, report, v.Kept != "")
	}
	if fault != nil {
		return fmt.Errorf("the ledger is broken: %w", fault)
	}
	return nil
}

// verify proves the log, the views that are replayed from it, and that it grew out
// of the kept head, where there is one.
func verify(ctx context.Context, store *eventstore.Store, kept *eventstore.Head) (audit.Report, error) {
	views, replay := audit.Replaying()
	report, err := audit.Verify(ctx, store, replay)
	if err != nil {
		return report, err
	}
	if err := audit.CompareTotals(ctx, report, views); err != nil {
		return report, err
	}
	if kept != nil {
		return report, audit.Consistent(ctx, store, *kept)
	}
	return report, nil
}

// parseHead reads SIZE:ROOT, the root in hexadecimal; nil for nothing.
func parseHead(s string) (*eventstore.Head, error) {
	if s == "" {
		return nil, nil
	}
	size, root, _ := strings.Cut(s, ":")
	n, err := strconv.ParseInt(size, 10, 64)
	b, hexErr := hex.DecodeString(root)
	head := eventstore.Head{Size: eventstore.Position(n)}
	if err != nil || n < 1 || hexErr != nil || copy(head.Root[:], b) != len(head.Root) || len(b) != len(head.Root) {
		return nil, fmt.Errorf("--kept %q is not SIZE:ROOT, as verify prints it", s)
	}
	return &head, nil
}

func formatHead(h eventstore.Head) string {
	return fmt.Sprintf("%d:%s", h.Size, hex.EncodeToString(h.Root[:]))
}

func printReport(w io.Writer, r audit.Report, kept bool) {
	fmt.Fprintf(w, "The ledger is whole: %d entries of %d accounts, in %s.\n", r.Head.Size, r.Accounts, r.Duration.Round(time.Millisecond))
	if kept {
		fmt.Fprintln(w, "It still begins with exactly the entries of the head that you kept.")
	}
	fmt.Fprintln(w)
	for _, t := range slices.Sorted(maps.Keys(r.Events)) {
		fmt.Fprintf(w, "  %-22s %12d\n", t, r.Events[t])
	}
	fmt.Fprintln(w)
	for _, account := range slices.Sorted(maps.Keys(r.House)) {
		fmt.Fprintf(w, "  %-22s %12d\n", account, r.House[account])
	}
	fmt.Fprintf(w, "  %-22s %12d\n  %-22s %12d\n", "users available", r.Available, "users held", r.Held)
	sum := r.Available + r.Held
	for _, c := range r.House {
		sum += c
	}
	fmt.Fprintf(w, "  %-22s %12d\n\nKeep this head, and give it to --kept next time:\n%s\n", "sum", sum, formatHead(r.Head))
}

func printVerdict(w io.Writer, r audit.Report, fault *audit.Fault) error {
	out := verdict{OK: fault == nil, Size: r.Head.Size, Accounts: r.Accounts, House: r.House, Available: r.Available,
		Held: r.Held, Events: r.Events, Seconds: r.Duration.Seconds()}
	if fault != nil {
		out.Position, out.Fault = fault.Position, fault.What
	} else {
		out.Root = hex.EncodeToString(r.Head.Root[:])
	}
	return json.NewEncoder(w).Encode(out)
}
