package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kassa/internal/listen"
)

// listen receives the log's size as batches of any process commit. What is missed is found
// by polling.
func (e *postgres) listen(ctx context.Context, hint func(Position), report func(error)) {
	listen.Listener{Config: e.pool.Config().ConnConfig, Channel: logMoved, Report: report,
		Receive: func(payload string) {
			if at, err := strconv.ParseInt(payload, 10, 64); err == nil {
				hint(Position(at))
			}
		},
	}.Run(ctx)
}

// unheard is true behind a pooler, where no process can listen.
func (e *postgres) unheard() bool { return !e.pipeline.prepared }

// takeLease counts by the server's clock: those of the processes need not agree.
func (e *postgres) takeLease(ctx context.Context, l lease, long time.Duration) (epoch int64, err error) {
	err = e.pool.QueryRow(ctx, `INSERT INTO leases AS l (name, holder, epoch, expires) VALUES ($1, $2, 1, clock_timestamp() + $3::interval)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, epoch = l.epoch + 1, expires = excluded.expires
		WHERE l.expires <= clock_timestamp() RETURNING epoch`, l.name, l.holder, long).Scan(&epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("take the lease %s: %w", l.name, err)
	}
	return epoch, nil
}

func (e *postgres) renewLease(ctx context.Context, l lease, long time.Duration) error {
	return held(e.pool.Exec(ctx, `UPDATE leases SET expires = clock_timestamp() + $3::interval WHERE name = $1 AND epoch = $2`, l.name, l.epoch, long))
}

func (e *postgres) endLease(ctx context.Context, l lease) error {
	return held(e.pool.Exec(ctx, `UPDATE leases SET expires = clock_timestamp() WHERE name = $1 AND epoch = $2`, l.name, l.epoch))
}

// held gives ErrDeposed where a statement that needs a lease found none.
func held(done pgconn.CommandTag, err error) error {
	if err == nil && done.RowsAffected() != 1 {
		return ErrDeposed
	}
	return err
}
