package vault_test

import (
	"strings"
	"testing"

	"golang.org/x/text/secure/precis"
	"pgregory.net/rapid"

	"kassa/domain"
	"kassa/vault"
)

func TestCheckPassword(t *testing.T) {
	v := opened(t, newFile(t))
	const email = "ada.lovelace@example.org"
	for _, tt := range []struct {
		name, password string
		ok             bool
	}{
		{"of 7 characters", "zq-x7kw", false},
		{"of 8", "zq-x7kwv", true},
		{"of 7 characters and more bytes", "выхухол", false},
		{"of 7 characters that were decomposed", "вы\u0438\u0306хухо", false},
		{"with a line's end", "zq-x7kwv\n", false},
		{"with a zero byte", "zq-x7kwv\x00", false},
		{"with pictures of several parts", "👨\u200d👩\u200d👧 ❤\ufe0f zqx", true},
		{"of 128 that were decomposed", strings.Repeat("вы\u0438\u0306хухол", 16), true},
		{"of 8 in Cyrillic", "выхухоль", true},
		{"of 128", strings.Repeat("выхухоль", 16), true},
		{"of 129", strings.Repeat("выхухоль", 16) + "!", false},
		{"with spaces", "a long walk home", true},
		{"all spaces", strings.Repeat(" ", 12), false},
		{"not UTF-8", "zq-x7kw\xff\xfe", false},
		{"empty", "", false},
		{"well known", "iloveyou", false},
		{"well known, shouted", "ILOVEYOU", false},
		{"well known, with a tail", "iloveyou2024!", false},
		{"well known, as a part", "iloveyou, said the walrus", true},
		{"digits of a keyboard", "qwerty123456", false},
		{"one character over and over", "zzzzzzzzzzzz", false},
		{"one letter in both cases", "ZzZzZzZz", false},
		{"two characters over and over", "zxzxzxzxzx", true},
		{"the e-mail", email, false},
		{"the e-mail, shouted", strings.ToUpper(email), false},
		{"the e-mail's name", "Ada.Lovelace", false},
		{"the e-mail's name and more", "ada.lovelace.1815", true},
	} {
		err := v.CheckPassword(tt.password, email)
		if tt.ok && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if r := domain.RefusalIn(err); !tt.ok && (r == nil || r.Code != domain.WeakPassword || tt.password != "" && strings.Contains(r.Detail, tt.password)) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func testVerify(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada", "u_bob")
	for _, tt := range []struct {
		name     string
		user     domain.UserID
		password string
		want     bool
	}{
		{"right", "u_ada", password, true},
		{"right, remembered", "u_ada", password, true},
		{"wrong", "u_ada", password + "!", false},
		{"empty", "u_ada", "", false},
		{"of nobody", "", password, false},
		{"of nobody, again", "", password, false},
		{"of somebody who is not there", "u_nobody", password, false},
		{"longer than any", "u_ada", strings.Repeat("x", 4*vault.MaxPassword+1), false},
	} {
		for range 2 {
			if ok, err := v.Verify(t.Context(), tt.user, tt.password); err != nil || ok != tt.want {
				t.Errorf("%s: %t, %v", tt.name, ok, err)
			}
			if got := remembers(t, v, tt.user, tt.password); got != tt.want {
				t.Errorf("%s: remembered %t", tt.name, got)
			}
		}
	}
	if later := opened(t, p); remembers(t, later, "u_ada", password) {
		t.Error("another process remembers a password")
	}
	// The longest password that is accepted can be verified too.
	long := strings.Repeat("ы", vault.MaxPassword)
	must(t, v.Enroll(t.Context(), "u_long", long))
	if ok, err := v.Verify(t.Context(), "u_long", long); err != nil || !ok {
		t.Errorf("the longest password: %t, %v", ok, err)
	}
}

// Keyboards write the same keys in other bytes, and sign in to the same account.
func testSpellings(t *testing.T, p place) {
	v := opened(t, p)
	for _, tt := range []struct{ name, enrolled, typed string }{
		{"composed and not", "caf\u00e9 by the sea", "cafe\u0301 by the sea"},
		{"decomposed and not", "cafe\u0301 by the sea", "caf\u00e9 by the sea"},
		{"a space that does not break", "a long walk home", "a\u00a0long walk\u3000home"},
		{"Russian, decomposed", "мой зелёный дом", "мои\u0306 зеле\u0308ный дом"},
	} {
		u := domain.UserID("u_" + tt.name)
		must(t, v.Enroll(t.Context(), u, tt.enrolled))
		for _, process := range []*vault.Vault{v, opened(t, p)} {
			if ok, err := process.Verify(t.Context(), u, tt.typed); err != nil || !ok || !remembers(t, process, u, tt.enrolled) {
				t.Errorf("%s: %t, %v", tt.name, ok, err)
			}
			for _, other := range []string{strings.ToUpper(tt.typed), tt.typed + " ", tt.typed[1:]} {
				if ok, err := process.Verify(t.Context(), u, other); err != nil || ok || remembers(t, process, u, other) {
					t.Errorf("%s: %q signs in: %v", tt.name, other, err)
				}
			}
		}
	}
	// What is broken stays as it is: two broken passwords are two.
	must(t, v.Enroll(t.Context(), "u_broken", "a long walk \xff"))
	if ok, err := opened(t, p).Verify(t.Context(), "u_broken", "a long walk \xfe"); err != nil || ok {
		t.Errorf("other broken bytes: %t, %v", ok, err)
	}
}

// typedBefore is a password in bytes that are hashed otherwise now, and olderHash what
// the first version stored of it.
const (
	typedBefore = "cafe\u0301 by\u00a0the sea"
	olderHash   = "$argon2id$v=19$m=8,t=1,p=1$c2l4dGVlbiBieXRlcyBvaw$t1WU+yz3X+0bFewXmolXx1+pIEIDbx8qX7CQsLW5zJ8"
)

// A password that was hashed as it was typed signs in as it was typed, and from then on
// in any spelling.
func testVerifyAnOlderSpelling(t *testing.T, p place) {
	p.exec(t, `INSERT INTO passwords (user_id, hash) VALUES ('u_ada', '`+olderHash+`')`)
	verify := func(password string, want bool) {
		t.Helper()
		if ok, err := opened(t, p).Verify(t.Context(), "u_ada", password); err != nil || ok != want {
			t.Errorf("%q: %t, %v, want %t", password, ok, err, want)
		}
	}
	stored := func() string { return p.one(t, `SELECT hash FROM passwords WHERE user_id = 'u_ada'`) }
	verify("cafe\u0301 by\u00a0the see", false)
	verify("caf\u00e9 by the sea", false) // the stored data does not show that it is the same
	if stored() != olderHash {
		t.Error("a wrong password changed the hash")
	}
	v := opened(t, p)
	for range 2 { // hashed, and remembered
		if ok, err := v.Verify(t.Context(), "u_ada", typedBefore); err != nil || !ok || !remembers(t, v, "u_ada", typedBefore) {
			t.Errorf("as it was typed: %t, %v", ok, err)
		}
	}
	if stored() == olderHash {
		t.Error("the hash stayed as it was")
	}
	verify(typedBefore, true)
	verify("caf\u00e9 by the sea", true)
	verify("caf\u00e9 by the see", false)

	// Of two at once, or where the password was changed meanwhile, the first one counts.
	hash := stored()
	must(t, vault.Rehash(t.Context(), v, "u_ada", olderHash, storedPassword))
	must(t, vault.Rehash(t.Context(), v, "u_bob", hash, storedPassword))
	if stored() != hash {
		t.Error("a hash was put in the place of another than it was made from")
	}
	must(t, vault.Rehash(t.Context(), v, "u_ada", hash, storedPassword))
	if stored() != storedPassword {
		t.Error("a hash was not put in the place of the one that it was made from")
	}
}

// Where the new hash cannot be stored the old one stays good.
func TestAnOlderSpellingThatStays(t *testing.T) {
	f := newFile(t)
	f.exec(t, `INSERT INTO passwords (user_id, hash) VALUES ('u_ada', '`+olderHash+`')`)
	f.exec(t, `CREATE TRIGGER kept BEFORE UPDATE ON passwords BEGIN SELECT RAISE(ABORT, 'not now'); END`)
	for range 2 {
		if ok, err := opened(t, f).Verify(t.Context(), "u_ada", typedBefore); err != nil || !ok {
			t.Errorf("as it was typed: %t, %v", ok, err)
		}
	}
}

// For every password that RFC 8265 accepts, the hashed form is the same.
func TestPreparedIsOpaqueString(t *testing.T) {
	for _, s := range []string{"a long walk home", "a\u00a0long\u3000walk", "cafe\u0301", "мои\u0306", "ﬁ ǅ ９ ß", " \u1680 ", "\u1e9b\u0323", "한국어 비밀번호", "👍🏽 ok"} {
		want, err := precis.OpaqueString.String(s)
		if got := vault.Prepared(s); err != nil || got != want {
			t.Errorf("%q becomes %q, want %q (%v)", s, got, want, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "password")
		if want, err := precis.OpaqueString.String(s); err == nil && vault.Prepared(s) != want {
			t.Fatalf("%q becomes %q, want %q", s, vault.Prepared(s), want)
		}
		if once := vault.Prepared(s); vault.Prepared(once) != once {
			t.Fatalf("%q is changed twice", s)
		}
	})
}

// A hash that was made at another cost is verified at its own.
func testVerifyAnOlderCost(t *testing.T, p place) {
	enrolled(t, opened(t, p), "u_ada")
	dearer, err := p.open(t, secret, vault.Options{Argon2: vault.Argon2{MemoryKiB: 16, Passes: 2}})
	must(t, err)
	if ok, err := dearer.Verify(t.Context(), "u_ada", password); err != nil || !ok {
		t.Errorf("the password: %t, %v", ok, err)
	}
	if ok, err := dearer.Verify(t.Context(), "u_ada", "another password"); err != nil || ok {
		t.Errorf("another: %t, %v", ok, err)
	}
}

// A stored value that is not one of our hashes is a fault, and never a match.
func testBrokenHashes(t *testing.T, p place) {
	enrolled(t, opened(t, p), "u_ada")
	v := opened(t, p) // with an empty cache
	for name, hash := range map[string]string{
		"nothing":            "",
		"the password":       password,
		"another algorithm":  "$argon2i$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA",
		"another version":    "$argon2id$v=16$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA",
		"other parameters":   "$argon2id$v=19$t=1,m=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA",
		"several lanes":      "$argon2id$v=19$m=8,t=1,p=10$AAAAAAAAAAAAAAAAAAAAAA$AAAA",
		"no pass":            "$argon2id$v=19$m=8,t=0,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA",
		"too many passes":    "$argon2id$v=19$m=8,t=4294967296,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA",
		"a salt of no bytes": "$argon2id$v=19$m=8,t=1,p=1$!!$AAAA",
		"a part too many":    "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA$",
	} {
		p.exec(t, `UPDATE passwords SET hash = '`+hash+`'`)
		ok, err := v.Verify(t.Context(), "u_ada", password)
		if ok || err == nil {
			t.Errorf("%s: %t, %v", name, ok, err)
		}
		if err != nil && strings.Contains(err.Error(), "AAAA") {
			t.Errorf("%s: the error shows the hash: %v", name, err)
		}
	}
	p.exec(t, `UPDATE passwords SET hash = '$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA'`)
	if ok, err := v.Verify(t.Context(), "u_ada", password); ok || err != nil {
		t.Errorf("a hash of nothing: %t, %v", ok, err)
	}
}
