package audit_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kassa/audit"
	"kassa/audit/audittest"
	"kassa/domain"
	"kassa/eventstore"
)

// A month begins with its first moment in its zone, also where clocks change then.
func TestMonthOf(t *testing.T) {
	for _, tt := range []struct{ month, zone, from, until string }{
		{"2026-11", "UTC", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"},
		{"2026-11", "Europe/Moscow", "2026-10-31T21:00:00Z", "2026-11-30T21:00:00Z"},
		{"2026-12", "Asia/Kathmandu", "2026-11-30T18:15:00Z", "2026-12-31T18:15:00Z"},
		{"2028-02", "Pacific/Kiritimati", "2028-01-31T10:00:00Z", "2028-02-29T10:00:00Z"},
		{"2026-03", "Europe/Berlin", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"},    // 743 hours
		{"2026-10", "Europe/Berlin", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"},    // 745 hours
		{"2023-10", "America/Asuncion", "2023-10-01T04:00:00Z", "2023-11-01T03:00:00Z"}, // 00:00 is 01:00 that day
		{"2020-11", "America/Havana", "2020-11-01T04:00:00Z", "2020-12-01T05:00:00Z"},   // 00:00 comes twice that day
	} {
		zone, err := time.LoadLocation(tt.zone)
		must(t, err)
		p, err := audit.MonthOf(tt.month, zone)
		must(t, err)
		if from, until := p.From.Format(time.RFC3339), p.Until.Format(time.RFC3339); from != tt.from || until != tt.until {
			t.Errorf("%s in %s is from %s until %s, want %s and %s", tt.month, tt.zone, from, until, tt.from, tt.until)
		}
	}
	for _, month := range []string{"", "2026", "2026-13", "2026-1", "11-2026", "2026-11-01", "2019-12", "9999-12"} {
		if p, err := audit.MonthOf(month, time.UTC); err == nil {
			t.Errorf("%q is %+v", month, p)
		}
	}
}

// twoMonths is a ledger whose middle month is October in Moscow.
func twoMonths(t *testing.T) (audit.FullLog, *time.Location) {
	t.Helper()
	moscow, err := time.LoadLocation("Europe/Moscow")
	must(t, err)
	b := audittest.NewBooks(t, emptyFile(t), time.Date(2026, 9, 30, 23, 59, 59, 0, moscow))
	b.SignUp("u_root", 0)
	b.Admin("u_root")
	b.SignUp("u_ada", 10)
	b.Deposit("u_ada", 40, "sandbox", "pay_1")
	b.SignUp("u_idle", 10) // has no movement in October
	b.At = time.Date(2026, 10, 1, 0, 0, 0, 0, moscow)
	b.House(eventstore.PricesStream, domain.PriceSet{Price: 6, Currency: "RUB", CreditPrice: 150})
	b.SignUp("u_bob", 10)
	b.Deposit("u_bob", 100, "sandbox", "pay_2")
	b.Ask("u_ada", "p_1", 6)
	b.Answer("u_ada", "p_1") // of given credits
	b.Ask("u_ada", "p_2", 6)
	b.Answer("u_ada", "p_2") // 4 given, 2 bought
	b.At = time.Date(2026, 10, 15, 12, 0, 0, 0, moscow)
	b.House(eventstore.PricesStream, domain.PriceSet{Price: 6, Currency: "RUB", CreditPrice: 200})
	b.Withdraw("u_bob", 30, "sandbox", "pay_2")
	for range 2 {
		b.Adjust("u_root", "u_bob", domain.Correction{Amount: 5, Kind: domain.BoughtCredits, Reason: "=paid & <not> booked"})
	}
	b.Adjust("u_root", "u_ada", domain.Correction{Amount: 7, Kind: domain.GivenCredits, Reason: "sorry"})
	b.At = time.Date(2026, 10, 31, 23, 59, 59, 0, moscow)
	b.Ask("u_bob", "p_3", 6) // is answered in November
	b.At = time.Date(2026, 11, 1, 0, 0, 0, 0, moscow)
	b.Answer("u_bob", "p_3")
	b.Deposit("u_ada", 1, "sandbox", "pay_3")
	audittest.CheckLedger(t, b.Store)
	return audit.FullLog{Store: b.Store}, moscow
}

func closed(t *testing.T, log audit.FullLog, month string, zone *time.Location) *audit.Closing {
	t.Helper()
	p, err := audit.MonthOf(month, zone)
	must(t, err)
	c, err := audit.Close(t.Context(), log, p, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
	must(t, err)
	return c
}

// The books of October: figures worked out by hand.
func TestClose(t *testing.T) {
	log, moscow := twoMonths(t)
	c := closed(t, log, "2026-10", moscow)
	amount := func(a audit.Amount) string {
		if a.Minor == nil {
			return fmt.Sprint(a.Credits)
		}
		return fmt.Sprint(a.Credits, " ", *a.Minor)
	}
	lines := func(r audit.RollForward) (list []string) {
		list = append(list, "opening "+amount(r.Opening))
		for _, f := range r.Flows {
			list = append(list, fmt.Sprint(f.Type, " ", f.Events, " ", amount(f.Amount)))
		}
		if r.Revaluation != nil {
			list = append(list, fmt.Sprint("revaluation ", *r.Revaluation))
		}
		return append(list, "closing "+amount(r.Closing))
	}
	// 40 at 1.50; at 2.00 a withdrawal of 30 and 10 adjusted. 138 at 1.50 are worth 6,900 more at 2.00.
	if got, want := lines(c.Owed), []string{"opening 40 6000", "BalanceAdjusted 2 10 2000", "Deposited 1 100 15000", "PredictionCompleted 1 -2 -300", "Withdrawn 1 -30 -6000",
		"revaluation 6900", "closing 118 23600"}; !slices.Equal(got, want) {
		t.Errorf("owed are\n%q, want\n%q", got, want)
	}
	// 20 of two bonuses, of which 10 are spent; one more, and 7 of an admin.
	if got, want := lines(c.Gifts), []string{"opening 20 3000", "BalanceAdjusted 1 7 1400", "BonusGranted 1 10 1500", "PredictionCompleted 2 -10 -1500",
		"revaluation 1000", "closing 27 5400"}; !slices.Equal(got, want) {
		t.Errorf("given are\n%q, want\n%q", got, want)
	}
	if amount(c.Revenue) != "2 300" || amount(c.BonusCost) != "10 1500" || amount(c.Breakage) != "0 0" {
		t.Errorf("revenue %s, cost of gifts %s, breakage %s", amount(c.Revenue), amount(c.BonusCost), amount(c.Breakage))
	}
	if want := []audit.AdjustmentSum{{Admin: "u_root", Reason: "=paid & <not> booked", Count: 2, Bought: 10}, {Admin: "u_root", Reason: "sorry", Count: 1, Given: 7}}; !slices.Equal(c.Adjustments, want) {
		t.Errorf("adjusted were %+v", c.Adjustments)
	}
	trial, err := audit.TrialAt(t.Context(), log, c.Period.Closing)
	if err != nil || fmt.Sprint(trial) != fmt.Sprint(c.Trial) {
		t.Errorf("the trial balance is %+v, want %+v, %v", c.Trial, trial, err)
	}

	// The months follow each other: what one ends with, the next begins with. Of September
	// no price of a credit is stated.
	september, november := closed(t, log, "2026-09", moscow), closed(t, log, "2026-11", moscow)
	if september.Currency != "" || september.Owed.Closing.Credits != c.Owed.Opening.Credits || amount(november.Owed.Opening) != amount(c.Owed.Closing) || amount(november.Revenue) != "0 0" || amount(november.BonusCost) != "6 1200" {
		t.Errorf("September %+v\nOctober %+v\nNovember %+v", september.Owed, c.Owed, november.Owed)
	}
	if empty := closed(t, log, "2026-08", moscow); empty.Period.Closing != 0 || empty.Owed.Closing.Credits != 0 || len(empty.Owed.Flows) != 0 {
		t.Errorf("August is %+v", empty)
	}
	// In UTC three hours of October's entries are of September.
	if utc := closed(t, log, "2026-10", time.UTC); utc.Opening <= c.Opening || utc.Owed.Opening.Credits != 138 {
		t.Errorf("in UTC it is %+v", utc)
	}
}

// The files of a month are the same each time; each person who had movements has a statement.
func TestClosingFiles(t *testing.T) {
	log, moscow := twoMonths(t)
	c := closed(t, log, "2026-10", moscow)
	c.Final = true
	texts := map[string]string{}
	for _, language := range []string{"en", "ru"} {
		folder := filepath.Join(t.TempDir(), "books")
		n, err := c.WriteTo(t.Context(), log, folder, language)
		if err != nil || n != 2 {
			t.Fatalf("%d statements, %v", n, err)
		}
		if _, err := c.WriteTo(t.Context(), log, folder, language); err == nil {
			t.Error("the files were written over")
		}
		must(t, filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			name, _ := filepath.Rel(folder, path)
			if before := texts[name]; before != "" && !strings.HasSuffix(name, ".html") && before != string(text) {
				t.Errorf("%s is another the second time", name)
			}
			texts[name] = string(text)
			if info, err := d.Info(); err == nil && info.Mode().Perm() != 0o600 {
				t.Errorf("%s can be read by others: %s", name, info.Mode())
			}
			return err
		}))
	}
	for name, wants := range map[string][]string{
		"summary.html": {`<html lang="ru">`, "Итоги за 2026-10", "Купленные кредиты: долг перед клиентами", "=paid &amp; &lt;not&gt; booked", "Выводы"},
		filepath.Join("statements", "u_ada.html"): {"Выписка по счёту", "2026-10-01 00:00", "Корректировка: sorry", "Ответ"},
		filepath.Join("statements", "u_bob.html"): {"Пополнение", "Вывод", "Из них удержано за ответы, которых ещё нет: 6"},
		"adjustments.csv":                         {",5,0,'=paid & <not> booked,"},
		"roll-forward.csv":                        {"owed,Withdrawn,1,-30,-60.00,RUB", "gifts,closing,,27,54.00,RUB"},
		"trial-balance.csv":                       {"house:revenue,2", "users:available,"},
		audit.SummaryFile:                         {`"month": "2026-10"`, `"final": true`},
	} {
		for _, want := range wants {
			if !strings.Contains(texts[name], want) {
				t.Errorf("%s has not %q:\n%s", name, want, texts[name])
			}
		}
	}
	if len(texts) != 7 {
		t.Errorf("there are %d files", len(texts))
	}
	for _, name := range []string{"adjustments.csv", "roll-forward.csv", "trial-balance.csv"} {
		if _, err := csv.NewReader(strings.NewReader(texts[name])).ReadAll(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Books whose entries contradict each other are refused.
func TestCloseRefusesBooksThatDoNotAddUp(t *testing.T) {
	c := validLog()
	e := c.log[3].event.(domain.Deposited)
	e.Postings = []domain.Posting{{Account: domain.HouseCash, Amount: -30}, {Account: domain.AvailableOf(ada), Amount: 31}}
	c.log[3].event = e
	log := audit.FullLog{Store: forge(t, c.log).read(t)}
	p, err := audit.MonthOf("2026-03", time.UTC)
	must(t, err)
	if _, err := audit.Close(t.Context(), log, p, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)); !errors.Is(err, audit.ErrUnequal) {
		t.Errorf("it was closed: %v", err)
	}
}

// A spreadsheet calculates nothing of a table, also where people wrote a formula.
func TestNoFormula(t *testing.T) {
	for cell, want := range map[string]string{"paid": "paid", "-7": "-7", "-60.50": "-60.50", "+7": "+7", "=1+1": "'=1+1", "-1+1": "'-1+1", "@SUM(A1)": "'@SUM(A1)", "\tx": "\"'\tx\""} {
		var table strings.Builder
		must(t, audit.WriteCSV(&table, func(row func(...any)) { row(cell) }))
		if got := strings.TrimSuffix(table.String(), "\n"); got != want && got != strings.Trim(want, `"`) {
			t.Errorf("%q became %q, want %q", cell, got, want)
		}
	}
}
