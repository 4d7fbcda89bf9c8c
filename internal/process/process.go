// Package process is a process of Kassa: it listens, opens the ledger and the service,
// answers meanwhile that it is alive, serves, drains and closes.
package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"kassa/catalog/filmlinks"
	"kassa/httpapi"
	"kassa/internal/app"
	"kassa/internal/matcher"
	"kassa/internal/security"
	"kassa/internal/tracing"
	"kassa/internal/wait"
	"kassa/transparency"
	"kassa/worker"
)

// Config is a process of the service.
type Config struct {
	App     app.Config // but for its models and catalogue, which the process opens
	Storage app.Storage
	Models  OpenModels
	Films   string // JSON file or folder with more films, or ""
	Surface Surface
	Version string

	Security *security.Log // nil: none is kept
	Watching Watching
}

// OpenModels loads the models of a process, at least one.
type OpenModels func(context.Context) (worker.Models, error)

// Surface is how people and clients reach the process.
type Surface struct {
	Addr          string               // to listen on
	HealthAddr    string               // for questions about its health alone; "": at Addr
	Certificate   *Certificate         // with which it speaks HTTPS; nil: plain HTTP. Needs HealthAddr
	Drain         time.Duration        // for which requests are still answered once it is to end
	NoLimits      bool                 // of sign-ins, sign-ups and commands
	PublicEntries bool                 // anybody may read the log's entries
	AdminFactor   bool                 // admins need a second factor
	Secure        bool                 // browsers come by https only
	PublicURL     string               // address as browsers have it, for passkeys; "": not known
	Hosts         []string             // by which it may be called; none: any
	Origins       []string             // whose pages may use the API
	Proxies       []netip.Prefix       // whose X-Forwarded-For counts
	FilmLinks     []filmlinks.Template // to other sites, of films
	Zone          *time.Location       // in which the days and months of statements begin
	Issuer        string               // of statements, in lines; "": the host
}

// process is a process that runs.
type process struct {
	Config
	observer
	log         *slog.Logger
	service     *app.Service
	certificate *servedCertificate // nil: plain HTTP
	opened      atomic.Bool        // requests can be answered
	draining    atomic.Bool        // and soon can be no more
}

// Serve runs a process of the service until ctx ends or a part fails.
func Serve(ctx context.Context, c Config) (err error) {
	p := &process{Config: c, log: c.App.Logger, observer: observer{slowBatch: c.Watching.SlowBatch, log: c.App.Logger}}
	if files := c.Surface.Certificate; files != nil {
		if p.certificate, err = openCertificate(*files, p.log); err != nil {
			return err
		}
	}
	entry, err := p.listen() // first, so that a taken port is known at once
	if err != nil {
		return err
	}
	defer entry.close()
	if p.watched, err = listenMetrics(c.Watching.MetricsAddr, c.Version, p.log); err != nil {
		return err
	}
	defer p.watched.close()
	if p.tracer, err = tracing.Open(ctx, tracing.Config{Endpoint: c.Watching.TraceTo, Ratio: c.Watching.TraceRatio, Version: c.Version,
		Process: c.App.Roles.String(), Logger: p.log}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.tracer.Close()) }()
	if p.watched != nil {
		p.Security = c.Security.Counting(p.SecurityEvent)
	}
	ledger, err := c.Storage.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ledger.Close()) }()
	if c.App.Models, err = c.Models(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.App.Models.Close()) }()
	if c.App.Catalogue, err = app.OpenCatalogue(ctx, ledger, c.App.Models, c.Films); err != nil {
		return err
	}
	p.App.Models = c.App.Models // with which films are embedded that admins save
	p.watched.models(c.App.Models)
	keys, keyLost := c.Storage.LogKeys(ctx, ledger)
	if keyLost != nil && !errors.Is(keyLost, app.ErrKeyLost) { // without it money moves all the same
		return keyLost
	}
	c.App.LogKeys = keys
	if err := continues(ctx, ledger, c.App); err != nil {
		return err
	}
	c.App.Work = matcher.Embed(c.App.Models...)
	if p.service, err = app.Open(ctx, ledger, c.App); err != nil {
		return err
	}
	defer p.service.Close()
	defer p.watchService()()
	ledger.Store.Report(app.Signing, keyLost)
	listener, err := entry.open()
	if err != nil {
		return err
	}
	p.opened.Store(true)
	p.comparePrice(ctx)
	p.recordSettings(ctx)
	return p.run(ctx, listener, c.App.Models.Versions())
}

