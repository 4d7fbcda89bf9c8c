package vault

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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

func (p postgres) keys(ctx context.Context, users []domain.UserID) (map[domain.UserID][]byte, error) {
	rows, _ := p.pool.Query(ctx, `SELECT user_id, wrapped FROM subject_keys WHERE user_id = ANY($1)`, users)
	found := make(map[domain.UserID][]byte, len(users))
	var u domain.UserID
	var wrapped []byte
	_, err := pgx.ForEachRow(rows, []any{&u, &wrapped}, func() error {
		found[u] = wrapped
		wrapped = nil
		return nil
	})
	return found, err
}

func (p postgres) keyHolders(ctx context.Context, users []domain.UserID) ([]domain.UserID, error) {
	rows, _ := p.pool.Query(ctx, `SELECT user_id FROM subject_keys WHERE user_id = ANY($1) ORDER BY user_id`, users)
	return pgx.CollectRows(rows, pgx.RowTo[domain.UserID])
}

func (p postgres) password(ctx context.Context, u domain.UserID) (string, error) {
	return one[string](p.pool.QueryRow(ctx, `SELECT hash FROM passwords WHERE user_id = $1`, string(u)))
}

func (p postgres) access(ctx context.Context, u domain.UserID) (a access, err error) {
	err = p.pool.QueryRow(ctx, `SELECT hash, (SELECT wrapped FROM subject_keys k WHERE k.user_id = p.user_id),
			EXISTS (SELECT FROM factors f WHERE f.user_id = p.user_id AND confirmed)
		FROM passwords p WHERE user_id = $1`, string(u)).Scan(&a.hash, &a.wrappedKey, &a.factor)
	if errors.Is(err, pgx.ErrNoRows) {
		err = errNone
	}
	return a, err
}

func (p postgres) rehash(ctx context.Context, u domain.UserID, was, is string) error {
	_, err := p.pool.Exec(ctx, `UPDATE passwords SET hash = $3 WHERE user_id = $1 AND hash = $2`, string(u), was, is)
	return err
}

func (p postgres) anyUser(ctx context.Context) (domain.UserID, error) {
	return one[domain.UserID](p.pool.QueryRow(ctx, `SELECT user_id FROM subject_keys LIMIT 1`))
}

func (p postgres) checkValue(ctx context.Context) ([]byte, error) {
	return one[[]byte](p.pool.QueryRow(ctx, `SELECT secret_check FROM installation`))
}

func (p postgres) claim(ctx context.Context, value []byte) error {
	_, err := p.pool.Exec(ctx, `INSERT INTO installation (secret_check) VALUES ($1) ON CONFLICT DO NOTHING`, value)
	return err
}

func (p postgres) changePassword(ctx context.Context, u domain.UserID, was, is string) (changed bool, err error) {
	err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE passwords SET hash = $3 WHERE user_id = $1 AND hash = $2`, string(u), was, is)
		if changed = tag.RowsAffected() > 0; err != nil || !changed {
			return err
		}
		return endAll(ctx, tx, u)
	})
	return changed, err
}

func (p postgres) endAccess(ctx context.Context, u domain.UserID) error {
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if err := lockPassword(ctx, tx, u); err != nil {
			return err
		}
		return endAll(ctx, tx, u)
	})
}

// lockPassword waits for all who add what a person's password opens, or change it, and has
// them wait.
func lockPassword(ctx context.Context, tx pgx.Tx, u domain.UserID) error {
	_, err := tx.Exec(ctx, `SELECT FROM passwords WHERE user_id = $1 FOR UPDATE`, string(u))
	return err
}

// endAll ends what a person's password has opened. Its statements come after the lock of the
// password's row, so that they see a session that was added until then, which held it.
func endAll(ctx context.Context, tx pgx.Tx, u domain.UserID) error {
	for _, statement := range []string{`DELETE FROM sessions WHERE user_id = $1`, `DELETE FROM personal_tokens WHERE user_id = $1`, `DELETE FROM resets WHERE user_id = $1`} {
		if _, err := tx.Exec(ctx, statement, string(u)); err != nil {
			return err
		}
	}
	return nil
}

func (p postgres) addReset(ctx context.Context, u domain.UserID, token []byte, expires time.Time) (bool, error) {
	tag, err := p.pool.Exec(ctx, `INSERT INTO resets (user_id, token_hash, expires_at) SELECT user_id, $2, $3 FROM passwords WHERE user_id = $1
		ON CONFLICT (user_id) DO UPDATE SET token_hash = EXCLUDED.token_hash, expires_at = EXCLUDED.expires_at`, string(u), token, expires)
	return tag.RowsAffected() > 0, err
}

func (p postgres) resetOf(ctx context.Context, token []byte, now time.Time) (domain.UserID, error) {
	return one[domain.UserID](p.pool.QueryRow(ctx, `SELECT user_id FROM resets WHERE token_hash = $1 AND expires_at > $2`, token, now))
}

// reset locks the password's row first, as every other change of it does: two at once wait
// for each other there, and the second does not find the reset any more.
func (p postgres) reset(ctx context.Context, u domain.UserID, token []byte, hash string, now time.Time) (used bool, err error) {
	err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if err := lockPassword(ctx, tx, u); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `DELETE FROM resets WHERE user_id = $1 AND token_hash = $2 AND expires_at > $3`, string(u), token, now)
		if used = tag.RowsAffected() > 0; err != nil || !used {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE passwords SET hash = $2 WHERE user_id = $1`, string(u), hash); err != nil {
			return err
		}
		return endAll(ctx, tx, u)
	})
	return used && err == nil, err
}

