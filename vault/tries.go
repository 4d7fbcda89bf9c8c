package vault

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Tries is a rate limit by name, for all processes that share the database. Names are
// stored as keyed hashes: they are addresses and e-mails.
type Tries struct {
	pool *pgxpool.Pool
	key  []byte
}

// PostgresTries opens the counts in a database that schema.OpenPostgres opened.
func PostgresTries(pool *pgxpool.Pool, secret Secret) (*Tries, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "kassa names of tries", 32)
	if err != nil {
		return nil, fmt.Errorf("derive keys: %w", err)
	}
	return &Tries{pool, key}, nil
}

// takeOne is the generic cell rate algorithm: of a name it is enough to know when its
// whole burst is available again. Each try moves that by the time of one ($2), and may not
// move it beyond the time of a burst ($3) from now. The server's clock is the same for all
// processes.
const takeOne = `WITH taken AS (
	INSERT INTO tries AS t (name, full_at) VALUES ($1, now() + $2::interval)
	ON CONFLICT (name) DO UPDATE SET full_at = greatest(t.full_at, now()) + $2::interval
		WHERE greatest(t.full_at, now()) + $2::interval <= now() + $3::interval
	RETURNING 1)
SELECT CASE WHEN EXISTS (SELECT FROM taken) THEN '0'::interval
	ELSE coalesce((SELECT full_at + $2::interval - $3::interval - now() FROM tries WHERE name = $1), $2::interval) END`

// Take gives 0 and one permission by the name, or how long to wait for the next. There
// are burst at once, and one more each time every has passed.
func (t *Tries) Take(ctx context.Context, name string, burst int, every time.Duration) (wait time.Duration, err error) {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte(name))
	err = t.pool.QueryRow(ctx, takeOne, mac.Sum(nil)[:16], every, time.Duration(burst)*every).Scan(&wait)
	if err != nil {
		return 0, fmt.Errorf("count a try: %w", err)
	}
	return wait, nil
}

// Forget deletes the names of which everything is allowed again.
func (t *Tries) Forget(ctx context.Context) error {
	if _, err := t.pool.Exec(ctx, `DELETE FROM tries WHERE full_at <= now()`); err != nil {
		return fmt.Errorf("forget old tries: %w", err)
	}
	return nil
}
