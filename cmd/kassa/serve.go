package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"kassa/catalog/filmlinks"
	"kassa/domain"
	"kassa/internal/app"
	"kassa/internal/process"
	"kassa/transparency"
	"kassa/vault"
)

type serveCommand struct {
	dataSettings
	productionSettings
	modelSettings
	priceSettings
	httpSettings
	statementSettings
	watchSettings
	slowSettings
	sessionSettings
	logKeySettings
	mailSettings
	attestSettings
	SignedHeadFile string `name:"signed-head-file" placeholder:"FILE" help:"File outside the database that also keeps the last signed head of the log: then no head is signed after an old backup of the whole database was restored."`
	WitnessPolicy  string `name:"witness-policy" type:"existingfile" placeholder:"FILE" help:"File that names witnesses, in the form of Sigsum and Tessera (witness NAME KEY URL, group, quorum): where heads are signed, these are asked to cosign them. Default: nobody is asked."`
	Catalog        string `placeholder:"PATH" help:"JSON file or folder with more films, brought in at start. They stand beside the shipped ones, and replace those with the same id."`
}

// productionSettings are for the shape of many processes.
type productionSettings struct {
	brokerSettings
	Roles app.Roles `placeholder:"ROLE,..." help:"What this process does: api, relay, projector, matcher, expirer, worker. Any number of processes may have each. Default: all."`
}

func (p productionSettings) validateRoles() error {
	for _, r := range p.Roles {
		if !slices.Contains(app.AllRoles, r) {
			return fmt.Errorf("--roles: there is no role %q; the roles are %s", r, app.AllRoles)
		}
	}
	return nil
}

// watchSettings are where a process shows what it does.
type watchSettings struct {
	MetricsAddr   string  `placeholder:"HOST:PORT" help:"Address of its own for Prometheus's metrics (/metrics) and Go's profiles (/debug/pprof/), such as 127.0.0.1:9464. Strangers must not reach it. Default: none."`
	TraceEndpoint string  `placeholder:"URL" help:"OpenTelemetry collector that traces are sent to by OTLP over HTTP, such as http://127.0.0.1:4318. Default: none."`
	TraceRatio    float64 `default:"0.01" placeholder:"RATIO" help:"Traces that are sent, from 0 to 1; the same in all processes, or traces lack parts. Default: ${default}."`
}

func (w watchSettings) watching() process.Watching {
	return process.Watching{MetricsAddr: w.MetricsAddr, TraceTo: w.TraceEndpoint, TraceRatio: w.TraceRatio}
}

func (w watchSettings) checkTraces() error {
	if !(w.TraceRatio >= 0 && w.TraceRatio <= 1) { // refuses NaN too
		return errors.New("--trace-ratio must be from 0 to 1")
	}
	if u, err := url.Parse(w.TraceEndpoint); w.TraceEndpoint != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return errors.New("--trace-endpoint is no http:// or https:// URL")
	}
	return nil
}

// slowSettings are what is slow.
type slowSettings struct {
	SlowRequest time.Duration `default:"1s" placeholder:"DURATION" help:"Time from which the work for a request is logged as a warning; waits that a client asks for do not count. 0: none. Default: ${default}."`
	SlowBatch   time.Duration `default:"1s" placeholder:"DURATION" help:"Time from which a batch of entries that is appended to the log is logged as a warning. 0: none. Default: ${default}."`
}

