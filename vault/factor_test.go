package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"kassa/domain"
	"kassa/vault"
)

// codeOf is what the person's device shows at a time.
func codeOf(t testing.TB, secret string, at time.Time) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, at)
	must(t, err)
	return code
}

// offered gives the secret that a session of the person is offered, and the session.
func offered(t testing.TB, v *vault.Vault, u domain.UserID) (secret string, session vault.SessionID) {
	t.Helper()
	_, s, err := v.NewSession(t.Context(), u, password, vault.Origin{}, noon)
	must(t, err)
	if ok, err := v.OfferFactor(t.Context(), u, s.ID, noon); err != nil || !ok {
		t.Fatalf("offered: %t, %v", ok, err)
	}
	f, err := v.Factor(t.Context(), u, s.ID, noon)
	must(t, err)
	return f.Secret, s.ID
}

// withFactor gives a person an active factor, its secret and its recovery codes. The step of
// noon is used.
func withFactor(t testing.TB, v *vault.Vault, u domain.UserID) (secret string, codes []string) {
	t.Helper()
	secret, session := offered(t, v, u)
	codes, ok, err := v.ConfirmFactor(t.Context(), u, session, codeOf(t, secret, noon), noon)
	if err != nil || !ok || len(codes) != vault.RecoveryCodes {
		t.Fatalf("confirmed: %q, %t, %v", codes, ok, err)
	}
	return secret, codes
}

func checks(t testing.TB, v *vault.Vault, u domain.UserID, code string, at time.Time) bool {
	t.Helper()
	_, ok, err := v.CheckCode(t.Context(), u, code, at)
	must(t, err)
	return ok
}

// A factor is active once its first code was given in time, ends the other sessions, and its
// secret is not given again.
func testFactor(t *testing.T, p place) {
	v, other := opened(t, p), opened(t, p)
	enrolled(t, v, "u_ada", "u_bob")
	here, _, err := v.NewSession(t.Context(), "u_ada", password, vault.Origin{}, noon)
	must(t, err)
	there := started(t, v, "u_ada", noon)
	s, _, err := v.Session(t.Context(), here, "", noon)
	must(t, err)
	if f, err := v.Factor(t.Context(), "u_ada", s.ID, noon); err != nil || f != (vault.Factor{}) {
		t.Errorf("before it is %+v, %v", f, err)
	}
	var former string
	for range 2 { // the second offer replaces the first
		if ok, err := v.OfferFactor(t.Context(), "u_ada", s.ID, noon); err != nil || !ok {
			t.Fatal(ok, err)
		}
		f, err := v.Factor(t.Context(), "u_ada", s.ID, noon)
		if err != nil || f.Active || len(f.Secret) != 32 || f.Secret == former {
			t.Fatalf("offered is %+v, %v", f, err)
		}
		former = f.Secret
	}
	for name, try := range map[string]struct {
		code string
		at   time.Time
	}{"a wrong code": {"000000", noon}, "an empty code": {"", noon}, "a code of long ago": {codeOf(t, former, noon.Add(-time.Hour)), noon}, "a late code": {codeOf(t, former, noon.Add(vault.FactorSetup)), noon.Add(vault.FactorSetup)}} {
		if _, ok, err := v.ConfirmFactor(t.Context(), "u_ada", s.ID, try.code, try.at); err != nil || ok {
			t.Errorf("%s confirms it: %t, %v", name, ok, err)
		}
	}
	if has, err := other.HasFactor(t.Context(), "u_ada"); err != nil || has || checks(t, v, "u_ada", codeOf(t, former, noon), noon) {
		t.Errorf("before its first code it is asked for: %t, %v", has, err)
	}
	codes, ok, err := v.ConfirmFactor(t.Context(), "u_ada", s.ID, codeOf(t, former, noon), noon)
	if err != nil || !ok || len(codes) != 10 || len(codes[0]) != 27 || slices.Contains(codes[1:], codes[0]) {
		t.Fatalf("confirmed: %q, %t, %v", codes, ok, err)
	}
	if f, err := opened(t, p).Factor(t.Context(), "u_ada", "", noon); err != nil || !f.Active || f.Secret != "" || f.RecoveryCodes != 10 || !f.Since.Equal(noon) {
		t.Errorf("active it is %+v, %v", f, err)
	}
	if ok, err := v.OfferFactor(t.Context(), "u_ada", s.ID, noon); err != nil || ok {
		t.Errorf("an offer replaces an active one: %t, %v", ok, err)
	}
	if _, ok, err := v.ConfirmFactor(t.Context(), "u_ada", s.ID, codeOf(t, former, noon), noon); err != nil || ok {
		t.Errorf("it is confirmed twice: %t, %v", ok, err)
	}
	for token, want := range map[string]bool{here: true, there: false} {
		if s, ok, err := v.Session(t.Context(), token, "", noon); err != nil || ok != want || want && !s.FactorAt.Equal(noon) {
			t.Errorf("session %.4s… is %+v, %t, %v", token, s, ok, err)
		}
	}
	must(t, v.FactorGiven(t.Context(), "u_ada", s.ID, noon.Add(time.Hour)))
	must(t, v.FactorGiven(t.Context(), "u_bob", s.ID, noon.Add(2*time.Hour))) // not his
	if s, _, err := v.Session(t.Context(), here, "", noon); err != nil || !s.FactorAt.Equal(noon.Add(time.Hour)) {
		t.Errorf("after another code: %+v, %v", s, err)
	}
	for _, want := range []bool{true, false} {
		if ok, err := v.DropFactor(t.Context(), "u_ada"); err != nil || ok != want {
			t.Errorf("turned off: %t, %v", ok, err)
		}
	}
	if s, ok, err := v.Session(t.Context(), here, "", noon); err != nil || !ok || !s.FactorAt.IsZero() || checks(t, v, "u_ada", codes[0], noon) {
		t.Errorf("after it was turned off: %+v, %t, %v", s, ok, err)
	}
}

