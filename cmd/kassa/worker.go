package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sync/errgroup"

	"kassa/internal/bus"
)

// workerCommand is the embedding worker alone, for a machine of its own: it
// reaches the broker and nothing else.
type workerCommand struct {
	modelSettings
	brokerSettings
	Data string `default:"data" placeholder:"DIR" help:"Folder where the built-in model is unpacked. Default: ${default}."`
	Addr string `default:"127.0.0.1:8081" placeholder:"HOST:PORT" help:"Address for /api/health and /api/ready. Default: ${default}."`
}

func (w workerCommand) Run(ctx context.Context, c *console) error {
	broker, err := w.broker("worker")
	if err != nil {
		return err
	}
	if broker == nil {
		return errors.New("--amqp-url is missing: a worker takes its texts from RabbitMQ")
	}
	listener, err := net.Listen("tcp", w.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", w.Addr, err)
	}
	defer listener.Close()
	opened := answerWhileOpening(listener, c.log)
	defer opened()
	model, err := w.openModel(ctx, dataSettings{Data: w.Data})
	if err != nil {
		return err
	}
	carrier, err := broker.Open(ctx, c.log)
	if err != nil {
		return errors.Join(err, model.Close())
	}
	opened()
	parts, within := errgroup.WithContext(ctx)
	parts.Go(func() error { return carrier.Run(within, bus.Handlers{Work: embed(model)}) })
	parts.Go(func() error {
		return watch(c.log, func(context.Context) error { return carrier.Connected() }, nil).Serve(within, listener)
	})
	parts.Go(func() error {
		select {
		case <-carrier.Running():
			c.log.Info("the worker is open", "version", version(), "model", model.ModelVersion(), "health", listener.Addr().String())
		case <-within.Done():
		}
		return nil
	})
	err = parts.Wait()
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		c.log.Info("the worker is closed")
		err = nil
	}
	return errors.Join(err, model.Close())
}
