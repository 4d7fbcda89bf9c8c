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
	"kassa/eventstore"
	"kassa/projections"
	"kassa/vault"
)

func TestRefusals(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	ru, en := h.client("ru"), h.member("en", "anna@example.org")
	ru.open("/web/no-such-page").is(http.StatusNotFound).shows("404", "Здесь ничего не идёт", "На главную")
	en.open("/web/no-such-page").is(http.StatusNotFound).shows("Nothing is showing here", "10 credits")
	ru.send("/web/prediction-history", nil).is(http.StatusMethodNotAllowed).shows("Так не открывается")
	en.send("/web/ask", map[string][]string{"text": {strings.Repeat("a", 70_000)}}).is(http.StatusRequestEntityTooLarge).shows("Too much text")

	broken, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/web/ask", strings.NewReader("text=%zz"))
	if err != nil {
		t.Fatal(err)
	}
	broken.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	en.do(broken).is(http.StatusBadRequest).shows("We could not read this request")
}

// Requests refused before a page's handler also get a page in the user's language.
func TestRefusalsBeforeThePages(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.client("ru")
	ask := func(method, path, accept, site string) *document {
		req, err := http.NewRequestWithContext(t.Context(), method, h.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		req.Header.Set("Sec-Fetch-Site", site)
		return g.do(req)
	}
	const browser = "text/html,application/xhtml+xml,*/*;q=0.8"
	ask("GET", "/nothing/here", browser, "none").is(http.StatusNotFound).shows("Здесь ничего не идёт", "На главную")
	ask("GET", "/website", browser, "none").is(http.StatusNotFound).shows("Здесь ничего не идёт")
	ask("POST", "/web/signin", "*/*", "cross-site").is(http.StatusForbidden).shows("Сюда нельзя")
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
		m.open(path).is(http.StatusBadRequest).shows("неизвестный фильтр").lacks("Форма")
	}
}

// A forged flash shows nothing false, and does not make the page wait for ever.
func TestForgedFlash(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("en", "anna@example.org")
	for _, value := range []string{"", "deposit", "deposit.1", "deposit.x.5", "deposit.1.x", "<script>.1.5", "deposit.1.5.6"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url+"/web", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.AddCookie(&http.Cookie{Name: "kassa_note", Value: value})
		g.do(req).is(http.StatusOK).lacks("Added", "script")
	}
}

// After every command the next page shows its effect, however far behind the views are
// when the request arrives.
func TestOwnWritesAreSeen(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	sum := bonus
	for n := range 30 {
		sum += n + 1
		page := g.open("/web/deposit").fill("/web/deposit", "own", digits(n+1))
		if got := words(find(page.root, func(n *node) bool { return attr(n, "class") == "figure level" })); !strings.HasPrefix(got, digits(sum)+" ") {
			t.Fatalf("after %d deposits the page shows %q, want %d", n+1, got, sum)
		}
	}
}

// Internal errors also have pages, which reveal nothing internal.
func TestFaults(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	form := g.open("/web/deposit").form("/web/deposit")
	h.failure.Store(errors.New("the disk is on fire"))
	g.open("/web").is(http.StatusInternalServerError).shows("500", "Касса сломалась", "дважды мы ничего не спишем").lacks("disk")
	g.send("/web/deposit", form).is(http.StatusInternalServerError)
	for _, unknown := range []error{eventstore.ErrUnknown, vault.ErrUnknown} { // not that nothing was done
		h.failure.Store(unknown)
		g.send("/web/deposit", form).is(http.StatusServiceUnavailable).shows("Неизвестно, получилось ли").lacks("Касса открывается")
	}
}

// A session may be newer than the views.
func TestViewsBehind(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("en", "anna@example.org")
	h.failure.Store(projections.ErrNotFound)
	page := g.open("/web").is(http.StatusServiceUnavailable).shows("The box office is opening")
	if after := page.header.Get("Retry-After"); after != "1" {
		t.Errorf("Retry-After is %q", after)
	}
}

func TestErased(t *testing.T) {
	h, g := signInAdmin(t, "ru")
	answer := g.open("/web").fill("/web/ask", "text", "поезд").is(http.StatusOK)
	for _, lost := range []*atomic.Bool{&h.erased, &h.damaged} { // one damaged key must not hide all other users
		lost.Store(true)
		g.open(answer.address.Path).is(http.StatusOK).shows("Текст вопроса стёрт", "Нашлось: 5 фильмов", "Спросить о другом").lacks("Уточнить вопрос", "Совпало:", "По смыслу")
		g.open("/web/prediction-history").shows("Текст вопроса стёрт")
		g.open("/web?again=" + strings.TrimPrefix(answer.address.Path, "/web/prediction/")).is(http.StatusOK)
		g.open("/web/admin").shows("адрес стёрт").lacks("vera@")
		g.open("/web/admin/user/"+string(h.env.User("vera@example.org"))).shows("адрес стёрт", "Баланс 10 кредитов")
	}
}

// What was done is not shown as failed because a later step failed: the account exists
// without a session, and the credits are there without the question.
func TestDoneAlthoughTheNextStepFails(t *testing.T) {
	payments := &failsLater{}
	h := newFixture(t, options{bonus: bonus, payments: payments})
	h.noSessions.Store(true)
	h.client("en").open("/web/signup").fill("/web/signup", "email", "anna@example.org", "password", password).
		is(http.StatusOK).at("/web/signin").shows("Welcome")
	h.noSessions.Store(false)
	g := h.client("en")
	form := g.open("/web/signin").fill("/web/signin", "email", "anna@example.org", "password", password).open("/web/deposit").form("/web/deposit")
	form.Set("text", unpackable())
	payments.fixture = h
	g.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer := g.send("/web/deposit", form).is(http.StatusSeeOther)
	if to := answer.header.Get("Location"); to != "/web/deposit" {
		t.Errorf("leads to %q", to)
	}
}

// failsLater accepts the payment, and makes the views fail from then on.
type failsLater struct {
	commands.Sandbox
	fixture *fixture
}

func (f *failsLater) Charge(context.Context, string, domain.UserID, domain.Credits) error {
	f.fixture.failure.Store(errors.New("the disk is on fire"))
	return nil
}
