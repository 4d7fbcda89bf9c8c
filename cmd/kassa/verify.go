package main

import (
	"context"
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
	"kassa/projections"
)

type verifyCommand struct {
	dataSettings
	Kept    keptHead `placeholder:"SIZE:ROOT" help:"A head that you kept from an earlier run: also prove that the log still begins with exactly those entries."`
	NoViews bool     `name:"no-views" help:"Do not compare the tables that are served with the log."`
	JSON    bool     `name:"json" help:"Answer with one JSON object."`
}

// keptHead is a head in the form in which verify prints it; nil where none is given.
type keptHead struct{ *eventstore.Head }

// UnmarshalText reads SIZE:ROOT, the root in hexadecimal.
func (k *keptHead) UnmarshalText(text []byte) error {
	size, root, _ := strings.Cut(string(text), ":")
	n, err := strconv.ParseInt(size, 10, 64)
	head := eventstore.Head{Size: eventstore.Position(n)}
	if err != nil || n < 1 || head.Root.UnmarshalText([]byte(root)) != nil {
		return fmt.Errorf("%q is not SIZE:ROOT, as verify prints it", text)
	}
	k.Head = &head
	return nil
}

// verdict is the answer in its JSON form.
type verdict struct {
	OK        bool                                    `json:"ok"`
	Faults    []*audit.Fault                          `json:"faults"`
	More      int                                     `json:"more_faults,omitempty"` // that are not listed
	Unable    string                                  `json:"unable,omitempty"`      // why it could not be looked at to the end
	Size      eventstore.Position                     `json:"size"`
	Proved    eventstore.Position                     `json:"proved"` // the log was replayed up to here
	Root      eventstore.Hash                         `json:"root"`
	Accounts  int                                     `json:"accounts"`
	House     map[domain.LedgerAccount]domain.Credits `json:"house,omitempty"`
	Available domain.Credits                          `json:"users_available"`
	Held      domain.Credits                          `json:"users_held"`
	Given     domain.Credits                          `json:"users_given"` // of the available ones
	GivenHeld domain.Credits                          `json:"users_given_held"`
	Events    map[domain.EventType]int                `json:"events,omitempty"`
	Snapshots int                                     `json:"snapshots"`
	Views     []audit.ServedView                      `json:"views"` // that were compared, row by row
	BackAt    eventstore.Position                     `json:"widest_step_back_at,omitempty"`
	Back      float64                                 `json:"widest_step_back_seconds,omitempty"`
	Seconds   float64                                 `json:"seconds"`
}

// Run looks, and says what it found. Exit codes: exitFailed where the ledger is
// broken, exitTooOld where a newer program wrote to it, exitUnable where it could not
// be looked at.
func (v verifyCommand) Run(ctx context.Context, c *console) error {
	report, tables, err := v.look(ctx)
	if v.JSON {
		if err := printVerdict(c.out, report, err); err != nil {
			return err
		}
	} else {
		v.print(c.out, report, err, tables)
	}
	var found *audit.Faults
	switch {
	case errors.As(err, &found): // whatever else happened: that is certain
		return fmt.Errorf("the ledger is broken: %s", found)
	case err != nil:
		return unableError{err}
	}
	return nil
}

// look opens the ledger and verifies it. It also says whether there are tables of what
// is served.
func (v verifyCommand) look(ctx context.Context) (r audit.Report, tables bool, err error) {
	l, err := v.openToRead(ctx)
	if err != nil {
		return audit.Report{}, false, err
	}
	defer l.close()
	subject := audit.Ledger{Store: l.store, Kept: v.Kept.Head}
	if l.pool != nil && !v.NoViews {
		subject.Tables = func(ctx context.Context, begin func(projections.TableAt) func(projections.Row)) error {
			return projections.ReadTables(ctx, l.pool, begin)
		}
	}
	r, err = subject.Verify(ctx)
	return r, l.pool != nil, err
}

