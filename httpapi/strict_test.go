package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/projections"
)

// namedViews fail the test when they are asked for an id that cannot exist.
type namedViews struct {
	projections.Views
	t *testing.T
}

func (v namedViews) Prediction(ctx context.Context, u domain.UserID, id domain.PredictionID, least eventstore.Position) (projections.Prediction, eventstore.Position, error) {
	if !id.Valid() {
		v.t.Errorf("the views are asked for the prediction %q", id)
	}
	return v.Views.Prediction(ctx, u, id, least)
}

func (v namedViews) User(ctx context.Context, u domain.UserID, least eventstore.Position) (projections.User, eventstore.Position, error) {
	if !u.Valid() {
		v.t.Errorf("the views are asked for the user %q", u)
	}
	return v.Views.User(ctx, u, least)
}

// An id in a path is data, whatever its characters: it names nothing, leads to no other
// path, and never reaches a query, where PostgreSQL fails on some bytes.
func TestIDsAreData(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("root")
	w.setAdmin("root", true)
	w.server.Views = namedViews{w.views, t}
	h := w.server.Handler()
	for _, id := range []string{"p_%00", "u_%00", "%00", "p_%ff", "u_%ff", "p_%ed%a0%80", "%2F", "..", ".", "%2e%2e", "%2e%2e%2f%2e%2e%2fapi%2fhealth",
		"..%2fhistory", "p_a%2fstream", "%20", "p_A", strings.Repeat("p_", 4000), "p_%f0%9f%8e%ac", "p_'--", "{id}"} {
		want(t, w.send(h, "GET", "/api/events/prediction/"+id, "root", ""), http.StatusNotFound, problem.PredictionNotFound)
		want(t, w.send(h, "GET", "/api/events/prediction/"+id+"/stream", "root", ""), http.StatusNotFound, problem.PredictionNotFound)
		want(t, w.send(h, "GET", "/api/admin/users/"+id, "root", ""), http.StatusNotFound, domain.AccountNotFound)
		want(t, w.send(h, "GET", "/api/events/prediction/"+id, "", ""), http.StatusUnauthorized, problem.AuthenticationRequired)
	}
	for _, id := range []string{`u_\u0000`, `\u0000`, `u_é`, `../u`} {
		want(t, w.send(h, "POST", "/api/users/balance/adjust", "root", `{"amount":5,"user_id":"`+id+`","reason":"sorry"}`), http.StatusNotFound, domain.AccountNotFound)
	}
}

// A path is taken as it was sent. One in another spelling is not found; it is not
// cleaned, decoded or redirected.
func TestPathsAreTakenAsSent(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("root")
	w.setAdmin("root", true)
	h := w.server.Handler()
	for _, path := range []string{"//api/users/balance", "/api//users/balance", "/api/./users/balance", "/api/users/../users/balance", "/api/users/balance/",
		"/api%2Fusers%2Fbalance", "/api%2Fadmin%2Fusers", "/api/admin%2fusers", "/api/users/%2e%2e/admin/users", "/api/users/balance%00", "/API/users/balance"} {
		for _, method := range []string{"GET", "POST"} {
			got := w.send(h, method, path, "root", `{"amount":1}`)
			want(t, got, http.StatusNotFound, problem.NotFound)
			if to := got.Header().Get("Location"); to != "" {
				t.Errorf("%s %s is redirected to %s", method, path, to)
			}
		}
	}
	for _, path := range []string{"/api", "/api/"} {
		got := httptest.NewRecorder()
		h.ServeHTTP(got, httptest.NewRequest("GET", path, nil))
		if got.Code != http.StatusOK || !strings.Contains(got.Body.String(), `"name":"Kassa"`) {
			t.Errorf("%s answers %d: %s", path, got.Code, got.Body)
		}
	}
	for path, allow := range map[string]string{"/api": "GET, HEAD", "/": "GET, HEAD", "/api/events/prediction/new": "POST",
		"/api/events/prediction/history": "GET, HEAD", "/api/events/prediction/..": "GET, HEAD", "/api/users/signup": "POST"} {
		w.server.Pages = http.NotFoundHandler()
		for _, method := range []string{"OPTIONS", "DELETE", "PROPFIND", strings.Repeat("X", 30_000)} {
			got := w.send(w.server.Handler(), method, path, "", "")
			want(t, got, http.StatusMethodNotAllowed, problem.MethodNotAllowed)
			if is := strings.Join(got.Header().Values("Allow"), ", "); is != allow {
				t.Errorf("%.20s %s allows %s, want %s", method, path, is, allow)
			}
			if got.Body.Len() > 500 {
				t.Errorf("%.20s %s: the refusal has %d bytes", method, path, got.Body.Len())
			}
		}
	}
}