// addSession locks the password's row, so that the sessions of a person are added one after
// the other, and none beside a change of the password. A later statement looks for a factor:
// it sees one that became active until then, and none that was turned off.
func (p postgres) addSession(ctx context.Context, token []byte, s Session, passwordHash string) (added bool, err error) {
	pipe := &pgx.Batch{}
	pipe.Queue(`SELECT FROM passwords WHERE user_id = $1 FOR UPDATE`, string(s.User))
	pipe.Queue(`INSERT INTO sessions (token_hash, user_id, expires_at, created_at, seen_at, device, network, factor_at)
		SELECT $1, p.user_id, $3, $4, $4, $5, $6, CASE WHEN f.confirmed THEN $8::timestamptz END FROM passwords p LEFT JOIN factors f USING (user_id)
			WHERE p.user_id = $2 AND p.hash = $7 AND ($8 IS NOT NULL OR f.confirmed IS NOT TRUE)`,
		token, string(s.User), s.ExpiresAt, s.CreatedAt, s.Device, s.Network, passwordHash, given(s.FactorAt)).Exec(func(tag pgconn.CommandTag) error {
		added = tag.RowsAffected() > 0
		return nil
	})
	pipe.Queue(`DELETE FROM sessions WHERE token_hash IN (SELECT token_hash FROM sessions WHERE user_id = $1
		ORDER BY token_hash = $2 DESC, created_at DESC, token_hash OFFSET $3)`, string(s.User), token, MaxSessions)
	err = p.pool.SendBatch(ctx, pipe).Close()
	return added && err == nil, err
}

