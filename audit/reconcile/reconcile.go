// Package reconcile compares a payment provider's statement with the deposits and
// withdrawals of a ledger, payment by payment.
package reconcile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/schema"
)

// Result is what a payment comes to. Its values are stable.
type Result string

// The results.
const (
	Matched      Result = "matched"
	MissingHere  Result = "missing_here"  // the statement has it, and the ledger has not
	MissingThere Result = "missing_there" // the ledger has it, and the statement has not
	Differs      Result = "differs"       // in amount or day
)

// Line is one payment, compared. Amounts are above zero for what came in, and below for what
// went out, in credits, or in minor units of the currency.
type Line struct {
	Result   Result              `json:"result"`
	Payment  string              `json:"payment"`
	Position eventstore.Position `json:"position,omitempty"` // 0: the ledger does not have it
	User     domain.UserID       `json:"user_id,omitempty"`
	Here     int64               `json:"here"` // 0: the ledger does not have it, or not in this currency
	HereDay  string              `json:"here_day,omitempty"`
	Line     int                 `json:"line,omitempty"` // of the statement; 0: it does not have it
	There    int64               `json:"there"`
	ThereDay string              `json:"there_day,omitempty"`
}

// Report counts the payments by result.
type Report struct {
	Position       eventstore.Position `json:"position"` // up to which the ledger was read
	Results        map[Result]int      `json:"results"`
	Malformed      []Malformed         `json:"malformed,omitempty"`
	MalformedLines int                 `json:"malformed_lines"`
}

// Clean reports whether everything matched.
func (r Report) Clean() bool {
	return r.MalformedLines == 0 && len(r.Results) == min(1, r.Results[Matched])
}

// Reconciliation compares a statement with a ledger.
type Reconciliation struct {
	Log       audit.FullLog
	Provider  string
	From      eventstore.Position // payments behind it
	UpTo      eventstore.Position // and up to it
	Statement io.Reader           // CSV, whose first line names the columns
	Comma     rune
	Columns   Columns
	Currency  string         // of the statement's amounts, by its code of ISO 4217; "": they are credits
	Zone      *time.Location // of the days that are compared
}

