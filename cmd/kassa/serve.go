package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"kassa/catalog"
	"kassa/commands"
	"kassa/domain"
	"kassa/internal/bus"
	"kassa/projections"
	"kassa/worker"
)

type serveCommand struct {
	dataSettings
	productionSettings
	modelSettings
	priceSettings
	httpSettings
	Catalog string `placeholder:"PATH" help:"JSON file or folder with more films, brought in at start. They stand beside the shipped ones, and replace those with the same id."`
}

// priceSettings are the terms of the house.
type priceSettings struct {
	Price      domain.Credits `default:"5" help:"Credits that one answer costs."`
	Bonus      domain.Credits `default:"10" help:"Credits that a new account begins with."`
	HoldExpiry time.Duration  `default:"2m" help:"Time after which a question without an answer gives its credits back."`
}

// leastExpiry is longer than all tries of a worker at one errand take, so that no
// hold expires under an answer that is on its way.
const leastExpiry = 15 * time.Second

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
	switch {
	case s.Price < 1 || s.Price > domain.MaxAmount:
		return fmt.Errorf("--price must be from 1 to %d", domain.MaxAmount)
	case s.Bonus < 0 || s.Bonus > domain.MaxAmount:
		return fmt.Errorf("--bonus must be from 0 to %d", domain.MaxAmount)
	case s.HoldExpiry < leastExpiry || s.HoldExpiry > 24*time.Hour:
		return fmt.Errorf("--hold-expiry must be from %s to 24h, longer than a worker's tries", leastExpiry)
	case url == "" && broker != nil:
		return errors.New("--amqp-url needs --database-url: the embedded default has neither")
	case url == "" && len(s.Roles) > 0:
		return errors.New("--roles needs --database-url: the embedded default is one process with all roles")
	case url != "" && broker == nil && s.has(brokerRoles...):
		return errors.New("--amqp-url is missing: with --database-url, all roles but api and expirer need RabbitMQ")
	}
	return s.validateRoles()
}

// garbage is how much may be left lying about, in percent of what is in use, before
// it is collected: little is kept, so with Go's own 100 the collector runs many times
// a second, and deposits came 8 % slower (three pairs of runs on 2 cores).
const garbage = 400

func (s serveCommand) Run(ctx context.Context, c *console) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	app := &service{settings: s, log: c.log, failed: make(chan error, 1)}
	entry, err := app.listen() // first, so that a taken port is known at once
	if err != nil {
		return err
	}
	defer entry.close()
	if app.ledger, err = s.open(ctx); err != nil {
		return err
	}
	app.store.LogTo(c.log)
	var listener net.Listener
	if err = app.assemble(ctx); err == nil {
		listener, err = entry.open()
	}
	if err == nil {
		app.opened.Store(true)
		err = app.run(ctx, listener)
	}
	return errors.Join(err, app.disassemble(), app.ledger.close())
}

// service is everything that runs in this process, wired.
type service struct {
	*ledger
	settings serveCommand
	log      *slog.Logger
	commands *commands.Handler
	model    *worker.Embedder // with the role worker, and where films are embedded
	catalog  *catalog.Catalogue
	bus      *bus.Bus
	match    *matcher
	views    projections.Views
	tables   *projections.Postgres // the views, in PostgreSQL
	replay   *projections.Memory   // the views, in the embedded default
	runner   *projections.Runner   // keeps the tables

	failed   chan error  // the ledger is wrong: everything must stop
	opened   atomic.Bool // requests can be answered
	draining atomic.Bool // and soon can be no more
}

// broken stops the service; the first finding counts.
func (s *service) broken(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// assemble puts the parts together. Nothing is answered before the views in memory
// hold the whole log; tables catch up while we serve.
func (s *service) assemble(ctx context.Context) (err error) {
	s.commands = s.ledger.commands(s.settings.priceSettings)
	if s.model, err = s.settings.openModel(ctx, s.settings.dataSettings); err != nil {
		return err
	}
	if s.catalog, err = openCatalogue(ctx, s.ledger, s.model, s.settings.Catalog); err != nil {
		return err
	}
	s.match = &matcher{store: s.store, vault: s.vault, catalogue: s.catalog, commands: s.commands, log: s.log}
	if s.pool == nil {
		return s.assembleEmbedded(ctx)
	}
	return s.assembleProduction(ctx)
}

func (s *service) assembleEmbedded(ctx context.Context) (err error) {
	s.replay = projections.NewMemory()
	s.views = s.replay
	if err := s.replay.Replay(ctx, s.store); err != nil {
		return fmt.Errorf("replay the log: %w", err)
	}
	s.bus, err = bus.InProcess(s.log)
	return err
}

func (s *service) assembleProduction(ctx context.Context) (err error) {
	if s.tables, err = projections.OpenPostgres(ctx, s.pool); err != nil {
		return err
	}
	s.tables.ReportTo(s.store.Report)
	s.views = s.tables
	s.runner = projections.NewRunner(s.tables, s.store, s.log)
	if !s.settings.has(brokerRoles...) {
		return nil
	}
	broker, err := s.settings.broker(s.settings.rolesText())
	if err != nil {
		return err
	}
	broker.Declares = s.settings.has(roleRelay)
	s.bus, err = broker.Open(ctx, s.log)
	return err
}

func (s *service) disassemble() (err error) {
	if s.tables != nil {
		s.tables.Close()
	}
	if s.model != nil {
		err = s.model.Close()
	}
	return err
}
