package web_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"kassa/internal/mail/mailtest"
)

// The stories of an account in a browser without scripts, in both languages and at both
// widths: a password that was forgotten, a session that was stolen, data that is taken along,
// and an account that is deleted.
func TestAccountInABrowser(t *testing.T) {
	for _, language := range []string{"ru", "en"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			server := mailtest.New(t)
			h := mailing(t, server)
			h.clockAhead.Store(-int64(2 * erasureDelay)) // the ledger's last entries must not be from the future
			thief := h.member(language, "vera@example.org")
			b := h.browse(t, language, false)
			b.forgotten(server, thief)
			b.stolen(h.client(language))
			b.takesDataAlong()
			b.deletesTheAccount()
			b.noComplaints()
		})
	}
}

// forgotten sets a new password by a mail; what the former one had opened ends.
func (b *browser) forgotten(server *mailtest.Server, elsewhere *client) {
	b.t.Helper()
	b.open("/web/signin")
	b.press("a[href='/web/forgot']")
	b.until("see the form", `document.querySelector("form[action='/web/forgot']") !== null`)
	b.capture(os.Getenv("KASSA_SCREENSHOTS"), ask[string](b, `document.documentElement.lang`)+"-account-forgot", "dark")
	b.typeIn("#email", "vera@example.org")
	b.press("form[action='/web/forgot'] button")
	b.until("be told that a mail is on its way", `location.pathname === '/web/signin' && document.querySelector('.notice') !== null`)
	b.capture(os.Getenv("KASSA_SCREENSHOTS"), ask[string](b, `document.documentElement.lang`)+"-account-forgot-sent")
	b.fixture.sent()
	path, ours := strings.CutPrefix(server.Next().Link(), "https://kassa.example")
	if !ours {
		b.t.Fatal("the mail has no link of ours")
	}
	b.open(path)
	b.until("see the form", `location.search === '' && document.querySelector('#password') !== null`)
	b.capture(os.Getenv("KASSA_SCREENSHOTS"), ask[string](b, `document.documentElement.lang`)+"-account-reset", "dark")
	b.typeIn("#password", newPassword)
	b.press("form[action='/web/reset'] button")
	b.until("be asked to sign in", `location.pathname === '/web/signin' && document.querySelector('.notice') !== null`)
	b.typeIn("#email", "vera@example.org")
	b.typeIn("#password", newPassword)
	b.press("form[action='/web/signin'] button")
	b.until("be signed in", `document.querySelector('[data-purse]') !== null`)
	elsewhere.open("/web/account").at("/web/signin")
	b.open(path)
	b.until("see that the link is over", `document.querySelector('#password') === null && document.querySelector("a[href='/web/forgot']") !== null`)
	b.capture(os.Getenv("KASSA_SCREENSHOTS"), ask[string](b, `document.documentElement.lang`)+"-account-reset-over")
}

// stolen ends a session that somebody else has.
func (b *browser) stolen(thief *client) {
	b.t.Helper()
	thief.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", newPassword).at("/web")
	b.open("/web/account")
	b.until("see two sessions", `document.querySelectorAll('.sessions-list li').length === 2`)
	b.capture(os.Getenv("KASSA_SCREENSHOTS"), ask[string](b, `document.documentElement.lang`)+"-account-two-sessions")
	b.press(".sessions-list button")
	b.until("see one", `document.querySelectorAll('.sessions-list li').length === 1 && document.querySelector('.notice') !== null`)
	thief.open("/web/account").at("/web/signin")
}

// takesDataAlong follows the link of the page, as a browser does.
func (b *browser) takesDataAlong() {
	b.t.Helper()
	b.open("/web/account")
	link := ask[string](b, `document.querySelector('a[href$="/export"]').getAttribute('href')`)
	g := b.fixture.client("en")
	g.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", newPassword).at("/web")
	if files := g.download(link); !strings.Contains(string(files["data.json"]), "vera@example.org") {
		b.t.Errorf("the data is %s", files["data.json"])
	}
}

// deletesTheAccount changes their mind once.
func (b *browser) deletesTheAccount() {
	b.t.Helper()
	request := func() {
		b.open("/web/account")
		b.press("a[href='/web/account/erasure']")
		b.until("see the form", `document.querySelector('#current') !== null`)
		b.typeIn("#current", newPassword)
		b.press("form[action='/web/account/erasure'] button")
		b.until("see that it is asked for", `document.querySelector("form[action$='/cancel']") !== null`)
	}
	request()
	b.press("form[action$='/cancel'] button")
	b.until("keep it", `document.querySelector('.notice') !== null && document.querySelector("form[action$='/cancel']") === null`)
	request()
	b.fixture.clockAhead.Add(int64(erasureDelay + time.Second))
	b.fixture.forget("vera@example.org")
	b.open("/web/account")
	b.until("be signed out", `location.pathname === '/web/signin'`)
	b.typeIn("#email", "vera@example.org")
	b.typeIn("#password", newPassword)
	b.press("form[action='/web/signin'] button")
	b.until("be refused", `location.pathname === '/web/signin' && document.querySelector('.fault') !== null`)
	b.capture(os.Getenv("KASSA_SCREENSHOTS"), ask[string](b, `document.documentElement.lang`)+"-account-signin-after")
}
