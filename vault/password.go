package vault

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"kassa/domain"
)

// Lengths of a password, in characters. There are no rules of composition.
const (
	MinPassword = 8
	MaxPassword = 128
)

// A verified password is cached, so that a client with Basic authentication does not cost
// an argon2id a request. After checkedFor the stored hash is read again: while it is the
// one that the password was verified against, nothing is hashed. So a password that was
// changed, in whichever process, is not accepted any longer than that. After verifiedFor
// the entry is dropped.
const (
	checkedFor  = time.Second
	verifiedFor = time.Hour
)

// verified is a password that Verify accepted.
type verified struct {
	hash string    // against which, as it is stored
	at   time.Time // when that was last read
}

// fresh reports whether it is valid without another read of the stored hash.
func (p verified) fresh() bool { return time.Since(p.at) < checkedFor }

// normalized is the password as it is compared and hashed, so that two keyboards that
// write it in other bytes sign in to the same account: in NFC, with any space a plain
// one. For all that RFC 8265's OpaqueString accepts, it is that; what its character
// class refuses, such as newer characters and composed emoji, is accepted too.
func normalized(password string) string {
	if !utf8.ValidString(password) {
		return password // Map would write one character for all broken ones
	}
	return norm.NFC.String(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Zs, r) {
			return ' '
		}
		return r
	}, password))
}

// maxPasswordBytes is above the size of any password that is accepted, or ever was.
const maxPasswordBytes = 8 * MaxPassword

// CheckPassword refuses a password that is too short, too long, has control
// characters, or is one of the first that a guesser would try.
func (v *Vault) CheckPassword(password, email string) error {
	n := utf8.RuneCountInString(normalized(password))
	if !utf8.ValidString(password) || n < MinPassword || n > MaxPassword || strings.ContainsFunc(password, unicode.IsControl) {
		return domain.Reject(domain.WeakPassword, "a password has %d to %d characters, and no control characters", MinPassword, MaxPassword)
	}
	if guessable(normalized(password), email) {
		return domain.Reject(domain.WeakPassword, "this password is too easy to guess, choose another")
	}
	return nil
}

// Argon2 is the cost of one hash.
type Argon2 struct {
	MemoryKiB uint32
	Passes    uint32
}

// DefaultArgon2 is OWASP's first recommendation with a parallelism of one.
var DefaultArgon2 = Argon2{MemoryKiB: 19 * 1024, Passes: 2}

// ErrBusy means that the queue of passwords to hash is full. Nothing was done; it can be
// tried again.
var ErrBusy = errors.New("vault: too many passwords wait to be hashed")

// maxWaiting is how many may wait for each core, a second's work or two: later ones are
// refused at once, while a browser still waits for the answer.
const maxWaiting = 50

// hashing runs argon2id on at most as many goroutines as there are cores: a flood of
// sign-ins waits in a bounded queue, instead of taking all memory.
type hashing struct {
	cost  Argon2
	slots chan struct{} // held while hashing
	queue chan struct{} // held while hashing or waiting to
	dummy string        // verified against where there is no such person, so that the answer takes as long
}

func newHashing(cost Argon2) hashing {
	if cost == (Argon2{}) {
		cost = DefaultArgon2
	}
	cores := runtime.GOMAXPROCS(0)
	h := hashing{cost: cost, slots: make(chan struct{}, cores), queue: make(chan struct{}, cores*(1+maxWaiting))}
	h.dummy = h.encode(rand.Text(), []byte("no such person: "))
	return h
}

func (h hashing) hash(ctx context.Context, password string) (string, error) {
	if err := h.acquire(ctx); err != nil {
		return "", err
	}
	defer h.release()
	salt := make([]byte, 16)
	rand.Read(salt)
	return h.encode(password, salt), nil
}

// acquire waits for a slot. It gives none to a caller that has left: its hash would take the
// time of those who wait.
func (h hashing) acquire(ctx context.Context) error {
	select {
	case h.queue <- struct{}{}:
	default:
		return ErrBusy
	}
	select {
	case h.slots <- struct{}{}:
		if ctx.Err() == nil {
			return nil
		}
		<-h.slots
	case <-ctx.Done():
	}
	<-h.queue
	return fmt.Errorf("wait to hash a password: %w", ctx.Err())
}

// Hashing is how many passwords are being hashed, and how many wait for that.
func (v *Vault) Hashing() (running, waiting int) {
	running = len(v.hashing.slots)
	return running, max(0, len(v.hashing.queue)-running)
}

func (h hashing) release() { <-h.slots; <-h.queue }

// encode gives the PHC string: $argon2id$v=19$m=…,t=…,p=1$salt$hash.
func (h hashing) encode(password string, salt []byte) string {
	sum := argon2.IDKey([]byte(password), salt, h.cost.Passes, h.cost.MemoryKiB, 1, 32)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, h.cost.MemoryKiB, h.cost.Passes, b64(salt), b64(sum))
}

