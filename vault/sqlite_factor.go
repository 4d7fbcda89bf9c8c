package vault

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"kassa/domain"
)

func (s sqlite) offerFactor(ctx context.Context, u domain.UserID, sealed, session []byte, now time.Time) (bool, error) {
	n, err := affected(s.db.Write.ExecContext(ctx, `INSERT INTO factors (user_id, secret, confirmed, last_step, created_at, session) SELECT user_id, ?, 0, 0, ?, ? FROM passwords WHERE user_id = ?
		ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, created_at = excluded.created_at, session = excluded.session WHERE NOT factors.confirmed`, sealed, now.Unix(), session, string(u)))
	return n > 0, err
}

func (s sqlite) factor(ctx context.Context, u domain.UserID) (f storedFactor, err error) {
	var since int64
	err = s.db.Read.QueryRowContext(ctx, `SELECT secret, confirmed, created_at, session, (SELECT count(*) FROM recovery_codes r WHERE r.user_id = f.user_id) FROM factors f WHERE user_id = ?`,
		string(u)).Scan(&f.sealed, &f.confirmed, &since, &f.session, &f.codes)
	if errors.Is(err, sql.ErrNoRows) {
		err = errNone
	}
	f.since = time.Unix(since, 0)
	return f, err
}

func (s sqlite) confirmFactor(ctx context.Context, u domain.UserID, f storedFactor, step int64, codes [][]byte, now time.Time) (confirmed bool, err error) {
	err = s.transaction(ctx, func(do statements) {
		confirmed = do(`UPDATE factors SET confirmed = 1, last_step = ?3, created_at = ?4, session = NULL WHERE user_id = ?1 AND secret = ?2 AND session = ?5 AND NOT confirmed
			AND EXISTS (SELECT 1 FROM sessions s WHERE s.user_id = ?1 AND substr(s.token_hash, 1, 10) = ?5)`, string(u), f.sealed, step, now.Unix(), f.session) > 0
		if !confirmed {
			return
		}
		do(`DELETE FROM recovery_codes WHERE user_id = ?`, string(u))
		for _, code := range codes {
			do(`INSERT INTO recovery_codes (user_id, code_hash) VALUES (?,?)`, string(u), code)
		}
		do(`DELETE FROM sessions WHERE user_id = ? AND substr(token_hash, 1, 10) <> ?`, string(u), f.session)
		do(`DELETE FROM personal_tokens WHERE user_id = ?`, string(u))
		do(`UPDATE sessions SET factor_at = ? WHERE user_id = ?`, now.Unix(), string(u))
	})
	return confirmed && err == nil, err
}

func (s sqlite) useStep(ctx context.Context, u domain.UserID, f storedFactor, step int64) (bool, error) {
	n, err := affected(s.db.Write.ExecContext(ctx, `UPDATE factors SET last_step = ?1 WHERE user_id = ?2 AND secret = ?3 AND confirmed AND last_step < ?1`, step, string(u), f.sealed))
	return n > 0, err
}

func (s sqlite) useRecovery(ctx context.Context, u domain.UserID, code []byte) (bool, error) {
	n, err := affected(s.db.Write.ExecContext(ctx, `DELETE FROM recovery_codes WHERE user_id = ? AND code_hash = ?`, string(u), code))
	return n > 0, err
}

func (s sqlite) factorGiven(ctx context.Context, u domain.UserID, prefix []byte, now time.Time) error {
	_, err := s.db.Write.ExecContext(ctx, `UPDATE sessions SET factor_at = ? WHERE user_id = ? AND substr(token_hash, 1, 10) = ? AND factor_at IS NOT NULL`, now.Unix(), string(u), prefix)
	return err
}

func (s sqlite) dropFactor(ctx context.Context, u domain.UserID) (dropped bool, err error) {
	err = s.transaction(ctx, func(do statements) {
		dropped = do(`DELETE FROM factors WHERE user_id = ?`, string(u)) > 0
		do(`DELETE FROM recovery_codes WHERE user_id = ?`, string(u))
		do(`DELETE FROM passkeys WHERE user_id = ?`, string(u))
		do(`DELETE FROM passkey_challenges WHERE user_id = ?`, string(u))
		do(`UPDATE sessions SET factor_at = NULL WHERE user_id = ?`, string(u))
	})
	return dropped && err == nil, err
}
