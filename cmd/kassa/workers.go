package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"kassa/internal/bus"
	"kassa/worker"
)

// workersModel is the model of the workers at the broker.
type workersModel struct {
	workers *bus.Workers
	version string
}

// probe is a text that every model understands; its answer names the model.
const probe = "a film about a ship, фильм про корабль"

// firstAnswer is how long the broker and a worker may take to be there.
const firstAnswer = 30 * time.Second

func askWorkers(ctx context.Context, broker bus.Broker, wanted string, log *slog.Logger) (*workersModel, error) {
	within, cancel := context.WithTimeout(ctx, firstAnswer)
	defer cancel()
	workers, err := broker.AskWorkers(within, log)
	if err != nil {
		return nil, err
	}
	m := &workersModel{workers: workers, version: wanted}
	first, err := m.ask(within, worker.Request{Text: probe})
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no worker answered within %s: is kassa worker running? %w", firstAnswer, err)
	}
	if err != nil {
		workers.Close()
		return nil, err
	}
	m.version = first.ModelVersion
	return m, nil
}

// ModelVersion names the model that was wanted, or the one of the worker that answered first.
func (m *workersModel) ModelVersion() string { return m.version }

// EmbedAll has the workers embed the texts side by side. It fails as a whole, also
// where the workers that answer have another model.
func (m *workersModel) EmbedAll(ctx context.Context, texts []string) ([][]float32, error) {
	vectors := make([][]float32, len(texts))
	all, within := errgroup.WithContext(ctx)
	for i, text := range texts {
		all.Go(func() error {
			answer, err := m.ask(within, worker.Request{Text: text, Film: true})
			if err != nil {
				return fmt.Errorf("embed text %d of %d: %w", i, len(texts), err)
			}
			vectors[i] = answer.Embedding
			return nil
		})
	}
	return vectors, all.Wait()
}

// otherWorkers is how often a text is given to the workers again that came to one without
// the model, one after the other.
const otherWorkers = 50

// ask asks until a worker answers that has the model.
func (m *workersModel) ask(ctx context.Context, asked worker.Request) (a worker.Answer, err error) {
	asked.Timestamp, asked.Model = time.Now(), m.version
	request, err := json.Marshal(asked)
	if err != nil {
		return a, fmt.Errorf("encode a request: %w", err)
	}
	for range otherWorkers {
		answer, failure, err := m.workers.Ask(ctx, request)
		switch {
		case err != nil:
			return a, err
		case failure != "":
			return a, fmt.Errorf("a worker cannot embed it: %q", failure)
		}
		if a, err = worker.ParseAnswer(answer); err != nil {
			return a, fmt.Errorf("read a worker's answer: %w", err)
		}
		if m.version == "" || a.ModelVersion == m.version {
			return a, nil
		}
	}
	return a, fmt.Errorf("the workers that answer have the model %s, and not %s", a.ModelVersion, m.version)
}
