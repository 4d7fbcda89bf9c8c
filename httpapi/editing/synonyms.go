package editing

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"kassa/catalog"
	"kassa/domain"
	"kassa/httpapi/deadline"
	"kassa/httpapi/problem"
)

// synonymsMost is how many groups of words there can be: each is read with every change of
// the catalogue.
const synonymsMost = 1000

// wordsMost is how many words of a group can be sent, the same ones counted too.
const wordsMost = 50

// How synonyms are changed, as the security log has it.
const (
	addedSynonyms   catalog.EditionKind = "synonyms_added"
	removedSynonyms catalog.EditionKind = "synonyms_removed"
)

// group is the group of these words.
func group(words []string) (catalog.Synonyms, error) {
	if len(words) > wordsMost {
		return catalog.Synonyms{}, domain.Reject(problem.InvalidSynonyms, "at most %d words may be in a group", wordsMost)
	}
	g, err := catalog.NewSynonyms(words...)
	if errors.Is(err, catalog.ErrSynonyms) {
		return g, domain.Reject(problem.InvalidSynonyms, "%v", err)
	}
	return g, err
}

func hasGroup(list []catalog.Synonyms, id string) bool {
	return slices.ContainsFunc(list, func(g catalog.Synonyms) bool { return g.ID == id })
}

// AddSynonyms adds a group of words that mean the same. One that is there already is no
// change.
func (e *Editor) AddSynonyms(ctx context.Context, by domain.UserID, words []string) (catalog.Synonyms, error) {
	g, err := group(words)
	if err != nil {
		return g, err
	}
	ctx, cancel := deadline.Detached(ctx)
	defer cancel()
	there, err := e.Catalogue.Synonyms(ctx)
	if err != nil {
		return g, err
	}
	if hasGroup(there, g.ID) { // nothing is written: each change has every process read the catalogue
		return g, nil
	}
	if len(there) >= synonymsMost {
		return g, domain.Reject(problem.TooManySynonyms, "there are %d groups of words, and no more can be added", len(there))
	}
	added, err := e.Catalogue.AddSynonyms(ctx, g)
	if added {
		err = e.synonymsChanged(ctx, by, addedSynonyms, err)
	}
	return g, err
}

// RemoveSynonyms removes a group of words by its id.
func (e *Editor) RemoveSynonyms(ctx context.Context, by domain.UserID, id string) error {
	ctx, cancel := deadline.Detached(ctx)
	defer cancel()
	there, err := e.Catalogue.Synonyms(ctx)
	if err != nil {
		return err
	}
	removed := hasGroup(there, id)
	if removed {
		removed, err = e.Catalogue.RemoveSynonyms(ctx, id)
	}
	switch {
	case removed:
		return e.synonymsChanged(ctx, by, removedSynonyms, err)
	case err != nil:
		return err
	}
	return domain.Reject(problem.SynonymsNotFound, "there is no such group of words")
}

// synonymsChanged records a change that is stored, whatever failed after it, and waits for the
// other processes as done does.
func (e *Editor) synonymsChanged(ctx context.Context, by domain.UserID, how catalog.EditionKind, err error) error {
	if e.Record != nil {
		e.Record(ctx, by, catalog.Edition{Kind: how})
	}
	if err == nil {
		_, _, err = e.Catalogue.Await(ctx, e.wait())
	}
	return err
}

// trials lets one trial of synonyms at a time build its index, which is as large as that of
// the catalogue.
type trials struct {
	once sync.Once
	one  *semaphore.Weighted
}

const trialWaitDefault = 2 * time.Second

// begin waits for the trial before this one. The caller calls end.
func (t *trials) begin(ctx context.Context, wait time.Duration) (end func(), err error) {
	t.once.Do(func() { t.one = semaphore.NewWeighted(1) })
	within, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := t.one.Acquire(within, 1); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, domain.Reject(problem.Unavailable, "another group of words is being tried; nothing was done, try again in a moment")
	}
	return func() { t.one.Release(1) }, nil
}

// TrySynonyms is Try without a group of words and with it.
func (e *Editor) TrySynonyms(ctx context.Context, words []string, text string) (now, with Tried, err error) {
	g, err := group(words)
	if err != nil {
		return now, with, err
	}
	end, err := e.trials.begin(ctx, cmp.Or(e.TrialWait, trialWaitDefault))
	if err != nil {
		return now, with, err
	}
	defer end()
	if now, err = e.Try(ctx, text, ""); err != nil {
		return now, with, err
	}
	with, err = e.try(ctx, e.Catalogue.WithSynonyms(g), text, "")
	return now, with, err
}
