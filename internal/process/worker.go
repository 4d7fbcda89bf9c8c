package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"golang.org/x/sync/errgroup"

	"kassa/internal/bus"
	"kassa/internal/matcher"
	"kassa/internal/tracing"
)

// WorkerConfig is a process of the embedding worker alone.
type WorkerConfig struct {
	Broker  *bus.Broker
	Models  OpenModels
	Addr    string // for questions about its health
	Version string
	Watching
	Logger *slog.Logger
}

// Work runs an embedding worker until ctx ends.
func Work(ctx context.Context, c WorkerConfig) error {
	listener, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", c.Addr, err)
	}
	defer listener.Close()
	watched, err := listenMetrics(c.MetricsAddr, c.Version, c.Logger)
	if err != nil {
		return err
	}
	defer watched.close()
	opened := answerWhileOpening(listener, c.Logger)
	defer opened()
	models, err := c.Models(ctx)
	if err != nil {
		return err
	}
	watched.models(models)
	tracer, err := tracing.Open(ctx, tracing.Config{Endpoint: c.TraceTo, Ratio: c.TraceRatio, Version: c.Version, Process: "worker", Logger: c.Logger})
	if err != nil {
		return errors.Join(err, models.Close())
	}
	carrier, err := c.Broker.Open(ctx, c.Logger)
	if err != nil {
		return errors.Join(err, tracer.Close(), models.Close())
	}
	if tracer != nil {
		carrier.Observe(tracer.Handled)
	}
	opened()
	parts, within := errgroup.WithContext(ctx)
	parts.Go(func() error { return carrier.Run(within, bus.Handlers{Work: matcher.Embed(models...)}) })
	parts.Go(func() error {
		return watch(c.Logger, func(context.Context) error { return carrier.Connected() }, nil).Serve(within, listener)
	})
	parts.Go(func() error {
		select {
		case <-carrier.Running():
			tuneCollector(c.Logger)
			c.Logger.Info("the worker is open", "version", c.Version, "models", models.Versions(), "health", listener.Addr().String())
		case <-within.Done():
		}
		return nil
	})
	err = parts.Wait()
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		c.Logger.Info("the worker is closed")
		err = nil
	}
	return errors.Join(err, tracer.Close(), models.Close())
}
