package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kassa/domain"
	"kassa/vault"
)

var later = noon.AddDate(0, 0, 30)

// reader is the order of a token that may read, until later.
var reader = vault.Token{Name: "nightly report", Scopes: []vault.Scope{vault.ScopeRead}, ExpiresAt: later}

func newToken(t testing.TB, v *vault.Vault, u domain.UserID, order vault.Token) (string, vault.Token) {
	t.Helper()
	text, made, err := v.NewToken(t.Context(), u, password, order, noon)
	must(t, err)
	return text, made
}

// works reports whether the token is good, in a process of its own.
func works(t testing.TB, p place, text string, now time.Time) bool {
	t.Helper()
	_, _, ok, err := opened(t, p).Token(t.Context(), text, now)
	must(t, err)
	return ok
}

// What a token is stored as may never change: such rows are in databases, and such tokens in
// the settings of programs.
const (
	knownToken     = "kassa_ABCDEFGHIJKLMNOPQRSTUVWXYZVP3XQIQ"
	knownTokenHash = "4e7b1281c804922b00f2aa77d724f4a21f62c9ceed5c96d0e5d476fdd850cf36"
)

func testTokens(t *testing.T, p place) {
	here, there := opened(t, p), opened(t, p)
	enrolled(t, here, "u_ada", "u_bob")
	text, made := newToken(t, here, "u_ada", vault.Token{Name: "отчёт по ночам", Scopes: []vault.Scope{vault.ScopeSpend, vault.ScopeRead}, ExpiresAt: later})
	other, _ := newToken(t, here, "u_bob", reader)
	if !regexp.MustCompile(`^kassa_[A-Z2-7]{33}$`).MatchString(text) || !vault.TokenForm(text) || text == other {
		t.Errorf("the tokens are %s and %s", text, other)
	}
	broken := []byte(text)
	broken[10] ^= 1
	for _, tt := range []struct {
		name, text string
		at         time.Time
	}{{"empty", "", noon}, {"cut", text[:38], noon}, {"mistyped", string(broken), noon}, {"in lower case", strings.ToLower(text), noon}, {"of another's form", knownToken, noon}, {"too late", text, later}} {
		if works(t, p, tt.text, tt.at) {
			t.Errorf("a token %s is good", tt.name)
		}
	}
	for _, use := range []struct {
		after time.Duration
		first bool
	}{{0, true}, {4 * time.Minute, false}, {5 * time.Minute, true}} {
		got, first, ok, err := there.Token(t.Context(), text, noon.Add(use.after))
		if err != nil || !ok || first != use.first || got.User != "u_ada" || got.ID != made.ID || !got.May(vault.ScopeRead) || !got.May(vault.ScopeSpend) || got.May(vault.ScopeAdmin) || got.May("") {
			t.Errorf("after %s: %+v, first %t, %t, %v", use.after, got, first, ok, err)
		}
	}
	list, err := there.Tokens(t.Context(), "u_ada", noon)
	if err != nil || len(list) != 1 || list[0].Name != "отчёт по ночам" || !slices.Equal(list[0].Scopes, []vault.Scope{vault.ScopeRead, vault.ScopeSpend}) ||
		!list[0].LastUsedAt.Equal(noon.Add(5*time.Minute)) || !list[0].ExpiresAt.Equal(later) || !list[0].CreatedAt.Equal(noon) {
		t.Errorf("the list is %+v, %v", list, err)
	}
	p.exec(t, `UPDATE personal_tokens SET name = `+p.blob([]byte("damaged, and long enough to be sealed"))+` WHERE user_id = 'u_ada'`)
	if list, err := there.Tokens(t.Context(), "u_ada", noon); err != nil || len(list) != 1 || list[0].Name != "" {
		t.Errorf("with a damaged name: %+v, %v", list, err)
	}
}

// A token ends where it is revoked, with its time, with the password, and with the person.
func testTokensEnd(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada", "u_bob")
	text, made := newToken(t, v, "u_ada", reader)
	for _, tt := range []struct {
		user domain.UserID
		id   vault.TokenID
	}{{"u_bob", made.ID}, {"u_ada", ""}, {"u_ada", "no id"}, {"u_ada", made.ID[:18]}, {"u_ada", "00000000000000000000"}} {
		if ok, err := v.RevokeToken(t.Context(), tt.user, tt.id); err != nil || ok {
			t.Errorf("%s revokes %q: %t, %v", tt.user, tt.id, ok, err)
		}
	}
	for _, want := range []bool{true, false} {
		if ok, err := v.RevokeToken(t.Context(), "u_ada", made.ID); err != nil || ok != want {
			t.Errorf("revoked: %t, %v, want %t", ok, err, want)
		}
	}
	for name, end := range map[string]func(u domain.UserID){
		"a change of the password": func(u domain.UserID) {
			if ok, err := v.ChangePassword(t.Context(), u, password, "a short walk away"); err != nil || !ok {
				t.Fatal(ok, err)
			}
		},
		"a reset": func(u domain.UserID) {
			if ok, err := v.Reset(t.Context(), u, newReset(t, v, u, noon), "a short walk away", noon); err != nil || !ok {
				t.Fatal(ok, err)
			}
		},
		"an erasure": func(u domain.UserID) { must(t, second(v.Erase(t.Context(), u))) },
	} {
		u := domain.UserID("u_" + strings.ReplaceAll(name, " ", ""))
		enrolled(t, v, u)
		its, _ := newToken(t, v, u, reader)
		if !works(t, p, its, noon) {
			t.Errorf("%s: it is not good before", name)
		}
		end(u)
		if works(t, p, its, noon) {
			t.Errorf("it outlives %s", name)
		}
	}
	bobs, _ := newToken(t, v, "u_bob", reader)
	if works(t, p, text, noon) || !works(t, p, bobs, noon) {
		t.Error("a revoked token is good, or another's is not")
	}
	must(t, v.DropExpired(t.Context(), later))
	if n := p.one(t, `SELECT cast(count(*) AS text) FROM personal_tokens`); n != "0" {
		t.Errorf("%s tokens are kept that are over", n)
	}
}

