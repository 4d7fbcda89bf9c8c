package main

import (
	"context"
	"errors"

	"kassa/internal/app"
	"kassa/internal/process"
)

// workerCommand is the embedding worker alone, for a machine of its own: it
// reaches the broker and nothing else.
type workerCommand struct {
	modelSettings
	brokerSettings
	watchSettings
	Data string `default:"data" placeholder:"DIR" help:"Folder where the built-in model is unpacked. Default: ${default}."`
	Addr string `default:"127.0.0.1:8081" placeholder:"HOST:PORT" help:"Address for /api/health and /api/ready. Default: ${default}."`
}

// Validate is called by the command line.
func (w workerCommand) Validate() error { return w.checkTraces() }

func (w workerCommand) Run(ctx context.Context, c *console) error {
	broker, err := w.broker("worker")
	if err != nil {
		return err
	}
	if broker == nil {
		return errors.New("--amqp-url is missing: a worker takes its texts from RabbitMQ")
	}
	models := w.opening(app.Storage{Folder: w.Data})
	return process.Work(ctx, process.WorkerConfig{Broker: broker, Models: models, Addr: w.Addr, Version: version(), Watching: w.watching(), Logger: c.log})
}
