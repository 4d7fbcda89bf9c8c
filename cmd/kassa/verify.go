package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/app"
	"kassa/projections"
	"kassa/vault"
)

type verifyCommand struct {
	auditedLog
	Kept    keptHead `placeholder:"SIZE:ROOT" help:"A head that you kept from an earlier run: also prove that the log still begins with exactly those entries."`
	Head    string   `type:"existingfile" placeholder:"FILE" help:"A signed head that was kept elsewhere, such as /log/checkpoint of an earlier day, or what a witness has seen: also prove that the log continues it, and, with --key, that it is signed."`
	NoViews bool     `name:"no-views" help:"Do not compare the tables that are served with the log."`
	Resume  string   `placeholder:"FILE" help:"Keep what was proved in this file, and go on from there: entries that an earlier run proved are not read again, and tables are compared only by the first. The file is believed: keep it where nobody else writes."`
	Record  string   `placeholder:"NAME" help:"Record in the log, in your name, that the ledger was verified, and what was found: auditors are shown when that was last done. It needs a login that may write. Default: nothing is written."`
	JSON    bool     `name:"json" help:"Answer with one JSON object."`
}

// Validate refuses what does not go together.
func (v verifyCommand) Validate() error {
	switch {
	case v.Resume != "" && v.Archive != "":
		return errors.New("--resume goes on behind what is archived: leave --archive out")
	case v.ExportFile != "" && v.Archive != "":
		return errors.New("an export has the archived entries too: leave --archive out")
	case v.Record != "" && v.alone():
		return errors.New("--record is for a ledger: leave --export-file and --url out")
	case len(v.Record) > domain.MaxOperatorName:
		return fmt.Errorf("--record: a name has at most %d bytes", domain.MaxOperatorName)
	case v.Resume != "" && v.URL != "":
		return errors.New("--resume is for a ledger: leave --url out")
	}
	return v.auditedLog.Validate()
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
	Erased    int                                     `json:"erased_accounts"`
	KeysSeen  bool                                    `json:"erased_keys_looked_at"` // none was there
	Resumed   eventstore.Position                     `json:"resumed,omitempty"`     // up to here an earlier run proved the log
	Archived  *archivedVerdict                        `json:"archived,omitempty"`    // nil where the whole log is in the database
	Attested  audit.Attested                          `json:"attested"`
	Catalogue audit.ComparedCatalogue                 `json:"catalogue,omitzero"`     // zero: it was not compared, or never recorded
	Signed    []string                                `json:"signed_heads,omitempty"` // where those are kept that the log continues
	Snapshots int                                     `json:"snapshots"`
	Views     []audit.ServedView                      `json:"views"` // that were compared, row by row
	BackAt    eventstore.Position                     `json:"widest_step_back_at,omitempty"`
	Back      float64                                 `json:"widest_step_back_seconds,omitempty"`
	Seconds   float64                                 `json:"seconds"`
}

// archivedVerdict is the verdict on the archived part of the log.
type archivedVerdict struct {
	UpTo     eventstore.Position `json:"upto"`
	Manifest eventstore.Hash     `json:"manifest_sha256"` // of the last archive
	Proved   bool                `json:"proved"`          // its entries were looked at
}

// collectAt is by how many percent the heap of verify grows between collections. It costs
// some processor time, and saves a quarter of the memory.
const collectAt = 50

// Run verifies the ledger, and prints the verdict. Exit codes: exitFailed where the ledger is
// broken, exitTooOld where a newer program wrote to it, exitUnable where it could not
// be looked at.
func (v verifyCommand) Run(ctx context.Context, c *console) error {
	// The accounts stay to the end: a collector that waits until the heap has doubled would
	// double them.
	defer debug.SetGCPercent(debug.SetGCPercent(collectAt))
	each, done := progressOn(c.err)
	report, tables, err := v.look(ctx, c, each)
	done()
	if v.JSON {
		if err := printVerdict(c.out, report, err); err != nil {
			return err
		}
	} else {
		v.print(c.out, report, err, tables)
	}
	var found *audit.Faults
	if v.Record != "" {
		if err := v.record(ctx, c, report, err); err != nil {
			return unableError{err}
		}
	}
	switch {
	case errors.As(err, &found): // whatever else happened: that is certain
		return fmt.Errorf("the ledger is broken: %s", found)
	case err != nil:
		return unableError{err}
	}
	return nil
}

