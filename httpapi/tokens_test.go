package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/vault"
)

// token makes a personal token for a user, without a request.
func (w *fixture) token(name string, scopes ...vault.Scope) string {
	w.t.Helper()
	text, _, err := w.vault.NewToken(w.t.Context(), w.env.User(email(name)), password(name),
		vault.Token{Name: "of a test", Scopes: scopes, ExpiresAt: w.clock.Now().AddDate(0, 0, 30), ByFactor: true}, w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

func (w *fixture) bear(h http.Handler, method, path, token, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.send(h, method, path, "", body, append(headers, "Authorization", "Bearer "+token)...)
}

// Each operation that needs credentials is open to the tokens with its scope, and to no
// others; those of the account itself are open to none. An admin's token is tried, so that
// the role is never what refuses.
func TestScopesOfAllOperations(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("root")
	w.setAdmin("root", true)
	h := w.server.Handler()
	tokens := map[vault.Scope]string{}
	for _, s := range vault.Scopes {
		tokens[s] = w.token("root", s)
	}
	tried := 0
	for _, rt := range w.server.routes() {
		if rt.access == public {
			continue
		}
		path := strings.Replace(rt.path, "{id}", "p_k3v7wq2m5xbnayrzt4hd6ecfgu", 1)
		for scope, token := range tokens {
			answer := w.bear(h, rt.method, path, token, "")
			refused := answer.Code == http.StatusForbidden && codeIn(t, answer.Body.Bytes()) == string(problem.InsufficientScope)
			open := scope == rt.scope || scope == vault.ScopeAdmin && rt.scope == vault.ScopeAudit // the only scope that includes another
			if refused == open || answer.Code == http.StatusUnauthorized {
				t.Errorf("%s %s answers the scope %s with %d: %s", rt.method, rt.path, scope, answer.Code, answer.Body)
			}
			tried++
		}
	}
	if tried < 60 {
		t.Errorf("%d were tried", tried)
	}
	// What concerns the account itself, or is all of a person's data, takes the person.
	all := w.token("root", vault.Scopes...)
	for _, operation := range []string{"GET /api/users/export", "GET /api/users/export.zip", "GET /api/users/erasure", "POST /api/users/erasure", "POST /api/users/erasure/cancel",
		"POST /api/users/password", "GET /api/users/sessions", "GET /api/users/tokens", "POST /api/users/tokens", "GET /api/users/factor", "POST /api/users/factor", "POST /api/admin/users/{id}/erasure",
		"POST /api/admin/users/{id}/roles/grant", "POST /api/admin/users/{id}/roles/revoke", "POST /api/admin/users/{id}/lock", "POST /api/admin/users/{id}/unlock", "DELETE /api/admin/users/{id}/sessions"} {
		method, path, _ := strings.Cut(operation, " ")
		want(t, w.bear(h, method, strings.Replace(path, "{id}", "u_k3v7wq2m5xbnayrzt4hd", 1), all, ""), http.StatusForbidden, problem.InsufficientScope)
	}
	for _, path := range []string{"/web", "/web/account", "/web/admin"} {
		for scope, token := range tokens {
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("Authorization", "Bearer "+token)
			answer := httptest.NewRecorder()
			w.server.Pages = http.NotFoundHandler()
			w.server.Handler().ServeHTTP(answer, r)
			if answer.Code != http.StatusForbidden {
				t.Errorf("%s shows a token of %s: %d", path, scope, answer.Code)
			}
		}
	}
}

// An adjustment of another's balance needs the scopes spend and admin, and the role.
func TestScopesOfAnAdjustment(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada, root := w.addUser("ada"), w.addUser("root")
	w.setAdmin("root", true)
	h := w.server.Handler()
	gift := func(of domain.UserID) string { return `{"amount":1,"user_id":"` + string(of) + `","reason":"a gift"}` }
	spend, both := w.token("root", vault.ScopeSpend), w.token("root", vault.ScopeSpend, vault.ScopeAdmin)
	want(t, w.bear(h, "POST", "/api/users/balance/adjust", spend, gift(ada)), http.StatusForbidden, problem.InsufficientScope)
	want(t, w.bear(h, "POST", "/api/users/balance/adjust", spend, `{"amount":5}`), http.StatusOK, "")
	want(t, w.bear(h, "POST", "/api/users/balance/adjust", both, gift(ada)), http.StatusOK, "")
	w.setAdmin("root", false)
	want(t, w.bear(h, "POST", "/api/users/balance/adjust", both, gift(ada)), http.StatusForbidden, domain.NotAdmin)
	want(t, w.bear(h, "GET", "/api/admin/users", w.token("root", vault.ScopeAdmin), ""), http.StatusForbidden, domain.NotAdmin)
	want(t, w.bear(h, "POST", "/api/users/balance/adjust", w.token("ada", vault.Scopes...), gift(root)), http.StatusForbidden, domain.NotAdmin)
}

// A token is made by a session and the password, is shown once, works in every process, and
// ends in every process when it is revoked.
func TestPersonalTokens(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	w.addUser("bob")
	h, events, requests := w.recording(identity.Limits{Off: true})
	browser := session(t, w.signIn(h, "ada"))
	cookie := browser.Name + "=" + browser.Value
	order := `{"name":"nightly","scopes":["read"],"expires_in_days":7,"password":"` + password("ada") + `"}`
	make := func(body string) *httptest.ResponseRecorder {
		t.Helper()
		return w.send(h, "POST", "/api/users/tokens", "", body, "Cookie", cookie)
	}
	want(t, w.send(h, "POST", "/api/users/tokens", "ada", order), http.StatusForbidden, problem.SessionRequired)
	for body, code := range map[string]domain.Code{
		strings.Replace(order, "likes", "hates", 1):          problem.WrongPassword,
		strings.Replace(order, "nightly", " ", 1):            problem.InvalidName,
		strings.Replace(order, "nightly", "a\\u202eb", 1):    problem.InvalidName,
		strings.Replace(order, `"read"`, "", 1):              problem.InvalidScope,
		strings.Replace(order, "read", "write", 1):           problem.InvalidScope,
		strings.Replace(order, "read", `read","read`, 1):     problem.InvalidScope,
		strings.Replace(order, "read", "admin", 1):           problem.InvalidScope, // ada is none
		strings.Replace(order, "read", "audit", 1):           problem.InvalidScope,
		strings.Replace(order, ":7,", ":0,", 1):              problem.InvalidExpiry,
		strings.Replace(order, ":7,", ":366,", 1):            problem.InvalidExpiry,
		strings.Replace(order, ":7,", `:"seven",`, 1):        problem.InvalidExpiry,
		strings.Replace(order, `["read"]`, `"read"`, 1):      problem.InvalidField,
		strings.Replace(order, `"scopes"`, `"permits"`, 1):   problem.UnknownField,
		`{"name":"nightly","scopes":["read"],"password":""}`: problem.WrongPassword,
	} {
		want(t, make(body), problem.Status(code), code)
	}
	events.take(t)
	answer := make(order)
	want(t, answer, http.StatusCreated, "")
	var made struct {
		tokenJSON
		Token string `json:"token"`
	}
	decodeJSON(t, answer.Body.Bytes(), &made)
	if !vault.TokenForm(made.Token) || !made.ExpiresAt.Equal(w.clock.Now().AddDate(0, 0, 7)) || made.Name != "nightly" {
		t.Errorf("made is %+v", made)
	}
	there := w.newServer(w.newVault(), identity.Limits{Off: true}).Handler()
	balance := func(status int) {
		t.Helper()
		for _, process := range []http.Handler{h, there} {
			want(t, w.bear(process, "GET", "/api/users/balance", made.Token, ""), status, "")
		}
	}
	balance(http.StatusOK)
	list := w.send(there, "GET", "/api/users/tokens", "ada", "")
	want(t, list, http.StatusOK, "")
	if !strings.Contains(list.Body.String(), `"last_used_at"`) || strings.Contains(list.Body.String(), made.Token) {
		t.Errorf("the list is %s", list.Body)
	}
	want(t, w.send(there, "DELETE", "/api/users/tokens/"+string(made.ID), "bob", ""), http.StatusNotFound, problem.TokenNotFound)
	want(t, w.send(there, "DELETE", "/api/users/tokens/t_1", "ada", ""), http.StatusNotFound, problem.TokenNotFound)
	balance(http.StatusOK)
	lines := events.take(t)
	if got := brief(lines[0]); got != "token_created ok "+string(ada) || lines[0]["token"] != string(made.ID) {
		t.Errorf("a new token is recorded as %v", lines[0])
	}
	if got := brief(lines[1]); len(lines) != 2 || got != "sign_in ok "+string(ada)+" token" || lines[1]["token"] != string(made.ID) {
		t.Errorf("its uses are recorded as %v", lines[1:])
	}
	want(t, w.send(h, "DELETE", "/api/users/tokens/"+string(made.ID), "ada", ""), http.StatusNoContent, "")
	want(t, w.send(h, "DELETE", "/api/users/tokens/"+string(made.ID), "ada", ""), http.StatusNotFound, problem.TokenNotFound)
	balance(http.StatusUnauthorized)
	gone := w.bear(h, "GET", "/api/users/balance", made.Token, "")
	want(t, gone, http.StatusUnauthorized, domain.InvalidCredentials)
	if got := gone.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer ") {
		t.Errorf("it is challenged with %q", got)
	}
	var kinds []string
	for _, e := range events.take(t) {
		kinds = append(kinds, strings.Replace(brief(e), string(ada), "ADA", 1))
	}
	if wanted := []string{"token_revoked ok ADA", "token_revoked refused ADA token_not_found", "sign_in refused token invalid_credentials", "sign_in refused token invalid_credentials"}; !slices.Equal(kinds, wanted) {
		t.Errorf("the end is recorded as %q", kinds)
	}
	for _, line := range requests.take(t) {
		if text, _ := json.Marshal(line); strings.Contains(string(text), made.Token) || strings.Contains(string(text), "nightly") {
			t.Errorf("the log of requests has the token or its name: %s", text)
		}
	}
}

// A person has so many tokens at most, and all end with the password.
func TestTokensEndWithThePassword(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	h := w.server.Handler()
	browser := session(t, w.signIn(h, "ada"))
	cookie := browser.Name + "=" + browser.Value
	first := w.token("ada", vault.ScopeRead)
	for range vault.MaxTokens - 1 {
		w.token("ada", vault.ScopeRead)
	}
	want(t, w.send(h, "POST", "/api/users/tokens", "", `{"name":"a","scopes":["read"],"password":"`+password("ada")+`"}`, "Cookie", cookie), http.StatusConflict, problem.TooManyTokens)
	want(t, w.bear(h, "GET", "/api/users/balance", first, ""), http.StatusOK, "")
	want(t, w.send(h, "POST", "/api/users/password", "", `{"password":"`+password("ada")+`","new_password":"nine otters on a carousel"}`, "Cookie", cookie), http.StatusNoContent, "")
	want(t, w.bear(h, "GET", "/api/users/balance", first, ""), http.StatusUnauthorized, domain.InvalidCredentials)
}

// An event stream that a token has opened ends when it is revoked, in another process.
func TestStreamsEndWithTheirToken(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	w.env.Questions.Pause()
	text := w.token("ada", vault.ScopeRead)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "bearer  "+text)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	valid, stop := w.server.Identity.WhileValid(ctx, r)
	defer stop()
	made, err := w.vault.Tokens(ctx, ada, w.clock.Now())
	if err != nil || valid.Err() != nil {
		t.Fatal(err, valid.Err())
	}
	if ok, err := w.newVault().RevokeToken(ctx, ada, made[0].ID); err != nil || !ok {
		t.Fatal(ok, err)
	}
	<-valid.Done()
	if ctx.Err() != nil {
		t.Error("the stream goes on")
	}
}

