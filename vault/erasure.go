package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/domain"
	"kassa/schema"
)

// personal are the tables with what belongs to one person, by its column user_id. An
// erasure deletes the person's rows in all of them.
var personal = []string{"subject_keys", "passwords", "sessions", "personal_tokens", "factors", "recovery_codes", "passkeys", "passkey_challenges", "resets", "erasures"}

// ErrLarge means that tables are too large to be written again while people sign in: what
// was deleted from them is in their files until the operator rewrites them.
var ErrLarge = errors.New("vault: tables are too large to be written again by the service")

// ErrSeen means that transactions which began before, here or on a standby, can still see what
// was deleted, so the database keeps it. It can be tried again.
var ErrSeen = errors.New("vault: transactions that began before can still see what was deleted")

// RemindErasure writes a reminder of a person's erasure, or moves it. It comes before the
// request is appended; where that fails, the reminder is of no erasure and harms nothing.
func (v *Vault) RemindErasure(ctx context.Context, u domain.UserID, due time.Time) error {
	if err := v.db.remind(ctx, u, due); err != nil {
		return fmt.Errorf("write a reminder of the erasure of %s: %w", u, err)
	}
	return nil
}

// ErasuresDue gives whose reminders are due, at most limit of them, the oldest first.
// Whether an erasure was requested, the log decides.
func (v *Vault) ErasuresDue(ctx context.Context, now time.Time, limit int) ([]domain.UserID, error) {
	list, err := v.db.reminders(ctx, now, limit)
	if err != nil {
		return nil, fmt.Errorf("read the reminders of erasures: %w", err)
	}
	return list, nil
}

// DropReminder deletes the reminder of an erasure that was cancelled, or never requested, if it
// was due by then: one that was moved since is that of another request.
func (v *Vault) DropReminder(ctx context.Context, u domain.UserID, dueBy time.Time) error {
	if err := v.db.dropReminder(ctx, u, dueBy); err != nil {
		return fmt.Errorf("drop the reminder of the erasure of %s: %w", u, written(err))
	}
	return nil
}

// Erase deletes the keys, passwords, sessions and all else of these persons, and reports
// whether there was anything. From here on this process opens nothing of theirs, and
// others after keptFor.
func (v *Vault) Erase(ctx context.Context, users ...domain.UserID) (some bool, err error) {
	if len(users) == 0 {
		return false, nil
	}
	rows, err := v.db.erase(ctx, users)
	if err != nil {
		return false, fmt.Errorf("delete the keys of %d persons: %w", len(users), written(err))
	}
	for _, u := range users {
		v.keys.Remove(u)
	}
	return rows > 0, nil
}

// Scrub removes from the database's files what Erase deleted. An error wraps ErrLarge,
// ErrSeen or schema.ErrBusy where that was not possible now.
func (v *Vault) Scrub(ctx context.Context) error {
	if err := v.db.scrub(ctx); err != nil {
		return fmt.Errorf("remove deleted keys from the files: %w", err)
	}
	return nil
}

// ErrHidden means that the login may not see whose keys are there.
var ErrHidden = errors.New("vault: this login may not see whose keys are there")

// PostgresKeys gives which of the persons have a key. It needs no secret, and of the table
// the column user_id only.
func PostgresKeys(ctx context.Context, pool *pgxpool.Pool, users []domain.UserID) ([]domain.UserID, error) {
	found, err := postgres{pool}.keyHolders(ctx, users)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "42501" {
		err = ErrHidden
	}
	return found, err
}

// SQLiteKeys is PostgresKeys in a file.
func SQLiteKeys(ctx context.Context, db *schema.SQLite, users []domain.UserID) ([]domain.UserID, error) {
	return sqlite{db}.keyHolders(ctx, users)
}
