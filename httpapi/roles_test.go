package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/internal/security"
	"kassa/vault"
)

// An auditor reads what is there for auditors, and nothing else of what belongs to others.
// None of it changes anything.
func TestAuditorOnlyReads(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	w.addUser("bob")
	w.env.SetRole(ada, domain.AuditorRole, true)
	h := w.server.Handler()
	tried := map[access]int{}
	for _, rt := range w.server.routes() {
		if rt.access < auditors {
			continue
		}
		tried[rt.access]++
		path := strings.Replace(rt.path, "{id}", "u_4hx2k7qpmzyrw3n5tbcd", 1)
		answer := w.send(h, rt.method, path, "ada", "")
		code := ""
		if answer.Code >= http.StatusBadRequest {
			code = codeIn(t, answer.Body.Bytes())
		}
		switch {
		case rt.access == auditors && (rt.method != http.MethodGet || rt.kind == command || rt.scope != vault.ScopeAudit):
			t.Errorf("%s %s is for auditors, and is no read of the scope audit", rt.method, rt.path)
		case rt.access == auditors && (answer.Code == http.StatusForbidden || answer.Code == http.StatusUnauthorized):
			t.Errorf("%s %s: an auditor gets %d %s", rt.method, rt.path, answer.Code, answer.Body)
		case rt.access == adminOnly && (answer.Code != http.StatusForbidden || code != string(domain.NotAdmin)):
			t.Errorf("%s %s: an auditor gets %d %s", rt.method, rt.path, answer.Code, answer.Body)
		}
		if rt.access == auditors {
			want(t, w.send(h, rt.method, path, "bob", ""), http.StatusForbidden, problem.AuditorRequired)
		}
	}
	if tried[auditors] == 0 || tried[adminOnly] == 0 {
		t.Errorf("tried were %v", tried)
	}
	w.server.Identity.AdminFactor = true
	want(t, w.send(h, "GET", "/api/admin/trial", "ada", ""), http.StatusForbidden, problem.FactorRequired)
	w.server.Identity.AdminFactor = false
	w.env.SetRole(ada, domain.AuditorRole, false)
	want(t, w.send(h, "GET", "/api/admin/trial", "ada", ""), http.StatusForbidden, problem.AuditorRequired)
}

// A token of an auditor reads what they read while they are one; others get no such token.
func TestAuditorsToken(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	h := w.server.Handler()
	token := w.token("ada", vault.ScopeAudit)
	want(t, w.bear(h, "GET", "/api/admin/trial", token, ""), http.StatusForbidden, problem.AuditorRequired)
	w.env.SetRole(ada, domain.AuditorRole, true)
	want(t, w.bear(h, "GET", "/api/admin/trial", token, ""), http.StatusOK, "")
	want(t, w.bear(h, "GET", "/api/users/balance", token, ""), http.StatusForbidden, problem.InsufficientScope)
}

