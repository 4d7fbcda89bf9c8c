package httpapi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/vault"
)

// authenticator is a device that makes and uses one passkey, as WebAuthn says, with the key
// ES256 and no attestation.
type authenticator struct {
	t      testing.TB
	origin string
	site   string // the RP id
	id     []byte
	key    *ecdsa.PrivateKey
	count  uint32
}

// local is where the tests' service is called, which is a name that WebAuthn allows.
const local = "http://localhost"

func newAuthenticator(t testing.TB) *authenticator {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &authenticator{t: t, origin: local, site: "localhost", id: []byte(rand.Text()), key: key, count: 1}
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (d *authenticator) clientData(kind string, options []byte) []byte {
	d.t.Helper()
	var asked struct {
		PublicKey struct{ Challenge string }
	}
	decodeJSON(d.t, options, &asked)
	data, err := json.Marshal(map[string]any{"type": kind, "challenge": asked.PublicKey.Challenge, "origin": d.origin, "crossOrigin": false})
	if err != nil {
		d.t.Fatal(err)
	}
	return data
}

const present, verified, withKey = 1, 4, 64 // flags of the authenticator data

func (d *authenticator) data(flags byte) []byte {
	name := sha256.Sum256([]byte(d.site))
	return binary.BigEndian.AppendUint32(append(name[:], flags), d.count)
}

// make is the answer to the options of a new passkey.
func (d *authenticator) make(options []byte) string {
	d.t.Helper()
	point, err := d.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		d.t.Fatal(err)
	}
	cose := slices.Concat([]byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32}, point[1:33], []byte{0x22, 0x58, 32}, point[33:])
	data := slices.Concat(d.data(present|verified|withKey), make([]byte, 16), []byte{0, byte(len(d.id))}, d.id, cose)
	attestation := slices.Concat([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58"), []byte{byte(len(data))}, data)
	return d.answer(map[string]any{"clientDataJSON": base64url(d.clientData("webauthn.create", options)), "attestationObject": base64url(attestation), "transports": []string{"internal"}})
}

// sign is the answer to the options of a request.
func (d *authenticator) sign(options []byte) string {
	d.t.Helper()
	d.count++
	client, data := d.clientData("webauthn.get", options), d.data(present|verified)
	hash := sha256.Sum256(client)
	signed := sha256.Sum256(slices.Concat(data, hash[:]))
	signature, err := ecdsa.SignASN1(rand.Reader, d.key, signed[:])
	if err != nil {
		d.t.Fatal(err)
	}
	return d.answer(map[string]any{"clientDataJSON": base64url(client), "authenticatorData": base64url(data), "signature": base64url(signature)})
}

func (d *authenticator) answer(response map[string]any) string {
	d.t.Helper()
	text, err := json.Marshal(map[string]any{"id": base64url(d.id), "rawId": base64url(d.id), "type": "public-key", "response": response})
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

// browser is a signed-in browser of a person with a second factor, which calls the service by a
// name.
type browser struct {
	w      *fixture
	h      http.Handler
	at     string
	cookie string
}

func (w *fixture) browser(h http.Handler, name string) (browser, device) {
	w.t.Helper()
	b := browser{w, h, local, w.cookie(w.signIn(h, name))}
	d, _ := w.setUp(h, name, b.cookie)
	return b, d
}

func (b browser) post(path, body string) *httptest.ResponseRecorder {
	b.w.t.Helper()
	return b.w.send(b.h, "POST", b.at+path, "", body, "Cookie", b.cookie)
}

// enroll adds a new passkey of ada.
func (b browser) enroll(d *authenticator, name string) *httptest.ResponseRecorder {
	b.w.t.Helper()
	offer := b.post("/api/users/passkeys/offer", `{"password":"`+password("ada")+`"}`)
	want(b.w.t, offer, http.StatusOK, "")
	return b.post("/api/users/passkeys", `{"name":"`+name+`","credential":`+d.make(offer.Body.Bytes())+`}`)
}

func (b browser) ask() []byte {
	b.w.t.Helper()
	asked := b.post("/api/users/factor/passkey/ask", "")
	want(b.w.t, asked, http.StatusOK, "")
	return asked.Body.Bytes()
}

func (b browser) give(answer string) *httptest.ResponseRecorder {
	b.w.t.Helper()
	return b.post("/api/users/factor/passkey", `{"credential":`+answer+`}`)
}

// A passkey is given wherever a code of the last minutes is asked for; it is added and removed
// with the password and such a code.
func TestPasskeys(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	h := w.server.Handler()
	cookie := w.cookie(w.signIn(h, "ada"))
	secret := `{"password":"` + password("ada") + `"}`
	before := browser{w, h, local, cookie}
	want(t, before.post("/api/users/passkeys/offer", secret), http.StatusConflict, problem.NoFactor)
	want(t, before.post("/api/users/factor/passkey/ask", ""), http.StatusConflict, problem.NoFactor)
	want(t, before.give(`{}`), http.StatusConflict, problem.NoFactor)
	d, _ := w.setUp(h, "ada", cookie)
	b, phone := before, newAuthenticator(t)
	want(t, b.post("/api/users/factor/passkey/ask", ""), http.StatusConflict, problem.NoPasskey)
	want(t, b.post("/api/users/passkeys/offer", `{"password":"not it"}`), http.StatusForbidden, problem.WrongPassword)
	want(t, b.enroll(phone, "\u200b"), http.StatusUnprocessableEntity, problem.InvalidName)
	added := b.enroll(phone, " my phone ")
	want(t, added, http.StatusCreated, "")
	var made passkeyJSON
	decodeJSON(t, added.Body.Bytes(), &made)
	if made.Name != "my phone" || !made.ID.Valid() {
		t.Errorf("it is %+v", made)
	}
	want(t, b.enroll(phone, "again"), http.StatusForbidden, problem.WrongPasskey)

	w.clock.advance(10 * time.Minute)
	want(t, b.post("/api/users/passkeys/offer", secret), http.StatusForbidden, problem.CodeRequired)
	want(t, b.post("/api/users/passkeys/"+string(made.ID)+"/remove", secret), http.StatusForbidden, problem.CodeRequired)
	asked := b.ask()
	answer := phone.sign(asked)
	want(t, b.give(answer), http.StatusNoContent, "")
	want(t, b.give(answer), http.StatusForbidden, problem.WrongPasskey) // a challenge is good once
	want(t, w.send(h, "GET", "/api/users/export", "", "", "Cookie", b.cookie), http.StatusOK, "")
	list := w.send(h, "GET", "/api/users/passkeys", "", "", "Cookie", b.cookie)
	if want(t, list, http.StatusOK, ""); !strings.Contains(list.Body.String(), `"name":"my phone"`) || !strings.Contains(list.Body.String(), `"last_used_at":"`) {
		t.Errorf("the list is %s", list.Body)
	}
	want(t, b.post("/api/users/passkeys/"+string(made.ID)+"/remove", `{"password":"not it"}`), http.StatusForbidden, problem.WrongPassword)
	want(t, b.post("/api/users/passkeys/none/remove", secret), http.StatusNotFound, problem.PasskeyNotFound)
	want(t, b.post("/api/users/passkeys/"+string(made.ID)+"/remove", secret), http.StatusNoContent, "")
	want(t, b.post("/api/users/passkeys/"+string(made.ID)+"/remove", secret), http.StatusNotFound, problem.PasskeyNotFound)
	want(t, b.post("/api/users/factor/code", `{"code":"`+d.code()+`"}`), http.StatusNoContent, "")

	want(t, w.send(h, "POST", local+"/api/users/passkeys/offer", "ada", secret), http.StatusUnauthorized, problem.SecondFactorRequired)
	w.addUser("bob")
	for path, body := range map[string]string{"passkeys/offer": `{"password":"` + password("bob") + `"}`, "passkeys": `{"name":"a","credential":{}}`, "factor/passkey/ask": "", "factor/passkey": `{"credential":{}}`, "passkeys/3f1c9d4b7a2e6358b1d0/remove": `{"password":"` + password("bob") + `"}`} {
		want(t, w.send(h, "POST", local+"/api/users/"+path, "bob", body), http.StatusForbidden, problem.SessionRequired)
	}
}

// An answer is good for its challenge alone, in its session and in time, with a signature of the
// person's passkey, made at our address.
func TestAnswersOfPasskeys(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	h := w.server.Handler()
	b, totp := w.browser(h, "ada")
	phone := newAuthenticator(t)
	want(t, b.enroll(phone, "my phone"), http.StatusCreated, "")
	other := b
	other.cookie = w.cookie(w.send(h, "POST", "/api/users/signin", "", `{"email":"`+email("ada")+`","password":"`+password("ada")+`","code":"`+totp.code()+`"}`))
	wrong := func(what string, by browser, answer string) {
		t.Helper()
		if a := by.give(answer); a.Code != http.StatusForbidden || codeIn(t, a.Body.Bytes()) != string(problem.WrongPasskey) {
			t.Errorf("%s is answered %d: %s", what, a.Code, a.Body)
		}
	}
	wrong("an answer to another session", other, phone.sign(b.ask()))
	former := b.ask()
	b.ask()
	wrong("an answer to a former challenge", b, phone.sign(former))
	late := b.ask()
	w.clock.advance(vault.ChallengeLife)
	wrong("a late answer", b, phone.sign(late))
	forged := newAuthenticator(t)
	forged.id = phone.id
	wrong("a signature of another key", b, forged.sign(b.ask()))
	wrong("an unknown passkey", b, newAuthenticator(t).sign(b.ask()))
	for _, edit := range []func(*authenticator){func(d *authenticator) { d.origin = "https://kassa.evil.example" }, func(d *authenticator) { d.site = "evil.example" }} {
		elsewhere := *phone
		edit(&elsewhere)
		wrong("an answer from another site", b, elsewhere.sign(b.ask()))
	}
	wrong("no answer", b, `{}`)
	wrong("an answer of another form", b, `{"id":1}`)
	creation := b.post("/api/users/passkeys/offer", `{"password":"`+password("ada")+`"}`)
	wrong("an answer to another ceremony", b, phone.sign(creation.Body.Bytes()))
	phone.count += 10
	want(t, b.give(phone.sign(b.ask())), http.StatusNoContent, "")
	// New ones: by another session, at another site.
	tablet := newAuthenticator(t)
	offer := b.post("/api/users/passkeys/offer", `{"password":"`+password("ada")+`"}`)
	want(t, other.post("/api/users/passkeys", `{"name":"a","credential":`+tablet.make(offer.Body.Bytes())+`}`), http.StatusForbidden, problem.WrongPasskey)
	tablet.origin = "https://kassa.evil.example"
	want(t, b.enroll(tablet, "a"), http.StatusForbidden, problem.WrongPasskey)
}

// A passkey whose count does not go on is refused for good, in every process, and a code goes on.
func TestCopiedPasskey(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	b, totp := w.browser(w.server.Handler(), "ada")
	phone := newAuthenticator(t)
	want(t, b.enroll(phone, "my phone"), http.StatusCreated, "")
	copied := *phone
	want(t, b.give(copied.sign(b.ask())), http.StatusNoContent, "")
	want(t, b.give(phone.sign(b.ask())), http.StatusForbidden, problem.PasskeyCopied)
	there := b
	there.h = w.newServer(w.newVault(), identity.Limits{Off: true}).Handler()
	want(t, there.give(copied.sign(there.ask())), http.StatusForbidden, problem.PasskeyCopied)
	list := w.send(b.h, "GET", "/api/users/passkeys", "", "", "Cookie", b.cookie)
	if want(t, list, http.StatusOK, ""); !strings.Contains(list.Body.String(), `"copied_at":"`) {
		t.Errorf("the list is %s", list.Body)
	}
	want(t, b.post("/api/users/factor/code", `{"code":"`+totp.code()+`"}`), http.StatusNoContent, "")
}

// A person has at most ten passkeys, and their challenges have a limit.
func TestLimitsOfPasskeys(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	b, _ := w.browser(w.server.Handler(), "ada")
	for range vault.MaxPasskeys {
		want(t, b.enroll(newAuthenticator(t), "a key"), http.StatusCreated, "")
	}
	want(t, b.post("/api/users/passkeys/offer", `{"password":"`+password("ada")+`"}`), http.StatusConflict, problem.TooManyPasskeys)
	limited := b
	limited.h = w.newServer(w.newVault(), identity.Limits{Passkey: identity.Rate{Burst: 2, Every: time.Hour}}).Handler()
	for range 2 {
		limited.ask()
	}
	want(t, limited.post("/api/users/factor/passkey/ask", ""), http.StatusTooManyRequests, problem.RateLimited)
}

// Passkeys work at one name, by the settings, over https or at localhost; elsewhere the refusal
// says where.
func TestAddressOfPasskeys(t *testing.T) {
	for _, tt := range []struct {
		name    string
		set     *identity.Authenticator
		at      string // the Host of the request
		address string
		here    bool
	}{
		{"no settings", &identity.Authenticator{}, "localhost:8080", "http://localhost:8080", true},
		{"no settings, an address", &identity.Authenticator{}, "127.0.0.1:8080", "http://localhost:8080", false},
		{"no settings, an address of IPv6", &identity.Authenticator{}, "[::1]:8080", "http://localhost:8080", false},
		{"no settings, a name", &identity.Authenticator{}, "kassa.example", "http://localhost", false},
		{"a name without https", &identity.Authenticator{Hosts: []string{"kassa.example"}}, "kassa.example", "", false},
		{"a name", &identity.Authenticator{Hosts: []string{"Kassa.example", "www.kassa.example"}, Secure: true}, "kassa.example:8443", "https://kassa.example:8443", true},
		{"another of the names", &identity.Authenticator{Hosts: []string{"kassa.example", "www.kassa.example"}, Secure: true}, "www.kassa.example", "https://kassa.example", false},
		{"another of the names, with a port", &identity.Authenticator{Hosts: []string{"kassa.example", "www.kassa.example"}, Secure: true}, "www.kassa.example:8443", "https://kassa.example:8443", false},
		{"a local name", &identity.Authenticator{Hosts: []string{"kassa.localhost"}}, "kassa.localhost:80", "http://kassa.localhost:80", true},
		{"an address as a name", &identity.Authenticator{Hosts: []string{"192.0.2.7"}, Secure: true}, "192.0.2.7", "", false},
		{"an address of IPv6", &identity.Authenticator{PublicURL: "https://[2001:db8::1]"}, "[2001:db8::1]", "", false},
		{"a public address", &identity.Authenticator{PublicURL: "https://KASSA.example:443/", Hosts: []string{"api", "kassa.example"}}, "kassa.example", "https://kassa.example", true},
		{"a public port that a proxy leaves out", &identity.Authenticator{PublicURL: "https://kassa.example:8443"}, "kassa.example", "https://kassa.example:8443", true},
		{"a public address, by another name", &identity.Authenticator{PublicURL: "https://kassa.example", Secure: true}, "localhost", "https://kassa.example", false},
		{"a public address without https", &identity.Authenticator{PublicURL: "http://kassa.example", Secure: true}, "kassa.example", "", false},
		{"one label", &identity.Authenticator{Hosts: []string{"kassa"}, Secure: true}, "kassa", "", false},
	} {
		r := httptest.NewRequest("GET", "/web", nil)
		r.Host = tt.at
		if address, here := tt.set.PasskeyAddress(r); address != tt.address || here != tt.here {
			t.Errorf("%s: %q, %t, want %q, %t", tt.name, address, here, tt.address, tt.here)
		}
	}
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	b, _ := w.browser(w.server.Handler(), "ada")
	phone := newAuthenticator(t)
	want(t, b.enroll(phone, "my phone"), http.StatusCreated, "")
	asked := b.ask()
	elsewhere := b
	elsewhere.at = "http://127.0.0.1"
	for path, body := range map[string]string{"passkeys/offer": `{"password":"` + password("ada") + `"}`, "passkeys": `{"name":"a","credential":{}}`, "factor/passkey/ask": "", "factor/passkey": `{"credential":` + phone.sign(asked) + `}`} {
		a := elsewhere.post("/api/users/"+path, body)
		if want(t, a, http.StatusConflict, problem.PasskeysUnavailable); !strings.Contains(a.Body.String(), "http://localhost") {
			t.Errorf("%s: the refusal is %s", path, a.Body)
		}
	}
	want(t, w.send(b.h, "POST", "http://127.0.0.1/api/users/factor/passkey/ask", "", "", "Cookie", b.cookie), http.StatusConflict, problem.PasskeysUnavailable)
}
