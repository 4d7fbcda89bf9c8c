package vault

import (
	"context"
	"time"

	"kassa/domain"
)

func (s sqlite) putChallenge(ctx context.Context, u domain.UserID, ceremony, challenge []byte, expires time.Time) (bool, error) {
	n, err := affected(s.db.Write.ExecContext(ctx, `INSERT INTO passkey_challenges (ceremony, user_id, challenge, expires_at) SELECT ?, user_id, ?, ? FROM factors WHERE user_id = ? AND confirmed
		ON CONFLICT (ceremony) DO UPDATE SET user_id = excluded.user_id, challenge = excluded.challenge, expires_at = excluded.expires_at`, ceremony, challenge, expires.Unix(), string(u)))
	return n > 0, err
}

func (s sqlite) takeChallenge(ctx context.Context, u domain.UserID, ceremony []byte, now time.Time) ([]byte, error) {
	return one[[]byte](s.db.Write.QueryRowContext(ctx, `DELETE FROM passkey_challenges WHERE ceremony = ? AND user_id = ? AND expires_at > ? RETURNING challenge`, ceremony, string(u), now.Unix()))
}

func (s sqlite) addPasskey(ctx context.Context, u domain.UserID, hash []byte, p Passkey) (added bool, err error) {
	full := false
	err = s.transaction(ctx, func(do statements) {
		// A write that changes nothing finds out whether the factor is still on.
		if do(`UPDATE factors SET confirmed = 1 WHERE user_id = ? AND confirmed`, string(u)) == 0 {
			return
		}
		if full = do(`UPDATE factors SET confirmed = 1 WHERE user_id = ?1 AND (SELECT count(*) FROM passkeys p WHERE p.user_id = ?1) < ?2`, string(u), MaxPasskeys) == 0; full {
			return
		}
		added = do(`INSERT INTO passkeys (credential_hash, user_id, sealed, sign_count, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			hash, string(u), p.sealed, int64(p.Count), p.CreatedAt.Unix()) > 0
	})
	if err == nil && full {
		err = ErrTooManyPasskeys
	}
	return added && err == nil, err
}

func (s sqlite) passkeysOf(ctx context.Context, u domain.UserID) (list []Passkey, err error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT credential_hash, sealed, sign_count, created_at, last_used_at, copied_at FROM passkeys WHERE user_id = ? ORDER BY created_at DESC, credential_hash`, string(u))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var hash []byte
		var p Passkey
		var created int64
		var used, copied *int64
		if err := rows.Scan(&hash, &p.sealed, &p.Count, &created, &used, &copied); err != nil {
			return nil, err
		}
		p.ID, p.CreatedAt = passkeyID(hash), time.Unix(created, 0)
		if used != nil {
			p.LastUsedAt = time.Unix(*used, 0)
		}
		if copied != nil {
			p.CopiedAt = time.Unix(*copied, 0)
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

func (s sqlite) usePasskey(ctx context.Context, u domain.UserID, hash []byte, count uint32, now time.Time) (bool, error) {
	n, err := affected(s.db.Write.ExecContext(ctx, `UPDATE passkeys SET sign_count = ?1, last_used_at = ?2
		WHERE user_id = ?3 AND credential_hash = ?4 AND copied_at IS NULL AND (sign_count < ?1 OR sign_count = 0 AND ?1 = 0)`, int64(count), now.Unix(), string(u), hash))
	return n > 0, err
}

func (s sqlite) markCopied(ctx context.Context, u domain.UserID, hash []byte, now time.Time) (bool, error) {
	n, err := affected(s.db.Write.ExecContext(ctx, `UPDATE passkeys SET copied_at = coalesce(copied_at, ?) WHERE user_id = ? AND credential_hash = ?`, now.Unix(), string(u), hash))
	return n > 0, err
}

func (s sqlite) dropPasskey(ctx context.Context, u domain.UserID, prefix, but []byte) (dropped, copied bool, err error) {
	err = s.transaction(ctx, func(do statements) {
		const one = `DELETE FROM passkeys WHERE user_id = ? AND substr(credential_hash, 1, 10) = ?`
		if copied = do(one+` AND copied_at IS NOT NULL`, string(u), prefix) > 0; !copied {
			dropped = do(one, string(u), prefix) > 0
			return
		}
		dropped = true
		do(`DELETE FROM sessions WHERE user_id = ? AND substr(token_hash, 1, 10) <> ?`, string(u), but)
		do(`DELETE FROM personal_tokens WHERE user_id = ?`, string(u))
	})
	return dropped && err == nil, copied && err == nil, err
}
