package web

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gorilla/mux"

	"kassa/catalog"
	"kassa/httpapi/conditional"
)

// filmsShown is how many films a page of a list has.
const filmsShown = 24

// tile is a film in a grid of films.
type tile struct {
	*Language
	To     string // its page
	Poster string // address of its picture
	Title  string
	Year   int
}

// listChoices are the links to the lists of one kind.
type listChoices struct {
	Name    string
	Choices []choice
}

// filmsPage is a list of films, or all films.
type filmsPage struct {
	layout
	publicLinks
	numbered
	Lead   string
	Count  string
	Lists  []listChoices
	Groups []tileGroup
}

// tileGroup is films under a heading, "" for none.
type tileGroup struct {
	Heading string
	Tiles   []tile
}

// numbered is the place in a list of numbered pages.
type numbered struct {
	Page, Pages  int
	Before, Next string // addresses; "" for none
}

// publicLinks are what search engines read of a page: its own address and those in each
// language. All are absolute.
type publicLinks struct {
	Canonical  string
	Neutral    string // in the language of the visitor
	Alternates []alternate
}

type alternate struct{ Code, To string }

// publicLinks are those of the page at an address without a language.
func (pc *pageContext) publicLinks(address string) publicLinks {
	neutral := pc.origin() + address
	links := publicLinks{Neutral: neutral}
	for _, l := range languages {
		links.Alternates = append(links.Alternates, alternate{l.Code, inLanguage(neutral, l)})
	}
	links.Canonical = inLanguage(neutral, pc.Language)
	return links
}

// inLanguage is an address of ours with a language.
func inLanguage(address string, l *Language) string {
	if strings.Contains(address, "?") {
		return address + "&lang=" + l.Code
	}
	return address + "?lang=" + l.Code
}

// origin is the scheme and the host by which the browser reaches us.
func (pc *pageContext) origin() string { return originOf(pc.r, pc.pages.Secure) }

