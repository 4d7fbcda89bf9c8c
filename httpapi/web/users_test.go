package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/domain"
	"kassa/httpapi/identity"
)

func TestWelcome(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	ru := h.client("ru-RU,ru").open("/web").is(http.StatusOK)
	ru.shows("Фильм по вашему описанию", "5 кредитов за один ответ", "10 кредитов в подарок", fmt.Sprintf("В каталоге %d фильм", films.Len()), "Завести кошелёк", "Войти")
	en := h.client("en").open("/web").is(http.StatusOK)
	en.shows("Films in your own words", "5 credits per answer", "10 credits as a welcome gift", fmt.Sprintf("%d films in the catalogue", films.Len()), "Open a wallet", "Sign in")
	if got := ru.header.Get("Content-Language") + " " + en.header.Get("Content-Language") + " " + attr(ru.root.LastChild, "lang"); got != "ru en ru" {
		t.Errorf("languages of the pages are %q", got)
	}
	if got := ru.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("pages are cached: %q", got)
	}
	h.client("en").open("/web/").is(http.StatusOK).at("/web")
}

func TestNoBonus(t *testing.T) {
	h := newFixture(t, options{})
	h.client("en").open("/web").lacks("gift")
	h.client("en").open("/web/signup").lacks("right away")
	g := h.client("ru")
	g.open("/web/signup").fill("/web/signup", "email", "anna@example.org", "password", password).
		at("/web").shows("Кошелёк открыт.", "0 кредитов", "Не хватает кредитов")
}

func TestStaticFiles(t *testing.T) {
	h := newFixture(t, options{})
	front := h.client("en").open("/web")
	for name, media := range map[string]string{"base.css": "text/css; charset=utf-8", "pages.css": "text/css; charset=utf-8",
		"kassa.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		link := find(front.root, func(n *node) bool {
			return strings.HasSuffix(attr(n, "href"), name) || strings.HasSuffix(attr(n, "src"), name)
		})
		if link == nil {
			t.Fatalf("the page does not load %s", name)
		}
		address := attr(link, "href") + attr(link, "src")
		file := front.open(address).is(http.StatusOK)
		if file.header.Get("Content-Type") != media {
			t.Errorf("%s is %s", name, file.header.Get("Content-Type"))
		}
		front.open(address, "If-None-Match", file.header.Get("ETag")).is(http.StatusNotModified)
		if !strings.Contains(file.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s is asked for again and again: %q", name, file.header.Get("Cache-Control"))
		}
	}
	old := front.open("/web/static/0123456789ab/base.css").is(http.StatusOK)
	if old.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("a file under an old name is kept: %q", old.header.Get("Cache-Control"))
	}
	front.open("/web/static/0123456789ab/nothing.css").is(http.StatusNotFound)
	icon := front.open("/favicon.ico").is(http.StatusOK)
	front.open("/favicon.ico", "If-None-Match", icon.header.Get("ETag")).is(http.StatusNotModified)
}

func TestSignUp(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.client("ru")
	refused := g.open("/web/signup").shows("Сразу положим в кошелёк 10 кредитов").
		fill("/web/signup", "email", "анна", "password", password).is(http.StatusOK)
	refused.shows("Это не похоже на адрес электронной почты")
	if refused.value("email") != "анна" || refused.value("password") != "" {
		t.Errorf("the form comes back with %q and the password %q", refused.value("email"), refused.value("password"))
	}
	refused.fill("/web/signup", "email", "anna@example.org", "password", "password").
		is(http.StatusOK).shows("Нужно от 8 до 128 знаков")
	home := g.open("/web/signup").fill("/web/signup", "email", " Anna@Example.org ", "password", password)
	home.is(http.StatusOK).at("/web").shows("Кошелёк открыт. В нём уже 10 кредитов.", "anna@example.org", "Что посмотрим?")
	g.open("/web").lacks("Кошелёк открыт")
	g.open("/web/signup").at("/web")
	g.open("/web/signin").at("/web")

	h.client("en").open("/web/signup").fill("/web/signup", "email", "anna@example.org", "password", password).
		is(http.StatusOK).shows("This address already has a wallet.")
}

// A signed-in user cannot create another account. A sign-up is counted by its address,
// also a refused one.
func TestSignUpOfAMember(t *testing.T) {
	h := newFixture(t, options{bonus: bonus, limits: identity.Limits{SignUpIP: identity.Rate{Burst: 2, Every: time.Hour}}})
	form := h.client("en").open("/web/signup").form("/web/signup")
	form.Set("password", password)
	member := h.member("en", "anna@example.org")
	for i := range 20 {
		form.Set("email", fmt.Sprintf("anna+%d@example.org", i))
		form.Set("idempotency_key", fmt.Sprint("key", i))
		member.send("/web/signup", form).is(http.StatusOK).at("/web").shows("anna@example.org")
		if _, err := h.handler.FindUser(t.Context(), form.Get("email")); domain.RefusalIn(err) == nil {
			t.Fatalf("a member has opened account %d: %v", i, err)
		}
	}
	stranger := h.client("en")
	stranger.send("/web/signup", form).is(http.StatusOK).shows("Your wallet is open")
	form.Set("email", "bob@example.org")
	h.client("en").send("/web/signup", form).is(http.StatusOK).shows("Too many attempts")
}

