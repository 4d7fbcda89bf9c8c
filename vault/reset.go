package vault

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"kassa/domain"
)

// ResetLife is how long a link to set another password is good.
const ResetLife = 30 * time.Minute

// NewReset gives a token with which a person sets another password, once. It ends the ones
// before it. Only a keyed hash of it is stored. ok is false where the person has no password
// to replace.
func (v *Vault) NewReset(ctx context.Context, u domain.UserID, now time.Time) (token string, ok bool, err error) {
	random := make([]byte, 32)
	rand.Read(random)
	token = base64.RawURLEncoding.EncodeToString(random)
	if ok, err = v.db.addReset(ctx, u, v.hashReset(token), now.Add(ResetLife)); err != nil {
		return "", false, fmt.Errorf("store a reset of %s: %w", u, written(err))
	}
	return token, ok, nil
}

// ResetOf gives the person of a token that is still good, and does not use it.
func (v *Vault) ResetOf(ctx context.Context, token string, now time.Time) (u domain.UserID, ok bool, err error) {
	u, err = v.db.resetOf(ctx, v.hashReset(token), now)
	if errors.Is(err, errNone) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read a reset: %w", err)
	}
	return u, true, nil
}

// Reset stores another password of the person of a token, ends all their sessions, and uses
// the token. ok is false where it is not good any more: of two at once one is done.
func (v *Vault) Reset(ctx context.Context, u domain.UserID, token, password string, now time.Time) (ok bool, err error) {
	hash, err := v.hashing.hash(ctx, normalized(password))
	if err != nil {
		return false, err
	}
	if ok, err = v.db.reset(ctx, u, v.hashReset(token), hash, now); err != nil {
		return false, fmt.Errorf("reset the password of %s: %w", u, written(err))
	}
	return ok, nil
}

func (v *Vault) hashReset(token string) []byte {
	mac := hmac.New(sha256.New, v.resetKey)
	mac.Write([]byte(token))
	return mac.Sum(nil)
}
