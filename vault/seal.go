package vault

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"kassa/domain"
)

// SealEmail and SealText seal a person's data for an event. The name of the
// event's subject is bound in, so that sealed bytes moved into another event do
// not open there.
func (v *Vault) SealEmail(ctx context.Context, u domain.UserID, email string) (domain.Sealed, error) {
	return v.seal(ctx, u, "email:"+string(u), email)
}

// OpenEmail undoes SealEmail; ErrErased where the key is gone, and for an e-mail of no
// bytes, which the views have of a person who was erased.
func (v *Vault) OpenEmail(ctx context.Context, u domain.UserID, sealed domain.Sealed) (string, error) {
	if len(sealed) == 0 {
		return "", ErrErased
	}
	return v.open(ctx, u, "email:"+string(u), sealed)
}

// SealText seals the text of one question.
func (v *Vault) SealText(ctx context.Context, u domain.UserID, p domain.PredictionID, text string) (domain.Sealed, error) {
	return v.seal(ctx, u, "text:"+string(p), text)
}

// OpenText undoes SealText; ErrErased where the key is gone.
func (v *Vault) OpenText(ctx context.Context, u domain.UserID, p domain.PredictionID, sealed domain.Sealed) (string, error) {
	return v.open(ctx, u, "text:"+string(p), sealed)
}

func (v *Vault) seal(ctx context.Context, u domain.UserID, name, plain string) (domain.Sealed, error) {
	key, err := v.key(ctx, u)
	if err != nil {
		return nil, err
	}
	return sealWith(key, []byte(name), []byte(plain))
}

func (v *Vault) open(ctx context.Context, u domain.UserID, name string, sealed domain.Sealed) (string, error) {
	key, err := v.key(ctx, u)
	if err != nil {
		return "", err
	}
	plain, err := openWith(key, []byte(name), sealed)
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrUnreadable, name, err)
	}
	return string(plain), nil
}

func (v *Vault) key(ctx context.Context, u domain.UserID) ([]byte, error) {
	if key, ok := v.keys.Get(u); ok {
		return key, nil
	}
	wrapped, err := v.db.key(ctx, u)
	if errors.Is(err, errNone) {
		return nil, ErrErased
	}
	if err != nil {
		return nil, fmt.Errorf("read the key of %s: %w", u, err)
	}
	return v.unwrap(u, wrapped)
}

// unwrap opens a stored key, and remembers it.
func (v *Vault) unwrap(u domain.UserID, wrapped []byte) ([]byte, error) {
	key, err := openWith(v.wrapKey, []byte(u), wrapped)
	if err != nil {
		return nil, fmt.Errorf("%w: the key of %s (is this the installation's secret?): %w", ErrUnreadable, u, err)
	}
	v.keys.Add(u, key)
	return key, nil
}

// ReadKeys reads the keys of persons in one query, where they are not remembered, so that
// what is sealed for them opens without one. Who has none, or a damaged one, is met then.
func (v *Vault) ReadKeys(ctx context.Context, users []domain.UserID) error {
	var missing []domain.UserID
	for _, u := range users {
		if !v.keys.Contains(u) {
			missing = append(missing, u)
		}
	}
	if len(missing) < 2 {
		return nil
	}
	wrapped, err := v.db.keys(ctx, missing)
	if err != nil {
		return fmt.Errorf("read the keys of %d persons: %w", len(missing), err)
	}
	for u, key := range wrapped {
		_, _ = v.unwrap(u, key) // its fault is met where it is used
	}
	return nil
}

// sealWith gives nonce and AES-256-GCM ciphertext.
func sealWith(key, additional, plain []byte) ([]byte, error) {
	gcm, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, gcm.NonceSize(), gcm.NonceSize()+len(plain)+gcm.Overhead())
	rand.Read(nonce)
	return gcm.Seal(nonce, nonce, plain, additional), nil
}

func openWith(key, additional, sealed []byte) ([]byte, error) {
	gcm, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < gcm.NonceSize() {
		return nil, errors.New("sealed data is cut short")
	}
	return gcm.Open(nil, sealed[:gcm.NonceSize()], sealed[gcm.NonceSize():], additional)
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Fingerprint gives a short name of content under the person's key: two requests
// can be compared by it, and no text can be guessed from it, after an
// erasure not even with the installation's secret.
func (v *Vault) Fingerprint(ctx context.Context, u domain.UserID, content string) (string, error) {
	key, err := v.key(ctx, u)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("fingerprint\x00" + content))
	return hex.EncodeToString(mac.Sum(nil)[:12]), nil
}
