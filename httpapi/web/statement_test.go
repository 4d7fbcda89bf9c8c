package web_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
)

// fetch gets a file with the cookies of the client.
func (g *client) fetch(path string) (*http.Response, string) {
	g.t.Helper()
	answer, err := g.client.Get(g.fixture.url + path)
	if err != nil {
		g.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return answer, string(body)
}

// A month says what it began with, what came and went, and what it ended with; the same figures
// are in the statement to print and in the table.
func TestMonth(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	middle := time.Now().UTC().AddDate(0, 0, -40)
	h.clockAhead.Store(int64(time.Until(time.Date(middle.Year(), middle.Month(), 15, 12, 0, 0, 0, time.UTC)))) // no month turns meanwhile
	g := h.member("ru", "anna@example.org")
	u := h.env.User("anna@example.org")
	g.open("/web/deposit").fill("/web/deposit", "own", "50")
	g.open("/web").fill("/web/ask", "text", "поезд")
	g.open("/web/deposit").fill("/web/withdraw", "withdraw", "7").fill("/web/withdraw", ":confirm", "yes")
	g.open("/web").fill("/web/ask", "text", "поезд "+unansweredWord) // a hold is no movement
	r, err := h.handler.Adjust(t.Context(), commands.Adjust{Admin: h.colleague(), User: u, Correction: domain.Correction{Amount: 12, Reason: "за терпение"}})
	h.ended(r.Position, err)

	totals := []string{"На начало 0", "Пополнения и подарки +60", "Ответы −5", "Возвраты за ответы 0", "Выведено −7", "Корректировки +12", "На конец В том числе подарочных: 17 60"}
	month := g.open("/web/transaction-history").follow("По месяцам").at("/web/transaction-history/months").shows(totals...).
		shows("По дням", "Баланс", "Потрачено", "часовому поясу UTC").lacks("Предыдущий месяц", "Следующий месяц")
	printed := month.follow("Выписка для печати").at("/web/transaction-history/statement").shows(totals...).shows(
		"Выписка по счёту", "Владелец anna@example.org", "Счёт "+string(u), strings.TrimPrefix(h.url, "http://"), "Запись журнала № ", "В резерве на конец периода, в ожидании ответов: 5.",
		"/"+strings.ToUpper(string(u)[len(u)-8:]))
	rows := find(printed.root, func(n *node) bool { return attr(n, "class") == "ledger" })
	for _, line := range []string{"В том числе подарочных: 10 +10 Баланс 10", "+50 Баланс 60", "В том числе подарочных: −5 −5 Баланс 55", "−7 Баланс 48", "В том числе подарочных: 12 Причина: за терпение +12 Баланс 60"} {
		if !strings.Contains(words(rows), line) {
			t.Errorf("the statement lacks %q: %s", line, words(rows))
		}
	}
	now := h.now().UTC()
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	period := fmt.Sprintf("from=%s&to=%s", first.Format(time.DateOnly), first.AddDate(0, 1, -1).Format(time.DateOnly))
	answer, table := g.fetch("/web/transaction-history/statement.csv?" + period)
	if !strings.HasPrefix(answer.Header.Get("Content-Disposition"), "attachment") || !strings.HasPrefix(table, "\ufeffdate,entry,what,") || strings.Count(table, "\n") != 8 || !strings.Contains(table, ",prediction,0,-5,-5,55,") {
		t.Errorf("the table is %s", table)
	}

	// The next month begins with what this one ended with.
	h.clockAhead.Store(int64(time.Until(first.AddDate(0, 1, 1))))
	g = h.client("en")
	g.open("/web/signin").fill("/web/signin", "email", "anna@example.org", "password", password)
	next := g.open("/web/transaction-history/months").shows("At the beginning Including gift credits: 17 60").lacks("Adjustments", "Month after")
	next.follow("Month before").shows("Adjustments +12").follow("Month after").shows("At the beginning Including gift credits: 17 60").
		follow("Statement to print").shows("Nothing moved in this period.")
	for _, query := range []string{"months?month=2026-13", "months?month=9999-01", "months?month=x", "statement", "statement?from=2026-01-02&to=2026-01-01", "statement.csv?from=x&to=y"} {
		g.open("/web/transaction-history/" + query).is(http.StatusBadRequest)
	}
	h.client("en").open("/web/transaction-history/months").at("/web/signin")
}

// Each day of the chart is a row of its table: the balance at its end, and what was spent.
func TestChartOfAMonth(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	noon := time.Now().UTC().AddDate(0, 0, -1)
	h.clockAhead.Store(int64(time.Until(time.Date(noon.Year(), noon.Month(), noon.Day(), 12, 0, 0, 0, time.UTC))))
	g := h.member("en", "anna@example.org")
	g.open("/web").fill("/web/ask", "text", "a train")
	page := g.open("/web/transaction-history/months")
	chart := find(page.root, func(n *node) bool { return attr(n, "class") == "chart" })
	now := h.now().UTC()
	if want := fmt.Sprintf("%d %s 5 5", now.Day(), now.Month()); !strings.HasSuffix(words(chart), want) {
		t.Errorf("the last row is not %q: %s", want, words(chart))
	}
	pictures := 0
	walk(chart, func(n *node) {
		if n.Data == "svg" {
			pictures++
		}
	})
	if pictures != 2 {
		t.Errorf("there are %d pictures", pictures)
	}
}
