package vault

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"kassa/domain"
)

// PasskeyID names a passkey: it is the beginning of the hash of its credential's id, in
// hexadecimal.
type PasskeyID string

// Valid reports whether it has the form of an id.
func (id PasskeyID) Valid() bool { return len(prefixOf(string(id))) > 0 }

// Passkey is a credential of WebAuthn, by which a person gives their second factor as well as
// by a code. It is there while the factor is on.
type Passkey struct {
	ID         PasskeyID
	Name       string     // as the person typed it; "" where it is unreadable
	Credential Credential // the zero Credential where it is unreadable
	Count      uint32     // of the last signature that was accepted; 0 where the authenticator does not count
	CreatedAt  time.Time
	LastUsedAt time.Time // zero: never
	CopiedAt   time.Time // when its count did not go on, so that a copy may exist: it is refused since

	sealed []byte
}

// Credential is by what a passkey's signatures are verified.
type Credential struct {
	ID             []byte   `json:"id"`
	PublicKey      []byte   `json:"key"` // as COSE
	Transports     []string `json:"transports,omitempty"`
	BackupEligible bool     `json:"backup_eligible,omitempty"` // it may be on several devices of the person
}

// MaxPasskeys is how many passkeys a person has at most.
const MaxPasskeys = 10

// ErrTooManyPasskeys means that the person has MaxPasskeys.
var ErrTooManyPasskeys = errors.New("vault: the person has as many passkeys as are allowed")

// ChallengeLife is how long a challenge can be answered.
const ChallengeLife = 5 * time.Minute

// Ceremony is what a challenge is for, and in which session or sign-in: no other can use it.
type Ceremony struct{ purpose, holder string }

// The ceremonies: a passkey is added or given in a session, or given at a sign-in by a ticket.
func AddingPasskey(s SessionID) Ceremony { return Ceremony{"add", string(s)} }
func GivingPasskey(s SessionID) Ceremony { return Ceremony{"give", string(s)} }
func SigningIn(ticket string) Ceremony   { return Ceremony{"sign in", ticket} }

func (c Ceremony) hash() []byte {
	sum := sha256.Sum256([]byte(c.purpose + "\x00" + c.holder))
	return sum[:]
}

// passkeys is where passkeys and their challenges are stored.
type passkeys interface {
	// putChallenge replaces the one of the ceremony; false where the person has no active
	// factor.
	putChallenge(ctx context.Context, u domain.UserID, ceremony, challenge []byte, expires time.Time) (bool, error)
	// takeChallenge deletes the one that it gives; errNone where there is none.
	takeChallenge(ctx context.Context, u domain.UserID, ceremony []byte, now time.Time) ([]byte, error)
	// addPasskey adds one while the person has an active factor; false where they have none,
	// or the credential is there. The error is ErrTooManyPasskeys where the person has
	// MaxPasskeys.
	addPasskey(ctx context.Context, u domain.UserID, credentialHash []byte, p Passkey) (bool, error)
	passkeysOf(ctx context.Context, u domain.UserID) ([]Passkey, error)
	// usePasskey moves the count on; false where it does not go on, or the passkey was refused
	// for that before. markCopied has it refused from then on; false where it is not there.
	usePasskey(ctx context.Context, u domain.UserID, credentialHash []byte, count uint32, now time.Time) (bool, error)
	markCopied(ctx context.Context, u domain.UserID, credentialHash []byte, now time.Time) (bool, error)
	// The prefix is that of a credential's hash. With a copied one all sessions but that of the
	// other prefix end, and all personal tokens.
	dropPasskey(ctx context.Context, u domain.UserID, prefix, but []byte) (dropped, copied bool, err error)
}

// NewChallenge gives what an authenticator is to sign within ChallengeLife, in place of what
// the ceremony had before; ok is false where the person has no active factor.
func (v *Vault) NewChallenge(ctx context.Context, u domain.UserID, c Ceremony, now time.Time) (challenge []byte, ok bool, err error) {
	challenge = make([]byte, 32)
	rand.Read(challenge)
	if ok, err = v.db.putChallenge(ctx, u, c.hash(), challenge, now.Add(ChallengeLife)); err != nil {
		return nil, false, fmt.Errorf("store a challenge of %s: %w", u, written(err))
	}
	return challenge, ok, nil
}

