package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"kassa/vault"
)

// A token is made on its page, shown there once, works, and is revoked there; nobody revokes
// another's.
func TestTokensPage(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("en", "anna@example.org")
	page := g.open("/web/account").follow("Manage tokens").at("/web/account/tokens").shows("You have no tokens.").lacks("Administer")
	values := page.form("/web/account/tokens")
	if values.Get("read") == "" || values.Get("spend") != "" || values.Get("days") != "90" {
		t.Errorf("the form begins with %v", values)
	}
	page = page.fill("/web/account/tokens", "name", "report <b>", "days", "7", "password", "not the password").at("/web/account/tokens").shows("This is not your current password.")
	if again := page.form("/web/account/tokens"); again.Get("name") != "report <b>" || again.Get("days") != "7" || again.Get("password") != "" {
		t.Errorf("the form comes back with %v", again)
	}
	made := page.fill("/web/account/tokens", "password", password).at("/web/account/tokens").shows("Copy it now", "report <b>", "Read", "Never used").lacks("Spend Valid")
	text := attr(find(made.root, func(n *node) bool { return attr(n, "id") == "made" }), "value")
	if !vault.TokenForm(text) || strings.Contains(made.address.String(), text) {
		t.Fatalf("the token is %q at %s", text, made.address)
	}
	g.open("/web/account/tokens").shows("report <b>").lacks("Copy it now")
	balance := func(want int) {
		t.Helper()
		h.client("en").open("/api/users/balance", "Authorization", "Bearer "+text).is(want)
	}
	balance(http.StatusOK)
	h.client("en").open("/web/account", "Authorization", "Bearer "+text).is(http.StatusForbidden) // pages are not for programs
	id := attr(find(made.root, func(n *node) bool { return attr(n, "name") == "revoke" }), "value")
	bob := h.member("ru", "bob@example.org")
	bob.send("/web/account/tokens/revoke", url.Values{"revoke": {id}}).at("/web/account/tokens")
	bob.send("/web/account/tokens/revoke", url.Values{"revoke": {"nonsense"}}).is(http.StatusBadRequest)
	balance(http.StatusOK)
	for range 2 { // a double click
		g.send("/web/account/tokens/revoke", url.Values{"revoke": {id}}).at("/web/account/tokens").shows("The token is revoked.", "You have no tokens.")
	}
	balance(http.StatusUnauthorized)
	bob.open("/web/account/tokens").fill("/web/account/tokens", "name", "отчёт", "read", "", "password", password).shows("Личные токены", "Скопируйте его сейчас")
	none := bob.open("/web/account/tokens").form("/web/account/tokens")
	none.Del("read")
	none.Set("name", "ничего")
	none.Set("password", password)
	bob.send("/web/account/tokens", none).at("/web/account/tokens").shows("Выберите хотя бы одно право.")
}

// An admin may make tokens with the scope admin; a forged form gives nobody else one.
func TestTokensOfAdmins(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("en", "anna@example.org")
	forged := url.Values{"name": {"forged"}, "admin": {"yes"}, "days": {"30"}, "password": {password}}
	g.send("/web/account/tokens", forged).at("/web/account/tokens").shows("Choose at least one right.", "You have no tokens.")
	h.promote("anna@example.org")
	page := g.open("/web/account/tokens").shows("Administer").fill("/web/account/tokens", "name", "people", "admin", "yes", "password", password).shows("Copy it now")
	text := attr(find(page.root, func(n *node) bool { return attr(n, "id") == "made" }), "value")
	h.client("en").open("/api/admin/users", "Authorization", "Bearer "+text).is(http.StatusOK)
}
