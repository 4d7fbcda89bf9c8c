package web_test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"kassa/vault"
)

// byName has the service called by a name that WebAuthn allows.
func (h *fixture) byName() { h.url = strings.Replace(h.url, "127.0.0.1", "localhost", 1) }

// Without scripts, and at an address that WebAuthn does not allow, the pages say what a passkey
// needs; codes go on, and passkeys are listed and removed.
func TestPasskeyPages(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	local := strings.Replace(h.url, "127.0.0.1", "localhost", 1)
	g := h.member("en", "anna@example.org")
	g.open("/web/account/factor/passkeys").shows("First turn on the second factor.", "You have no passkeys.").follow("Set up").at("/web/account/factor")
	g.open("/web/account/factor/passkeys/new").shows("First turn on the second factor.")
	secret := h.setUp(g)
	g.open("/web/account/factor").follow("Manage passkeys").at("/web/account/factor/passkeys").shows("Passkeys work only at this address: " + local).lacks("Add a passkey")
	g.open("/web/account/factor/passkeys/new").shows("Passkeys work only at this address: " + local)
	passkeys := map[string]vault.PasskeyID{}
	for _, name := range []string{"phone", "key"} {
		made, ok, err := h.vault.AddPasskey(t.Context(), h.env.User("anna@example.org"), vault.Passkey{Name: name, Credential: vault.Credential{ID: []byte(name), PublicKey: []byte("a key")}}, h.now())
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		passkeys[name] = made.ID
	}
	signIn := func() *document {
		return h.client("en").open("/web/signin").fill("/web/signin", "email", "anna@example.org", "password", password).at("/web/signin/code")
	}
	signIn().lacks("Use a passkey").fill("/web/signin/code", "code", h.nextCode(secret)).at("/web")

	h.byName()
	g = h.client("en")
	g.open("/web/signin").fill("/web/signin", "email", "anna@example.org", "password", password).shows("Use a passkey", "A passkey needs JavaScript.").
		fill("/web/signin/code", "code", h.nextCode(secret)).at("/web")
	g.open("/web/account/factor/passkeys").follow("Add a passkey").at("/web/account/factor/passkeys/new").shows("A passkey needs JavaScript.")
	h.clockAhead.Add(int64(11 * time.Minute))
	page := g.open("/web/account/factor/passkeys").shows("phone", "key", "Never used", "Use a passkey")
	page.fill("/web/account/factor/passkeys/remove", ":remove", string(passkeys["key"]), "password", password).shows("Enter a code.")
	page.fill("/web/account/factor/passkeys/remove", ":remove", string(passkeys["key"]), "password", "not it", "code", h.nextCode(secret)).shows("This is not your current password.")
	for range 2 { // the second time it is gone already
		page = page.fill("/web/account/factor/passkeys/remove", ":remove", string(passkeys["key"]), "password", password).at("/web/account/factor/passkeys").shows("The passkey is removed.", "phone")
		page.lacks("Never used key")
	}
	page.fill("/web/account/factor/passkeys/remove", ":remove", "none", "password", password).is(http.StatusBadRequest)
	late := signIn()
	h.clockAhead.Add(int64(11 * time.Minute))
	values := late.form("/web/signin/code")
	values.Set("credential", "{}")
	late.send("/web/signin/code", values).at("/web/signin").shows("Signing in took too long.")
	half := signIn()
	values = half.form("/web/signin/code")
	values.Set("credential", "{}")
	half.send("/web/signin/code", values).at("/web/signin/code").shows("The passkey was not accepted.")

	for range 2 { // the second time the count does not go on
		if _, _, err := h.vault.UsePasskey(t.Context(), h.env.User("anna@example.org"), []byte("phone"), 1, h.now()); err != nil {
			t.Fatal(err)
		}
	}
	other := signIn().fill("/web/signin/code", "code", h.nextCode(secret)).at("/web")
	g.open("/web/account/factor/passkeys").shows("This passkey may have been copied.", "signs you out in all other browsers").
		fill("/web/account/factor/passkeys/remove", ":remove", string(passkeys["phone"]), "password", password, "code", h.nextCode(secret)).shows("You are signed out in all other browsers, and your personal tokens are revoked.")
	g.open("/web/account").at("/web/account")
	other.open("/web/account").at("/web/signin")
}

