package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/app"
	"kassa/internal/bus"
	"kassa/internal/matcher"
)

// deadLettersCommand is about messages that failed for good.
type deadLettersCommand struct {
	dataSettings
	brokerSettings
	List  listDeadLetters  `cmd:"" help:"List the messages that failed for good, the oldest first. What they said is not kept, only what they were about."`
	Show  showDeadLetter   `cmd:"" help:"Show one, and what became of its question in the ledger."`
	Retry retryDeadLetters `cmd:"" help:"Ask the workers once more where a question is still open; the record is dropped then. A question that has ended stays as it ended: its credits came back."`
	Drop  dropDeadLetters  `cmd:"" help:"Drop records; the ledger stays as it is."`
}

var errNoDeadLetters = errors.New("--amqp-url is missing: dead letters are kept at RabbitMQ; without it the log of the process names them")

// records connects to the broker where the records are.
func (d deadLettersCommand) records() (*bus.DeadLetters, error) {
	broker, err := d.broker("deadletters")
	if err != nil {
		return nil, err
	}
	if broker == nil {
		return nil, errNoDeadLetters
	}
	return broker.DeadLetters(), nil
}

// chosen are the records that a command is about.
type chosen struct {
	ID  []string `arg:"" optional:"" help:"Ids, as list prints them."`
	All bool     `help:"All of them."`
}

// Validate is called by the command line.
func (w chosen) Validate() error {
	if (len(w.ID) > 0) == w.All {
		return errors.New("name the records by their ids, or say --all")
	}
	return nil
}

func (w chosen) has(id string) bool { return w.All || slices.Contains(w.ID, id) }

// each calls handle for the chosen records, and fails where one that was named is not there.
func (w chosen) each(ctx context.Context, d deadLettersCommand, handle func(bus.DeadLetter) (drop bool, err error)) (err error) {
	records, err := d.records()
	if err != nil {
		return err
	}
	defer records.Close()
	found := map[string]bool{}
	err = records.Each(ctx, func(l bus.DeadLetter) (bool, error) {
		if !w.has(l.ID) {
			return false, nil
		}
		found[l.ID] = true
		return handle(l)
	})
	for _, id := range w.ID {
		if err == nil && !found[id] {
			err = fmt.Errorf("there is no dead letter %s: kassa deadletters list", id)
		}
	}
	return err
}

type listDeadLetters struct{}

func (listDeadLetters) Run(ctx context.Context, c *console, line *commandLine) (err error) {
	records, err := line.DeadLetters.records()
	if err != nil {
		return err
	}
	defer records.Close()
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tWHEN\tFROM\tREASON\tPOSITION\tSETTLED")
	err = records.Each(ctx, func(l bus.DeadLetter) (bool, error) {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%t\n", l.ID, l.At.UTC().Format(time.DateTime), l.From, l.Reason, l.Position, l.Settled)
		return false, nil
	})
	return errors.Join(err, table.Flush())
}

type showDeadLetter struct{ chosen }

