package vault

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/domain"
)

// Postgres opens the vault in a database that schema.OpenPostgres opened.
func Postgres(pool *pgxpool.Pool, secret Secret, o Options) (*Vault, error) {
	return open(postgres{pool}, secret, o)
}

type postgres struct{ pool *pgxpool.Pool }

// enroll is one pipeline, and so one transaction.
func (p postgres) enroll(ctx context.Context, u domain.UserID, wrapped []byte, hash string) error {
	pipe := &pgx.Batch{}
	pipe.Queue(`INSERT INTO subject_keys (user_id, wrapped) VALUES ($1,$2)`, string(u), wrapped)
	pipe.Queue(`INSERT INTO passwords (user_id, hash) VALUES ($1,$2)`, string(u), hash)
	return p.pool.SendBatch(ctx, pipe).Close()
}

func (p postgres) key(ctx context.Context, u domain.UserID) ([]byte, error) {
	return one[[]byte](p.pool.QueryRow(ctx, `SELECT wrapped FROM subject_keys WHERE user_id = $1`, string(u)))
}

func (p postgres) password(ctx context.Context, u domain.UserID) (string, error) {
	return one[string](p.pool.QueryRow(ctx, `SELECT hash FROM passwords WHERE user_id = $1`, string(u)))
}

func (p postgres) rehash(ctx context.Context, u domain.UserID, was, is string) error {
	_, err := p.pool.Exec(ctx, `UPDATE passwords SET hash = $3 WHERE user_id = $1 AND hash = $2`, string(u), was, is)
	return err
}

func (p postgres) anybody(ctx context.Context) (domain.UserID, error) {
	return one[domain.UserID](p.pool.QueryRow(ctx, `SELECT user_id FROM subject_keys LIMIT 1`))
}

func (p postgres) checkValue(ctx context.Context) ([]byte, error) {
	return one[[]byte](p.pool.QueryRow(ctx, `SELECT secret_check FROM installation`))
}

func (p postgres) claim(ctx context.Context, value []byte) error {
	_, err := p.pool.Exec(ctx, `INSERT INTO installation (secret_check) VALUES ($1) ON CONFLICT DO NOTHING`, value)
	return err
}

func (p postgres) addSession(ctx context.Context, token []byte, u domain.UserID, expires time.Time) error {
	_, err := p.pool.Exec(ctx, `INSERT INTO sessions (token_hash, user_id, expires_at) VALUES ($1,$2,$3)`, token, string(u), expires)
	return err
}

func (p postgres) session(ctx context.Context, token []byte, now time.Time) (domain.UserID, error) {
	return one[domain.UserID](p.pool.QueryRow(ctx, `SELECT user_id FROM sessions WHERE token_hash = $1 AND expires_at > $2`, token, now))
}

func (p postgres) endSession(ctx context.Context, token []byte) error {
	_, err := p.pool.Exec(ctx, `DELETE FROM sessions WHERE token_hash = $1`, token)
	return err
}

func (p postgres) dropExpired(ctx context.Context, now time.Time) error {
	_, err := p.pool.Exec(ctx, `DELETE FROM sessions WHERE expires_at <= $1`, now)
	return err
}
