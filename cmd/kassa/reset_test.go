package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"kassa/internal/mail/mailtest"
)

// kassa admin reset prints a link of the running service, which sets a password once; the
// former one is refused within a second. The link is in no log.
func TestAdminReset(t *testing.T) {
	data := t.TempDir()
	mails := mailtest.New(t)
	s := serve(t, data, "--smtp-url", mails.URL, "--mail-from", "Kassa <no-reply@kassa.example>", "--public-url", "https://kassa.example")
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	if code, out, complaints := kassa(t, "admin", "reset", "nobody@example.com", "--data", data); code != exitFailed || out != "" {
		t.Errorf("a link for nobody: exit code %d, %q, %s", code, out, complaints)
	}
	code, link, complaints := kassa(t, "admin", "reset", "ada@example.com", "--data", data, "--public-url", "https://kassa.example/")
	token, ok := strings.CutPrefix(strings.TrimSpace(link), "https://kassa.example/web/reset?token=")
	if code != 0 || !ok || len(token) != 43 {
		t.Fatalf("exit code %d, %q, %s", code, link, complaints)
	}
	if strings.Contains(complaints, token) || !strings.Contains(complaints, "reset_requested") {
		t.Errorf("the log is %s", complaints)
	}
	set := map[string]string{"token": token, "new_password": "a short walk away"}
	for _, want := range []int{http.StatusNoContent, http.StatusUnprocessableEntity} {
		if a := ada.do(t.Context(), "POST", "/api/users/password/reset", "", set); a.status != want {
			t.Errorf("the link is answered %d %v, want %d", a.status, a.body, want)
		}
	}
	for set := time.Now(); ; {
		began := time.Since(set)
		if ada.do(t.Context(), "GET", "/api/users/balance", "", nil).status == http.StatusUnauthorized {
			break
		}
		if began > 2*time.Second { // one in the vault, one in the process's memory of its users
			t.Fatalf("the former password is accepted where it is given %s later", began)
		}
	}
	for _, address := range []string{"nobody@example.com", "ada@example.com"} { // by mail
		if a := ada.do(t.Context(), "POST", "/api/users/password/forgot", "", map[string]string{"email": address}); a.status != http.StatusNoContent {
			t.Errorf("asking for a link is answered %d %v", a.status, a.body)
		}
	}
	m := mails.Next()
	if token, ok = strings.CutPrefix(m.Link(), "https://kassa.example/web/reset?token="); m.To != "ada@example.com" || !ok {
		t.Fatalf("a mail to %s: %s", m.To, m.Text)
	}
	set = map[string]string{"token": token, "new_password": "two short walks away"}
	if a := ada.do(t.Context(), "POST", "/api/users/password/reset", "", set); a.status != http.StatusNoContent {
		t.Errorf("the link of the mail is answered %d %v", a.status, a.body)
	}
	mustVerify(t, data)
}
