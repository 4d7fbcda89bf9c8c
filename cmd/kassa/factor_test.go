package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"kassa/internal/app"
	"kassa/vault"
)

// With --require-admin-factor an admin needs a second factor, and kassa admin factor-reset
// turns a lost one off, by a named user of the system.
func TestAdminFactor(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data, "--require-admin-factor")
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	run := func(want string, arguments ...string) string {
		t.Helper()
		code, out, complaints := kassa(t, append(arguments, "--data", data)...)
		if code != 0 || !strings.Contains(out, want) {
			t.Fatalf("%s: exit code %d, %q, %s", arguments, code, out, complaints)
		}
		return complaints
	}
	run("an admin since", "admin", "grant", "ada@example.com")
	if a := ada.do(t.Context(), "GET", "/api/admin/users", "", nil); a.status != http.StatusForbidden || a.body["code"] != "factor_required" {
		t.Errorf("without a factor the list is answered %d %v", a.status, a.body)
	}
	run("has no second factor", "admin", "factor-reset", "ada@example.com")
	l, err := dataSettings{Data: data}.openExisting(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := l.Commands(app.Terms{}).FindUser(t.Context(), "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	_, browser, err := l.Vault.NewSession(t.Context(), u, password, vault.Origin{}, now)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := l.Vault.OfferFactor(t.Context(), u, browser.ID, now); err != nil || !ok {
		t.Fatal(ok, err)
	}
	f, err := l.Vault.Factor(t.Context(), u, browser.ID, now)
	if err != nil {
		t.Fatal(err)
	}
	code, err := totp.GenerateCode(f.Secret, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := l.Vault.ConfirmFactor(t.Context(), u, browser.ID, code, now); err != nil || !ok {
		t.Fatal(ok, err)
	}
	status := func(want int) {
		t.Helper()
		for start := time.Now(); ada.do(t.Context(), "GET", "/api/users/balance", "", nil).status != want; {
			if time.Since(start) > 30*time.Second { // a second, and the pauses of a busy machine
				t.Fatalf("the password is not answered %d", want)
			}
		}
	}
	status(http.StatusUnauthorized)
	if log := run("is off", "admin", "factor-reset", "ada@example.com"); !strings.Contains(log, "factor_removed") || !strings.Contains(log, `"console":`) {
		t.Errorf("the log is %s", log)
	}
	status(http.StatusOK)
	mustVerify(t, data)
}