// look opens the ledger and verifies it. It also reports whether it is in PostgreSQL.
func (v verifyCommand) look(ctx context.Context, c *console, each audit.Progress) (r audit.Report, tables bool, err error) {
	l, err := v.ledger(ctx, c)
	if err != nil {
		return audit.Report{}, false, err
	}
	// The signed heads are read before the log, which may grow meanwhile.
	signed, err := v.signedHeads(ctx, l)
	if err != nil {
		return audit.Report{}, false, errors.Join(err, l.Close())
	}
	defer func() { // what was read of a file that was written meanwhile proves nothing, not a fault either
		if ended := l.Close(); ended != nil {
			err = ended
		}
	}()
	subject := audit.Ledger{Store: l.Store, Keys: keysOf(l), Kept: v.Kept.Head, Progress: each, Proved: v.Resume, Alone: v.alone(), Signed: signed}
	if !v.NoViews && !subject.Alone {
		subject.Catalogue = catalogueOf(l)
		subject.Tables = func(ctx context.Context, begin func(projections.TableAt) func(projections.Row)) error {
			if l.Pool == nil {
				return projections.ReadSaved(ctx, l.File, begin)
			}
			return projections.ReadTables(ctx, l.Pool, begin)
		}
	}
	if v.Archive != "" {
		if subject.Archives, err = audit.OpenArchives(ctx, l.Store, v.Archive); err != nil {
			return audit.Report{}, false, err
		}
		defer subject.Archives.Close()
	}
	r, err = subject.Verify(ctx)
	return r, l.Pool != nil, err
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
	if a := r.Archived; a.UpTo > 0 && !a.Proved {
		fmt.Fprintf(w, "The ledger is whole from position %d on: %d entries of %d accounts, in %s.\n", a.UpTo+1, r.Head.Size-a.UpTo, r.Accounts, r.Duration.Round(time.Millisecond))
	} else {
		fmt.Fprintf(w, "The ledger is whole: %d entries of %d accounts, in %s.\n", r.Head.Size, r.Accounts, r.Duration.Round(time.Millisecond))
	}
	printArchived(w, r.Archived)
	if r.Resumed > 0 {
		fmt.Fprintf(w, "The entries up to position %d are those that an earlier run proved, by the tree; they were NOT read again. That is what %s says.\n", r.Resumed, v.Resume)
	}
	if v.Kept.Head != nil {
		fmt.Fprintln(w, "It still begins with exactly the entries of the head that you kept.")
	}
	v.printSigned(w, r)
	if !v.alone() {
		printErased(w, r)
	}
	v.printServed(w, r, tables)
	printRecorded(w, r)
	if r.Back.By >= worthSaying {
		fmt.Fprintf(w, "Times go back by %s at position %d: the clock of a process was wrong.\n", r.Back.By, r.Back.Position)
	}
	fmt.Fprintln(w)
	printBooks(w, r)
	fmt.Fprintf(w, "\nKeep this head, and give it to --kept next time:\n%d:%s\n", r.Head.Size, r.Head.Root)
}

// printArchived prints what is archived, and whether it was verified.
func printArchived(w io.Writer, a audit.ArchivedPart) {
	switch {
	case a.UpTo == 0:
	case a.Proved:
		fmt.Fprintf(w, "The entries up to position %d are archived, and were read from the archive. The digest of its manifest:\n%d:%s\n", a.UpTo, a.UpTo, a.Manifest)
	default:
		fmt.Fprintf(w, "The entries up to position %d are archived, and were NOT looked at (--archive DIR looks at them): the head covers them, and the accounts go on from\n"+
			"those that were recorded there. Compare this digest of the archive's manifest with the one that you kept:\n%d:%s\n", a.UpTo, a.UpTo, a.Manifest)
	}
}

// keysOf asks the vault beside the log whose keys are there.
func keysOf(l *app.Ledger) audit.Keys {
	return func(ctx context.Context, users []domain.UserID) ([]domain.UserID, error) {
		found, err := l.Keys(ctx, users)
		if errors.Is(err, vault.ErrHidden) {
			err = audit.ErrKeysHidden
		}
		return found, err
	}
}

// printErased prints what was erased, and whether it can be read all the same.
func printErased(w io.Writer, r audit.Report) {
	switch n := len(r.Erased); {
	case n == 0:
	case r.KeysSeen:
		fmt.Fprintf(w, "Accounts that were erased: %d. None has a key, so nothing that was sealed for them can be read.\n", n)
	default:
		fmt.Fprintf(w, "Accounts that were erased: %d. Whether they have keys was NOT looked at: this login may not read subject_keys (user_id).\n", n)
	}
}

// worthSaying is a step back that clocks which NTP keeps do not make.
const worthSaying = 10 * time.Second

// printServed prints which of the served tables were compared.
func (v verifyCommand) printServed(w io.Writer, r audit.Report, tables bool) {
	switch {
	case r.Archived.UpTo > 0 && !r.Archived.Proved:
		fmt.Fprintln(w, "The tables that are served were NOT looked at: they also show what is archived.")
	case r.Resumed > 0:
		fmt.Fprintln(w, "The tables that are served were NOT looked at (--resume).")
	case v.alone():
		fmt.Fprintln(w, "This is the log alone: no tables that are served, and no keys of persons.")
	case v.NoViews:
		fmt.Fprintln(w, "The tables that are served were NOT looked at (--no-views).")
	case !tables && len(r.Views) == 0:
		fmt.Fprintf(w, "This ledger has no tables yet of what it serves: it is short, and replayed from the log at each start. Its %d snapshots are those of the log.\n", r.Snapshots)
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
		House: r.House, Available: r.Available, Held: r.Held, Given: r.Given, GivenHeld: r.GivenHeld, Events: r.Events, Erased: len(r.Erased), KeysSeen: r.KeysSeen, Signed: r.Signed, Attested: r.Attested, Catalogue: r.Catalogue, Snapshots: r.Snapshots, Views: r.Views, Resumed: r.Resumed,
		BackAt: r.Back.Position, Back: r.Back.By.Seconds(), Seconds: r.Duration.Seconds()}
	if a := r.Archived; a.UpTo > 0 {
		out.Archived = &archivedVerdict{a.UpTo, a.Manifest, a.Proved}
	}
	var found *audit.Faults
	if errors.As(err, &found) {
		out.Faults, out.More = found.List, found.More
	} else if err != nil {
		out.Unable = err.Error()
	}
	return json.NewEncoder(w).Encode(out)
}
