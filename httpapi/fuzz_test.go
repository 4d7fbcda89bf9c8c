package httpapi

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"kassa/eventstore"
	"kassa/httpapi/identity"
)

// The server does not fail on any bytes of a body, and a request that it refuses leaves
// the ledger unchanged.
func fuzzBody(f *testing.F, path string, seeds ...string) {
	for _, seed := range append(seeds, ``, `{}`, `null`, `[]`, `{"`, `{"a":1}`, "{\"text\":\"\xff\"}", `{"amount":1e400}`) {
		f.Add([]byte(seed))
	}
	w := newFixture(f, identity.Limits{Off: true})
	w.addUser("ada")
	h := w.server.Handler()
	deposit := httptest.NewRequest("POST", "/api/users/balance/adjust", bytes.NewBufferString(`{"amount":1000000}`))
	basic(deposit, "ada").Header.Set("Content-Type", "application/json")
	h.ServeHTTP(httptest.NewRecorder(), deposit)
	w.env.Questions.Pause() // its entries would be counted as the request's
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest("POST", path, bytes.NewReader(body))
		basic(r, "ada").Header.Set("Content-Type", "application/json")
		r.Header.Set("Prefer", "wait=0")
		before := entries(t, w.store)
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		if answer.Code >= http.StatusInternalServerError {
			t.Errorf("answers %d: %s", answer.Code, answer.Body)
		}
		if grew := entries(t, w.store) - before; answer.Code >= 300 && grew != 0 {
			t.Errorf("refuses with %d, and the ledger grew by %d", answer.Code, grew)
		}
		theContract(t).check(t, r, body, answer)
	})
}

// entries is the number of entries in the ledger, for a test that is not the fixture's own.
func entries(t *testing.T, store *eventstore.Store) eventstore.Position {
	t.Helper()
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head.Size
}

func FuzzSignUp(f *testing.F) {
	fuzzBody(f, "/api/users/signup", `{"email":"bob@example.org","password":"bob likes films"}`, `{"email":"bob@example.org","password":""}`)
}

func FuzzSignIn(f *testing.F) {
	fuzzBody(f, "/api/users/signin", `{"email":"ada@example.org","password":"ada likes films"}`, `{"email":"ada@example.org","password":"no"}`)
}

func FuzzAdjust(f *testing.F) {
	fuzzBody(f, "/api/users/balance/adjust", `{"amount":1}`, `{"amount":-1}`, `{"amount":1,"user_id":"u_x","reason":"r","reference":"T"}`)
}

func FuzzPredict(f *testing.F) {
	fuzzBody(f, "/api/events/prediction/new", `{"text":"a dream","limit":5}`, `{"text":"ограбление во сне"}`)
}
