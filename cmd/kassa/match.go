package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"kassa/catalog"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/bus"
	"kassa/vault"
	"kassa/worker"
)

// matcher turns a worker's answer into films and settles the prediction.
type matcher struct {
	store     *eventstore.Store
	vault     *vault.Vault
	catalogue *catalog.Catalogue
	commands  *commands.Handler
	log       *slog.Logger
}

// carry publishes the errand of an event, where it asks for one. After its time it is
// not carried: the hold expires, whatever a worker says. After a stall, what comes
// too late would else be done first, until all that follows comes too late as well.
func (m *matcher) carry(b *bus.Bus) func(context.Context, eventstore.Recorded) error {
	return func(ctx context.Context, rec eventstore.Recorded) error {
		asked, ok := rec.Event.(domain.PredictionRequested)
		if !ok || !time.Now().Before(asked.ExpiresAt) {
			return nil
		}
		errand := bus.Errand{Prediction: string(asked.Prediction), Position: rec.Position}
		text, err := m.vault.OpenText(ctx, asked.User, asked.Prediction, asked.Text)
		switch {
		case errors.Is(err, vault.ErrErased):
			_, err := m.commands.Fail(ctx, ending(asked, rec.Position), domain.FailedErased)
			return err
		case errors.Is(err, vault.ErrUnreadable): // or one damaged key would hold up all questions after it
			m.log.ErrorContext(ctx, "a question cannot be read", "error", err)
			_, err := m.commands.Fail(ctx, ending(asked, rec.Position), domain.FailedWorker)
			return err
		case err != nil:
			return err
		}
		request, err := json.Marshal(worker.Request{Text: text, Timestamp: rec.Time})
		if err != nil {
			return fmt.Errorf("encode a request: %w", err)
		}
		return b.PublishWork(errand, request, asked.ExpiresAt)
	}
}

// embed answers an errand with the model of this process.
func embed(model *worker.Embedder) func(context.Context, []byte) ([]byte, string, error) {
	return func(ctx context.Context, request []byte) ([]byte, string, error) {
		answer, err := model.Handle(ctx, request)
		switch {
		case errors.Is(err, worker.ErrNoMeaning):
			return nil, string(domain.FailedNoMeaning), nil
		case errors.Is(err, worker.ErrBadRequest):
			return nil, string(domain.FailedWorker), nil
		}
		return answer, "", err
	}
}

// settle ends the prediction of an errand. A second answer, or one that comes
// after the hold's expiry, changes nothing.
func (m *matcher) settle(ctx context.Context, e bus.Errand, answer []byte, failure string) error {
	asked, _, err := requestAt(ctx, m.store, e.Position, domain.PredictionID(e.Prediction))
	if err != nil {
		return err
	}
	end := ending(asked, e.Position)
	if failure != "" {
		reason := domain.FailedWorker // also for a word that no worker of ours says: the log keeps nothing of it
		if failure == string(domain.FailedNoMeaning) {
			reason = domain.FailedNoMeaning
		}
		_, err := m.commands.Fail(ctx, end, reason)
		return err
	}
	vector, err := worker.ParseAnswer(answer)
	if err != nil {
		return bus.Permanent(fmt.Errorf("read the worker's answer at position %d: %w", e.Position, err))
	}
	movies, err := m.match(ctx, asked, vector)
	if errors.Is(err, catalog.ErrModel) || errors.Is(err, catalog.ErrVector) {
		err = bus.Permanent(err)
	}
	if err != nil {
		return fmt.Errorf("match the request at position %d: %w", e.Position, err)
	}
	_, err = m.commands.Complete(ctx, end, domain.Answer{Movies: movies, Model: vector.ModelVersion,
		Catalogue: m.catalogue.Version(), ProcessingTime: vector.ProcessingTime})
	if errors.Is(err, domain.ErrAnswer) {
		err = bus.Permanent(err)
	}
	return err
}

func ending(asked domain.PredictionRequested, at eventstore.Position) commands.Ending {
	return commands.Ending{User: asked.User, Prediction: asked.Prediction, By: "matcher", Cause: at}
}

// requestAt reads from the log what a message is about, and whose it is. The message
// only names it: where the log has nothing of that name there, it settles nothing.
func requestAt(ctx context.Context, store *eventstore.Store, at eventstore.Position, id domain.PredictionID) (domain.PredictionRequested, eventstore.Recorded, error) {
	none := bus.Permanent(fmt.Errorf("the log has no such request at position %d", at))
	if at < 1 {
		return domain.PredictionRequested{}, eventstore.Recorded{}, none
	}
	list, err := store.After(ctx, at-1, 1)
	if err != nil {
		return domain.PredictionRequested{}, eventstore.Recorded{}, fmt.Errorf("read the request at position %d: %w", at, err)
	}
	if len(list) == 1 && list[0].Position == at {
		if asked, ok := list[0].Event.(domain.PredictionRequested); ok && asked.Prediction == id {
			return asked, list[0], nil
		}
	}
	return domain.PredictionRequested{}, eventstore.Recorded{}, none
}

// match finds the films nearest to the request.
func (m *matcher) match(ctx context.Context, asked domain.PredictionRequested, vector worker.Answer) ([]domain.Match, error) {
	text, err := m.vault.OpenText(ctx, asked.User, asked.Prediction, asked.Text)
	if err != nil && !vault.Lost(err) { // without its words, the vector must do
		return nil, err
	}
	found, err := m.catalogue.Nearest(ctx, catalog.Query{Model: vector.ModelVersion, Vector: vector.Embedding, Text: text, Limit: asked.Limit})
	if err != nil {
		return nil, err
	}
	movies := make([]domain.Match, len(found))
	for i, f := range found {
		movies[i] = domain.Match{Movie: f.MovieID, Score: f.Score}
	}
	return movies, nil
}
