package httpapi

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"kassa/httpapi/identity"
)

// Erased data is empty and marked as erased; balances stay.
func TestErased(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	w.addUser("root")
	w.setAdmin("root", true)
	want(t, w.send(w.server.Handler(), "POST", "/api/events/prediction/new", "ada", `{"text":"a secret"}`), http.StatusOK, "")
	if _, err := w.env.File.Write.Exec(`DELETE FROM subject_keys WHERE user_id = ?`, string(ada)); err != nil {
		t.Fatal(err)
	}
	h := w.newServer(w.newVault(), identity.Limits{Off: true}).Handler()

	got := w.send(h, "GET", "/api/admin/users/"+string(ada), "root", "")
	want(t, got, http.StatusOK, "")
	var user userJSON
	decodeJSON(t, got.Body.Bytes(), &user)
	if user.Email != "" || !user.EmailErased || user.Balance != 5 {
		t.Errorf("erased user is %+v", user)
	}
	got = w.send(h, "GET", "/api/events/prediction/history", "ada", "")
	want(t, got, http.StatusOK, "")
	if !strings.Contains(got.Body.String(), `"text":"","text_erased":true`) {
		t.Errorf("erased text: %s", got.Body)
	}
}

// A damaged key or text affects only its user: no list fails because of it, and the
// user can sign in and spend as before.
func TestDamaged(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	w.addUser("root")
	w.setAdmin("root", true)
	want(t, w.send(w.server.Handler(), "POST", "/api/events/prediction/new", "ada", `{"text":"a secret"}`), http.StatusOK, "")
	if _, err := w.env.File.Write.Exec(`UPDATE subject_keys SET wrapped = zeroblob(60) WHERE user_id = ?`, string(ada)); err != nil {
		t.Fatal(err)
	}
	s := w.newServer(w.newVault(), identity.Limits{Off: true})
	var log bytes.Buffer
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	h := s.Handler()
	for path, says := range map[string]string{
		"/api/admin/users":                       `"email":"","email_unreadable":true`,
		"/api/admin/users/" + string(ada):        `"email":"","email_unreadable":true`,
		"/api/admin/users?email=" + email("ada"): `"email":"","email_unreadable":true`,
	} {
		got := w.send(h, "GET", path, "root", "")
		want(t, got, http.StatusOK, "")
		if !strings.Contains(got.Body.String(), says) {
			t.Errorf("%s returned %s", path, got.Body)
		}
	}
	got := w.send(h, "GET", "/api/events/prediction/history", "ada", "")
	want(t, got, http.StatusOK, "")
	if !strings.Contains(got.Body.String(), `"text":"","text_unreadable":true`) {
		t.Errorf("a damaged text: %s", got.Body)
	}
	want(t, w.send(h, "POST", "/api/users/signin", "", `{"email":"ada@example.org","password":"ada likes films"}`), http.StatusOK, "")
	if !strings.Contains(log.String(), "personal data cannot be read") || !strings.Contains(log.String(), string(ada)) {
		t.Errorf("the log does not name the damage: %s", &log)
	}
}
