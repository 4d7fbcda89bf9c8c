package reconcile

import (
	"context"
	"database/sql"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"kassa/audit"
)

// Columns say where in the statement is what, by the names in its first line.
type Columns struct {
	Payment   string // the provider's reference
	Amount    string // above zero in, below zero out
	Day       string // when it was booked; "": days are not compared
	Direction string // "": by the sign of the amount
	Out       string // the value of Direction for what went out
}

// Layouts are the forms of a day that are read.
var Layouts = []string{time.DateOnly, time.RFC3339, time.DateTime, "02.01.2006"}

// ErrColumns: the statement has no such column.
var ErrColumns = errors.New("reconcile: the statement has another form")

// Malformed is a line of the statement that cannot be read.
type Malformed struct {
	Line int    `json:"line"`
	Why  string `json:"why"`
}

// maxMalformed limits the listed ones; the others are counted.
const maxMalformed = 100

// reader reads rows of a statement.
type reader struct {
	*csv.Reader
	bounded                       *boundedReader
	columns                       Columns
	money                         string // currency; "": amounts are credits
	zone                          *time.Location
	payment, amount, day, outward int // places of the columns; -1: none
}

func (c Columns) reader(in io.Reader, comma rune, money string, zone *time.Location) (*reader, error) {
	bounded := &boundedReader{in: in, left: recordMost}
	r := &reader{Reader: csv.NewReader(bounded), bounded: bounded, columns: c, money: money, zone: zone}
	r.Comma, r.ReuseRecord = comma, true
	names, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: its first line has the names of its columns: %w", ErrColumns, err)
	}
	names = slices.Clone(names)
	names[0] = strings.TrimPrefix(names[0], "\ufeff") // as spreadsheets write it
	for _, column := range []struct {
		name  string
		place *int
	}{{c.Payment, &r.payment}, {c.Amount, &r.amount}, {c.Day, &r.day}, {c.Direction, &r.outward}} {
		if *column.place = slices.Index(names, column.name); *column.place < 0 && column.name != "" {
			return nil, fmt.Errorf("%w: there is no column %q among %q", ErrColumns, column.name, names)
		}
	}
	return r, nil
}

// recordMost is how many bytes are read for one record. A quotation mark that is not closed
// would have the rest of the file in memory.
const recordMost = 1 << 20

type boundedReader struct {
	in   io.Reader
	left int
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("a row has more than %d bytes: is a quotation mark not closed?", recordMost)
	}
	n, err := b.in.Read(p)
	b.left -= n
	return n, err
}

// row is one payment.
type row struct {
	payment string
	out     bool
	amount  int64 // above zero; in minor units, or credits
	day     string
}

// parse reads a record; its error says what is wrong with it.
func (r *reader) parse(record []string) (p row, err error) {
	p.payment = strings.TrimSpace(record[r.payment])
	if p.payment == "" {
		return p, errors.New("it names no payment")
	}
	text := strings.TrimSpace(record[r.amount])
	if p.amount, err = r.units(text); err != nil {
		return p, err
	}
	p.out = p.amount < 0
	if r.outward >= 0 {
		p.out = strings.TrimSpace(record[r.outward]) == r.columns.Out
	}
	if p.amount = max(p.amount, -p.amount); p.amount <= 0 {
		return p, fmt.Errorf("the amount is %q", text)
	}
	if r.day >= 0 {
		p.day, err = r.dayOf(strings.TrimSpace(record[r.day]))
	}
	return p, err
}

// units reads an amount as minor units of the currency, or as credits.
func (r *reader) units(text string) (int64, error) {
	if r.money != "" {
		m, err := audit.ParseMoney(text, r.money)
		return m.Minor, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no whole number of credits", text)
	}
	return n, nil
}

func (r *reader) dayOf(text string) (string, error) {
	for _, layout := range Layouts {
		if t, err := time.ParseInLocation(layout, text, r.zone); err == nil {
			return t.In(r.zone).Format(time.DateOnly), nil
		}
	}
	return "", fmt.Errorf("%q is no day such as 2026-11-29", text)
}

// load puts the rows into the table; what cannot be read is noted in the report.
func (r *reader) load(ctx context.Context, insert *sql.Stmt, report *Report) error {
	for {
		r.bounded.left = recordMost
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		parse, malformed := errors.AsType[*csv.ParseError](err)
		if err != nil && !malformed {
			return fmt.Errorf("read the statement: %w", err)
		}
		if malformed {
			report.malformed(parse.StartLine, parse.Err)
			continue
		}
		line, _ := r.FieldPos(0)
		p, err := r.parse(record)
		if err != nil {
			report.malformed(line, err)
			continue
		}
		if _, err := insert.ExecContext(ctx, p.payment, p.out, p.amount, p.day, line); err != nil {
			return fmt.Errorf("keep line %d: %w", line, err)
		}
	}
}

func (r *Report) malformed(line int, why error) {
	if r.MalformedLines++; len(r.Malformed) < maxMalformed {
		r.Malformed = append(r.Malformed, Malformed{line, why.Error()})
	}
}
