package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// nextCode is what the device shows, which was not shown before.
func (h *fixture) nextCode(secret string) string {
	h.t.Helper()
	h.clockAhead.Add(int64(30 * time.Second))
	code, err := totp.GenerateCode(secret, h.now())
	if err != nil {
		h.t.Fatal(err)
	}
	return code
}

// A person sets a second factor up without scripts, signs in with it in two steps, by a
// recovery code too, gives it again before what could cost the account, and turns it off.
func TestSecondFactorPages(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("en", "anna@example.org")
	page := g.open("/web/account").follow("Set up").at("/web/account/factor").fill("/web/account/factor", "password", "not the password").shows("This is not your current password.")
	other := h.client("en").open("/web/signin").fill("/web/signin", "email", "anna@example.org", "password", password)
	page = page.fill("/web/account/factor", "password", password).at("/web/account/factor").shows("Scan this picture", "Six digits from the app").lacks("recovery code")
	other.open("/web/account/factor").shows("Set up").lacks("Scan this picture") // the key is for the browser that asked
	other.open("/web/account/factor/qr.png").is(http.StatusNotFound)
	secret := attr(find(page.root, func(n *node) bool { return attr(n, "id") == "secret" }), "value")
	picture := g.open("/web/account/factor/qr.png").is(http.StatusOK)
	if len(secret) != 32 || picture.header.Get("Content-Type") != "image/png" || picture.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("the key is %q, its picture %v", secret, picture.header)
	}
	page.fill("/web/account/factor/confirm", "code", "000000").shows("This code is wrong").lacks("The second factor is on.")
	page = g.open("/web/account/factor").fill("/web/account/factor/confirm", "code", h.nextCode(secret)).at("/web/account/factor").shows("The second factor is on.", "Your recovery codes", "Recovery codes left: 10")
	recovery := words(find(page.root, func(n *node) bool { return n.Data == "li" && attr(n, "class") == "code" }))
	g.open("/web/account/factor").lacks("Your recovery codes", recovery, secret)
	g.open("/web/account/factor/qr.png").is(http.StatusNotFound)

	phone := h.client("ru")
	half := phone.open("/web/prediction-history").fill("/web/signin", "email", "anna@example.org", "password", password).at("/web/signin/code").shows("Введите код")
	phone.open("/web/account").at("/web/signin")
	half = half.fill("/web/signin/code", "code", "000000").at("/web/signin/code").shows("Код неверный")
	half.fill("/web/signin/code", "code", h.nextCode(secret)).at("/web/prediction-history")
	lost := h.client("en")
	lost.open("/web/signin").fill("/web/signin", "email", "anna@example.org", "password", password).fill("/web/signin/code", "code", strings.ToLower(recovery)).at("/web")
	lost.open("/web/account/factor").shows("Recovery codes left: 9")
	h.client("en").open("/web/signin/code").at("/web/signin")
	slow := h.client("en").open("/web/signin").fill("/web/signin", "email", "anna@example.org", "password", password).at("/web/signin/code")
	h.clockAhead.Add(int64(11 * time.Minute))
	slow.fill("/web/signin/code", "code", h.nextCode(secret)).at("/web/signin").shows("Signing in took too long.")

	off := func() *document { return g.open("/web/account/factor") }
	off().fill("/web/account/factor/remove", "password", password).shows("Enter a code.")
	off().fill("/web/account/factor/remove", "password", password, "code", "000000").shows("This code is wrong")
	off().fill("/web/account/factor/remove", "password", "not the password", "code", h.nextCode(secret)).shows("This is not your current password.").lacks("Six digits")
	off().fill("/web/account/factor/remove", "password", password).at("/web/account/factor").shows("The second factor is off.", "Set up")
	h.client("en").open("/web/signin").fill("/web/signin", "email", "anna@example.org", "password", password).at("/web")
}