// httpSettings are how people and clients reach the service.
type httpSettings struct {
	Addr          string         `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to listen on; port 0 takes a free one, and the log says which. Default: ${default}."`
	HealthAddr    string         `placeholder:"HOST:PORT" help:"Address of their own for /api/health and /api/ready. Then --addr takes no connection before requests can be answered, so that a proxy asks the next process. Default: both are at --addr, which answers 503 until then."`
	Drain         time.Duration  `placeholder:"DURATION" help:"Time after SIGTERM in which requests are answered as before while /api/ready says that the process drains: as long as a load balancer takes to notice. Default: none."`
	TLSCert       string         `name:"tls-cert" type:"existingfile" placeholder:"FILE" help:"Certificate with its chain, in PEM: the service speaks HTTPS itself, and --secure is set. It is read again when it has changed. Needs --tls-key and --health-addr. Default: plain HTTP, for a proxy before it."`
	TLSKey        string         `name:"tls-key" type:"existingfile" placeholder:"FILE" help:"Private key of --tls-cert, in PEM."`
	RateLimit     string         `enum:"on,off" default:"on" help:"Limits of sign-ins, sign-ups and commands; off for load tests only."`
	PublicEntries bool           `name:"public-entries" help:"Anybody may read the entries of the log under /log/tile/entries/: amounts, times and pseudonyms, with what is personal sealed. Default: admins only."`
	Secure        bool           `help:"Browsers reach us by https only: Secure cookies and HSTS."`
	AdminFactor   bool           `name:"require-admin-factor" help:"Admins without a second factor may do nothing as admins."`
	Host          []string       `placeholder:"NAME" help:"Names by which we may be called; a request for another is refused. Default: any."`
	AllowOrigin   []string       `placeholder:"ORIGIN" help:"Origins whose pages may use the API, such as https://films.example, with a token or a password that they were given and never with cookies. Default: none."`
	Proxy         []netip.Prefix `placeholder:"CIDR" help:"Reverse proxies whose X-Forwarded-For is believed. Default: none."`

	FilmLink []filmlinks.Template `sep:"none" placeholder:"SITE=ADDRESS" help:"Where one may watch a film or read about it, such as IMDb=https://www.imdb.com/title/{imdb}/. In braces: title, title_en, title_ru, original, year, lang, imdb, kinopoisk, wikidata. Of several for one site the first whose values a film has is shown. Default: Kinopoisk, JustWatch, IMDb and Wikipedia."`
}

func (h httpSettings) surface() process.Surface {
	links := h.FilmLink
	if len(links) == 0 {
		links = filmlinks.Default
	}
	surface := process.Surface{FilmLinks: links, Addr: h.Addr, HealthAddr: h.HealthAddr, Drain: h.Drain, NoLimits: h.RateLimit == "off", PublicEntries: h.PublicEntries, AdminFactor: h.AdminFactor, Secure: h.Secure, Hosts: h.Host, Origins: h.AllowOrigin, Proxies: h.Proxy}
	if h.TLSCert != "" {
		surface.Certificate, surface.Secure = &process.Certificate{File: h.TLSCert, KeyFile: h.TLSKey}, true
	}
	return surface
}

// checkTLS asks for an address for health: what asks there, such as kassa health, need not
// know the certificate, and is answered from the first moment on.
func (h httpSettings) checkTLS() error {
	if (h.TLSCert == "") != (h.TLSKey == "") || h.TLSCert != "" && h.HealthAddr == "" {
		return errors.New("--tls-cert and --tls-key need each other, and --health-addr")
	}
	return nil
}

// checkOrigins asks for origins as browsers send them: one that is spelled otherwise would never
// be one of a request.
func (h httpSettings) checkOrigins() error {
	for _, origin := range h.AllowOrigin {
		u, err := url.Parse(origin)
		usual := map[string]string{"http": "80", "https": "443"}
		if err != nil || usual[u.Scheme] == "" || u.Hostname() == "" || u.Port() == usual[u.Scheme] || strings.HasSuffix(u.Host, ":") || strings.Contains(origin, "*") ||
			origin != strings.ToLower(u.Scheme+"://"+u.Host) || strings.ContainsFunc(origin, func(c rune) bool { return c > unicode.MaxASCII }) {
			return fmt.Errorf("--allow-origin %q is no origin as a browser sends it, such as https://films.example or http://127.0.0.1:3000: in small letters, without a path, a usual port or *", origin)
		}
	}
	return nil
}

// attestSettings are how often what is served is recorded in the log.
type attestSettings struct {
	AttestEvery time.Duration `default:"1h" placeholder:"DURATION" help:"Time after which a hash of each served view is recorded in the log again, and the films and vectors are compared with those that were recorded; the first time is so long after the start. 0: never. Default: ${default}."`
}

func (a attestSettings) checkAttest() error {
	if a.AttestEvery != 0 && a.AttestEvery < time.Second {
		return errors.New("--attest-every must be 0, or at least 1s")
	}
	return nil
}

// sessionSettings are for how long a browser stays signed in.
type sessionSettings struct {
	SessionIdle time.Duration `default:"168h" placeholder:"DURATION" help:"Time without a request after which a browser is signed out. Default: ${default}."`
	SessionLife time.Duration `default:"720h" placeholder:"DURATION" help:"Time after which a browser is signed out, however much it is used. Default: ${default}."`
}

