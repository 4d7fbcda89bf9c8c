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

// entry is where requests come in. Until open, which gives the listener for them, only
// questions about the process's health are answered.
type entry struct {
	open  func() (net.Listener, error)
	close func()
}

// listen takes the addresses. It may take long until requests can be answered: the
// database and the broker are waited for.
func (s *service) listen() (entry, error) {
	listener, err := net.Listen("tcp", s.settings.Addr)
	if err != nil {
		return entry{}, fmt.Errorf("listen on %s: %w", s.settings.Addr, err)
	}
	if s.settings.HealthAddr == "" {
		opened := answerWhileOpening(listener, s.log)
		return entry{func() (net.Listener, error) { opened(); return listener, nil },
			func() { opened(); _ = listener.Close() }}, nil
	}
	// The port is free, and closed until it is needed: a proxy that cannot connect has
	// sent nothing, and asks another process whatever the request is.
	address := listener.Addr().String()
	_ = listener.Close()
	health, err := net.Listen("tcp", s.settings.HealthAddr)
	if err != nil {
		return entry{}, fmt.Errorf("listen on %s: %w", s.settings.HealthAddr, err)
	}
	stop := answerHealth(watch(s.log, s.ready, s.failing), health)
	return entry{func() (net.Listener, error) { return net.Listen("tcp", address) }, stop}, nil
}

// answerWhileOpening says that the process is alive and not ready. Opened gives the
// listener to what serves on it from then on; it may be called again.
func answerWhileOpening(listener net.Listener, log *slog.Logger) (opened func()) {
	own := lent{listener.(*net.TCPListener)} // as net.Listen gives it for "tcp"
	stop := answerHealth(watch(log, nil, nil), own)
	return sync.OnceFunc(func() { stop(); _ = own.SetDeadline(time.Time{}) })
}

// answerHealth answers questions about health on the listener until it is stopped.
func answerHealth(w httpapi.Watch, listener net.Listener) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Serve(ctx, listener) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			w.Log.Warn("health was not answered", "error", err)
		}
	}
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
	Addr  string `default:"127.0.0.1:8080" env:"KASSA_HEALTH_ADDR,KASSA_ADDR" placeholder:"HOST:PORT" help:"Address at which the process answers. Default: ${default}."`
	Ready bool   `help:"Ask whether it is ready, not only alive."`
}

func (h healthCommand) Run(ctx context.Context, c *console) error {
	path := map[bool]string{true: "ready", false: "health"}[h.Ready]
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(h.Addr)+"/api/"+path, nil)
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

// reachable is the address at which a process is found that listens on one.
func reachable(listens string) string {
	host, port, err := net.SplitHostPort(listens)
	if err != nil {
		return listens
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // it listens on all addresses
	}
	return net.JoinHostPort(host, port)
}
