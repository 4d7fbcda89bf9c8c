package audit

import (
	"archive/zip"
	"bufio"
	"cmp"
	"context"
	"embed"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// SummaryFile has the books of the period as JSON: the same bytes each time.
const SummaryFile = "summary.json"

//go:embed templates/*.html
var templateFiles embed.FS

var printed = template.Must(template.ParseFS(templateFiles, "templates/*.html"))

// page is what the printed pages have in common.
type page struct {
	*Closing
	Words map[string]string
	zone  *time.Location
}

// T is a text in the language of the page.
func (p page) T(key string) string { return p.Words[key] }

// Kind is what people call all events of a type, and One a single one.
func (p page) Kind(t domain.EventType) string { return cmp.Or(p.Words[string(t)], string(t)) }

// One: see Kind.
func (p page) One(t domain.EventType) string { return cmp.Or(p.Words["one "+string(t)], string(t)) }

// First is the first entry of the period, where it has one.
func (p page) First() eventstore.Position { return p.Opening + 1 }

// Date is a time in the zone of the period.
func (p page) Date(t time.Time) string { return t.In(p.zone).Format("2006-01-02 15:04") }

// Money is an amount in money, "" where there is none.
func (p page) Money(minor *int64) string {
	if minor == nil {
		return ""
	}
	return Money{*minor, p.Currency}.Amount()
}

// Books are the two roll-forwards, with their titles.
func (p page) Books() []struct {
	Title string
	RollForward
} {
	return []struct {
		Title string
		RollForward
	}{{"owed", p.Owed}, {"gifts", p.Gifts}}
}

// Accounts are the lines of the trial balance.
func (p page) Accounts() (list []domain.Posting) {
	for _, a := range slices.Sorted(maps.Keys(p.Trial.House)) {
		list = append(list, domain.Posting{Account: a, Amount: p.Trial.House[a]})
	}
	for _, kind := range slices.Sorted(maps.Keys(p.Trial.Users)) {
		list = append(list, domain.Posting{Account: domain.LedgerAccount("users:" + kind), Amount: p.Trial.Users[kind]})
	}
	return list
}

// Summary is the content of SummaryFile.
func (c *Closing) Summary() ([]byte, error) {
	text, err := json.MarshalIndent(c, "", "  ")
	return append(text, '\n'), err
}

// WriteTo writes the files of the period into a folder, which must be missing or empty, in a
// language ("en" or "ru"). It returns how many statements there are.
func (c *Closing) WriteTo(ctx context.Context, log FullLog, folder, language string) (statements int, err error) {
	if list, err := os.ReadDir(folder); err == nil && len(list) > 0 {
		return 0, fmt.Errorf("%s is not empty", folder)
	}
	if err := os.MkdirAll(filepath.Join(folder, statementsFolder), 0o700); err != nil {
		return 0, err
	}
	return c.files(ctx, log, language, func(name string, write func(io.Writer) error) error {
		return writeFile(filepath.Join(folder, filepath.FromSlash(name)), write)
	})
}

// WriteZip writes the same files, with the same bytes, as a zip file.
func (c *Closing) WriteZip(ctx context.Context, log FullLog, out io.Writer, language string) error {
	z := zip.NewWriter(out)
	_, err := c.files(ctx, log, language, func(name string, write func(io.Writer) error) error {
		file, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: c.Until})
		if err != nil {
			return err
		}
		return write(file)
	})
	return errors.Join(err, z.Close())
}

// statementsFolder has a file for each person who had movements.
const statementsFolder = "statements"

// files gives create each file of the period, by its name with slashes: the books as JSON, as tables
// and as a page to print, and a statement for each person who had movements.
func (c *Closing) files(ctx context.Context, log FullLog, language string, create func(name string, write func(io.Writer) error) error) (statements int, err error) {
	zone, err := time.LoadLocation(c.Zone)
	if err != nil {
		return 0, err
	}
	p := page{c, words[language], zone}
	summary, err := c.Summary()
	if err != nil {
		return 0, err
	}
	for _, user := range slices.Sorted(maps.Keys(p.active)) {
		err := create(path.Join(statementsFolder, fileOf(user)+".html"), func(w io.Writer) error { return p.statement(ctx, log, user, w) })
		if err != nil {
			return statements, err
		}
		statements++
	}
	for _, file := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"trial-balance.csv", p.trialTable},
		{"roll-forward.csv", p.rollTable},
		{"adjustments.csv", func(w io.Writer) error { return p.adjustmentTable(ctx, log, w) }},
		{"summary.html", func(w io.Writer) error { return printed.ExecuteTemplate(w, "summary.html", p) }},
		{SummaryFile, func(w io.Writer) error { _, err := w.Write(summary); return err }}, // last: with it the folder is whole
	} {
		if err := create(file.name, file.write); err != nil {
			return statements, err
		}
	}
	return statements, nil
}

