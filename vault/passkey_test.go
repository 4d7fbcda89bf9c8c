package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kassa/domain"
	"kassa/vault"
)

// phone is a passkey of a person with a factor.
var phone = vault.Passkey{Name: "my phone", Credential: vault.Credential{ID: []byte("an id of a credential"), PublicKey: []byte("a public key"), Transports: []string{"internal", "hybrid"}, BackupEligible: true}}

func another(id string) vault.Passkey {
	return vault.Passkey{Name: id, Credential: vault.Credential{ID: []byte(id), PublicKey: []byte("a key of " + id)}}
}

func added(t testing.TB, v *vault.Vault, u domain.UserID, p vault.Passkey, at time.Time) vault.Passkey {
	t.Helper()
	made, ok, err := v.AddPasskey(t.Context(), u, p, at)
	if err != nil || !ok || !made.ID.Valid() {
		t.Fatalf("added: %+v, %t, %v", made, ok, err)
	}
	return made
}

// passkeysOf are a person's passkeys as another process sees them.
func passkeysOf(t testing.TB, p place, u domain.UserID) []vault.Passkey {
	t.Helper()
	list, err := opened(t, p).Passkeys(t.Context(), u)
	must(t, err)
	return list
}

// A passkey is there beside an active factor only, belongs to one person, and is removed by
// its owner.
func testPasskeys(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada", "u_bob")
	offered(t, v, "u_ada") // which is not active
	if _, ok, err := v.AddPasskey(t.Context(), "u_ada", phone, noon); err != nil || ok {
		t.Errorf("without a factor it is added: %t, %v", ok, err)
	}
	must(t, second(v.DropFactor(t.Context(), "u_ada")))
	withFactor(t, v, "u_ada")
	withFactor(t, v, "u_bob")
	first := added(t, v, "u_ada", phone, noon)
	key := added(t, v, "u_ada", another("a key"), noon.Add(time.Minute))
	for _, u := range []domain.UserID{"u_ada", "u_bob"} {
		if _, ok, err := v.AddPasskey(t.Context(), u, phone, noon); err != nil || ok {
			t.Errorf("%s adds a credential that is there: %t, %v", u, ok, err)
		}
	}
	list := passkeysOf(t, p, "u_ada")
	if len(list) != 2 || list[0].ID != key.ID || list[1].ID != first.ID || list[1].Name != "my phone" || !reflect.DeepEqual(list[1].Credential, phone.Credential) ||
		!list[1].CreatedAt.Equal(noon) || !list[1].LastUsedAt.IsZero() || !list[1].CopiedAt.IsZero() {
		t.Errorf("they are %+v", list)
	}
	for _, step := range []struct {
		user domain.UserID
		id   vault.PasskeyID
		want bool
	}{{"u_bob", first.ID, false}, {"u_ada", "", false}, {"u_ada", first.ID, true}, {"u_ada", first.ID, false}} {
		if ok, copied, err := v.DropPasskey(t.Context(), step.user, step.id, ""); err != nil || ok != step.want || copied {
			t.Errorf("%s removes %q: %t, %t, %v", step.user, step.id, ok, copied, err)
		}
	}
	if list := passkeysOf(t, p, "u_ada"); len(list) != 1 || list[0].ID != key.ID {
		t.Errorf("left are %+v", list)
	}
}

// Of more than MaxPasskeys none is added, also at once from two processes.
func testManyPasskeys(t *testing.T, p place) {
	here, there := opened(t, p), opened(t, p)
	enrolled(t, here, "u_ada")
	withFactor(t, here, "u_ada")
	var full atomic.Int32
	var all sync.WaitGroup
	for i := range vault.MaxPasskeys + 4 {
		all.Go(func() {
			_, ok, err := []*vault.Vault{here, there}[i%2].AddPasskey(t.Context(), "u_ada", another(fmt.Sprint("key ", i)), noon)
			if errors.Is(err, vault.ErrTooManyPasskeys) && !errors.Is(err, vault.ErrUnknown) {
				full.Add(1)
			} else if err != nil || !ok {
				t.Errorf("added: %t, %v", ok, err)
			}
		})
	}
	all.Wait()
	if list := passkeysOf(t, p, "u_ada"); full.Load() != 4 || len(list) != vault.MaxPasskeys {
		t.Errorf("%d were too many, and %d are there", full.Load(), len(list))
	}
}

