package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kassa/internal/wait"
)

func (e *postgres) archived(ctx context.Context) (Position, error) {
	return scanPosition(e.pool.QueryRow(ctx, `SELECT coalesce(max(upto), 0) FROM archives`))
}

func (e *postgres) archives(ctx context.Context) ([]Archive, error) {
	rows, err := e.pool.Query(ctx, `SELECT upto, partition, manifest, digest FROM archives ORDER BY upto`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(found pgx.CollectableRow) (a Archive, err error) {
		var digest []byte
		err = found.Scan(&a.UpTo, &a.Partition, &a.Manifest, &digest)
		copy(a.Digest[:], digest)
		return a, err
	})
}

// archivedAccounts sorts streams by their bytes, whatever the database's language is.
func (e *postgres) archivedAccounts(ctx context.Context, upTo Position, after Stream, limit int) ([]ArchivedAccount, error) {
	rows, err := e.pool.Query(ctx, `SELECT DISTINCT ON (stream COLLATE "C") stream, version, format, state, asked FROM archived_accounts
		WHERE upto <= $1 AND stream COLLATE "C" > $2 ORDER BY stream COLLATE "C", upto DESC LIMIT $3`, int64(upTo), string(after), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(found pgx.CollectableRow) (a ArchivedAccount, err error) {
		var state, asked []byte
		if err = found.Scan(&a.Stream, &a.Version, &a.Format, &state, &asked); err != nil {
			return a, err
		}
		a.State = state
		if err = json.Unmarshal(asked, &a.Asked); err != nil {
			err = fmt.Errorf("%w: the archived account %s: %w", ErrCorrupt, a.Stream, err)
		}
		return a, err
	})
}

// Partition is a stretch of the log that one table of PostgreSQL holds.
type Partition struct {
	Name string
	Last Position // that it can hold
}

// Partitions are those of the log, in order.
func Partitions(ctx context.Context, conn *pgx.Conn) ([]Partition, error) {
	rows, err := conn.Query(ctx, `SELECT c.relname::text, (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''?([0-9]+)''?\)'))[1]::bigint - 1
		FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'events'::regclass ORDER BY 2`)
	if err == nil {
		var list []Partition
		if list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Partition]); err == nil {
			return list, nil
		}
	}
	return nil, fmt.Errorf("look at the partitions of the log: %w", err)
}

// Detach takes the partition of an archive out of the log, in one transaction. The
// connection is that of the tables' owner. In this order:
//
//  1. record the archive
//  2. keep the nodes of its entries, the claims of e-mails, the facts of the house, and the accounts
//  3. detach the partition, which waits for reads that are under way, but not for long
//  4. commit: FROM HERE THE ENTRIES ARE ARCHIVED
//
// The entries are those behind first-1; accounts are those that the archive changed. Until
// step 3 appends and reads go on.
func Detach(ctx context.Context, conn *pgx.Conn, a Archive, first Position, accounts []ArchivedAccount) error {
	return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if err := record(ctx, tx, a, first); err != nil {
			return err
		}
		if err := keep(ctx, tx, a, first, accounts); err != nil {
			return err
		}
		return detach(ctx, tx, a.Partition)
	})
}

// record is step 1. Another process that archives waits here, or finds that it was slower.
func record(ctx context.Context, tx pgx.Tx, a Archive, first Position) error {
	if _, err := tx.Exec(ctx, `LOCK TABLE archives IN SHARE ROW EXCLUSIVE MODE`); err != nil {
		return fmt.Errorf("lock the records of archives: %w", err)
	}
	done, err := tx.Exec(ctx, `INSERT INTO archives (upto, partition, digest, manifest)
		SELECT $1, $2, $3, $4 FROM head h WHERE h.size > $1 AND (SELECT coalesce(max(upto), 0) FROM archives) = $5
			AND NOT EXISTS (SELECT FROM checkpoints c WHERE c.position < $1) AND NOT EXISTS (SELECT FROM kassa_views.positions v WHERE v.position < $1)`,
		int64(a.UpTo), a.Partition, a.Digest[:], a.Manifest, int64(first-1))
	if err == nil && done.RowsAffected() != 1 {
		err = errors.New("another process has archived meanwhile, or a view or a follower was set back behind the cut")
	}
	if err != nil {
		return fmt.Errorf("record the archive: %w", err)
	}
	return nil
}

// keep is step 2.
func keep(ctx context.Context, tx pgx.Tx, a Archive, first Position, accounts []ArchivedAccount) error {
	done, err := tx.Exec(ctx, `INSERT INTO archived_events (position, hashes, entry)
		SELECT e.position, e.hashes, CASE WHEN starts_with(i.stream, $3) OR starts_with(i.stream, $4) THEN e.entry END
		FROM events e JOIN event_index i USING (position) WHERE e.position BETWEEN $1 AND $2`, int64(first), int64(a.UpTo), emailPrefix, housePrefix)
	if want := int64(a.UpTo - first + 1); err == nil && done.RowsAffected() != want {
		err = fmt.Errorf("there are %d entries instead of %d", done.RowsAffected(), want)
	}
	if err != nil {
		return fmt.Errorf("keep the nodes of the tree: %w", err)
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"archived_accounts"}, []string{"stream", "upto", "version", "format", "state", "asked"},
		pgx.CopyFromSlice(len(accounts), func(i int) ([]any, error) {
			asked, err := json.Marshal(accounts[i].Asked)
			return []any{string(accounts[i].Stream), int64(a.UpTo), int64(accounts[i].Version), int32(accounts[i].Format), []byte(accounts[i].State), asked}, err
		}))
	if err != nil {
		return fmt.Errorf("keep the accounts: %w", err)
	}
	return nil
}

const (
	// detachWait bounds how long appends and reads are held up by a detaching that waits
	// for an earlier read to end. It gives up then, and tries again.
	detachWait  = 200 * time.Millisecond
	detachTries = 100
)

// detach is step 3.
func detach(ctx context.Context, tx pgx.Tx, partition string) error {
	for range detachTries {
		err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SELECT set_config('lock_timeout', $1, true)`, detachWait.String()); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `ALTER TABLE events DETACH PARTITION `+pgx.Identifier{partition}.Sanitize())
			return err
		})
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != "55P03" { // lock_not_available
			return err
		}
		if !wait.For(ctx, detachWait) {
			return ctx.Err()
		}
	}
	return fmt.Errorf("long reads of the log left no moment to detach %s; try again later", partition)
}

// DropDetached drops the table of a partition that was detached, and reports whether there
// was one.
func DropDetached(ctx context.Context, conn *pgx.Conn, partition string) (dropped bool, err error) {
	err = conn.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass($1))`,
		pgx.Identifier{partition}.Sanitize()).Scan(&dropped)
	if err == nil && dropped {
		_, err = conn.Exec(ctx, `DROP TABLE `+pgx.Identifier{partition}.Sanitize())
	}
	if err != nil {
		return false, fmt.Errorf("drop the detached partition %s: %w", partition, err)
	}
	return dropped, nil
}
