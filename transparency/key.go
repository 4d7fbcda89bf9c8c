package transparency

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// privatePrefix begins a private key in the form of package note.
const privatePrefix = "PRIVATE+KEY+"

// Keys sign heads, and verify what was signed before. All have the name of the log.
type Keys struct {
	signers   []note.Signer
	verifiers []note.Verifier // of the signers, and of earlier keys
	public    []string        // the verifiers as text
}

// NewKey makes an Ed25519 key for a log of that name, such as kassa.example.com/ledger. It
// returns the text of a key file, and the public key, in the form of package note.
func NewKey(name string) (private, public string, err error) {
	private, public, err = note.GenerateKey(rand.Reader, name)
	if err == nil {
		_, err = note.NewVerifier(public) // which also checks the name
	}
	if err != nil {
		return "", "", fmt.Errorf("make a key for a log called %q: %w", name, err)
	}
	return private + "\n", public, nil
}

// ParseKeys reads a key file: a key on each line. Private keys sign; public ones are those
// of earlier keys, whose signatures are still accepted. Blank lines and lines that begin
// with # are skipped.
func ParseKeys(text string) (Keys, error) {
	k, err := parseLines(text)
	if err == nil && len(k.signers) == 0 {
		err = errors.New("there is no private key: kassa key new makes one")
	}
	if err != nil {
		return Keys{}, err
	}
	return k, nil
}

// ParsePublicKeys reads public keys, one on each line, for those who verify.
func ParsePublicKeys(text string) (Keys, error) {
	k, err := parseLines(text)
	switch {
	case err != nil:
		return Keys{}, err
	case len(k.signers) > 0:
		return Keys{}, errors.New("a private key was given, which only the service needs: kassa key show prints its public key")
	case len(k.verifiers) == 0:
		return Keys{}, errors.New("there is no public key")
	}
	return k, nil
}

func parseLines(text string) (Keys, error) {
	var k Keys
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := k.add(line); err != nil {
			return Keys{}, err
		}
	}
	return k, nil
}

func (k *Keys) add(line string) error {
	public := line
	if strings.HasPrefix(line, privatePrefix) {
		signer, err := note.NewSigner(line)
		if err != nil {
			return errors.New("a line is no private key of the form that kassa key new writes") // the line is a secret
		}
		if public, err = publicOf(line); err != nil {
			return err
		}
		k.signers = append(k.signers, signer)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		return fmt.Errorf("a line is no public key: %w", err)
	}
	if len(k.verifiers) > 0 && verifier.Name() != k.verifiers[0].Name() {
		return fmt.Errorf("the keys are of several logs: %s and %s", k.verifiers[0].Name(), verifier.Name())
	}
	if !slices.Contains(k.public, public) {
		k.verifiers, k.public = append(k.verifiers, verifier), append(k.public, public)
	}
	return nil
}

// Name is that of the log; "" where there are no keys.
func (k Keys) Name() string {
	if len(k.verifiers) == 0 {
		return ""
	}
	return k.verifiers[0].Name()
}

// Public lists the public keys, for those who verify.
func (k Keys) Public() []string { return k.public }

// Sign reports whether there is a key that signs.
func (k Keys) Sign() bool { return len(k.signers) > 0 }

// sign gives the signed note of a head, with the signatures of all private keys.
func (k Keys) sign(c Checkpoint) (Checkpoint, error) {
	signed, err := note.Sign(&note.Note{Text: c.text()}, k.signers...)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("sign the head of size %d: %w", c.Head.Size, err)
	}
	c.Note = signed
	return c, nil
}

// Open verifies a signed head by any of the keys.
func (k Keys) Open(signed []byte) (Checkpoint, error) {
	c, _, err := k.open(signed)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w (%w)", ErrForeign, err)
	}
	return c, nil
}

// NextName is the name of a log that follows this one, after a restore that lost entries:
// kassa.example.com/ledger is followed by kassa.example.com/ledger-2.
func (k Keys) NextName() string {
	base, number := k.Name(), 1
	if i := strings.LastIndexByte(base, '-'); i > 0 {
		if n, err := strconv.Atoi(base[i+1:]); err == nil && n > 1 {
			base, number = base[:i], n
		}
	}
	return fmt.Sprintf("%s-%d", base, number+1)
}

// open verifies a signed note by any of the keys, and counts the signatures of those that
// sign now.
func (k Keys) open(signed []byte) (c Checkpoint, current int, err error) {
	opened, err := note.Open(signed, note.VerifierList(k.verifiers...))
	if err != nil {
		return Checkpoint{}, 0, err
	}
	if c, err = parseText(opened.Text); err != nil {
		return Checkpoint{}, 0, err
	}
	if c.Origin != k.Name() {
		return Checkpoint{}, 0, fmt.Errorf("it is of the log %q, not of %q", c.Origin, k.Name())
	}
	for _, signature := range opened.Sigs {
		for _, signer := range k.signers {
			if signature.Hash == signer.KeyHash() {
				current++
			}
		}
	}
	c.Note = signed
	return c, current, nil
}

// WriteKey writes a new key file, for its owner only. One that is there stays, and the
// error wraps os.ErrExist.
func WriteKey(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Sync(), file.Close())
}
