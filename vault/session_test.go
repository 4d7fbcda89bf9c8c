package vault_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"kassa/vault"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func testSessions(t *testing.T, p place) {
	v := opened(t, p)
	ada, err := v.NewSession(t.Context(), "u_ada", noon)
	must(t, err)
	phone, err := v.NewSession(t.Context(), "u_ada", noon)
	must(t, err)
	bob, err := v.NewSession(t.Context(), "u_bob", noon)
	must(t, err)
	if ada == phone || len(ada) < 26 {
		t.Fatalf("tokens %q and %q", ada, phone)
	}
	end := noon.Add(30 * 24 * time.Hour)
	for _, tt := range []struct {
		name, token string
		now         time.Time
		want        string
	}{
		{"at once", ada, noon, "u_ada"},
		{"a second before its end", ada, end.Add(-time.Second), "u_ada"},
		{"at its end", ada, end, ""},
		{"after its end", ada, end.Add(time.Hour), ""},
		{"another's", bob, noon, "u_bob"},
		{"none", "", noon, ""},
		{"one that never was", ada + "A", noon, ""},
		{"in another spelling", string(bytes.ToLower([]byte(ada))), noon, ""},
	} {
		u, ok, err := opened(t, p).Session(t.Context(), tt.token, tt.now)
		if err != nil || string(u) != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %t, %v", tt.name, u, ok, err)
		}
	}
}

// Who signs out is signed out in every process, and in no other browser.
func testEndSession(t *testing.T, p place) {
	v := opened(t, p)
	ada, err := v.NewSession(t.Context(), "u_ada", noon)
	must(t, err)
	phone, err := v.NewSession(t.Context(), "u_ada", noon)
	must(t, err)
	bob, err := v.NewSession(t.Context(), "u_bob", noon)
	must(t, err)
	must(t, v.EndSession(t.Context(), ada))
	must(t, v.EndSession(t.Context(), ada)) // twice is no matter
	for token, want := range map[string]bool{ada: false, phone: true, bob: true} {
		for _, process := range []*vault.Vault{v, opened(t, p)} {
			if _, ok, err := process.Session(t.Context(), token, noon); err != nil || ok != want {
				t.Errorf("after one ended, session %.4s… is there: %t, %v", token, ok, err)
			}
		}
	}
}

func testDropExpired(t *testing.T, p place) {
	v := opened(t, p)
	old, err := v.NewSession(t.Context(), "u_ada", noon)
	must(t, err)
	young, err := v.NewSession(t.Context(), "u_ada", noon.Add(time.Second))
	must(t, err)
	must(t, v.DropExpired(t.Context(), noon.Add(vault.SessionLife)))
	for token, want := range map[string]bool{old: false, young: true} {
		// Asked of a time at which both still ran: what is gone is gone.
		if _, ok, err := v.Session(t.Context(), token, noon.Add(2*time.Second)); err != nil || ok != want {
			t.Errorf("session %.4s… is there: %t, %v", token, ok, err)
		}
	}
}

// Who reads the files cannot sign in with what they find.
func TestTokensAreStoredAsHashes(t *testing.T) {
	f := newFile(t)
	token, err := opened(t, f).NewSession(t.Context(), "u_reader", noon)
	must(t, err)
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(f.path + suffix)
		must(t, err)
		if bytes.Contains(content, []byte(token)) {
			t.Errorf("kassa.db%s holds the token", suffix)
		}
		if suffix == "-wal" && !bytes.Contains(content, []byte("u_reader")) {
			t.Error("the row is not found either: the search is blind")
		}
	}
}

// A database that cannot be asked is a fault: never an answer of no, and never a yes.
func testFaults(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada")
	token, err := v.NewSession(t.Context(), "u_ada", noon)
	must(t, err)
	later := opened(t, p) // which remembers nothing
	left, leave := context.WithCancel(t.Context())
	leave()
	if token, err := later.NewSession(left, "u_ada", noon); !errors.Is(err, context.Canceled) || token != "" {
		t.Errorf("a session that is not kept: %q, %v", token, err)
	}
	if u, ok, err := later.Session(left, token, noon); !errors.Is(err, context.Canceled) || ok || u != "" {
		t.Errorf("a session that is not read: %q, %t, %v", u, ok, err)
	}
	if ok, err := later.Verify(left, "u_ada", password); !errors.Is(err, context.Canceled) || ok {
		t.Errorf("a password that is not read: %t, %v", ok, err)
	}
	for name, err := range map[string]error{
		"end a session": later.EndSession(left, token),
		"drop sessions": later.DropExpired(left, noon.Add(vault.SessionLife)),
		"seal a text":   second(later.SealText(left, "u_ada", "p_1", "x")),
		"seal an email": second(later.SealEmail(left, "u_ada", "x")),
		"open a text":   second(later.OpenText(left, "u_ada", "p_1", nil)),
		"fingerprint":   second(later.Fingerprint(left, "u_ada", "x")),
	} {
		if !errors.Is(err, context.Canceled) || errors.Is(err, vault.ErrErased) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if u, ok, err := later.Session(t.Context(), token, noon); err != nil || !ok || u != "u_ada" {
		t.Errorf("the session afterwards: %q, %t, %v", u, ok, err)
	}
}
