package catalog

import (
	"slices"
	"strings"
)

// Listed is a film in a list for those who keep the catalogue.
type Listed struct {
	*Movie
	Own bool // an operator brought it in
}

// Listing selects films of such a list; all that is given must hold.
type Listing struct {
	Words string // each in the id, a title, or the name of a director or an actor
	Genre string // code
	Lack  string // Lack.Code of what the film lacks
	Own   bool   // only films that an operator brought in
}

// List are the films of a listing, by id. Their content is shared: read only.
func (c *Catalogue) List(l Listing) []Listed {
	v := c.now.Load()
	words := strings.Fields(foldedText(l.Words))
	lacking := func(Movie) bool { return true }
	if l.Lack != "" {
		n := slices.IndexFunc(lacks, func(k Lack) bool { return k.Code == l.Lack })
		if n < 0 {
			return nil
		}
		lacking = lacks[n].is
	}
	var list []Listed
	for n := range v.movies {
		m := &v.movies[n]
		if l.Own && !v.own[n] || l.Genre != "" && !slices.Contains(m.Genres, l.Genre) || !lacking(*m) || !m.named(words) {
			continue
		}
		list = append(list, Listed{m, v.own[n]})
	}
	return list
}

// foldedText is a text by which names are compared: without capitals, and with one way to
// write a letter.
func foldedText(text string) string { return strings.ReplaceAll(strings.ToLower(text), "ё", "е") }

// named reports whether each of the words is in a name of the film.
func (m Movie) named(words []string) bool {
	if len(words) == 0 {
		return true
	}
	names := slices.Concat([]string{m.ID, m.Title, m.TitleRU, m.OriginalTitle}, m.OtherTitles)
	for _, p := range m.people() {
		names = append(names, p.Name, p.NameRU)
	}
	text := foldedText(strings.Join(names, "\n"))
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}