// A count goes on, or is 0 for ever. After one that did not, no signature is good any more: it
// may have been the owner's, and the one before a copy's.
func testCountsOfPasskeys(t *testing.T, p place) {
	here, there := opened(t, p), opened(t, p)
	enrolled(t, here, "u_ada", "u_bob")
	withFactor(t, here, "u_ada")
	counting := phone
	counting.Count = 7
	added(t, here, "u_ada", counting, noon)
	silent := another("does not count")
	added(t, here, "u_ada", silent, noon.Add(-time.Minute))
	use := func(v *vault.Vault, u domain.UserID, k vault.Passkey, count uint32, wantOK, wantCopied bool) {
		t.Helper()
		if ok, copied, err := v.UsePasskey(t.Context(), u, k.Credential.ID, count, noon.Add(time.Hour)); err != nil || ok != wantOK || copied != wantCopied {
			t.Errorf("%s, %d of %s: %t, %t, %v", u, count, k.Name, ok, copied, err)
		}
	}
	for range 2 {
		use(there, "u_ada", silent, 0, true, false)
	}
	use(here, "u_bob", counting, 8, false, false)
	use(here, "u_ada", another("nobody's"), 8, false, false)
	use(here, "u_ada", counting, 8, true, false)
	use(there, "u_ada", counting, 1<<31, true, false)
	if k := passkeysOf(t, p, "u_ada")[0]; k.Count != 1<<31 || !k.LastUsedAt.Equal(noon.Add(time.Hour)) || !k.CopiedAt.IsZero() {
		t.Errorf("used it is %+v", k)
	}
	use(here, "u_ada", counting, 9, false, true)
	use(there, "u_ada", counting, 1<<32-1, false, true)
	use(here, "u_ada", silent, 3, true, false)
	use(here, "u_ada", silent, 0, false, true)
	for _, k := range passkeysOf(t, p, "u_ada") {
		if !k.CopiedAt.Equal(noon.Add(time.Hour)) {
			t.Errorf("copied it is %+v", k)
		}
	}
	twice := another("two processes")
	twice.Count = 1
	added(t, here, "u_ada", twice, noon)
	var good atomic.Int32
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			ok, _, err := []*vault.Vault{here, there}[i%2].UsePasskey(t.Context(), "u_ada", twice.Credential.ID, 2, noon)
			if err != nil {
				t.Error(err)
			}
			if ok {
				good.Add(1)
			}
		})
	}
	all.Wait()
	if good.Load() != 1 {
		t.Errorf("a count was good %d times at once", good.Load())
	}
}

// With a copied passkey goes what it may have opened: the person's other sessions and their
// tokens; with another one nothing does.
func testCopiedPasskeys(t *testing.T, p place) {
	here, there := opened(t, p), opened(t, p)
	enrolled(t, here, "u_ada", "u_bob")
	ticket, err := here.HalfSignIn(t.Context(), "u_ada", password, noon)
	must(t, err)
	withFactor(t, here, "u_ada")
	byFactor := reader
	byFactor.ByFactor = true
	token, _ := newToken(t, here, "u_ada", byFactor)
	bobs, _ := newToken(t, here, "u_bob", reader)
	bob := started(t, here, "u_bob", noon)
	signedIn := func(v *vault.Vault) (string, vault.SessionID) {
		text, s, err := v.NewSessionByTicket(t.Context(), ticket, vault.Origin{}, noon)
		must(t, err)
		return text, s.ID
	}
	own, id := signedIn(here)
	other, _ := signedIn(there)
	open := func(text string) bool {
		_, ok, err := opened(t, p).Session(t.Context(), text, "", noon)
		must(t, err)
		return ok
	}
	drop := func(k vault.Passkey, wantCopied bool) {
		t.Helper()
		if ok, copied, err := here.DropPasskey(t.Context(), "u_ada", k.ID, id); err != nil || !ok || copied != wantCopied {
			t.Errorf("%s is removed: %t, %t, %v", k.Name, ok, copied, err)
		}
	}
	counting := phone
	counting.Count = 7
	copied, good := added(t, here, "u_ada", counting, noon), added(t, here, "u_ada", another("good"), noon)
	if ok, marked, err := there.UsePasskey(t.Context(), "u_ada", phone.Credential.ID, 7, noon); ok || !marked {
		t.Fatal(ok, marked, err)
	}
	if drop(good, false); !open(own) || !open(other) || !works(t, p, token, noon) {
		t.Error("something ends with a passkey that was not copied")
	}
	if drop(copied, true); !open(own) || open(other) || works(t, p, token, noon) {
		t.Errorf("after the copied one: the own session %t, the other %t, the token %t", open(own), open(other), works(t, p, token, noon))
	}
	if !open(bob) || !works(t, p, bobs, noon) {
		t.Error("another person's have ended")
	}
}

