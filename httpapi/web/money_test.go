package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
)

func TestWallet(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	page := g.open("/web/deposit").says("10 кредитов", "Это песочница", "на 10 ответов", "Подаренных среди них: 10.", "Выводить пока нечего.")
	page = page.fill("/web/deposit").at("/web/deposit").says("Зачислено: 50 кредитов.", "60 кредитов")
	page = page.fill("/web/deposit", "own", "1 000").says("Зачислено: 1000 кредитов.", "1060 кредитов")
	for _, typed := range []string{"-5", "0", "сто", "1000001", "5.5"} {
		refused := page.fill("/web/deposit", "own", typed).is(http.StatusOK).says("Сумма — целое число от 1 до 1 000 000.")
		if refused.value("own") != typed {
			t.Errorf("%q comes back as %q", typed, refused.value("own"))
		}
	}
	page = page.fill("/web/withdraw", "withdraw", "60").at("/web/deposit").says("Выведено: 60 кредитов.", "1000 кредитов", "Можно вывести до 990 кредитов")
	refused := page.fill("/web/withdraw", "withdraw", "991").is(http.StatusOK).says("Столько взять нельзя: доступно 990 кредитов.")
	if refused.value("withdraw") != "991" {
		t.Errorf("what was typed is lost: %q", refused.value("withdraw"))
	}
	g.open("/web/lang?to=en&back=/web/deposit").says("This is a sandbox", "Given credits among them: 10. They pay for answers first", "You can withdraw up to 990 credits.")
	g.open("/web/withdraw").at("/web/deposit")
}

func TestEmptyWallet(t *testing.T) {
	h := open(t, options{})
	g := h.member("ru", "anna@example.org")
	g.open("/web/deposit").says("Выводить пока нечего.")
	g.open("/web/transaction-history").says("Движений по кошельку пока нет.")
	g.open("/web/transaction-history?type=deposit").says("Таких операций нет.")
	g.open("/web/prediction-history").says("Вопросов пока нет.")
	g.open("/web/prediction-history?status=held").says("Таких вопросов нет.")
}

func TestDepositTwice(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	form := g.open("/web/deposit").form("/web/deposit")
	for range 3 {
		g.send("/web/deposit", form).is(http.StatusOK).at("/web/deposit").says("Зачислено: 50 кредитов.")
	}
	out := g.open("/web/deposit").form("/web/withdraw")
	out.Set("withdraw", "50") // all that there is to withdraw: a second one would be refused
	for range 3 {
		g.send("/web/withdraw", out).is(http.StatusOK).says("Выведено: 50 кредитов.", "Выводить пока нечего.")
	}
	out.Set("idempotency_key", "another")
	g.send("/web/withdraw", out).is(http.StatusOK).says("Столько взять нельзя: доступно 0 кредитов.")
	if available, _ := h.balance("anna@example.org"); available != bonus {
		t.Errorf("there are %d credits", available)
	}
}

// rows are the cells of the ledger on a page, by row.
func (s *sheet) rows() [][]string {
	s.t.Helper()
	body := find(s.root, func(n *node) bool { return n.Data == "tbody" })
	if body == nil {
		s.t.Fatalf("%s has no table: %s", s.address.Path, s.text)
	}
	var rows [][]string
	for tr := range body.ChildNodes() {
		var cells []string
		for td := range tr.ChildNodes() {
			if td.Data == "td" {
				cells = append(cells, words(td))
			}
		}
		if cells != nil {
			rows = append(rows, cells)
		}
	}
	return rows
}

func TestTransactions(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	g.open("/web").fill("/web/ask", "text", "ъъъъ щщщщ")
	g.open("/web").fill("/web/ask", "text", "поезд "+patience)
	h.later.Add(int64(3 * time.Minute))
	h.ended(h.handler.Expire(t.Context(), h.ending(h.user("anna@example.org"))))
	g.open("/web").fill("/web/ask", "text", "поезд")
	g.open("/web").fill("/web/ask", "text", "поезд "+patience)
	r, err := h.handler.Adjust(t.Context(), commands.Adjust{Admin: h.colleague(), User: h.user("anna@example.org"),
		Correction: domain.Correction{Amount: 12, Reason: "за терпение", Reference: "письмо 7"}})
	h.ended(r.Position, err)

	want := [][3]string{ // what, amount, balance after
		{"Исправление администратора Из подаренных: 12 Причина: за терпение Основание: письмо 7", "+12", "Стало 12"},
		{"Плата за ответ Придержано, ответ ещё ищем Из подаренных: 5 поезд терпение", "−5", "Стало 0"},
		{"Плата за ответ Оплачено Из подаренных: 5 поезд", "−5", "Стало 5"},
		{"Возврат за ответ Ответ не успел Из подаренных: 5 поезд терпение", "+5", "Стало 10"},
		{"Плата за ответ Ответ не успел, кредиты вернулись Из подаренных: 5 поезд терпение", "−5", "Стало 5"},
		{"Возврат за ответ Ответа не получилось Из подаренных: 5 ъъъъ щщщщ", "+5", "Стало 10"},
		{"Плата за ответ Ответа не получилось, кредиты вернулись Из подаренных: 5 ъъъъ щщщщ", "−5", "Стало 5"},
		{"Подарок", "+10", "Стало 10"},
	}
	rows := g.open("/web/transaction-history").rows()
	if len(rows) != len(want) {
		t.Fatalf("%d lines, want %d: %v", len(rows), len(want), rows)
	}
	for i, row := range rows {
		if got := [3]string{row[1], row[2], row[3]}; got != want[i] {
			t.Errorf("line %d is %q, want %q", i+1, got, want[i])
		}
	}
	if rows := g.open("/web/transaction-history").follow("Подарок").rows(); len(rows) != 1 {
		t.Errorf("the filter leaves %v", rows)
	}
	g.open("/web/transaction-history").follow("поезд терпение").says("Ищем фильмы")
	g.open("/web/lang?to=en&back=/web/transaction-history").
		says("Refund of an answer The answer was late", "There was no answer, the credits came back", "Reason: за терпение", "Reference: письмо 7")
	g.open("/web/transaction-history?type=lottery").is(http.StatusBadRequest)
	g.open("/web/transaction-history?cursor=nonsense").is(http.StatusBadRequest)
}

