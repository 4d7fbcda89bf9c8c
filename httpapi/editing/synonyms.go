package editing

import (
	"context"
	"errors"
	"slices"

	"kassa/catalog"
	"kassa/domain"
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
	if err == nil && added {
		err = e.synonymsChanged(ctx, by, addedSynonyms)
	}
	return g, err
}

// RemoveSynonyms removes a group of words by its id.
func (e *Editor) RemoveSynonyms(ctx context.Context, by domain.UserID, id string) error {
	there, err := e.Catalogue.Synonyms(ctx)
	if err != nil {
		return err
	}
	removed := hasGroup(there, id)
	if removed {
		removed, err = e.Catalogue.RemoveSynonyms(ctx, id)
	}
	if err == nil && !removed {
		return domain.Reject(problem.SynonymsNotFound, "there is no such group of words")
	}
	if err == nil {
		err = e.synonymsChanged(ctx, by, removedSynonyms)
	}
	return err
}

// synonymsChanged records a change, and waits for the other processes as done does.
func (e *Editor) synonymsChanged(ctx context.Context, by domain.UserID, how catalog.EditionKind) error {
	if e.Record != nil {
		e.Record(ctx, by, catalog.Edition{Kind: how})
	}
	_, _, err := e.Catalogue.Await(ctx, e.wait())
	return err
}

// TrySynonyms is Try without a group of words and with it.
func (e *Editor) TrySynonyms(ctx context.Context, words []string, text string) (now, with Tried, err error) {
	g, err := group(words)
	if err != nil {
		return now, with, err
	}
	if now, err = e.Try(ctx, text, ""); err != nil {
		return now, with, err
	}
	with, err = e.try(ctx, e.Catalogue.WithSynonyms(g), text, "")
	return now, with, err
}