// call is a protocol command with its result.
func call[P, R any](b *browser, c cdp.Command[P, R], params P) (result R) {
	b.t.Helper()
	b.do("call the browser", chromedp.Func(func(ctx context.Context, tab *chromedp.Target) (err error) {
		result, err = cdp.Call(ctx, tab, c, params)
		return err
	}))
	return result
}

// authenticator plugs a virtual one in, which verifies its user.
func (b *browser) authenticator() webauthn.AuthenticatorID {
	b.t.Helper()
	call(b, webauthn.Enable, webauthn.EnableParams{})
	return call(b, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true}}).AuthenticatorID
}

// plugIn puts a passkey on the device as it was once. The command's own type also sends what this
// kind of device does not know.
func (b *browser) plugIn(device webauthn.AuthenticatorID, c *webauthn.Credential) {
	b.t.Helper()
	add := cdp.Command[map[string]any, cdp.Empty]{Method: webauthn.CommandAddCredential}
	call(b, add, map[string]any{"authenticatorId": device, "credential": map[string]any{"credentialId": c.CredentialID, "isResidentCredential": c.IsResidentCredential,
		"rpId": c.RpID, "privateKey": c.PrivateKey, "userHandle": c.UserHandle, "signCount": c.SignCount}})
}

// The story of a passkey in a browser, in both languages and at both widths: it is added, used to
// sign in and in place of a code, copied, refused, and removed.
func TestPasskeysInABrowser(t *testing.T) {
	for _, language := range []string{"ru", "en"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			h := newFixture(t, options{bonus: bonus})
			h.byName()
			h.clockAhead.Store(int64(-time.Hour)) // so that no entry is from the future
			b := h.browse(t, language, true)
			device := b.authenticator()
			b.signUp("vera@example.org")
			secret := b.setsUpCodes()
			b.addsAPasskey()
			copied := call(b, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: device}).Credentials
			b.signsInByIt()
			b.givesItForACode()
			if len(copied) != 1 {
				t.Fatalf("the device has %d passkeys", len(copied))
			}
			call(b, webauthn.RemoveCredential, webauthn.RemoveCredentialParams{AuthenticatorID: device, CredentialID: copied[0].CredentialID})
			b.plugIn(device, copied[0])
			b.isRefusedWithACopy(secret)
			b.removesIt()
			b.noComplaints()
		})
	}
}

func (b *browser) shoot(name string, schemes ...string) {
	b.t.Helper()
	b.capture(os.Getenv("KASSA_SCREENSHOTS"), ask[string](b, `document.documentElement.lang`)+"-passkey-"+name, schemes...)
}

// setsUpCodes turns the second factor on, and gives its secret.
func (b *browser) setsUpCodes() (secret string) {
	b.t.Helper()
	b.open("/web/account/factor")
	b.typeIn("#current", password)
	b.press("form[action='/web/account/factor'] button")
	b.until("see the key", `document.querySelector('#secret') !== null`)
	secret = ask[string](b, `document.querySelector('#secret').value`)
	b.typeIn("#code", b.fixture.nextCode(secret))
	b.press("form[action='/web/account/factor/confirm'] button")
	b.until("see the recovery codes", `document.querySelector('.recovery-codes') !== null`)
	return secret
}

