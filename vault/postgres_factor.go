package vault

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/domain"
)

func (p postgres) offerFactor(ctx context.Context, u domain.UserID, sealed, session []byte, now time.Time) (bool, error) {
	tag, err := p.pool.Exec(ctx, `INSERT INTO factors (user_id, secret, confirmed, last_step, created_at, session) SELECT user_id, $2, false, 0, $3, $4 FROM passwords WHERE user_id = $1
		ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, created_at = excluded.created_at, session = excluded.session WHERE NOT factors.confirmed`, string(u), sealed, now, session)
	return tag.RowsAffected() > 0, err
}

func (p postgres) factor(ctx context.Context, u domain.UserID) (f storedFactor, err error) {
	err = p.pool.QueryRow(ctx, `SELECT secret, confirmed, created_at, session, (SELECT count(*) FROM recovery_codes r WHERE r.user_id = f.user_id) FROM factors f WHERE user_id = $1`,
		string(u)).Scan(&f.sealed, &f.confirmed, &f.since, &f.session, &f.codes)
	if errors.Is(err, pgx.ErrNoRows) {
		err = errNone
	}
	return f, err
}

// confirmFactor locks the password's row first, as a sign-in does: so of the two one is
// first, and no session or token is left that was made without the factor.
func (p postgres) confirmFactor(ctx context.Context, u domain.UserID, f storedFactor, step int64, codes [][]byte, now time.Time) (confirmed bool, err error) {
	err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT FROM passwords WHERE user_id = $1 FOR UPDATE`, string(u)); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `UPDATE factors SET confirmed = true, last_step = $3, created_at = $4, session = NULL WHERE user_id = $1 AND secret = $2 AND session = $5 AND NOT confirmed
			AND EXISTS (SELECT FROM sessions s WHERE s.user_id = $1 AND substring(s.token_hash FOR 10) = $5)`, string(u), f.sealed, step, now, f.session)
		if confirmed = tag.RowsAffected() > 0; err != nil || !confirmed {
			return err
		}
		pipe := &pgx.Batch{}
		pipe.Queue(`DELETE FROM recovery_codes WHERE user_id = $1`, string(u))
		pipe.Queue(`INSERT INTO recovery_codes (user_id, code_hash) SELECT $1, unnest($2::bytea[])`, string(u), codes)
		pipe.Queue(`DELETE FROM sessions WHERE user_id = $1 AND substring(token_hash FOR 10) <> $2`, string(u), f.session)
		pipe.Queue(`DELETE FROM personal_tokens WHERE user_id = $1`, string(u))
		pipe.Queue(`UPDATE sessions SET factor_at = $2 WHERE user_id = $1`, string(u), now)
		return tx.SendBatch(ctx, pipe).Close()
	})
	return confirmed && err == nil, err
}

func (p postgres) useStep(ctx context.Context, u domain.UserID, f storedFactor, step int64) (bool, error) {
	tag, err := p.pool.Exec(ctx, `UPDATE factors SET last_step = $2 WHERE user_id = $1 AND secret = $3 AND confirmed AND last_step < $2`, string(u), step, f.sealed)
	return tag.RowsAffected() > 0, err
}

func (p postgres) useRecovery(ctx context.Context, u domain.UserID, code []byte) (bool, error) {
	tag, err := p.pool.Exec(ctx, `DELETE FROM recovery_codes WHERE user_id = $1 AND code_hash = $2`, string(u), code)
	return tag.RowsAffected() > 0, err
}

func (p postgres) factorGiven(ctx context.Context, u domain.UserID, prefix []byte, now time.Time) error {
	_, err := p.pool.Exec(ctx, `UPDATE sessions SET factor_at = $3 WHERE user_id = $1 AND substring(token_hash FOR 10) = $2 AND factor_at IS NOT NULL`, string(u), prefix, now)
	return err
}

func (p postgres) dropFactor(ctx context.Context, u domain.UserID) (dropped bool, err error) {
	err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT FROM passwords WHERE user_id = $1 FOR UPDATE`, string(u)); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `DELETE FROM factors WHERE user_id = $1`, string(u))
		if dropped = tag.RowsAffected() > 0; err != nil {
			return err
		}
		pipe := &pgx.Batch{}
		pipe.Queue(`DELETE FROM recovery_codes WHERE user_id = $1`, string(u))
		pipe.Queue(`DELETE FROM passkeys WHERE user_id = $1`, string(u))
		pipe.Queue(`DELETE FROM passkey_challenges WHERE user_id = $1`, string(u))
		pipe.Queue(`UPDATE sessions SET factor_at = NULL WHERE user_id = $1`, string(u))
		return tx.SendBatch(ctx, pipe).Close()
	})
	return dropped && err == nil, err
}