// A challenge is good once, in time, in whichever process, for its ceremony and its person; a
// newer one replaces it.
func testChallenges(t *testing.T, p place) {
	here, there := opened(t, p), opened(t, p)
	enrolled(t, here, "u_ada", "u_bob", "u_eve")
	withFactor(t, here, "u_ada")
	withFactor(t, here, "u_bob")
	giving := vault.GivingPasskey("session")
	challenge := func(c vault.Ceremony) []byte {
		t.Helper()
		b, ok, err := here.NewChallenge(t.Context(), "u_ada", c, noon)
		if err != nil || !ok || len(b) != 32 {
			t.Fatalf("a challenge is %x, %t, %v", b, ok, err)
		}
		return b
	}
	take := func(u domain.UserID, c vault.Ceremony, at time.Time, want []byte) {
		t.Helper()
		if b, ok, err := there.TakeChallenge(t.Context(), u, c, at); err != nil || ok != (want != nil) || !bytes.Equal(b, want) {
			t.Errorf("%s takes %x of %v, %t, %v", u, b, c, ok, err)
		}
	}
	if b, ok, err := here.NewChallenge(t.Context(), "u_eve", giving, noon); err != nil || ok {
		t.Errorf("without a factor it is %x, %t, %v", b, ok, err)
	}
	former := challenge(giving)
	newer := challenge(giving)
	if bytes.Equal(former, newer) {
		t.Error("two challenges are the same")
	}
	for _, other := range []vault.Ceremony{vault.GivingPasskey("another"), vault.AddingPasskey("session"), vault.SigningIn("session"), {}} {
		take("u_ada", other, noon, nil)
	}
	take("u_bob", giving, noon, nil)
	take("u_ada", giving, noon.Add(vault.ChallengeLife-time.Second), newer)
	take("u_ada", giving, noon, nil)
	challenge(giving)
	take("u_ada", giving, noon.Add(vault.ChallengeLife), nil)
	must(t, here.DropExpired(t.Context(), noon.Add(vault.ChallengeLife-time.Second)))
	for _, want := range []string{"1", "0"} {
		if n := p.one(t, `SELECT cast(count(*) AS text) FROM passkey_challenges`); n != want {
			t.Errorf("%s challenges are stored, want %s", n, want)
		}
		must(t, here.DropExpired(t.Context(), noon.Add(vault.ChallengeLife)))
	}
	challenge(giving)
	var taken atomic.Int32
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			_, ok, err := []*vault.Vault{here, there}[i%2].TakeChallenge(t.Context(), "u_ada", giving, noon)
			if err != nil {
				t.Error(err)
			}
			if ok {
				taken.Add(1)
			}
		})
	}
	all.Wait()
	if taken.Load() != 1 {
		t.Errorf("a challenge was taken %d times", taken.Load())
	}
}

// Passkeys and challenges end with the factor, and with an erasure; those of others stay.
func testPasskeysEnd(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada", "u_bob")
	withFactor(t, v, "u_bob")
	added(t, v, "u_bob", another("bob's"), noon)
	for name, end := range map[string]func() error{
		"the factor":  func() error { return second(v.DropFactor(t.Context(), "u_ada")) },
		"the erasure": func() error { return second(v.Erase(t.Context(), "u_ada")) },
	} {
		enrolledAgain(t, p, v, "u_ada")
		withFactor(t, v, "u_ada")
		added(t, v, "u_ada", phone, noon)
		_, ok, err := v.NewChallenge(t.Context(), "u_ada", vault.GivingPasskey("session"), noon)
		if must(t, err); !ok {
			t.Fatal("there is no challenge")
		}
		must(t, end())
		for _, table := range []string{"passkeys", "passkey_challenges"} {
			if n := p.one(t, `SELECT cast(count(*) AS text) FROM `+table+` WHERE user_id = 'u_ada'`); n != "0" {
				t.Errorf("after %s %s rows of %s are left", name, n, table)
			}
		}
	}
	if list := passkeysOf(t, p, "u_bob"); len(list) != 1 {
		t.Errorf("bob's are %+v", list)
	}
}

// enrolledAgain makes a person as a new one is, whatever was of them.
func enrolledAgain(t testing.TB, p place, v *vault.Vault, u domain.UserID) {
	t.Helper()
	must(t, second(v.Erase(t.Context(), u)))
	enrolled(t, v, u)
}

// Names and credentials are sealed; one that is damaged is listed without them; faults are
// returned.
func TestPasskeysAreStoredSealed(t *testing.T) {
	f := newFile(t)
	v := opened(t, f)
	enrolled(t, v, "u_ada")
	withFactor(t, v, "u_ada")
	made := added(t, v, "u_ada", phone, noon)
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(f.path + suffix)
		must(t, err)
		for _, secret := range []string{phone.Name, string(phone.Credential.ID), string(phone.Credential.PublicKey)} {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("kassa.db%s holds %q", suffix, secret)
			}
		}
	}
	f.exec(t, `UPDATE passkeys SET sealed = x'00'`)
	if list := passkeysOf(t, f, "u_ada"); len(list) != 1 || list[0].ID != made.ID || list[0].Name != "" || list[0].Credential.ID != nil {
		t.Errorf("a damaged one is %+v", list)
	}
	left, release := context.WithCancel(t.Context())
	release()
	for name, err := range map[string]error{
		"challenge": func() error { _, _, err := v.NewChallenge(left, "u_ada", vault.Ceremony{}, noon); return err }(),
		"take":      func() error { _, _, err := v.TakeChallenge(left, "u_ada", vault.Ceremony{}, noon); return err }(),
		"add":       func() error { _, _, err := v.AddPasskey(left, "u_ada", another("late"), noon); return err }(),
		"list":      second(v.Passkeys(left, "u_ada")),
		"use":       func() error { _, _, err := v.UsePasskey(left, "u_ada", nil, 1, noon); return err }(),
		"drop":      func() error { _, _, err := v.DropPasskey(left, "u_ada", made.ID, ""); return err }(),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
