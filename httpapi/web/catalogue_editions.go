package web

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/gorilla/mux"

	"kassa/catalog"
	"kassa/domain"
	"kassa/httpapi/editing"
	"kassa/projections"
)

// editionsShown is how many editions are listed: those whose films are kept.
const editionsShown = 100

type editionsPage struct {
	layout
	Editions []editionLine
	Version  string // of the catalogue
	Errors   fieldErrors
}

// editionLine is an edition with the address of who made it.
type editionLine struct {
	catalog.Edition
	Who string // "" where it is erased
}

// Last reports whether it is the newest, which can be undone.
func (p editionsPage) Last(e editionLine) bool {
	return e.Undoable && e.Number == p.Editions[0].Number
}

func (p *Pages) editions(pc *pageContext) error {
	return pc.showEditions(http.StatusOK, pc.takeDraft(undoFields))
}

func (pc *pageContext) showEditions(status int, d draft) error {
	list, err := pc.pages.Editor.Catalogue.Editions(pc.r.Context(), editionsShown)
	if err != nil {
		return err
	}
	page := editionsPage{Version: pc.pages.Films.Version(), Errors: pc.fieldErrorsOf(d.Code, 0)}
	addresses := map[string]string{}
	for _, e := range list {
		if _, known := addresses[e.By]; !known {
			if addresses[e.By], err = pc.addressIfThere(domain.UserID(e.By)); err != nil {
				return err
			}
		}
		page.Editions = append(page.Editions, editionLine{e, addresses[e.By]})
	}
	pc.Title, pc.Section = pc.T("editions.title"), "admin"
	page.layout = pc.layout
	return pc.show(status, "editions", page)
}

// addressIfThere is addressOf; "" also for a user whom the ledger does not have, as after a
// restore.
func (pc *pageContext) addressIfThere(u domain.UserID) (string, error) {
	address, err := pc.addressOf(u)
	if errors.Is(err, projections.ErrNotFound) {
		return "", nil
	}
	return address, err
}

type editionPage struct {
	layout
	Number string
	Films  []changedFilm
	More   int
}

// edition shows what an edition has changed.
func (p *Pages) edition(pc *pageContext) error {
	number, err := strconv.ParseInt(mux.Vars(pc.r)["number"], 10, 64)
	if err != nil {
		return errNoPage
	}
	changes, err := p.Editor.Catalogue.EditionChanges(pc.r.Context(), number)
	if err != nil {
		return err
	}
	if len(changes) == 0 {
		return errNoPage
	}
	page := editionPage{Number: pc.Number(number), Films: pc.changedFilms(changes), More: max(0, len(changes)-changesShown)}
	pc.Title, pc.Section = pc.T("edition.title", page.Number), "admin"
	page.layout = pc.layout
	return pc.show(http.StatusOK, "edition", page)
}

// undo takes the last edition back.
func (p *Pages) undo(pc *pageContext) error {
	number, err := strconv.ParseInt(pc.r.PostForm.Get("number"), 10, 64)
	if err != nil {
		return errMalformed
	}
	return pc.edited(undoFields, pc.showEditions, flashUndone, editionsPath, func() (editing.Done, error) {
		return p.Editor.Undo(pc.r.Context(), pc.Person.User, number)
	})
}
