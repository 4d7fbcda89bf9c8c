// Package listen receives the notifications of PostgreSQL.
package listen

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/internal/wait"
	"kassa/schema"
)

// Listener receives the notifications of a channel. They are hints: what is sent while no
// connection listens is lost.
type Listener struct {
	Config  *pgx.ConnConfig
	Channel string                          // an SQL identifier
	Begin   func(ctx context.Context) error // called when a connection listens, before its notifications; nil: nothing
	Receive func(payload string)
	Report  func(err error) // called with nil after Begin, and with the error where the connection is lost
}

// The pauses between connections that are lost.
const (
	pauseFirst = 50 * time.Millisecond
	pauseMost  = 3 * time.Second
)

// closeTimeout bounds the goodbye to the server.
const closeTimeout = time.Second

var errPooled = errors.New("the database is behind a connection pooler")

// Run receives until ctx ends. It has a connection of its own, since one that listens is
// of no other use, and opens a new one where that is lost. Behind a pooler, where a session
// belongs to no process, it returns at once.
func (l Listener) Run(ctx context.Context) {
	retry := wait.NewRetry(pauseFirst, pauseMost)
	for ctx.Err() == nil {
		err := l.receive(ctx, retry.Reset)
		if errors.Is(err, errPooled) {
			return
		}
		if ctx.Err() == nil {
			l.Report(err)
		}
		retry.Pause(ctx)
	}
}

func (l Listener) receive(ctx context.Context, listens func()) error {
	conn, err := pgx.ConnectConfig(ctx, l.Config)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	switch own, err := schema.OwnsSession(ctx, conn); {
	case err != nil:
		return err
	case !own:
		return errPooled
	}
	if _, err := conn.Exec(ctx, `LISTEN `+l.Channel); err != nil {
		return err
	}
	if l.Begin != nil {
		if err := l.Begin(ctx); err != nil {
			return err
		}
	}
	listens()
	l.Report(nil)
	for {
		notification, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		l.Receive(notification.Payload)
	}
}