// What was opened without the factor ends when it becomes active: tokens too, also one that
// is made beside its first code. Afterwards a token takes a code.
func testTokensBesideAFactor(t *testing.T, p place) {
	here, there := opened(t, p), opened(t, p)
	enrolled(t, here, "u_ada", "u_bob")
	before, _ := newToken(t, here, "u_ada", reader)
	bobs, _ := newToken(t, here, "u_bob", reader)
	var made sync.Map
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			text, _, err := []*vault.Vault{here, there}[i%2].NewToken(t.Context(), "u_ada", password, reader, noon)
			if err != nil && domain.RefusalIn(err) == nil {
				t.Error(err)
			}
			made.Store(text, true)
		})
	}
	all.Go(func() { withFactor(t, there, "u_ada") })
	all.Wait()
	made.Store(before, true)
	made.Range(func(text, _ any) bool {
		if works(t, p, text.(string), noon) {
			t.Error("a token without the factor goes on")
		}
		return true
	})
	if !works(t, p, bobs, noon) {
		t.Error("the token of another has ended")
	}
	if _, _, err := here.NewToken(t.Context(), "u_ada", password, reader, noon); domain.RefusalIn(err) == nil {
		t.Errorf("a token is made without a code: %v", err)
	}
	order := reader
	order.ByFactor = true
	if text, _ := newToken(t, here, "u_ada", order); !works(t, p, text, noon) {
		t.Error("a token that was made with a code is not good")
	}
}