func TestQueriesAreReadWhole(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("root")
	w.setAdmin("root", true)
	h := w.server.Handler()
	const money, asked = "/api/users/transaction/history", "/api/events/prediction/history"
	for _, tt := range []struct {
		target string
		code   domain.Code
	}{
		{money + "?Limit=1", problem.UnknownParameter},
		{money + "?status=pending", problem.UnknownParameter},
		{money + "?=1", problem.UnknownParameter},
		{"/api/users/balance?limit=1", problem.UnknownParameter},
		{"/api/?pretty", problem.UnknownParameter},
		{money + "?limit=%zz", problem.InvalidQuery},
		{money + "?limit=1;type=deposit", problem.InvalidQuery},
		{money + "?%zz=1", problem.InvalidQuery},
		{money + "?limit=1&limit=2", problem.InvalidQuery},
		{money + "?limit=1&limit=1", problem.InvalidQuery},
		{money + "?min_position=0&min_position=0", problem.InvalidQuery},
		{money + "?cursor=%ff", problem.InvalidQuery},
		{"/api/admin/users?email=%ff", problem.InvalidQuery},
		{money + "?type=", problem.InvalidFilter},
		{money + "?type", problem.InvalidFilter},
		{money + "?type=%00", problem.InvalidFilter},
		{asked + "?status=", problem.InvalidFilter},
		{asked + "?cursor=", problem.InvalidCursor},
		{asked + "?cursor=%00", problem.InvalidCursor},
		{asked + "?limit=", domain.InvalidLimit},
		{asked + "?min_position=", problem.InvalidPosition},
		{"/api/admin/users?email=", domain.InvalidEmail},
		{"/api/admin/users?email=%00", domain.InvalidEmail},
	} {
		if got := w.send(h, "GET", tt.target, "root", ""); got.Code != http.StatusUnprocessableEntity || !strings.Contains(got.Body.String(), `"`+string(tt.code)+`"`) {
			t.Errorf("%s answers %d, want %s: %s", tt.target, got.Code, tt.code, got.Body)
		}
	}
	before := w.env.Size()
	want(t, w.send(h, "POST", "/api/users/balance/adjust?dry_run=true", "root", `{"amount":1}`), http.StatusUnprocessableEntity, problem.UnknownParameter)
	if w.env.Size() != before {
		t.Error("a command with a parameter that is not known was carried out")
	}
	// Authentication comes first: an anonymous client does not learn what a route
	// takes.
	want(t, w.send(h, "GET", money+"?limit=%zz", "", ""), http.StatusUnauthorized, problem.AuthenticationRequired)
}

