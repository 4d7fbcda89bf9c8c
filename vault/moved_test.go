package vault_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"kassa/vault"
)

// testMoved is the suite's part about people of the replaced system: their bcrypt hash is
// good until the next sign-in, which stores one of argon2id.
func testMoved(t *testing.T, p place) {
	const typed = "cafe\u0301 of the old one" // not normalized, as the old system hashed it
	hash := func(password string, cost int) string {
		h, err := bcrypt.GenerateFromPassword([]byte(password), cost)
		must(t, err)
		return string(h)
	}
	first := hash(typed, bcrypt.MinCost)
	v := opened(t, p)
	// An earlier run stopped before they had an account, and their password changed since.
	must(t, v.EnrollMoved(t.Context(), "u_ada", hash("another password", bcrypt.MinCost)))
	must(t, v.EnrollMoved(t.Context(), "u_ada", first))
	must(t, v.EnrollMoved(t.Context(), "u_ada", "")) // where it is not known, the one of before stays
	stored := func() string { return p.one(t, `SELECT hash FROM passwords WHERE user_id = 'u_ada'`) }
	verify := func(password string, want bool) {
		t.Helper()
		if ok, err := opened(t, p).Verify(t.Context(), "u_ada", password); err != nil || ok != want {
			t.Errorf("%q: %t, %v, want %t", password, ok, err, want)
		}
	}
	verify("another password", false)
	if stored() != first {
		t.Error("the hash is not the one that was enrolled last, or a wrong password changed it")
	}
	verify(typed, true)
	if !strings.HasPrefix(stored(), "$argon2id$") {
		t.Errorf("after the sign-in the hash is %s", stored())
	}
	verify(typed, true)
	verify("caf\u00e9 of the old one", true)
	verify("another password", false)
	// Once they have signed in, no later run changes their password.
	must(t, v.EnrollMoved(t.Context(), "u_ada", hash("another password", bcrypt.MinCost)))
	verify("another password", false)
	verify(typed, true)

	sealed, err := v.SealText(t.Context(), "u_ada", "p_1", "a whale")
	must(t, err)
	if text, err := opened(t, p).OpenText(t.Context(), "u_ada", "p_1", sealed); err != nil || text != "a whale" {
		t.Errorf("the key opens %q, %v", text, err)
	}

	// Where the hash is not known no password is accepted, and a reset gives one.
	must(t, v.EnrollMoved(t.Context(), "u_bob", ""))
	for _, password := range []string{"", " ", "another password"} {
		if ok, err := v.Verify(t.Context(), "u_bob", password); err != nil || ok {
			t.Errorf("%q is accepted without a hash: %t, %v", password, ok, err)
		}
	}
	for _, bad := range []string{"plain", first[:59], first + "x", hash("x", bcrypt.MinCost)[:4] + "31" + first[6:], "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$c2FsdA"} {
		if err := v.EnrollMoved(t.Context(), "u_eve", bad); err == nil || vault.BcryptUsable(bad) || strings.Contains(err.Error(), bad) {
			t.Errorf("%s is enrolled: %v", bad, err)
		}
	}
}

// Two sign-ins at once: each is accepted, and opens a session.
func testMovedAtOnce(t *testing.T, p place) {
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	must(t, err)
	must(t, opened(t, p).EnrollMoved(t.Context(), "u_ada", string(h)))
	results := make(chan error, 4)
	for range cap(results) {
		v := opened(t, p)
		go func() {
			ok, err := v.Verify(t.Context(), "u_ada", password)
			if err == nil && ok {
				_, _, err = v.NewSession(t.Context(), "u_ada", password, vault.Origin{}, time.Now())
			}
			results <- err
		}()
	}
	for range cap(results) {
		must(t, <-results)
	}
}

// The account of a person of the replaced system follows from their id and the secret.
func testMovedID(t *testing.T, p place) {
	v := opened(t, p)
	one := v.MovedID("1")
	other, err := p.open(t, vault.Secret("another secret of this test, 32 b"), cheap)
	must(t, err)
	if !one.Valid() || one != opened(t, p).MovedID("1") || one == v.MovedID("2") || one == other.MovedID("1") {
		t.Errorf("the id is %s", one)
	}
}