func (s sessionSettings) check() error {
	if s.SessionIdle < leastIdle || s.SessionLife < s.SessionIdle {
		return fmt.Errorf("--session-idle must be at least %s, and --session-life at least --session-idle", leastIdle)
	}
	return nil
}

// leastIdle is longer than the time between two notes of when a session was last used.
const leastIdle = 10 * time.Minute

// priceSettings are the prices, the bonus, and the policies of refunds and follow-ups.
type priceSettings struct {
	Price      domain.Credits `default:"5" help:"Credits that one answer costs, until kassa price set puts a price into the log."`
	Bonus      domain.Credits `default:"10" help:"Credits that a new account begins with."`
	HoldExpiry time.Duration  `default:"2m" help:"Time after which a question without an answer gives its credits back."`

	RefundsPerMonth   int `default:"3" help:"Answers of a person that are refunded in a calendar month (UTC), where within a day they say that it is none of the films. 0: none. Default: ${default}."`
	RefundAccountDays int `default:"0" help:"Days after its sign-up from which an account can have refunds. Default: ${default}."`

	Refinements  int           `default:"3" help:"Times that a paid answer can be refined for nothing. 0: never. Default: ${default}."`
	RefineWithin time.Duration `default:"1h" help:"Time after a paid answer in which it can be refined. Default: ${default}."`

	FreePerHour int `default:"30" help:"Questions of a person in an hour that may find nothing, or not be understood, and so cost nothing; then the next is refused. 0: any number. Default: ${default}."`

	FourEyesAbove   domain.Credits `placeholder:"CREDITS" help:"Credits above which an admin's adjustment waits for the approval of another admin; the same in all processes. Default: an admin adjusts any amount alone."`
	AdminDailyLimit domain.Credits `placeholder:"CREDITS" help:"Credits that an admin adjusts, proposes and approves on a day (UTC), at most; the same in all processes. Default: no limit."`
	ProposalLife    time.Duration  `default:"72h" placeholder:"DURATION" help:"Time in which another admin can approve a proposed adjustment; then it expires. Default: ${default}."`

	ErasureDelay time.Duration `default:"168h" help:"Time in which an erasure that a person or an admin requested can be cancelled; then it is final. Default: ${default}, a week."`

	thresholdSettings
}

// thresholdSettings are the least confidence of an answer that is paid for.
type thresholdSettings struct {
	NotFoundBelow float64 `default:"${not_found_below}" help:"Confidence in the first film, from 0 to 1, below which nothing was found: the answer shows no films and costs nothing. With 0 every answer counts. Default: ${default}, which fits the built-in model."`
}

func (t thresholdSettings) check() error {
	if !(t.NotFoundBelow >= 0 && t.NotFoundBelow <= 1) { // refuses NaN too
		return errors.New("--not-found-below must be from 0 to 1")
	}
	return nil
}

func (p priceSettings) limits() domain.AdjustmentLimits {
	return domain.AdjustmentLimits{FourEyesAbove: p.FourEyesAbove, DailyLimit: p.AdminDailyLimit}
}

// checkLimits checks what one admin may do alone.
func (p priceSettings) checkLimits() error {
	if p.ProposalLife < time.Minute || p.ProposalLife > domain.MaxProposalLife {
		return fmt.Errorf("--proposal-life must be from 1m to %s", domain.MaxProposalLife)
	}
	if err := p.limits().Check(); err != nil {
		return fmt.Errorf("--four-eyes-above, --admin-daily-limit: %w", err)
	}
	return nil
}

func (p priceSettings) terms() app.Terms {
	return app.Terms{Price: p.Price, Bonus: p.Bonus, HoldExpiry: p.HoldExpiry, FreePerHour: p.FreePerHour, ErasureDelay: p.ErasureDelay,
		Limits: p.limits(), ProposalLife: p.ProposalLife,
		Refunds:  domain.RefundPolicy{PerMonth: p.RefundsPerMonth, AccountDays: p.RefundAccountDays},
		Refining: domain.RefinePolicy{Refinements: p.Refinements, Within: int(p.RefineWithin / time.Second)}}
}

// leastExpiry is longer than all tries of a worker at one job take, so that no
// hold expires under an answer that is on its way.
const leastExpiry = 15 * time.Second

// maxErasureDelay is what article 12 of the GDPR allows, a month.
const maxErasureDelay = 30 * 24 * time.Hour