// writeFile makes a file that only its owner reads.
func writeFile(path string, write func(io.Writer) error) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	buf := bufio.NewWriter(file)
	if err := write(buf); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return buf.Flush()
}

// WriteCSV writes a table; texts of people come as cells that no spreadsheet calculates.
func WriteCSV(w io.Writer, fn func(row func(cells ...any))) error {
	out := csv.NewWriter(w)
	fn(func(cells ...any) {
		texts := make([]string, len(cells))
		for i, cell := range cells {
			texts[i] = noFormula(fmt.Sprint(cell))
		}
		_ = out.Write(texts) // the error comes back from Error
	})
	out.Flush()
	return out.Error()
}

func (p page) trialTable(w io.Writer) error {
	return WriteCSV(w, func(row func(...any)) {
		row("account", "amount")
		for _, a := range p.Accounts() {
			row(a.Account, a.Amount)
		}
	})
}

func (p page) rollTable(w io.Writer) error {
	return WriteCSV(w, func(row func(...any)) {
		row("book", "line", "events", "credits", "money", "currency")
		for _, b := range p.Books() {
			row(b.Title, "opening", "", b.Opening.Credits, p.Money(b.Opening.Minor), p.Currency)
			for _, f := range b.Flows {
				row(b.Title, f.Type, f.Events, f.Credits, p.Money(f.Minor), p.Currency)
			}
			if b.Revaluation != nil {
				row(b.Title, "revaluation", "", 0, p.Money(b.Revaluation), p.Currency)
			}
			row(b.Title, "closing", "", b.Closing.Credits, p.Money(b.Closing.Minor), p.Currency)
		}
	})
}

func (p page) adjustmentTable(ctx context.Context, log FullLog, w io.Writer) (err error) {
	return errors.Join(WriteCSV(w, func(row func(...any)) {
		row("position", "time", "admin", "user", "bought", "given", "reason", "reference")
		err = log.between(ctx, p.Opening, p.Closing.Period.Closing, func(rec eventstore.Recorded) error {
			if e, ok := rec.Event.(domain.BalanceAdjusted); ok {
				row(rec.Position, rec.Time.Format(time.RFC3339), e.Admin, e.User, e.Amount-e.GivenAmount, e.GivenAmount, e.Reason, e.Reference)
			}
			return nil
		})
	}), err)
}

// statement is a page of a person's statement, and a line of it.
type statement struct {
	page
	User domain.UserID
	Holdings
	StatementLine
}

// fileOf is a name that no file system reads as something else.
func fileOf(user domain.UserID) string {
	if plainID.MatchString(string(user)) {
		return string(user)
	}
	return "x-" + hex.EncodeToString([]byte(user))
}

// statement writes one, line by line.
func (p page) statement(ctx context.Context, log FullLog, user domain.UserID, w io.Writer) error {
	first := p.active[user]
	of := Statement{User: user, Opening: first.opening, log: log.Store, after: first.after, upTo: p.Closing.Period.Closing}
	s := statement{page: p, User: user, Holdings: of.Opening}
	if err := printed.ExecuteTemplate(w, "statement-begin", s); err != nil {
		return err
	}
	end, err := of.Lines(ctx, func(line StatementLine) error {
		s.StatementLine = line
		return printed.ExecuteTemplate(w, "statement-line", s)
	})
	if err != nil {
		return err
	}
	s.Holdings = end
	return printed.ExecuteTemplate(w, "statement-end", s)
}

// noFormula puts an apostrophe before what a spreadsheet would calculate.
func noFormula(cell string) string {
	_, err := strconv.ParseFloat(cell, 64)
	if first := cell[:min(1, len(cell))]; err != nil && (first == "=" || first == "+" || first == "-" || first == "@" || first == "\t" || first == "\r") {
		return "'" + cell
	}
	return cell
}
