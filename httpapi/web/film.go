package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gorilla/mux"

	"kassa/catalog"
	"kassa/catalog/filmlinks"
)

// similarShown is how many similar films a film's page has.
const similarShown = 6

// named is a name that may lead to a page.
type named struct{ Name, To string }

// part is a person in a film's cast.
type part struct {
	named
	Character string // "" where it is not recorded
}

type filmPage struct {
	layout
	publicLinks
	Poster     string // address of its picture
	Name       string
	Original   string // "" where it equals Name
	Other      string // the title in the other language; "" where it equals one of these
	Year       named
	Countries  []named
	Genres     []named
	Runtime    string
	Text       string
	Directors  []named
	Cast       []part
	Characters []string // of whom no actor is recorded
	Moods      string
	Themes     string
	Settings   string
	Languages  string
	Awards     []string
	Series     string
	Lines      []string
	Links      []filmlinks.Link
	Similar    []tile
	LinkedData map[string]any // schema.org's Movie
}

// film shows a film.
func (p *Pages) film(pc *pageContext) error {
	m, ok := p.Films.Movie(mux.Vars(pc.r)["id"])
	if !ok {
		return errNoPage
	}
	code := pc.Language.Code
	page := filmPage{publicLinks: pc.publicLinks(filmAddress(m.ID)), Poster: pc.posterOf(m), Name: m.TitleIn(code), Text: m.DescriptionIn(code),
		Links: filmlinks.Of(m, code, p.Links)}
	if m.OriginalTitle != page.Name {
		page.Original = m.OriginalTitle
	}
	if other := m.TitleIn(pc.other().Code); other != page.Name && other != page.Original {
		page.Other = other
	}
	decade := fmt.Sprint(catalog.DecadeOf(m.Year))
	page.Year = named{fmt.Sprint(m.Year), pc.To(shelfAddress("decade", decade))}
	page.Countries, page.Genres = pc.labelled("country", m.Countries, catalog.Country), pc.labelled("genre", m.Genres, catalog.Genre)
	if m.Runtime > 0 {
		page.Runtime = pc.N("n.minutes", m.Runtime)
	}
	pc.addPeople(&page, m)
	pc.addContent(&page, m)
	for _, similar := range p.Films.Similar(m.ID, similarShown) {
		page.Similar = append(page.Similar, pc.tile(&similar))
	}
	page.LinkedData = pc.linkedData(m, page)
	pc.Title, pc.Section = fmt.Sprintf("%s (%d)", page.Name, m.Year), "films"
	pc.Description = cmp.Or(shortened(page.Text, descriptionMost), pc.Title)
	page.layout = pc.layout
	return pc.showPublic("film", page)
}

// descriptionMost is how many characters search engines show of a page's description.
const descriptionMost = 155

func (pc *pageContext) labelled(kind string, codes []string, label func(string) (catalog.Label, bool)) []named {
	var list []named
	for _, code := range codes {
		if found, ok := label(code); ok {
			list = append(list, named{found.In(pc.Language.Code), pc.To(shelfAddress(kind, code))})
		}
	}
	return list
}

func (pc *pageContext) personLink(p catalog.Person) named {
	return named{p.In(pc.Language.Code), pc.To(personAddress(p.Slug()))}
}

// addPeople adds the directors, and the cast with their characters.
func (pc *pageContext) addPeople(page *filmPage, m catalog.Movie) {
	for _, p := range m.Directors {
		page.Directors = append(page.Directors, pc.personLink(p))
	}
	characters := map[string][]string{} // by actor
	for _, c := range m.Characters {
		name := catalog.Person{Name: c.Name, NameRU: c.NameRU}.In(pc.Language.Code)
		played := slices.ContainsFunc(m.Cast, func(p catalog.Person) bool { return p.Name == c.Actor && c.Actor != "" })
		if !played {
			page.Characters = append(page.Characters, name)
			continue
		}
		characters[c.Actor] = append(characters[c.Actor], name)
	}
	for _, p := range m.Cast {
		page.Cast = append(page.Cast, part{pc.personLink(p), strings.Join(characters[p.Name], ", ")})
	}
}

// addContent adds what the film is like.
func (pc *pageContext) addContent(page *filmPage, m catalog.Movie) {
	lower := func(codes []string, label func(string) (catalog.Label, bool)) string {
		return strings.ToLower(pc.labels(codes, label))
	}
	page.Moods, page.Themes = capital(lower(m.Moods, catalog.Mood)), capital(lower(m.Themes, catalog.Theme))
	page.Languages = capital(pc.labels(m.Languages, catalog.SpokenLanguage))
	for _, code := range m.Awards {
		if award, ok := catalog.Award(code); ok {
			page.Awards = append(page.Awards, capital(award.In(pc.Language.Code)))
		}
	}
	var settings []string
	for _, s := range m.Settings {
		settings = append(settings, catalog.Person(s).In(pc.Language.Code))
	}
	page.Settings = strings.Join(settings, "; ")
	for _, l := range m.Lines {
		page.Lines = append(page.Lines, pc.T("quoted", catalog.Person{Name: l.Text, NameRU: l.TextRU}.In(pc.Language.Code)))
	}
	if m.Series != nil {
		page.Series = m.Series.In(pc.Language.Code)
		if m.Series.Part > 0 {
			page.Series = pc.T("condition.part", page.Series, m.Series.Part)
		}
	}
}

// capital is a text with a capital letter at its beginning.
func capital(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToUpper(first)) + s[size:]
}

// linkedData is the film as schema.org describes a Movie, for search engines.
func (pc *pageContext) linkedData(m catalog.Movie, page filmPage) map[string]any {
	data := map[string]any{"@context": "https://schema.org", "@type": "Movie", "name": page.Name, "url": page.Canonical, "datePublished": page.Year.Name, "image": pc.origin() + page.Poster}
	add := func(key string, value any, known bool) {
		if known {
			data[key] = value
		}
	}
	persons := func(list []catalog.Person) (all []map[string]string) {
		for _, p := range list {
			all = append(all, map[string]string{"@type": "Person", "name": p.In(pc.Language.Code), "url": pc.origin() + personAddress(p.Slug())})
		}
		return all
	}
	names := func(list []named) (all []string) {
		for _, n := range list {
			all = append(all, n.Name)
		}
		return all
	}
	alternates := slices.DeleteFunc(slices.Concat([]string{page.Original, page.Other}, m.OtherTitles), func(s string) bool { return s == "" })
	add("alternateName", alternates, len(alternates) > 0)
	add("description", page.Text, page.Text != "")
	add("genre", names(page.Genres), len(page.Genres) > 0)
	add("countryOfOrigin", names(page.Countries), len(page.Countries) > 0)
	add("director", persons(m.Directors), len(m.Directors) > 0)
	add("actor", persons(m.Cast), len(m.Cast) > 0)
	add("duration", fmt.Sprintf("PT%dM", m.Runtime), m.Runtime > 0)
	add("inLanguage", m.Languages, len(m.Languages) > 0)
	add("award", page.Awards, len(page.Awards) > 0)
	if m.IDs != nil {
		add("sameAs", "https://www.imdb.com/title/"+m.IDs.IMDb+"/", m.IDs.IMDb != "")
	}
	return data
}