// keptVault has sessions and tokens that could not be ended with a lock.
type keptVault struct {
	identity.Vault
	user domain.UserID
}

func (v keptVault) Session(context.Context, string, string, time.Time) (vault.Session, bool, error) {
	return vault.Session{User: v.user}, true, nil
}

func (v keptVault) Token(context.Context, string, time.Time) (vault.Token, bool, bool, error) {
	return vault.Token{User: v.user}, false, true, nil
}

// What goes on for long ends with a lock, also where the vault still has the session or the token.
func TestWhatGoesOnEndsWithALock(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	w.server.Identity.Vault = keptVault{w.vault, ada}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var open []context.Context
	for header, value := range map[string]string{"Authorization": "Bearer x", "Cookie": w.server.Identity.CookieName() + "=x"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set(header, value)
		valid, stop := w.server.Identity.WhileValid(ctx, r)
		defer stop()
		open = append(open, valid)
	}
	_, err := w.server.Commands.Lock(ctx, commands.Order{User: ada, By: "olga", Reason: "stolen"})
	must(t, err)
	for _, valid := range open {
		<-valid.Done()
		if refusal := domain.RefusalIn(context.Cause(valid)); refusal == nil || refusal.Code != problem.AuthenticationRequired {
			t.Errorf("it ends for %v", context.Cause(valid))
		}
	}
}
