package vault

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"kassa/domain"
)

// Scope is what a personal token may do. Scopes are independent of each other: one that may
// spend may not read. Only admin includes another one, audit.
type Scope string

const (
	ScopeRead  Scope = "read"  // see balance, transactions, questions and answers
	ScopeSpend Scope = "spend" // ask questions, deposit, withdraw
	ScopeAdmin Scope = "admin" // what admins do, while the person is one
	ScopeAudit Scope = "audit" // what auditors read, while the person is one or an admin
)

// Scopes are all of them, in the order in which they are stored and shown.
var Scopes = []Scope{ScopeRead, ScopeSpend, ScopeAdmin, ScopeAudit}

// MaxTokens is how many personal tokens a person has at most.
const MaxTokens = 20

// ErrTooManyTokens means that the person has MaxTokens.
var ErrTooManyTokens = errors.New("vault: the person has as many tokens as are allowed")

// TokenID names a personal token without being it: it is the beginning of its hash, in
// hexadecimal.
type TokenID string

// Valid reports whether it has the form of an id.
func (id TokenID) Valid() bool { return len(prefixOf(string(id))) > 0 }

// Token is a personal token: with it a program acts for a person, within its scopes.
type Token struct {
	ID         TokenID
	User       domain.UserID
	Name       string // as the person typed it; "" where it is unreadable, and of Vault.Token
	Scopes     []Scope
	CreatedAt  time.Time
	ExpiresAt  time.Time
	LastUsedAt time.Time // to within seenEvery; zero: it was not used
	ByFactor   bool      // of NewToken: a code of the second factor was given for it

	sealedName []byte
}

// May reports whether the token has the scope.
func (t Token) May(s Scope) bool {
	return slices.Contains(t.Scopes, s) || s == ScopeAudit && slices.Contains(t.Scopes, ScopeAdmin)
}

// tokens is where personal tokens are stored.
type tokens interface {
	// addToken adds one while the person's password has the hash; false where it has
	// another. The error is ErrTooManyTokens where the person has MaxTokens.
	addToken(ctx context.Context, tokenHash []byte, t Token, passwordHash string) (bool, error)
	// token gives one that has not expired.
	token(ctx context.Context, tokenHash []byte, now time.Time) (Token, error)
	tokensOf(ctx context.Context, u domain.UserID, now time.Time) ([]Token, error)
	used(ctx context.Context, tokenHash []byte, at time.Time) error
	// The prefix is that of a token's hash.
	revokeToken(ctx context.Context, u domain.UserID, prefix []byte) (bool, error)
}

// TokenPrefix is how a personal token begins, so that people and scanners of source code
// recognise one. After it come 26 random characters and the 7 of their CRC-32, all in
// base32: what has the form but another sum is no token of ours.
const TokenPrefix = "kassa_"

const (
	tokenRandom = 26 // characters with 5 bits each
	tokenSum    = 7
)

func newToken() string {
	random := rand.Text()
	return TokenPrefix + random + sumOf(random)
}

func sumOf(random string) string {
	return plainBase32.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(random))))
}

// TokenForm reports whether a text has the form of a personal token and its sum is right.
func TokenForm(text string) bool {
	rest, ok := strings.CutPrefix(text, TokenPrefix)
	return ok && len(rest) == tokenRandom+tokenSum && sumOf(rest[:tokenRandom]) == rest[tokenRandom:]
}

// NewToken makes a personal token for a person with this password. The text is given here
// alone: only a keyed hash of it is stored. Of t it takes Name, Scopes, ExpiresAt and
// ByFactor. The refusal is invalid_credentials: a moment ago the password was changed, or a
// second factor became active, of which no code was given. The error wraps ErrTooManyTokens
// where the person has MaxTokens.
func (v *Vault) NewToken(ctx context.Context, u domain.UserID, password string, t Token, now time.Time) (text string, made Token, err error) {
	text = newToken()
	hash := v.hashPersonal(text)
	t.ID, t.User, t.CreatedAt, t.LastUsedAt = tokenID(hash), u, now, time.Time{}
	if t.sealedName, err = v.seal(ctx, u, "token:"+string(t.ID), t.Name); err != nil {
		return "", Token{}, err
	}
	err = v.underPassword(ctx, u, password, func(passwordHash string) (bool, error) {
		added, err := v.db.addToken(ctx, hash, t, passwordHash)
		if err != nil {
			return false, fmt.Errorf("store a token: %w", written(err))
		}
		return added, nil
	})
	if err != nil {
		return "", Token{}, err
	}
	return text, t, nil
}

// Token gives the personal token with this text, without its name, and stores now and then
// that it was used; first says that this use was stored. ok is false for one that was
// revoked, has expired, or never was.
func (v *Vault) Token(ctx context.Context, text string, now time.Time) (t Token, first, ok bool, err error) {
	if !TokenForm(text) {
		return Token{}, false, false, nil
	}
	hash := v.hashPersonal(text)
	t, err = v.db.token(ctx, hash, now)
	if errors.Is(err, errNone) {
		return Token{}, false, false, nil
	}
	if err != nil {
		return Token{}, false, false, fmt.Errorf("read a token: %w", err)
	}
	if now.Sub(t.LastUsedAt) >= seenEvery {
		first = v.db.used(ctx, hash, now) == nil // after a fault the next request tries again
	}
	return t, first, true, nil
}

// Tokens gives the personal tokens of a person that have not expired, the newest first.
func (v *Vault) Tokens(ctx context.Context, u domain.UserID, now time.Time) ([]Token, error) {
	list, err := v.db.tokensOf(ctx, u, now)
	if err != nil {
		return nil, fmt.Errorf("read the tokens of %s: %w", u, err)
	}
	for i, t := range list {
		list[i].Name, err = v.open(ctx, u, "token:"+string(t.ID), t.sealedName)
		if err != nil && !Lost(err) { // one with a damaged name can still be revoked
			return nil, err
		}
	}
	return list, nil
}

// RevokeToken ends one of a person's tokens, in every process at once; false where they have
// no such token.
func (v *Vault) RevokeToken(ctx context.Context, u domain.UserID, id TokenID) (bool, error) {
	ended, err := v.db.revokeToken(ctx, u, prefixOf(string(id)))
	if err != nil {
		return false, fmt.Errorf("revoke a token of %s: %w", u, written(err))
	}
	return ended, nil
}

func (v *Vault) hashPersonal(text string) []byte {
	mac := hmac.New(sha256.New, v.tokenKey)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func tokenID(hash []byte) TokenID { return TokenID(hex.EncodeToString(hash[:idBytes])) }

func storedScopes(scopes []Scope) string {
	var words []string
	for _, s := range Scopes {
		if slices.Contains(scopes, s) {
			words = append(words, string(s))
		}
	}
	return strings.Join(words, " ")
}

func readScopes(stored string) (scopes []Scope) {
	for _, word := range strings.Fields(stored) {
		scopes = append(scopes, Scope(word))
	}
	return scopes
}