// addsAPasskey types a wrong password first; the same device cannot add a second one.
func (b *browser) addsAPasskey() {
	b.t.Helper()
	b.open("/web/account/factor")
	b.press("a[href='/web/account/factor/passkeys']")
	b.until("see none", `document.querySelector('.empty') !== null`)
	b.shoot("none")
	add := func(name, password string) {
		b.press("a[href='/web/account/factor/passkeys/new']")
		b.until("see the form", `document.querySelector('form[data-offer]')?.hidden === false`)
		b.typeIn("#name", name)
		b.typeIn("#current", password)
		b.press("form[data-offer] button")
	}
	add("phone", "not the password")
	b.until("be refused", `document.querySelector('#current-fault') !== null && document.querySelector('#name').value === 'phone'`)
	b.shoot("new-refused", "dark")
	b.typeIn("#current", password)
	b.press("form[data-offer] button")
	b.until("see the passkey", `location.pathname === '/web/account/factor/passkeys' && document.querySelectorAll('input[name=remove]').length === 1 && document.querySelector('.notice') !== null`)
	b.shoot("list", "dark")
	add("again", password)
	b.until("be refused", `document.querySelector('[data-fault]')?.hidden === false`)
	if known := ask[bool](b, `document.querySelector('[data-fault]').textContent === document.querySelector('form[data-offer]').dataset.known`); !known {
		b.t.Errorf("it says %q", ask[string](b, `document.querySelector('[data-fault]').textContent`))
	}
}

// toCode signs out and gives the password.
func (b *browser) toCode() {
	b.t.Helper()
	b.press("form[action='/web/signout'] button")
	b.until("be signed out", `document.querySelector("a[href='/web/signin']") !== null && document.querySelector("form[action='/web/signout']") === null`)
	b.open("/web/signin?back=/web/account")
	b.typeIn("#email", "vera@example.org")
	b.typeIn("#password", password)
	b.press("form[action='/web/signin'] button")
	b.until("be asked for a code", `document.querySelector('[data-passkey-instead]')?.hidden === false`)
}

func (b *browser) signsInByIt() {
	b.t.Helper()
	b.toCode()
	b.shoot("signin", "dark")
	b.press("[data-ask]")
	b.until("be signed in", `location.pathname === '/web/account' && document.querySelector('[data-purse]') !== null`)
}

// givesItForACode makes a token, which takes a code of the last minutes.
func (b *browser) givesItForACode() {
	b.t.Helper()
	b.fixture.clockAhead.Add(int64(11 * time.Minute))
	b.open("/web/account/tokens")
	b.until("be asked for a code", `document.querySelector('[data-passkey-instead]')?.hidden === false`)
	b.typeIn("#name", "report")
	b.typeIn("#current", password)
	b.shoot("instead", "dark")
	b.press("[data-ask]")
	b.until("have given it", `document.querySelector('[data-passkey-given]').checkVisibility() && !document.querySelector('[data-code]').checkVisibility()`)
	b.shoot("given", "dark")
	b.press("form[action='/web/account/tokens'] button:not([data-ask])")
	b.until("see the token", `document.querySelector('#made') !== null`)
}

// isRefusedWithACopy signs in with a copy, whose count is behind, and then by a code.
func (b *browser) isRefusedWithACopy(secret string) {
	b.t.Helper()
	b.toCode()
	b.press("[data-ask]")
	b.until("be refused", `location.pathname === '/web/signin/code' && document.querySelector('form[action="/web/signin/code"] > .fault') !== null`)
	b.shoot("copied")
	b.typeIn("#code", b.fixture.nextCode(secret))
	b.press("form[action='/web/signin/code'] .actions button")
	b.until("be signed in", `location.pathname === '/web/account' && document.querySelector('[data-purse]') !== null`)
}

func (b *browser) removesIt() {
	b.t.Helper()
	b.open("/web/account/factor/passkeys")
	b.shoot("refused", "dark")
	b.press("input[name=remove]")
	b.typeIn("#current", password)
	b.press("form[action='/web/account/factor/passkeys/remove'] button")
	b.until("see none", `document.querySelector('.empty') !== null && document.querySelector('.notice') !== null`)
}
