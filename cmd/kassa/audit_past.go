package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"kassa/audit"
	"kassa/catalog"
	"kassa/domain"
	"kassa/eventstore"
)

// asked is what the commands have in common that read the past of a log.
type asked struct {
	auditedLog
	JSON bool `name:"json" help:"Answer with JSON: one object, or one a line where there can be many."`
}

// read opens the log, and gives fn its end. Exit code exitUnable where it cannot be opened, or
// where a part of it is archived and the archives are not given.
func (a asked) read(ctx context.Context, c *console, fn func(log openedLog, end eventstore.Position) error) (err error) {
	log, err := a.open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	head, err := log.Head(ctx)
	if err == nil {
		err = fn(log, head.Size)
	}
	if errors.Is(err, eventstore.ErrArchived) {
		err = unableError{fmt.Errorf("%w: give the folder with the archives by --archive", err)}
	}
	return err
}

// table prints rows of cells under a heading, in columns.
func table(w io.Writer, rows func(row func(cells ...any))) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	rows(func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, cell)
		}
		fmt.Fprintln(t)
	})
	return t.Flush()
}

// listed is what the commands have in common whose answer is a list.
type listed struct {
	asked
	CSV bool `name:"csv" help:"Answer with CSV. A text that a spreadsheet would take for a formula begins with an apostrophe."`
}

// Validate refuses two forms at once.
func (l listed) Validate() error {
	if l.CSV && l.JSON {
		return errors.New("--csv and --json are two forms: leave one away")
	}
	return nil
}