// Who has a second factor gives a code before their data leaves.
func TestDownloadingOwnDataTakesACode(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	h.clockAhead.Store(int64(-time.Hour)) // so that no entry is from the future
	g := h.member("ru", "anna@example.org")
	secret := h.setUp(g)
	g.download("/web/account/export")
	h.clockAhead.Add(int64(11 * time.Minute))
	g.open("/web/account/export").is(http.StatusOK).shows("Ваши данные", "Шесть цифр из приложения или резервный код").
		fill("/web/account/export", "code", "000000").at("/web/account/export").shows("Код неверный")
	form := g.open("/web/account/export").form("/web/account/export")
	form.Set("code", h.nextCode(secret))
	for range 2 { // a double click
		if a := g.send("/web/account/export", form).at("/web/account/export"); !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment") {
			t.Errorf("after the code comes %v", a.header)
		}
	}
	g.download("/web/account/export")
}

// setUp gives the person of a browser a second factor on its page.
func (h *fixture) setUp(g *client) (secret string) {
	h.t.Helper()
	page := g.open("/web/account/factor").fill("/web/account/factor", "password", password)
	secret = attr(find(page.root, func(n *node) bool { return attr(n, "id") == "secret" }), "value")
	page.fill("/web/account/factor/confirm", "code", h.nextCode(secret)).at("/web/account/factor")
	return secret
}

// A page that shows something once, and fails, shows it when it is opened again: a new token,
// recovery codes, what was just done.
func TestWhatIsShownOnceOutlivesAFailure(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("en", "anna@example.org")
	failing := func(failed func(bool), do func() *document, at string, shows string) {
		t.Helper()
		failed(true)
		do().is(http.StatusInternalServerError)
		failed(false)
		g.open(at).shows(shows)
		g.open(at).lacks(shows)
	}
	account := func(is bool) { h.noAccount.Store(is) }
	tokens := g.open("/web/account/tokens")
	failing(account, func() *document { return tokens.fill("/web/account/tokens", "name", "a", "password", password) }, "/web/account/tokens", "Copy it now")
	page := g.open("/web/account/factor").fill("/web/account/factor", "password", password)
	secret := attr(find(page.root, func(n *node) bool { return attr(n, "id") == "secret" }), "value")
	failing(account, func() *document { return page.fill("/web/account/factor/confirm", "code", h.nextCode(secret)) }, "/web/account/factor", "Your recovery codes")
	off := g.open("/web/account/factor")
	failing(account, func() *document { return off.fill("/web/account/factor/remove", "password", password) }, "/web/account/factor", "The second factor is off.")
	wrong := g.open("/web/account/factor")
	failing(account, func() *document { return wrong.fill("/web/account/factor", "password", "not it") }, "/web/account/factor", "This is not your current password.")
}

// An admin is asked for a code before an adjustment.
func TestAdjustmentsTakeACode(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	h.clockAhead.Store(int64(-time.Hour)) // so that no entry is from the future
	h.member("en", "bob@example.org")
	g := h.member("en", "anna@example.org")
	h.promote("anna@example.org")
	secret := h.setUp(g)
	at := "/web/admin/user/" + string(h.env.User("bob@example.org"))
	g.open(at).lacks("Six digits")
	h.clockAhead.Add(int64(11 * time.Minute))
	g.open(at).fill(at+"/adjust", "amount", "7", "reason", "a gift").at(at).shows("Enter a code.")
	g.open(at).fill(at+"/adjust", "amount", "7", "reason", "a gift", "code", h.nextCode(secret)).at(at+"/adjust").fill(at+"/adjust", ":confirm", "yes").at(at).shows("Balance changed")
}

// Where admins need a second factor, their pages say how to set one up.
func TestPageOfAnAdminWithoutAFactor(t *testing.T) {
	h := newFixture(t, options{bonus: bonus, adminFactor: true})
	g := h.member("ru", "anna@example.org")
	h.promote("anna@example.org")
	g.open("/web/admin").is(http.StatusForbidden).shows("Нужен второй фактор").follow("Включить").at("/web/account/factor")
	g.open("/web/account").is(http.StatusOK)
}
