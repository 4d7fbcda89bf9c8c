package eventstoretest

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"kassa/domain"
	"kassa/eventstore"
)

// Fill makes a long log quickly, for measurements: of every 20 entries 8 are deposits, 8 their
// claims, 2 questions and 2 their answers. Its people each have 60 entries or so, but for
// the first of all, LongestWallet, who has a tenth of the log.
func Fill(ctx context.Context, store *eventstore.Store, size eventstore.Position) error {
	const writers = 64
	people := max(1, int(size)/60/writers)
	g, ctx := errgroup.WithContext(ctx)
	for writer := range writers {
		g.Go(func() error {
			return fill(ctx, store, NewWorkload(uint64(writer+1), people), size/writers, writer == 0, size/10)
		})
	}
	return g.Wait()
}

// LongestWallet is the first person of a log that Fill made.
const LongestWallet domain.UserID = "u_1_1"

// fill is one writer of Fill.
func fill(ctx context.Context, store *eventstore.Store, w *Workload, entries eventstore.Position, first bool, longest eventstore.Position) error {
	appends := func(a eventstore.Append) (eventstore.Receipt, error) {
		r, err := store.Append(ctx, a)
		entries -= eventstore.Position(len(r.Events))
		return r, err
	}
	for n := range w.size {
		w.appends++
		if _, err := appends(w.signUp()); err != nil {
			return err
		}
		for first && n == 0 && longest > 0 {
			before := entries
			if err := w.visit(w.people[0], 100, 4, appends); err != nil {
				return err
			}
			longest -= before - entries
		}
	}
	for n := 0; entries > 0; n++ {
		if err := w.visit(w.people[n%len(w.people)], 8, 2, appends); err != nil {
			return err
		}
	}
	return nil
}

// visit is a person who deposits, asks and is answered.
func (t *Workload) visit(p *person, deposits, questions int, appends func(eventstore.Append) (eventstore.Receipt, error)) error {
	t.now, t.appends = t.now.Add(20*time.Second), t.appends+1
	w := p.next()
	for range deposits {
		p.acts++
		w.Events = append(w.Events, p.done(p.Deposit(5, "sandbox", fmt.Sprintf("pay_%s_%d", p.User, p.acts)))...)
	}
	for range questions {
		p.acts++
		w.Events = append(w.Events, p.done(p.RequestPrediction(domain.Question{Prediction: domain.PredictionID(fmt.Sprintf("p_%012d_%s", p.acts, p.User)),
			Text: domain.Sealed("a sealed question about a film with a whale in it"), Price: 5, Limit: 10, ExpiresAt: t.now.Add(2 * time.Minute)}))...)
	}
	r, err := appends(t.by("user:"+string(p.User), append(ClaimsOf(w.Events), w)...))
	if err != nil {
		return err
	}
	for _, rec := range r.Events {
		if asked, ok := rec.Event.(domain.PredictionRequested); ok {
			w := p.next()
			w.Events = p.done(p.Complete(asked.Prediction, domain.Answer{Model: "town-1", Catalogue: "films-1", ProcessingTime: 0.004, Confidence: 830,
				Movies: []domain.Match{{MovieID: "jaws-1975", Score: 0.71}, {MovieID: "moby-dick-1956", Score: 0.93}}}))
			if _, err := appends(eventstore.Append{Time: t.now, Actor: "system:matcher", Cause: eventstore.ByPosition(rec.Position), Writes: []eventstore.Write{w}}); err != nil {
				return err
			}
		}
	}
	return nil
}