// verify recomputes a PHC string by its own cost, which may be an older one.
func (h hashing) verify(ctx context.Context, phc, password string) (bool, error) {
	var version, lanes int
	var cost Argon2
	if isBcrypt(phc) {
		return h.verifyBcrypt(ctx, phc, password)
	}
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, errors.New("stored password hash is not argon2id")
	}
	_, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &cost.MemoryKiB, &cost.Passes, &lanes)
	if err != nil || version != argon2.Version || lanes != 1 || cost.Passes < 1 { // argon2 panics at no pass
		return false, fmt.Errorf("stored password hash has unknown parameters %s and %s", parts[2], parts[3])
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, fmt.Errorf("stored password hash: %w", err)
	}
	if err := h.acquire(ctx); err != nil {
		return false, err
	}
	defer h.release()
	h.cost = cost
	return subtle.ConstantTimeCompare([]byte(h.encode(password, salt)), []byte(phc)) == 1, nil
}

// Verify reports whether this is the person's password. An empty user is an
// unknown one: the answer is false, after as long a time. True is cached in memory under a
// keyed hash.
func (v *Vault) Verify(ctx context.Context, u domain.UserID, password string) (bool, error) {
	if len(normalized(password)) > maxPasswordBytes {
		return false, nil
	}
	if ok, err := v.Remembered(ctx, u, password); ok || err != nil {
		return ok, err
	}
	phc, err, at := v.hashing.dummy, error(nil), time.Now()
	if u != "" {
		if phc, err = v.db.password(ctx, u); errors.Is(err, errNone) {
			phc, u = v.hashing.dummy, ""
		} else if err != nil {
			return false, fmt.Errorf("read the password of %s: %w", u, err)
		}
	}
	ok, phc, err := v.compare(ctx, u, phc, password)
	if err != nil || !ok || u == "" {
		return false, err
	}
	v.verified.Add(v.credential(u, password), verified{phc, at})
	return true, nil
}

// Remembered reports whether Verify would return true without hashing, so that it is cheap
// and reveals nothing new. After checkedFor it reads the stored hash again, and in the same
// query what requests read next: the person's key, and whether they have a factor.
func (v *Vault) Remembered(ctx context.Context, u domain.UserID, password string) (bool, error) {
	if u == "" || len(normalized(password)) > maxPasswordBytes {
		return false, nil
	}
	name := v.credential(u, password)
	cached, ok := v.verified.Get(name)
	if !ok || cached.fresh() {
		return ok, nil
	}
	at := time.Now()
	stored, err := v.db.access(ctx, u)
	if err != nil && !errors.Is(err, errNone) {
		return false, fmt.Errorf("read the password of %s: %w", u, err)
	}
	if err != nil || stored.hash != cached.hash {
		v.verified.Remove(name)
		return false, nil
	}
	v.verified.Add(name, verified{stored.hash, at})
	v.haveFactor.Add(u, stored.factor)
	if stored.wrappedKey != nil {
		_, _ = v.unwrap(u, stored.wrappedKey) // its fault is met where it is used
	}
	return true, nil
}

// ChangePassword stores another password of a person, ends all their sessions, and so makes
// every process forget the old password. ok is false where was is not their password.
func (v *Vault) ChangePassword(ctx context.Context, u domain.UserID, was, password string) (ok bool, err error) {
	if ok, err = v.Verify(ctx, u, was); err != nil || !ok {
		return false, err
	}
	old, remembered := v.verified.Peek(v.credential(u, was))
	if !remembered {
		return false, nil // changed since
	}
	hash, err := v.hashing.hash(ctx, normalized(password))
	if err != nil {
		return false, err
	}
	if ok, err = v.db.changePassword(ctx, u, old.hash, hash); err != nil {
		return false, fmt.Errorf("change the password of %s: %w", u, written(err))
	}
	v.verified.Remove(v.credential(u, was))
	return ok, nil
}

// compare hashes the password and compares it. The first version, and the replaced system,
// stored passwords without normalizing them: such a hash is replaced, as is one of bcrypt,
// and the new one returned.
func (v *Vault) compare(ctx context.Context, u domain.UserID, phc, password string) (ok bool, now string, err error) {
	ok, err = v.hashing.verify(ctx, phc, normalized(password))
	if err != nil || ok && !isBcrypt(phc) || !ok && normalized(password) == password {
		return ok, phc, err
	}
	if !ok {
		if ok, err = v.hashing.verify(ctx, phc, password); !ok || err != nil || u == "" {
			return false, phc, err
		}
	}
	fresh, err := v.hashing.hash(ctx, normalized(password))
	if err == nil {
		err = v.db.rehash(ctx, u, phc, fresh)
	}
	if err != nil {
		return true, phc, nil // the old hash stays good, and the next sign-in tries again
	}
	return true, fresh, nil
}

func (v *Vault) credential(u domain.UserID, password string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, v.cacheKey)
	mac.Write([]byte(string(u) + "\x00" + normalized(password)))
	return [sha256.Size]byte(mac.Sum(nil))
}
