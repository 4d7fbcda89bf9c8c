// Package matcher is between the log and the workers. It makes a job of each question,
// and of the worker's answer to it the films and the end of the prediction. What is there
// at once it does together: keys, entries and films are read once for many questions.
package matcher

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"kassa/catalog"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/bus"
	"kassa/vault"
	"kassa/worker"
)

// Matcher turns a worker's answer into films and settles the prediction.
type Matcher struct {
	Store     *eventstore.Store
	Vault     *vault.Vault
	Catalogue *catalog.Catalogue
	Commands  *commands.Handler
	Logger    *slog.Logger

	// Models are those of this process, for answers that cannot be compared with the films.
	Models worker.Models

	// Observer is told what was done; nil: nobody is.
	Observer Observer

	NotFoundBelow float64 // an answer of less confidence is none, and costs nothing
}

// Observer is told what a matcher has done, for metrics. Its methods must not wait.
type Observer interface {
	// Carried: the questions were published to the workers together.
	Carried(questions []domain.PredictionID, began time.Time)
	// Searched: the films for the questions were looked for together.
	Searched(questions []domain.PredictionID, began time.Time)
	// Settled: a question that was asked so long ago has ended.
	Settled(age time.Duration)
}

// question is a request of the log.
type question struct {
	domain.PredictionRequested
	at   eventstore.Position
	time time.Time
}

func (q question) ending() commands.Ending {
	return commands.Ending{User: q.User, Prediction: q.Prediction, By: "matcher", Cause: q.at}
}

// Carry publishes the jobs that events ask for. After its time a question is
// not carried: the hold expires, whatever a worker answers. After a stall, what comes
// too late would else be done first, until all that follows comes too late as well.
func (m *Matcher) Carry(b *bus.Bus) func(context.Context, []eventstore.Recorded) error {
	return func(ctx context.Context, batch []eventstore.Recorded) error {
		var open []question
		for _, rec := range batch {
			if asked, ok := rec.Event.(domain.PredictionRequested); ok && time.Now().Before(asked.ExpiresAt) {
				open = append(open, question{asked, rec.Position, rec.Time})
			}
		}
		if len(open) <= bus.MaxItems {
			return m.carry(ctx, b, open)
		}
		group, ctx := errgroup.WithContext(ctx)
		for part := range slices.Chunk(open, bus.MaxItems) {
			group.Go(func() error { return m.carry(ctx, b, part) })
		}
		return group.Wait()
	}
}

func (m *Matcher) carry(ctx context.Context, b *bus.Bus, questions []question) error {
	if len(questions) == 0 {
		return nil
	}
	if err := m.readKeys(ctx, questions); err != nil {
		return err
	}
	var items []bus.Item
	for _, q := range questions {
		text, err := m.Vault.OpenText(ctx, q.User, q.Prediction, q.Text)
		switch {
		case errors.Is(err, vault.ErrErased):
			_, err = m.Commands.Fail(ctx, q.ending(), domain.FailedErased)
		case errors.Is(err, vault.ErrUnreadable): // or one damaged key would hold up all questions after it
			m.Logger.ErrorContext(ctx, "a question cannot be read", "error", err)
			_, err = m.Commands.Fail(ctx, q.ending(), domain.FailedWorker)
		case err == nil:
			var request []byte
			request, err = json.Marshal(worker.Request{Text: m.Catalogue.Read(text).Embedded(), Timestamp: q.time, Model: m.Catalogue.Model()})
			items = append(items, bus.Item{Job: bus.Job{Prediction: string(q.Prediction), Position: q.at}, Until: q.ExpiresAt, Body: request})
		}
		if err != nil {
			return fmt.Errorf("make a job of the question at position %d: %w", q.at, err)
		}
	}
	if len(items) == 0 {
		return nil // and no bus is needed
	}
	began := time.Now()
	if err := b.PublishWork(items...); err != nil {
		return err
	}
	if m.Observer != nil {
		m.Observer.Carried(idsOf(questions), began)
	}
	return nil
}

func idsOf(questions []question) []domain.PredictionID {
	ids := make([]domain.PredictionID, len(questions))
	for i, q := range questions {
		ids[i] = q.Prediction
	}
	return ids
}

// readKeys reads the keys of the texts together.
func (m *Matcher) readKeys(ctx context.Context, questions []question) error {
	users := make([]domain.UserID, len(questions))
	for i, q := range questions {
		users[i] = q.User
	}
	return m.Vault.ReadKeys(ctx, users)
}

