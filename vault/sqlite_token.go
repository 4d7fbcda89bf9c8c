package vault

import (
	"context"
	"time"

	"kassa/domain"
)

func (s sqlite) addToken(ctx context.Context, token []byte, t Token, passwordHash string) (added bool, err error) {
	full := false
	err = s.transaction(ctx, func(do statements) {
		// A write that changes nothing finds out whether the password is still the same.
		added = do(`UPDATE passwords SET hash = hash WHERE user_id = ?1 AND hash = ?2
			AND (?3 OR NOT EXISTS (SELECT 1 FROM factors f WHERE f.user_id = ?1 AND f.confirmed))`, string(t.User), passwordHash, t.ByFactor) > 0
		if !added {
			return
		}
		full = do(`INSERT INTO personal_tokens (token_hash, user_id, name, scopes, created_at, expires_at)
			SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT count(*) FROM personal_tokens WHERE user_id = ?2 AND expires_at > ?5) < ?7`,
			token, string(t.User), t.sealedName, storedScopes(t.Scopes), t.CreatedAt.Unix(), t.ExpiresAt.Unix(), MaxTokens) == 0
	})
	if err == nil && full {
		err = ErrTooManyTokens
	}
	return added && err == nil, err
}

const sqliteToken = `SELECT token_hash, user_id, name, scopes, created_at, expires_at, last_used_at FROM personal_tokens `

func (s sqlite) token(ctx context.Context, token []byte, now time.Time) (Token, error) {
	list, err := s.readTokens(ctx, sqliteToken+`WHERE token_hash = ? AND expires_at > ?`, token, now.Unix())
	if err != nil {
		return Token{}, err
	}
	if len(list) == 0 {
		return Token{}, errNone
	}
	return list[0], nil
}

func (s sqlite) tokensOf(ctx context.Context, u domain.UserID, now time.Time) ([]Token, error) {
	return s.readTokens(ctx, sqliteToken+`WHERE user_id = ? AND expires_at > ? ORDER BY created_at DESC, token_hash`, string(u), now.Unix())
}

func (s sqlite) readTokens(ctx context.Context, query string, arguments ...any) (list []Token, err error) {
	rows, err := s.db.Read.QueryContext(ctx, query, arguments...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var token []byte
		var t Token
		var scopes string
		var created, expires int64
		var used *int64
		if err := rows.Scan(&token, &t.User, &t.sealedName, &scopes, &created, &expires, &used); err != nil {
			return nil, err
		}
		t.ID, t.Scopes, t.CreatedAt, t.ExpiresAt = tokenID(token), readScopes(scopes), time.Unix(created, 0), time.Unix(expires, 0)
		if used != nil {
			t.LastUsedAt = time.Unix(*used, 0)
		}
		list = append(list, t)
	}
	return list, rows.Err()
}

func (s sqlite) used(ctx context.Context, token []byte, at time.Time) error {
	_, err := s.db.Write.ExecContext(ctx, `UPDATE personal_tokens SET last_used_at = ?1 WHERE token_hash = ?2 AND (last_used_at IS NULL OR last_used_at < ?1)`, at.Unix(), token)
	return err
}

func (s sqlite) revokeToken(ctx context.Context, u domain.UserID, prefix []byte) (bool, error) {
	n, err := affected(s.db.Write.ExecContext(ctx, `DELETE FROM personal_tokens WHERE user_id = ? AND substr(token_hash, 1, 10) = ?`, string(u), prefix))
	return n > 0, err
}
