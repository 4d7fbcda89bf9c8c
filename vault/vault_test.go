package vault_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kassa/domain"
	"kassa/vault"
)

func TestLoadSecretMakesTheFileOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	first, err := vault.LoadSecret(path)
	must(t, err)
	again, err := vault.LoadSecret(path)
	must(t, err)
	if len(first) != 32 || !bytes.Equal(first, again) {
		t.Errorf("secrets of %d and %d bytes, equal %t", len(first), len(again), bytes.Equal(first, again))
	}
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %o", info.Mode().Perm())
	}
	other, err := vault.LoadSecret(filepath.Join(t.TempDir(), "secret"))
	must(t, err)
	if bytes.Equal(first, other) {
		t.Error("two installations have one secret")
	}
}

// Whoever comes first makes it, and all others have that one; nothing is left
// beside it.
func TestLoadSecretRaces(t *testing.T) {
	folder := t.TempDir()
	secrets := make([]vault.Secret, 16)
	var work sync.WaitGroup
	for i := range secrets {
		work.Go(func() {
			var err error
			if secrets[i], err = vault.LoadSecret(filepath.Join(folder, "secret")); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	for _, s := range secrets {
		if !bytes.Equal(s, secrets[0]) {
			t.Fatal("two processes have two secrets")
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("the folder has %v, %v", left, err)
	}
}

func TestLoadSecretRefusesBrokenContent(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "not hexadecimal": strings.Repeat("xy", 32), "half a digit": strings.Repeat("0", 63),
		"one byte short": strings.Repeat("ab", 31), "cut in the middle": strings.Repeat("ab", 16),
	} {
		path := filepath.Join(t.TempDir(), "secret")
		must(t, os.WriteFile(path, []byte(content), 0o600))
		if s, err := vault.LoadSecret(path); err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "abab") {
			t.Errorf("%s: gave %d bytes, %v", name, len(s), err)
		}
		if kept, err := os.ReadFile(path); err != nil || string(kept) != content {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if _, err := vault.LoadSecret(filepath.Join(t.TempDir(), "none", "secret")); err == nil {
		t.Error("a secret in a folder that is not there")
	}
	path := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(path, []byte(" "+strings.Repeat("AB", 40)+"\n\n"), 0o600))
	if s, err := vault.LoadSecret(path); err != nil || len(s) != 40 {
		t.Errorf("a longer secret by hand gave %d bytes, %v", len(s), err)
	}
}

func TestAShortSecretOpensNothing(t *testing.T) {
	f := newFile(t)
	if _, err := f.open(t, secret[:31], cheap); err == nil {
		t.Error("a secret of 31 bytes")
	}
	if _, err := f.open(t, secret[:32], cheap); err != nil {
		t.Errorf("a secret of 32 bytes: %v", err)
	}
}

func testSealAndOpen(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada")
	for _, text := range []string{"", "a", "фильм про выхухоль", strings.Repeat("ы", 2000), "\x00\xff"} {
		sealed, err := v.SealText(t.Context(), "u_ada", "p_1", text)
		must(t, err)
		if len(text) > 8 && bytes.Contains(sealed, []byte(text)) { // two bytes are there by chance, once in a thousand runs
			t.Errorf("%.10q is readable", text)
		}
		for _, reader := range []*vault.Vault{v, opened(t, p)} {
			if got, err := reader.OpenText(t.Context(), "u_ada", "p_1", sealed); err != nil || got != text {
				t.Errorf("%.10q opens to %.10q, %v", text, got, err)
			}
		}
	}
	email, err := v.SealEmail(t.Context(), "u_ada", "ada@example.org")
	must(t, err)
	again, err := v.SealEmail(t.Context(), "u_ada", "ada@example.org")
	must(t, err)
	if bytes.Equal(email, again) {
		t.Error("the same sealed twice looks the same")
	}
	if got, err := v.OpenEmail(t.Context(), "u_ada", email); err != nil || got != "ada@example.org" {
		t.Errorf("the e-mail opens to %q, %v", got, err)
	}
}

// Sealed bytes open in the event that they were made for, and as they were made.
func testMovedAndChangedSealsStayShut(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada", "u_bob")
	ctx := t.Context()
	text, err := v.SealText(ctx, "u_ada", "p_1", "a whale")
	must(t, err)
	email, err := v.SealEmail(ctx, "u_ada", "ada@example.org")
	must(t, err)
	changed := func(at int) domain.Sealed {
		b := bytes.Clone(text)
		b[(at+len(b))%len(b)] ^= 1
		return b
	}
	for name, open := range map[string]func() (string, error){
		"in another question": func() (string, error) { return v.OpenText(ctx, "u_ada", "p_2", text) },
		"of another person":   func() (string, error) { return v.OpenText(ctx, "u_bob", "p_1", text) },
		"as an e-mail":        func() (string, error) { return v.OpenEmail(ctx, "u_ada", text) },
		"another's e-mail":    func() (string, error) { return v.OpenEmail(ctx, "u_bob", email) },
		"an e-mail as a text": func() (string, error) { return v.OpenText(ctx, "u_ada", "u_ada", email) },
		"its nonce changed":   func() (string, error) { return v.OpenText(ctx, "u_ada", "p_1", changed(0)) },
		"its tag changed":     func() (string, error) { return v.OpenText(ctx, "u_ada", "p_1", changed(-1)) },
		"its middle changed":  func() (string, error) { return v.OpenText(ctx, "u_ada", "p_1", changed(13)) },
		"cut short":           func() (string, error) { return v.OpenText(ctx, "u_ada", "p_1", text[:11]) },
		"cut by a byte":       func() (string, error) { return v.OpenText(ctx, "u_ada", "p_1", text[:len(text)-1]) },
		"nothing":             func() (string, error) { return v.OpenText(ctx, "u_ada", "p_1", nil) },
	} {
		if got, err := open(); err == nil || got != "" || errors.Is(err, vault.ErrErased) {
			t.Errorf("%s: opened to %q, %v", name, got, err)
		}
	}
}

// With the row of the key goes all that it sealed, in every process that has not
// read the key before.
func testAnErasedKey(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada", "u_bob")
	sealed, err := v.SealText(t.Context(), "u_ada", "p_1", "a whale")
	must(t, err)
	kept, err := v.SealText(t.Context(), "u_bob", "p_2", "a shark")
	must(t, err)
	p.exec(t, `DELETE FROM subject_keys WHERE user_id = 'u_ada'`)
	later := opened(t, p)
	for name, err := range map[string]error{
		"open":        second(later.OpenText(t.Context(), "u_ada", "p_1", sealed)),
		"open e-mail": second(later.OpenEmail(t.Context(), "u_ada", sealed)),
		"seal":        second(later.SealText(t.Context(), "u_ada", "p_3", "x")),
		"seal e-mail": second(later.SealEmail(t.Context(), "u_ada", "x")),
		"fingerprint": second(later.Fingerprint(t.Context(), "u_ada", "x")),
		"of nobody":   second(later.OpenText(t.Context(), "u_nobody", "p_1", sealed)),
	} {
		if !errors.Is(err, vault.ErrErased) {
			t.Errorf("%s gave %v", name, err)
		}
	}
	if got, err := later.OpenText(t.Context(), "u_bob", "p_2", kept); err != nil || got != "a shark" {
		t.Errorf("another's opens to %q, %v", got, err)
	}
}

// With another installation's secret the database cannot be used, and the error names
// the likely cause.
func testTheWrongSecret(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada")
	sealed, err := v.SealText(t.Context(), "u_ada", "p_1", "a whale")
	must(t, err)
	wrong, err := p.open(t, vault.Secret("another secret of this test, 32 b"), cheap)
	must(t, err)
	got, err := wrong.OpenText(t.Context(), "u_ada", "p_1", sealed)
	if err == nil || got != "" || errors.Is(err, vault.ErrErased) || !strings.Contains(err.Error(), "is this the installation's secret?") {
		t.Errorf("opened to %q, %v", got, err)
	}
	if err := wrong.CheckSecret(t.Context()); !errors.Is(err, vault.ErrSecret) {
		t.Errorf("the check returned %v", err)
	}
	must(t, v.CheckSecret(t.Context()))
	if v.EmailHash("ada@example.org") == wrong.EmailHash("ada@example.org") {
		t.Error("the hash of an e-mail does not depend on the secret")
	}
}

// Without users, or after all of them were erased, any secret is accepted; an
// unreachable database is a fault.
func testCheckSecretOfNobody(t *testing.T, p place) {
	v := opened(t, p)
	must(t, v.CheckSecret(t.Context()))
	left, release := context.WithCancel(t.Context())
	release()
	if err := v.CheckSecret(left); !errors.Is(err, context.Canceled) {
		t.Errorf("of a database that is not asked: %v", err)
	}
}

// A database is bound to the first secret permanently; another secret cannot claim it.
func testClaimSecret(t *testing.T, p place) {
	v := opened(t, p)
	wrong, err := p.open(t, vault.Secret("another secret of this test, 32 b"), cheap)
	must(t, err)
	enrolled(t, v, "u_ada")
	if err := wrong.ClaimSecret(t.Context()); !errors.Is(err, vault.ErrSecret) {
		t.Errorf("a foreign secret claims a used database: %v", err)
	}
	p.exec(t, `DELETE FROM subject_keys`)
	must(t, wrong.CheckSecret(t.Context()))
	must(t, v.ClaimSecret(t.Context()))
	must(t, v.ClaimSecret(t.Context()))
	must(t, opened(t, p).CheckSecret(t.Context()))
	for _, check := range []func(context.Context) error{wrong.CheckSecret, wrong.ClaimSecret} {
		if err := check(t.Context()); !errors.Is(err, vault.ErrSecret) {
			t.Errorf("another secret: %v", err)
		}
	}
	must(t, v.CheckSecret(t.Context()))
}

func testEmailHash(t *testing.T, p place) {
	v := opened(t, p)
	hash := v.EmailHash("ada@example.org")
	if len(hash) != 40 || hash != opened(t, p).EmailHash("ada@example.org") || hash == v.EmailHash("bob@example.org") {
		t.Errorf("the hash is %q", hash)
	}
	if _, err := hex.DecodeString(hash); err != nil {
		t.Error(err)
	}
}

// A fingerprint is the same for the same content of one user, and reveals nothing about
// another's.
func testFingerprint(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada", "u_bob")
	mark := func(v *vault.Vault, u domain.UserID, content string) string {
		m, err := v.Fingerprint(t.Context(), u, content)
		must(t, err)
		return m
	}
	ada := mark(v, "u_ada", "deposit 5")
	if len(ada) != 24 || strings.Contains(ada, ":") || ada != mark(opened(t, p), "u_ada", "deposit 5") {
		t.Errorf("the fingerprint is %q", ada)
	}
	if ada == mark(v, "u_bob", "deposit 5") || ada == mark(v, "u_ada", "deposit 6") {
		t.Error("another person's, or other content, has the same fingerprint")
	}
}

// Enrolling is whole or not at all, and once.
func testEnroll(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada")
	sealed, err := v.SealText(t.Context(), "u_ada", "p_1", "a whale")
	must(t, err)
	if !remembers(t, v, "u_ada", password) || remembers(t, v, "u_ada", "another password") {
		t.Error("who has just signed up is hashed again")
	}
	if err := opened(t, p).Enroll(t.Context(), "u_ada", "another password"); err == nil {
		t.Error("the same person was enrolled twice")
	}
	p.exec(t, `INSERT INTO passwords (user_id, hash) VALUES ('u_half', 'x')`)
	if err := v.Enroll(t.Context(), "u_half", password); err == nil {
		t.Error("enrolled over a row that was there")
	}
	if _, err := opened(t, p).SealText(t.Context(), "u_half", "p_1", "x"); !errors.Is(err, vault.ErrErased) {
		t.Errorf("a user was enrolled in part: %v", err)
	}
	if ok, err := opened(t, p).Verify(t.Context(), "u_ada", password); err != nil || !ok {
		t.Errorf("the first password: %t, %v", ok, err)
	}
	if got, err := opened(t, p).OpenText(t.Context(), "u_ada", "p_1", sealed); err != nil || got != "a whale" {
		t.Errorf("the first key opens to %q, %v", got, err)
	}
	left, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Enroll(left, "u_late", password); !errors.Is(err, context.Canceled) {
		t.Errorf("who left was enrolled: %v", err)
	}
}
