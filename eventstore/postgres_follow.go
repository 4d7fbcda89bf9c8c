package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
)

// listen tells how far the log has come, as batches of any process commit, until
// ctx ends. It keeps a connection of its own and opens a new one when that breaks.
// What is missed meanwhile is found by polling.
func (e *postgres) listen(ctx context.Context, moved func(Position)) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 3*time.Second
	for ctx.Err() == nil {
		_ = e.onConnection(ctx, func(conn *pgx.Conn) error { // broken: polling goes on beside it
			if _, err := conn.Exec(ctx, `LISTEN `+logMoved); err != nil {
				return err
			}
			pause.Reset()
			for {
				said, err := conn.WaitForNotification(ctx)
				if err != nil {
					return err
				}
				if at, err := strconv.ParseInt(said.Payload, 10, 64); err == nil {
					moved(Position(at))
				}
			}
		})
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
		}
	}
}

// onConnection lends a connection that no pool gets back: it may hold a lock, or
// listen.
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

// leaderCheck is how often a leader makes sure that its session, and so its lock,
// is still there.
const leaderCheck = time.Second

// lead holds a session's advisory lock while do runs. The server releases it when
// the session ends, so a leader that dies is followed at once by another.
func (e *postgres) lead(ctx context.Context, name string, do func(context.Context) error) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 3*time.Second
	for ctx.Err() == nil {
		err := e.onConnection(ctx, func(conn *pgx.Conn) error {
			if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(hashtextextended($1, 0))`, "kassa leader "+name); err != nil {
				return err
			}
			pause.Reset()
			return underLock(ctx, conn, do)
		})
		var led *ledError
		if errors.As(err, &led) {
			return led.err
		}
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
		}
	}
	return nil
}

// ledError is how do itself ended, told apart from a lost connection.
type ledError struct{ err error }

func (l *ledError) Error() string { return fmt.Sprintf("the leader ended: %v", l.err) }

var errLockLost = errors.New("the leader's lock is lost")

// underLock runs do, and ends its context when the session is gone.
func underLock(ctx context.Context, conn *pgx.Conn, do func(context.Context) error) error {
	leading, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	done := make(chan error, 1)
	go func() { done <- do(leading) }()
	check := time.NewTicker(leaderCheck)
	defer check.Stop()
	for {
		select {
		case err := <-done:
			return &ledError{err}
		case <-check.C:
			ping, cancel := context.WithTimeout(ctx, 2*leaderCheck)
			err := conn.Ping(ping)
			cancel()
			if err != nil && ctx.Err() == nil {
				lose(errLockLost)
				<-done
				return errLockLost
			}
		}
	}
}
