package web

import (
	"encoding/json"

	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gorilla/mux"

	"kassa/catalog"
	"kassa/domain"
	"kassa/httpapi/editing"
	"kassa/httpapi/problem"
)

// fieldKind is how a field of a film is typed.
type fieldKind string

const (
	lineField  fieldKind = "line"
	textField  fieldKind = "text"  // a long one
	listField  fieldKind = "list"  // an entry on each line
	codesField fieldKind = "codes" // chosen from a list
	flagField  fieldKind = "flag"
)

// filmGroup is fields of a film's form that belong together.
type filmGroup struct {
	key    string // of its heading
	fields []filmFieldSpec
}

type filmFieldSpec struct {
	name string
	kind fieldKind
}

// filmForm is the form of a film. Every field of a catalog.Sheet is in it, but its id.
var filmForm = []filmGroup{
	{"names", []filmFieldSpec{{"title", lineField}, {"title_ru", lineField}, {"original_title", lineField}, {"year", lineField}, {"runtime", lineField}, {"other_titles", listField}, {"series", lineField}}},
	{"story", []filmFieldSpec{{"description", textField}, {"description_ru", textField}, {"keywords", listField}, {"keywords_ru", listField}, {"characters", listField}, {"lines", listField}, {"settings", listField}}},
	{"people", []filmFieldSpec{{"directors", listField}, {"cast", listField}}},
	{"kinds", []filmFieldSpec{{"genres", codesField}, {"moods", codesField}, {"themes", codesField}, {"countries", codesField}, {"languages", codesField}, {"awards", codesField},
		{"black_and_white", flagField}, {"silent", flagField}, {"for_children", flagField}}},
	{"ids", []filmFieldSpec{{"imdb", lineField}, {"kinopoisk", lineField}, {"wikidata", lineField}}},
}

// fieldCodes are the lists that codes are chosen from.
var fieldCodes = map[string]func() []catalog.Label{"genres": catalog.Genres, "moods": catalog.Moods, "themes": catalog.Themes, "countries": catalog.Countries, "languages": catalog.SpokenLanguages, "awards": catalog.Awards}

type keptFilmPage struct {
	layout
	ID        string // "" for a new film
	Name      string
	Version   string
	Own       bool
	Public    string // address of its page for everybody
	Groups    []shownGroup
	Errors    fieldErrors
	Faults    int
	Meanwhile []shownChange // what differs from what is stored by now, if it was changed while it was open
	Lacking   []string
	Exists    string // the id of a stored film, which the new one would replace
}

type shownGroup struct {
	Name   string
	Fields []shownField
}

type shownField struct {
	Name, Label, Hint string
	Kind              fieldKind
	Value             string
	Fault             string
	Choices           []codeChoice
	Required          bool
}

// Chosen is how many codes are chosen.
func (f shownField) Chosen() (n int) {
	for _, c := range f.Choices {
		if c.Chosen {
			n++
		}
	}
	return n
}

func (pc *pageContext) filmGroups(s catalog.Sheet, faults map[string]string) (groups []shownGroup) {
	for _, g := range filmForm {
		shown := shownGroup{Name: pc.T("keep.group." + g.key)}
		for _, f := range g.fields {
			shown.Fields = append(shown.Fields, pc.filmField(f, s[f.name], faults[f.name]))
		}
		groups = append(groups, shown)
	}
	return groups
}

func (pc *pageContext) filmField(f filmFieldSpec, value, fault string) shownField {
	shown := shownField{Name: f.name, Label: pc.T("keep.field." + f.name), Kind: f.kind, Value: value, Fault: fault, Required: f.name == "year"}
	if hint := "keep.hint." + f.name; slices.Contains(hintedFields, f.name) {
		shown.Hint = strings.ReplaceAll(pc.T(hint), "¦", "|") // which separates plurals in texts
	}
	if f.kind == codesField {
		chosen := strings.Fields(value)
		shown.Choices = pc.codeChoices(fieldCodes[f.name](), func(code string) bool { return slices.Contains(chosen, code) })
	}
	return shown
}

// hintedFields have a sentence about how they are typed.
var hintedFields = []string{"original_title", "runtime", "other_titles", "series", "keywords", "keywords_ru", "characters", "lines", "settings", "directors", "cast"}

// faultSentences are what is wrong with a film, by field: the first fault of each.
func (pc *pageContext) faultSentences(faults []catalog.Fault) map[string]string {
	sentences := make(map[string]string, len(faults))
	for _, f := range faults {
		name := f.SheetField()
		if sentences[name] != "" {
			continue
		}
		sentence := pc.T("keep.fault."+string(f.Kind), f.Args...)
		if n := f.Entry(); n > 0 {
			sentence = pc.T("keep.fault.entry", strconv.Itoa(n), sentence)
		}
		sentences[name] = sentence
	}
	return sentences
}

// sheetOf is the film of a draft of the form.
func sheetOf(d draft, id string) catalog.Sheet {
	s := make(catalog.Sheet)
	for _, field := range catalog.SheetFields() {
		s[field] = d.get(field)
	}
	if id != "" { // it is part of the address, and cannot be changed
		s["id"] = id
	}
	return s
}

// keptID is the id in the address, "" for a new film.
func (pc *pageContext) keptID() string { return mux.Vars(pc.r)["id"] }

