package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/gorilla/mux"

	"kassa/catalog"
	"kassa/domain"
	"kassa/httpapi/editing"
	"kassa/httpapi/problem"
)

type uploadPage struct {
	layout
	Most   string // how large a file can be
	Errors fieldErrors
}

func (p *Pages) uploadForm(pc *pageContext) error {
	return pc.showUpload(http.StatusOK, pc.takeDraft(uploadFields))
}

func (pc *pageContext) showUpload(status int, d draft) error {
	pc.Title, pc.Section = pc.T("upload.title"), "admin"
	return pc.show(status, "upload", uploadPage{pc.layout, pc.Number(editing.MaxFile >> 20), pc.fieldErrorsOf(d.Code, 0)})
}

// upload reads a file, keeps it, and leads to what it would change.
func (p *Pages) upload(pc *pageContext) error {
	if err := p.Auth.AllowCommand(pc.Person.User); err != nil {
		return pc.refused(uploadFields, err, pc.showUpload)
	}
	file, head, err := pc.r.FormFile("file")
	if errors.Is(err, http.ErrMissingFile) || errors.Is(err, http.ErrNotMultipart) {
		return pc.refused(uploadFields, domain.Reject(problem.InvalidFile, "no file was chosen"), pc.showUpload)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, editing.MaxFile+1))
	if err != nil {
		return err
	}
	if len(content) > editing.MaxFile {
		return pc.refused(uploadFields, &http.MaxBytesError{Limit: editing.MaxFile}, pc.showUpload)
	}
	u, err := p.Editor.Upload(pc.r.Context(), pc.Person.User, head.Filename, content)
	if err != nil {
		return pc.refused(uploadFields, err, pc.showUpload)
	}
	return pc.redirect(uploadPath + "/" + u.ID)
}

type previewPage struct {
	layout
	Upload                             catalog.Upload
	Whole                              bool
	Digest                             string
	Added, Changed, Removed, Unchanged int
	Films                              []changedFilm
	More                               int // changes that are not shown
	Errors                             fieldErrors
}

// changedFilm is what happens to a film.
type changedFilm struct {
	ID     string
	Name   string
	Kind   string // added, changed or removed
	Fields []shownChange
}

// changesShown is how many changed films a page shows field by field.
const changesShown = 100

func (pc *pageContext) changedFilms(changes []catalog.Change) (films []changedFilm) {
	for _, c := range changes[:min(len(changes), changesShown)] {
		f := changedFilm{ID: c.ID, Kind: "changed"}
		m := c.After
		switch {
		case c.Before == nil:
			f.Kind = "added"
		case c.After == nil:
			f.Kind, m = "removed", c.Before
		default:
			f.Fields = pc.shownChanges(c.Fields())
		}
		f.Name = fmt.Sprintf("%s (%d)", m.TitleIn(pc.Code), m.Year)
		films = append(films, f)
	}
	return films
}

// uploaded shows what an upload would change.
func (p *Pages) uploaded(pc *pageContext) error {
	d := pc.takeDraft(takeFields)
	if !d.Fields.Has("whole") {
		d.Fields.Set("whole", pc.r.URL.Query().Get("whole"))
	}
	return pc.showUploaded(http.StatusOK, d)
}

func (pc *pageContext) keptUpload() (catalog.Upload, error) {
	u, err := pc.pages.Editor.Kept(pc.r.Context(), pc.Person.User, mux.Vars(pc.r)["id"])
	if domain.RefusalIn(err) != nil {
		err = errNoPage
	}
	return u, err
}

func (pc *pageContext) showUploaded(status int, d draft) error {
	u, err := pc.keptUpload()
	if err != nil {
		return err
	}
	page := previewPage{Upload: u, Whole: d.get("whole") != "", Errors: pc.fieldErrorsOf(d.Code, 0)}
	plan, err := pc.pages.Editor.Preview(pc.r.Context(), u, page.Whole)
	if code, refused, ok := pc.codeOf(err); ok {
		status, page.Errors = refused, pc.fieldErrorsOf(code, 0)
	} else if err != nil {
		return err
	}
	page.Digest, page.Unchanged = plan.Digest(), plan.Unchanged
	page.Added, page.Changed, page.Removed = plan.Count()
	page.Films, page.More = pc.changedFilms(plan.Changes), max(0, len(plan.Changes)-changesShown)
	pc.Title, pc.Section = pc.T("preview.title"), "admin"
	page.layout = pc.layout
	return pc.show(status, "preview", page)
}

// takeUpload stores the films of an upload, as they were shown.
func (p *Pages) takeUpload(pc *pageContext) error {
	u, err := pc.keptUpload()
	if err != nil {
		return err
	}
	form := pc.r.PostForm
	return pc.edited(takeFields, pc.showUploaded, flashFilmsTaken, editionsPath, func() (editing.Done, error) {
		return p.Editor.Take(pc.r.Context(), pc.Person.User, u, form.Get("whole") != "", form.Get("digest"))
	})
}
