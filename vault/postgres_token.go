package vault

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/domain"
)

// addToken locks the password's row, so that the tokens of a person are added one after the
// other, and none beside a change of the password. Later statements look for a factor and
// count the tokens: they see what was added until then.
func (p postgres) addToken(ctx context.Context, token []byte, t Token, passwordHash string) (added bool, err error) {
	err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if err := lockPassword(ctx, tx, t.User); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `SELECT FROM passwords WHERE user_id = $1 AND hash = $2
			AND ($3 OR NOT EXISTS (SELECT FROM factors f WHERE f.user_id = $1 AND f.confirmed))`, string(t.User), passwordHash, t.ByFactor)
		if added = tag.RowsAffected() > 0; err != nil || !added {
			return err
		}
		tag, err = tx.Exec(ctx, `INSERT INTO personal_tokens (token_hash, user_id, name, scopes, created_at, expires_at)
			SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT count(*) FROM personal_tokens WHERE user_id = $2 AND expires_at > $5) < $7`,
			token, string(t.User), t.sealedName, storedScopes(t.Scopes), t.CreatedAt, t.ExpiresAt, MaxTokens)
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrTooManyTokens
		}
		return err
	})
	return added && err == nil, err
}

const postgresToken = `SELECT token_hash, user_id, name, scopes, created_at, expires_at, last_used_at FROM personal_tokens `

func (p postgres) token(ctx context.Context, token []byte, now time.Time) (Token, error) {
	rows, _ := p.pool.Query(ctx, postgresToken+`WHERE token_hash = $1 AND expires_at > $2`, token, now)
	t, err := pgx.CollectExactlyOneRow(rows, readToken)
	if errors.Is(err, pgx.ErrNoRows) {
		err = errNone
	}
	return t, err
}

func (p postgres) tokensOf(ctx context.Context, u domain.UserID, now time.Time) ([]Token, error) {
	rows, _ := p.pool.Query(ctx, postgresToken+`WHERE user_id = $1 AND expires_at > $2 ORDER BY created_at DESC, token_hash`, string(u), now)
	return pgx.CollectRows(rows, readToken)
}

func readToken(row pgx.CollectableRow) (t Token, err error) {
	var token []byte
	var scopes string
	var used *time.Time
	if err = row.Scan(&token, &t.User, &t.sealedName, &scopes, &t.CreatedAt, &t.ExpiresAt, &used); err == nil {
		t.ID, t.Scopes = tokenID(token), readScopes(scopes)
	}
	if used != nil {
		t.LastUsedAt = *used
	}
	return t, err
}

func (p postgres) used(ctx context.Context, token []byte, at time.Time) error {
	_, err := p.pool.Exec(ctx, `UPDATE personal_tokens SET last_used_at = $2 WHERE token_hash = $1 AND (last_used_at IS NULL OR last_used_at < $2)`, token, at)
	return err
}

func (p postgres) revokeToken(ctx context.Context, u domain.UserID, prefix []byte) (bool, error) {
	tag, err := p.pool.Exec(ctx, `DELETE FROM personal_tokens WHERE user_id = $1 AND substring(token_hash FOR 10) = $2`, string(u), prefix)
	return tag.RowsAffected() > 0, err
}
