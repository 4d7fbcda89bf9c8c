package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// scrubMost is the size of a table, in bytes, up to which it is written again.
const scrubMost = 64 << 20

func (p postgres) scrub(ctx context.Context) error {
	// A table that is written again keeps deleted rows which a transaction can still see.
	// Two rounds: one that began while an older one wrote can see as far back as that.
	for range 2 {
		if err := p.awaitOlder(ctx); err != nil {
			return err
		}
	}
	left, err := one[[]string](p.pool.QueryRow(ctx, `SELECT scrub_vault($1) || scrub_passkeys($1)`, scrubMost))
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("%w: %s", ErrLarge, strings.Join(left, ", "))
	}
	return err
}

// olderMost is how long scrub waits for a transaction of others, standbyMost for a standby,
// which reports every ten seconds (wal_receiver_status_interval), and olderEvery how often it
// looks.
const (
	olderMost   = 5 * time.Second
	standbyMost = 15 * time.Second
	olderEvery  = 20 * time.Millisecond
)

// runningNow are the other transactions that keep deleted rows, and the number of the next one.
// Each of this database has a lock on its own virtual number, which every login may see, also
// before it writes. One that writes has a lock on its number, which counts in any database of
// the server: a snapshot, and so that of the rewriting itself, goes as far back as the oldest of
// these.
const runningNow = `SELECT coalesce(array_agg(coalesce(virtualxid, transactionid::text)), '{}'), xid(pg_snapshot_xmax(pg_current_snapshot()))::text FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
	WHERE granted AND pid IS DISTINCT FROM pg_backend_pid() AND (locktype = 'virtualxid' AND datname = current_database() OR locktype = 'transactionid')`

// heldBack is what else keeps rows that were deleted before a transaction's number: standbys
// that say which rows they still read (hot_standby_feedback), by a replication slot or without
// one. Without one, only a login that may read the statistics of others sees it.
const heldBack = `SELECT coalesce(array_agg(name), '{}') FROM (SELECT 'the replication slot ' || slot_name AS name, xmin AS oldest FROM pg_replication_slots
	UNION ALL SELECT 'the standby ' || application_name, backend_xmin FROM pg_stat_replication) h WHERE age(oldest) > age($1::text::xid)`

// awaitOlder waits until the transactions that run now have ended, as PostgreSQL itself does
// for CREATE INDEX CONCURRENTLY, and standbys have gone on as well. The error wraps ErrSeen
// where one of them has not.
func (p postgres) awaitOlder(ctx context.Context) error {
	var older []string
	var next string
	err := p.pool.QueryRow(ctx, runningNow).Scan(&older, &next)
	for began := time.Now(); err == nil; {
		var held []string
		if held, err = one[[]string](p.pool.QueryRow(ctx, heldBack, next)); err != nil {
			break
		}
		switch {
		case len(older)+len(held) == 0:
			return nil
		case len(older) > 0 && time.Since(began) > olderMost, time.Since(began) > standbyMost:
			if len(older) > 0 {
				held = append(held, fmt.Sprintf("%d of them on this server", len(older)))
			}
			return fmt.Errorf("%w: %s", ErrSeen, strings.Join(held, ", "))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(olderEvery):
		}
		var now []string
		var later string
		err = p.pool.QueryRow(ctx, runningNow).Scan(&now, &later)
		older = slices.DeleteFunc(older, func(x string) bool { return !slices.Contains(now, x) })
	}
	return fmt.Errorf("look which transactions run: %w", err)
}
