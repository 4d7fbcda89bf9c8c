package vault

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"kassa/domain"
)

// Factor is a person's second factor, by time-based codes.
type Factor struct {
	Active        bool      // it is asked for; false until its first code was given, and where there is none
	Secret        string    // in base32, of one that is not active; "" where there is none
	Since         time.Time // when it was made or became active
	RecoveryCodes int       // that are left
}

// Lives of what a second factor needs.
const (
	FactorSetup = 15 * time.Minute // in which the first code is given
	SignInLife  = 5 * time.Minute  // between the password and the code
)

// RecoveryCodes is how many there are at first.
const RecoveryCodes = 10

// factors is where second factors are stored.
type factors interface {
	// offerFactor stores one that is not confirmed, in place of another such; false where
	// the person has a confirmed one. The session is given by the beginning of its token's
	// hash.
	offerFactor(ctx context.Context, u domain.UserID, sealed, session []byte, now time.Time) (bool, error)
	factor(ctx context.Context, u domain.UserID) (storedFactor, error)
	// confirmFactor confirms an offered one, whose first code was that of the step, stores
	// the hashes of recovery codes, and ends all personal tokens and all sessions but that of
	// the offer; false where the person has another one by now, it is confirmed, or its
	// session has ended.
	confirmFactor(ctx context.Context, u domain.UserID, f storedFactor, step int64, codes [][]byte, now time.Time) (bool, error)
	// useStep and useRecovery give true once for a step of this factor and for a code.
	useStep(ctx context.Context, u domain.UserID, f storedFactor, step int64) (bool, error)
	useRecovery(ctx context.Context, u domain.UserID, code []byte) (bool, error)
	// The prefix is that of a session's token hash.
	factorGiven(ctx context.Context, u domain.UserID, prefix []byte, now time.Time) error
	dropFactor(ctx context.Context, u domain.UserID) (bool, error)
}

type storedFactor struct {
	sealed    []byte
	confirmed bool
	since     time.Time
	session   []byte // of an offer: the beginning of the hash of its session's token
	codes     int
}

// offered reports whether the session may confirm it now.
func (f storedFactor) offered(to SessionID, now time.Time) bool {
	return !f.confirmed && now.Before(f.since.Add(FactorSetup)) && to.Valid() && bytes.Equal(f.session, to.prefix())
}

// Factor gives a person's second factor, as it is stored now; the zero Factor where there is
// none. Of an active one the secret is not given, and of one that is not active nothing,
// unless it was offered to this session.
func (v *Vault) Factor(ctx context.Context, u domain.UserID, session SessionID, now time.Time) (Factor, error) {
	f, err := v.db.factor(ctx, u)
	if errors.Is(err, errNone) || err == nil && !f.confirmed && !f.offered(session, now) {
		return Factor{}, nil
	}
	if err != nil {
		return Factor{}, fmt.Errorf("read the factor of %s: %w", u, err)
	}
	if f.confirmed {
		return Factor{Active: true, Since: f.since, RecoveryCodes: f.codes}, nil
	}
	secret, err := v.openFactor(ctx, u, f)
	return Factor{Secret: secret, Since: f.since}, err
}

func (v *Vault) openFactor(ctx context.Context, u domain.UserID, f storedFactor) (string, error) {
	return v.open(ctx, u, "factor:"+string(u), f.sealed)
}

// HasFactor reports whether a person has an active factor. For requests with a password it
// may be as old as keptFor.
func (v *Vault) HasFactor(ctx context.Context, u domain.UserID) (bool, error) {
	if has, ok := v.haveFactor.Get(u); ok {
		return has, nil
	}
	f, err := v.db.factor(ctx, u)
	if err != nil && !errors.Is(err, errNone) {
		return false, fmt.Errorf("read whether %s has a factor: %w", u, err)
	}
	v.haveFactor.Add(u, f.confirmed)
	return f.confirmed, nil
}

