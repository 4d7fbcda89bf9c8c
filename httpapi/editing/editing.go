// Package editing changes the catalogue for the pages and the API of admins: one film by a
// form, many by a file, the last change back, and questions that are tried without a charge.
// Films come in as by kassa catalog import: held to the same rules, with vectors of the
// models of this process, and for every process that answers.
package editing

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"kassa/catalog"
	"kassa/domain"
	"kassa/httpapi/deadline"
	"kassa/httpapi/problem"
)

// Editor changes the catalogue. All fields but Record are required.
type Editor struct {
	Catalogue *catalog.Catalogue
	// Models embed films: first the one that questions are asked of.
	Models func() []catalog.Embedder
	// Embed turns a question into a vector; without one it is found by its words.
	Embed func(ctx context.Context, text string) (model string, vector []float32, err error)
	// Record notes who has changed the catalogue; nil: nobody does.
	Record func(ctx context.Context, by domain.UserID, e catalog.Edition)
	// NotFoundBelow is the confidence from which an answer is charged.
	NotFoundBelow float64
	// Wait is how long a change waits for the processes that answer; 0: 3 s.
	Wait time.Duration
	// TrialWait is how long a trial of synonyms waits for the one before it; 0: 2 s.
	TrialWait time.Duration

	trials trials
}

const waitDefault = 3 * time.Second

// Done is what a change has done.
type Done struct {
	Edition catalog.Edition // zero where nothing differed
	Behind  int             // processes that do not answer with it yet
}

// Film reads a film as it is stored.
func (e *Editor) Film(ctx context.Context, id string) (catalog.Record, error) {
	film, err := e.Catalogue.Record(ctx, id)
	return film, refusal(err)
}

// Save stores a film. The version is that of the film that was opened, "" for a new one: if
// it is another by now, the film is refused with film_changed. What is stored already is no
// change, whatever its version: the same form may arrive twice.
func (e *Editor) Save(ctx context.Context, by domain.UserID, film catalog.Movie, version string) (Done, error) {
	if len(film.Check()) > 0 {
		return Done{}, domain.Reject(problem.InvalidFilm, "the film is not valid: %s", film.Faults())
	}
	return e.apply(ctx, by, catalog.SavedFilm, func(ctx context.Context) (catalog.Plan, error) {
		return e.planFilm(ctx, catalog.Edit{Films: []catalog.Movie{film}}, version)
	})
}

// planFilm plans a change of one film that was opened in a version.
func (e *Editor) planFilm(ctx context.Context, edit catalog.Edit, version string) (catalog.Plan, error) {
	plan, err := e.Catalogue.Plan(ctx, edit)
	if err == nil && len(plan.Changes) > 0 && plan.Changes[0].Version() != version {
		err = catalog.ErrStale
	}
	return plan, err
}

// Remove removes a film that an operator brought in.
func (e *Editor) Remove(ctx context.Context, by domain.UserID, id, version string) (Done, error) {
	opened := false // in this version, when the request came
	return e.apply(ctx, by, catalog.RemovedFilm, func(ctx context.Context) (catalog.Plan, error) {
		plan, err := e.planFilm(ctx, catalog.Edit{Remove: []string{id}}, version)
		if opened && (errors.Is(err, catalog.ErrNoFilm) || errors.Is(err, catalog.ErrShipped)) {
			return catalog.Plan{}, nil // it is removed
		}
		opened = err == nil
		return plan, err
	})
}

// Preview is what an upload would change. With whole, films that an operator brought in
// before and that the file lacks are removed.
func (e *Editor) Preview(ctx context.Context, u catalog.Upload, whole bool) (catalog.Plan, error) {
	plan, err := e.Catalogue.Plan(ctx, catalog.Edit{Films: u.Films, Merge: u.Merge, Whole: whole})
	return plan, refusal(err)
}

// Take stores the films of an upload. The digest is that of the plan that was shown: where
// it is another by now, nothing is stored, and the refusal is film_changed. An upload whose
// films are all there already is no change.
func (e *Editor) Take(ctx context.Context, by domain.UserID, u catalog.Upload, whole bool, digest string) (Done, error) {
	return e.apply(ctx, by, catalog.TakenUpload, func(ctx context.Context) (catalog.Plan, error) {
		plan, err := e.Catalogue.Plan(ctx, catalog.Edit{Films: u.Films, Merge: u.Merge, Whole: whole})
		if err == nil && len(plan.Changes) > 0 && plan.Digest() != digest {
			err = catalog.ErrStale
		}
		return plan, err
	})
}