// An offer is for one session and for a short time: no other session sees its secret or
// confirms it, and none after its own has ended.
func testOffersOfAFactor(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada", "u_bob")
	secret, session := offered(t, v, "u_ada")
	_, other, err := v.NewSession(t.Context(), "u_ada", password, vault.Origin{}, noon)
	must(t, err)
	for _, elsewhere := range []vault.SessionID{other.ID, ""} {
		if f, err := v.Factor(t.Context(), "u_ada", elsewhere, noon); err != nil || f != (vault.Factor{}) {
			t.Errorf("session %q sees %+v, %v", elsewhere, f, err)
		}
		if _, ok, err := v.ConfirmFactor(t.Context(), "u_ada", elsewhere, codeOf(t, secret, noon), noon); err != nil || ok {
			t.Errorf("session %q confirms it: %t, %v", elsewhere, ok, err)
		}
	}
	// Of two offers at once the later one is there, for its session.
	if ok, err := v.OfferFactor(t.Context(), "u_ada", other.ID, noon); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if f, err := v.Factor(t.Context(), "u_ada", session, noon); err != nil || f != (vault.Factor{}) {
		t.Errorf("the former session still sees %+v, %v", f, err)
	}
	f, err := v.Factor(t.Context(), "u_ada", other.ID, noon)
	must(t, err)
	must(t, second(v.EndSessionOf(t.Context(), "u_ada", other.ID)))
	if _, ok, err := v.ConfirmFactor(t.Context(), "u_ada", other.ID, codeOf(t, f.Secret, noon), noon); err != nil || ok {
		t.Errorf("a session that has ended confirms it: %t, %v", ok, err)
	}
	withFactor(t, v, "u_bob")
	must(t, v.DropExpired(t.Context(), noon.Add(vault.FactorSetup-time.Second)))
	for _, want := range []string{"2", "1"} {
		if n := p.one(t, `SELECT cast(count(*) AS text) FROM factors`); n != want {
			t.Errorf("%s factors are stored, want %s", n, want)
		}
		must(t, v.DropExpired(t.Context(), noon.Add(vault.FactorSetup)))
	}
}

// A first code may be typed as any other: in groups, as an app shows it.
func testSpellingsOfAFirstCode(t *testing.T, p place) {
	v := opened(t, p)
	for i, spelled := range []string{"%s %s", " %s%s\t", "%s-%s", "%s\u00a0%s\n", "%s–%s"} {
		u := domain.UserID(fmt.Sprintf("u_%d", i))
		enrolled(t, v, u)
		secret, session := offered(t, v, u)
		code := codeOf(t, secret, noon)
		if _, ok, err := v.ConfirmFactor(t.Context(), u, session, fmt.Sprintf(spelled, code[:3], code[3:]), noon); err != nil || !ok {
			t.Errorf("%q does not confirm it: %t, %v", spelled, ok, err)
		}
		code = codeOf(t, secret, noon.Add(time.Hour))
		if !checks(t, v, u, fmt.Sprintf(spelled, code[:3], code[3:]), noon.Add(time.Hour)) {
			t.Errorf("%q is not good later", spelled)
		}
	}
}

// A code that was checked just before the factor was turned off makes no session of a person
// with a factor, and is not good for another factor.
func testAFactorThatIsTurnedOff(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada")
	secret, _ := withFactor(t, v, "u_ada")
	ticket, err := v.HalfSignIn(t.Context(), "u_ada", password, noon)
	must(t, err)
	if !checks(t, v, "u_ada", codeOf(t, secret, noon.Add(time.Hour)), noon.Add(time.Hour)) {
		t.Fatal("the code is refused")
	}
	must(t, second(v.DropFactor(t.Context(), "u_ada")))
	token, _, err := v.NewSessionByTicket(t.Context(), ticket, vault.Origin{}, noon)
	must(t, err)
	if s, ok, err := v.Session(t.Context(), token, "", noon); err != nil || !ok || !s.FactorAt.IsZero() {
		t.Errorf("without a factor the session is %+v, %t, %v", s, ok, err)
	}
	ticket, err = v.HalfSignIn(t.Context(), "u_ada", password, noon)
	must(t, err)
	offered(t, v, "u_ada") // which is not active
	token, _, err = v.NewSessionByTicket(t.Context(), ticket, vault.Origin{}, noon)
	must(t, err)
	if s, ok, err := v.Session(t.Context(), token, "", noon); err != nil || !ok || !s.FactorAt.IsZero() {
		t.Errorf("with an offer the session is %+v, %t, %v", s, ok, err)
	}
}