// TakeChallenge gives the challenge of a ceremony once, in whichever process; ok is false where
// it was taken or has expired.
func (v *Vault) TakeChallenge(ctx context.Context, u domain.UserID, c Ceremony, now time.Time) (challenge []byte, ok bool, err error) {
	challenge, err = v.db.takeChallenge(ctx, u, c.hash(), now)
	if errors.Is(err, errNone) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("take a challenge of %s: %w", u, written(err))
	}
	return challenge, true, nil
}

// storedPasskey is what of a passkey is sealed.
type storedPasskey struct {
	Name string `json:"name"`
	Credential
}

// AddPasskey stores a passkey, of which it takes Name, Credential and Count. ok is false where
// the person has no active factor, or somebody has this credential already. The error wraps
// ErrTooManyPasskeys where the person has MaxPasskeys.
func (v *Vault) AddPasskey(ctx context.Context, u domain.UserID, p Passkey, now time.Time) (added Passkey, ok bool, err error) {
	hash := credentialHash(p.Credential.ID)
	p.ID, p.CreatedAt, p.LastUsedAt, p.CopiedAt = passkeyID(hash), now, time.Time{}, time.Time{}
	plain, err := json.Marshal(storedPasskey{p.Name, p.Credential})
	if err != nil {
		return Passkey{}, false, err
	}
	if p.sealed, err = v.seal(ctx, u, "passkey:"+string(p.ID), string(plain)); err != nil {
		return Passkey{}, false, err
	}
	if ok, err = v.db.addPasskey(ctx, u, hash, p); err != nil {
		return Passkey{}, false, fmt.Errorf("store a passkey of %s: %w", u, written(err))
	}
	return p, ok, nil
}

// Passkeys gives a person's passkeys, the newest first. One that is unreadable can still be
// removed.
func (v *Vault) Passkeys(ctx context.Context, u domain.UserID) ([]Passkey, error) {
	list, err := v.db.passkeysOf(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("read the passkeys of %s: %w", u, err)
	}
	for i, p := range list {
		plain, err := v.open(ctx, u, "passkey:"+string(p.ID), p.sealed)
		var stored storedPasskey
		if err == nil {
			err = json.Unmarshal([]byte(plain), &stored)
		} else if Lost(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the passkey %s of %s: %w", p.ID, u, err)
		}
		list[i].Name, list[i].Credential = stored.Name, stored.Credential
	}
	return list, nil
}

// UsePasskey accepts a signature that was verified, by its count. One whose count does not go
// on comes from a copy of the passkey, or its owner's comes after a copy's: it is refused, and so
// is the passkey from then on, which copied reports. Neither is true where the passkey is gone.
func (v *Vault) UsePasskey(ctx context.Context, u domain.UserID, credential []byte, count uint32, now time.Time) (ok, copied bool, err error) {
	hash := credentialHash(credential)
	if ok, err = v.db.usePasskey(ctx, u, hash, count, now); err == nil && !ok {
		copied, err = v.db.markCopied(ctx, u, hash, now)
	}
	if err != nil {
		return false, false, fmt.Errorf("use a passkey of %s: %w", u, written(err))
	}
	return ok, copied, nil
}

// DropPasskey deletes one of a person's passkeys; dropped is false where they have no such one.
// With one that may have been copied, which copied reports, all of the person's sessions but one
// end, and all their personal tokens: a copy may have opened them.
func (v *Vault) DropPasskey(ctx context.Context, u domain.UserID, id PasskeyID, but SessionID) (dropped, copied bool, err error) {
	if dropped, copied, err = v.db.dropPasskey(ctx, u, prefixOf(string(id)), but.prefix()); err != nil {
		return false, false, fmt.Errorf("delete a passkey of %s: %w", u, written(err))
	}
	return dropped, copied, nil
}

func credentialHash(id []byte) []byte {
	sum := sha256.Sum256(id)
	return sum[:]
}

func passkeyID(hash []byte) PasskeyID { return PasskeyID(hex.EncodeToString(hash[:idBytes])) }
