package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
	"unicode/utf8"

	"kassa/audit"
	"kassa/audit/reconcile"
	"kassa/domain"
	"kassa/eventstore"
)

type auditReconcile struct {
	listed
	File      string `arg:"" type:"existingfile" help:"The provider's statement: CSV, whose first line has the names of its columns."`
	Provider  string `required:"" placeholder:"NAME" help:"The provider, as the ledger names it, such as sandbox."`
	Payment   string `default:"payment" placeholder:"COLUMN" help:"Column of the provider's reference of a payment. Default: ${default}."`
	Amount    string `default:"amount" placeholder:"COLUMN" help:"Column of the amount; what went out is below zero, unless --direction says it. Default: ${default}."`
	Day       string `placeholder:"COLUMN" help:"Column of the day, such as 2026-11-29 or 29.11.2026, or of the time. Default: days are not compared."`
	Direction string `placeholder:"COLUMN" help:"Column that says whether money came in or went out."`
	Out       string `placeholder:"VALUE" help:"What --direction has where money went out."`
	Currency  string `placeholder:"CODE" help:"Currency of the amounts (ISO 4217). They are compared with what the credits cost by the price of their time. Default: the amounts are credits."`
	Delimiter string `default:"," placeholder:"CHAR" help:"What is between the columns. Default: a comma."`
	Zone      string `default:"UTC" placeholder:"ZONE" help:"Time zone of the days, such as Europe/Moscow. Default: ${default}."`
	From      *point `placeholder:"WHEN" help:"Payments behind this position or time. Default: the beginning."`
	To        *point `placeholder:"WHEN" help:"Payments up to this position or time. Default: the end."`
}

// Validate is called by the command line.
func (r auditReconcile) Validate() error {
	if err := r.listed.Validate(); err != nil {
		return err
	}
	comma, size := utf8.DecodeRuneInString(r.Delimiter)
	switch {
	case size == 0 || size != len(r.Delimiter) || comma == '"' || comma == '\n' || comma == '\r' || comma == utf8.RuneError:
		return errors.New("--delimiter is one character, such as ; and not a quote or the end of a line")
	case (r.Direction == "") != (r.Out == ""):
		return errors.New("--direction and --out are given together")
	case r.Currency != "":
		if _, err := audit.ParseMoney("1", r.Currency); err != nil {
			return fmt.Errorf("--currency: %w", err)
		}
	}
	_, err := time.LoadLocation(r.Zone)
	return err
}

// Run prints what does not match, or as JSON and CSV every payment. Exit codes: exitFailed
// where something does not match, or a line cannot be read; exitUsage where a column is missing.
func (r auditReconcile) Run(ctx context.Context, c *console) error {
	return r.read(ctx, c, func(log openedLog, end eventstore.Position) (err error) {
		file, err := os.Open(r.File)
		if err != nil {
			return unableError{err}
		}
		defer file.Close()
		x := reconcile.Reconciliation{Log: log.FullLog, Provider: r.Provider, UpTo: end, Statement: file, Currency: r.Currency,
			Columns: reconcile.Columns{Payment: r.Payment, Amount: r.Amount, Day: r.Day, Direction: r.Direction, Out: r.Out}}
		x.Comma, _ = utf8.DecodeRuneInString(r.Delimiter)
		if x.Zone, err = time.LoadLocation(r.Zone); err != nil {
			return err
		}
		if r.From != nil {
			if x.From, err = r.From.in(ctx, log.FullLog); err != nil {
				return err
			}
		}
		if x.UpTo, err = r.To.in(ctx, log.FullLog); err != nil {
			return err
		}
		report, err := r.print(ctx, c, x)
		if errors.Is(err, reconcile.ErrColumns) {
			return usageError{err}
		}
		if err != nil {
			return unableError{fmt.Errorf("compare with %s: %w", r.File, err)}
		}
		if !report.Clean() {
			return errors.New("the statement and the ledger do not match")
		}
		return nil
	})
}

// print writes the lines, and what they come to.
func (r auditReconcile) print(ctx context.Context, c *console, x reconcile.Reconciliation) (report reconcile.Report, err error) {
	if r.JSON {
		out := json.NewEncoder(c.out)
		if report, err = x.Run(ctx, func(l reconcile.Line) error { return out.Encode(l) }); err == nil {
			err = out.Encode(report)
		}
		return report, err
	}
	failed := r.table(c.out, func(row func(...any)) {
		row("result", "payment", "position", "user", "here", "day", "line", "there", "day")
		report, err = x.Run(ctx, func(l reconcile.Line) error {
			if l.Result != reconcile.Matched || r.CSV {
				row(l.Result, l.Payment, orDash(int64(l.Position)), l.User, r.amount(l.Here), l.HereDay, orDash(int64(l.Line)), r.amount(l.There), l.ThereDay)
			}
			return nil
		})
	})
	r.summary(c, report)
	return report, errors.Join(err, failed)
}

// summary goes beside the table of a CSV, so that it is a table only.
func (r auditReconcile) summary(c *console, report reconcile.Report) {
	w := c.out
	if r.CSV {
		w = c.err
	}
	fmt.Fprintf(w, "\nUp to position %d: %d matched, %d missing here, %d missing there, %d differing; lines that cannot be read: %d.\n", report.Position,
		report.Results[reconcile.Matched], report.Results[reconcile.MissingHere], report.Results[reconcile.MissingThere], report.Results[reconcile.Differs], report.MalformedLines)
	for _, m := range report.Malformed {
		fmt.Fprintf(w, "line %d: %s\n", m.Line, m.Why)
	}
	if more := report.MalformedLines - len(report.Malformed); more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
}

func (r auditReconcile) amount(n int64) string {
	switch {
	case n == 0:
		return "–"
	case r.Currency == "":
		return domain.Credits(n).String()
	}
	return audit.Money{Minor: n, Currency: r.Currency}.Amount()
}

func orDash(n int64) string {
	if n == 0 {
		return "–"
	}
	return strconv.FormatInt(n, 10)
}
