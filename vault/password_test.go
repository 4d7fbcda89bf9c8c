package vault_test

import (
	"strings"
	"testing"

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
			if got := v.Remembered(tt.user, tt.password); got != tt.want {
				t.Errorf("%s: remembered %t", tt.name, got)
			}
		}
	}
	if later := opened(t, p); later.Remembered("u_ada", password) {
		t.Error("another process remembers a password")
	}
	// The longest password that is accepted can be verified too.
	long := strings.Repeat("ы", vault.MaxPassword)
	must(t, v.Enroll(t.Context(), "u_long", long))
	if ok, err := v.Verify(t.Context(), "u_long", long); err != nil || !ok {
		t.Errorf("the longest password: %t, %v", ok, err)
	}
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

// What stands in the table and is no hash of ours is a fault, and never a yes.
func testBrokenHashes(t *testing.T, p place) {
	enrolled(t, opened(t, p), "u_ada")
	v := opened(t, p) // which remembers nobody
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