func (s showDeadLetter) Run(ctx context.Context, c *console, line *commandLine) error {
	l, err := line.DeadLetters.openToRead(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	return s.each(ctx, line.DeadLetters, func(record bus.DeadLetter) (bool, error) {
		q, err := findQuestion(ctx, l.Store, record)
		if err != nil {
			return false, err
		}
		show(c.out, record, q)
		return false, nil
	})
}

func show(w io.Writer, l bus.DeadLetter, q outcome) {
	fmt.Fprintf(w, "%s\n  failed       %s, as %s: %s\n", l.ID, l.At.UTC().Format(time.DateTime), l.From, l.Reason)
	fmt.Fprintf(w, "  prediction   %s, position %d\n", l.Prediction, l.Position)
	if q.asked == nil {
		fmt.Fprintln(w, "  ledger       has no such question there")
		return
	}
	fmt.Fprintf(w, "  asked        %s by %s, %d credits, until %s\n", q.at.UTC().Format(time.DateTime), q.asked.User, q.asked.Price, q.asked.ExpiresAt.Format(time.DateTime))
	if q.end == nil {
		fmt.Fprintln(w, "  ledger       it is still open")
		return
	}
	fmt.Fprintf(w, "  ledger       it ended at position %d: %s\n", q.end.Position, q.end.Type)
}

// outcome is what the ledger has of the question of a dead letter.
type outcome struct {
	asked    *domain.PredictionRequested // nil where the ledger has no such question
	at       time.Time
	recorded eventstore.Recorded
	end      *eventstore.Recorded // nil while it is open
}

func findQuestion(ctx context.Context, store *eventstore.Store, l bus.DeadLetter) (q outcome, err error) {
	job := bus.Job{Prediction: l.Prediction, Position: l.Position}
	found, err := matcher.Questions(ctx, store, []bus.Job{job})
	if err != nil {
		return q, err
	}
	rec, ok := found[job]
	if !ok {
		return q, nil
	}
	asked := rec.Event.(domain.PredictionRequested)
	q = outcome{asked: &asked, at: rec.Time, recorded: rec}
	for after := rec.Version; ; {
		list, err := store.Stream(ctx, rec.Stream, after, 500)
		if err != nil || len(list) == 0 {
			return q, err
		}
		for _, later := range list {
			after = later.Version
			if endedBy(later.Event) == asked.Prediction {
				q.end = &later
				return q, nil
			}
		}
	}
}

// endedBy is the prediction that an event ends, or "".
func endedBy(e domain.Event) domain.PredictionID {
	switch e := e.(type) {
	case domain.PredictionCompleted:
		return e.Prediction
	case domain.PredictionFailed:
		return e.Prediction
	case domain.PredictionExpired:
		return e.Prediction
	}
	return ""
}

type retryDeadLetters struct{ chosen }

func (r retryDeadLetters) Run(ctx context.Context, c *console, line *commandLine) (err error) {
	broker, err := line.DeadLetters.broker("deadletters")
	if err != nil {
		return err
	}
	if broker == nil {
		return errNoDeadLetters
	}
	l, err := line.DeadLetters.openExisting(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	carrier, err := broker.Open(ctx, c.log)
	if err != nil {
		return err
	}
	defer carrier.Close()
	films, err := l.Films(ctx) // a question is read with their words before it goes out
	if err != nil {
		return err
	}
	carry := (&matcher.Matcher{Store: l.Store, Vault: l.Vault, Catalogue: films, Commands: l.Commands(app.Terms{}), Logger: c.log}).Carry(carrier)
	return r.each(ctx, line.DeadLetters, func(record bus.DeadLetter) (bool, error) {
		q, err := findQuestion(ctx, l.Store, record)
		switch {
		case err != nil:
			return false, err
		case q.asked == nil:
			fmt.Fprintf(c.out, "%s: the ledger has no such question; drop it\n", record.ID)
			return false, nil
		case q.end != nil:
			fmt.Fprintf(c.out, "%s: its question has ended (%s at position %d); drop it\n", record.ID, q.end.Type, q.end.Position)
			return false, nil
		case !time.Now().Before(q.asked.ExpiresAt):
			fmt.Fprintf(c.out, "%s: its question's time is up, and its credits come back\n", record.ID)
			return false, nil
		}
		if err := carry(ctx, []eventstore.Recorded{q.recorded}); err != nil {
			return false, err
		}
		fmt.Fprintf(c.out, "%s: the workers are asked once more\n", record.ID)
		return true, nil
	})
}

type dropDeadLetters struct{ chosen }

func (d dropDeadLetters) Run(ctx context.Context, c *console, line *commandLine) error {
	return d.each(ctx, line.DeadLetters, func(l bus.DeadLetter) (bool, error) {
		fmt.Fprintf(c.out, "%s: dropped\n", l.ID)
		return true, nil
	})
}
