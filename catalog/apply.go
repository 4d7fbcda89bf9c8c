package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Apply makes a plan true, all of it or nothing, with a vector of the model for each film.
// Those of other models are the task of Fill. A plan that does not begin with what is stored
// is refused with ErrStale. The edition says who made it, and how; one with a number was
// made, whatever the error is.
func (c *Catalogue) Apply(ctx context.Context, p Plan, e Edition, model Embedder) (Edition, error) {
	if err := c.embedChanges(ctx, p.Changes, model); err != nil {
		return Edition{}, fmt.Errorf("edit films: %w", err)
	}
	e.At, e.Films, e.Undoable = time.Now().UTC(), len(p.Changes), true
	number, err := c.store.apply(ctx, model.ModelVersion(), e, p.Changes)
	if errors.Is(err, ErrUnknown) && c.made(ctx, e, number) {
		err = nil
	}
	if err != nil {
		return Edition{}, fmt.Errorf("edit films: %w", err)
	}
	e.Number = number
	select {
	case c.edited <- struct{}{}:
	default: // Fill has not begun with the one before
	}
	return e, c.refresh(ctx)
}

// lookAfter is for how long a change of an unknown outcome is looked for.
const lookAfter = 3 * time.Second

// made reports whether an edition is stored under a number.
func (c *Catalogue) made(ctx context.Context, e Edition, number int64) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookAfter)
	defer cancel()
	list, err := c.store.editions(ctx, editionsKept)
	return err == nil && slices.ContainsFunc(list, func(there Edition) bool {
		return there.Number == number && there.By == e.By && there.Kind == e.Kind && there.At.Unix() == e.At.Unix()
	})
}

// fillAgain is how long Fill waits after a failure.
const fillAgain = time.Minute

// Fill gives films vectors of the models that they lack, and builds the indexes of vectors,
// after each edition until ctx ends. It calls ended with how that went. What failed is tried
// again a minute later, or with the next edition.
func (c *Catalogue) Fill(ctx context.Context, models []Embedder, ended func(error)) error {
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.edited:
		case <-again:
		}
		again = nil
		err := c.fill(ctx, models)
		if ctx.Err() != nil { // the next start does the rest
			return nil
		}
		if ended(err); err != nil {
			again = time.After(fillAgain)
		}
	}
}

func (c *Catalogue) fill(ctx context.Context, models []Embedder) error {
	var faults []error
	stored := false
	for _, model := range models {
		how := newImporting(c.store, model, true, nil)
		how.present = c.present
		_, err := how.run(ctx, listed(nil))
		faults = append(faults, err)
		stored = stored || how.done > 0 || how.completed
	}
	if stored {
		faults = append(faults, c.refresh(ctx))
	}
	return errors.Join(faults...)
}

// embedChanges computes what is stored for the films of a plan.
func (c *Catalogue) embedChanges(ctx context.Context, changes []Change, model Embedder) (err error) {
	var items []item
	var at []int
	for n, change := range changes {
		if change.After == nil {
			continue
		}
		it := item{movie: *change.After, own: change.willBe, changes: changed}
		if it.content, it.hash, err = it.movie.content(); err != nil {
			return fmt.Errorf("encode film %s: %w", change.ID, err)
		}
		items, at = append(items, it), append(at, n)
	}
	how := newImporting(c.store, model, true, nil)
	for batch := range slices.Chunk(items, batchFilms) {
		if err := how.embed(ctx, batch); err != nil {
			return err
		}
	}
	for n := range items {
		changes[at[n]].replaces = &items[n]
	}
	return nil
}