// No token that was made with the former password outlives a change, in whichever process it
// was made, and none is made with it afterwards.
func testTokensBesideAChange(t *testing.T, p place) {
	here, there := opened(t, p), opened(t, p)
	enrolled(t, here, "u_ada")
	var made sync.Map
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			text, _, err := []*vault.Vault{here, there}[i%2].NewToken(t.Context(), "u_ada", password, reader, noon)
			if refusal := domain.RefusalIn(err); err != nil && (refusal == nil || refusal.Code != domain.InvalidCredentials) {
				t.Error(err)
			}
			made.Store(text, true)
		})
	}
	all.Go(func() {
		if ok, err := there.ChangePassword(t.Context(), "u_ada", password, "a short walk away"); err != nil || !ok {
			t.Error(ok, err)
		}
	})
	all.Wait()
	made.Range(func(text, _ any) bool {
		if works(t, p, text.(string), noon) {
			t.Errorf("a token of the former password is good")
		}
		return true
	})
	if _, _, err := here.NewToken(t.Context(), "u_ada", password, reader, noon); domain.RefusalIn(err) == nil {
		t.Errorf("one is made with the former password: %v", err)
	}
}

// A person has so many tokens at most, also where two processes make them at once.
func testManyTokens(t *testing.T, p place) {
	here, there := opened(t, p), opened(t, p)
	enrolled(t, here, "u_ada", "u_bob")
	var made atomic.Int32
	var all sync.WaitGroup
	for i := range vault.MaxTokens + 4 {
		all.Go(func() {
			_, _, err := []*vault.Vault{here, there}[i%2].NewToken(t.Context(), "u_ada", password, reader, noon)
			if err == nil {
				made.Add(1)
			} else if !errors.Is(err, vault.ErrTooManyTokens) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if made.Load() != vault.MaxTokens {
		t.Errorf("%d were made", made.Load())
	}
	newToken(t, here, "u_bob", reader)
	if _, _, err := here.NewToken(t.Context(), "u_ada", password, vault.Token{Name: "later", Scopes: vault.Scopes, ExpiresAt: later.AddDate(0, 1, 0)}, later); err != nil {
		t.Errorf("those that have expired count: %v", err)
	}
}

// Who reads the files finds neither the token nor its name, and faults are returned.
func TestTokensAreStoredAsKeyedHashes(t *testing.T) {
	f := newFile(t)
	v := opened(t, f)
	enrolled(t, v, "u_ada")
	text, made := newToken(t, v, "u_ada", vault.Token{Name: "a name of ada's", Scopes: vault.Scopes, ExpiresAt: later})
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(f.path + suffix)
		must(t, err)
		if bytes.Contains(content, []byte(text[6:])) || bytes.Contains(content, []byte("a name of ada's")) {
			t.Errorf("kassa.db%s holds the token or its name", suffix)
		}
	}
	if stored := f.one(t, `SELECT hex(token_hash) FROM personal_tokens`); !strings.HasPrefix(strings.ToLower(stored), string(made.ID)) {
		t.Errorf("%s is stored of %s", stored, made.ID)
	}
	other, err := f.open(t, vault.Secret("another secret of this test, 32 b"), cheap)
	must(t, err)
	if _, _, ok, err := other.Token(t.Context(), text, noon); err != nil || ok {
		t.Errorf("under another secret the token is good: %t, %v", ok, err)
	}
	left, release := context.WithCancel(t.Context())
	release()
	for name, err := range map[string]error{
		"make":   func() error { _, _, err := v.NewToken(left, "u_ada", password, reader, noon); return err }(),
		"read":   func() error { _, _, _, err := v.Token(left, text, noon); return err }(),
		"list":   second(v.Tokens(left, "u_ada", noon)),
		"revoke": second(v.RevokeToken(left, "u_ada", made.ID)),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A token of the first version is good as long as its row is there.
func TestStoredFormOfTokens(t *testing.T) {
	f := newFile(t)
	v := opened(t, f)
	enrolled(t, v, "u_ada")
	f.exec(t, fmt.Sprintf(`INSERT INTO personal_tokens VALUES (x'%s', 'u_ada', x'00', 'read admin', %d, %d, NULL)`, knownTokenHash, noon.Unix(), later.Unix()))
	got, _, ok, err := v.Token(t.Context(), knownToken, noon)
	if err != nil || !ok || got.User != "u_ada" || string(got.ID) != knownTokenHash[:20] || !got.May(vault.ScopeAdmin) || got.May(vault.ScopeSpend) {
		t.Errorf("%+v, %t, %v", got, ok, err)
	}
}
