package httpapi

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"kassa/domain"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/vault"
)

const (
	named   = "https://films.example"
	foreign = "https://evil.example"
)

// shared is the fixture's API, which pages of the named origin may use.
func shared(t *testing.T) (*fixture, http.Handler) {
	t.Helper()
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	w.server.Origins = []string{named, "http://127.0.0.1:3000"}
	w.server.Pages = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	return w, w.server.Handler()
}

// from are the headers that a browser sends for a page of an origin.
func from(origin string, more ...string) []string {
	return append([]string{"Origin", origin, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}, more...)
}

func ask(h http.Handler, path, origin, method, headers string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodOptions, path, nil)
	for i, list := 0, from(origin, "Access-Control-Request-Method", method); i < len(list); i += 2 {
		r.Header.Set(list[i], list[i+1])
	}
	if headers != "" {
		r.Header.Set("Access-Control-Request-Headers", headers)
	}
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	return answer
}

func varies(answer *httptest.ResponseRecorder) bool {
	return slices.ContainsFunc(answer.Header().Values("Vary"), func(v string) bool { return strings.Contains(v, "Origin") })
}

// A preflight is answered for the named origins, exactly as they are named, the methods and
// headers of the contract, and the API alone; and never allows cookies.
func TestPreflights(t *testing.T) {
	_, h := shared(t)
	for _, tt := range []struct {
		name, path, origin, method, headers string
		want                                bool
	}{
		{"a write", "/api/users/balance/adjust", named, "POST", "authorization,content-type,idempotency-key", true},
		{"a read", "/api/users/balance", named, "GET", "authorization", true},
		{"another port", "/api/users/balance", "http://127.0.0.1:3000", "GET", "authorization", true},
		{"a header of ours", "/api/events/prediction/new", named, "POST", "authorization,content-type,prefer", true},
		{"a foreign origin", "/api/users/balance", foreign, "GET", "authorization", false},
		{"a part of the name", "/api/users/balance", named + ".evil.example", "GET", "authorization", false},
		{"another scheme", "/api/users/balance", "http://films.example", "GET", "authorization", false},
		{"a sandboxed page", "/api/users/balance", "null", "GET", "authorization", false},
		{"an unknown header", "/api/users/balance", named, "GET", "x-forwarded-for", false},
		{"an unknown method", "/api/users/balance", named, "PUT", "authorization", false},
		{"a page", "/web/account", named, "GET", "", false},
		{"a page's form", "/web/deposit", named, "POST", "content-type", false},
		{"what is beside the API", "/apis", named, "GET", "", false},
	} {
		answer := ask(h, tt.path, tt.origin, tt.method, tt.headers)
		header := answer.Header()
		if got := header.Get("Access-Control-Allow-Origin"); got != map[bool]string{true: tt.origin}[tt.want] {
			t.Errorf("%s: %q may", tt.name, got)
		}
		if header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: cookies are allowed", tt.name)
		}
		if tt.want && (answer.Code != http.StatusNoContent || header.Get("Access-Control-Allow-Methods") != tt.method || header.Get("Access-Control-Allow-Headers") != tt.headers || header.Get("Access-Control-Max-Age") != "600") {
			t.Errorf("%s: answers %d, %v", tt.name, answer.Code, header)
		}
		if strings.HasPrefix(tt.path, "/api/") && !varies(answer) {
			t.Errorf("%s: a cache may give the answer to another origin: %v", tt.name, header)
		}
	}
	w := newFixture(t, identity.Limits{Off: true})
	if answer := ask(w.server.Handler(), "/api/users/balance", named, "GET", "authorization"); answer.Code != http.StatusMethodNotAllowed || answer.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("where no origin is named, it answers %d, %v", answer.Code, answer.Header())
	}
}