// An admin locks a person: their sessions, tokens and passwords open nothing any more, in
// another process neither, and who does not know the password learns nothing of it.
func TestLockByAnAdmin(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	w.addUser("root")
	w.addUser("bob")
	w.setAdmin("root", true)
	h := w.server.Handler()
	path := "/api/admin/users/" + string(ada)
	order := func(more string) string {
		return `{"password":"` + password("root") + `","reason":"a stolen phone"` + more + `}`
	}
	cookie, token := w.cookie(w.signIn(h, "ada")), w.token("ada", vault.ScopeRead)
	want(t, w.send(h, "GET", "/api/users/balance", "", "", "Cookie", cookie), http.StatusOK, "")

	want(t, w.send(h, "POST", path+"/lock", "bob", order("")), http.StatusForbidden, domain.NotAdmin)
	want(t, w.send(h, "POST", path+"/lock", "root", `{"password":"wrong words here","reason":"r"}`), http.StatusForbidden, problem.WrongPassword)
	want(t, w.send(h, "POST", path+"/lock", "root", order(`,"role":"admin"`)), http.StatusUnprocessableEntity, problem.UnknownField)
	want(t, w.send(h, "POST", "/api/admin/users/u_k3v7wq2m5xbnayrzt4hd/lock", "root", order("")), http.StatusNotFound, domain.AccountNotFound)
	want(t, w.send(h, "POST", "/api/admin/users/"+string(w.env.User(email("root")))+"/lock", "root", order("")), http.StatusForbidden, domain.OwnLock)
	for range 2 { // the second changes nothing
		locked := w.send(h, "POST", path+"/lock", "root", order(""))
		want(t, locked, http.StatusOK, "")
		var now accessJSON
		decodeJSON(t, locked.Body.Bytes(), &now)
		if !now.Locked || now.User != ada {
			t.Errorf("after the lock: %+v", now)
		}
	}

	want(t, w.send(h, "GET", "/api/users/balance", "", "", "Cookie", cookie), http.StatusUnauthorized, problem.AuthenticationRequired)
	want(t, w.bear(h, "GET", "/api/users/balance", token, ""), http.StatusUnauthorized, domain.InvalidCredentials)
	want(t, w.send(h, "GET", "/api/users/balance", "ada", ""), http.StatusForbidden, domain.Locked)
	signIn := func(words string) string { return `{"email":"` + email("ada") + `","password":"` + words + `"}` }
	want(t, w.send(h, "POST", "/api/users/signin", "", signIn(password("ada"))), http.StatusForbidden, domain.Locked)
	want(t, w.send(h, "POST", "/api/users/signin", "", signIn("another password")), http.StatusUnauthorized, domain.InvalidCredentials)

	// A session that a crash left behind opens nothing either.
	left, _, err := w.vault.NewSession(t.Context(), ada, password("ada"), vault.Origin{}, w.clock.Now())
	must(t, err)
	want(t, w.send(h, "GET", "/api/users/balance", "", "", "Cookie", w.server.Identity.CookieName()+"="+left), http.StatusUnauthorized, problem.AuthenticationRequired)

	want(t, w.send(h, "POST", path+"/unlock", "root", order("")), http.StatusOK, "")
	want(t, w.send(h, "GET", "/api/users/balance", "ada", ""), http.StatusOK, "")
	want(t, w.bear(h, "GET", "/api/users/balance", token, ""), http.StatusUnauthorized, domain.InvalidCredentials)
}

// An admin makes an auditor, and ends the sessions of a person.
func TestRolesByAnAdmin(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	w.addUser("root")
	w.setAdmin("root", true)
	h := w.server.Handler()
	path := "/api/admin/users/" + string(ada)
	order := func(role string) string {
		return `{"password":"` + password("root") + `","reason":"the audit of March","role":"` + role + `"}`
	}
	want(t, w.send(h, "POST", path+"/roles/grant", "root", order("owner")), http.StatusUnprocessableEntity, domain.InvalidRole)
	want(t, w.send(h, "POST", path+"/roles/grant", "root", order("auditor"), "Idempotency-Key", "k"), http.StatusOK, "")
	want(t, w.send(h, "POST", path+"/roles/grant", "root", order("auditor"), "Idempotency-Key", "k"), http.StatusOK, "")
	want(t, w.send(h, "GET", "/api/admin/trial", "ada", ""), http.StatusOK, "")
	want(t, w.send(h, "POST", path+"/roles/grant", "ada", `{"password":"`+password("ada")+`","reason":"r","role":"admin"}`), http.StatusForbidden, domain.NotAdmin)
	want(t, w.send(h, "POST", path+"/roles/revoke", "root", order("auditor")), http.StatusOK, "")
	want(t, w.send(h, "GET", "/api/admin/trial", "ada", ""), http.StatusForbidden, problem.AuditorRequired)

	cookie := w.cookie(w.signIn(h, "ada"))
	want(t, w.send(h, "DELETE", path+"/sessions", "ada", ""), http.StatusForbidden, domain.NotAdmin)
	want(t, w.send(h, "DELETE", "/api/admin/users/u_k3v7wq2m5xbnayrzt4hd/sessions", "root", ""), http.StatusNotFound, domain.AccountNotFound)
	want(t, w.send(h, "DELETE", path+"/sessions", "root", ""), http.StatusNoContent, "")
	want(t, w.send(h, "GET", "/api/users/balance", "", "", "Cookie", cookie), http.StatusUnauthorized, problem.AuthenticationRequired)
}

