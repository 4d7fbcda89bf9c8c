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
	h := open(t, options{bonus: bonus})
	ru := h.guest("ru-RU,ru").open("/web").is(http.StatusOK)
	ru.says("Фильм по вашим словам", "5 кредитов за один ответ", "10 кредитов в подарок", "В каталоге 172 фильма", "Завести кошелёк", "Войти")
	en := h.guest("en").open("/web").is(http.StatusOK)
	en.says("Films, in your words", "5 credits for one answer", "10 credits as a welcome gift", "172 films in the catalogue", "Open a wallet", "Sign in")
	if got := ru.header.Get("Content-Language") + " " + en.header.Get("Content-Language") + " " + attr(ru.root.LastChild, "lang"); got != "ru en ru" {
		t.Errorf("languages of the pages are %q", got)
	}
	if got := ru.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("pages are cached: %q", got)
	}
	h.guest("en").open("/web/").is(http.StatusOK).at("/web")
}

func TestNoBonus(t *testing.T) {
	h := open(t, options{})
	h.guest("en").open("/web").silent("gift")
	h.guest("en").open("/web/signup").silent("We put")
	g := h.guest("ru")
	g.open("/web/signup").fill("/web/signup", "email", "anna@example.org", "password", password).
		at("/web").says("Кошелёк открыт.", "0 кредитов", "Кредитов не хватает")
}

func TestStaticFiles(t *testing.T) {
	h := open(t, options{})
	front := h.guest("en").open("/web")
	for _, name := range []string{"base.css", "pages.css", "kassa.js", "icon.svg"} {
		link := find(front.root, func(n *node) bool {
			return strings.HasSuffix(attr(n, "href"), name) || strings.HasSuffix(attr(n, "src"), name)
		})
		if link == nil {
			t.Fatalf("the page does not load %s", name)
		}
		file := front.open(attr(link, "href") + attr(link, "src")).is(http.StatusOK)
		if !strings.Contains(file.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s is asked for again and again: %q", name, file.header.Get("Cache-Control"))
		}
	}
	old := front.open("/web/static/0123456789ab/base.css").is(http.StatusOK)
	if old.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("a file under an old name is kept: %q", old.header.Get("Cache-Control"))
	}
	front.open("/web/static/0123456789ab/nothing.css").is(http.StatusNotFound)
}

func TestSignUp(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.guest("ru")
	refused := g.open("/web/signup").says("Сразу положим в кошелёк 10 кредитов").
		fill("/web/signup", "email", "анна", "password", password).is(http.StatusOK)
	refused.says("Это не похоже на адрес почты")
	if refused.value("email") != "анна" || refused.value("password") != "" {
		t.Errorf("the form comes back with %q and the password %q", refused.value("email"), refused.value("password"))
	}
	refused.fill("/web/signup", "email", "anna@example.org", "password", "password").
		is(http.StatusOK).says("Нужно от 8 до 128 знаков")
	home := g.open("/web/signup").fill("/web/signup", "email", " Anna@Example.org ", "password", password)
	home.is(http.StatusOK).at("/web").says("Кошелёк открыт. В нём уже 10 кредитов.", "anna@example.org", "Что посмотрим?")
	g.open("/web").silent("Кошелёк открыт")
	g.open("/web/signup").at("/web")
	g.open("/web/signin").at("/web")

	h.guest("en").open("/web/signup").fill("/web/signup", "email", "anna@example.org", "password", password).
		is(http.StatusOK).says("This address has a wallet already.")
}

// Who is signed in has an account and opens no other, and a sign-up is counted by its
// address whoever asks.
func TestSignUpOfAMember(t *testing.T) {
	h := open(t, options{bonus: bonus, limits: identity.Limits{SignUpIP: identity.Rate{Burst: 2, Every: time.Hour}}})
	form := h.guest("en").open("/web/signup").form("/web/signup")
	form.Set("password", password)
	member := h.member("en", "anna@example.org")
	for i := range 20 {
		form.Set("email", fmt.Sprintf("anna+%d@example.org", i))
		form.Set("idempotency_key", fmt.Sprint("key", i))
		member.send("/web/signup", form).is(http.StatusOK).at("/web").says("anna@example.org")
		if _, err := h.handler.FindUser(t.Context(), form.Get("email")); domain.RefusalIn(err) == nil {
			t.Fatalf("a member has opened account %d: %v", i, err)
		}
	}
	stranger := h.guest("en")
	stranger.send("/web/signup", form).is(http.StatusOK).says("Your wallet is open")
	form.Set("email", "bob@example.org")
	h.guest("en").send("/web/signup", form).is(http.StatusOK).says("often")
}

