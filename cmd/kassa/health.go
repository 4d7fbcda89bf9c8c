package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"kassa/httpapi"
	"kassa/httpapi/problem"
)

// answerWhileOpening says that the process is alive and not ready, while it waits for
// its database and its broker, which may take long. Opened gives the listener to
// whoever serves on it from then on; it may be called again.
func answerWhileOpening(listener net.Listener, log *slog.Logger) (opened func()) {
	own := lent{listener.(*net.TCPListener)} // as net.Listen gives it for "tcp"
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- watch(log, nil, nil).Serve(ctx, own) }()
	return sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			log.Warn("health was not answered while opening", "error", err)
		}
		_ = own.SetDeadline(time.Time{})
	})
}

// watch is all that a process without pages and API serves; ready is nil while it
// opens.
func watch(log *slog.Logger, ready func(context.Context) error, failing func() []string) httpapi.Watch {
	return httpapi.Watch{Ready: ready, Failing: failing, Log: log, Problems: &problem.Writer{Log: log}}
}

// lent is a listener that outlives its server, which is not to wait on it any more.
type lent struct{ *net.TCPListener }

func (l lent) Close() error { return l.SetDeadline(time.Now()) }

// healthCommand is for containers that have no other program.
type healthCommand struct {
	Addr  string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address that the process listens on. Default: ${default}."`
	Ready bool   `help:"Ask whether it is ready, not only alive."`
}

func (h healthCommand) Run(ctx context.Context, c *console) error {
	host, port, err := net.SplitHostPort(h.Addr)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // where a process that listens on all addresses is found
	}
	path := map[bool]string{true: "ready", false: "health"}[h.Ready]
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/api/"+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("ask for its health: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	fmt.Fprintln(c.out, "ok")
	return nil
}
