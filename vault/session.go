package vault

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"kassa/domain"
)

// SessionLife is how long a browser stays signed in.
const SessionLife = 30 * 24 * time.Hour

// NewSession gives an opaque token for a cookie. Only its hash is kept.
func (v *Vault) NewSession(ctx context.Context, u domain.UserID, now time.Time) (token string, err error) {
	token = rand.Text()
	if err := v.db.addSession(ctx, hashToken(token), u, now.Add(SessionLife)); err != nil {
		return "", fmt.Errorf("keep a session: %w", err)
	}
	return token, nil
}

// Session says whose token this is; ok is false for one that ended or never was.
func (v *Vault) Session(ctx context.Context, token string, now time.Time) (u domain.UserID, ok bool, err error) {
	u, err = v.db.session(ctx, hashToken(token), now)
	if errors.Is(err, errNone) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read a session: %w", err)
	}
	return u, true, nil
}

// EndSession signs a browser out.
func (v *Vault) EndSession(ctx context.Context, token string) error {
	if err := v.db.endSession(ctx, hashToken(token)); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// DropExpired forgets the sessions whose time is over.
func (v *Vault) DropExpired(ctx context.Context, now time.Time) error {
	if err := v.db.dropExpired(ctx, now); err != nil {
		return fmt.Errorf("drop expired sessions: %w", err)
	}
	return nil
}

func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