// continues refuses to begin on a log that lacks entries which a signed head outside of the
// database covers: it was restored, and nobody has said yet that the loss is accepted. Where
// that happens to a process that runs, only signing stops.
func continues(ctx context.Context, l *app.Ledger, c app.Config) error {
	if c.SignedHeadFile == "" || !c.LogKeys.Sign() {
		return nil
	}
	signer := &transparency.Signer{Log: l.Store, Heads: l.SignedHeads(), Keys: c.LogKeys, File: c.SignedHeadFile}
	if err := signer.Continues(ctx); errors.Is(err, transparency.ErrNotExtended) {
		return fmt.Errorf("%w: kassa recover says what is missing, and goes on if it is told to", err)
	}
	return nil // whatever else hinders signing is reported by the signer
}

// comparePrice says where the setting of the price does not count.
func (p *process) comparePrice(ctx context.Context) {
	set, version, err := p.service.Commands.Prices(ctx, true)
	if err == nil && version > 0 && set.Price != p.App.Terms.Price {
		p.log.Info("an answer costs what the log says, and not what --price says", "price", set.Price, "setting", p.App.Terms.Price)
	}
}

// recordSettings records what decides who may do what. Addresses of databases and brokers
// are left out: they contain passwords.
func (p *process) recordSettings(ctx context.Context) {
	s := p.Surface
	p.Security.Record(ctx, security.Event{Kind: security.Settings, Details: []slog.Attr{slog.String("version", p.Version), slog.String("roles", p.App.Roles.String()),
		slog.Bool("rate_limits", !s.NoLimits), slog.Bool("public_entries", s.PublicEntries), slog.Bool("admin_factor", s.AdminFactor), slog.Bool("https_only", s.Secure), slog.Any("hosts", s.Hosts), slog.Any("origins", s.Origins), slog.Any("proxies", s.Proxies),
		slog.Int64("price", int64(p.service.Commands.ShownPrices(ctx).Price)), slog.Int64("bonus", int64(p.App.Terms.Bonus)), slog.Int("refunds_per_month", p.App.Terms.Refunds.PerMonth)}})
}

func (p *process) run(ctx context.Context, listener net.Listener, models []string) error {
	err := p.service.Run(ctx, app.Front{Drain: p.drain, Serve: func(ctx context.Context) error {
		tuneCollector(p.log)
		p.log.Info("kassa is open", "version", p.Version, "url", p.scheme()+"://"+listener.Addr().String()+"/web", "films", p.service.Catalogue.Len(), "models", models)
		return p.serve(ctx, listener)
	}})
	if err == nil {
		p.log.Info("kassa is closed")
	}
	return err
}

// drain waits for a while in which the process is not ready, and answers all the same.
// Connections are not kept from then on, so that none that a proxy keeps is closed
// under a request that it has just sent.
func (p *process) drain(behind context.Context) {
	p.draining.Store(true)
	if !p.service.Has(app.API) || p.Surface.Drain == 0 {
		return
	}
	p.log.Info("kassa drains", "for", p.Surface.Drain.String())
	wait.For(behind, p.Surface.Drain)
}

// ready gives what is missing. A process that opens or drains is not ready either.
func (p *process) ready(ctx context.Context) error {
	switch {
	case !p.opened.Load():
		return httpapi.ErrOpening
	case p.draining.Load():
		return httpapi.ErrDraining
	}
	return p.service.Ready(ctx)
}

// failing is asked of a process that is ready only.
func (p *process) failing() []string { return p.service.Failing() }
