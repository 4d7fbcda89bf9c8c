package vault

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"kassa/domain"
)

// SessionLife is how long a browser stays signed in. A zero duration means its default.
type SessionLife struct {
	Idle     time.Duration // without a request: 7 days
	Absolute time.Duration // since the sign-in: 30 days
}

func (l SessionLife) orDefault() SessionLife {
	const day = 24 * time.Hour
	return SessionLife{Idle: cmp.Or(l.Idle, 7*day), Absolute: cmp.Or(l.Absolute, 30*day)}
}

// MaxSessions is how many sessions a person has at most: the oldest ends when another begins.
const MaxSessions = 20

// seenEvery is how often the time and the network of a session's last request are stored,
// at most: most requests write nothing.
const seenEvery = 5 * time.Minute

// SessionID names a session without being its token: it is the beginning of the token's
// hash, in hexadecimal.
type SessionID string

// Valid reports whether it has the form of an id.
func (id SessionID) Valid() bool { return len(prefixOf(string(id))) > 0 }

func (id SessionID) prefix() []byte { return prefixOf(string(id)) }

func sessionID(tokenHash []byte) SessionID {
	return SessionID(hex.EncodeToString(tokenHash[:idBytes]))
}

// idBytes is how much of a token's hash is its id.
const idBytes = 10

// prefixOf gives the beginning of a token's hash that an id is; empty for what is no id.
func prefixOf(id string) []byte {
	prefix, err := hex.DecodeString(id)
	if err != nil || hex.EncodeToString(prefix) != id || len(prefix) != idBytes {
		return []byte{}
	}
	return prefix
}

// Origin is where a request of a browser comes from, as the person may recognise it.
type Origin struct {
	Device  string // browser and system, such as "Firefox, Linux"; "" where they are not known
	Network string // a prefix of the address, such as 203.0.113.0/24; "" where there is none
}

// Session is a browser that is signed in.
type Session struct {
	ID   SessionID
	User domain.UserID
	Origin
	CreatedAt time.Time
	SeenAt    time.Time // of its last request, to within seenEvery
	ExpiresAt time.Time // at the latest
	FactorAt  time.Time // when a code of the second factor was last given in it; zero: the person has none
}

// freshSession is a session that begins, and its token.
func (v *Vault) freshSession(u domain.UserID, from Origin, now time.Time) (token string, s Session) {
	token = rand.Text()
	return token, Session{ID: sessionID(hashToken(token)), User: u, Origin: from, CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(v.life.Absolute)}
}

// NewSession starts a session for a person with this password, and gives the opaque token
// for a cookie, of which only the hash is stored. The refusal is invalid_credentials: the
// password was changed a moment ago, even if Verify still has the old one in its cache; or
// the person has a second factor, and signs in by HalfSignIn.
func (v *Vault) NewSession(ctx context.Context, u domain.UserID, password string, from Origin, now time.Time) (token string, s Session, err error) {
	token, s = v.freshSession(u, from, now)
	err = v.underPassword(ctx, u, password, func(passwordHash string) (bool, error) {
		added, err := v.db.addSession(ctx, hashToken(token), s, passwordHash)
		if err != nil {
			return false, fmt.Errorf("store a session: %w", written(err))
		}
		return added, nil
	})
	if err != nil {
		return "", Session{}, err
	}
	return token, s, nil
}

// underPassword has add store what the password opens, with the hash that it was verified
// against; add gives false where another hash is stored by now. The refusal is
// invalid_credentials.
func (v *Vault) underPassword(ctx context.Context, u domain.UserID, password string, add func(passwordHash string) (bool, error)) error {
	for range 2 { // the second time without the cache
		ok, err := v.Verify(ctx, u, password)
		if err != nil {
			return err
		}
		verified, remembered := v.verified.Peek(v.credential(u, password))
		if !ok || !remembered {
			break
		}
		if added, err := add(verified.hash); added || err != nil {
			return err
		}
		v.verified.Remove(v.credential(u, password))
	}
	return domain.Reject(domain.InvalidCredentials, "the e-mail or the password is wrong")
}

// Session gives the session of a token, and stores now and then that it was seen, from the
// network. ok is false for one that ended or never was.
func (v *Vault) Session(ctx context.Context, token, network string, now time.Time) (s Session, ok bool, err error) {
	hash := hashToken(token)
	s, err = v.db.session(ctx, hash, now, now.Add(-v.life.Idle))
	if errors.Is(err, errNone) {
		return Session{}, false, nil
	}
	if err != nil {
		return Session{}, false, fmt.Errorf("read a session: %w", err)
	}
	if now.Sub(s.SeenAt) >= seenEvery {
		_ = v.db.seen(ctx, hash, network, now) // the next request tries again
	}
	return s, true, nil
}

// Sessions gives the sessions of a person, the one with the latest request first.
func (v *Vault) Sessions(ctx context.Context, u domain.UserID, now time.Time) ([]Session, error) {
	list, err := v.db.sessions(ctx, u, now, now.Add(-v.life.Idle))
	if err != nil {
		return nil, fmt.Errorf("read the sessions of %s: %w", u, err)
	}
	return list, nil
}

// EndSession signs a browser out.
func (v *Vault) EndSession(ctx context.Context, token string) error {
	if err := v.db.endSession(ctx, hashToken(token)); err != nil {
		return fmt.Errorf("end a session: %w", written(err))
	}
	return nil
}

// EndSessionOf ends one of a person's sessions; false where they have no such session.
func (v *Vault) EndSessionOf(ctx context.Context, u domain.UserID, id SessionID) (bool, error) {
	ended, err := v.db.endSessionOf(ctx, u, id.prefix())
	if err != nil {
		return false, fmt.Errorf("end a session of %s: %w", u, written(err))
	}
	return ended, nil
}

// EndOtherSessions ends all of a person's sessions but one; with "" it ends all.
func (v *Vault) EndOtherSessions(ctx context.Context, u domain.UserID, but SessionID) error {
	if err := v.db.endOtherSessions(ctx, u, but.prefix()); err != nil {
		return fmt.Errorf("end the sessions of %s: %w", u, written(err))
	}
	return nil
}

// EndAccess ends what opens a person's account but for their password: all sessions, personal
// tokens, and a link for another password.
func (v *Vault) EndAccess(ctx context.Context, u domain.UserID) error {
	if err := v.db.endAccess(ctx, u); err != nil {
		return fmt.Errorf("end the access of %s: %w", u, written(err))
	}
	return nil
}

// CountSessions is how many sessions have not ended, of all people.
func (v *Vault) CountSessions(ctx context.Context, now time.Time) (n int, err error) {
	if n, err = v.db.countSessions(ctx, now, now.Add(-v.life.Idle)); err != nil {
		return 0, fmt.Errorf("count the sessions: %w", err)
	}
	return n, nil
}

// DropExpired deletes the sessions, personal tokens, resets, mails, challenges and offers of a
// factor whose time is over.
func (v *Vault) DropExpired(ctx context.Context, now time.Time) error {
	if err := v.db.dropExpired(ctx, now, now.Add(-v.life.Idle)); err != nil {
		return fmt.Errorf("drop what has expired: %w", err)
	}
	return nil
}

func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