func TestPages(t *testing.T) {
	h := open(t, options{bonus: 1000})
	g := h.member("en", "anna@example.org")
	u := h.user("anna@example.org")
	for n := range 45 {
		r, err := h.handler.Deposit(t.Context(), commands.Move{User: u, Amount: domain.Credits(n + 1)})
		h.ended(r.Position, err)
	}
	page := g.open("/web/transaction-history?type=deposit").silent("Back to the newest")
	seen := page.rows()
	for range 2 {
		page = page.follow("Earlier").is(http.StatusOK)
		seen = append(seen, page.rows()...)
	}
	if len(seen) != 45 || seen[0][2] != "+45" || seen[44][2] != "+1" {
		t.Errorf("three pages have %d lines, from %v to %v", len(seen), seen[0], seen[len(seen)-1])
	}
	page.silent("Earlier").follow("Back to the newest").silent("Back to the newest")
}

func TestQuestions(t *testing.T) {
	h := open(t, options{bonus: 1000})
	g := h.member("ru", "anna@example.org")
	for range 22 {
		g.open("/web").fill("/web/ask", "text", "поезд").is(http.StatusOK)
	}
	g.open("/web").fill("/web/ask", "text", "ъъъъ щщщщ")
	all := g.open("/web/prediction-history").says("Не получилось", "бесплатно", "Есть ответ", "5 кредитов")
	all.follow("Раньше").says("поезд").silent("ъъъъ").follow("К самым новым").says("ъъъъ")
	failed := g.open("/web/prediction-history?status=released").says("ъъъъ").silent("поезд")
	if chosen := find(failed.root, func(n *node) bool { return attr(n, "aria-current") == "true" }); words(chosen) != "Не получилось" {
		t.Errorf("the filter that is chosen is %q", words(chosen))
	}
	found := g.open("/web/prediction-history?status=captured").silent("ъъъъ").follow("Раньше")
	if found.address.Query().Get("status") != "captured" {
		t.Errorf("the second page lost the filter: %s", found.address)
	}
	g.open("/web/prediction-history?status=lost").is(http.StatusBadRequest)
	g.open("/web/prediction-history?cursor=nonsense").is(http.StatusBadRequest)
}

// slowTill takes a payment when it is told to, and not from whom has left.
type slowTill struct {
	commands.Sandbox
	charging, proceed chan struct{}
}

func (p slowTill) Charge(ctx context.Context, _ string, _ domain.UserID, _ domain.Credits) error {
	p.charging <- struct{}{}
	<-p.proceed
	return ctx.Err()
}

// Whoever closes the page in the middle of a deposit has still paid and still gets it.
func TestDepositEndsAlthoughTheBrowserLeft(t *testing.T) {
	p := slowTill{charging: make(chan struct{}), proceed: make(chan struct{})}
	h := open(t, options{bonus: bonus, payments: p})
	g := h.member("en", "anna@example.org")
	form := g.open("/web/deposit").form("/web/deposit")
	form.Set("own", "30")
	ctx, leave := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, h.url+"/web/deposit", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, cookie := range g.client.Jar.Cookies(r.URL) {
		r.AddCookie(cookie)
	}
	var running sync.WaitGroup
	running.Go(func() { h.front.ServeHTTP(httptest.NewRecorder(), r) })
	<-p.charging
	leave()
	close(p.proceed)
	running.Wait()
	account, err := h.handler.Account(t.Context(), h.user("anna@example.org"))
	if err != nil || account.Available != bonus+30 {
		t.Errorf("the wallet holds %d credits (%v), want the deposit", account.Available, err)
	}
}