// Run gives each line to fn: those that the ledger lacks, in the order of the statement, and then
// those that it has, in its own order. Memory does not grow with either: both are sorted in a
// temporary file. The error wraps ErrColumns where a column is missing.
func (r Reconciliation) Run(ctx context.Context, fn func(Line) error) (report Report, err error) {
	report = Report{Position: r.UpTo, Results: map[Result]int{}}
	in, err := r.Columns.reader(r.Statement, r.Comma, r.Currency, r.Zone)
	if err != nil {
		return report, err
	}
	scratch, err := schema.ScratchSQLite(ctx)
	if err != nil {
		return report, fmt.Errorf("make a temporary file: %w", err)
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	tx, err := scratch.Write.BeginTx(ctx, nil)
	if err != nil {
		return report, err
	}
	defer func() { _ = tx.Rollback() }() // it is a temporary file
	if err := r.fill(ctx, tx, in, &report); err != nil {
		return report, err
	}
	return report, compare(ctx, tx, func(l Line) error {
		report.Results[l.Result]++
		return fn(l)
	})
}

// fill puts the payments of both sides into tables. Nth tells payments of one name apart: a
// payment that comes twice on one side matches one of the other.
func (r Reconciliation) fill(ctx context.Context, tx *sql.Tx, in *reader, report *Report) error {
	for _, statement := range []string{
		`CREATE TABLE there (payment TEXT NOT NULL, outward BOOL NOT NULL, amount INTEGER NOT NULL, day TEXT NOT NULL, line INTEGER PRIMARY KEY)`,
		`CREATE TABLE here (payment TEXT NOT NULL, outward BOOL NOT NULL, amount INTEGER NOT NULL, day TEXT NOT NULL, position INTEGER PRIMARY KEY, user_id TEXT NOT NULL)`,
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	there, err := tx.PrepareContext(ctx, `INSERT INTO there VALUES (?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := in.load(ctx, there, report); err != nil {
		return err
	}
	here, err := tx.PrepareContext(ctx, `INSERT INTO here VALUES (?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer here.Close()
	return r.loadLog(ctx, here)
}

// errEnd ends a scan.
var errEnd = errors.New("the end of the period")

// loadLog puts the ledger's payments into their table. The log is read from its beginning, for
// the prices.
func (r Reconciliation) loadLog(ctx context.Context, insert *sql.Stmt) error {
	var prices domain.PriceSet
	err := r.Log.Scan(ctx, 0, func(page []eventstore.Recorded) error {
		for _, rec := range page {
			if rec.Position > r.UpTo {
				return errEnd
			}
			if set, ok := rec.Event.(domain.PriceSet); ok {
				prices = set
			}
			p, ok := r.payment(rec)
			if !ok {
				continue
			}
			p.amount = r.inCurrency(p.amount, prices)
			if _, err := insert.ExecContext(ctx, p.payment, p.out, p.amount, p.day, int64(rec.Position), string(rec.Event.Subject())); err != nil {
				return fmt.Errorf("keep position %d: %w", rec.Position, err)
			}
		}
		return nil
	})
	if errors.Is(err, errEnd) {
		return nil
	}
	return err
}

// payment is the provider's payment of an entry; ok is false where it has none in the period.
func (r Reconciliation) payment(rec eventstore.Recorded) (p row, ok bool) {
	var provider string
	switch e := rec.Event.(type) {
	case domain.Deposited:
		provider, p.payment, p.amount = e.Provider, e.Payment, int64(e.Amount)
	case domain.Withdrawn:
		provider, p.payment, p.amount, p.out = e.Provider, e.Payment, int64(e.Amount), true
	}
	p.day = rec.Time.In(r.Zone).Format(time.DateOnly)
	return p, provider == r.Provider && provider != "" && rec.Position > r.From
}

// inCurrency is what the credits cost when they were paid, 0 where no price in the currency
// of the statement was set then.
func (r Reconciliation) inCurrency(credits int64, prices domain.PriceSet) int64 {
	if r.Currency == "" {
		return credits
	}
	if m, ok := audit.Worth(domain.Credits(credits), prices); ok && m.Currency == r.Currency {
		return m.Minor
	}
	return 0
}

// compare joins both sides.
func compare(ctx context.Context, tx *sql.Tx, fn func(Line) error) error {
	rows, err := tx.QueryContext(ctx, `
		WITH h AS (SELECT *, row_number() OVER (PARTITION BY payment, outward ORDER BY position) AS nth FROM here),
			t AS (SELECT *, row_number() OVER (PARTITION BY payment, outward ORDER BY line) AS nth FROM there)
		SELECT coalesce(h.payment, t.payment), coalesce(h.outward, t.outward), coalesce(h.position, 0), coalesce(h.user_id, ''),
			coalesce(h.amount, 0), coalesce(h.day, ''), coalesce(t.line, 0), coalesce(t.amount, 0), coalesce(t.day, '')
		FROM h FULL JOIN t ON h.payment = t.payment AND h.outward = t.outward AND h.nth = t.nth
		ORDER BY 3, 7`)
	if err != nil {
		return fmt.Errorf("compare the payments: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var l Line
		var out bool
		if err := rows.Scan(&l.Payment, &out, &l.Position, &l.User, &l.Here, &l.HereDay, &l.Line, &l.There, &l.ThereDay); err != nil {
			return err
		}
		l.Result = l.result()
		if out {
			l.Here, l.There = -l.Here, -l.There
		}
		if err := fn(l); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (l Line) result() Result {
	switch {
	case l.Position == 0:
		return MissingHere
	case l.Line == 0:
		return MissingThere
	case l.Here != l.There || l.ThereDay != "" && l.HereDay != l.ThereDay:
		return Differs
	}
	return Matched
}
