package main

import (
	"context"
	"fmt"
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

// server wires the HTTP surface. A broken invariant that a request meets stops the
// process through s.failed.
func (s serveCommand) server(app *service, h *commands.Handler) *httpapi.Server {
	problems := &problem.Writer{Log: app.log, Broken: app.broken}
	door := &identity.Authenticator{People: h, Vault: app.vault, Views: app.views, Problems: problems, Now: time.Now,
		Secure: s.Secure, Proxies: s.Proxy, Limits: identity.Limits{Off: s.RateLimit == "off"}}
	pages := &web.Pages{Commands: h, Views: app.views, Films: app.films, Vault: app.vault, Door: door, Problems: problems,
		Price: s.Price, Bonus: s.Bonus, Sandbox: h.Payments.Name() == commands.Sandbox{}.Name()}
	return &httpapi.Server{Commands: h, Views: app.views, Films: app.films, Vault: app.vault, Identity: door,
		Problems: problems, Log: app.log, Pages: pages.Handler(), Ready: app.ready, Version: version(), Hosts: s.Host}
}

// readyLag is how far the views may be behind the log before we are not ready.
const readyLag = 10_000

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
	return nil
}
