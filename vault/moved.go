package vault

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"kassa/domain"
)

// MaxBcryptCost is the highest cost of a bcrypt hash that is accepted: one more doubles the
// time of a sign-in, which at 14 is about a second.
const MaxBcryptCost = 14

// BcryptUsable reports whether a hash of the replaced system can be verified here.
func BcryptUsable(hash string) bool {
	cost, err := bcrypt.Cost([]byte(hash))
	return err == nil && isBcrypt(hash) && len(hash) == bcryptSize && cost <= MaxBcryptCost
}

// bcryptSize is the length of a bcrypt hash in its usual form.
const bcryptSize = 60

func isBcrypt(hash string) bool { return strings.HasPrefix(hash, "$2") }

// verifyBcrypt compares a password with a hash of the replaced system, which hashed at most
// the first 72 bytes of it.
func (h hashing) verifyBcrypt(ctx context.Context, hash, password string) (bool, error) {
	if err := h.acquire(ctx); err != nil {
		return false, err
	}
	defer h.release()
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("stored password hash: %w", err)
	}
	return true, nil
}

// MovedID gives the account of a person of the replaced system, by their id there. It is a
// keyed hash, so that without the secret nobody finds the one from the other.
func (v *Vault) MovedID(oldID string) domain.UserID {
	mac := hmac.New(sha256.New, v.movedKey)
	mac.Write([]byte(oldID))
	name := plainBase32.EncodeToString(mac.Sum(nil))
	return domain.UserID("u_" + strings.ToLower(name[:20]))
}

// EnrollMoved prepares a person of the replaced system: a key, and the bcrypt hash of their
// password. It is accepted until their next sign-in, which stores an argon2id hash in its
// place. Where the hash is "", no password is accepted until they have set one by a one-time
// link. A person who was prepared before keeps the key, and the password that they have set
// since; a bcrypt hash is replaced by the one of now.
func (v *Vault) EnrollMoved(ctx context.Context, u domain.UserID, bcryptHash string) error {
	if bcryptHash != "" && !BcryptUsable(bcryptHash) {
		return fmt.Errorf("enroll %s: the hash is not of bcrypt, or of a cost above %d", u, MaxBcryptCost)
	}
	if _, err := v.db.key(ctx, u); !errors.Is(err, errNone) {
		if err != nil {
			return err
		}
		return v.enrollAgain(ctx, u, bcryptHash)
	}
	if bcryptHash == "" {
		var err error
		if bcryptHash, err = v.hashing.hash(ctx, rand.Text()); err != nil {
			return err
		}
	}
	key := make([]byte, 32)
	rand.Read(key)
	wrapped, err := sealWith(v.wrapKey, []byte(u), key)
	if err != nil {
		return err
	}
	if err := v.db.enroll(ctx, u, wrapped, bcryptHash); err != nil {
		return fmt.Errorf("enroll %s: %w", u, err)
	}
	v.keys.Add(u, key)
	return nil
}

// enrollAgain is for a person whose key is there: an earlier attempt to move them may have
// stopped before they had an account, and they may have changed their password since.
func (v *Vault) enrollAgain(ctx context.Context, u domain.UserID, bcryptHash string) error {
	stored, err := v.db.password(ctx, u)
	if err != nil {
		return fmt.Errorf("enroll %s again: %w", u, err)
	}
	if bcryptHash == "" || stored == bcryptHash || !isBcrypt(stored) {
		return nil
	}
	if err := v.db.rehash(ctx, u, stored, bcryptHash); err != nil {
		return fmt.Errorf("enroll %s again: %w", u, err)
	}
	return nil
}
