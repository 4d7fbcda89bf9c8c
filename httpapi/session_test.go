package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kassa/domain"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
)

// browse sends a request with a session cookie instead of a password.
func (w *fixture) browse(h http.Handler, method, path string, session *http.Cookie) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.send(h, method, path, "", "", "Cookie", session.Name+"="+session.Value)
}

// session is the one cookie that an answer sets.
func session(t testing.TB, answer *httptest.ResponseRecorder) *http.Cookie {
	t.Helper()
	cookies := answer.Result().Cookies()
	if len(cookies) != 1 || cookies[0].Name != "kassa_session" {
		t.Fatalf("the answer sets the cookies %v", cookies)
	}
	return cookies[0]
}

func (w *fixture) signIn(h http.Handler, name string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.send(h, "POST", "/api/users/signin", "", `{"email":"`+email(name)+`","password":"`+password(name)+`"}`, headers...)
}

// Signing out, or in again, ends the session on the server: a copy of its cookie is
// invalid from then on, in every process. Sessions of other browsers continue.
func TestSignOut(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	h := w.server.Handler()
	works := func(s *http.Cookie, status int) {
		t.Helper()
		for _, process := range []http.Handler{h, w.newServer(w.newVault(), identity.Limits{}).Handler()} {
			want(t, w.browse(process, "GET", "/api/users/balance", s), status, "")
		}
	}
	here, phone := session(t, w.signIn(h, "ada")), session(t, w.signIn(h, "ada"))
	works(here, http.StatusOK)
	out := w.browse(h, "POST", "/api/users/signout", here)
	want(t, out, http.StatusNoContent, "")
	if cleared := session(t, out); cleared.Value != "" || cleared.MaxAge >= 0 {
		t.Errorf("the cookie stays: %s", cleared)
	}
	works(here, http.StatusUnauthorized)
	works(phone, http.StatusOK)
	want(t, w.browse(h, "POST", "/api/users/signout", here), http.StatusNoContent, "") // a repeated sign-out has no effect

	again := session(t, w.signIn(h, "ada", "Cookie", phone.Name+"="+phone.Value))
	works(phone, http.StatusUnauthorized)
	works(again, http.StatusOK)
	gone := w.browse(h, "GET", "/api/users/balance", phone)
	if cleared := session(t, gone); cleared.MaxAge >= 0 {
		t.Errorf("the cookie of a session that is over stays: %s", cleared)
	}
	w.clock.advance(30 * 24 * time.Hour)
	works(again, http.StatusUnauthorized)
}

// If the database cannot be read, the user is not known: that is a fault, neither an
// anonymous request nor a wrong password. No cookie is set or cleared.
func TestFaultsOfTheVault(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	signedIn := session(t, w.signIn(w.server.Handler(), "ada"))
	var reached bool
	server := w.newServer(w.newVault(), identity.Limits{Off: true})
	server.Pages = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })
	h := server.Handler()
	fails := func(what string, answer *httptest.ResponseRecorder) {
		t.Helper()
		if answer.Code != http.StatusInternalServerError || reached || len(answer.Result().Cookies()) > 0 {
			t.Errorf("%s: answers %d with %v, and the page was reached: %t", what, answer.Code, answer.Result().Cookies(), reached)
		}
	}
	without := func(table string, requests func()) {
		t.Helper()
		for i, statement := range []string{`ALTER TABLE ` + table + ` RENAME TO away`, `ALTER TABLE away RENAME TO ` + table} {
			if _, err := w.env.File.Write.Exec(statement); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				requests()
			}
		}
	}
	without("sessions", func() {
		fails("a session", w.browse(h, "GET", "/api/users/balance", signedIn))
		page := httptest.NewRequest("GET", "/web", nil)
		page.AddCookie(signedIn)
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, page)
		fails("a page", answer)
		fails("a sign-in", w.signIn(w.server.Handler(), "ada"))
		fails("a sign-out", w.browse(h, "POST", "/api/users/signout", signedIn))
	})
	without("passwords", func() {
		fails("a password", w.send(h, "GET", "/api/users/balance", "ada", ""))
		fails("a sign-in by password", w.signIn(h, "ada"))
	})
	without("subject_keys", func() { fails("an e-mail", w.browse(h, "GET", "/api/admin/users", signedIn)) })
	want(t, w.browse(h, "GET", "/api/users/balance", signedIn), http.StatusOK, "")
}

// lostAccounts is a log that cannot be read.
type lostAccounts struct{ identity.Accounts }

func (lostAccounts) FindUser(context.Context, string) (domain.UserID, error) {
	return "", errors.New("the log cannot be read")
}

// If the log cannot be read, the answer is not "wrong password".
func TestFaultsOfTheLog(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	h := w.server.Handler()
	people := w.server.Identity.Users
	w.server.Identity.Users = lostAccounts{}
	want(t, w.signIn(h, "ada"), http.StatusInternalServerError, problem.Internal)
	want(t, w.send(h, "GET", "/api/users/balance", "ada", ""), http.StatusInternalServerError, problem.Internal)
	w.server.Identity.Users = people
	want(t, w.signIn(h, "ada"), http.StatusOK, "")
}

// Credentials of another scheme are refused, not ignored.
func TestOtherCredentials(t *testing.T) {
	w := newFixture(t, identity.Limits{})
	h := w.server.Handler()
	for _, header := range []string{"Bearer abc", "Basic !!", "Basic", strings.Repeat("x", 100)} {
		want(t, w.send(h, "GET", "/api/users/balance", "", "", "Authorization", header), http.StatusUnauthorized, domain.InvalidCredentials)
	}
}

// A link for a forgotten password is asked for by anyone; the answer is the same for an address
// without an account.
func TestForgottenPassword(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	h := w.server.Handler()
	ask := func(body string) *httptest.ResponseRecorder {
		return w.send(h, "POST", "/api/users/password/forgot", "", body)
	}
	want(t, ask(`{"email":"ada@example.org"}`), http.StatusNotFound, problem.MailOff)
	w.server.Identity.Mails = true
	customer, stranger := ask(`{"email":"ada@example.org","language":"ru"}`), ask(`{"email":"nobody@example.org"}`)
	for _, answer := range []*httptest.ResponseRecorder{customer, stranger} {
		want(t, answer, http.StatusNoContent, "")
		answer.Header().Del(problem.RequestID)
	}
	if a, b := fmt.Sprint(customer.Header(), customer.Body), fmt.Sprint(stranger.Header(), stranger.Body); a != b {
		t.Errorf("the answers differ: %s, %s", a, b)
	}
	want(t, ask(`{"email":"ada@example.org","language":"fr"}`), http.StatusUnprocessableEntity, problem.InvalidLanguage)
	want(t, ask(`{"email":"no address"}`), http.StatusUnprocessableEntity, domain.InvalidEmail)
	want(t, ask(`{}`), http.StatusUnprocessableEntity, domain.InvalidEmail)
	stored := map[string]string{}
	for range 3 {
		m, _, err := w.vault.NextMail(t.Context(), w.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		stored[m.Email] = m.Language
	}
	if stored[email("ada")] != "ru" || stored[email("nobody")] != "en" || len(stored) != 3 { // the third read finds none
		t.Errorf("stored is %v", stored)
	}
}
