package auditing

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/download"
	"kassa/httpapi/problem"
	"kassa/transparency"
)

// fileTime limits how long one file is made and sent.
const fileTime = 30 * time.Minute

// Files sends what is made of the log as files. Each process makes one at a time, because it may
// take all of the log.
type Files struct {
	*Reader
	Problems *problem.Writer
	Valid    download.While // ends a file with the credentials that it was asked for with
}

// writer writes a file that is prepared.
type writer func(io.Writer) error

// send makes a file within fileTime, in place of the time of a request. For HEAD nothing is read.
func (f Files) send(w http.ResponseWriter, r *http.Request, file download.File, prepare func(ctx context.Context) (writer, error)) error {
	if err := download.Wanted(r); err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		return download.Send(r.Context(), w, r, f.Problems, file)
	}
	select {
	case f.files <- struct{}{}:
		defer func() { <-f.files }()
	default:
		return domain.Reject(problem.Unavailable, "another file is being made, and each process makes one at a time; try again later")
	}
	ctx, cancel := download.Within(w, r, fileTime, f.Valid)
	defer cancel()
	write, err := prepare(ctx)
	if err != nil {
		return refused(download.Why(ctx, err))
	}
	file.Write = write
	return refused(download.Send(ctx, w, r, f.Problems, file))
}

// Books sends the books of a month as a zip file: what kassa audit close writes into a folder.
func (f Files) Books(w http.ResponseWriter, r *http.Request, month, zone, language string) error {
	period, err := audit.MonthIn(month, zone)
	if err != nil {
		return domain.Reject(problem.InvalidPeriod, "%s", err)
	}
	file := download.File{Name: fmt.Sprintf("kassa-books-%s.zip", month), Media: "application/zip"}
	return f.send(w, r, file, func(ctx context.Context) (writer, error) {
		books, err := audit.Close(ctx, f.log, period, f.now())
		return func(out io.Writer) error { return books.WriteZip(ctx, f.log, out, language) }, err
	})
}

// formats are the media types and the endings of exports.
var formats = map[audit.Format][2]string{
	audit.JSONL: {"application/jsonl", "jsonl"}, audit.CSV: {"text/csv; charset=utf-8", "csv"},
	audit.Hledger: {"text/plain; charset=utf-8", "journal"}, audit.Beancount: {"text/plain; charset=utf-8", "beancount"},
}

// Formats are the names of all formats.
var Formats = []audit.Format{audit.JSONL, audit.CSV, audit.Hledger, audit.Beancount}

// Export sends a part of the log, as kassa audit export writes it: of all of it where the moments are
// nil. A period begins behind its first time.
func (f Files) Export(w http.ResponseWriter, r *http.Request, format audit.Format, from, to *audit.Moment) error {
	form, known := formats[format]
	if !known {
		return domain.Reject(problem.InvalidFilter, "there is no format %q", format)
	}
	file := download.File{Name: "kassa-log." + form[1], Media: form[0]}
	return f.send(w, r, file, func(ctx context.Context) (write writer, err error) {
		x := audit.Export{Log: f.log, Format: format}
		if from != nil {
			if x.From, err = f.at(ctx, from); err != nil {
				return nil, err
			}
			if from.Timed() {
				x.From++
			}
		}
		if x.UpTo, err = f.at(ctx, to); err != nil {
			return nil, err
		}
		return func(out io.Writer) error {
			_, err := x.Write(ctx, out)
			return err
		}, nil
	})
}

// Adjustments sends all corrections that the query chooses as a table.
func (f Files) Adjustments(w http.ResponseWriter, r *http.Request, q AdjustmentQuery) error {
	file := download.File{Name: "kassa-adjustments.csv", Media: "text/csv; charset=utf-8"}
	return f.send(w, r, file, func(ctx context.Context) (writer, error) {
		chosen, err := f.filter(ctx, q)
		return func(out io.Writer) error { return audit.WriteAdjustments(ctx, f.log, chosen, out) }, err
	})
}

// Proof sends the proof that the signed log has an entry, in the form of a receipt.
func (f Files) Proof(w http.ResponseWriter, r *http.Request, at eventstore.Position) error {
	rec, err := audit.EntryAt(r.Context(), f.log, at)
	if err != nil {
		return refused(err)
	}
	signed, _, err := f.heads.Published(r.Context())
	switch {
	case err != nil:
		return err
	case signed.Note == nil:
		return domain.Reject(problem.NotFound, "no head of the log was signed yet")
	case signed.Head.Size < at:
		return domain.Reject(problem.PositionNotReached, "no signed head covers the entry at position %d yet, try again in some seconds", at)
	}
	proof, err := transparency.Prove(r.Context(), f.log.Store, signed, rec)
	if err != nil {
		return err
	}
	return download.Send(r.Context(), w, r, f.Problems, download.File{Name: fmt.Sprintf("kassa-%d.tlog-proof", at), Media: "text/plain; charset=utf-8",
		Write: func(out io.Writer) error { _, err := out.Write(proof); return err }})
}