// A header or parameter that is repeated or empty is refused, and nothing is done.
func TestHeadersAreSingle(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	w.addUser("bob")
	h := w.server.Handler()
	ada, bob := basic(httptest.NewRequest("GET", "/", nil), "ada").Header.Get("Authorization"), basic(httptest.NewRequest("GET", "/", nil), "bob").Header.Get("Authorization")
	session := w.send(h, "POST", "/api/users/signin", "", `{"email":"ada@example.org","password":"ada likes films"}`).Result().Cookies()[0]
	before := w.env.Size()
	for _, tt := range []struct {
		name    string
		code    domain.Code
		headers []string
	}{
		{"an empty key", domain.InvalidKey, []string{"Authorization", ada, "Idempotency-Key", ""}},
		{"a blank key", domain.InvalidKey, []string{"Authorization", ada, "Idempotency-Key", "\u00a0\u3000"}},
		{"two keys", problem.RepeatedHeader, []string{"Authorization", ada, "Idempotency-Key", "a", "Idempotency-Key", "b"}},
		{"one key twice", problem.RepeatedHeader, []string{"Authorization", ada, "Idempotency-Key", "a", "Idempotency-Key", "a"}},
		{"two people", problem.RepeatedHeader, []string{"Authorization", ada, "Authorization", bob}},
		{"two contents", problem.RepeatedHeader, []string{"Authorization", ada, "Content-Type", "application/json"}},
		{"two sessions", problem.RepeatedHeader, []string{"Cookie", session.Name + "=forged; " + session.Name + "=" + session.Value}},
		{"two sessions in two headers", problem.RepeatedHeader, []string{"Cookie", session.Name + "=" + session.Value, "Cookie", session.Name + "=forged"}},
	} {
		for path, body := range map[string]string{"/api/users/balance/adjust": `{"amount":1}`, "/api/events/prediction/new": `{"text":"a dream"}`} {
			got := w.sendTwice(h, "POST", path, "", body, tt.headers...)
			if got.Code != http.StatusUnprocessableEntity || !strings.Contains(got.Body.String(), `"`+string(tt.code)+`"`) {
				t.Errorf("%s with %s: %d, want %s: %s", path, tt.name, got.Code, tt.code, got.Body)
			}
		}
	}
	want(t, w.sendTwice(h, "POST", "/api/users/signup", "", `{"email":"eve@example.org","password":"eve likes films"}`, "Idempotency-Key", ""), http.StatusUnprocessableEntity, domain.InvalidKey)
	if after := w.env.Size(); after != before {
		t.Errorf("the ledger grew by %d entries", after-before)
	}
	want(t, w.sendTwice(h, "GET", "/api/users/balance", "", "", "Cookie", "a=1; a=2; "+session.Name+"="+session.Value), http.StatusOK, "")
}

// Half of a surrogate pair is no character. Written as U+FFFD, as encoding/json does,
// two passwords would sign in to one account.
func TestLoneSurrogates(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	h := w.server.Handler()
	signUp := func(name, password string) *httptest.ResponseRecorder {
		return w.send(h, "POST", "/api/users/signup", "", `{"email":"`+name+`@example.org","password":"`+password+`"}`)
	}
	for _, password := range []string{`a good \ud800 one`, `a good \udc00 one`, `a good \ud800\ud800 one`, `a good \udc00\ud800 one`, `a good one \ud83c`} {
		want(t, signUp("ada", password), http.StatusUnprocessableEntity, problem.InvalidJSON)
	}
	want(t, w.send(h, "POST", "/api/users/signup", "", `{"\ud800":1}`), http.StatusUnprocessableEntity, problem.InvalidJSON)
	want(t, signUp("ada", `a good \ufffd one`), http.StatusCreated, "")
	want(t, signUp("bob", `a good \ud83c\udfac one`), http.StatusCreated, "")
	for _, password := range []string{`a good \ud800 one`, `a good \udfff one`} {
		want(t, w.send(h, "POST", "/api/users/signin", "", `{"email":"ada@example.org","password":"`+password+`"}`), http.StatusUnprocessableEntity, problem.InvalidJSON)
	}
	want(t, w.send(h, "POST", "/api/users/signin", "", `{"email":"bob@example.org","password":"a good 🎬 one"}`), http.StatusOK, "")
}
