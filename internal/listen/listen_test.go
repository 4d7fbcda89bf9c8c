package listen_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"kassa/eventstore/eventstoretest"
	"kassa/internal/listen"
	"kassa/schema/schematest"
)

// Notifications come again after the server has ended the session; the loss and the return
// are reported, and each connection begins by reading what it has missed.
func TestListenAgain(t *testing.T) {
	url := schematest.Empty(t)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close(context.WithoutCancel(t.Context()))
	var begun, received, lost, listening atomic.Int64
	failing := errors.New("the first read fails")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		listen.Listener{Config: config, Channel: "news",
			Begin: func(context.Context) error {
				if begun.Add(1) == 1 {
					return failing
				}
				return nil
			},
			Receive: func(payload string) {
				if payload == "one" {
					received.Add(1)
				}
			},
			Report: func(err error) {
				if err == nil {
					listening.Add(1)
				} else {
					lost.Add(1)
				}
			},
		}.Run(ctx)
	}()
	exec := func(statement string) {
		t.Helper()
		if _, err := sender.Exec(t.Context(), statement); err != nil {
			t.Error(err)
		}
	}
	for n := int64(1); n <= 2; n++ {
		eventstoretest.Eventually(t, "a connection that listens", func() bool { return listening.Load() == n })
		exec(`NOTIFY news, 'one'; NOTIFY other, 'one'`)
		eventstoretest.Eventually(t, "a notification", func() bool { return received.Load() == n })
		if begun.Load() != n+1 || lost.Load() != n {
			t.Errorf("begun %d times, lost %d, want %d and %d", begun.Load(), lost.Load(), n+1, n)
		}
		exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid()`)
	}
	stop()
	<-ended
}