func (p *Pages) keptFilm(pc *pageContext) error {
	d := pc.takeDraft(filmFields)
	if d.Page == "" {
		d = pc.takeDraft(removeFields)
	}
	return pc.showKeptFilm(http.StatusOK, d)
}

// showKeptFilm shows the form of a film: as it is stored, or as it was typed, with what is
// wrong in it, and with what was stored by another admin meanwhile.
func (pc *pageContext) showKeptFilm(status int, d draft) error {
	page := keptFilmPage{ID: pc.keptID(), Errors: pc.fieldErrorsOf(d.Code, 0)}
	sheet := catalog.Sheet{}
	var stored *catalog.Movie
	if page.ID != "" {
		record, err := pc.pages.Editor.Film(pc.r.Context(), page.ID)
		if refusal := domain.RefusalIn(err); refusal != nil && d.Fields.Has("version") { // it was removed meanwhile
			page.ID = ""
		} else if refusal != nil {
			return errNoPage
		} else if err != nil {
			return err
		} else {
			stored, sheet = &record.Movie, record.Sheet()
			page.Version, page.Own = record.Version, record.Own
		}
	}
	typed := d.Fields.Has("version")
	if typed {
		sheet = sheetOf(d, pc.keptID())
	}
	film, faults := sheet.Movie()
	sentences := map[string]string{}
	if typed {
		sentences = pc.faultSentences(faults)
		if d.Code == problem.FilmChanged && page.ID == "" && pc.keptID() == "" {
			page.Errors, page.Exists = nil, film.ID
		} else if d.Code == problem.FilmChanged {
			page.Meanwhile = pc.shownChanges(catalog.Differences(stored, &film))
		} else {
			page.Version = d.get("version")
		}
	}
	page.Faults, page.Groups = len(sentences), pc.filmGroups(sheet, sentences)
	if stored != nil {
		page.Name, page.Public = stored.TitleIn(pc.Code), filmAddress(stored.ID)
		for _, lack := range catalog.Lacks() {
			if lack.Is(*stored) {
				page.Lacking = append(page.Lacking, pc.T("catalogue.lack."+lack.Code))
			}
		}
	}
	pc.Title, pc.Section, pc.Form = pc.T("keep.new"), "admin", filmFields.name
	if page.Name != "" {
		pc.Title = page.Name
	}
	page.layout = pc.layout
	return pc.show(status, "kept_film", page)
}

// saveFilm stores the film of the form.
func (p *Pages) saveFilm(pc *pageContext) error {
	d := pc.draftOf(filmFields)
	film, faults := sheetOf(d, pc.keptID()).Movie()
	if len(faults) > 0 {
		return pc.refused(filmFields, domain.Reject(problem.InvalidFilm, "%d faults", len(faults)), pc.showKeptFilm)
	}
	return pc.edited(filmFields, pc.showKeptFilm, flashFilmSaved, keptFilmAddress(film.ID), func() (editing.Done, error) {
		return p.Editor.Save(pc.r.Context(), pc.Person.User, film, d.get("version"))
	})
}

// edited runs a change of the catalogue, and leads to the page that shows it.
func (pc *pageContext) edited(f *form, show func(int, draft) error, kind flashKind, to string, do func() (editing.Done, error)) error {
	err := pc.pages.Auth.AllowCommand(pc.Person.User)
	var done editing.Done
	if err == nil {
		done, err = do()
	}
	if err != nil {
		return pc.refused(f, err, show)
	}
	switch {
	case done.Edition.Number == 0 && kind != flashFilmRemoved:
		kind = flashFilmSame
	case done.Behind > 0:
		kind = flashFilmsBehind
	}
	return pc.redirectAfter(to, flash{kind: kind})
}

// checkFilm answers the script of the form: what is wrong, by field. Nothing is stored.
func (p *Pages) checkFilm(pc *pageContext) error {
	_, faults := sheetOf(pc.draftOf(filmFields), pc.r.PostForm.Get("id")).Movie()
	body, err := json.Marshal(pc.faultSentences(faults))
	if err != nil {
		return fmt.Errorf("encode faults: %w", err)
	}
	pc.w.Header().Set("Content-Type", "application/json")
	pc.w.Header().Set("Cache-Control", "no-store")
	_, _ = pc.w.Write(body) // a failed write means that the browser has left
	return nil
}

// removeFilm removes a film that an operator brought in. It can be undone, so nobody is asked
// again. One that is gone already has been removed.
func (p *Pages) removeFilm(pc *pageContext) error {
	return pc.edited(removeFields, pc.showKeptFilm, flashFilmRemoved, editionsPath, func() (editing.Done, error) {
		done, err := p.Editor.Remove(pc.r.Context(), pc.Person.User, pc.keptID(), pc.r.PostForm.Get("version"))
		if refusal := domain.RefusalIn(err); refusal != nil && refusal.Code == problem.FilmNotFound {
			return editing.Done{}, nil
		}
		return done, err
	})
}

// shownChange is a field before and after.
type shownChange struct{ Label, Before, After string }

func (pc *pageContext) shownChanges(fields []catalog.FieldChange) []shownChange {
	shown := make([]shownChange, len(fields))
	for i, f := range fields {
		shown[i] = shownChange{pc.T("keep.field." + f.Field), f.Before, f.After}
	}
	return shown
}
