package vault

import (
	"context"
	"errors"
	"time"

	"kassa/domain"
	"kassa/schema"
)

// SQLite opens the vault in a database file that schema.OpenSQLite opened.
func SQLite(db *schema.SQLite, secret Secret, o Options) (*Vault, error) {
	return open(sqlite{db}, secret, o)
}

type sqlite struct{ db *schema.SQLite }

func (s sqlite) enroll(ctx context.Context, u domain.UserID, wrapped []byte, hash string) error {
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO subject_keys (user_id, wrapped) VALUES (?,?)`, string(u), wrapped)
	if err == nil {
		_, err = tx.ExecContext(ctx, `INSERT INTO passwords (user_id, hash) VALUES (?,?)`, string(u), hash)
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (s sqlite) key(ctx context.Context, u domain.UserID) ([]byte, error) {
	return one[[]byte](s.db.Read.QueryRowContext(ctx, `SELECT wrapped FROM subject_keys WHERE user_id = ?`, string(u)))
}

func (s sqlite) password(ctx context.Context, u domain.UserID) (string, error) {
	return one[string](s.db.Read.QueryRowContext(ctx, `SELECT hash FROM passwords WHERE user_id = ?`, string(u)))
}

func (s sqlite) rehash(ctx context.Context, u domain.UserID, was, is string) error {
	_, err := s.db.Write.ExecContext(ctx, `UPDATE passwords SET hash = ? WHERE user_id = ? AND hash = ?`, is, string(u), was)
	return err
}

func (s sqlite) anybody(ctx context.Context) (domain.UserID, error) {
	return one[domain.UserID](s.db.Read.QueryRowContext(ctx, `SELECT user_id FROM subject_keys LIMIT 1`))
}

func (s sqlite) checkValue(ctx context.Context) ([]byte, error) {
	return one[[]byte](s.db.Read.QueryRowContext(ctx, `SELECT secret_check FROM installation`))
}

func (s sqlite) claim(ctx context.Context, value []byte) error {
	_, err := s.db.Write.ExecContext(ctx, `INSERT INTO installation (one, secret_check) VALUES (1, ?) ON CONFLICT DO NOTHING`, value)
	return err
}

func (s sqlite) addSession(ctx context.Context, token []byte, u domain.UserID, expires time.Time) error {
	_, err := s.db.Write.ExecContext(ctx, `INSERT INTO sessions (token_hash, user_id, expires_at) VALUES (?,?,?)`, token, string(u), expires.Unix())
	return err
}

func (s sqlite) session(ctx context.Context, token []byte, now time.Time) (domain.UserID, error) {
	return one[domain.UserID](s.db.Read.QueryRowContext(ctx, `SELECT user_id FROM sessions WHERE token_hash = ? AND expires_at > ?`, token, now.Unix()))
}

func (s sqlite) endSession(ctx context.Context, token []byte) error {
	_, err := s.db.Write.ExecContext(ctx, `DELETE FROM sessions WHERE token_hash = ?`, token)
	return err
}

func (s sqlite) dropExpired(ctx context.Context, now time.Time) error {
	_, err := s.db.Write.ExecContext(ctx, `DELETE FROM sessions WHERE expires_at <= ?`, now.Unix())
	return err
}