// table prints rows in columns, or as CSV.
func (l listed) table(w io.Writer, rows func(row func(cells ...any))) error {
	if !l.CSV {
		return table(w, rows)
	}
	return audit.WriteCSV(w, rows)
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

type auditBalance struct {
	asked
	User    string `xor:"what" required:"" placeholder:"USER" help:"Of this person, such as u_…"`
	Account string `xor:"what" required:"" placeholder:"ACCOUNT" help:"Of this account of the ledger, such as house:revenue or user:u_…:held."`
	AsOf    *point `name:"as-of" placeholder:"WHEN" help:"At this position, or at this time. Default: now."`
}

// Run prints a balance as it was. Exit code exitFailed where there was no such account.
func (b auditBalance) Run(ctx context.Context, c *console) error {
	return b.read(ctx, c, func(log openedLog, _ eventstore.Position) error {
		at, err := b.AsOf.in(ctx, log.FullLog)
		if err != nil {
			return err
		}
		if b.Account != "" {
			sum, err := audit.BalanceAt(ctx, log.FullLog, domain.LedgerAccount(b.Account), at)
			if err != nil {
				return err
			}
			if b.JSON {
				return json.NewEncoder(c.out).Encode(map[string]any{"position": at, "account": b.Account, "balance": sum})
			}
			_, err = fmt.Fprintf(c.out, "%s at position %d: %d\n", b.Account, at, sum)
			return err
		}
		account, err := audit.AccountAt(ctx, log.FullLog, domain.UserID(b.User), at)
		if err != nil {
			return err
		}
		if !account.Exists() {
			return fmt.Errorf("at position %d there is no account %s", at, b.User)
		}
		if b.JSON {
			return json.NewEncoder(c.out).Encode(struct {
				Position eventstore.Position `json:"position"`
				domain.Account
			}{at, account})
		}
		return table(c.out, func(row func(...any)) {
			row("account", account.User)
			row("position", at)
			row("available", account.Available, "of them given", account.Given)
			row("held", account.Held, "of them given", account.GivenHeld)
			row("withdrawable", account.Withdrawable())
			row("admin", account.Admin)
			row("erased", account.Erased)
		})
	})
}

type auditTrial struct {
	asked
	AsOf *point `name:"as-of" placeholder:"WHEN" help:"At this position, or at this time. Default: now."`
}

// Run prints the trial balance as it was.
func (b auditTrial) Run(ctx context.Context, c *console) error {
	return b.read(ctx, c, func(log openedLog, _ eventstore.Position) error {
		at, err := b.AsOf.in(ctx, log.FullLog)
		if err != nil {
			return err
		}
		trial, err := audit.TrialAt(ctx, log.FullLog, at)
		if err != nil {
			return err
		}
		if b.JSON {
			return json.NewEncoder(c.out).Encode(trial)
		}
		fmt.Fprintf(c.out, "At position %d:\n\n", at)
		printTrial(c.out, trial)
		return nil
	})
}

// printTrial prints the two books as verify does.
func printTrial(w io.Writer, t audit.Trial) {
	r := audit.Report{House: t.House}
	printBook(w, "bought", r, false, t.Users["available"], t.Users["held"])
	fmt.Fprintln(w)
	printBook(w, "given", r, true, t.Users["given"], t.Users["given_held"])
}

type auditHistory struct {
	listed
	User string `arg:"" help:"The person, such as u_…"`
	AsOf *point `name:"as-of" placeholder:"WHEN" help:"Up to this position, or this time. Default: now."`
}

// Run lists what the log has of a person, with the balances after each entry.
func (h auditHistory) Run(ctx context.Context, c *console) error {
	return h.read(ctx, c, func(log openedLog, _ eventstore.Position) error {
		at, err := h.AsOf.in(ctx, log.FullLog)
		if err != nil {
			return err
		}
		var account domain.Account
		list := func(row func(...any)) {
			if !h.JSON {
				row("position", "time", "event", "change", "available", "held", "by", "cause")
			}
			err = log.OfStream(ctx, eventstore.AccountStream(domain.UserID(h.User)), at, func(rec eventstore.Recorded) error {
				before := account.Available
				if err := account.Apply(rec.Event, rec.Time); err != nil {
					return fmt.Errorf("position %d: %w", rec.Position, err)
				}
				if h.JSON {
					return eventsCommand{JSON: true}.print(c.out, rec)
				}
				row(rec.Position, moment(rec.Time), rec.Type, fmt.Sprintf("%+d", account.Available-before), account.Available, account.Held, rec.Actor, rec.Cause)
				return nil
			})
		}
		if printed := h.table(c.out, list); err == nil {
			err = printed
		}
		if err == nil && !account.Exists() {
			err = fmt.Errorf("at position %d there is no account %s", at, h.User)
		}
		return err
	})
}

type auditAdjustments struct {
	listed
	Since *point `placeholder:"WHEN" help:"Only those behind this position, or this time."`
	By    string `placeholder:"USER" help:"Only those that this admin made, proposed or approved."`
}

// Run lists who adjusted what, and why.
func (a auditAdjustments) Run(ctx context.Context, c *console) error {
	return a.read(ctx, c, func(log openedLog, end eventstore.Position) (err error) {
		var since eventstore.Position
		if a.Since != nil {
			if since, err = a.Since.in(ctx, log.FullLog); err != nil {
				return err
			}
		}
		f := audit.AdjustmentFilter{Since: since, UpTo: end, By: domain.UserID(a.By)}
		if a.JSON {
			_, err = audit.Adjustments(ctx, log.FullLog, f, func(one audit.Adjustment) error { return json.NewEncoder(c.out).Encode(one) })
			return err
		}
		list := func(row func(...any)) { err = audit.EachAdjustmentRow(ctx, log.FullLog, f, row) }
		return errors.Join(a.table(c.out, list), err)
	})
}

type auditDiff struct {
	asked
	From point `arg:"" help:"A position, or a time."`
	To   point `arg:"" help:"A later one."`
}

// Run prints what happened between two positions.
func (d auditDiff) Run(ctx context.Context, c *console) error {
	return d.read(ctx, c, func(log openedLog, _ eventstore.Position) error {
		from, err := d.From.in(ctx, log.FullLog)
		if err != nil {
			return err
		}
		to, err := d.To.in(ctx, log.FullLog)
		if err != nil {
			return err
		}
		if from > to {
			return wrongArgument("position %d is behind %d", from, to)
		}
		change, err := audit.ChangeBetween(ctx, log.FullLog, from, to)
		if err != nil {
			return err
		}
		if d.JSON {
			return json.NewEncoder(c.out).Encode(change)
		}
		fmt.Fprintf(c.out, "From position %d to %d:\n\n", from, to)
		for _, t := range slices.Sorted(maps.Keys(change.Events)) {
			fmt.Fprintf(c.out, "  %-24s %12d\n", t, change.Events[t])
		}
		fmt.Fprintln(c.out)
		printTrial(c.out, change.Moved)
		fmt.Fprintln(c.out)
		return table(c.out, func(row func(...any)) {
			row("person", "available", "held")
			for _, user := range slices.Sorted(maps.Keys(change.Users)) {
				row(user, fmt.Sprintf("%+d", change.Users[user].Available), fmt.Sprintf("%+d", change.Users[user].Held))
			}
		})
	})
}

type auditExplain struct {
	asked
	Prediction string `arg:"" help:"The question, such as p_…"`
}

// Run prints a charge from the command to the films.
func (e auditExplain) Run(ctx context.Context, c *console) error {
	return e.read(ctx, c, func(log openedLog, end eventstore.Position) error {
		charge, err := audit.ChargeOf(ctx, log.FullLog, domain.PredictionID(e.Prediction), end)
		if err != nil {
			return err
		}
		entries := []eventstore.Recorded{charge.Asked}
		for _, later := range []*eventstore.Recorded{charge.Ended, charge.Refunded, charge.Confirmed} {
			if later != nil {
				entries = append(entries, *later)
			}
		}
		if e.JSON {
			for _, rec := range entries {
				if err := (eventsCommand{JSON: true}).print(c.out, rec); err != nil {
					return err
				}
			}
			return nil
		}
		for _, rec := range entries {
			explain(c.out, rec)
		}
		if charge.Ended == nil {
			fmt.Fprintln(c.out, "It has not ended: the price is held.")
		}
		return nil
	})
}

// explain prints one entry of a charge.
func explain(w io.Writer, rec eventstore.Recorded) {
	fmt.Fprintf(w, "%s  position %d, %s, by %s, because of %s\n", rec.Type, rec.Position, moment(rec.Time), rec.Actor, rec.Cause)
	switch e := rec.Event.(type) {
	case domain.PredictionRequested:
		fmt.Fprintf(w, "  price %d, %d films are asked for, held until %s; the text is sealed\n", e.Price, e.Limit, moment(e.ExpiresAt))
		if f := e.FollowUp; f != nil {
			fmt.Fprintf(w, "  follow-up %d of %s, of %d that were allowed within %d s; without %d films\n", f.Number, f.Of, f.Refinements, f.Within, len(f.Excluded))
		}
	case domain.PredictionConfirmed:
		fmt.Fprintf(w, "  the film that was meant: %s\n", e.Movie)
	case domain.PredictionFailed:
		fmt.Fprintf(w, "  reason: %s\n", e.Reason)
	case domain.PredictionRefunded:
		fmt.Fprintf(w, "  reason: %s; number %d of the month, of %d that were allowed\n", e.Reason, e.Number, e.PerMonth)
	case domain.PredictionCompleted:
		fmt.Fprintf(w, "  model %s, catalogue %s, %.3f s of a worker\n", e.Model, e.Catalogue, e.ProcessingTime)
		for i, m := range e.Movies {
			fmt.Fprintf(w, "  %2d. %-24s score %.4f\n", i+1, m.MovieID, m.Score)
		}
		if word := catalog.CertaintyOf(e.Confidence); word != "" {
			fmt.Fprintf(w, "  confidence in the first film: %s (%d per mille)\n", word, e.Confidence)
		}
	}
	fmt.Fprintf(w, "  %s\n", movement(rec.Event))
}

type auditBisect struct {
	dataSettings
	File string `arg:"" type:"existingfile" help:"A JSONL export that was kept."`
}

// Run finds where the log was changed. Exit codes: exitFailed where it was, exitUnable where
// it could not be compared.
func (b auditBisect) Run(ctx context.Context, c *console) (err error) {
	file, err := os.Open(b.File)
	if err != nil {
		return unableError{err}
	}
	defer file.Close()
	l, err := b.openToRead(ctx)
	if err != nil {
		return unableError{err}
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	each, done := progressOn(c.err)
	defer done()
	kept, err := audit.OpenExport(file, each)
	if err != nil {
		return unableError{err}
	}
	d, err := audit.Bisect(ctx, l.Store, kept)
	if err != nil {
		return unableError{fmt.Errorf("%s: %w", b.File, err)}
	}
	if d.Position == 0 {
		fmt.Fprintf(c.out, "The log begins with exactly the %d entries of the export.\n", kept.Head.UpTo)
		return nil
	}
	describe := func(e eventstore.Envelope) string {
		if e.Position == 0 {
			return "nothing that can be read"
		}
		return fmt.Sprintf("%s, version %d of %s, %s, by %s", e.Type, e.Version, e.Stream, moment(e.Time), cmp.Or(e.Actor, "?"))
	}
	fmt.Fprintf(c.out, "The first entry that differs is at position %d.\nin the export: %s\nin the log:    %s\n", d.Position, describe(d.Kept), describe(d.Now))
	return fmt.Errorf("the log was changed at position %d", d.Position)
}
