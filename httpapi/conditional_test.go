package httpapi

import (
	"fmt"
	"net/http"
	"testing"

	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
)

// A client that reads its prediction repeatedly gets the body once: until the
// prediction ends, and then until the answer changes, here by an erasure.
func TestPredictionsThatTheClientHas(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	w.addUser("bob")
	h := w.server.Handler()
	w.env.Questions.Pause()
	asked := w.send(h, "POST", "/api/events/prediction/new", "ada", `{"text":"inception"}`, "Prefer", "wait=0")
	want(t, asked, http.StatusAccepted, "")
	path := asked.Header().Get("Location")
	read := func(h http.Handler, tag string, status int) string {
		t.Helper()
		answer := w.send(h, "GET", path, "ada", "", "If-None-Match", tag)
		want(t, answer, status, "")
		if had := status == http.StatusNotModified; had != (answer.Body.Len() == 0) {
			t.Errorf("answers %d with %q", status, answer.Body)
		}
		if kept := answer.Header().Get("Cache-Control"); kept != "no-store" {
			t.Errorf("a prediction may be cached: %q", kept)
		}
		return answer.Header().Get("ETag")
	}
	pending := read(h, `"none"`, http.StatusOK)
	read(h, pending, http.StatusNotModified)
	w.env.Questions.Resume()
	ended := read(h, pending, http.StatusOK)
	read(h, ended, http.StatusNotModified)
	want(t, w.send(h, "GET", path, "bob", "", "If-None-Match", ended), http.StatusNotFound, problem.PredictionNotFound)
	want(t, w.send(h, "GET", path, "", "", "If-None-Match", "*"), http.StatusUnauthorized, problem.AuthenticationRequired)

	if _, err := w.env.File.Write.Exec(`DELETE FROM subject_keys WHERE user_id = ?`, string(ada)); err != nil {
		t.Fatal(err)
	}
	read(w.newServer(w.newVault(), identity.Limits{Off: true}).Handler(), ended, http.StatusOK)
}

// A client may cache the contract, and revalidate it.
func TestContractThatTheClientHas(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	h := w.server.Handler()
	for _, path := range []string{"/api/openapi.yaml", "/api/openapi.json"} {
		got := w.send(h, "GET", path, "", "")
		want(t, got, http.StatusOK, "")
		if kept := got.Header().Get("Cache-Control"); kept != "no-cache" {
			t.Errorf("%s may be kept so: %q", path, kept)
		}
		want(t, w.send(h, "GET", path, "", "", "If-None-Match", got.Header().Get("ETag")), http.StatusNotModified, "")
		want(t, w.send(h, "HEAD", path, "", "", "If-None-Match", got.Header().Get("ETag")), http.StatusNotModified, "")
		want(t, w.send(h, "GET", path, "", "", "If-None-Match", `"another"`), http.StatusOK, "")
	}
}

// A client that has a balance or a page gets it again only when it changed: what others do
// moves the position, and changes neither.
func TestBalanceAndPagesThatTheClientHas(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	w.addUser("bob")
	h := w.server.Handler()
	want(t, w.send(h, "POST", "/api/users/balance/adjust", "ada", `{"amount":100}`), http.StatusOK, "")
	want(t, w.send(h, "POST", "/api/events/prediction/new", "ada", `{"text":"inception"}`), http.StatusOK, "")
	for _, path := range []string{"/api/users/balance", "/api/users/transaction/history", "/api/events/prediction/history?limit=1"} {
		w.env.WaitFor(w.env.Size())
		first := w.send(h, "GET", path, "ada", "")
		want(t, first, http.StatusOK, "")
		want(t, w.send(h, "POST", "/api/users/balance/adjust", "bob", `{"amount":5}`), http.StatusOK, "")
		w.env.WaitFor(w.env.Size())
		same := w.send(h, "GET", path, "ada", "", "If-None-Match", first.Header().Get("ETag"))
		want(t, same, http.StatusNotModified, "")
		if at := same.Header().Get(PositionHeader); same.Body.Len() > 0 || at != fmt.Sprint(w.env.Size()) {
			t.Errorf("%s answers 304 at %s with %q", path, at, same.Body)
		}
		want(t, w.send(h, "POST", "/api/events/prediction/new", "ada", `{"text":"a dream"}`), http.StatusOK, "")
		changed := w.send(h, "GET", path, "ada", "", "If-None-Match", first.Header().Get("ETag"))
		want(t, changed, http.StatusOK, "")
		if changed.Header().Get("ETag") == first.Header().Get("ETag") {
			t.Errorf("%s has changed, and not its tag", path)
		}
	}
}