// given is null for the zero time.
func given(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

const postgresSession = `SELECT token_hash, user_id, device, network, created_at, seen_at, expires_at, factor_at FROM sessions `

func (p postgres) session(ctx context.Context, token []byte, now, idleSince time.Time) (Session, error) {
	rows, _ := p.pool.Query(ctx, postgresSession+`WHERE token_hash = $1 AND expires_at > $2 AND seen_at > $3`, token, now, idleSince)
	s, err := pgx.CollectExactlyOneRow(rows, readSession)
	if errors.Is(err, pgx.ErrNoRows) {
		err = errNone
	}
	return s, err
}

func (p postgres) sessions(ctx context.Context, u domain.UserID, now, idleSince time.Time) ([]Session, error) {
	rows, _ := p.pool.Query(ctx, postgresSession+`WHERE user_id = $1 AND expires_at > $2 AND seen_at > $3 ORDER BY seen_at DESC, token_hash`, string(u), now, idleSince)
	return pgx.CollectRows(rows, readSession)
}

func readSession(row pgx.CollectableRow) (s Session, err error) {
	var token []byte
	var factor *time.Time
	if err = row.Scan(&token, &s.User, &s.Device, &s.Network, &s.CreatedAt, &s.SeenAt, &s.ExpiresAt, &factor); err == nil {
		s.ID = sessionID(token)
	}
	if factor != nil {
		s.FactorAt = *factor
	}
	return s, err
}

func (p postgres) seen(ctx context.Context, token []byte, network string, at time.Time) error {
	_, err := p.pool.Exec(ctx, `UPDATE sessions SET seen_at = $2, network = $3 WHERE token_hash = $1 AND seen_at < $2`, token, at, network)
	return err
}

func (p postgres) endSession(ctx context.Context, token []byte) error {
	_, err := p.pool.Exec(ctx, `DELETE FROM sessions WHERE token_hash = $1`, token)
	return err
}

func (p postgres) countSessions(ctx context.Context, now, idleSince time.Time) (int, error) {
	return one[int](p.pool.QueryRow(ctx, `SELECT count(*) FROM sessions WHERE expires_at > $1 AND seen_at > $2`, now, idleSince))
}

func (p postgres) endSessionOf(ctx context.Context, u domain.UserID, prefix []byte) (bool, error) {
	tag, err := p.pool.Exec(ctx, `DELETE FROM sessions WHERE user_id = $1 AND substring(token_hash FOR 10) = $2`, string(u), prefix)
	return tag.RowsAffected() > 0, err
}

func (p postgres) endOtherSessions(ctx context.Context, u domain.UserID, prefix []byte) error {
	_, err := p.pool.Exec(ctx, `DELETE FROM sessions WHERE user_id = $1 AND substring(token_hash FOR 10) <> $2`, string(u), prefix)
	return err
}

func (p postgres) dropExpired(ctx context.Context, now, idleSince time.Time) error {
	pipe := &pgx.Batch{}
	pipe.Queue(`DELETE FROM sessions WHERE expires_at <= $1 OR seen_at <= $2`, now, idleSince)
	pipe.Queue(`DELETE FROM personal_tokens WHERE expires_at <= $1`, now)
	pipe.Queue(`DELETE FROM resets WHERE expires_at <= $1`, now)
	pipe.Queue(`DELETE FROM reset_mails WHERE expires_at <= $1`, now)
	pipe.Queue(`DELETE FROM passkey_challenges WHERE expires_at <= $1`, now)
	pipe.Queue(`DELETE FROM factors WHERE NOT confirmed AND created_at <= $1`, now.Add(-FactorSetup))
	return p.pool.SendBatch(ctx, pipe).Close()
}

func (p postgres) remind(ctx context.Context, u domain.UserID, due time.Time) error {
	_, err := p.pool.Exec(ctx, `INSERT INTO erasures (user_id, due_at) VALUES ($1,$2) ON CONFLICT (user_id) DO UPDATE SET due_at = excluded.due_at`, string(u), due)
	return err
}

func (p postgres) reminders(ctx context.Context, dueBy time.Time, limit int) ([]domain.UserID, error) {
	rows, _ := p.pool.Query(ctx, `SELECT user_id FROM erasures WHERE due_at <= $1 ORDER BY due_at LIMIT $2`, dueBy, limit)
	return pgx.CollectRows(rows, pgx.RowTo[domain.UserID])
}

func (p postgres) dropReminder(ctx context.Context, u domain.UserID, dueBy time.Time) error {
	_, err := p.pool.Exec(ctx, `DELETE FROM erasures WHERE user_id = $1 AND due_at <= $2`, string(u), dueBy)
	return err
}

func (p postgres) erase(ctx context.Context, users []domain.UserID) (deleted int64, err error) {
	pipe := &pgx.Batch{} // one pipeline, and so one transaction
	for _, table := range personal {
		pipe.Queue(`DELETE FROM `+table+` WHERE user_id = ANY($1)`, users).Exec(func(tag pgconn.CommandTag) error {
			deleted += tag.RowsAffected()
			return nil
		})
	}
	err = p.pool.SendBatch(ctx, pipe).Close()
	return deleted, err
}

func (p postgres) addMail(ctx context.Context, id string, sealed []byte, due, expires time.Time) error {
	_, err := p.pool.Exec(ctx, `INSERT INTO reset_mails (id, sealed, tries, due_at, expires_at) VALUES ($1,$2,0,$3,$4)`, id, sealed, due, expires)
	return err
}

func (p postgres) takeMail(ctx context.Context, now time.Time) (id string, sealed []byte, err error) {
	err = p.pool.QueryRow(ctx, `UPDATE reset_mails SET tries = tries + 1, due_at = $1 + $2::interval * power(4, least(tries, 10))
		WHERE id = (SELECT id FROM reset_mails WHERE due_at <= $1 AND expires_at > $1 ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id, sealed`,
		now, firstPause).Scan(&id, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		err = errNone
	}
	return id, sealed, err
}

func (p postgres) dropMail(ctx context.Context, id string) error {
	_, err := p.pool.Exec(ctx, `DELETE FROM reset_mails WHERE id = $1`, id)
	return err
}
