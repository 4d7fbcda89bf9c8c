package vault_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kassa/domain"
	"kassa/vault"
)

// newReset gives the token of a reset that was just made.
func newReset(t testing.TB, v *vault.Vault, u domain.UserID, now time.Time) string {
	t.Helper()
	token, ok, err := v.NewReset(t.Context(), u, now)
	if err != nil || !ok {
		t.Fatalf("no reset: %t, %v", ok, err)
	}
	return token
}

// A token sets the password of its person, once and for half an hour, and all that the
// former one has opened ends in all processes.
func testReset(t *testing.T, p place) {
	const another = "a short walk away"
	here, there := opened(t, p), opened(t, p)
	enrolled(t, here, "u_ada", "u_bob")
	token := newReset(t, here, "u_ada", noon)
	if random, err := base64.RawURLEncoding.DecodeString(token); err != nil || len(random) != 32 {
		t.Errorf("the token %q has %d bytes, %v", token, len(random), err)
	}
	browser := started(t, there, "u_ada", noon)
	for _, tt := range []struct {
		name, token string
		user        domain.UserID
		at          time.Time
	}{
		{"guessed", base64.RawURLEncoding.EncodeToString(make([]byte, 32)), "u_ada", noon},
		{"empty", "", "u_ada", noon},
		{"cut", token[:42], "u_ada", noon},
		{"of another person", token, "u_bob", noon},
		{"too late", token, "u_ada", noon.Add(vault.ResetLife)},
	} {
		if tt.user == "u_ada" {
			if u, ok, err := there.ResetOf(t.Context(), tt.token, tt.at); err != nil || ok || u != "" {
				t.Errorf("%s: a token of %q: %t, %v", tt.name, u, ok, err)
			}
		}
		if ok, err := there.Reset(t.Context(), tt.user, tt.token, another, tt.at); err != nil || ok {
			t.Errorf("%s: set a password: %t, %v", tt.name, ok, err)
		}
	}
	for range 2 { // to look does not use it
		if u, ok, err := there.ResetOf(t.Context(), token, noon.Add(29*time.Minute)); err != nil || !ok || u != "u_ada" {
			t.Fatalf("the token is of %q: %t, %v", u, ok, err)
		}
	}
	if ok, err := there.Reset(t.Context(), "u_ada", token, another, noon.Add(29*time.Minute)); err != nil || !ok {
		t.Fatalf("not set: %t, %v", ok, err)
	}
	if ok, err := here.Reset(t.Context(), "u_ada", token, "a third one", noon); err != nil || ok {
		t.Errorf("replayed: %t, %v", ok, err)
	}
	if _, ok, err := here.Session(t.Context(), browser, "", noon); err != nil || ok {
		t.Errorf("the old session goes on: %t, %v", ok, err)
	}
	later := opened(t, p)
	for typed, want := range map[string]bool{password: false, another: true, "a third one": false} {
		if ok, err := later.Verify(t.Context(), "u_ada", typed); err != nil || ok != want {
			t.Errorf("%q is the password: %t, %v", typed, ok, err)
		}
	}
	if ok, err := later.Verify(t.Context(), "u_bob", password); err != nil || !ok {
		t.Errorf("another's password: %t, %v", ok, err)
	}
}

// A token ends when another is made, when the password is changed, and with its time.
func testResetsEnd(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada")
	good := func(token string) bool {
		t.Helper()
		_, ok, err := opened(t, p).ResetOf(t.Context(), token, noon)
		must(t, err)
		return ok
	}
	first := newReset(t, v, "u_ada", noon)
	second := newReset(t, v, "u_ada", noon)
	if good(first) || !good(second) || first == second {
		t.Errorf("of two the first is good: %t, the second: %t", good(first), good(second))
	}
	if ok, err := v.ChangePassword(t.Context(), "u_ada", password, "a short walk away"); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if good(second) {
		t.Error("a token outlives a change of the password")
	}
	old := newReset(t, v, "u_ada", noon.Add(-vault.ResetLife))
	must(t, v.DropExpired(t.Context(), noon))
	if n := p.one(t, `SELECT cast(count(*) AS text) FROM resets`); n != "0" || good(old) {
		t.Errorf("%s tokens are kept that are over", n)
	}
	if token, ok, err := v.NewReset(t.Context(), "u_nobody", noon); err != nil || ok {
		t.Errorf("a token %q of nobody: %t, %v", token, ok, err)
	}
}

// Of several processes that use one token at once, and of a change beside them, one is done.
func testResetAtOnce(t *testing.T, p place) {
	here, there := opened(t, p), opened(t, p)
	enrolled(t, here, "u_ada")
	token := newReset(t, here, "u_ada", noon)
	var done atomic.Int32
	var all sync.WaitGroup
	count := func(ok bool, err error) {
		if err != nil {
			t.Error(err)
		}
		if ok {
			done.Add(1)
		}
	}
	for i := range 6 {
		all.Go(func() {
			count([]*vault.Vault{here, there}[i%2].Reset(t.Context(), "u_ada", token, "a short walk away", noon))
		})
	}
	all.Go(func() { count(here.ChangePassword(t.Context(), "u_ada", password, "a third one")) })
	all.Wait()
	if done.Load() != 1 {
		t.Errorf("%d were done", done.Load())
	}
}

// Who reads the files, even with the hash of every token, cannot set a password.
func TestResetTokensAreStoredAsKeyedHashes(t *testing.T) {
	f := newFile(t)
	v := opened(t, f)
	enrolled(t, v, "u_reader")
	token := newReset(t, v, "u_reader", noon)
	random, err := base64.RawURLEncoding.DecodeString(token)
	must(t, err)
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(f.path + suffix)
		must(t, err)
		if bytes.Contains(content, []byte(token)) || bytes.Contains(content, random) {
			t.Errorf("kassa.db%s holds the token", suffix)
		}
	}
	other, err := f.open(t, vault.Secret("another secret of this test, 32 b"), cheap)
	must(t, err)
	if _, ok, err := other.ResetOf(t.Context(), token, noon); err != nil || ok {
		t.Errorf("under another secret the token is good: %t, %v", ok, err)
	}
	left, release := context.WithCancel(t.Context())
	release()
	for name, err := range map[string]error{
		"use":  second(v.Reset(left, "u_reader", token, "a short walk away", noon)),
		"make": func() error { _, _, err := v.NewReset(left, "u_reader", noon); return err }(),
		"read": func() error { _, _, err := v.ResetOf(left, token, noon); return err }(),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