// An order that was carried out before a fault is answered as one of unknown outcome, and is in
// the security log; sent again, it is carried out once. One that was taken back since says so.
func TestOrdersBesideAFault(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	w.addUser("root")
	w.setAdmin("root", true)
	log, events := &forgetful{Store: w.store}, &lines{}
	w.server.Commands.Store = log
	w.server.Identity.Security = security.New(security.Lines(events))
	h := w.server.Handler()
	path := "/api/admin/users/" + string(ada)
	order := `{"password":"` + password("root") + `","reason":"a stolen phone"`
	send := func(what, more, key string) *httptest.ResponseRecorder {
		return w.send(h, "POST", path+what, "root", order+more+"}", "Idempotency-Key", key)
	}
	recorded := func(kind security.Kind) (n int) {
		for _, e := range events.take(t) {
			if e["event"] == string(kind) {
				n++
			}
		}
		return n
	}
	for _, tt := range []struct {
		what, more string
		kind       security.Kind
	}{{"/roles/grant", `,"role":"auditor"`, security.RoleGranted}, {"/lock", "", security.AccountLocked}} {
		log.fails = true
		failed := send(tt.what, tt.more, tt.what)
		log.fails, log.appended = false, false
		want(t, failed, http.StatusServiceUnavailable, problem.Unavailable)
		if n := recorded(tt.kind); !strings.Contains(failed.Body.String(), "it is not known whether this was done") || n != 1 {
			t.Errorf("%s: %s; %d events", tt.what, failed.Body, n)
		}
		size := w.env.Size()
		want(t, send(tt.what, tt.more, tt.what), http.StatusOK, "")
		if w.env.Size() != size {
			t.Errorf("%s is carried out twice", tt.what)
		}
	}
	want(t, send("/unlock", "", "u"), http.StatusOK, "")
	recorded(security.AccountLocked)
	again := send("/lock", "", "/lock")
	want(t, again, http.StatusOK, "")
	var now accessJSON
	decodeJSON(t, again.Body.Bytes(), &now)
	if n := recorded(security.AccountLocked); now.Locked || now.Position != 0 || n != 0 {
		t.Errorf("a lock that was ended, again: %+v; %d events", now, n)
	}
}

// forgetful is a log that cannot be read any more after it was written to.
type forgetful struct {
	commands.Store
	fails, appended bool
}

func (f *forgetful) Append(ctx context.Context, a eventstore.Append) (eventstore.Receipt, error) {
	r, err := f.Store.Append(ctx, a)
	f.appended = f.appended || f.fails && err == nil
	return r, err
}

func (f *forgetful) Refresh(ctx context.Context, u domain.UserID) (eventstore.Loaded, error) {
	if f.appended {
		return eventstore.Loaded{}, &pgconn.PgError{Severity: "FATAL", Code: "57P01"}
	}
	return f.Store.Refresh(ctx, u)
}

// Ending the sessions of others counts against the limit of commands.
func TestEndingSessionsIsLimited(t *testing.T) {
	w := newFixture(t, identity.Limits{Command: identity.Rate{Burst: 1, Every: time.Hour}})
	path := "/api/admin/users/" + string(w.addUser("ada")) + "/sessions"
	w.addUser("root")
	w.setAdmin("root", true)
	h := w.server.Handler()
	want(t, w.send(h, "DELETE", path, "root", ""), http.StatusNoContent, "")
	want(t, w.send(h, "DELETE", path, "root", ""), http.StatusTooManyRequests, problem.RateLimited)
}
