// Package vault keeps what the log must not: each person's key, password hash and
// sessions. Personal data is in events only under that key, so deleting one
// row here makes it unreadable for ever while the log stays as it was.
package vault

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"

	"kassa/domain"
	"kassa/schema"
)

// ErrErased means that the person's key is gone, and with it all that it sealed.
var ErrErased = errors.New("vault: the person's key is gone")

// ErrUnreadable means that what was sealed for a person does not open: their key, or
// the sealed bytes, are damaged. It concerns this person alone; under a secret that is
// not the installation's nothing opens, which CheckSecret finds.
var ErrUnreadable = errors.New("vault: sealed data does not open")

// ErrUnknown means that it is not known whether something was stored: the connection failed
// while it was written, or the caller left.
var ErrUnknown = errors.New("vault: it is not known whether this was stored")

// written is the error of a write. It wraps ErrUnknown unless certainly nothing was stored.
func written(err error) error {
	if err == nil || errors.Is(err, ErrTooManyTokens) || errors.Is(err, ErrTooManyPasskeys) || schema.IsUndone(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnknown, err)
}

// Lost reports whether an error means that this person's data cannot be read any more,
// however often it is tried. A list of many people is shown without it.
func Lost(err error) bool { return errors.Is(err, ErrErased) || errors.Is(err, ErrUnreadable) }

// database is where the vault keeps its rows.
type database interface {
	// enroll writes a new person's key and password hash together.
	enroll(ctx context.Context, u domain.UserID, wrappedKey []byte, passwordHash string) error
	// key and password answer errNone where there is no row.
	key(ctx context.Context, u domain.UserID) ([]byte, error)
	// keys gives those of the persons who have one.
	keys(ctx context.Context, users []domain.UserID) (map[domain.UserID][]byte, error)
	password(ctx context.Context, u domain.UserID) (string, error)
	// access gives what requests with a password need of a person, in one query; errNone where
	// there is no password.
	access(ctx context.Context, u domain.UserID) (access, error)
	// rehash puts another hash in the place of one, if that is still there.
	rehash(ctx context.Context, u domain.UserID, was, is string) error
	// anyUser gives a person who has a key; errNone where there is none.
	anyUser(ctx context.Context) (domain.UserID, error)
	// checkValue gives the one of the secret that the database belongs to; errNone
	// where none has claimed it. claim writes it unless there is one.
	checkValue(ctx context.Context) ([]byte, error)
	claim(ctx context.Context, value []byte) error

	// changePassword puts another hash in the place of one, and ends all sessions, personal
	// tokens and resets of the person; false where the hash is not there any more.
	changePassword(ctx context.Context, u domain.UserID, was, is string) (bool, error)

	// addReset replaces the person's; false where they have no password.
	addReset(ctx context.Context, u domain.UserID, tokenHash []byte, expires time.Time) (bool, error)
	resetOf(ctx context.Context, tokenHash []byte, now time.Time) (domain.UserID, error)
	// reset uses the reset, stores the password's hash and ends all sessions and personal
	// tokens, in one transaction; false where it is not there any more.
	reset(ctx context.Context, u domain.UserID, tokenHash []byte, hash string, now time.Time) (bool, error)

	addMail(ctx context.Context, id string, sealed []byte, due, expires time.Time) error
	// takeMail gives one that is due, and moves its next try behind a pause; errNone where
	// there is none.
	takeMail(ctx context.Context, now time.Time) (id string, sealed []byte, err error)
	dropMail(ctx context.Context, id string) error

	// addSession adds one while the person's password has the hash, and, unless a code was
	// given for it, they have no active factor; else it gives false. FactorAt is stored where
	// they have one. Of more than MaxSessions the oldest are deleted.
	addSession(ctx context.Context, tokenHash []byte, s Session, passwordHash string) (bool, error)
	// session gives one that has not expired and was seen after idleSince.
	session(ctx context.Context, tokenHash []byte, now, idleSince time.Time) (Session, error)
	sessions(ctx context.Context, u domain.UserID, now, idleSince time.Time) ([]Session, error)
	seen(ctx context.Context, tokenHash []byte, network string, at time.Time) error
	endSession(ctx context.Context, tokenHash []byte) error
	countSessions(ctx context.Context, now, idleSince time.Time) (int, error)
	// The prefix is that of a session's token hash.
	endSessionOf(ctx context.Context, u domain.UserID, prefix []byte) (bool, error)
	endOtherSessions(ctx context.Context, u domain.UserID, prefix []byte) error
	endAccess(ctx context.Context, u domain.UserID) error
	dropExpired(ctx context.Context, now, idleSince time.Time) error

	tokens
	factors
	passkeys

	// remind writes a reminder of an erasure, or moves it.
	remind(ctx context.Context, u domain.UserID, due time.Time) error
	reminders(ctx context.Context, dueBy time.Time, limit int) ([]domain.UserID, error)
	dropReminder(ctx context.Context, u domain.UserID, dueBy time.Time) error
	// erase deletes all rows of the persons in the tables of personal, together, and gives
	// how many there were.
	erase(ctx context.Context, users []domain.UserID) (rows int64, err error)
	// scrub removes from the files what was deleted.
	scrub(ctx context.Context) error
}