// Validate is called by the command line: settings are checked together, before
// anything is opened.
func (s serveCommand) Validate() error {
	url, err := s.url()
	if err != nil {
		return err
	}
	broker, err := s.broker("")
	if err != nil {
		return err
	}
	if _, err := s.sender(); err != nil {
		return err
	}
	refunds, refining := s.terms().Refunds, s.terms().Refining
	switch {
	case s.Price < 1 || s.Price > domain.MaxAmount:
		return fmt.Errorf("--price must be from 1 to %d", domain.MaxAmount)
	case s.Bonus < 0 || s.Bonus > domain.MaxAmount:
		return fmt.Errorf("--bonus must be from 0 to %d", domain.MaxAmount)
	case s.HoldExpiry < leastExpiry || s.HoldExpiry > 24*time.Hour:
		return fmt.Errorf("--hold-expiry must be from %s to 24h, longer than a worker's tries", leastExpiry)
	case refunds.Check() != nil:
		return fmt.Errorf("--refunds-per-month, --refund-account-days: %w", refunds.Check())
	case refining.Check() != nil:
		return fmt.Errorf("--refinements, --refine-within: %w", refining.Check())
	case s.FreePerHour < 0:
		return errors.New("--free-per-hour must be 0 or more")
	case s.ErasureDelay < 0 || s.ErasureDelay > maxErasureDelay:
		return errors.New("--erasure-delay must be from 0 to 720h: a person's request is to be met within a month")
	case s.statementSettings.check() != nil:
		return s.statementSettings.check()
	case s.checkLimits() != nil:
		return s.checkLimits()
	case s.thresholdSettings.check() != nil:
		return s.thresholdSettings.check()
	case s.sessionSettings.check() != nil:
		return s.sessionSettings.check()
	case s.checkAttest() != nil:
		return s.checkAttest()
	case s.checkTraces() != nil:
		return s.checkTraces()
	case s.checkTLS() != nil:
		return s.checkTLS()
	case s.PublicURL != "" && checkPublicURL(s.PublicURL) != nil:
		return checkPublicURL(s.PublicURL)
	case s.checkOrigins() != nil:
		return s.checkOrigins()
	case url == "" && broker != nil:
		return errors.New("--amqp-url needs --database-url: the embedded default has neither")
	case url == "" && len(s.Roles) > 0:
		return errors.New("--roles needs --database-url: the embedded default is one process with all roles")
	case url != "" && broker == nil && s.Roles.Has(app.BrokerRoles...):
		return errors.New("--amqp-url is missing: with --database-url, all roles but api and expirer need RabbitMQ")
	}
	return s.validateRoles()
}

func (s serveCommand) Run(ctx context.Context, c *console) error {
	storage, err := s.storage()
	if err != nil {
		return err
	}
	storage.Vault.Sessions = vault.SessionLife{Idle: s.SessionIdle, Absolute: s.SessionLife}
	watching := s.watching()
	watching.SlowRequest, watching.SlowBatch = s.SlowRequest, s.SlowBatch
	config := process.Config{Storage: storage, Models: s.opening(s.folder()), Films: s.Catalog, Surface: s.surface(), Version: version(), Security: c.security, Watching: watching,
		App: app.Config{Roles: s.Roles, Terms: s.terms(), NotFoundBelow: s.NotFoundBelow, Logger: c.log, SignedHeadFile: s.SignedHeadFile, AttestEvery: s.AttestEvery, Version: version()}}
	config.Surface.PublicURL = s.PublicURL
	if err := s.set(&config.Surface); err != nil {
		return err
	}
	if config.Storage.LogKey, err = s.text(); err != nil {
		return err
	}
	if config.App.Mail, err = s.sender(); err != nil {
		return err
	}
	if s.WitnessPolicy != "" {
		text, err := os.ReadFile(s.WitnessPolicy)
		if err == nil {
			config.App.Witnesses, err = transparency.ParsePolicy(text)
		}
		if err != nil {
			return wrongArgument("--witness-policy: %w", err)
		}
	}
	if s.Roles.Has(app.BrokerRoles...) {
		if config.App.Broker, err = s.broker(s.Roles.String()); err != nil {
			return err
		}
	}
	if config.App.Broker != nil {
		config.App.Broker.Declares = s.Roles.Has(app.Relay)
	}
	return process.Serve(ctx, config)
}