func (v verifyCommand) print(w io.Writer, r audit.Report, err error, tables bool) {
	var found *audit.Faults
	switch {
	case errors.As(err, &found):
		for _, f := range found.List {
			fmt.Fprintln(w, f)
		}
		if found.More > 0 {
			fmt.Fprintf(w, "%d more faults are not listed.\n", found.More)
		}
		return
	case err != nil:
		fmt.Fprintf(w, "Up to position %d nothing was found. The rest could not be looked at.\n", r.Proved)
		return
	}
	fmt.Fprintf(w, "The ledger is whole: %d entries of %d accounts, in %s.\n", r.Head.Size, r.Accounts, r.Duration.Round(time.Millisecond))
	if v.Kept.Head != nil {
		fmt.Fprintln(w, "It still begins with exactly the entries of the head that you kept.")
	}
	v.printServed(w, r, tables)
	if r.Back.By >= worthSaying {
		fmt.Fprintf(w, "Times go back by %s at position %d: the clock of a process was wrong.\n", r.Back.By, r.Back.Position)
	}
	fmt.Fprintln(w)
	printBooks(w, r)
	fmt.Fprintf(w, "\nKeep this head, and give it to --kept next time:\n%d:%s\n", r.Head.Size, r.Head.Root)
}

// worthSaying is a step back that clocks which NTP keeps do not make.
const worthSaying = 10 * time.Second

// printServed says what of that which is served was compared.
func (v verifyCommand) printServed(w io.Writer, r audit.Report, tables bool) {
	switch {
	case !tables:
		fmt.Fprintf(w, "This ledger keeps no tables of what it serves: they are replayed from the log at each start. Its %d snapshots are those of the log.\n", r.Snapshots)
	case v.NoViews:
		fmt.Fprintln(w, "The tables that are served were NOT looked at (--no-views).")
	}
	for _, view := range r.Views {
		fmt.Fprintf(w, "%s is what the log gives: %d rows at position %d.\n", view.Table, view.Rows, view.Position)
	}
}

// printBooks prints the counts of events, and the trial balance.
func printBooks(w io.Writer, r audit.Report) {
	for _, t := range slices.Sorted(maps.Keys(r.Events)) {
		fmt.Fprintf(w, "  %-24s %12d\n", t, r.Events[t])
	}
	fmt.Fprintln(w)
	printBook(w, "bought", r, false, r.Available-r.Given, r.Held-r.GivenHeld)
	fmt.Fprintln(w)
	printBook(w, "given", r, true, r.Given, r.GivenHeld)
}

// printBook prints one book of the ledger, which sums to zero.
func printBook(w io.Writer, name string, r audit.Report, given bool, available, held domain.Credits) {
	line := func(account string, amount domain.Credits) { fmt.Fprintf(w, "  %-24s %12d\n", account, amount) }
	sum := available + held
	for _, account := range slices.Sorted(maps.Keys(r.House)) {
		if account.Given() == given {
			line(string(account), r.House[account])
			sum += r.House[account]
		}
	}
	line("users "+name, available)
	line("users "+name+", held", held)
	line("sum of what is "+name, sum)
}

func printVerdict(w io.Writer, r audit.Report, err error) error {
	out := verdict{OK: err == nil, Faults: []*audit.Fault{}, Size: r.Head.Size, Proved: r.Proved, Root: r.Head.Root, Accounts: r.Accounts,
		House: r.House, Available: r.Available, Held: r.Held, Given: r.Given, GivenHeld: r.GivenHeld, Events: r.Events, Snapshots: r.Snapshots, Views: r.Views,
		BackAt: r.Back.Position, Back: r.Back.By.Seconds(), Seconds: r.Duration.Seconds()}
	var found *audit.Faults
	if errors.As(err, &found) {
		out.Faults, out.More = found.List, found.More
	} else if err != nil {
		out.Unable = err.Error()
	}
	return json.NewEncoder(w).Encode(out)
}