// OfferFactor makes a new secret, which is a factor once its first code was given in the
// session, within FactorSetup. It takes the place of what was offered before. ok is false
// where the person has an active factor.
func (v *Vault) OfferFactor(ctx context.Context, u domain.UserID, session SessionID, now time.Time) (ok bool, err error) {
	random := make([]byte, 20) // as many bytes as the hash of RFC 6238 has
	rand.Read(random)
	sealed, err := v.seal(ctx, u, "factor:"+string(u), plainBase32.EncodeToString(random))
	if err != nil {
		return false, err
	}
	if ok, err = v.db.offerFactor(ctx, u, sealed, session.prefix(), now); err != nil {
		return false, fmt.Errorf("store a factor of %s: %w", u, written(err))
	}
	return ok, nil
}

// ConfirmFactor makes the factor active that was offered to the session, by its first code.
// It ends what was opened without the factor: all personal tokens and all sessions but this
// one. It gives the recovery codes, of which only keyed hashes are stored. ok is false where
// the code is wrong, or there is no such offer.
func (v *Vault) ConfirmFactor(ctx context.Context, u domain.UserID, session SessionID, code string, now time.Time) (codes []string, ok bool, err error) {
	f, err := v.db.factor(ctx, u)
	if errors.Is(err, errNone) || err == nil && !f.offered(session, now) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read the factor of %s: %w", u, err)
	}
	secret, err := v.openFactor(ctx, u, f)
	if err != nil {
		return nil, false, err
	}
	step, ok, err := stepOf(secret, typedCode(code), now)
	if err != nil || !ok {
		return nil, false, err
	}
	var hashes [][]byte
	for range RecoveryCodes {
		random := rand.Text()[:24] // 120 bits
		codes = append(codes, strings.Join([]string{random[:6], random[6:12], random[12:18], random[18:]}, "-"))
		hashes = append(hashes, v.hashRecovery(u, random))
	}
	if ok, err = v.db.confirmFactor(ctx, u, f, step, hashes, now); err != nil {
		return nil, false, fmt.Errorf("confirm the factor of %s: %w", u, written(err))
	}
	v.haveFactor.Remove(u)
	return codes, ok, nil
}

// typedCode is a code without what people and their keyboards put between its characters.
func typedCode(code string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) || unicode.Is(unicode.Pd, c) {
			return -1
		}
		return c
	}, code)
}

// CheckCode uses a code of the person's factor, or one of their recovery codes, which way
// says. Each is good once, in whichever process, and a code makes all earlier ones useless.
// ok is false for a wrong or used one, and where the person has no active factor.
func (v *Vault) CheckCode(ctx context.Context, u domain.UserID, code string, now time.Time) (way string, ok bool, err error) {
	code = typedCode(code)
	if len(code) != int(otp.DigitsSix) {
		ok, err = v.db.useRecovery(ctx, u, v.hashRecovery(u, strings.ToUpper(code)))
		if err != nil {
			err = fmt.Errorf("use a recovery code of %s: %w", u, written(err))
		}
		return "recovery", ok, err
	}
	ok, err = v.checkStep(ctx, u, code, now)
	return "totp", ok, err
}

func (v *Vault) checkStep(ctx context.Context, u domain.UserID, code string, now time.Time) (bool, error) {
	f, err := v.db.factor(ctx, u)
	if errors.Is(err, errNone) || err == nil && !f.confirmed {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the factor of %s: %w", u, err)
	}
	secret, err := v.openFactor(ctx, u, f)
	if err != nil {
		return false, err
	}
	step, ok, err := stepOf(secret, code, now)
	if err != nil || !ok {
		return false, err
	}
	if ok, err = v.db.useStep(ctx, u, f, step); err != nil {
		return false, fmt.Errorf("use a code of %s: %w", u, written(err))
	}
	return ok, nil
}

// stepTime is how long a code is shown, and skew how many steps a clock may be early or late.
const (
	stepTime = 30 // seconds
	skew     = 1
)