// With https every cookie is Secure.
func TestEveryCookieIsSecure(t *testing.T) {
	for _, secure := range []bool{true, false} {
		h := newFixture(t, options{bonus: bonus, secure: secure})
		person := url.Values{"email": {"anna@example.org"}, "password": {password}, "idempotency_key": {"first"}}
		seen := map[string]bool{}
		send := func(method, path string, form url.Values) {
			r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			answer := httptest.NewRecorder()
			h.httpHandler.ServeHTTP(answer, r)
			for _, c := range answer.Result().Cookies() {
				seen[strings.TrimPrefix(c.Name, "__Host-")] = true
				if c.Secure != secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
					t.Errorf("%s %s sets %s", method, path, c)
				}
			}
		}
		send("POST", "/web/signup", person)
		send("POST", "/web/signin", person)
		send("POST", "/web/signout", nil)
		send("POST", "/web/lang", url.Values{"to": {"ru"}, "back": {"/web"}})
		if !seen["kassa_session"] || !seen["kassa_note"] || !seen["kassa_lang"] {
			t.Errorf("the cookies that were set are %v", seen)
		}
	}
}

// Knowing the key of another user's sign-up does not sign in.
func TestSignUpAgainAsksForThePassword(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.client("en")
	form := g.open("/web/signup").form("/web/signup")
	form.Set("email", "anna@example.org")
	form.Set("password", password)
	g.send("/web/signup", form).at("/web").shows("Your wallet is open")
	h.client("en").send("/web/signup", form).at("/web").shows("Your wallet is open, with 10 credits")
	form.Set("password", "another password that is long")
	stranger := h.client("en")
	stranger.send("/web/signup", form).is(http.StatusOK).shows("already sent with different content")
	stranger.open("/web").shows("Open a wallet")
}

func TestSignIn(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	h.member("ru", "anna@example.org")
	g := h.client("ru")
	page := g.open("/web/prediction-history?status=held").at("/web/signin").is(http.StatusOK).shows("С возвращением")
	page = page.fill("/web/signin", "email", "anna@example.org", "password", "не тот пароль").is(http.StatusOK)
	page.shows("Неверная почта или пароль.")
	if page.value("email") != "anna@example.org" || page.value("password") != "" {
		t.Errorf("the form comes back with %q and the password %q", page.value("email"), page.value("password"))
	}
	page = page.fill("/web/signin", "email", "anna@example.org", "password", password).at("/web/prediction-history")
	if page.address.RawQuery != "status=held" {
		t.Errorf("the way back lost %q", page.address.RawQuery)
	}
	page.fill("/web/signout").at("/web").shows("Вы вышли.", "Завести кошелёк")
	g.open("/web/deposit").at("/web/signin")

	g.open("/web/signin?back=https://evil.example/").
		fill("/web/signin", "email", "anna@example.org", "password", password).at("/web")
}

// Every page for users redirects anonymous visitors to the sign-in, and runs no
// command.
func TestStrangers(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	for _, path := range []string{"/web/prediction/p_1", "/web/prediction-history", "/web/transaction-history", "/web/deposit", "/web/admin", "/web/admin/user/u_1"} {
		h.client("en").open(path).at("/web/signin")
	}
	for _, path := range []string{"/web/ask", "/web/deposit", "/web/withdraw", "/web/admin", "/web/admin/user/u_1/adjust"} {
		h.client("en").send(path, map[string][]string{"amount": {"5"}, "text": {"a film"}, "idempotency_key": {"k"}}).at("/web/signin")
	}
}

func TestTooOften(t *testing.T) {
	h := newFixture(t, options{bonus: bonus, limits: identity.Limits{
		SignInEmail: identity.Rate{Burst: 1, Every: time.Hour}, SignUpIP: identity.Rate{Burst: 1, Every: time.Hour},
		Command: identity.Rate{Burst: 1, Every: time.Hour}}})
	g := h.member("ru", "anna@example.org")
	again := h.client("ru").open("/web/signup").fill("/web/signup", "email", "vera@example.org", "password", password)
	again.is(http.StatusOK).shows("Слишком много попыток. Подождите минуту")
	if again.value("email") != "vera@example.org" {
		t.Errorf("the e-mail comes back as %q", again.value("email"))
	}
	wrong := h.client("en").open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", "not hers").is(http.StatusOK)
	wrong.fill("/web/signin", "email", "vera@example.org", "password", "not hers").is(http.StatusOK).shows("Too many attempts.")

	g.open("/web/deposit").fill("/web/deposit").is(http.StatusOK)
	asked := g.open("/web").fill("/web/ask", "text", "фильм про поезд").is(http.StatusOK)
	asked.shows("Слишком много попыток.")
	if asked.value("text") != "фильм про поезд" {
		t.Errorf("the question is lost: %q", asked.value("text"))
	}
}

func TestLanguageSwitch(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	g.open("/web/transaction-history?type=bonus").fill("/web/lang", ":to", "en").
		at("/web/transaction-history").shows("Transactions", "Gift").lacks("Операции")
	g.open("/web").shows("What shall we watch?").fill("/web/lang", ":to", "ru").at("/web").shows("Что посмотрим?")
	g.open("/web/lang?to=en&back=/web/deposit").at("/web/deposit").shows("Withdraw")
	g.open("/web/lang?to=en&back=//evil.example").at("/web")
	g.open("/web/lang?to=de").is(http.StatusBadRequest)
	refused := g.open("/web").fill("/web/ask", "text", "?!").is(http.StatusOK)
	refused.fill("/web/lang", ":to", "ru").at("/web").is(http.StatusOK).shows("Что посмотрим?")
}

// After a double click both answers lead to the same page, and one account exists.
func TestSignUpTwiceAtOnce(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.client("en")
	form := g.open("/web/signup").form("/web/signup")
	form.Set("email", "anna@example.org")
	form.Set("password", password)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { h.client("en").send("/web/signup", form).is(http.StatusOK).at("/web") })
	}
	all.Wait()
	if available, _ := h.balance("anna@example.org"); available != bonus {
		t.Errorf("there are %d credits", available)
	}
}
