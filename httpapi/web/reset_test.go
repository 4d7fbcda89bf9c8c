package web_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// resetLink is the path of a link that was just made, as kassa admin reset prints it.
func (h *fixture) resetLink(email string) string {
	h.t.Helper()
	token, ok, err := h.vault.NewReset(context.Background(), h.env.User(email), h.now())
	if err != nil || !ok {
		h.t.Fatalf("no link: %t, %v", ok, err)
	}
	return "/web/reset?token=" + token
}

// A forgotten password, in a browser that never signed in: opening the link, as programs that
// scan mails do, uses nothing; the form sets the password, once.
func TestForgottenPassword(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	signedIn := h.member("en", "anna@example.org")
	g := h.client("en")
	g.open("/web/signin").follow("Forgot your password?").at("/web/reset").shows("Ask the operator")
	link := h.resetLink("anna@example.org")
	scanner := h.client("en")
	for range 3 {
		scanner.open(link).at("/web/reset").shows("Set the password")
	}
	page := g.open(link).at("/web/reset")
	if page.address.RawQuery != "" || strings.Contains(link, page.value("new_password")+"&") {
		t.Errorf("the token stays in the address: %s", page.address)
	}
	page.fill("/web/reset", "new_password", "password").at("/web/reset").shows("8 to 128 characters").
		fill("/web/reset", "new_password", "anna@example.org").at("/web/reset").shows("8 to 128 characters").
		fill("/web/reset", "new_password", newPassword).at("/web/signin").shows("Your new password is set.").
		fill("/web/signin", "email", "anna@example.org", "password", newPassword).at("/web")
	signedIn.open("/web/account").at("/web/signin") // all sessions have ended
	for _, late := range []*client{scanner, h.client("en"), g} {
		late.open(link).at("/web/reset").lacks("Set the password")
		late.send("/web/reset", url.Values{"new_password": {"a third password"}}).at("/web/reset").shows("This link no longer works")
	}
	h.client("en").open("/web/signin").fill("/web/signin", "email", "anna@example.org", "password", newPassword).at("/web")
}

// What a link may not do: stay in a Referer, be made of anything, be good for ever, or be read
// by other pages.
func TestResetLinks(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	h.member("en", "anna@example.org")
	first := h.resetLink("anna@example.org")
	link := h.resetLink("anna@example.org")
	g := h.client("ru")
	g.open(first).at("/web/reset").shows("одноразовая ссылка")

	plain := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for query, kept := range map[string]bool{link[len("/web/reset"):]: true, "?token=%0d%0aSet-Cookie:x": false, "?token=" + strings.Repeat("A", 5000): false} {
		answer, err := plain.Get(h.url + "/web/reset" + query)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		cookies := answer.Header.Values("Set-Cookie")
		if answer.Header.Get("Location") != "/web/reset" || answer.Header.Get("Referrer-Policy") != "no-referrer" || answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%.20s is answered with %v", query, answer.Header)
		}
		if len(cookies) != 1 || strings.Contains(cookies[0], "Max-Age=1800") != kept || !strings.Contains(cookies[0], "Path=/web/reset") || !strings.Contains(cookies[0], "HttpOnly") {
			t.Errorf("%.20s sets %v", query, cookies)
		}
	}
	g.open(link).at("/web/reset")
	h.clockAhead.Store(int64(31 * time.Minute))
	g.open("/web/reset").lacks("Сохранить пароль")
	g.send("/web/reset", url.Values{"new_password": {newPassword}}).at("/web/reset").shows("Ссылка больше не действует")
	h.client("en").open("/web/signin").fill("/web/signin", "email", "anna@example.org", "password", password).at("/web")
}
