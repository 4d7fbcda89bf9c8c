// Package vault keeps what the log must not: each person's key, password hash and
// sessions. Personal data stands in events only under that key, so deleting one
// row here makes it unreadable for ever while the log stays as it was.
package vault

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/hashicorp/golang-lru/v2/expirable"

	"kassa/domain"
)

// ErrErased means that the person's key is gone, and with it all that it sealed.
var ErrErased = errors.New("vault: the person's key is gone")

// ErrUnreadable means that what was sealed for a person does not open: their key, or
// the sealed bytes, are damaged. It concerns this person alone; under a secret that is
// not the installation's nothing opens, which CheckSecret finds.
var ErrUnreadable = errors.New("vault: sealed data does not open")

// Lost says whether an error means that this person's data cannot be read any more,
// however often it is tried. Whoever shows many people goes on without it.
func Lost(err error) bool { return errors.Is(err, ErrErased) || errors.Is(err, ErrUnreadable) }

// database is where the vault keeps its rows.
type database interface {
	// enroll writes a new person's key and password hash together.
	enroll(ctx context.Context, u domain.UserID, wrappedKey []byte, passwordHash string) error
	// key and password answer errNone where there is no row.
	key(ctx context.Context, u domain.UserID) ([]byte, error)
	password(ctx context.Context, u domain.UserID) (string, error)
	// rehash puts another hash in the place of one, if that is still there.
	rehash(ctx context.Context, u domain.UserID, was, is string) error
	// anybody gives a person who has a key; errNone where nobody has.
	anybody(ctx context.Context) (domain.UserID, error)
	// checkValue gives the one of the secret that the database belongs to; errNone
	// where none has claimed it. claim writes it unless there is one.
	checkValue(ctx context.Context) ([]byte, error)
	claim(ctx context.Context, value []byte) error

	addSession(ctx context.Context, tokenHash []byte, u domain.UserID, expires time.Time) error
	session(ctx context.Context, tokenHash []byte, now time.Time) (domain.UserID, error)
	endSession(ctx context.Context, tokenHash []byte) error
	dropExpired(ctx context.Context, now time.Time) error
}

var errNone = errors.New("vault: no such row")

// one reads the only column of the only row, of either driver: pgx's error for no
// row wraps that of database/sql.
func one[V any](row interface{ Scan(columns ...any) error }) (v V, err error) {
	if err = row.Scan(&v); errors.Is(err, sql.ErrNoRows) {
		err = errNone
	}
	return v, err
}

// Vault is safe for concurrent use.
type Vault struct {
	db       database
	emailKey []byte
	wrapKey  []byte
	check    []byte // the secret's check value
	keys     *lru.Cache[domain.UserID, []byte]
	hashing  hashing
	verified *expirable.LRU[[sha256.Size]byte, verified]
	cacheKey []byte // of this process only: names in verified mean nothing outside it
}

// Options tune a vault; the zero value is right for production.
type Options struct {
	Argon2 Argon2 // zero: DefaultArgon2
}

func open(db database, secret Secret, o Options) (*Vault, error) {
	if len(secret) < secretBytes {
		return nil, fmt.Errorf("the secret has %d bytes of at least %d", len(secret), secretBytes)
	}
	emailKey, err := hkdf.Key(sha256.New, secret, nil, "kassa e-mail hash", 32)
	if err != nil {
		return nil, fmt.Errorf("derive keys: %w", err)
	}
	wrapKey, err := hkdf.Key(sha256.New, secret, nil, "kassa key wrap", 32)
	if err != nil {
		return nil, fmt.Errorf("derive keys: %w", err)
	}
	check, err := secret.CheckValue()
	if err != nil {
		return nil, err
	}
	keys, err := lru.New[domain.UserID, []byte](10_000)
	if err != nil {
		return nil, err
	}
	v := &Vault{db: db, emailKey: emailKey, wrapKey: wrapKey, check: check, keys: keys, hashing: newHashing(o.Argon2),
		verified: expirable.NewLRU[[sha256.Size]byte, verified](10_000, nil, verifiedFor), cacheKey: make([]byte, 32)}
	rand.Read(v.cacheKey)
	return v, nil
}

// EmailHash gives the name of an e-mail's stream: a keyed hash, so that nobody
// without the secret can test whether an address has an account. The address is
// one that domain.NormalizeEmail gave.
func (v *Vault) EmailHash(normalized string) string {
	mac := hmac.New(sha256.New, v.emailKey)
	mac.Write([]byte(normalized))
	return hex.EncodeToString(mac.Sum(nil)[:20])
}

// Enroll prepares a new person: a fresh key and the hash of their password. It
// comes before the sign-up is appended; where that fails, the rows speak of
// nobody and harm nothing.
func (v *Vault) Enroll(ctx context.Context, u domain.UserID, password string) error {
	hash, err := v.hashing.hash(ctx, prepared(password))
	if err != nil {
		return err
	}
	key := make([]byte, 32)
	rand.Read(key)
	wrapped, err := sealWith(v.wrapKey, []byte(u), key)
	if err != nil {
		return err
	}
	if err := v.db.enroll(ctx, u, wrapped, hash); err != nil {
		return fmt.Errorf("enroll %s: %w", u, err)
	}
	v.keys.Add(u, key)
	v.verified.Add(v.credential(u, password), verified{hash, time.Now()}) // who signs up goes on at once
	return nil
}
