package audit

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"strconv"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// csvWriter writes a row for each posting, and one for an entry without any. Text that people
// wrote is not in it: a spreadsheet could take it for a formula.
type csvWriter struct{ out *csv.Writer }

func newCSVWriter(out *bufio.Writer) csvWriter { return csvWriter{csv.NewWriter(out)} }

func (w csvWriter) header() error {
	return w.out.Write([]string{"position", "time", "type", "stream", "version", "actor", "causation", "user_id", "account", "amount"})
}

func (csvWriter) before(eventstore.Recorded) error { return nil }

func (w csvWriter) write(e exported) error {
	row := []string{strconv.FormatInt(int64(e.Position), 10), e.Time.Format(time.RFC3339Nano), string(e.Type), string(e.Stream),
		strconv.FormatInt(int64(e.Version), 10), e.Actor, string(e.Cause), string(e.Event.Subject())}
	postings := postingsIn(e.Event)
	if len(postings) == 0 {
		return w.out.Write(append(row, "", ""))
	}
	for _, p := range postings {
		if err := w.out.Write(append(row[:8:8], string(p.Account), p.Amount.String())); err != nil {
			return err
		}
	}
	return nil
}

func (w csvWriter) end() error {
	w.out.Flush()
	return w.out.Error()
}

func postingsIn(e domain.Event) []domain.Posting {
	if m, ok := e.(domain.MoneyEvent); ok {
		return m.Money().Postings
	}
	return nil
}

// nature is what an account is in accounting, by the letter that hledger has for it.
type nature string

const (
	asset     nature = "A"
	liability nature = "L"
	equity    nature = "E"
	revenue   nature = "R"
	expense   nature = "X"
)

// houseAccounts are the accounts of the house, in the order of journals.
var houseAccounts = []struct {
	account domain.LedgerAccount
	nature  nature
}{
	{domain.HouseCash, asset}, {domain.HouseMovedIn, equity}, {domain.HouseGivenMovedIn, equity},
	{domain.HouseRevenue, revenue}, {domain.HouseForfeited, revenue},
	{domain.HouseAdjustments, expense}, {domain.HouseBonus, expense},
	{domain.HouseGivenBonus, expense}, {domain.HouseGivenAdjustments, expense},
	{domain.HouseGivenSpent, revenue}, {domain.HouseGivenForfeited, revenue},
}

func natureOf(a domain.LedgerAccount) nature {
	for _, h := range houseAccounts {
		if h.account == a {
			return h.nature
		}
	}
	if _, user := cutUser(a); user {
		return liability
	}
	return equity
}

// journal is what both journals have in common. In the log an amount adds to what a person
// has; in a journal, as accountants write it, what we have is positive, and what we owe
// negative. So each amount has the other sign there.
//
// The date of an entry is never before that of its predecessor, although its time may be:
// programs that check balances do so in the order of dates.
type journal struct {
	out    *bufio.Writer
	date   string                                  // of the last entry
	opened map[domain.LedgerAccount]domain.Credits // sums of the entries in front of the export
	priced domain.PriceSet                         // in front of the export
}

func newJournal(out *bufio.Writer) journal {
	return journal{out: out, opened: map[domain.LedgerAccount]domain.Credits{}}
}

func (j *journal) before(rec eventstore.Recorded) error {
	j.dated(rec.Time)
	if set, ok := rec.Event.(domain.PriceSet); ok {
		j.priced = set
	}
	postings, err := moved(rec)
	if err != nil {
		return err
	}
	over := false
	for _, p := range postings {
		j.opened[p.Account] = plus(j.opened[p.Account], p.Amount, &over)
	}
	return counted(rec, over)
}

func (j *journal) dated(t time.Time) string {
	j.date = max(j.date, t.UTC().Format(time.DateOnly))
	return j.date
}

// worth is what a credit costs by an event that says so; ok is false for others.
func worth(e domain.Event) (m Money, ok bool) {
	set, ok := e.(domain.PriceSet)
	if !ok {
		return m, false
	}
	return Worth(1, set)
}

func (j *journal) printf(format string, args ...any) {
	fmt.Fprintf(j.out, format, args...) // the error comes back from Flush
}

// stated is what an event says that an account has after it; ok false where it does not say.
func stated(e domain.Event, a domain.LedgerAccount) (balance domain.Credits, ok bool) {
	m, moves := e.(domain.MoneyEvent)
	if !moves {
		return 0, false
	}
	after, user := m.Money(), e.Subject()
	switch a {
	case domain.AvailableOf(user):
		return after.Available - after.Given, true
	case domain.HeldOf(user):
		return after.Held - after.GivenHeld, true
	case domain.GivenOf(user):
		return after.Given, true
	case domain.GivenHeldOf(user):
		return after.GivenHeld, true
	}
	return 0, false
}
