// Package statement makes statements of account for the API and the pages: what a person had at
// the beginning of some days, what moved it, and what they had at the end. They are read from the
// log, by the reader that `kassa audit close` prints with.
package statement

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/problem"
)

// Books are the log that statements are of, and what they have in common.
type Books struct {
	Log    *eventstore.Store
	Zone   *time.Location // in which days and months begin
	Issuer string         // name, address and tax number, in lines; "": none is set

	MaxEntries int64 // that are read for one statement; 0 means the default

	mu     sync.Mutex
	making map[domain.UserID]chan struct{} // closed when the person's statement is made
}

// Bounds of a statement, so that it can be made while a person waits.
const (
	maxDays    = 366
	maxLines   = 10_000
	maxEntries = 5 * maxLines // of which holds, releases and free refinements are no lines
	waitOther  = 2 * time.Second
)

// Period is some days of a zone.
type Period struct {
	First, Last string    // dates; both days are in it
	From, Until time.Time // the moment of its end is not in it
}

// Month is a calendar month, such as 2026-11.
func (b *Books) Month(month string) (Period, error) {
	p, err := audit.MonthOf(month, b.Zone)
	if err != nil {
		return Period{}, domain.Reject(problem.InvalidPeriod, "%s", err)
	}
	last := p.Until.In(b.Zone).AddDate(0, 0, -1) // Until is on the first day of the next
	return Period{p.From.In(b.Zone).Format(time.DateOnly), last.Format(time.DateOnly), p.From, p.Until}, nil
}

// Days are the days from one date to another, such as 2026-11-30.
func (b *Books) Days(first, last string) (Period, error) {
	from, err := dateOf(first)
	if err != nil {
		return Period{}, err
	}
	until, err := dateOf(last)
	switch {
	case err != nil:
		return Period{}, err
	case until.Before(from):
		return Period{}, domain.Reject(problem.InvalidPeriod, "the last day is before the first")
	case until.Sub(from) >= maxDays*24*time.Hour:
		return Period{}, domain.Reject(problem.InvalidPeriod, "a period has at most %d days", maxDays)
	}
	return Period{first, last, audit.DayBegins(from, b.Zone), audit.DayBegins(until.AddDate(0, 0, 1), b.Zone)}, nil
}

func dateOf(text string) (time.Time, error) {
	date, err := time.Parse(time.DateOnly, text)
	if err != nil || date.Before(eventstore.Earliest) || date.Year() > 9000 {
		return date, domain.Reject(problem.InvalidPeriod, "a day is written as 2026-11-30, and is not before %s", eventstore.Earliest.Format(time.DateOnly))
	}
	return date, nil
}

// Statement is what a person had, and what moved it.
type Statement struct {
	Period
	Number  string // the same for the same person and days
	User    domain.UserID
	Opening audit.Holdings
	Closing audit.Holdings
	Totals  audit.Totals
	Lines   []audit.StatementLine
}

// Of reads the statement of a person, one at a time for each. It is refused for more lines than one
// has or more entries than are read for one, and where the period begins in the archive.
func (b *Books) Of(ctx context.Context, user domain.UserID, p Period) (Statement, error) {
	s := Statement{Period: p, User: user, Number: numberOf(user, p)}
	wait, cancel := context.WithTimeout(ctx, waitOther)
	end, err := b.begin(wait, user)
	cancel()
	if err != nil {
		return s, err
	}
	defer end()
	found, err := audit.StatementOf(ctx, b.Log, user, p.From, p.Until)
	if err != nil {
		return s, refused(err)
	}
	if most := cmp.Or(b.MaxEntries, maxEntries); found.Entries() > most {
		return s, domain.Reject(problem.PeriodTooLong, "there are more than %d entries in these days: ask for fewer days", most)
	}
	s.Opening = found.Opening
	s.Closing, err = found.Lines(ctx, func(l audit.StatementLine) error {
		if len(s.Lines) == maxLines {
			return domain.Reject(problem.PeriodTooLong, "there are more than %d movements in these days: ask for fewer days", maxLines)
		}
		s.Lines = append(s.Lines, l)
		s.Totals.Add(l)
		return nil
	})
	return s, err
}