// apply makes a plan true, although the client leaves. The same request may be handled twice
// at once, by other processes too: the slower one finds films changed, plans again, and where
// nothing differs there is nothing to refuse.
func (e *Editor) apply(ctx context.Context, by domain.UserID, kind catalog.EditionKind, plan func(context.Context) (catalog.Plan, error)) (Done, error) {
	ctx, cancel := deadline.Detached(ctx)
	defer cancel()
	p, err := plan(ctx)
	if err != nil {
		return Done{}, refusal(err)
	}
	if len(p.Changes) == 0 {
		return Done{}, nil
	}
	edition, err := e.Catalogue.Apply(ctx, p, catalog.Edition{Kind: kind, By: string(by)}, e.Models()[0])
	if errors.Is(err, catalog.ErrStale) {
		if again, failed := plan(ctx); failed == nil && len(again.Changes) == 0 {
			return Done{}, nil
		}
	}
	return e.done(ctx, by, edition, err)
}

// Undo takes the last edition back. One that this admin has just taken back is done: the same
// request may arrive twice.
func (e *Editor) Undo(ctx context.Context, by domain.UserID, number int64) (Done, error) {
	ctx, cancel := deadline.Detached(ctx)
	defer cancel()
	edition, err := e.Catalogue.Undo(ctx, number, string(by), e.Models()[0])
	if errors.Is(err, catalog.ErrNoUndo) {
		last, failed := e.Catalogue.Editions(ctx, 1)
		if failed == nil && len(last) == 1 && last[0].Kind == catalog.Undone && last[0].Number == number+1 && last[0].By == string(by) {
			return Done{Edition: last[0]}, nil
		}
	}
	return e.done(ctx, by, edition, err)
}

// done waits for the other processes, so that the next page shows the change, whichever
// process makes it.
func (e *Editor) done(ctx context.Context, by domain.UserID, edition catalog.Edition, err error) (Done, error) {
	if edition.Number > 0 && e.Record != nil {
		e.Record(ctx, by, edition)
	}
	if err != nil {
		return Done{}, refusal(err)
	}
	_, behind, err := e.Catalogue.Await(ctx, e.wait())
	return Done{edition, len(behind)}, err
}

func (e *Editor) wait() time.Duration { return cmp.Or(e.Wait, waitDefault) }

// Uncovered are the models that questions are compared with and that this process does not
// have: films that it stores are found by words alone there, until kassa catalog import
// gives them vectors.
func (e *Editor) Uncovered() (models []string) {
	has := make(map[string]bool)
	for _, m := range e.Models() {
		has[m.ModelVersion()] = true
	}
	for _, m := range e.Catalogue.Models() {
		if m.Complete && !has[m.Version] {
			models = append(models, m.Version)
		}
	}
	return models
}

// Tried is the answer to a question that was tried.
type Tried struct {
	catalog.Found
	Charged bool // an answer of this confidence is paid for
	Place   int  // of the film that was looked for, from 1; 0 where it is not among the films
}

// triedFilms is how many films a trial looks at.
const triedFilms = 100

// Try finds films for a question as an answer would, without a charge and without an entry
// in the ledger. The film is the one that one hopes for; "" for none.
func (e *Editor) Try(ctx context.Context, text, film string) (Tried, error) {
	if text = strings.TrimSpace(text); text == "" || len([]rune(text)) > domain.MaxTextRunes {
		return Tried{}, domain.Reject(domain.InvalidText, "the text must have from 1 to %d characters", domain.MaxTextRunes)
	}
	return e.try(ctx, e.Catalogue, text, film)
}

func (e *Editor) try(ctx context.Context, films *catalog.Catalogue, text, film string) (t Tried, err error) {
	read := films.Read(text)
	q := catalog.Query{Text: read.Text, Typed: text, Conditions: read.Filters, Limit: triedFilms}
	if q.Model, q.Vector, err = e.Embed(ctx, read.Embedded()); err != nil {
		return t, err
	}
	if t.Found, err = films.Find(ctx, q); err != nil {
		return t, err
	}
	least := e.NotFoundBelow
	if q.Vector == nil {
		least = max(least, catalog.NotFoundBelow)
	}
	t.Charged = len(t.Matches) > 0 && t.Confidence >= least
	for i, m := range t.Matches {
		if m.MovieID == film {
			t.Place = i + 1
		}
	}
	return t, nil
}

// refusal is an error of the catalogue as a client is told it.
func refusal(err error) error {
	switch {
	case errors.Is(err, catalog.ErrStale):
		return domain.Reject(problem.FilmChanged, "the film was changed meanwhile; read it again")
	case errors.Is(err, catalog.ErrNoFilm):
		return domain.Reject(problem.FilmNotFound, "the catalogue has no such film")
	case errors.Is(err, catalog.ErrShipped):
		return domain.Reject(problem.FilmShipped, "a film that Kassa comes with can be changed, and not removed")
	case errors.Is(err, catalog.ErrTooMany):
		return domain.Reject(problem.TooManyFilms, "at most %d films can be changed at once; kassa catalog import takes any number", catalog.EditMax)
	case errors.Is(err, catalog.ErrNoUndo):
		return domain.Reject(problem.NotUndoable, "only the last edition can be undone, and only while its films are kept")
	case errors.Is(err, catalog.ErrNoUpload):
		return domain.Reject(problem.UploadNotFound, "there is no such upload; send the file again")
	}
	return err
}
