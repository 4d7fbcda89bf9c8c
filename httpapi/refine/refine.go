// Package refine makes the command that refines an answer, for the API and the pages.
package refine

import (
	"context"
	"slices"

	"kassa/catalog"
	"kassa/catalog/question"
	"kassa/commands"
	"kassa/domain"
	"kassa/projections"
	"kassa/vault"
)

// Vault decrypts questions.
type Vault interface {
	OpenText(ctx context.Context, u domain.UserID, p domain.PredictionID, sealed domain.Sealed) (string, error)
}

// Films is the catalogue.
type Films interface {
	Movie(id string) (catalog.Movie, bool)
}

// Of is the command that refines an answer of the person: its question with what is said now,
// without the films that are not the one. The question of an answer never changes, so a view is
// enough to read it; that it may be refined, and that it has these films, is decided by the
// command. The error is a refusal where the question is erased.
func Of(ctx context.Context, keys Vault, films Films, p projections.Prediction, said string, notThese []string) (commands.Refine, error) {
	notThese = slices.Clone(notThese)
	slices.Sort(notThese)
	notThese = slices.Compact(notThese)
	text, err := keys.OpenText(ctx, p.User, p.ID, p.Text)
	if vault.Lost(err) {
		return commands.Refine{}, domain.Reject(domain.ConversationClosed, "the question of this answer cannot be read any more")
	}
	if err != nil {
		return commands.Refine{}, err
	}
	f := commands.Refine{User: p.User, Answer: p.ID, Question: text, Said: said, NotThese: notThese, Sent: said}
	if len(p.Movies) > 0 {
		film, _ := films.Movie(p.Movies[0].MovieID)
		f.Said = question.Relative(said, film.Year)
	}
	return f, nil
}