// A code is good once, a step early or late, and in one of two processes; so is a recovery
// code, in any spelling.
func testCodes(t *testing.T, p place) {
	here, there := opened(t, p), opened(t, p)
	enrolled(t, here, "u_ada", "u_bob")
	secret, codes := withFactor(t, here, "u_ada")
	withFactor(t, here, "u_bob")
	now := noon.Add(time.Hour)
	if checks(t, here, "u_ada", codeOf(t, secret, noon), noon) {
		t.Error("the code that confirmed it is good again")
	}
	for _, tt := range []struct {
		name string
		at   time.Duration // of the code
		want bool
	}{{"two steps late", -time.Minute, false}, {"a step late", -30 * time.Second, true}, {"again", -30 * time.Second, false}, {"now", 0, true}, {"two steps early", time.Minute, false},
		{"a step early", 30 * time.Second, true}, {"now, after a later one", 0, false}} {
		if got := checks(t, there, "u_ada", codeOf(t, secret, now.Add(tt.at)), now); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
	if checks(t, here, "u_bob", codeOf(t, secret, now), now) || checks(t, here, "u_bob", codes[0], now) || checks(t, here, "u_nobody", "123456", now) {
		t.Error("a code of another is good")
	}
	for _, typed := range []string{codes[0], strings.ToLower(codes[1]), strings.ReplaceAll(codes[2], "-", ""), " " + strings.ReplaceAll(codes[3], "-", " ")} {
		for _, want := range []bool{true, false} {
			if got := checks(t, there, "u_ada", typed, now); got != want {
				t.Errorf("the recovery code %q: %t, want %t", typed, got, want)
			}
		}
	}
	if f, err := here.Factor(t.Context(), "u_ada", "", now); err != nil || f.RecoveryCodes != 6 {
		t.Errorf("left are %+v, %v", f, err)
	}
	for name, code := range map[string]string{"a code": codeOf(t, secret, now.Add(time.Hour)), "a recovery code": codes[5]} {
		var done atomic.Int32
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				_, ok, err := []*vault.Vault{here, there}[i%2].CheckCode(t.Context(), "u_ada", code, now.Add(time.Hour))
				if err != nil {
					t.Error(err)
				}
				if ok {
					done.Add(1)
				}
			})
		}
		all.Wait()
		if done.Load() != 1 {
			t.Errorf("%s was good %d times at once", name, done.Load())
		}
	}
}

// Where a person has a factor, no session begins without it: not by the password alone, and
// not beside its first code.
func testSignInsWithAFactor(t *testing.T, p place) {
	here, there := opened(t, p), opened(t, p)
	enrolled(t, here, "u_ada", "u_bob")
	ticket, err := here.HalfSignIn(t.Context(), "u_ada", password, noon)
	must(t, err)
	withFactor(t, here, "u_ada")
	if _, _, err := there.NewSession(t.Context(), "u_ada", password, vault.Origin{}, noon); domain.RefusalIn(err) == nil {
		t.Errorf("a session begins by the password alone: %v", err)
	}
	if u, ok := there.HalfSignedIn(ticket, noon); !ok || u != "u_ada" {
		t.Errorf("the ticket is of %q, %t", u, ok)
	}
	token, s, err := there.NewSessionByTicket(t.Context(), ticket, vault.Origin{}, noon.Add(time.Minute))
	if got, ok, again := there.Session(t.Context(), token, "", noon); err != nil || again != nil || !ok || got.ID != s.ID || !got.FactorAt.Equal(noon.Add(time.Minute)) {
		t.Errorf("by ticket and code: %+v, %t, %v, %v", got, ok, err, again)
	}
	for name, try := range map[string]struct {
		ticket string
		at     time.Time
	}{"late": {ticket, noon.Add(vault.SignInLife)}, "cut": {ticket[:40], noon}, "empty": {"", noon}, "another": {strings.Repeat("A", len(ticket)), noon}} {
		if _, ok := here.HalfSignedIn(try.ticket, try.at); ok {
			t.Errorf("a ticket that is %s is good", name)
		}
		if _, _, err := here.NewSessionByTicket(t.Context(), try.ticket, vault.Origin{}, try.at); domain.RefusalIn(err) == nil {
			t.Errorf("a ticket that is %s begins a session: %v", name, err)
		}
	}
	if ok, err := here.ChangePassword(t.Context(), "u_ada", password, "a short walk away"); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, _, err := there.NewSessionByTicket(t.Context(), ticket, vault.Origin{}, noon); domain.RefusalIn(err) == nil {
		t.Errorf("a ticket outlives the password: %v", err)
	}
	var all sync.WaitGroup
	var begun sync.Map
	for i := range 6 {
		all.Go(func() {
			token, _, err := []*vault.Vault{here, there}[i%2].NewSession(t.Context(), "u_bob", password, vault.Origin{}, noon)
			if err != nil && domain.RefusalIn(err) == nil {
				t.Error(err)
			}
			begun.Store(token, true)
		})
	}
	all.Go(func() { withFactor(t, there, "u_bob") })
	all.Wait()
	begun.Range(func(token, _ any) bool {
		if _, ok, err := here.Session(t.Context(), token.(string), "", noon); err != nil || ok {
			t.Errorf("a session without the factor goes on: %t, %v", ok, err)
		}
		return true
	})
}