// Embed does jobs with the models of this process.
func Embed(models ...*worker.Embedder) func(context.Context, [][]byte) []bus.Outcome {
	return func(ctx context.Context, requests [][]byte) []bus.Outcome {
		answers, faults := worker.Models(models).Handle(ctx, requests)
		outcomes := make([]bus.Outcome, len(requests))
		for i, err := range faults {
			switch {
			case errors.Is(err, worker.ErrNoMeaning):
				outcomes[i].Failure = string(domain.FailedNoMeaning)
			case errors.Is(err, worker.ErrBadRequest):
				outcomes[i].Failure = string(domain.FailedWorker)
			default:
				outcomes[i] = bus.Outcome{Answer: answers[i], Err: err}
			}
		}
		return outcomes
	}
}

// Questions reads from the log what messages are about, and whose it is. A message
// only names its question: where the log has none of that name there, it is missing.
func Questions(ctx context.Context, store *eventstore.Store, jobs []bus.Job) (map[bus.Job]eventstore.Recorded, error) {
	positions := make([]eventstore.Position, len(jobs))
	for i, j := range jobs {
		positions[i] = j.Position
	}
	entries, err := store.RecentAt(ctx, positions)
	if err != nil {
		return nil, err
	}
	found := make(map[bus.Job]eventstore.Recorded, len(jobs))
	for _, j := range jobs {
		rec, ok := entries[j.Position]
		if asked, is := rec.Event.(domain.PredictionRequested); ok && is && string(asked.Prediction) == j.Prediction {
			found[j] = rec
		}
	}
	return found, nil
}

// settlement is a question whose answer has come, on its way to its end.
type settlement struct {
	question
	words  bool          // the model knows none of its words
	text   string        // as a model embeds it
	vector worker.Answer // of no use with words
	reason domain.FailureReason
	found  catalog.Found
	err    error
}

// Settle ends the predictions of jobs, and gives for each what was wrong. A second
// answer, or one that comes after the hold's expiry, changes nothing.
func (m *Matcher) Settle(ctx context.Context, items []bus.Item) []error {
	faults := make([]error, len(items))
	list, err := m.read(ctx, items)
	if err != nil {
		for i := range faults {
			faults[i] = err
		}
		return faults
	}
	m.find(ctx, list)
	var all sync.WaitGroup // side by side, so that they are committed together
	for i, s := range list {
		all.Go(func() {
			if faults[i] = m.end(ctx, s); faults[i] == nil && m.Observer != nil {
				m.Observer.Settled(time.Since(s.time))
			}
		})
	}
	all.Wait()
	return faults
}

// read finds the questions in the log, and the answers of the workers.
func (m *Matcher) read(ctx context.Context, items []bus.Item) ([]*settlement, error) {
	jobs := make([]bus.Job, len(items))
	for i, item := range items {
		jobs[i] = item.Job
	}
	entries, err := Questions(ctx, m.Store, jobs)
	if err != nil {
		return nil, fmt.Errorf("read the questions of %d answers: %w", len(items), err)
	}
	list := make([]*settlement, len(items))
	for i, item := range items {
		s := &settlement{}
		list[i] = s
		rec, ok := entries[item.Job]
		if !ok {
			s.err = bus.Permanent(fmt.Errorf("the log has no such request at position %d", item.Position))
			continue
		}
		s.question = question{rec.Event.(domain.PredictionRequested), rec.Position, rec.Time}
		switch item.Failure {
		case "":
			if s.vector, err = worker.ParseAnswer(item.Body); err != nil {
				s.err = bus.Permanent(fmt.Errorf("read the worker's answer at position %d: %w", item.Position, err))
			}
		case string(domain.FailedNoMeaning):
			s.words = true
		default: // also a word that no worker of ours sends: the log keeps nothing of it
			s.reason = domain.FailedWorker
		}
	}
	return list, nil
}

