package vault

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Secret is the installation's own secret: e-mails are hashed and keys are
// wrapped under keys derived from it. Losing it loses all personal data and
// every sign-in; the ledger itself does not need it.
type Secret []byte

// secretBytes is the least length of a secret.
const secretBytes = 32

// CheckValue names the secret without revealing it: the database keeps
// it, and so detects a foreign secret before the first sign-up.
func (s Secret) CheckValue() ([]byte, error) {
	value, err := hkdf.Key(sha256.New, s, nil, "kassa check value", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the check value: %w", err)
	}
	return value, nil
}

// ReadSecret reads the secret from a file in hexadecimal. Where there is no file, the
// error wraps os.ErrNotExist.
func ReadSecret(path string) (Secret, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load the installation's secret: %w", err)
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) < secretBytes {
		return nil, fmt.Errorf("the secret in %s must be at least %d bytes in hexadecimal", path, secretBytes)
	}
	return secret, nil
}

// LoadSecret reads the secret, and makes the file, readable by its owner only, where
// there is none.
func LoadSecret(path string) (Secret, error) {
	secret, err := ReadSecret(path)
	if errors.Is(err, os.ErrNotExist) {
		if err := NewSecret(path); err != nil && !errors.Is(err, os.ErrExist) { // another may have been faster
			return nil, fmt.Errorf("make the installation's secret: %w", err)
		}
		return ReadSecret(path)
	}
	return secret, err
}

// NewSecret makes the file with a new secret. One that is there stays, and the error
// wraps os.ErrExist. The file is written whole or not at all: it is linked into place,
// so the first of two processes wins and a crash leaves no half of a secret.
func NewSecret(path string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	b := make([]byte, secretBytes)
	rand.Read(b)
	_, err = fmt.Fprintln(tmp, hex.EncodeToString(b))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Link(tmp.Name(), path)
}

// ErrSecret means that the database belongs to another secret.
var ErrSecret = errors.New("this is not the secret under which this ledger began; put back the installation's own")

// CheckSecret refuses a secret other than the installation's, by the check value in the
// database; where it has none yet, by opening the key of any user. Under
// another secret no user could sign in, and every e-mail could sign up again. Where
// there is neither, any secret is right.
func (v *Vault) CheckSecret(ctx context.Context) error {
	value, err := v.db.checkValue(ctx)
	switch {
	case errors.Is(err, errNone):
		return v.checkAnyKey(ctx)
	case err != nil:
		return fmt.Errorf("check the secret: %w", err)
	case !bytes.Equal(value, v.check):
		return fmt.Errorf("%w (its check value is %x, and this one's %x)", ErrSecret, value[:4], v.check[:4])
	}
	return nil
}

func (v *Vault) checkAnyKey(ctx context.Context) error {
	u, err := v.db.anyUser(ctx)
	if errors.Is(err, errNone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("check the secret: %w", err)
	}
	wrapped, err := v.db.key(ctx, u)
	if errors.Is(err, errNone) { // erased meanwhile
		return nil
	}
	if err != nil {
		return fmt.Errorf("check the secret: %w", err)
	}
	if _, err := openWith(v.wrapKey, []byte(u), wrapped); err != nil {
		return ErrSecret
	}
	return nil
}

// ClaimSecret is CheckSecret, and binds a database to this secret that belongs to none
// yet. Of two processes with different secrets that begin on it at once, one is refused.
func (v *Vault) ClaimSecret(ctx context.Context) error {
	if err := v.CheckSecret(ctx); err != nil {
		return err
	}
	if err := v.db.claim(ctx, v.check); err != nil {
		return fmt.Errorf("bind the database to the secret: %w", err)
	}
	return v.CheckSecret(ctx)
}
