package web_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"kassa/httpapi/identity"
	"kassa/internal/security"
)

// Pages leave the same security events as the API: sign-ins, refusals, also those that a
// form shows, and what admins see and do.
func TestSecurityEventsOfPages(t *testing.T) {
	var out bytes.Buffer
	h := newFixture(t, options{bonus: bonus, limits: identity.Limits{Off: true}, security: security.New(security.Lines(&out))})
	boss := h.member("en", "boss@example.org")
	vera := h.member("en", "vera@example.org")
	h.promote("boss@example.org")
	names := strings.NewReplacer(string(h.env.User("vera@example.org")), "VERA", string(h.env.User("boss@example.org")), "BOSS")
	want := func(what string, want ...string) {
		t.Helper()
		var got []string
		for line := range bytes.Lines(out.Bytes()) {
			var e struct{ Event, Outcome, User, Subject, Route string }
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatal(err)
			}
			got = append(got, names.Replace(strings.Join(strings.Fields(fmt.Sprint(e.Event, " ", e.Outcome, " ", e.User, " ", e.Subject, " ", e.Route)), " ")))
		}
		out.Reset()
		if !slices.Equal(got, want) {
			t.Errorf("%s: the events are\n%q, want\n%q", what, got, want)
		}
	}
	out.Reset() // of the sign-ups
	page, own := "/web/admin/user/"+string(h.env.User("vera@example.org")), "/web/admin/user/"+string(h.env.User("boss@example.org"))

	vera.open("/web/admin").is(http.StatusForbidden)
	want("a user opens the admins' page", "access_refused refused VERA GET /web/admin")
	vera.open("/web/transaction-history").is(http.StatusOK)
	want("a user's own page")
	boss.open("/web/admin").is(http.StatusOK)
	want("the list", "admin_read ok BOSS GET /web/admin")
	form := boss.open(page).is(http.StatusOK).form(page + "/adjust")
	want("a person", "admin_read ok BOSS VERA GET /web/admin/user/{id}")
	form.Set("amount", "5")
	form.Set("reason", "a gift")
	form.Set("confirm", "yes")
	boss.send(own+"/adjust", form).is(http.StatusOK)
	want("the own wallet", "access_refused refused BOSS BOSS POST /web/admin/user/{id}/adjust", "admin_read ok BOSS BOSS GET /web/admin/user/{id}")
	boss.send(page+"/adjust", form).is(http.StatusOK).at(page)
	want("an adjustment", "admin_change ok BOSS VERA POST /web/admin/user/{id}/adjust", "admin_read ok BOSS VERA GET /web/admin/user/{id}")

	boss.open("/web/audit/users/" + string(h.env.User("vera@example.org"))).is(http.StatusOK)
	want("a timeline", "admin_read ok BOSS VERA GET /web/audit/users/{id}")

	guest := h.client("en")
	guest.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", "a wrong one")
	want("a wrong password", "sign_in refused VERA")
	guest.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password)
	want("a sign-in", "sign_in ok VERA")
	guest.send("/web/signout", nil)
	want("a sign-out", "sign_out ok VERA")
}
