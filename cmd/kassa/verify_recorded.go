package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"kassa/audit"
	"kassa/domain"
	"kassa/internal/app"
)

// catalogueOf reads the films and vectors beside the log.
func catalogueOf(l *app.Ledger) audit.Catalogue {
	return func(ctx context.Context) (domain.CatalogueRecorded, error) {
		now, err := l.Record(ctx)
		if sqlState(err) == "42501" {
			err = audit.ErrCatalogueHidden
		}
		return now, err
	}
}

// printRecorded prints what came of comparing what the service recorded of itself.
func printRecorded(w io.Writer, r audit.Report) {
	if a := r.Attested; a.States > 0 {
		fmt.Fprintf(w, "%d states of views were attested, and each is what the log gives.\n", a.States)
	}
	if a := r.Attested; len(a.Unknown) > 0 {
		fmt.Fprintf(w, "Attested, and NOT compared, because another version of the program has these views: %s.\n", strings.Join(a.Unknown, ", "))
	}
	switch c := r.Catalogue; {
	case c.Recorded == 0:
	case c.Changed:
		fmt.Fprintf(w, "The films or vectors were changed since they were recorded at position %d; no entry says so yet.\n", c.Recorded)
	default:
		fmt.Fprintf(w, "The films and vectors are those that were recorded at position %d.\n", c.Recorded)
	}
}

// lookAtFilms compares the films and vectors with those that the log recorded.
func (d doctorCommand) lookAtFilms(ctx context.Context) (string, error) {
	l, err := d.openToRead(ctx)
	if err != nil {
		return "", err
	}
	defer l.Close()
	c, err := audit.CompareCatalogue(ctx, l.Store, l.Record)
	switch _, differs := errors.AsType[*audit.Fault](err); {
	case differs:
		return "", fmt.Errorf("%w: import the films and vectors again from a source that you trust (kassa catalog import)", err)
	case err != nil:
		return "", unableError{err}
	case c.Recorded == 0:
		return "the log has no record of them yet", nil
	case c.Changed:
		return fmt.Sprintf("%d films and %d vectors, changed since they were recorded at position %d", c.Films, c.Vectors, c.Recorded), nil
	}
	return fmt.Sprintf("%d films and %d vectors, as they were recorded at position %d", c.Films, c.Vectors, c.Recorded), nil
}

// record writes down that the ledger was verified, also where it has faults. Of what could not be
// looked at to the end there is nothing to record.
func (v verifyCommand) record(ctx context.Context, c *console, r audit.Report, verdict error) (err error) {
	found, whole := verdict.(*audit.Faults) // alone: beside another error they are not all
	if verdict != nil && !whole || r.Proved != r.Head.Size {
		if !v.JSON {
			fmt.Fprintln(c.out, "That is NOT recorded: the log was not looked at to the end.")
		}
		return nil
	}
	e := domain.LedgerVerified{By: v.Record, Program: version(), Position: int64(r.Head.Size), Root: r.Head.Root.String()}
	if found != nil {
		e.Faults, e.First = len(found.List)+found.More, string(found.List[0].Code)
	}
	l, err := v.openExisting(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	at, err := l.Commands(app.Terms{}).RecordVerification(ctx, e)
	if err == nil && !v.JSON {
		fmt.Fprintf(c.out, "That is recorded at position %d.\n", at)
	}
	return err
}
