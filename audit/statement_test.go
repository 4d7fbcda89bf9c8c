package audit_test

import (
	"errors"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kassa/audit"
	"kassa/audit/audittest"
	"kassa/domain"
	"kassa/eventstore"
)

var (
	rowOf  = regexp.MustCompile(`<tr[^>]*>(.*?)</tr>`)
	cellOf = regexp.MustCompile(`<td[^>]*>(.*?)</td>`)
)

// printedRows are the rows of a printed statement of the month's close.
func printedRows(t *testing.T, folder string, user domain.UserID) (rows [][]string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(folder, "statements", string(user)+".html"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	must(t, err)
	for _, row := range rowOf.FindAllStringSubmatch(string(page), -1) {
		var cells []string
		for _, cell := range cellOf.FindAllStringSubmatch(row[1], -1) {
			cells = append(cells, html.UnescapeString(cell[1]))
		}
		if cells != nil {
			rows = append(rows, cells)
		}
	}
	return rows
}

// rowsOfStatement are the same rows, of a statement that is found by a person and two moments.
func rowsOfStatement(t *testing.T, log audit.FullLog, user domain.UserID, from, until time.Time, zone *time.Location) (rows [][]string) {
	t.Helper()
	s, err := audit.StatementOf(t.Context(), log.Store, user, from, until)
	must(t, err)
	sum := func(name string, h audit.Holdings) []string {
		return []string{name, fmt.Sprint(h.Bought), fmt.Sprint(h.Given), fmt.Sprint(h.Total())}
	}
	rows = append(rows, sum("Opening balance", s.Opening))
	var sums audit.Totals
	end, err := s.Lines(t.Context(), func(l audit.StatementLine) error {
		sums.Add(l)
		rows = append(rows, []string{l.At.In(zone).Format("2006-01-02 15:04"), fmt.Sprint("№ ", l.Position), "", fmt.Sprint(l.Bought), fmt.Sprint(l.Given), fmt.Sprint(l.After.Total())})
		return nil
	})
	must(t, err)
	if end.Total() != s.Opening.Total()+sums.Total() {
		t.Errorf("%s begins with %+v, the lines come to %+v, and the end is %+v", user, s.Opening, sums, end)
	}
	return append(rows, sum("Closing balance", end))
}

// The statement that a person prints has the figures of the month's close, also where clocks
// differ: entries of two processes are dated back across the turn of the month.
func TestStatementIsThatOfTheClose(t *testing.T) {
	moscow, err := time.LoadLocation("Europe/Moscow")
	must(t, err)
	turn := time.Date(2026, 10, 1, 0, 0, 0, 0, moscow)
	b := audittest.NewBooks(t, emptyFile(t), turn.AddDate(0, 0, -3))
	b.SignUp("u_root", 0)
	b.Admin("u_root")
	for _, u := range []domain.UserID{"u_ada", "u_bob", "u_cyd", "u_late"} {
		b.SignUp(u, 10)
		b.Deposit(u, 100, "sandbox", "pay_"+string(u))
	}
	for n := range 40 { // long enough for a search by halves
		b.At = b.At.Add(time.Hour)
		b.Deposit("u_ada", domain.Credits(n+1), "sandbox", fmt.Sprint("pay_", n))
	}
	b.At = turn.Add(-5 * time.Minute)
	b.Ask("u_ada", "p_1", 6)
	b.Ask("u_cyd", "p_2", 5)
	b.At = turn
	b.Deposit("u_bob", 7, "sandbox", "pay_turn") // the first entry of October
	b.At = turn.Add(-2 * time.Minute)
	b.Answer("u_ada", "p_1") // dated into September, and behind October's first entry
	b.Deposit("u_cyd", 3, "sandbox", "pay_back")
	b.At = turn.Add(time.Minute)
	b.Answer("u_cyd", "p_2")
	b.Withdraw("u_ada", 30, "sandbox", "pay_1")
	b.Adjust("u_root", "u_ada", domain.Correction{Amount: 5, Kind: domain.BoughtCredits, Reason: "paid & not booked"})
	b.At = turn.AddDate(0, 1, 0).Add(-time.Minute)
	b.Deposit("u_ada", 1, "sandbox", "pay_end") // in the last minutes of October, and nothing is dated back
	audittest.CheckLedger(t, b.Store)
	log := audit.FullLog{Store: b.Store}
	for _, month := range []string{"2026-08", "2026-09", "2026-10", "2026-11"} {
		c := closed(t, log, month, moscow)
		folder := filepath.Join(t.TempDir(), "books")
		_, err := c.WriteTo(t.Context(), log, folder, "en")
		must(t, err)
		for _, user := range []domain.UserID{"u_ada", "u_bob", "u_cyd", "u_late"} {
			got, want := rowsOfStatement(t, log, user, c.From, c.Until, moscow), printedRows(t, folder, user)
			for i := range want {
				if len(want[i]) == 6 {
					want[i][2] = "" // what it is called
				}
			}
			if want == nil { // the close has none, since nothing moved
				if len(got) != 2 || !slices.Equal(got[0][1:], got[1][1:]) {
					t.Errorf("%s of %s, who is not in the close, is %v", month, user, got)
				}
				continue
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s of %s is\n%v, and by the close\n%v", month, user, got, want)
			}
		}
	}
	if end := rowsOfStatement(t, log, "u_ada", turn.AddDate(0, 3, 0), turn.AddDate(0, 4, 0), moscow); fmt.Sprint(end[0][1:]) != fmt.Sprint(end[1][1:]) || end[0][3] != "900" {
		t.Errorf("after all entries it is %v", end)
	}
}

// Any two days of a life follow each other: what one stretch ends with, the next begins with, and
// each entry is in one.
func TestStatementsFollowEachOther(t *testing.T) {
	log, moscow := twoMonths(t)
	begin := time.Date(2026, 9, 29, 0, 0, 0, 0, moscow)
	for _, user := range []domain.UserID{"u_ada", "u_bob", "u_idle", "u_root", "u_nobody"} {
		last, lines := []string{"", "0", "0", "0"}, 0
		for day := range 40 {
			rows := rowsOfStatement(t, log, user, begin.AddDate(0, 0, day), begin.AddDate(0, 0, day+1), moscow)
			if !slices.Equal(rows[0][1:], last[1:]) {
				t.Errorf("%s on day %d begins with %v, after %v", user, day, rows[0], last)
			}
			last, lines = rows[len(rows)-1], lines+len(rows)-2
		}
		if whole := rowsOfStatement(t, log, user, begin, begin.AddDate(0, 0, 40), moscow); len(whole)-2 != lines || !slices.Equal(whole[len(whole)-1], last) {
			t.Errorf("%s: %d lines by days that end with %v, and %v at once", user, lines, last, whole)
		}
	}
}

// Of entries that contradict each other no statement is made.
func TestStatementRefusesWhatDoesNotAddUp(t *testing.T) {
	c := validLog()
	e := c.log[3].event.(domain.Deposited)
	e.Available++
	c.log[3].event = e
	s, err := audit.StatementOf(t.Context(), forge(t, c.log).read(t), ada, eventstore.Earliest, eventstore.Earliest.AddDate(20, 0, 0))
	must(t, err)
	if _, err := s.Lines(t.Context(), func(audit.StatementLine) error { return nil }); !errors.Is(err, audit.ErrUnequal) || !strings.Contains(err.Error(), "position") {
		t.Errorf("a statement was made: %v", err)
	}
}

// A search by halves reads as many entries as there are digits, not as there are entries.
func TestLastTrue(t *testing.T) {
	for n := range int64(200) {
		probes := 0
		got, err := audit.LastTrue(func(i int64) (bool, error) { probes++; return i <= n, nil })
		if err != nil || got != n || probes > 17 {
			t.Errorf("of %d it finds %d in %d steps, %v", n, got, probes, err)
		}
	}
}

// Where a part of an account is archived, its timeline shows the rest, and says where that ends.
// With PostgreSQL, which alone archives.
func TestTimelineOfAnArchivedLog(t *testing.T) {
	c := newArchiveFixture(t, 60, 40, 20_000)
	entries := map[domain.UserID][]eventstore.Position{} // of each account
	must(t, c.store.Scan(t.Context(), 0, func(page []eventstore.Recorded) error {
		for _, rec := range page {
			if user, ok := rec.Stream.User(); ok {
				entries[user] = append(entries[user], rec.Position)
			}
		}
		return nil
	}))
	c.archived(t, c.archiving(t), 40)
	log, parted := audit.FullLog{Store: c.store}, 0
	for user, positions := range entries {
		begins, _ := slices.BinarySearch(positions, 41)
		if begins == len(positions) {
			if _, err := audit.Timeline(t.Context(), log, user, 0, 2); !errors.Is(err, eventstore.ErrArchived) {
				t.Errorf("the timeline of %s, who has archived entries alone: %v", user, err)
			}
			continue
		}
		if begins > 0 {
			parted++
		}
		for _, limit := range []int{1, 2, 100} {
			shown := map[eventstore.Position]bool{}
			for before := eventstore.Version(0); ; {
				page, err := audit.Timeline(t.Context(), log, user, before, limit)
				must(t, err)
				for _, rec := range page.Items {
					shown[rec.Position] = true
				}
				if before = page.Next; page.Archived != (before == 0 && begins > 0) {
					t.Errorf("the timeline of %s goes on behind %d, and archived is %t", user, before, page.Archived)
				}
				if before == 0 {
					break
				}
			}
			for i, at := range positions {
				if shown[at] != (i >= begins) {
					t.Errorf("the entry of %s at position %d is shown: %t", user, at, shown[at])
				}
			}
		}
		if begins > 0 {
			if _, err := audit.Timeline(t.Context(), log, user, eventstore.Version(begins)+1, 2); !errors.Is(err, eventstore.ErrArchived) {
				t.Errorf("the archived part of the timeline of %s: %v", user, err)
			}
		}
	}
	if parted == 0 {
		t.Fatal("the workload has no account of which a part is archived")
	}
}

// Where entries are archived, a statement of what they may be in is refused, and a later one begins
// with what they came to. With PostgreSQL, which alone archives.
func TestStatementOfAnArchivedLog(t *testing.T) {
	c := newArchiveFixture(t, 60, 40, 20_000)
	users, last := map[domain.UserID]bool{}, time.Time{}
	must(t, c.store.Scan(t.Context(), 0, func(page []eventstore.Recorded) error {
		for _, rec := range page {
			if _, moves := rec.Event.(domain.MoneyEvent); moves {
				users[rec.Event.Subject()] = true
			}
			if rec.Time.After(last) {
				last = rec.Time
			}
		}
		return nil
	}))
	must(t, c.views.CatchUp(t.Context()))
	c.archived(t, c.archiving(t), 40)
	if len(users) == 0 {
		t.Fatal("the workload has no persons")
	}
	later := last.Add(2 * audit.MaxSkew)
	for user := range users {
		if _, err := audit.StatementOf(t.Context(), c.store, user, eventstore.Earliest, later); !errors.Is(err, eventstore.ErrArchived) {
			t.Errorf("of %s a statement was made of archived entries: %v", user, err)
		}
		s, err := audit.StatementOf(t.Context(), c.store, user, later, later.Add(time.Hour))
		must(t, err)
		now, err := c.store.Refresh(t.Context(), user)
		must(t, err)
		end, err := s.Lines(t.Context(), func(audit.StatementLine) error { return errors.New("there is a line") })
		must(t, err)
		if a := now.Account; end.Total() != a.Available+a.Held || end != s.Opening {
			t.Errorf("%s has %+v after the archive, and %d by the account", user, end, a.Available+a.Held)
		}
	}
}
