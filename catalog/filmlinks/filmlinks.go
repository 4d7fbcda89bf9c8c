// Package filmlinks makes the addresses at other sites where one may watch a film or read
// about it, by templates of the operator.
package filmlinks

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"kassa/catalog"
)

// Template is a site and the form of its addresses, such as
// "IMDb=https://www.imdb.com/title/{imdb}/". In braces are: title (in the language of the
// page), title_en, title_ru, original, year, lang (en or ru), imdb, kinopoisk, wikidata.
type Template struct{ Site, Form string }

// Default are the templates where the operator sets none. Of several for one site the
// first is taken whose values the film has.
var Default = []Template{
	{"Кинопоиск", "https://www.kinopoisk.ru/film/{kinopoisk}/"},
	{"Кинопоиск", "https://www.kinopoisk.ru/index.php?kp_query={title_ru}%20{year}"},
	{"JustWatch", "https://www.justwatch.com/us/search?q={title_en}"},
	{"IMDb", "https://www.imdb.com/title/{imdb}/"},
	{"IMDb", "https://www.imdb.com/find/?s=tt&q={title_en}%20{year}"},
	{"Wikipedia", "https://www.wikidata.org/wiki/Special:GoToLinkedPage/{lang}wiki/{wikidata}"},
	{"Wikipedia", "https://{lang}.wikipedia.org/w/index.php?search={title}%20{year}"},
}

// Link is an address at a site.
type Link struct {
	Site string `json:"site"`
	URL  string `json:"url"`
}

var placeholder = regexp.MustCompile(`\{([a-z_]*)\}`)

// UnmarshalText reads a template, for the command line: SITE=ADDRESS.
func (t *Template) UnmarshalText(text []byte) error {
	site, form, ok := strings.Cut(string(text), "=")
	if !ok || strings.TrimSpace(site) != site || site == "" || len(site) > 40 {
		return errors.New("it is not SITE=ADDRESS, with a name of up to 40 bytes")
	}
	sample := values(catalog.Movie{ID: "m-1931", Title: "M", TitleRU: "М", OriginalTitle: "M", Year: 1931,
		IDs: &catalog.IDs{IMDb: "tt0022100", Kinopoisk: "1", Wikidata: "Q1"}}, "en")
	for _, name := range placeholder.FindAllStringSubmatch(form, -1) {
		if _, known := sample[name[1]]; !known {
			return fmt.Errorf("there is no value %s", name[0])
		}
	}
	filled, _ := fill(form, sample)
	u, err := url.Parse(filled)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(filled, "{} ") {
		return errors.New("the address is no https:// URL")
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(form, "https://"), "/")
	if strings.Contains(strings.ReplaceAll(host, "{lang}", ""), "{") {
		return errors.New("the host of the address may depend on the language only")
	}
	t.Site, t.Form = site, form
	return nil
}

// Of returns a film's links in a language ("ru", and English for all others), in the order
// of the templates, one for each site. A site for which the film lacks a value has none.
func Of(m catalog.Movie, language string, templates []Template) []Link {
	known, links := values(m, language), []Link{}
	for _, t := range templates {
		if len(links) > 0 && links[len(links)-1].Site == t.Site {
			continue
		}
		if address, ok := fill(t.Form, known); ok {
			links = append(links, Link{t.Site, address})
		}
	}
	return links
}

func values(m catalog.Movie, language string) map[string]string {
	if language != "ru" {
		language = "en"
	}
	ids := catalog.IDs{}
	if m.IDs != nil {
		ids = *m.IDs
	}
	return map[string]string{"title": m.TitleIn(language), "title_en": m.TitleIn("en"), "title_ru": m.TitleIn("ru"), "original": m.OriginalTitle,
		"year": strconv.Itoa(m.Year), "lang": language, "imdb": ids.IMDb, "kinopoisk": ids.Kinopoisk, "wikidata": ids.Wikidata}
}

// fill is a template with its values; ok is false where one is missing.
func fill(form string, known map[string]string) (address string, ok bool) {
	ok = true
	address = placeholder.ReplaceAllStringFunc(form, func(name string) string {
		value := known[strings.Trim(name, "{}")]
		ok = ok && value != ""
		return strings.ReplaceAll(url.QueryEscape(value), "+", "%20") // valid in a path and in a query
	})
	return address, ok
}
