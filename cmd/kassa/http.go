package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"kassa/commands"
	"kassa/httpapi"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/httpapi/web"
)

// httpSettings are how people and clients reach the service.
type httpSettings struct {
	Addr      string         `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to listen on; port 0 takes a free one, and the log says which. Default: ${default}."`
	RateLimit string         `enum:"on,off" default:"on" help:"Limits of sign-ins, sign-ups and commands; off for load tests only."`
	Secure    bool           `help:"Browsers reach us by https only: Secure cookies and HSTS."`
	Host      []string       `placeholder:"NAME" help:"Names by which we may be called; a request for another is refused. Default: any."`
	Proxy     []netip.Prefix `placeholder:"CIDR" help:"Reverse proxies whose X-Forwarded-For is believed. Default: none."`
}

// serveHTTP serves the whole surface, or, without the role api, only whether the
// process is alive and ready.
func (s *service) serveHTTP(ctx context.Context, listener net.Listener) error {
	if s.settings.has(roleAPI) {
		return s.server().Serve(ctx, listener)
	}
	return serveHealth(ctx, listener, s.ready)
}

// server wires the HTTP surface. A broken invariant that a request meets stops the
// process.
func (s *service) server() *httpapi.Server {
	set, h := s.settings, s.commands
	problems := &problem.Writer{Log: s.log, Broken: s.broken}
	door := &identity.Authenticator{People: h, Vault: s.vault, Views: s.views, Problems: problems, Now: time.Now,
		Secure: set.Secure, Proxies: set.Proxy, Limits: identity.Limits{Off: set.RateLimit == "off"}}
	pages := &web.Pages{Commands: h, Views: s.views, Films: s.catalog, Vault: s.vault, Door: door, Problems: problems,
		Price: set.Price, Bonus: set.Bonus, Sandbox: h.Payments.Name() == commands.Sandbox{}.Name()}
	return &httpapi.Server{Commands: h, Views: s.views, Head: s.store.Head, Films: s.catalog, Vault: s.vault, Identity: door,
		Problems: problems, Log: s.log, Pages: pages.Handler(), Ready: s.ready, Version: version(), Hosts: set.Host}
}

// readyLag is how far the views may be behind the log before we are not ready.
const readyLag = 10_000

// ready says what is missing: the database, the broker where this process needs
// it, or views that are far behind.
func (s *service) ready(ctx context.Context) error {
	head, err := s.store.Head(ctx)
	if err != nil {
		return err
	}
	at, err := s.views.Position(ctx)
	if err != nil {
		return err
	}
	if head.Size-at > readyLag {
		return fmt.Errorf("the views are at position %d of %d", at, head.Size)
	}
	if s.bus != nil {
		return s.bus.Connected()
	}
	return nil
}

// serveHealth answers the two questions of whoever watches over processes.
func serveHealth(ctx context.Context, listener net.Listener, ready func(context.Context) error) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, `{"status":"alive"}`) })
	mux.HandleFunc("GET /api/ready", func(w http.ResponseWriter, r *http.Request) {
		if ready(r.Context()) != nil {
			http.Error(w, `{"status":"not ready"}`, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, `{"status":"ready"}`)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // nothing is lost with a question about health
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve health: %w", err)
	}
	return nil
}

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
