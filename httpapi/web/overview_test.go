package web_test

import (
	"net/http"
	"os"
	"testing"
	"time"

	"golang.org/x/net/html"

	"kassa/domain"
)

// lively gives a fixture whose last nine days had a little of everything. Its clock is at noon
// (UTC) of yesterday, so that no day ends while a test runs, and nothing is in the future.
func lively(t *testing.T, language string) *fixture {
	t.Helper()
	h := newFixture(t, options{bonus: 100})
	now := time.Now().UTC()
	noon := now.Truncate(24 * time.Hour).Add(-12 * time.Hour).Sub(now)
	h.clockAhead.Store(int64(noon - 8*24*time.Hour))
	g := h.member(language, "vera@example.org")
	h.member(language, "boss@example.org")
	h.promote("boss@example.org")
	h.member(language, "auditor@example.org")
	h.env.SetRole(h.env.User("auditor@example.org"), domain.AuditorRole, true)
	vera := h.env.User("vera@example.org")
	for day := range 9 {
		h.pay("vera@example.org", domain.Credits(50+20*day))
		for question := range 2 + day%3 {
			path := g.open("/web").fill("/web/ask", "text", "a train").is(http.StatusOK).address.Path
			h.answered(vera)
			answer := g.open(path)
			switch {
			case question == 0 && day%4 == 3:
				answer.fill(path + "/none-of-these")
			case question == 0:
				answer.fill(path + "/thats-it")
			case question == 1:
				more := answer.fill(path+"/refine", "said", "older").address.Path
				h.answered(vera)
				g.open(more).fill(more + "/thats-it")
			}
		}
		if day < 8 {
			h.clockAhead.Add(int64(24 * time.Hour))
		}
	}
	return h
}

// links reports whether a link of the page leads to the path.
func links(page *document, path string) bool {
	return find(page.root, func(n *html.Node) bool { return n.Data == "a" && attr(n, "href") == path }) != nil
}

// An admin sees how the service goes, without scripts: today beside yesterday and the day a week
// ago, what waits, and what does not work. Each number leads to its list.
func TestOverview(t *testing.T) {
	for language, want := range map[string]struct{ today, found, refined, refunded, deposits, given, refunds, none, waits, broken, whole string }{
		"en": {"Questions 4 3 3", "Found at once 1 (25%) 0 1 (33%)", "Found after refining 1 (25%) 1 (33%) 1 (33%)", "“None of these” 0 1 (33%) 0", "Deposits 1, 210 cr. 1, 190 cr. 1, 70 cr.",
			"Gift credits that people have 200", "2 times", "No question is waiting for an answer.", "The question that has waited longest was asked 3 min ago.", "The service is not ready: the database takes no writes", "All parts work."},
		"ru": {"Вопросы 4 3 3", "Найдено сразу 1 (25 %) 0 1 (33 %)", "Найдено после уточнения 1 (25 %) 1 (33 %) 1 (33 %)", "«Ни один не подходит» 0 1 (33 %) 0", "Пополнения 1, 210 кр. 1, 190 кр. 1, 70 кр.",
			"Подаренные кредиты на руках 200", "2 раза", "Вопросов без ответа нет.", "Дольше всех ждёт вопрос, заданный 3 мин назад.", "Сервис не готов: the database takes no writes", "Всё работает."},
	} {
		t.Run(language, func(t *testing.T) {
			h := lively(t, language)
			vera := string(h.env.User("vera@example.org"))
			g := h.client(language)
			g.open("/web/signin").fill("/web/signin", "email", "boss@example.org", "password", password)
			page := g.open("/web/overview").shows(want.today, want.found, want.refined, want.refunded, want.deposits, want.given, want.refunds, want.none, want.whole, "vera@example.org")
			for _, path := range []string{"/web/admin", "/web/audit/trial", "/web/audit/money", "/web/admin/user/" + vera} {
				if !links(page, path) {
					t.Errorf("nothing leads to %s", path)
				}
				g.open(path).is(http.StatusOK)
			}
			g.open("/web/overview?span=year").is(http.StatusOK).shows(want.today)
			g.open("/web/overview?span=x").is(http.StatusBadRequest)

			v := h.client(language)
			v.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password)
			v.open("/web/overview").is(http.StatusForbidden)
			v.open("/web").fill("/web/ask", "text", "a train "+unansweredWord)
			h.clockAhead.Add(int64(3 * time.Minute))
			h.missing.Store("the database takes no writes")
			g.open("/web/overview").shows(want.waits, want.broken).lacks(want.whole)

			// An auditor sees the same, and nobody's address.
			a := h.client(language)
			a.open("/web/signin").fill("/web/signin", "email", "auditor@example.org", "password", password)
			if links(a.open("/web/overview").shows(want.waits, vera).lacks("vera@example.org"), "/web/admin") {
				t.Error("an auditor is led to the pages of admins")
			}
		})
	}
}

// The page in a browser, in both languages, at both widths, with and without figures.
func TestOverviewInABrowser(t *testing.T) {
	for _, language := range []string{"ru", "en"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			h := lively(t, language)
			h.member(language, "vera2@example.org").open("/web").fill("/web/ask", "text", "a train "+unansweredWord)
			b := h.browse(t, language, true)
			b.signIn("boss@example.org")
			b.open("/web/overview")
			b.capture(os.Getenv("KASSA_SCREENSHOTS"), language+"-90-overview", "dark")
			b.do("open the tables", evaluate(`document.querySelectorAll('details').forEach((d) => d.open = true)`))
			b.capture(os.Getenv("KASSA_SCREENSHOTS"), language+"-91-overview-tables")
			b.open("/web/overview?span=year")
			b.capture(os.Getenv("KASSA_SCREENSHOTS"), language+"-92-overview-year")
			b.open("/web/admin")
			b.capture(os.Getenv("KASSA_SCREENSHOTS"), language+"-93-people", "dark")
			b.noComplaints()
			h.missing.Store("the database takes no writes")
			auditor := h.browse(t, language, true)
			auditor.signIn("auditor@example.org")
			auditor.open("/web/overview")
			auditor.capture(os.Getenv("KASSA_SCREENSHOTS"), language+"-94-overview-away", "dark")
			auditor.noComplaints()
		})
	}
}
