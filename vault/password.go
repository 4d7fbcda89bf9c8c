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

// A verified password is remembered, so that a client with Basic authentication does
// not cost an argon2id a request. After checkedFor the stored hash is read again:
// while it is the one that the password was verified against, the answer is still
// yes, and nothing is hashed. After verifiedFor all is forgotten.
const (
	checkedFor  = time.Minute
	verifiedFor = time.Hour
)

// verified is a yes that Verify gave.
type verified struct {
	hash string    // against which, as it is stored
	at   time.Time // when that was last read
}

// fresh says whether the yes holds without a look at the stored hash.
func (y verified) fresh() bool { return time.Since(y.at) < checkedFor }

// prepared is the password as it is compared and hashed, so that two keyboards that
// write it in other bytes sign in to the same account: in NFC, with any space a plain
// one. For all that RFC 8265's OpaqueString accepts, it is that; what the class behind it
// refuses, such as characters younger than its tables and pictures of several parts, is
// taken too.
func prepared(password string) string {
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

// longest is above the bytes of any password that is accepted, or ever was.
const longest = 8 * MaxPassword

// CheckPassword refuses a password that is too short, too long, holds characters that
// nobody types, or is one of the first that a guesser would try.
func (v *Vault) CheckPassword(password, email string) error {
	n := utf8.RuneCountInString(prepared(password))
	if !utf8.ValidString(password) || n < MinPassword || n > MaxPassword || strings.ContainsFunc(password, unicode.IsControl) {
		return domain.Reject(domain.WeakPassword, "a password has %d to %d characters, and no control characters", MinPassword, MaxPassword)
	}
	if guessable(prepared(password), email) {
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

// ErrBusy means that more passwords wait to be hashed than can be in a moment. Nothing
// was done; it can be tried again.
var ErrBusy = errors.New("vault: too many passwords wait to be hashed")

// waitingMost is how many may wait for each core, a second's work or two: who comes
// later is refused at once, while a browser still waits for the answer.
const waitingMost = 50

// hashing runs argon2id on at most as many goroutines as there are cores: a
// flood of sign-ins queues, instead of taking all memory, in a queue with an end.
type hashing struct {
	cost  Argon2
	slots chan struct{} // held by those who hash
	queue chan struct{} // held by those who hash or wait to
	dummy string        // verified against where there is no such person, so that the answer takes as long
}

func newHashing(cost Argon2) hashing {
	if cost == (Argon2{}) {
		cost = DefaultArgon2
	}
	cores := runtime.GOMAXPROCS(0)
	h := hashing{cost: cost, slots: make(chan struct{}, cores), queue: make(chan struct{}, cores*(1+waitingMost))}
	h.dummy = h.encode(rand.Text(), []byte("no such person: "))
	return h
}

func (h hashing) hash(ctx context.Context, password string) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	salt := make([]byte, 16)
	rand.Read(salt)
	return h.encode(password, salt), nil
}

// enter waits for a slot. It gives none to who has left: a hash for nobody takes the
// time of those who wait.
func (h hashing) enter(ctx context.Context) error {
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

func (h hashing) leave() { <-h.slots; <-h.queue }

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
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	h.cost = cost
	return subtle.ConstantTimeCompare([]byte(h.encode(password, salt)), []byte(phc)) == 1, nil
}

// Verify says whether this is the person's password. An empty user stands for
// somebody unknown: the answer is no, after as long a time. A yes is remembered in
// memory under a keyed hash.
func (v *Vault) Verify(ctx context.Context, u domain.UserID, password string) (bool, error) {
	if len(prepared(password)) > longest {
		return false, nil
	}
	name := v.credential(u, password)
	yes, earlier := v.verified.Get(name)
	if earlier && yes.fresh() {
		return true, nil
	}
	phc, err := v.hashing.dummy, error(nil)
	if u != "" {
		if phc, err = v.db.password(ctx, u); errors.Is(err, errNone) {
			phc, u = v.hashing.dummy, ""
		} else if err != nil {
			return false, fmt.Errorf("read the password of %s: %w", u, err)
		}
	}
	if !earlier || u == "" || yes.hash != phc {
		ok := false
		if ok, phc, err = v.hashed(ctx, u, phc, password); err != nil || !ok || u == "" {
			return false, err
		}
	}
	v.verified.Add(name, verified{phc, time.Now()})
	return true, nil
}

// hashed hashes the password and compares it. Where it is not the one, it may be stored
// as it was typed, as the first version did: then it is stored again as it is compared
// now, and that hash is given.
func (v *Vault) hashed(ctx context.Context, u domain.UserID, phc, password string) (ok bool, now string, err error) {
	ok, err = v.hashing.verify(ctx, phc, prepared(password))
	if ok || err != nil || prepared(password) == password {
		return ok, phc, err
	}
	if ok, err = v.hashing.verify(ctx, phc, password); !ok || err != nil || u == "" {
		return false, phc, err
	}
	fresh, err := v.hashing.hash(ctx, prepared(password))
	if err == nil {
		err = v.db.rehash(ctx, u, phc, fresh)
	}
	if err != nil {
		return true, phc, nil // the old hash stays good, and the next sign-in tries again
	}
	return true, fresh, nil
}

// Remembered says whether Verify would say yes without hashing, so that asking it
// costs nothing and tells nobody anything new.
func (v *Vault) Remembered(u domain.UserID, password string) bool {
	if len(prepared(password)) > longest {
		return false
	}
	yes, ok := v.verified.Get(v.credential(u, password))
	return ok && yes.fresh()
}

func (v *Vault) credential(u domain.UserID, password string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, v.cacheKey)
	mac.Write([]byte(string(u) + "\x00" + prepared(password)))
	return [sha256.Size]byte(mac.Sum(nil))
}