// access is what requests with a password need of a person.
type access struct {
	hash       string // of the password
	wrappedKey []byte // nil where there is none
	factor     bool   // an active one
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
	db          database
	emailKey    []byte
	logKey      []byte
	wrapKey     []byte
	resetKey    []byte
	mailKey     []byte
	movedKey    []byte
	tokenKey    []byte
	recoveryKey []byte
	ticketKey   []byte
	check       []byte // the secret's check value
	keys        *expirable.LRU[domain.UserID, []byte]
	hashing     hashing
	life        SessionLife
	haveFactor  *expirable.LRU[domain.UserID, bool]
	verified    *expirable.LRU[[sha256.Size]byte, verified]
	cacheKey    []byte // of this process only, for the keys of verified
}

// keptFor is how long a process uses a key without reading it again: by so much it may
// read a person's data after another process has erased them.
const keptFor = time.Second

// Options tune a vault; the zero value is right for production.
type Options struct {
	Argon2   Argon2 // zero: DefaultArgon2
	Sessions SessionLife
}

func open(db database, secret Secret, o Options) (*Vault, error) {
	if len(secret) < secretBytes {
		return nil, fmt.Errorf("the secret has %d bytes of at least %d", len(secret), secretBytes)
	}
	v := &Vault{db: db, hashing: newHashing(o.Argon2), life: o.Sessions.orDefault(), cacheKey: make([]byte, 32),
		keys:       expirable.NewLRU[domain.UserID, []byte](10_000, nil, keptFor),
		haveFactor: expirable.NewLRU[domain.UserID, bool](10_000, nil, keptFor),
		verified:   expirable.NewLRU[[sha256.Size]byte, verified](10_000, nil, verifiedFor)}
	for purpose, key := range map[string]*[]byte{"kassa e-mail hash": &v.emailKey, "kassa security log": &v.logKey, "kassa key wrap": &v.wrapKey, "kassa reset links": &v.resetKey, "kassa mails": &v.mailKey, "kassa moved-in ids": &v.movedKey,
		"kassa personal tokens": &v.tokenKey, "kassa recovery codes": &v.recoveryKey, "kassa half sign-ins": &v.ticketKey} {
		var err error
		if *key, err = hkdf.Key(sha256.New, secret, nil, purpose, 32); err != nil {
			return nil, fmt.Errorf("derive keys: %w", err)
		}
	}
	var err error
	if v.check, err = secret.CheckValue(); err != nil {
		return nil, err
	}
	rand.Read(v.cacheKey)
	return v, nil
}

// EmailHash gives the name of an e-mail's stream: a keyed hash, so that no one
// without the secret can test whether an address has an account. The address is
// one that domain.NormalizeEmail gave.
func (v *Vault) EmailHash(normalized string) string { return keyedHash(v.emailKey, normalized) }

// LogHash names an e-mail in the security log. It is under another key than EmailHash:
// with both logs one cannot tell which account an address was tried for that has none.
func (v *Vault) LogHash(normalized string) string { return keyedHash(v.logKey, normalized) }

// plainBase32 writes random and sealed bytes as texts that people can type.
var plainBase32 = base32.StdEncoding.WithPadding(base32.NoPadding)

func keyedHash(key []byte, text string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil)[:20])
}

// Enroll prepares a new person: a fresh key and the hash of their password. It
// comes before the sign-up is appended; where that fails, the rows belong
// to no user and harm nothing.
func (v *Vault) Enroll(ctx context.Context, u domain.UserID, password string) error {
	hash, err := v.hashing.hash(ctx, normalized(password))
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
	v.verified.Add(v.credential(u, password), verified{hash, time.Now()}) // the first request needs no hash
	return nil
}