// Behind https no cookie travels without it.
func TestEveryCookieIsSecure(t *testing.T) {
	for _, secure := range []bool{true, false} {
		h := open(t, options{bonus: bonus, secure: secure})
		person := url.Values{"email": {"anna@example.org"}, "password": {password}, "idempotency_key": {"first"}}
		seen := map[string]bool{}
		send := func(method, path string, form url.Values) {
			r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			answer := httptest.NewRecorder()
			h.front.ServeHTTP(answer, r)
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

// A sign-up whose key is known to somebody else does not sign them in.
func TestSignUpAgainAsksForThePassword(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.guest("en")
	form := g.open("/web/signup").form("/web/signup")
	form.Set("email", "anna@example.org")
	form.Set("password", password)
	g.send("/web/signup", form).at("/web").says("Your wallet is open")
	h.guest("en").send("/web/signup", form).at("/web").says("Your wallet is open, with 10 credits")
	form.Set("password", "another password that is long")
	stranger := h.guest("en")
	stranger.send("/web/signup", form).is(http.StatusOK).says("sent before with other content")
	stranger.open("/web").says("Open a wallet")
}

func TestSignIn(t *testing.T) {
	h := open(t, options{bonus: bonus})
	h.member("ru", "anna@example.org")
	g := h.guest("ru")
	page := g.open("/web/prediction-history?status=held").at("/web/signin").is(http.StatusOK).says("С возвращением")
	page = page.fill("/web/signin", "email", "anna@example.org", "password", "не тот пароль").is(http.StatusOK)
	page.says("Почта или пароль не подходят.")
	if page.value("email") != "anna@example.org" || page.value("password") != "" {
		t.Errorf("the form comes back with %q and the password %q", page.value("email"), page.value("password"))
	}
	page = page.fill("/web/signin", "email", "anna@example.org", "password", password).at("/web/prediction-history")
	if page.address.RawQuery != "status=held" {
		t.Errorf("the way back lost %q", page.address.RawQuery)
	}
	page.fill("/web/signout").at("/web").says("Вы вышли.", "Завести кошелёк")
	g.open("/web/deposit").at("/web/signin")

	g.open("/web/signin?back=https://evil.example/").
		fill("/web/signin", "email", "anna@example.org", "password", password).at("/web")
}

// Every page of a member sends strangers to the sign-in, and commands nothing.
func TestStrangers(t *testing.T) {
	h := open(t, options{bonus: bonus})
	for _, path := range []string{"/web/prediction/p_1", "/web/prediction-history", "/web/transaction-history", "/web/deposit", "/web/admin", "/web/admin/user/u_1"} {
		h.guest("en").open(path).at("/web/signin")
	}
	for _, path := range []string{"/web/ask", "/web/deposit", "/web/withdraw", "/web/admin", "/web/admin/user/u_1/adjust"} {
		h.guest("en").send(path, map[string][]string{"amount": {"5"}, "text": {"a film"}, "idempotency_key": {"k"}}).at("/web/signin")
	}
}

func TestTooOften(t *testing.T) {
	h := open(t, options{bonus: bonus, limits: identity.Limits{
		SignInEmail: identity.Rate{Burst: 1, Every: time.Hour}, SignUpIP: identity.Rate{Burst: 1, Every: time.Hour},
		Command: identity.Rate{Burst: 1, Every: time.Hour}}})
	g := h.member("ru", "anna@example.org")
	again := h.guest("ru").open("/web/signup").fill("/web/signup", "email", "vera@example.org", "password", password)
	again.is(http.StatusOK).says("Слишком часто. Подождите минуту")
	if again.value("email") != "vera@example.org" {
		t.Errorf("the e-mail comes back as %q", again.value("email"))
	}
	wrong := h.guest("en").open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", "not hers").is(http.StatusOK)
	wrong.fill("/web/signin", "email", "vera@example.org", "password", "not hers").is(http.StatusOK).says("That was too often.")

	g.open("/web/deposit").fill("/web/deposit").is(http.StatusOK)
	asked := g.open("/web").fill("/web/ask", "text", "фильм про поезд").is(http.StatusOK)
	asked.says("Слишком часто.")
	if asked.value("text") != "фильм про поезд" {
		t.Errorf("the question is lost: %q", asked.value("text"))
	}
}

func TestLanguageSwitch(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	g.open("/web/transaction-history?type=bonus").fill("/web/lang", ":to", "en").
		at("/web/transaction-history").says("Transactions", "Gift").silent("Операции")
	g.open("/web").says("What shall we watch?").fill("/web/lang", ":to", "ru").at("/web").says("Что посмотрим?")
	g.open("/web/lang?to=en&back=/web/deposit").at("/web/deposit").says("Withdraw")
	g.open("/web/lang?to=en&back=//evil.example").at("/web")
	g.open("/web/lang?to=de").is(http.StatusBadRequest)
	refused := g.open("/web").fill("/web/ask", "text", "?!").is(http.StatusOK)
	refused.fill("/web/lang", ":to", "ru").at("/web").is(http.StatusOK).says("Что посмотрим?")
}

// Of a double click both answers lead to the same place, and one account is opened.
func TestSignUpTwiceAtOnce(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.guest("en")
	form := g.open("/web/signup").form("/web/signup")
	form.Set("email", "anna@example.org")
	form.Set("password", password)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { h.guest("en").send("/web/signup", form).is(http.StatusOK).at("/web") })
	}
	all.Wait()
	if available, _ := h.balance("anna@example.org"); available != bonus {
		t.Errorf("there are %d credits", available)
	}
}