// stepOf gives the time step of which the secret gives this code, around now.
func stepOf(secret, code string, now time.Time) (step int64, ok bool, err error) {
	for s := now.Unix()/stepTime - skew; s <= now.Unix()/stepTime+skew; s++ {
		want, err := hotp.GenerateCodeCustom(secret, uint64(s), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, false, fmt.Errorf("compute a code: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok, nil
}

// FactorGiven stores that a code was given in a session.
func (v *Vault) FactorGiven(ctx context.Context, u domain.UserID, session SessionID, now time.Time) error {
	if err := v.db.factorGiven(ctx, u, session.prefix(), now); err != nil {
		return fmt.Errorf("store that a code was given by %s: %w", u, written(err))
	}
	return nil
}

// DropFactor deletes a person's factor, recovery codes and passkeys; false where they have none.
func (v *Vault) DropFactor(ctx context.Context, u domain.UserID) (bool, error) {
	dropped, err := v.db.dropFactor(ctx, u)
	if err != nil {
		return false, fmt.Errorf("delete the factor of %s: %w", u, written(err))
	}
	v.haveFactor.Remove(u)
	return dropped, nil
}

func (v *Vault) hashRecovery(u domain.UserID, code string) []byte {
	mac := hmac.New(sha256.New, v.recoveryKey)
	mac.Write([]byte(string(u) + "\x00" + code))
	return mac.Sum(nil)
}

// halfSignIn is a sign-in between the password and the code. It is bound to the password that
// is stored, as a session is.
type halfSignIn struct {
	User     domain.UserID `json:"user"`
	Password []byte        `json:"password"` // SHA-256 of its stored hash
	Until    time.Time     `json:"until"`
}

// HalfSignIn gives a sealed ticket for a person with this password, with which and with a
// code they sign in within SignInLife. The refusal is invalid_credentials.
func (v *Vault) HalfSignIn(ctx context.Context, u domain.UserID, password string, now time.Time) (ticket string, err error) {
	err = v.underPassword(ctx, u, password, func(passwordHash string) (bool, error) {
		sum := sha256.Sum256([]byte(passwordHash))
		plain, err := json.Marshal(halfSignIn{u, sum[:], now.Add(SignInLife)})
		if err != nil {
			return false, err
		}
		sealed, err := sealWith(v.ticketKey, []byte("half sign-in"), plain)
		ticket = plainBase32.EncodeToString(sealed)
		return true, err
	})
	return ticket, err
}

// HalfSignedIn gives the person of a ticket; ok is false where it has expired or is none.
func (v *Vault) HalfSignedIn(ticket string, now time.Time) (u domain.UserID, ok bool) {
	half, ok := v.openTicket(ticket, now)
	return half.User, ok
}

func (v *Vault) openTicket(ticket string, now time.Time) (half halfSignIn, ok bool) {
	sealed, err := plainBase32.DecodeString(ticket)
	if err != nil {
		return halfSignIn{}, false
	}
	plain, err := openWith(v.ticketKey, []byte("half sign-in"), sealed)
	if err != nil || json.Unmarshal(plain, &half) != nil || !now.Before(half.Until) {
		return halfSignIn{}, false
	}
	return half, true
}

// NewSessionByTicket is NewSession for a person whose password and code were checked. The
// refusal is invalid_credentials: the ticket has expired, or the password was changed since.
// FactorAt is stored where the factor is still active, and is not in the Session given here.
func (v *Vault) NewSessionByTicket(ctx context.Context, ticket string, from Origin, now time.Time) (token string, s Session, err error) {
	expired := domain.Reject(domain.InvalidCredentials, "this sign-in took too long, or the password was changed meanwhile")
	half, ok := v.openTicket(ticket, now)
	if !ok {
		return "", Session{}, expired
	}
	hash, err := v.db.password(ctx, half.User)
	if err != nil && !errors.Is(err, errNone) {
		return "", Session{}, fmt.Errorf("read the password of %s: %w", half.User, err)
	}
	if sum := sha256.Sum256([]byte(hash)); err != nil || !hmac.Equal(sum[:], half.Password) {
		return "", Session{}, expired
	}
	token, s = v.freshSession(half.User, from, now)
	begun := s
	begun.FactorAt = now
	added, err := v.db.addSession(ctx, hashToken(token), begun, hash)
	if err != nil {
		return "", Session{}, fmt.Errorf("store a session: %w", written(err))
	}
	if !added {
		return "", Session{}, expired
	}
	return token, s, nil
}
