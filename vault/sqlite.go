package vault

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
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
	return s.transaction(ctx, func(do statements) {
		do(`INSERT INTO subject_keys (user_id, wrapped) VALUES (?,?)`, string(u), wrapped)
		do(`INSERT INTO passwords (user_id, hash) VALUES (?,?)`, string(u), hash)
	})
}

// statements executes one of a transaction, unless an earlier one failed, and gives the
// number of its rows.
type statements func(query string, arguments ...any) (rows int64)

func (s sqlite) transaction(ctx context.Context, run func(statements)) error {
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	run(func(query string, arguments ...any) (rows int64) {
		if err == nil {
			rows, err = affected(tx.ExecContext(ctx, query, arguments...))
		}
		return rows
	})
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func affected(done sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return done.RowsAffected()
}

func (s sqlite) key(ctx context.Context, u domain.UserID) ([]byte, error) {
	return one[[]byte](s.db.Read.QueryRowContext(ctx, `SELECT wrapped FROM subject_keys WHERE user_id = ?`, string(u)))
}

func (s sqlite) keys(ctx context.Context, users []domain.UserID) (map[domain.UserID][]byte, error) {
	list, err := json.Marshal(users)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Read.QueryContext(ctx, `SELECT user_id, wrapped FROM subject_keys WHERE user_id IN (SELECT value FROM json_each(?))`, string(list))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make(map[domain.UserID][]byte, len(users))
	for rows.Next() {
		var u domain.UserID
		var wrapped []byte
		if err := rows.Scan(&u, &wrapped); err != nil {
			return nil, err
		}
		found[u] = wrapped
	}
	return found, rows.Err()
}

func (s sqlite) keyHolders(ctx context.Context, users []domain.UserID) ([]domain.UserID, error) {
	found, err := s.keys(ctx, users)
	return slices.Sorted(maps.Keys(found)), err
}

func (s sqlite) password(ctx context.Context, u domain.UserID) (string, error) {
	return one[string](s.db.Read.QueryRowContext(ctx, `SELECT hash FROM passwords WHERE user_id = ?`, string(u)))
}

func (s sqlite) access(ctx context.Context, u domain.UserID) (a access, err error) {
	err = s.db.Read.QueryRowContext(ctx, `SELECT hash, (SELECT wrapped FROM subject_keys k WHERE k.user_id = p.user_id),
			EXISTS (SELECT 1 FROM factors f WHERE f.user_id = p.user_id AND confirmed)
		FROM passwords p WHERE user_id = ?`, string(u)).Scan(&a.hash, &a.wrappedKey, &a.factor)
	if errors.Is(err, sql.ErrNoRows) {
		err = errNone
	}
	return a, err
}

func (s sqlite) rehash(ctx context.Context, u domain.UserID, was, is string) error {
	_, err := s.db.Write.ExecContext(ctx, `UPDATE passwords SET hash = ? WHERE user_id = ? AND hash = ?`, is, string(u), was)
	return err
}

func (s sqlite) anyUser(ctx context.Context) (domain.UserID, error) {
	return one[domain.UserID](s.db.Read.QueryRowContext(ctx, `SELECT user_id FROM subject_keys LIMIT 1`))
}

func (s sqlite) checkValue(ctx context.Context) ([]byte, error) {
	return one[[]byte](s.db.Read.QueryRowContext(ctx, `SELECT secret_check FROM installation`))
}

func (s sqlite) claim(ctx context.Context, value []byte) error {
	_, err := s.db.Write.ExecContext(ctx, `INSERT INTO installation (one, secret_check) VALUES (1, ?) ON CONFLICT DO NOTHING`, value)
	return err
}

func (s sqlite) changePassword(ctx context.Context, u domain.UserID, was, is string) (changed bool, err error) {
	err = s.transaction(ctx, func(do statements) {
		if changed = do(`UPDATE passwords SET hash = ? WHERE user_id = ? AND hash = ?`, is, string(u), was) > 0; changed {
			do.endAll(u)
		}
	})
	return changed && err == nil, err
}

func (s sqlite) endAccess(ctx context.Context, u domain.UserID) error {
	return s.transaction(ctx, func(do statements) { do.endAll(u) })
}

// endAll ends what a person's former password has opened.
func (do statements) endAll(u domain.UserID) {
	do(`DELETE FROM sessions WHERE user_id = ?`, string(u))
	do(`DELETE FROM personal_tokens WHERE user_id = ?`, string(u))
	do(`DELETE FROM resets WHERE user_id = ?`, string(u))
}

func (s sqlite) addReset(ctx context.Context, u domain.UserID, token []byte, expires time.Time) (bool, error) {
	n, err := affected(s.db.Write.ExecContext(ctx, `INSERT INTO resets (user_id, token_hash, expires_at) SELECT user_id, ?, ? FROM passwords WHERE user_id = ?
		ON CONFLICT (user_id) DO UPDATE SET token_hash = excluded.token_hash, expires_at = excluded.expires_at`, token, expires.Unix(), string(u)))
	return n > 0, err
}

func (s sqlite) resetOf(ctx context.Context, token []byte, now time.Time) (domain.UserID, error) {
	return one[domain.UserID](s.db.Read.QueryRowContext(ctx, `SELECT user_id FROM resets WHERE token_hash = ? AND expires_at > ?`, token, now.Unix()))
}

func (s sqlite) reset(ctx context.Context, u domain.UserID, token []byte, hash string, now time.Time) (used bool, err error) {
	err = s.transaction(ctx, func(do statements) {
		if used = do(`DELETE FROM resets WHERE user_id = ? AND token_hash = ? AND expires_at > ?`, string(u), token, now.Unix()) > 0; used {
			do(`UPDATE passwords SET hash = ? WHERE user_id = ?`, hash, string(u))
			do.endAll(u)
		}
	})
	return used && err == nil, err
}

func (s sqlite) addSession(ctx context.Context, token []byte, n Session, passwordHash string) (added bool, err error) {
	err = s.transaction(ctx, func(do statements) {
		added = do(`INSERT INTO sessions (token_hash, user_id, expires_at, created_at, seen_at, device, network, factor_at)
			SELECT ?1, p.user_id, ?2, ?3, ?4, ?5, ?6, CASE WHEN f.confirmed THEN ?9 END FROM passwords p LEFT JOIN factors f USING (user_id)
				WHERE p.user_id = ?7 AND p.hash = ?8 AND (?9 IS NOT NULL OR f.confirmed IS NOT TRUE)`,
			token, n.ExpiresAt.Unix(), n.CreatedAt.Unix(), n.SeenAt.Unix(), n.Device, n.Network, string(n.User), passwordHash, givenUnix(n.FactorAt)) > 0
		do(`DELETE FROM sessions WHERE token_hash IN (SELECT token_hash FROM sessions WHERE user_id = ?
			ORDER BY token_hash = ? DESC, created_at DESC, token_hash LIMIT -1 OFFSET ?)`, string(n.User), token, MaxSessions)
	})
	return added && err == nil, err
}

// givenUnix is null for the zero time.
func givenUnix(at time.Time) *int64 {
	if at.IsZero() {
		return nil
	}
	seconds := at.Unix()
	return &seconds
}

const sqliteSession = `SELECT token_hash, user_id, device, network, created_at, seen_at, expires_at, factor_at FROM sessions `

func (s sqlite) session(ctx context.Context, token []byte, now, idleSince time.Time) (Session, error) {
	list, err := s.readSessions(ctx, sqliteSession+`WHERE token_hash = ? AND expires_at > ? AND seen_at > ?`, token, now.Unix(), idleSince.Unix())
	if err != nil {
		return Session{}, err
	}
	if len(list) == 0 {
		return Session{}, errNone
	}
	return list[0], nil
}

func (s sqlite) sessions(ctx context.Context, u domain.UserID, now, idleSince time.Time) ([]Session, error) {
	return s.readSessions(ctx, sqliteSession+`WHERE user_id = ? AND expires_at > ? AND seen_at > ? ORDER BY seen_at DESC, token_hash`, string(u), now.Unix(), idleSince.Unix())
}

func (s sqlite) readSessions(ctx context.Context, query string, arguments ...any) (list []Session, err error) {
	rows, err := s.db.Read.QueryContext(ctx, query, arguments...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var token []byte
		var n Session
		var created, seen, expires int64
		var factor *int64
		if err := rows.Scan(&token, &n.User, &n.Device, &n.Network, &created, &seen, &expires, &factor); err != nil {
			return nil, err
		}
		if factor != nil {
			n.FactorAt = time.Unix(*factor, 0)
		}
		n.ID, n.CreatedAt, n.SeenAt, n.ExpiresAt = sessionID(token), time.Unix(created, 0), time.Unix(seen, 0), time.Unix(expires, 0)
		list = append(list, n)
	}
	return list, rows.Err()
}

func (s sqlite) seen(ctx context.Context, token []byte, network string, at time.Time) error {
	_, err := s.db.Write.ExecContext(ctx, `UPDATE sessions SET seen_at = ?, network = ? WHERE token_hash = ? AND seen_at < ?`, at.Unix(), network, token, at.Unix())
	return err
}

func (s sqlite) endSession(ctx context.Context, token []byte) error {
	_, err := s.db.Write.ExecContext(ctx, `DELETE FROM sessions WHERE token_hash = ?`, token)
	return err
}

func (s sqlite) countSessions(ctx context.Context, now, idleSince time.Time) (int, error) {
	return one[int](s.db.Read.QueryRowContext(ctx, `SELECT count(*) FROM sessions WHERE expires_at > ? AND seen_at > ?`, now.Unix(), idleSince.Unix()))
}

func (s sqlite) endSessionOf(ctx context.Context, u domain.UserID, prefix []byte) (bool, error) {
	n, err := affected(s.db.Write.ExecContext(ctx, `DELETE FROM sessions WHERE user_id = ? AND substr(token_hash, 1, 10) = ?`, string(u), prefix))
	return n > 0, err
}

func (s sqlite) endOtherSessions(ctx context.Context, u domain.UserID, prefix []byte) error {
	_, err := s.db.Write.ExecContext(ctx, `DELETE FROM sessions WHERE user_id = ? AND substr(token_hash, 1, 10) <> ?`, string(u), prefix)
	return err
}

func (s sqlite) dropExpired(ctx context.Context, now, idleSince time.Time) error {
	return s.transaction(ctx, func(do statements) {
		do(`DELETE FROM sessions WHERE expires_at <= ? OR seen_at <= ?`, now.Unix(), idleSince.Unix())
		do(`DELETE FROM personal_tokens WHERE expires_at <= ?`, now.Unix())
		do(`DELETE FROM resets WHERE expires_at <= ?`, now.Unix())
		do(`DELETE FROM reset_mails WHERE expires_at <= ?`, now.Unix())
		do(`DELETE FROM passkey_challenges WHERE expires_at <= ?`, now.Unix())
		do(`DELETE FROM factors WHERE NOT confirmed AND created_at <= ?`, now.Add(-FactorSetup).Unix())
	})
}

func (s sqlite) remind(ctx context.Context, u domain.UserID, due time.Time) error {
	_, err := s.db.Write.ExecContext(ctx, `INSERT INTO erasures (user_id, due_at) VALUES (?,?) ON CONFLICT (user_id) DO UPDATE SET due_at = excluded.due_at`, string(u), due.Unix())
	return err
}

func (s sqlite) reminders(ctx context.Context, dueBy time.Time, limit int) (users []domain.UserID, err error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT user_id FROM erasures WHERE due_at <= ? ORDER BY due_at LIMIT ?`, dueBy.Unix(), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var u domain.UserID
		if err := rows.Scan(&u); err != nil {
			return nil, err
		}
		users = append(users, u)
	}
	return users, rows.Err()
}

func (s sqlite) dropReminder(ctx context.Context, u domain.UserID, dueBy time.Time) error {
	_, err := s.db.Write.ExecContext(ctx, `DELETE FROM erasures WHERE user_id = ? AND due_at <= ?`, string(u), dueBy.Unix())
	return err
}

func (s sqlite) erase(ctx context.Context, users []domain.UserID) (deleted int64, err error) {
	list, err := json.Marshal(users)
	if err != nil {
		return 0, err
	}
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	for _, table := range personal {
		done, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE user_id IN (SELECT value FROM json_each(?))`, string(list))
		if err != nil {
			return 0, errors.Join(err, tx.Rollback())
		}
		rows, _ := done.RowsAffected() // this driver always knows
		deleted += rows
	}
	return deleted, tx.Commit()
}

func (s sqlite) scrub(ctx context.Context) error { return s.db.Checkpoint(ctx) }

func (s sqlite) addMail(ctx context.Context, id string, sealed []byte, due, expires time.Time) error {
	_, err := s.db.Write.ExecContext(ctx, `INSERT INTO reset_mails (id, sealed, tries, due_at, expires_at) VALUES (?,?,0,?,?)`, id, sealed, due.Unix(), expires.Unix())
	return err
}

func (s sqlite) takeMail(ctx context.Context, now time.Time) (id string, sealed []byte, err error) {
	err = s.db.Write.QueryRowContext(ctx, `UPDATE reset_mails SET tries = tries + 1, due_at = ?1 + ?2 * (1 << (2 * min(tries, 10)))
		WHERE id = (SELECT id FROM reset_mails WHERE due_at <= ?1 AND expires_at > ?1 ORDER BY due_at, id LIMIT 1) RETURNING id, sealed`,
		now.Unix(), int(firstPause.Seconds())).Scan(&id, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		err = errNone
	}
	return id, sealed, err
}

func (s sqlite) dropMail(ctx context.Context, id string) error {
	_, err := s.db.Write.ExecContext(ctx, `DELETE FROM reset_mails WHERE id = ?`, id)
	return err
}
