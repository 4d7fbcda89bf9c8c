package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // zones, where the machine has none

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/app"
)

type auditClose struct {
	auditedLog
	Month    string `arg:"" help:"The month, such as 2026-11. The figures of one that is not over are those so far."`
	Zone     string `required:"" placeholder:"ZONE" help:"Time zone in which the month begins and ends, such as Europe/Moscow."`
	Out      string `required:"" placeholder:"DIR" help:"Folder for the files; it must be missing or empty."`
	Seal     bool   `help:"Then append an entry to the ledger that closes the month: verify finds every later one that is dated into it. Needs --by."`
	By       string `placeholder:"EMAIL" help:"The admin in whose name the month is sealed."`
	Language string `enum:"en,ru" default:"en" help:"Language of the pages to print: en or ru. Default: ${default}."`
}

// Validate is called by the command line.
func (m auditClose) Validate() error {
	if err := m.auditedLog.Validate(); err != nil {
		return err
	}
	switch {
	case m.Seal != (m.By != ""):
		return errors.New("--seal and --by are given together")
	case m.Seal && (m.alone() || m.Archive != ""):
		return errors.New("--seal writes to a ledger: leave --export-file, --url and --archive out")
	}
	_, err := m.period()
	return err
}

func (m auditClose) period() (audit.Period, error) {
	p, err := audit.MonthIn(m.Month, m.Zone)
	if err != nil {
		return p, fmt.Errorf("the month and --zone: %w", err)
	}
	return p, nil
}

// Run writes the books of the month. Exit codes: exitFailed where they do not add up, exitUnable
// where the log cannot be read.
func (m auditClose) Run(ctx context.Context, c *console) (err error) {
	log, err := m.open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	err = m.write(ctx, c, log.FullLog)
	if errors.Is(err, eventstore.ErrArchived) {
		err = unableError{fmt.Errorf("%w: statements are not read from archives: export the log, and close the month with --export-file", err)}
	}
	return err
}

func (m auditClose) write(ctx context.Context, c *console, log audit.FullLog) error {
	period, err := m.period()
	if err != nil {
		return err
	}
	now := time.Now()
	// Before the log is read: what is sealed has all of the month.
	if ends := period.Until.Add(audit.MaxSkew); m.Seal && now.Before(ends) {
		return fmt.Errorf("%s is sealed from %s on: the clocks of processes differ", m.Month, ends.Format(time.RFC3339))
	}
	books, err := audit.Close(ctx, log, period, now)
	if errors.Is(err, audit.ErrNotBegun) {
		return wrongArgument("%w", err)
	}
	if err != nil {
		return err
	}
	statements, err := books.WriteTo(ctx, log, m.Out, m.Language)
	if err != nil {
		return err
	}
	if err := m.print(c, books, statements); err != nil || !m.Seal {
		return err
	}
	return m.seal(ctx, c, books)
}

// seal closes the month in the ledger, once.
func (m auditClose) seal(ctx context.Context, c *console, books *audit.Closing) (err error) {
	summary, err := books.Summary()
	if err != nil {
		return err
	}
	l, err := m.openExisting(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	h := l.Commands(app.Terms{})
	admin, err := h.FindUser(ctx, m.By)
	if err != nil {
		return err
	}
	at, again, err := h.ClosePeriod(ctx, admin, domain.PeriodClosed{From: books.From, Until: books.Until, Zone: m.Zone,
		Position: int64(books.Period.Closing), Digest: fmt.Sprintf("%x", sha256.Sum256(summary))})
	if err != nil {
		return err
	}
	if again {
		_, err = fmt.Fprintf(c.out, "It is sealed since position %d, with the same books.\n", at)
		return err
	}
	_, err = fmt.Fprintf(c.out, "Sealed at position %d.\n", at)
	return err
}

// print says what the month came to, and the digest of the summary, to be kept.
func (m auditClose) print(c *console, books *audit.Closing, statements int) error {
	summary, err := books.Summary()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s in %s: %s to %s, journal entries %d to %d\n\n", m.Month, m.Zone, books.From.Format(time.RFC3339), books.Until.Format(time.RFC3339), books.Opening+1, books.Period.Closing)
	if !books.Final {
		fmt.Fprint(c.out, "The month is not over: these are the figures so far.\n\n")
	}
	money := func(a audit.Amount) any {
		if a.Minor == nil {
			return ""
		}
		return audit.Money{Minor: *a.Minor, Currency: books.Currency}
	}
	err = table(c.out, func(row func(...any)) {
		for _, book := range []struct {
			name string
			audit.RollForward
		}{{"owed", books.Owed}, {"gifts", books.Gifts}} {
			row(book.name, "opening", book.Opening.Credits, money(book.Opening))
			for _, f := range book.Flows {
				row("", f.Type, f.Credits, money(f.Amount))
			}
			if book.Revaluation != nil && *book.Revaluation != 0 {
				row("", "revaluation", "", money(audit.Amount{Minor: book.Revaluation}))
			}
			row("", "closing", book.Closing.Credits, money(book.Closing))
		}
		row("revenue", "", books.Revenue.Credits, money(books.Revenue))
		row("breakage", "", books.Breakage.Credits, money(books.Breakage))
		row("bonus cost", "", books.BonusCost.Credits, money(books.BonusCost))
	})
	fmt.Fprintf(c.out, "\n%d statements. SHA-256 of %s:\n%x\n", statements, audit.SummaryFile, sha256.Sum256(summary))
	return err
}