// begin waits until no other statement of the person is being made in this process.
func (b *Books) begin(ctx context.Context, user domain.UserID) (end func(), err error) {
	for {
		b.mu.Lock()
		other, busy := b.making[user]
		if !busy {
			made := make(chan struct{})
			if b.making == nil {
				b.making = map[domain.UserID]chan struct{}{}
			}
			b.making[user] = made
			b.mu.Unlock()
			return func() {
				b.mu.Lock()
				delete(b.making, user)
				b.mu.Unlock()
				close(made)
			}, nil
		}
		b.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, domain.Reject(problem.Unavailable, "another statement of this account is being made, try again in a moment")
		}
	}
}

// Between are the positions of a person's entries in the period: those behind the first, up to the
// second, which is never 0.
func (b *Books) Between(ctx context.Context, user domain.UserID, p Period) (since, upTo eventstore.Position, err error) {
	found, err := audit.StatementOf(ctx, b.Log, user, p.From, p.Until)
	since, upTo = found.Between()
	return since, max(upTo, 1), refused(err) // 0 would be no bound, and the first entry of a log moves nothing
}

func refused(err error) error {
	if errors.Is(err, eventstore.ErrArchived) {
		return domain.Reject(problem.Archived, "the entries of these days are archived, ask the operator for a statement of them")
	}
	return err
}

// numberOf names a statement: its days, and the end of the account's number.
func numberOf(user domain.UserID, p Period) string {
	id := string(user)
	return strings.ReplaceAll(p.First+"/"+p.Last, "-", "") + "/" + strings.ToUpper(id[max(0, len(id)-8):])
}

// Day is what a statement says of one day.
type Day struct {
	Date   time.Time
	Spent  domain.Credits // on answers, without what was given back
	Closed domain.Credits // what the person had at its end, held credits among them
}

// Days are the days of the statement up to a moment.
func (s Statement) Days(zone *time.Location, now time.Time) (days []Day) {
	rest, has := s.Lines, s.Opening.Total()
	for date, err := time.Parse(time.DateOnly, s.First); err == nil && date.Format(time.DateOnly) <= s.Last; date = date.AddDate(0, 0, 1) {
		ends := audit.DayBegins(date.AddDate(0, 0, 1), zone)
		if len(days) > 0 && !audit.DayBegins(date, zone).Before(now) {
			break
		}
		day := Day{Date: date}
		for len(rest) > 0 && (rest[0].At.Before(ends) || date.Format(time.DateOnly) == s.Last) {
			var moved audit.Totals
			moved.Add(rest[0])
			day.Spent -= moved.Spent + moved.GivenBack
			has, rest = rest[0].After.Total(), rest[1:]
		}
		day.Closed = has
		days = append(days, day)
	}
	return days
}

// kinds are what movements are called in the API and in tables.
var kinds = map[domain.EventType]string{
	domain.TypeBonusGranted: "bonus", domain.TypeDeposited: "deposit", domain.TypeWithdrawn: "withdrawal", domain.TypePredictionCompleted: "prediction",
	domain.TypePredictionRefunded: "refund", domain.TypeBalanceAdjusted: "admin_adjustment", domain.TypeCreditsForfeited: "forfeiture", domain.TypeBalanceMovedIn: "moved_in",
}

// Kind is what movements by events of a type are called; the type itself for one that came later.
func Kind(t domain.EventType) string { return cmp.Or(kinds[t], string(t)) }

// byteOrderMark lets spreadsheets read a table as UTF-8.
const byteOrderMark = "\ufeff"

// WriteCSV writes the statement as a table, which begins and ends with what the person had.
func (s Statement) WriteCSV(w io.Writer, zone *time.Location) error {
	if _, err := io.WriteString(w, byteOrderMark); err != nil {
		return err
	}
	return audit.WriteCSV(w, func(row func(...any)) {
		row("date", "entry", "what", "bought", "given", "amount", "balance", "reason")
		row(s.First, "", "opening", s.Opening.Bought, s.Opening.Given, "", s.Opening.Total(), "")
		for _, l := range s.Lines {
			row(l.At.In(zone).Format(time.RFC3339), l.Position, Kind(l.Type), l.Bought, l.Given, l.Amount(), l.After.Total(), l.Reason)
		}
		row(s.Last, "", "closing", s.Closing.Bought, s.Closing.Given, "", s.Closing.Total(), "")
	})
}

// FileName is a name for the statement as a file.
func (s Statement) FileName(ending string) string {
	return fmt.Sprintf("kassa-statement-%s-%s.%s", s.First, s.Last, ending)
}