// find looks for the films that fit the questions.
func (m *Matcher) find(ctx context.Context, list []*settlement) {
	var asked []*settlement
	var questions []question
	for _, s := range list {
		if s.err == nil && s.reason == "" {
			asked, questions = append(asked, s), append(questions, s.question)
		}
	}
	err := m.readKeys(ctx, questions)
	queries := make([]catalog.Query, len(asked))
	for i, s := range asked {
		if s.err = err; err != nil {
			continue
		}
		text, err := m.Vault.OpenText(ctx, s.User, s.Prediction, s.Text)
		if err != nil && !vault.Lost(err) { // without its words, the vector must do
			s.err = err
		}
		q := m.Catalogue.Read(text)
		s.text = q.Embedded()
		queries[i] = catalog.Query{Model: s.vector.ModelVersion, Vector: s.vector.Embedding, Text: q.Text, Typed: text, Conditions: q.Filters, Limit: s.Limit}
		if s.FollowUp != nil {
			queries[i].Excluded = s.FollowUp.Excluded
		}
	}
	m.findAll(ctx, asked, queries)
	m.findUnknown(ctx, asked, queries)
}

func (m *Matcher) findAll(ctx context.Context, asked []*settlement, queries []catalog.Query) {
	began := time.Now()
	found, faults := m.Catalogue.FindAll(ctx, queries)
	if m.Observer != nil && len(queries) > 0 {
		questions := make([]question, len(asked))
		for i, s := range asked {
			questions[i] = s.question
		}
		m.Observer.Searched(idsOf(questions), began)
	}
	for i, s := range asked {
		if s.err == nil {
			s.found, s.err = found[i], faults[i]
		}
	}
}

// findUnknown looks again for the films of questions whose vector is of a model that the
// films have no vectors of, or not all of them yet: a worker may have its new model before
// the films do. They are embedded here, or their words must do.
func (m *Matcher) findUnknown(ctx context.Context, asked []*settlement, queries []catalog.Query) {
	var again []*settlement
	var changed []catalog.Query
	for i, s := range asked {
		if !errors.Is(s.err, catalog.ErrModel) {
			continue
		}
		q := queries[i]
		s.vector, s.err = m.embed(ctx, s.text), nil
		q.Model, q.Vector = s.vector.ModelVersion, s.vector.Embedding
		again, changed = append(again, s), append(changed, q)
	}
	m.findAll(ctx, again, changed)
}

// embed embeds a question with a model of this process that the films can be compared
// with. The answer is empty where there is none.
func (m *Matcher) embed(ctx context.Context, text string) worker.Answer {
	for _, e := range m.Models {
		if !m.Catalogue.Compares(e.ModelVersion()) {
			continue
		}
		if answer, err := e.Embed(ctx, text); err == nil {
			return answer
		}
	}
	return worker.Answer{}
}

// end captures the price for films, and gives it back where there are none.
func (m *Matcher) end(ctx context.Context, s *settlement) error {
	switch {
	case errors.Is(s.err, catalog.ErrVector):
		return bus.Permanent(fmt.Errorf("match the request at position %d: %w", s.at, s.err))
	case s.err != nil:
		return fmt.Errorf("settle the request at position %d: %w", s.at, s.err)
	case s.reason == "" && s.words && s.found.Confidence < max(m.NotFoundBelow, catalog.NotFoundBelow):
		s.reason = domain.FailedNoMeaning
	case s.reason == "" && !s.words && s.found.Confidence < m.NotFoundBelow && (s.FollowUp == nil || len(s.found.Matches) == 0):
		// A follow-up is shown however unsure it is: it is paid for, and without the best film
		// the next ones always are.
		s.reason = domain.FailedNotFound
	}
	if s.reason != "" {
		_, err := m.Commands.Fail(ctx, s.ending(), s.reason)
		return err
	}
	return m.complete(ctx, s)
}

// wordsAlone is in an answer for the model where none was of use: a title in another
// script, a name. It counts where the words are sure of a film.
const wordsAlone = "words-alone"

func (m *Matcher) complete(ctx context.Context, s *settlement) error {
	_, err := m.Commands.Complete(ctx, s.ending(), domain.Answer{Movies: matchesOf(s.found), Model: cmp.Or(s.vector.ModelVersion, wordsAlone),
		Catalogue: m.Catalogue.Version(), ProcessingTime: s.vector.ProcessingTime, Confidence: s.found.PerMille()})
	if errors.Is(err, domain.ErrAnswer) {
		err = bus.Permanent(err)
	}
	return err
}

func matchesOf(found catalog.Found) []domain.Match {
	movies := make([]domain.Match, len(found.Matches))
	for i, f := range found.Matches {
		movies[i] = domain.Match(f)
	}
	return movies
}