// A page of a named origin uses the API with credentials that it was given, and reads what the
// contract has in headers, refusals too. To any other the answers are closed, and its writes
// are refused.
func TestPagesOfOtherOrigins(t *testing.T) {
	w, h := shared(t)
	token := "Bearer " + w.token("ada", vault.Scopes...)
	for _, tt := range []struct {
		origin       string
		credentials  string
		method, path string
		body         string
		status       int
		code         domain.Code
	}{
		{named, token, "GET", "/api/users/balance", "", http.StatusOK, ""},
		{named, token, "POST", "/api/users/balance/adjust", `{"amount":5}`, http.StatusOK, ""},
		{named, "", "GET", "/api/users/balance", "", http.StatusUnauthorized, problem.AuthenticationRequired},
		{named, "", "POST", "/api/users/signin", `{"email":"` + email("ada") + `","password":"` + password("ada") + `"}`, http.StatusOK, ""},
		{named, "", "GET", "/api/nothing", "", http.StatusNotFound, problem.NotFound},
		{foreign, token, "POST", "/api/users/balance/adjust", `{"amount":5}`, http.StatusForbidden, problem.CrossOrigin},
		{foreign, token, "GET", "/api/users/balance", "", http.StatusOK, ""}, // a page of it cannot read that
	} {
		headers := from(tt.origin)
		if tt.credentials != "" {
			headers = append(headers, "Authorization", tt.credentials)
		}
		answer := w.send(h, tt.method, tt.path, "", tt.body, headers...)
		want(t, answer, tt.status, tt.code)
		header := answer.Header()
		open := tt.origin == named
		if got := header.Get("Access-Control-Allow-Origin"); got != map[bool]string{true: named}[open] || !varies(answer) || header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s %s of %s: answers with %v", tt.method, tt.path, tt.origin, header)
		}
		if shown := header.Get("Access-Control-Expose-Headers"); open != strings.Contains(shown, "Kassa-Position") {
			t.Errorf("%s %s of %s shows %q", tt.method, tt.path, tt.origin, shown)
		}
	}
	r := httptest.NewRequest("POST", "/web/deposit", strings.NewReader("amount=5"))
	r.Header.Set("Origin", named)
	r.Header.Set("Authorization", token)
	answer := httptest.NewRecorder()
	if h.ServeHTTP(answer, r); answer.Code != http.StatusForbidden || answer.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a form of a page is answered %d, %v", answer.Code, answer.Header())
	}
}

// A named origin acts with nothing that the browser adds by itself: not with the person's
// session, and not with a password that the browser remembers for Basic.
func TestOtherOriginsHaveNoSession(t *testing.T) {
	w, h := shared(t)
	cookie := w.cookie(w.signIn(h, "ada"))
	want(t, w.send(h, "GET", "/api/users/balance", "", "", from(named, "Cookie", cookie)...), http.StatusUnauthorized, problem.AuthenticationRequired)
	want(t, w.send(h, "DELETE", "/api/users/sessions", "", "", from(named, "Cookie", cookie)...), http.StatusUnauthorized, problem.AuthenticationRequired)
	want(t, w.send(h, "POST", "/api/users/balance/adjust", "", `{"amount":5}`, from(named, "Cookie", cookie)...), http.StatusUnauthorized, problem.AuthenticationRequired)
	want(t, w.send(h, "POST", "/api/users/erasure/cancel", "", "", from(named, "Cookie", cookie)...), http.StatusForbidden, problem.CrossOrigin)
	want(t, w.send(h, "POST", "/api/users/erasure/cancel", "ada", "", from(named)...), http.StatusForbidden, problem.CrossOrigin)
	want(t, w.send(h, "POST", "/api/users/erasure/cancel", "ada", "", from(named, "Content-Type", "text/plain")...), http.StatusForbidden, problem.CrossOrigin)
	want(t, w.send(h, "POST", "/api/users/erasure/cancel", "ada", "", from(named, "Idempotency-Key", "k")...), http.StatusConflict, domain.NoErasure) // a preflight has allowed it
	// A service that names its own origin goes on to know its people.
	w.server.Origins = []string{"http://example.com"} // httptest's host
	want(t, w.send(w.server.Handler(), "POST", "/api/users/balance/adjust", "", `{"amount":5}`, "Origin", "http://example.com", "Sec-Fetch-Site", "same-origin", "Cookie", cookie), http.StatusOK, "")
}

// What other origins may send and read are the headers of the contract.
func TestCORSHeadersAreTheContracts(t *testing.T) {
	asked, answered := map[string]bool{"Authorization": true, "Content-Type": true}, map[string]bool{}
	for _, item := range theContract(t).doc.Paths.Map() {
		for _, op := range item.Operations() {
			for _, p := range op.Parameters {
				if p.Value.In == "header" {
					asked[p.Value.Name] = true
				}
			}
			for _, answer := range op.Responses.Map() {
				for name := range answer.Value.Headers {
					answered[name] = true
				}
			}
		}
	}
	for _, ofBrowsersAndProxies := range []string{"Set-Cookie", "WWW-Authenticate", "X-Accel-Buffering"} {
		delete(answered, ofBrowsersAndProxies)
	}
	for name, tt := range map[string]struct {
		ours     []string
		contract map[string]bool
	}{"sent": {corsAsks, asked}, "read": {corsAnswers, answered}} {
		if got, want := slices.Sorted(slices.Values(tt.ours)), slices.Sorted(maps.Keys(tt.contract)); !slices.Equal(got, want) {
			t.Errorf("%s may be %q, by the contract %q", name, got, want)
		}
	}
	for _, rt := range new(Server).routes() {
		if !slices.Contains(corsMethods, rt.method) {
			t.Errorf("%s of %s may not be sent", rt.method, rt.path)
		}
	}
}
