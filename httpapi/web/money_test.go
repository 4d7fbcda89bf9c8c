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
	h := newFixture(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	page := g.open("/web/deposit").shows("10 кредитов", "Это песочница", "на 10 ответов", "В том числе подарочных: 10.", "Выводить пока нечего.")
	page = page.fill("/web/deposit").at("/web/deposit").shows("Зачислено: 50 кредитов.", "60 кредитов")
	page = page.fill("/web/deposit", "own", "1 000").shows("Зачислено: 1000 кредитов.", "1060 кредитов")
	for _, typed := range []string{"-5", "0", "сто", "1000001", "5.5"} {
		refused := page.fill("/web/deposit", "own", typed).is(http.StatusOK).shows("Сумма — целое число от 1 до 1 000 000.")
		if refused.value("own") != typed {
			t.Errorf("%q comes back as %q", typed, refused.value("own"))
		}
	}
	check := page.fill("/web/withdraw", "withdraw", "60").at("/web/withdraw").shows("Проверьте перед выводом", "Сейчас 1060", "Станет 1000", "Можно вывести 990", "настоящие деньги не выплачиваются")
	if available, _ := h.balance("anna@example.org"); available != 1060 {
		t.Errorf("the check has moved credits: %d are there", available)
	}
	back := check.fill("/web/withdraw", ":edit", "yes").at("/web/deposit").lacks("Выведено")
	if back.value("withdraw") != "60" {
		t.Errorf("what was typed is lost: %q", back.value("withdraw"))
	}
	page = back.fill("/web/withdraw").fill("/web/withdraw", ":confirm", "yes").at("/web/deposit").shows("Выведено: 60 кредитов.", "1000 кредитов", "Можно вывести до 990 кредитов")
	g.open("/web/withdraw").at("/web/deposit") // nothing is left to check
	refused := page.fill("/web/withdraw", "withdraw", "991").is(http.StatusOK).shows("Это больше, чем доступно: 990 кредитов.")
	if refused.value("withdraw") != "991" {
		t.Errorf("what was typed is lost: %q", refused.value("withdraw"))
	}
	g.open("/web/lang?to=en&back=/web/deposit").shows("This is a sandbox", "Including gift credits: 10. They are spent first", "You can withdraw up to 990 credits.")
	g.open("/web/withdraw").at("/web/deposit")
}

func TestEmptyWallet(t *testing.T) {
	h := newFixture(t, options{})
	g := h.member("ru", "anna@example.org")
	g.open("/web/deposit").shows("Выводить пока нечего.")
	g.open("/web/transaction-history").shows("Движений по кошельку пока нет.")
	g.open("/web/transaction-history?type=deposit").shows("Таких операций нет.")
	g.open("/web/prediction-history").shows("Вопросов пока нет.")
	g.open("/web/prediction-history?status=held").shows("Таких вопросов нет.")
}

func TestDepositTwice(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	form := g.open("/web/deposit").form("/web/deposit")
	for range 3 {
		g.send("/web/deposit", form).is(http.StatusOK).at("/web/deposit").shows("Зачислено: 50 кредитов.")
	}
	page := g.open("/web/deposit")
	out := page.form("/web/withdraw")
	out.Set("withdraw", "50") // the whole withdrawable balance: a second withdrawal would be refused
	for range 2 {
		page = g.send("/web/withdraw", out).is(http.StatusOK).at("/web/withdraw")
	}
	out = page.form("/web/withdraw")
	out.Set("confirm", "yes")
	for range 3 {
		g.send("/web/withdraw", out).is(http.StatusOK).shows("Выведено: 50 кредитов.", "Выводить пока нечего.")
	}
	out.Set("idempotency_key", "another")
	g.send("/web/withdraw", out).is(http.StatusOK).shows("Это больше, чем доступно: 0 кредитов.")
	if available, _ := h.balance("anna@example.org"); available != bonus {
		t.Errorf("there are %d credits", available)
	}
}

