package web_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"kassa/commands"
	"kassa/domain"
	"kassa/httpapi/identity"
	"kassa/internal/security"
)

// An admin locks a person, by a page that works without a script: they are signed out at once,
// and the page of the sign-in says why only to who knows the password.
func TestLockingAPerson(t *testing.T) {
	for language, words := range map[string]struct{ link, done, locked, badge, refused, wrong, own, unchanged string }{
		"en": {"Access and roles", "It is in the ledger under your name.", "This account is locked.", "locked", "Ask the operator of this service.", "Wrong email or password.", "Your own roles are changed by another admin.", "Nothing was changed."},
		"ru": {"Доступ и роли", "Это записано в журнал под вашим именем.", "Эта учётная запись заблокирована.", "заблокирован", "Обратитесь к владельцу сервиса.", "Неверн", "Ваши роли меняет другой администратор.", "Ничего не изменилось."},
	} {
		t.Run(language, func(t *testing.T) {
			h, g := signInAdmin(t, language)
			vera := h.env.User("vera@example.org")
			v := h.client(language)
			v.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password).at("/web")
			address := "/web/admin/user/" + string(vera)
			v.open(address + "/access").is(http.StatusForbidden)
			form := g.open(address).follow(words.link).at(address + "/access").shows("vera@example.org")
			form.fill(address+"/access", ":do", "lock", "reason", "a stolen phone", "password", "not the password").at(address + "/access")
			form = g.open(address + "/access")
			for range 2 { // the second is the same form, sent again
				form.fill(address+"/access", ":do", "lock", "reason", "a stolen phone", "password", password).at(address).shows(words.done, words.locked)
			}
			g.open("/web/admin").shows(words.badge)
			v.open("/web/deposit").at("/web/signin")
			v.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password).at("/web/signin").shows(words.refused)
			v.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", "not the password").at("/web/signin").shows(words.wrong).lacks(words.refused)
			g.open(address+"/access").fill(address+"/access", ":do", "unlock", "reason", "it was found", "password", password).at(address).shows(words.done).lacks(words.locked)
			form.fill(address+"/access", ":do", "lock", "reason", "a stolen phone", "password", password).at(address).shows(words.unchanged).lacks(words.done, words.locked)
			v.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password).at("/web")
			g.open("/web/admin/user/" + string(h.env.User("boss@example.org")) + "/access").shows(words.own)
		})
	}
}

// An admin makes an auditor of a person, and ends their sessions.
func TestMakingAnAuditor(t *testing.T) {
	h, g := signInAdmin(t, "en")
	vera := h.env.User("vera@example.org")
	v := h.client("en")
	v.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password).at("/web")
	access := "/web/admin/user/" + string(vera) + "/access"
	g.open(access).fill(access, ":do", "grant-auditor", "password", password).at(access).shows("Enter a reason")
	g.open(access).fill(access, ":do", "grant-auditor", "reason", "the audit of March", "password", password)
	g.open("/web/admin").shows("auditor")
	if account, err := h.handler.Account(t.Context(), vera); err != nil || !account.Auditor || account.Admin {
		t.Errorf("the account is %+v, %v", account, err)
	}
	g.open(access).shows("End the auditor").fill(access, ":do", "revoke-auditor", "reason", "the audit is over", "password", password)
	g.send(access, map[string][]string{"do": {"burn"}, "reason": {"r"}, "password": {password}, "idempotency_key": {"k"}}).is(http.StatusBadRequest)
	g.send(access, map[string][]string{"do": {"revoke-admin"}, "reason": {"r"}, "password": {password}, "idempotency_key": {"k2"}})
	own := "/web/admin/user/" + string(h.env.User("boss@example.org")) + "/access"
	g.send(own, map[string][]string{"do": {"revoke-admin"}, "reason": {"r"}, "password": {password}, "idempotency_key": {"k3"}}).shows("Your own roles are changed by another admin.")
	address := "/web/admin/user/" + string(vera)
	g.send(address+"/sessions", map[string][]string{"idempotency_key": {"k4"}}).at(address + "/sessions").shows("This is not your current password")
	form := g.open(access).follow("End all sessions").at(address + "/sessions").shows("vera@example.org")
	form.fill(address+"/sessions", "password", "not the password").at(address + "/sessions").shows("This is not your current password")
	v.open("/web/deposit").at("/web/deposit") // nothing has ended
	form.fill(address+"/sessions", "password", password).at(address).shows("All sessions of this user have ended.")
	v.open("/web/deposit").at("/web/signin")
	if account, err := h.handler.Account(t.Context(), vera); err != nil || account.Has(domain.AuditorRole) {
		t.Errorf("the account is %+v, %v", account, err)
	}
}

// A lock whose sessions could not be ended is in the security log all the same.
func TestLockThatIsHalfDone(t *testing.T) {
	var out bytes.Buffer
	h := newFixture(t, options{bonus: bonus, limits: identity.Limits{Off: true}, security: security.New(security.Lines(&out))})
	g := h.member("en", "boss@example.org")
	h.member("en", "vera@example.org")
	h.promote("boss@example.org")
	h.handler.Vault = stuckAccess{h.handler.Vault}
	access := "/web/admin/user/" + string(h.env.User("vera@example.org")) + "/access"
	form := g.open(access)
	out.Reset()
	form.fill(access, ":do", "lock", "reason", "a stolen phone", "password", password).is(http.StatusServiceUnavailable)
	if !strings.Contains(out.String(), string(security.AccountLocked)) {
		t.Errorf("the events are %s", &out)
	}
}

// stuckAccess cannot be ended.
type stuckAccess struct{ commands.Vault }

func (stuckAccess) EndAccess(context.Context, domain.UserID) error {
	return errors.New("the database is away")
}
