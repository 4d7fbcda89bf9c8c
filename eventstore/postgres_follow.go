package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kassa/schema"
)

// listen hears how far the log has come, as batches of any process commit, until ctx
// ends. It keeps a connection of its own and opens a new one when that breaks. What is
// missed meanwhile is found by polling. Behind a pooler it hears nothing and returns:
// there a session is no process's own.
func (e *postgres) listen(ctx context.Context, hint func(Position), report func(error)) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 3*time.Second
	for ctx.Err() == nil {
		err := e.onConnection(ctx, func(conn *pgx.Conn) error {
			switch own, err := schema.OwnsSession(ctx, conn); {
			case err != nil:
				return err
			case !own:
				return errPooled
			}
			if _, err := conn.Exec(ctx, `LISTEN `+logMoved); err != nil {
				return err
			}
			pause.Reset()
			report(nil)
			for {
				said, err := conn.WaitForNotification(ctx)
				if err != nil {
					return err
				}
				if at, err := strconv.ParseInt(said.Payload, 10, 64); err == nil {
					hint(Position(at))
				}
			}
		})
		if errors.Is(err, errPooled) {
			return
		}
		report(err)
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
		}
	}
}

var errPooled = errors.New("a pooler stands before the database")

// onConnection lends a connection that no pool gets back, because it listens.
func (e *postgres) onConnection(ctx context.Context, do func(*pgx.Conn) error) error {
	lent, err := e.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := lent.Hijack()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	return do(conn)
}

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

// held turns the answer to a statement that needs a lease into ErrDeposed where it
// found none.
func held(done pgconn.CommandTag, err error) error {
	if err == nil && done.RowsAffected() != 1 {
		return ErrDeposed
	}
	return err
}
