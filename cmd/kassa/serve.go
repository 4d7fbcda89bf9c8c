package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"kassa/catalog"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi"
	"kassa/internal/bus"
	"kassa/projections"
	"kassa/worker"
)

type serveCommand struct {
	dataSettings
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

// Validate is called by the command line.
func (p priceSettings) Validate() error {
	switch {
	case p.Price < 1 || p.Price > domain.MaxAmount:
		return fmt.Errorf("--price must be from 1 to %d", domain.MaxAmount)
	case p.Bonus < 0 || p.Bonus > domain.MaxAmount:
		return fmt.Errorf("--bonus must be from 0 to %d", domain.MaxAmount)
	case p.HoldExpiry < leastExpiry || p.HoldExpiry > 24*time.Hour:
		return fmt.Errorf("--hold-expiry must be from %s to 24h, longer than a worker's tries", leastExpiry)
	}
	return nil
}

func (s serveCommand) Run(ctx context.Context, c *console) error {
	listener, err := net.Listen("tcp", s.Addr) // first, so that a taken port is known at once
	if err != nil {
		return fmt.Errorf("listen on %s: %w", s.Addr, err)
	}
	defer listener.Close()
	l, err := s.open(ctx)
	if err != nil {
		return err
	}
	err = s.serve(ctx, c, listener, l)
	return errors.Join(err, l.close())
}

// service is everything that runs, wired.
type service struct {
	*ledger
	log   *slog.Logger
	model *worker.Embedder
	films *catalog.Catalogue
	views *projections.Memory
	bus   *bus.Bus
	match *matcher

	failed chan error // the ledger is wrong: everything must stop
}

// broken stops the service; the first finding counts.
func (s *service) broken(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// serve puts the parts together. Nothing is answered before the views hold the
// whole log.
func (s serveCommand) serve(ctx context.Context, c *console, listener net.Listener, l *ledger) error {
	model, err := s.openModel(ctx, s.dataSettings)
	if err != nil {
		return err
	}
	defer model.Close()
	films, err := openCatalogue(ctx, l, model, s.Catalog)
	if err != nil {
		return err
	}
	views := projections.NewMemory()
	if err := views.Replay(ctx, l.store); err != nil {
		return fmt.Errorf("replay the log: %w", err)
	}
	carrier, err := bus.InProcess(c.log)
	if err != nil {
		return err
	}
	h := l.commands(s.priceSettings)
	app := &service{ledger: l, log: c.log, model: model, films: films, views: views, bus: carrier, failed: make(chan error, 1),
		match: &matcher{store: l.store, vault: l.vault, catalogue: films, commands: h}}
	return app.run(ctx, s.server(app, h), listener)
}

// run goes on until ctx ends or a part fails. Then, in this order: the server
// drains, and whoever waits for an answer still gets it; the relay, the bus and
// the clock stop; the caller closes the store.
func (s *service) run(ctx context.Context, server *httpapi.Server, listener net.Listener) error {
	behind, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	parts, behind := errgroup.WithContext(behind)
	front, shut := context.WithCancel(ctx)
	defer shut()
	context.AfterFunc(behind, shut) // a part failed: stop serving

	parts.Go(func() error {
		return s.bus.Run(behind, bus.Handlers{Events: s.apply, Work: embed(s.model), Answer: s.match.settle})
	})
	parts.Go(func() error { return s.relay(behind) })
	parts.Go(func() error { return expire(behind, s.views, s.match.commands, s.log) })
	parts.Go(func() error { return s.sweep(behind) })
	parts.Go(func() error {
		select {
		case err := <-s.failed:
			return err
		case <-behind.Done():
			return nil
		}
	})
	parts.Go(func() error {
		defer stop()
		s.log.Info("kassa is open", "url", "http://"+listener.Addr().String()+"/web", "films", s.films.Len(), "model", s.model.ModelVersion())
		return server.Serve(front, listener)
	})
	err := parts.Wait()
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		s.log.Info("kassa is closed")
		return nil
	}
	return err
}

func (s *service) apply(ctx context.Context, batch []eventstore.Recorded) error {
	return s.views.Receive(ctx, s.store, batch)
}

// relay begins, beside its checkpoint, before the oldest question that is still
// open: what was under way in the bus when the process ended is carried again.
func (s *service) relay(ctx context.Context) error {
	select {
	case <-s.bus.Running():
	case <-ctx.Done():
		return nil
	}
	from := eventstore.Position(math.MaxInt64)
	if oldest, ok := s.views.Oldest(); ok {
		from = oldest - 1
	}
	relay := &bus.Relay{Log: s.store, Bus: s.bus, Logger: s.log, Name: "relay", Carry: s.match.carry(s.bus)}
	return relay.Run(ctx, from)
}

// sweep forgets expired sessions once an hour.
func (s *service) sweep(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := s.vault.DropExpired(ctx, time.Now()); err != nil && ctx.Err() == nil {
			s.log.Error("expired sessions cannot be dropped", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
