package main

import (
	"context"
	"fmt"
	"net"
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
	Addr       string         `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to listen on; port 0 takes a free one, and the log says which. Default: ${default}."`
	HealthAddr string         `placeholder:"HOST:PORT" help:"Address of their own for /api/health and /api/ready. Then --addr takes no connection before requests can be answered, so that a proxy asks the next process. Default: both are at --addr, which answers 503 until then."`
	Drain      time.Duration  `placeholder:"DURATION" help:"Time after SIGTERM in which requests are answered as before while /api/ready says that the process drains: as long as a load balancer takes to notice. Default: none."`
	RateLimit  string         `enum:"on,off" default:"on" help:"Limits of sign-ins, sign-ups and commands; off for load tests only."`
	Secure     bool           `help:"Browsers reach us by https only: Secure cookies and HSTS."`
	Host       []string       `placeholder:"NAME" help:"Names by which we may be called; a request for another is refused. Default: any."`
	Proxy      []netip.Prefix `placeholder:"CIDR" help:"Reverse proxies whose X-Forwarded-For is believed. Default: none."`
}

// serveHTTP serves the whole surface, or, without the role api, only whether the
// process is alive and ready.
func (s *service) serveHTTP(ctx context.Context, listener net.Listener) error {
	if s.settings.has(roleAPI) {
		return s.server().Serve(ctx, listener)
	}
	return watch(s.log, s.ready, s.failing).Serve(ctx, listener)
}

// server wires the HTTP surface. A broken invariant that a request meets stops the
// process.
func (s *service) server() *httpapi.Server {
	set, h := s.settings, s.commands
	problems := &problem.Writer{Log: s.log, Broken: s.broken}
	door := &identity.Authenticator{People: h, Vault: s.vault, Accounts: s.store, Views: s.views, Problems: problems, Now: time.Now,
		Secure: set.Secure, Proxies: set.Proxy, Limits: identity.Limits{Off: set.RateLimit == "off"}}
	if s.tries != nil {
		door.Tries = s.tries
	}
	pages := &web.Pages{Commands: h, Views: s.views, Films: s.catalog, Vault: s.vault, Door: door, Problems: problems,
		Price: set.Price, Bonus: set.Bonus, Sandbox: h.Payments.Name() == commands.Sandbox{}.Name(), Secure: set.Secure}
	return &httpapi.Server{Commands: h, Views: s.views, Head: s.store.Head, Films: s.catalog, Vault: s.vault, Identity: door,
		Problems: problems, Log: s.log, Pages: pages.Handler(), Refusal: pages.Refusal, Ready: s.ready, Failing: s.failing, Leaving: s.draining.Load,
		Version: version(), Hosts: set.Host}
}

// relayName is that of the relay's leadership and checkpoint.
const relayName = "relay"

// readyLag is how far the views may be behind the log before we are not ready.
const readyLag = 10_000

// ready says what is missing: the database, space to write to it, the broker where this
// process needs it, views that are not far behind, or a newer program. A process that
// opens or drains is not ready either.
func (s *service) ready(ctx context.Context) error {
	switch {
	case !s.opened.Load():
		return httpapi.ErrOpening
	case s.draining.Load():
		return httpapi.ErrDraining
	}
	if err := s.store.Ready(ctx); err != nil {
		return err
	}
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
	if _, err := s.store.Checkpoint(ctx, relayName); err != nil {
		return err
	}
	if s.bus != nil {
		return s.bus.Connected()
	}
	return nil
}

// failing lists what fails in the background while we serve all the same.
func (s *service) failing() (list []string) {
	for _, t := range s.store.Troubles() {
		list = append(list, fmt.Sprintf("%s, since %s", t.What, t.Since.UTC().Format(time.RFC3339)))
	}
	return list
}
