package vault_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"testing"
	"time"

	"kassa/domain"
	"kassa/vault"
)

// What the first version stored for one person, under the secret of these tests. The
// wrapped key is SHA-256 of "ada's key". None of it may ever change: rows and entries of
// this form are in databases.
const (
	storedKey      = "15e4937013d5ebc5c8cfd545d171aad4254aff1a3241e501e7ee7d674f181e660c861b4290907dde91305e5d6270ffe8bb71047486c91c889d70a8de"
	storedPassword = "$argon2id$v=19$m=8,t=1,p=1$c2l4dGVlbiBieXRlcyBvaw$Fjs/LapVqhVlxliFP1RixkeGKgRyvXnNsbAj+Gs5ens" // "a long walk home"
	storedToken    = "d6ec6898de87ddac6e5b3611708a7aa1c2d298293349cc1a6c299a1db7149d38"                              // the alphabet
	storedEmail    = "e327711529d1f1e417b9d146b1c4f509fc36113c84e29b6b49092e41ea75df4ef021a9e5b76c405b8a1af9"        // ada@example.org
	storedText     = "a0ad2e730c4e55ca0c490529d27772eea0348cca8fe765840c7674b1843794306e20a167accd54e04ee36be7ce0f4667bddd853e498c3ab3545e7cf8cdd5"
	emailHash      = "268a505f0fcd22257210397eb7bd5bb449fce893"
	fingerprint    = "d6152922f39a37aca844bd4e" // "deposit 5"
	checkValue     = "02b682c2cfd61fa949aab8dcd8a71897387b12c86b0f07b997aad8b23b5cdf1b"
)

func bytesOf(t testing.TB, hexadecimal string) []byte {
	t.Helper()
	b, err := hex.DecodeString(hexadecimal)
	must(t, err)
	return b
}

func testStoredForms(t *testing.T, p place) {
	p.exec(t, `INSERT INTO subject_keys (user_id, wrapped) VALUES ('u_ada', `+p.blob(bytesOf(t, storedKey))+`)`)
	p.exec(t, `INSERT INTO passwords (user_id, hash) VALUES ('u_ada', '`+storedPassword+`')`)
	p.exec(t, `INSERT INTO sessions (token_hash, user_id, expires_at) VALUES (`+p.blob(bytesOf(t, storedToken))+`, 'u_ada', `+p.moment(noon.Add(time.Hour))+`)`)
	v := opened(t, p)
	must(t, v.CheckSecret(t.Context()))
	if got, err := secret.CheckValue(); err != nil || hex.EncodeToString(got) != checkValue {
		t.Errorf("the secret's check value is %x, %v", got, err)
	}
	if got := v.EmailHash("ada@example.org"); got != emailHash {
		t.Errorf("the e-mail's hash is %s", got)
	}
	if ok, err := v.Verify(t.Context(), "u_ada", password); err != nil || !ok {
		t.Errorf("the password: %t, %v", ok, err)
	}
	p.exec(t, `UPDATE sessions SET seen_at = expires_at`) // as the migration leaves it, at the time of this test
	if s, ok, err := v.Session(t.Context(), "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "", noon); err != nil || !ok || s.User != "u_ada" || string(s.ID) != storedToken[:20] {
		t.Errorf("the session is %+v: %t, %v", s, ok, err)
	}
	if got, err := v.OpenEmail(t.Context(), "u_ada", bytesOf(t, storedEmail)); err != nil || got != "ada@example.org" {
		t.Errorf("the e-mail opens to %q, %v", got, err)
	}
	if got, err := v.OpenText(t.Context(), "u_ada", "p_1", bytesOf(t, storedText)); err != nil || got != "фильм про выхухоль" {
		t.Errorf("the text opens to %q, %v", got, err)
	}
	if got, err := v.Fingerprint(t.Context(), "u_ada", "deposit 5"); err != nil || got != fingerprint {
		t.Errorf("the fingerprint is %s, %v", got, err)
	}
}

var phc = regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1\$([A-Za-z0-9+/]{22})\$[A-Za-z0-9+/]{43}$`)

// Salts, keys, nonces and tokens come from chance, and are as long as they should be.
func testNothingIsStoredTwiceTheSame(t *testing.T, p place) {
	v, err := p.open(t, secret, vault.Options{})
	must(t, err)
	seen := map[string]string{}
	chance := func(what, value string) {
		t.Helper()
		if earlier, ok := seen[value]; ok {
			t.Errorf("%s and %s are the same", what, earlier)
		}
		seen[value] = what
	}
	chance("a salt of zeros", base64.RawStdEncoding.EncodeToString(make([]byte, 16)))
	for _, u := range []string{"u_ada", "u_bob"} {
		must(t, v.Enroll(t.Context(), domain.UserID(u), password))
		hash := p.one(t, `SELECT hash FROM passwords WHERE user_id = '`+u+`'`)
		parts := phc.FindStringSubmatch(hash)
		if parts == nil {
			t.Fatalf("the hash of %s is %s", u, hash)
		}
		chance("the salt of "+u, parts[1])
		for _, text := range []string{"first", "second"} {
			sealed, err := v.SealText(t.Context(), domain.UserID(u), "p_1", "a whale")
			must(t, err)
			if len(sealed) != 12+len("a whale")+16 {
				t.Errorf("%d bytes are sealed", len(sealed))
			}
			chance("the nonce of the "+text+" text of "+u, string(sealed[:12]))
		}
		token, _, err := v.NewSession(t.Context(), domain.UserID(u), password, vault.Origin{}, noon)
		must(t, err)
		chance("the token of "+u, token)
		sum := sha256.Sum256([]byte(token))
		if got := p.one(t, `SELECT user_id FROM sessions WHERE token_hash = `+p.blob(sum[:])); got != u {
			t.Errorf("the session of %s is stored as that of %s", u, got)
		}
	}
	opened, err := vault.LoadSecret(t.TempDir() + "/secret")
	must(t, err)
	chance("a secret", string(opened))
	chance("a secret of zeros", string(make([]byte, len(opened))))
}
