package transparency_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/transparency"
)

// proofs is a signed log with the proof of each entry.
type proofs struct {
	log    []eventstore.Recorded
	texts  []string
	signed transparency.Checkpoint
	keys   transparency.Keys // public
	public string
}

func newProofs(t *testing.T, seed uint64, entries int) proofs {
	t.Helper()
	l := inSQLite(t, filepath.Join(t.TempDir(), "kassa.db"))
	l.work = eventstoretest.NewWorkload(seed, 5)
	for len(entriesOf(t, l)) < entries {
		l.grow(t, 5)
	}
	keys, _, public := newKey(t)
	p := proofs{signed: sign(t, l.signer(keys)), log: entriesOf(t, l), public: public}
	var err error
	p.keys, err = transparency.ParsePublicKeys(public)
	must(t, err)
	for _, rec := range p.log {
		text, err := transparency.Prove(t.Context(), l.store, p.signed, rec)
		must(t, err)
		p.texts = append(p.texts, string(text))
	}
	return p
}

func entriesOf(t *testing.T, l *ledger) []eventstore.Recorded {
	t.Helper()
	list, err := l.store.After(t.Context(), 0, 1000)
	must(t, err)
	return list
}

// Each entry's proof verifies offline, by the public key alone, and contains the entry.
func TestProofs(t *testing.T) {
	p := newProofs(t, 1, 70)
	for i, text := range p.texts {
		proved, err := p.keys.Check([]byte(text))
		if err != nil || string(proved.Entry.Entry) != string(p.log[i].Entry) || proved.Checkpoint.Head != p.signed.Head {
			t.Errorf("the proof of position %d: %v\n%s", i+1, err, text)
		}
	}
}

// Whatever is changed in a proof, it proves nothing more: each single character, the entry of
// another, another head, another key.
func TestForgedProofs(t *testing.T) {
	p := newProofs(t, 1, 20)
	text := p.texts[6]
	refused := func(what, forged string, keys transparency.Keys) {
		t.Helper()
		if _, err := keys.Check([]byte(forged)); !errors.Is(err, transparency.ErrNotProved) {
			t.Errorf("%s: %v\n%s", what, err, forged)
		}
	}
	signature := strings.Index(text, "— ")
	for i := range text {
		if i > signature && strings.HasPrefix(strings.TrimLeft(text[i+1:], "="), "\n") {
			continue // unused bits of the base64 of the signature, which stays the same
		}
		forged := text[:i] + string(text[i]^1) + text[i+1:]
		refused(fmt.Sprintf("the byte %d is changed", i), forged, p.keys)
	}
	extra := func(entry []byte) string { return "extra " + base64.StdEncoding.EncodeToString(entry) }
	refused("another's entry", strings.Replace(text, extra(p.log[6].Entry), extra(p.log[7].Entry), 1), p.keys)
	refused("another's index", strings.Replace(text, "index 6", "index 7", 1), p.keys)
	refused("no entry", strings.Replace(text, extra(p.log[6].Entry)+"\n", "", 1), p.keys)
	refused("a hash more", strings.Replace(text, "\n\n", "\n"+base64.StdEncoding.EncodeToString(p.log[6].Entry[:32])+"\n\n", 1), p.keys)
	refused("no head", text[:strings.Index(text, "\n\n")], p.keys)
	refused("nothing", "", p.keys)
	_, _, public := newKey(t)
	alien, err := transparency.ParsePublicKeys(public)
	must(t, err)
	refused("another key of that name", text, alien)
	another := newProofs(t, 2, 20)
	_, head, _ := strings.Cut(another.texts[6], "\n\n")
	body, _, _ := strings.Cut(text, "\n\n")
	refused("the head of another log", body+"\n\n"+head, another.keys)
}

// Who verifies needs no private key, and does not get to use one by mistake.
func TestParsePublicKeys(t *testing.T) {
	_, private, public := newKey(t)
	if _, err := transparency.ParsePublicKeys(private); err == nil || !strings.Contains(err.Error(), "kassa key show") {
		t.Errorf("a private key: %v", err)
	}
	if _, err := transparency.ParsePublicKeys("\n# none\n"); err == nil {
		t.Error("no key is taken")
	}
	if keys, err := transparency.ParsePublicKeys(public + "\n"); err != nil || keys.Sign() || keys.Name() != origin {
		t.Errorf("%v, %v", keys.Name(), err)
	}
}