// An erasure takes the factor, and the secret cannot be opened without the person's key.
func testErasedFactor(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada")
	withFactor(t, v, "u_ada")
	must(t, second(v.Erase(t.Context(), "u_ada")))
	for _, table := range []string{"factors", "recovery_codes"} {
		if n := p.one(t, `SELECT cast(count(*) AS text) FROM `+table); n != "0" {
			t.Errorf("%s rows of %s are left", n, table)
		}
	}
}

// The secret is sealed, and recovery codes are keyed hashes; faults are returned.
func TestFactorsAreStoredSealed(t *testing.T) {
	f := newFile(t)
	v := opened(t, f)
	enrolled(t, v, "u_ada")
	secret, codes := withFactor(t, v, "u_ada")
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(f.path + suffix)
		must(t, err)
		if bytes.Contains(content, []byte(secret)) || bytes.Contains(content, []byte(codes[0])) || bytes.Contains(content, []byte(strings.ReplaceAll(codes[0], "-", ""))) {
			t.Errorf("kassa.db%s holds the secret or a code", suffix)
		}
	}
	left, release := context.WithCancel(t.Context())
	release()
	for name, err := range map[string]error{
		"read":         second(v.Factor(left, "u_ada", "", noon)),
		"read briefly": second(opened(t, f).HasFactor(left, "u_ada")),
		"offer":        second(v.OfferFactor(left, "u_ada", "", noon)),
		"confirm":      func() error { _, _, err := v.ConfirmFactor(left, "u_ada", "", "123456", noon); return err }(),
		"check":        func() error { _, _, err := v.CheckCode(left, "u_ada", "123456", noon); return err }(),
		"recover":      func() error { _, _, err := v.CheckCode(left, "u_ada", codes[0], noon); return err }(),
		"give":         v.FactorGiven(left, "u_ada", "", noon),
		"drop":         second(v.DropFactor(left, "u_ada")),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Rows of the first version are good: a sealed secret of RFC 6238's test vectors, of which
// the codes are published, and a recovery code.
func TestStoredFormOfFactors(t *testing.T) {
	f := newFile(t)
	v := opened(t, f)
	f.exec(t, `INSERT INTO subject_keys (user_id, wrapped) VALUES ('u_ada', `+f.blob(bytesOf(t, storedKey))+`)`)
	f.exec(t, `INSERT INTO factors (user_id, secret, confirmed, last_step, created_at) VALUES ('u_ada', `+f.blob(bytesOf(t, storedFactor))+`, 1, 0, 0)`)
	f.exec(t, `INSERT INTO recovery_codes VALUES ('u_ada', `+f.blob(bytesOf(t, storedRecovery))+`)`)
	for _, vector := range []struct {
		at   int64
		code string // the last six of the eight digits in the RFC's table
	}{{59, "287082"}, {1111111109, "081804"}, {1111111111, "050471"}, {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"}} {
		if !checks(t, v, "u_ada", vector.code, time.Unix(vector.at, 0)) {
			t.Errorf("the code of %d is refused", vector.at)
		}
	}
	if !checks(t, v, "u_ada", "ABCDEF-GHIJKL-MNOPQR-STUVWX", noon) {
		t.Error("the recovery code is refused")
	}
}

const (
	storedFactor   = "7477656c7665206279746573dd76a4fcb56ad41d3cf1ee234ea55830bbd855a835476e0c0adcd31ab513b358d13789fe8988e5716d3cbe797bb175e8"
	storedRecovery = "989fada07cc720782ecff8ba95bfd7a242664d9a6ca8381d8be2a75a41f580b2"
)
