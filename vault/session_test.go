package vault_test

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"kassa/vault"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestSessions(t *testing.T) {
	f := newFile(t)
	v := f.open(t)
	ada, err := v.NewSession(t.Context(), "u_ada", noon)
	must(t, err)
	phone, err := v.NewSession(t.Context(), "u_ada", noon)
	must(t, err)
	bob, err := v.NewSession(t.Context(), "u_bob", noon)
	must(t, err)
	if ada == phone || len(ada) < 26 {
		t.Fatalf("tokens %q and %q", ada, phone)
	}
	end := noon.Add(vault.SessionLife)
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
		u, ok, err := f.open(t).Session(t.Context(), tt.token, tt.now)
		if err != nil || string(u) != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %t, %v", tt.name, u, ok, err)
		}
	}
	must(t, v.EndSession(t.Context(), ada))
	must(t, v.EndSession(t.Context(), ada)) // twice is no matter
	for token, want := range map[string]bool{ada: false, phone: true, bob: true} {
		if _, ok, err := v.Session(t.Context(), token, noon); err != nil || ok != want {
			t.Errorf("after one ended, session %.4s… is there: %t, %v", token, ok, err)
		}
	}
}

func TestDropExpired(t *testing.T) {
	f := newFile(t)
	v := f.open(t)
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

// Whoever reads the files cannot sign in with what they find.
func TestTokensAreStoredAsHashes(t *testing.T) {
	f := newFile(t)
	v := f.open(t)
	token, err := v.NewSession(t.Context(), "u_reader", noon)
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

func TestSessionFaults(t *testing.T) {
	v := newFile(t).open(t)
	left, leave := context.WithCancel(t.Context())
	leave()
	if _, err := v.NewSession(left, "u_ada", noon); err == nil {
		t.Error("a session of who left")
	}
	if _, ok, err := v.Session(left, "x", noon); err == nil || ok {
		t.Errorf("a session that cannot be read: %t, %v", ok, err)
	}
	if v.EndSession(left, "x") == nil || v.DropExpired(left, noon) == nil {
		t.Error("what was not done is said to be done")
	}
}
