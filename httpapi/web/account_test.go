package web_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const newPassword = "девять выдр на карусели"

// A session is ended from another browser, one or all others; nobody ends another's.
func TestSessionsOnTheAccountPage(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	here := h.member("en", "anna@example.org")
	signedIn := func() *client {
		t.Helper()
		g := h.client("ru")
		g.open("/web/signin").fill("/web/signin", "email", "anna@example.org", "password", password).at("/web")
		return g
	}
	there, third := signedIn(), signedIn()
	page := here.open("/web").follow("Account").is(http.StatusOK).shows("Where you are signed in", "this browser", "127.0.0.0/24", "Go-http-client")
	if n := strings.Count(page.text, "Last active:"); n != 3 {
		t.Errorf("%d sessions are shown, want 3: %s", n, page.text)
	}
	id := func(g *client) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(g.token())))[:20] }
	bob := h.member("en", "bob@example.org")
	bob.send("/web/account/sessions", url.Values{"end": {id(here)}}).at("/web/account")
	here.open("/web/account").at("/web/account")
	bob.send("/web/account/sessions", url.Values{"end": {"nonsense"}}).is(http.StatusBadRequest)

	there.open("/web/account").at("/web/account").shows("Где выполнен вход", "этот браузер").
		fill("/web/account/sessions", ":end", "others").at("/web/account").shows("Все остальные сеансы завершены.").lacks("Завершить все")
	for _, g := range []*client{here, third} {
		g.open("/web/account").at("/web/signin")
	}
	third = signedIn()
	for range 2 { // a double click
		there.send("/web/account/sessions", url.Values{"end": {id(third)}}).at("/web/account").shows("Сеанс завершён.")
	}
	third.open("/web/account").at("/web/signin")
}

// token is that of the client's session, "" for none.
func (g *client) token() string {
	g.t.Helper()
	u, err := url.Parse(g.fixture.url)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, c := range g.client.Jar.Cookies(u) {
		if c.Name == "kassa_session" {
			return c.Value
		}
	}
	return ""
}

// A changed password: this browser goes on with another token, all others are signed out.
func TestChangeOfThePassword(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	here := h.member("en", "anna@example.org")
	there := h.client("en")
	there.open("/web/signin").fill("/web/signin", "email", "anna@example.org", "password", password).at("/web")
	before := here.token()
	change := func(was, next string) *document {
		t.Helper()
		return here.open("/web/account").fill("/web/account/password", "password", was, "new_password", next).at("/web/account")
	}
	change("not the password", newPassword).shows("This is not your current password.")
	change(password, "anna@example.org").shows("8 to 128 characters")
	change("", newPassword).shows("This is not your current password.")
	if here.token() != before {
		t.Error("a refused change makes a new session")
	}
	there.open("/web/account").at("/web/account")
	change(password, newPassword).shows("Your password is changed.", "this browser").lacks("End all other sessions")
	if after := here.token(); after == before || after == "" {
		t.Error("the token is the former one")
	}
	there.open("/web/account").at("/web/signin").
		fill("/web/signin", "email", "anna@example.org", "password", password).shows("Wrong email or password.").
		fill("/web/signin", "email", "anna@example.org", "password", newPassword).at("/web/account")
	// The copy of a cookie from before opens nothing.
	thief := h.client("en")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url+"/web/account", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: "kassa_session", Value: before})
	thief.do(req).at("/web/signin")
}

// A cookie that was planted before the sign-in is not the session afterwards.
func TestSessionFixation(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	h.member("en", "anna@example.org")
	victim, planted := h.client("en"), "AAAAAAAAAAAAAAAAAAAAAAAAAA"
	u, err := url.Parse(h.url)
	if err != nil {
		t.Fatal(err)
	}
	victim.client.Jar.SetCookies(u, []*http.Cookie{{Name: "kassa_session", Value: planted, Path: "/"}})
	victim.open("/web/signin").fill("/web/signin", "email", "anna@example.org", "password", password).at("/web")
	if _, ok, err := h.vault.Session(t.Context(), planted, "", time.Now()); err != nil || ok {
		t.Errorf("the planted token is a session: %t, %v", ok, err)
	}
}
