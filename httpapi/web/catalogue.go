package web

import (
	"net/http"
	"net/url"

	"kassa/catalog"
)

// Addresses of the pages on which admins keep the catalogue.
const (
	keptFilmsPath = "/web/admin/films"
	keptFilmPath  = "/web/admin/film"
	newFilmPath   = keptFilmsPath + "/new"
	checkFilmPath = keptFilmsPath + "/check"
	uploadPath    = keptFilmsPath + "/upload"
	editionsPath  = keptFilmsPath + "/editions"
	tryPath       = keptFilmsPath + "/try"
)

func keptFilmAddress(id string) string { return keptFilmPath + "/" + id }

// keptFilmsShown is how many films a page of the list has.
const keptFilmsShown = 50

// keptFilm is a line of the list.
type keptFilm struct {
	ID    string
	Title string
	Other string // the title in the other language
	Year  int
	Own   bool
}

type cataloguePage struct {
	layout
	numbered
	Films     []keptFilm
	Count     string
	Version   string   // of the catalogue
	Uncovered []string // models for which films get no vectors here
	Listing   catalog.Listing
	Genres    []codeChoice
	Lacks     []codeChoice
}

// Filtered reports whether not all films are asked for.
func (p cataloguePage) Filtered() bool { return p.Listing != catalog.Listing{} }

// codeChoice is one of the codes that can be chosen.
type codeChoice struct {
	Code, Name string
	Chosen     bool
}

func (pc *pageContext) codeChoices(list []catalog.Label, chosen func(code string) bool) []codeChoice {
	choices := make([]codeChoice, len(list))
	for i, l := range list {
		choices[i] = codeChoice{l.Code, l.In(pc.Code), chosen(l.Code)}
	}
	return choices
}

// catalogue lists the films for those who keep them.
func (p *Pages) catalogue(pc *pageContext) error {
	q := pc.r.URL.Query()
	l := catalog.Listing{Words: q.Get("q"), Genre: q.Get("genre"), Lack: q.Get("lack"), Own: q.Get("own") != ""}
	films := p.Editor.Catalogue.List(l)
	shown, at, err := pc.numberedPage(films, q)
	if err != nil {
		return err
	}
	page := cataloguePage{numbered: at, Count: pc.N("n.films", len(films)), Version: p.Films.Version(), Uncovered: p.Editor.Uncovered(), Listing: l}
	for _, f := range shown {
		page.Films = append(page.Films, keptFilm{f.ID, f.TitleIn(pc.Code), otherTitle(f.Movie, pc.Code), f.Year, f.Own})
	}
	page.Genres = pc.codeChoices(catalog.Genres(), func(code string) bool { return code == l.Genre })
	for _, lack := range catalog.Lacks() {
		page.Lacks = append(page.Lacks, codeChoice{lack.Code, pc.T("catalogue.lack." + lack.Code), lack.Code == l.Lack})
	}
	pc.Title, pc.Section = pc.T("catalogue.title"), "admin"
	page.layout = pc.layout
	return pc.show(http.StatusOK, "catalogue", page)
}

// numberedPage is the page of a list that the query asks for; its links keep the query.
func (pc *pageContext) numberedPage(films []catalog.Listed, q url.Values) (shown []catalog.Listed, at numbered, err error) {
	at.Pages = max(1, (len(films)+keptFilmsShown-1)/keptFilmsShown)
	if at.Page, err = pageNumber(q.Get("page"), at.Pages); err != nil {
		return nil, at, err
	}
	link := func(n int) string {
		to := url.Values{}
		for name, values := range q {
			to[name] = values
		}
		to.Del("page")
		address := keptFilmsPath
		if encoded := to.Encode(); encoded != "" {
			address += "?" + encoded
		}
		return addressOfPage(address, n)
	}
	if at.Page > 1 {
		at.Before = link(at.Page - 1)
	}
	if at.Page < at.Pages {
		at.Next = link(at.Page + 1)
	}
	from := (at.Page - 1) * keptFilmsShown
	return films[from:min(from+keptFilmsShown, len(films))], at, nil
}

// otherTitle is the title in the language that the page is not in, "" where it is the same.
func otherTitle(m *catalog.Movie, language string) string {
	other := m.TitleRU
	if language == russian.Code {
		other = m.Title
	}
	if other == m.TitleIn(language) {
		return ""
	}
	return other
}

type tryPage struct {
	layout
	Text    string
	Film    string // id of the film that is looked for
	Name    string // its title
	Asked   bool
	Charged bool
	Place   int
	Found   []film
	Errors  fieldErrors
}

// triedShown is how many films a trial shows.
const triedShown = 10

// tryQuestion leads to what a question finds. As that of a search, its text is not in an address.
func (p *Pages) tryQuestion(pc *pageContext) error {
	pc.dropDraft(trySynonymsFields) // two long ones could be more than a proxy takes
	return pc.back(tryFields, pc.draftOf(tryFields), http.StatusOK, pc.showTrial)
}

// try shows what a question finds, or the form for one that looks for the film of the address.
func (p *Pages) try(pc *pageContext) error {
	if film := pc.r.URL.Query().Get("film"); film != "" {
		return pc.showTrial(http.StatusOK, draft{Fields: url.Values{"film": {film}}})
	}
	return pc.showTrial(http.StatusOK, pc.readDraft(tryFields))
}

// showTrial shows what a question finds, without a charge.
func (pc *pageContext) showTrial(status int, d draft) error {
	page := tryPage{Text: d.get("text"), Film: d.get("film"), Asked: d.Fields.Has("text")}
	if m, ok := pc.pages.Films.Movie(page.Film); ok {
		page.Name = m.TitleIn(pc.Code)
	} else {
		page.Film = ""
	}
	if page.Asked {
		tried, err := pc.pages.Editor.Try(pc.r.Context(), page.Text, page.Film)
		code, refused, ok := pc.codeOf(err)
		switch {
		case ok:
			status, page.Errors, page.Asked = refused, pc.fieldErrorsOf(code, 0), false
		case err != nil:
			return err
		}
		page.Charged, page.Place = tried.Charged, tried.Place
		page.Found = pc.cards(page.Text, matchesOf(tried.Matches[:min(len(tried.Matches), triedShown)]))
	}
	pc.Title, pc.Section = pc.T("try.title"), "admin"
	page.layout = pc.layout
	return pc.show(status, "try", page)
}
