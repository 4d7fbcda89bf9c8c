package vault

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/domain"
)

func (p postgres) putChallenge(ctx context.Context, u domain.UserID, ceremony, challenge []byte, expires time.Time) (bool, error) {
	tag, err := p.pool.Exec(ctx, `INSERT INTO passkey_challenges (ceremony, user_id, challenge, expires_at) SELECT $1, user_id, $2, $3 FROM factors WHERE user_id = $4 AND confirmed
		ON CONFLICT (ceremony) DO UPDATE SET user_id = excluded.user_id, challenge = excluded.challenge, expires_at = excluded.expires_at`, ceremony, challenge, expires, string(u))
	return tag.RowsAffected() > 0, err
}

func (p postgres) takeChallenge(ctx context.Context, u domain.UserID, ceremony []byte, now time.Time) ([]byte, error) {
	return one[[]byte](p.pool.QueryRow(ctx, `DELETE FROM passkey_challenges WHERE ceremony = $1 AND user_id = $2 AND expires_at > $3 RETURNING challenge`, ceremony, string(u), now))
}

// addPasskey locks the password's row, so that a person's passkeys are added one after the
// other, and none beside the end of the factor.
func (p postgres) addPasskey(ctx context.Context, u domain.UserID, hash []byte, k Passkey) (added bool, err error) {
	err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT FROM passwords WHERE user_id = $1 FOR UPDATE`, string(u)); err != nil {
			return err
		}
		var on, full bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM factors WHERE user_id = $1 AND confirmed), (SELECT count(*) FROM passkeys WHERE user_id = $1) >= $2`, string(u), MaxPasskeys).Scan(&on, &full); err != nil || !on {
			return err
		}
		if full {
			return ErrTooManyPasskeys
		}
		tag, err := tx.Exec(ctx, `INSERT INTO passkeys (credential_hash, user_id, sealed, sign_count, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
			hash, string(u), k.sealed, int64(k.Count), k.CreatedAt)
		added = tag.RowsAffected() > 0
		return err
	})
	return added && err == nil, err
}

func (p postgres) passkeysOf(ctx context.Context, u domain.UserID) ([]Passkey, error) {
	rows, _ := p.pool.Query(ctx, `SELECT credential_hash, sealed, sign_count, created_at, last_used_at, copied_at FROM passkeys WHERE user_id = $1 ORDER BY created_at DESC, credential_hash`, string(u))
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (k Passkey, err error) {
		var hash []byte
		var used, copied *time.Time
		if err = row.Scan(&hash, &k.sealed, &k.Count, &k.CreatedAt, &used, &copied); err != nil {
			return k, err
		}
		k.ID = passkeyID(hash)
		if used != nil {
			k.LastUsedAt = *used
		}
		if copied != nil {
			k.CopiedAt = *copied
		}
		return k, nil
	})
}

func (p postgres) usePasskey(ctx context.Context, u domain.UserID, hash []byte, count uint32, now time.Time) (bool, error) {
	tag, err := p.pool.Exec(ctx, `UPDATE passkeys SET sign_count = $1, last_used_at = $2
		WHERE user_id = $3 AND credential_hash = $4 AND copied_at IS NULL AND (sign_count < $1 OR sign_count = 0 AND $1 = 0)`, int64(count), now, string(u), hash)
	return tag.RowsAffected() > 0, err
}

func (p postgres) markCopied(ctx context.Context, u domain.UserID, hash []byte, now time.Time) (bool, error) {
	tag, err := p.pool.Exec(ctx, `UPDATE passkeys SET copied_at = coalesce(copied_at, $1) WHERE user_id = $2 AND credential_hash = $3`, now, string(u), hash)
	return tag.RowsAffected() > 0, err
}

// dropPasskey locks the password's row, so that it ends a session that a sign-in adds at once.
func (p postgres) dropPasskey(ctx context.Context, u domain.UserID, prefix, but []byte) (dropped, copied bool, err error) {
	err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if err := lockPassword(ctx, tx, u); err != nil {
			return err
		}
		copied, err = one[bool](tx.QueryRow(ctx, `DELETE FROM passkeys WHERE user_id = $1 AND substring(credential_hash FOR 10) = $2 RETURNING copied_at IS NOT NULL`, string(u), prefix))
		if errors.Is(err, errNone) {
			return nil
		}
		if dropped = err == nil; !copied || err != nil {
			return err
		}
		pipe := &pgx.Batch{}
		pipe.Queue(`DELETE FROM sessions WHERE user_id = $1 AND substring(token_hash FOR 10) <> $2`, string(u), but)
		pipe.Queue(`DELETE FROM personal_tokens WHERE user_id = $1`, string(u))
		return tx.SendBatch(ctx, pipe).Close()
	})
	return dropped && err == nil, copied && err == nil, err
}
