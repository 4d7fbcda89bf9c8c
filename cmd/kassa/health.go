package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// healthOnly answers the two questions of whoever watches over processes; everything
// else is answered by rest.
func healthOnly(ready func(context.Context) error, rest http.HandlerFunc) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, `{"status":"alive"}`) })
	mux.HandleFunc("GET /api/ready", func(w http.ResponseWriter, r *http.Request) {
		if ready(r.Context()) != nil {
			http.Error(w, `{"status":"not ready"}`, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, `{"status":"ready"}`)
	})
	mux.HandleFunc("/", rest)
	return &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second}
}

// serveHealth is all that a process without pages and API serves.
func serveHealth(ctx context.Context, listener net.Listener, ready func(context.Context) error) error {
	server := healthOnly(ready, http.NotFound)
	context.AfterFunc(ctx, func() { _ = server.Close() }) // nothing is lost with a question about health
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve health: %w", err)
	}
	return nil
}

// answerWhileOpening says that the process is alive and not ready, while it waits for
// its database and its broker, which may take long. Opened gives the listener to
// whoever serves on it from then on; it may be called again.
func answerWhileOpening(listener net.Listener) (opened func()) {
	server := healthOnly(func(context.Context) error { return errors.New("it opens") }, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "Kassa is opening, try again in a second", http.StatusServiceUnavailable)
	})
	own := lent{listener.(*net.TCPListener)} // as net.Listen gives it for "tcp"
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(own) }() // ends by opened
	return sync.OnceFunc(func() {
		within, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(within) // who still waits for an answer asks again
		<-ended
		_ = own.SetDeadline(time.Time{})
	})
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