func originOf(r *http.Request, secure bool) string {
	if secure {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// To keeps the language of an address with a language in the links to other public pages.
func (f layout) To(address string) string {
	if f.Addressed {
		return inLanguage(address, f.Language)
	}
	return address
}

// showPublic shows a page that is the same for all guests of a language: they, and caches
// between, may keep it for a while. For a person it has the balance, and is asked for each
// time.
func (pc *pageContext) showPublic(name string, data any) error {
	if pc.Notice != "" {
		return pc.show(http.StatusOK, name, data)
	}
	html, err := render(name, data)
	if err != nil {
		return err
	}
	h := pc.w.Header()
	h.Set("Content-Language", pc.Code)
	h.Set("Vary", "Cookie, Accept-Language")
	h.Set("Cache-Control", "public, max-age=300")
	if pc.Person != nil {
		h.Set("Cache-Control", "private, no-cache")
	}
	conditional.Write(pc.w, pc.r, "text/html; charset=utf-8", html)
	return nil
}

func (pc *pageContext) tile(m *catalog.Movie) tile {
	return tile{Language: pc.Language, To: pc.To(filmAddress(m.ID)), Poster: pc.posterOf(*m), Title: m.TitleIn(pc.Language.Code), Year: m.Year}
}

func (pc *pageContext) tiles(films []*catalog.Movie) []tile {
	list := make([]tile, len(films))
	for i, m := range films {
		list[i] = pc.tile(m)
	}
	return list
}

// Addresses of the public pages.
const (
	filmsPath  = "/web/films"
	peoplePath = "/web/people"
)

func filmAddress(id string) string     { return filmsPath + "/" + id }
func personAddress(slug string) string { return peoplePath + "/" + slug }
func shelfAddress(kind, key string) string {
	return filmsPath + "/" + kind + "/" + strings.ToLower(key)
}

// films lists all films.
func (p *Pages) films(pc *pageContext) error {
	shelves := p.Films.Shelves()
	pc.Title = pc.T("films.title")
	page := filmsPage{Lead: pc.T("films.lead", pc.N("n.films", len(shelves.All)))}
	return pc.showFilms(page, filmsPath, shelves, shelves.All)
}

// shelf lists the films of a genre, a decade or a country.
func (p *Pages) shelf(pc *pageContext) error {
	kind, key := mux.Vars(pc.r)["kind"], mux.Vars(pc.r)["key"]
	shelves := p.Films.Shelves()
	var found *catalog.Shelf
	var ok bool
	switch kind {
	case "genre":
		found, ok = shelves.Genre(key)
	case "decade":
		found, ok = shelves.Decade(key)
	case "country":
		found, ok = shelves.Country(strings.ToUpper(key))
	}
	if !ok || key != strings.ToLower(key) { // one address for each list
		return errNoPage
	}
	pc.Title = pc.T("films."+kind+".title", cmp.Or(pc.label(found.Label), found.Key))
	return pc.showFilms(filmsPage{Count: pc.N("n.films", len(found.Films))}, shelfAddress(kind, key), shelves, found.Films)
}

// label is a label's name as a title: with a capital letter.
func (l *Language) label(label catalog.Label) string { return capital(label.In(l.Code)) }

// showFilms shows one page of a list of films.
func (pc *pageContext) showFilms(page filmsPage, address string, shelves *catalog.Shelves, films []*catalog.Movie) error {
	shown, at, err := pc.numbered(address, films)
	if err != nil {
		return err
	}
	page.numbered, page.publicLinks = at, pc.publicLinks(addressOfPage(address, at.Page))
	page.Groups = []tileGroup{{Tiles: pc.tiles(shown)}}
	page.Lists = pc.lists(shelves, address)
	pc.Section, pc.Description = "films", pc.T("films.description", pc.Title)
	page.layout = pc.layout
	return pc.showPublic("films", page)
}

// numbered cuts the requested page from a list.
func (pc *pageContext) numbered(address string, films []*catalog.Movie) ([]*catalog.Movie, numbered, error) {
	at := numbered{Page: 1, Pages: max(1, (len(films)+filmsShown-1)/filmsShown)}
	n, err := pageNumber(pc.r.URL.Query().Get("page"), at.Pages)
	if err != nil {
		return nil, at, err
	}
	at.Page = n
	if at.Page > 1 {
		at.Before = pc.To(addressOfPage(address, at.Page-1))
	}
	if at.Page < at.Pages {
		at.Next = pc.To(addressOfPage(address, at.Page+1))
	}
	from := (at.Page - 1) * filmsShown
	return films[from:min(from+filmsShown, len(films))], at, nil
}

// pageNumber reads which of the pages is asked for; the first where none is.
func pageNumber(asked string, pages int) (int, error) {
	if asked == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(asked)
	if err != nil || n < 1 || n > pages || strconv.Itoa(n) != asked {
		return 0, errMalformed
	}
	return n, nil
}

// addressOfPage is the address of a page of a list, whose own address may have a query.
func addressOfPage(address string, n int) string {
	switch {
	case n == 1:
		return address
	case strings.Contains(address, "?"):
		return fmt.Sprintf("%s&page=%d", address, n)
	}
	return fmt.Sprintf("%s?page=%d", address, n)
}

// lists are the links to all lists; here is the address of the shown one.
func (pc *pageContext) lists(s *catalog.Shelves, here string) []listChoices {
	var all []listChoices
	for _, kind := range []struct {
		name    string
		shelves []*catalog.Shelf
	}{{"genre", s.Genres}, {"decade", s.Decades}, {"country", s.Countries}} {
		group := listChoices{Name: pc.T("films." + kind.name)}
		for _, shelf := range kind.shelves {
			name := pc.label(shelf.Label)
			if kind.name == "decade" {
				name = pc.T("films.decade.short", shelf.Key)
			}
			to := shelfAddress(kind.name, shelf.Key)
			group.Choices = append(group.Choices, choice{name, pc.To(to), to == here})
		}
		all = append(all, group)
	}
	return all
}

// person lists the films of a person.
func (p *Pages) person(pc *pageContext) error {
	who, ok := p.Films.Shelves().Person(mux.Vars(pc.r)["slug"])
	if !ok {
		return errNoPage
	}
	pc.Title, pc.Section = who.In(pc.Language.Code), "films"
	pc.Description = pc.T("films.description", pc.Title)
	page := filmsPage{numbered: numbered{Page: 1, Pages: 1}, publicLinks: pc.publicLinks(personAddress(who.Slug)), Count: pc.N("n.films", len(who.Films()))}
	for _, group := range []struct {
		key   string
		films []*catalog.Movie
	}{{"films.directed", who.Directed}, {"films.played", who.Played}} {
		if len(group.films) > 0 {
			page.Groups = append(page.Groups, tileGroup{pc.T(group.key), pc.tiles(group.films)})
		}
	}
	page.layout = pc.layout
	return pc.showPublic("films", page)
}