// rows are the cells of the page's table, by row.
func (s *document) rows() [][]string {
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
	h := newFixture(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	g.open("/web").fill("/web/ask", "text", "ъъъъ щщщщ")
	h.answered(h.env.User("anna@example.org"))
	g.open("/web").fill("/web/ask", "text", "поезд "+unansweredWord)
	h.clockAhead.Add(int64(3 * time.Minute))
	h.ended(h.handler.Expire(t.Context(), h.ending(h.env.User("anna@example.org"))))
	g.open("/web").fill("/web/ask", "text", "поезд")
	h.answered(h.env.User("anna@example.org"))
	g.open("/web").fill("/web/ask", "text", "поезд "+unansweredWord)
	r, err := h.handler.Adjust(t.Context(), commands.Adjust{Admin: h.colleague(), User: h.env.User("anna@example.org"),
		Correction: domain.Correction{Amount: 12, Reason: "за терпение", Reference: "письмо 7"}})
	h.ended(r.Position, err)

	want := [][3]string{ // what, amount, balance after
		{"Корректировка администратором В том числе подарочных: 12 Причина: за терпение Основание: письмо 7", "+12", "Баланс 12"},
		{"Плата за ответ В резерве, ищем ответ В том числе подарочных: 5 поезд терпение", "−5", "Баланс 0"},
		{"Плата за ответ Оплачено В том числе подарочных: 5 поезд", "−5", "Баланс 5"},
		{"Возврат за ответ Не успели найти ответ В том числе подарочных: 5 поезд терпение", "+5", "Баланс 10"},
		{"Плата за ответ Не успели найти ответ, кредиты вернулись В том числе подарочных: 5 поезд терпение", "−5", "Баланс 5"},
		{"Возврат за ответ Ответа нет В том числе подарочных: 5 ъъъъ щщщщ", "+5", "Баланс 10"},
		{"Плата за ответ Ответа нет, кредиты вернулись В том числе подарочных: 5 ъъъъ щщщщ", "−5", "Баланс 5"},
		{"Подарок", "+10", "Баланс 10"},
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
	g.open("/web/transaction-history").follow("поезд терпение").shows("Ищем фильмы")
	g.open("/web/lang?to=en&back=/web/transaction-history").
		shows("Refund for an answer No answer in time", "No answer, credits returned", "Reason: за терпение", "Reference: письмо 7")
	g.open("/web/transaction-history?type=lottery").is(http.StatusBadRequest)
	g.open("/web/transaction-history?cursor=nonsense").is(http.StatusBadRequest)
}

func TestPages(t *testing.T) {
	h := newFixture(t, options{bonus: 1000})
	g := h.member("en", "anna@example.org")
	u := h.env.User("anna@example.org")
	for n := range 45 {
		r, err := h.handler.Deposit(t.Context(), commands.Move{User: u, Amount: domain.Credits(n + 1)})
		h.ended(r.Position, err)
	}
	page := g.open("/web/transaction-history?type=deposit").lacks("Back to newest", "Newer").shows("1 to 20 of 45")
	seen := page.rows()
	for _, count := range []string{"21 to 40 of 45", "41 to 45 of 45"} {
		page = page.follow("Older").is(http.StatusOK).shows(count)
		seen = append(seen, page.rows()...)
	}
	middle := page.follow("Newer").is(http.StatusOK).shows("21 to 40 of 45")
	if rows := middle.rows(); len(rows) != 20 || rows[0][2] != seen[20][2] {
		t.Errorf("back from the last page are %v", rows)
	}
	if first := middle.follow("Newer").lacks("Newer", "Back to newest").shows("1 to 20 of 45"); first.address.RawQuery != "type=deposit" {
		t.Errorf("back at the first page the address is %s", first.address)
	}
	if len(seen) != 45 || seen[0][2] != "+45" || seen[44][2] != "+1" {
		t.Errorf("three pages have %d lines, from %v to %v", len(seen), seen[0], seen[len(seen)-1])
	}
	page.lacks("Older").follow("Back to newest").lacks("Back to newest")
}

func TestQuestions(t *testing.T) {
	h := newFixture(t, options{bonus: 1000})
	g := h.member("ru", "anna@example.org")
	for range 22 {
		g.open("/web").fill("/web/ask", "text", "поезд").is(http.StatusOK)
	}
	g.open("/web").fill("/web/ask", "text", "ъъъъ щщщщ")
	all := g.open("/web/prediction-history").shows("Нет ответа", "бесплатно", "Есть ответ", "5 кредитов")
	all.follow("Более ранние").shows("поезд").lacks("ъъъъ").follow("К самым новым").shows("ъъъъ")
	failed := g.open("/web/prediction-history?status=released").shows("ъъъъ").lacks("поезд")
	if chosen := find(failed.root, func(n *node) bool { return attr(n, "aria-current") == "true" }); words(chosen) != "Нет ответа" {
		t.Errorf("the filter that is chosen is %q", words(chosen))
	}
	found := g.open("/web/prediction-history?status=captured").lacks("ъъъъ").follow("Более ранние")
	if found.address.Query().Get("status") != "captured" {
		t.Errorf("the second page lost the filter: %s", found.address)
	}
	g.open("/web/prediction-history?status=lost").is(http.StatusBadRequest)
	g.open("/web/prediction-history?cursor=nonsense").is(http.StatusBadRequest)
}

// slowPayments accepts a payment when the test allows it, unless the client has left.
type slowPayments struct {
	commands.Sandbox
	charging, proceed chan struct{}
}

func (p slowPayments) Charge(ctx context.Context, _ string, _ domain.UserID, _ domain.Credits) error {
	p.charging <- struct{}{}
	<-p.proceed
	return ctx.Err()
}

// If the browser leaves during a deposit, the deposit is completed.
func TestDepositEndsAlthoughTheBrowserLeft(t *testing.T) {
	p := slowPayments{charging: make(chan struct{}), proceed: make(chan struct{})}
	h := newFixture(t, options{bonus: bonus, payments: p})
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
	running.Go(func() { h.httpHandler.ServeHTTP(httptest.NewRecorder(), r) })
	<-p.charging
	leave()
	close(p.proceed)
	running.Wait()
	account, err := h.handler.Account(t.Context(), h.env.User("anna@example.org"))
	if err != nil || account.Available != bonus+30 {
		t.Errorf("the wallet holds %d credits (%v), want the deposit", account.Available, err)
	}
}

// What a credit costs is shown where credits are bought, spent and paid back, as soon as the
// log has a price of a credit, and written as the language writes money.
func TestPricesInMoney(t *testing.T) {
	none := newFixture(t, options{bonus: bonus})
	none.client("ru").open("/web").lacks("Один кредит стоит")
	none.member("ru", "anna@example.org").open("/web/deposit").lacks("₽")
	h := newFixture(t, options{bonus: bonus})
	at, err := h.handler.SetPrice(t.Context(), domain.PriceSet{Price: price, Currency: "RUB", CreditPrice: 150})
	h.ended(at, err)
	if _, _, err := h.handler.Prices(t.Context(), true); err != nil { // else the one from memory is shown for a second
		t.Fatal(err)
	}
	g := h.member("ru", "anna@example.org")
	h.client("ru").open("/web").shows("Один кредит стоит 1,50 ₽, а ответ — 7,50 ₽.")
	g.open("/web").shows("В деньгах ответ стоит 7,50 ₽.")
	page := g.open("/web/deposit").shows("Один кредит стоит 1,50 ₽", "на 100 ответов 750,00 ₽")
	page.fill("/web/deposit", "own", "1000").fill("/web/withdraw", "withdraw", "1000").shows("По сегодняшней цене кредита это 1500,00 ₽.")
	g.open("/web/lang?to=en&back=/web/withdraw").shows("At today's price of a credit that is 1500.00 ₽.")
}

// A balance for few answers is noted, with a way to top up; none for what is enough, and a
// balance for no answer has its own form.
func TestLowBalance(t *testing.T) {
	h := newFixture(t, options{bonus: 2*price + 1})
	g := h.member("en", "anna@example.org")
	g.open("/web").shows("Your balance is enough for 2 answers.").follow("Top up the wallet").at("/web/deposit").shows("Your balance is enough for 2 answers.")
	for range 2 {
		g.open("/web").fill("/web/ask", "text", "a train")
	}
	g.open("/web").lacks("Your balance is enough for").shows("Not enough credits")
	h.pay("anna@example.org", 3*price)
	g.open("/web").lacks("Your balance is enough for")
}

// Transactions of some days are listed and counted, and lead to their statement; days that are none
// are refused beside the form.
func TestTransactionsOfSomeDays(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	h.clockAhead.Store(int64(-50 * 24 * time.Hour))
	h.member("en", "anna@example.org")
	signedUp := h.now().UTC()
	h.clockAhead.Store(int64(-10 * 24 * time.Hour))
	g := h.client("en")
	g.open("/web/signin").fill("/web/signin", "email", "anna@example.org", "password", password)
	h.pay("anna@example.org", 40)
	paid := h.now().UTC()
	day := func(at time.Time) string { return at.Format(time.DateOnly) }
	list := g.open("/web/transaction-history").shows("1 to 2 of 2")
	some := list.fill("/web/transaction-history", "from", day(paid.AddDate(0, 0, -5)), "to", day(paid.AddDate(0, 0, 1))).at("/web/transaction-history").shows("1 to 1 of 1", "Deposit")
	if rows := some.rows(); len(rows) != 1 || rows[0][2] != "+40" || some.value("from") != day(paid.AddDate(0, 0, -5)) {
		t.Errorf("of some days there are %v", rows)
	}
	some.follow("Statement to print").shows("At the beginning Including gift credits: 10 10", "Deposits and gifts +40", "At the end Including gift credits: 10 50")
	some.follow("Gift").shows("No matching transactions.").follow("all days").shows("1 to 2 of 2")
	if first := list.fill("/web/transaction-history", "to", day(signedUp.AddDate(0, 0, 1))).rows(); len(first) != 1 || first[0][2] != "+10" {
		t.Errorf("up to the second day there are %v", first)
	}
	list.fill("/web/transaction-history", "from", day(paid.AddDate(0, 0, 1)), "to", day(paid)).is(http.StatusOK).shows("Choose two days", "1 to 2 of 2")
	if wrong := list.fill("/web/transaction-history", "from", "2026-03-02", "to", "2026-03-01"); wrong.value("from") != "2026-03-02" || wrong.form("/web/transaction-history").Get("to") != "2026-03-01" {
		t.Errorf("what was typed is lost: %v", wrong.form("/web/transaction-history"))
	}
	list.fill("/web/transaction-history").at("/web/transaction-history").shows("1 to 2 of 2")
	g.open("/web/transaction-history?from=2026-01-01").is(http.StatusBadRequest)
	g.open("/web/transaction-history?from=x&to=y").is(http.StatusBadRequest)
}

// One's own questions are searched by all words, whatever their case; the words are in no address,
// and the page says how far was searched.
func TestSearch(t *testing.T) {
	h := newFixture(t, options{bonus: 1000})
	g := h.member("ru", "anna@example.org")
	g.open("/web/prediction-history").lacks("Слова из вопроса") // nothing to search yet
	for _, text := range []string{"Поезд в снегу", "Ёжик в тумане", "поезд ночью"} {
		g.open("/web").fill("/web/ask", "text", text)
	}
	other := h.member("ru", "boris@example.org")
	other.open("/web").fill("/web/ask", "text", "поезд Бориса")
	search := func(words string) *document {
		t.Helper()
		return g.open("/web/prediction-history").fill("/web/prediction-history/search", "words", words).is(http.StatusOK).at("/web/prediction-history/search")
	}
	page := search("ПОЕЗД").shows("Найдено: 2 вопроса.", "Просмотрены все ваши вопросы.", "Поезд в снегу", "поезд ночью").lacks("Ёжик", "Бориса")
	if page.address.RawQuery != "" || page.value("words") != "ПОЕЗД" {
		t.Errorf("the search is at %s for %q", page.address, page.value("words"))
	}
	search("снег поезд").shows("Найдено: 1 вопрос.", "Поезд в снегу")
	search("ежик").shows("Ёжик в тумане")
	search("верблюд").shows("Вопроса со всеми этими словами нет.")
	g.open("/web/prediction-history/search").shows("Найдено: 0 вопросов.") // a reload
	g.open("/web/prediction-history").fill("/web/prediction-history/search", "words", " ").at("/web/prediction-history")
	h.erased.Store(true) // of what is erased nothing is found
	search("поезд").shows("Найдено: 0 вопросов.")
	h.client("ru").open("/web/prediction-history/search").at("/web/signin")
}
