package web_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"kassa/commands"
	"kassa/domain"
	"kassa/projections"
)

func TestRefusals(t *testing.T) {
	h := open(t, options{bonus: bonus})
	ru, en := h.guest("ru"), h.member("en", "anna@example.org")
	ru.open("/web/no-such-page").is(http.StatusNotFound).says("404", "Здесь ничего не идёт", "На главную")
	en.open("/web/no-such-page").is(http.StatusNotFound).says("Nothing is showing here", "10 credits")
	ru.send("/web/prediction-history", nil).is(http.StatusMethodNotAllowed).says("Так не открывается")
	en.send("/web/ask", map[string][]string{"text": {strings.Repeat("a", 70_000)}}).is(http.StatusRequestEntityTooLarge).says("Too much text")

	broken, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/web/ask", strings.NewReader("text=%zz"))
	if err != nil {
		t.Fatal(err)
	}
	broken.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	en.do(broken).is(http.StatusBadRequest).says("We cannot read this")
}

// What is refused before any page is asked has a page too, in the person's language.
func TestRefusalsBeforeThePages(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.guest("ru")
	ask := func(method, path, accept, site string) *sheet {
		req, err := http.NewRequestWithContext(t.Context(), method, h.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		req.Header.Set("Sec-Fetch-Site", site)
		return g.do(req)
	}
	const browser = "text/html,application/xhtml+xml,*/*;q=0.8"
	ask("GET", "/nothing/here", browser, "none").is(http.StatusNotFound).says("Здесь ничего не идёт", "На главную")
	ask("GET", "/website", browser, "none").is(http.StatusNotFound).says("Здесь ничего не идёт")
	ask("POST", "/web/signin", "*/*", "cross-site").is(http.StatusForbidden).says("Сюда нельзя")
	ask("GET", "/web/prediction-history", browser, "none").is(http.StatusOK)
	for _, path := range []string{"/api/nothing", "/nothing"} {
		if got := ask("GET", path, "application/json", "none").is(http.StatusNotFound).header.Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("a program that asks for %s gets %s", path, got)
		}
	}
	if icon := ask("GET", "/favicon.ico", "image/*", "none").is(http.StatusOK).header.Get("Content-Type"); icon != "image/png" {
		t.Errorf("the icon is %s", icon)
	}
	m := h.member("ru", "anna@example.org")
	for _, path := range []string{"/web/transaction-history?cursor=x", "/web/prediction-history?status=x", "/web/transaction-history?type=x"} {
		m.open(path).is(http.StatusBadRequest).says("В этом адресе что-то нам не знакомо").silent("Форма")
	}
}

// A note that was forged says nothing that is not there, and keeps nobody waiting for ever.
func TestForgedNotes(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.member("en", "anna@example.org")
	for _, value := range []string{"", "deposit", "deposit.1", "deposit.x.5", "deposit.1.x", "<script>.1.5", "deposit.1.5.6"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url+"/web", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.AddCookie(&http.Cookie{Name: "kassa_note", Value: value})
		g.do(req).is(http.StatusOK).silent("Added", "script")
	}
}

// After every command the next page shows it, however far behind the views are when
// the browser comes: the test's views follow the log by themselves.
func TestOwnWritesAreSeen(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	sum := bonus
	for n := range 30 {
		sum += n + 1
		page := g.open("/web/deposit").fill("/web/deposit", "own", digits(n+1))
		if got := words(find(page.root, func(n *node) bool { return attr(n, "class") == "figure level" })); !strings.HasPrefix(got, digits(sum)+" ") {
			t.Fatalf("after %d deposits the page says %q, want %d", n+1, got, sum)
		}
	}
}

// Our own faults have pages too, and tell nothing of their inside.
func TestFaults(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	form := g.open("/web/deposit").form("/web/deposit")
	h.failure.Store(errors.New("the disk is on fire"))
	g.open("/web").is(http.StatusInternalServerError).says("500", "Касса сломалась", "повтор ничего не спишет дважды").silent("disk")
	g.send("/web/deposit", form).is(http.StatusInternalServerError)
}

// A session may be older than what the views have read so far.
func TestViewsBehind(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.member("en", "anna@example.org")
	h.failure.Store(projections.ErrNotFound)
	page := g.open("/web").is(http.StatusServiceUnavailable).says("The box office is opening")
	if after := page.header.Get("Retry-After"); after != "1" {
		t.Errorf("Retry-After is %q", after)
	}
}

func TestErased(t *testing.T) {
	h, g := boss(t, "ru")
	answer := g.open("/web").fill("/web/ask", "text", "поезд").is(http.StatusOK)
	for _, lost := range []*atomic.Bool{&h.erased, &h.damaged} { // one damaged key must not hide everybody else
		lost.Store(true)
		g.open(answer.address.Path).is(http.StatusOK).says("Текст вопроса стёрт", "Нашлось: 5 фильмов", "по смыслу", "Спросить о другом").silent("Уточнить вопрос")
		g.open("/web/prediction-history").says("Текст вопроса стёрт")
		g.open("/web?again=" + strings.TrimPrefix(answer.address.Path, "/web/prediction/")).is(http.StatusOK)
		g.open("/web/admin").says("адрес стёрт").silent("vera@")
		g.open("/web/admin/user/"+string(h.user("vera@example.org"))).says("адрес стёрт", "Баланс 10 кредитов")
	}
}

// What was done is not shown as a fault because something behind it failed: the
// wallet is open without a session, and the credits are there without the question.
func TestDoneAlthoughTheNextStepFails(t *testing.T) {
	payments := &failsLater{}
	h := open(t, options{bonus: bonus, payments: payments})
	h.locked.Store(true)
	h.guest("en").open("/web/signup").fill("/web/signup", "email", "anna@example.org", "password", password).
		is(http.StatusOK).at("/web/signin").says("Welcome")
	h.locked.Store(false)
	g := h.guest("en")
	form := g.open("/web/signin").fill("/web/signin", "email", "anna@example.org", "password", password).open("/web/deposit").form("/web/deposit")
	form.Set("text", unpackable())
	payments.house = h
	g.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer := g.send("/web/deposit", form).is(http.StatusSeeOther)
	if to := answer.header.Get("Location"); to != "/web/deposit" {
		t.Errorf("leads to %q", to)
	}
}

// failsLater takes the money, and from then on the house's views fail.
type failsLater struct {
	commands.Sandbox
	house *house
}

func (f *failsLater) Charge(context.Context, string, domain.UserID, domain.Credits) error {
	f.house.failure.Store(errors.New("the disk is on fire"))
	return nil
}
