package catalog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a film. Lengths are in letters, not bytes, so that they are the same for
// Russian.
const (
	idMax          = 100
	titleMax       = 300
	nameMax        = 200
	keywordMax     = 200
	descriptionMax = 5000
	directorsMax   = 50
	titlesMax      = 50
	castMax        = 200
	keywordsMax    = 200
	codesMax       = 30
	lineMax        = 500
	linesMax       = 100
	settingsMax    = 50
	partMax        = 1000

	yearMin    = 1878 // the first motion pictures
	yearMax    = 2100
	runtimeMax = 1000 // minutes
)

var (
	idForm        = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	imdbForm      = regexp.MustCompile(`^tt[0-9]{7,10}$`)
	kinopoiskForm = regexp.MustCompile(`^[0-9]{1,10}$`)
	wikidataForm  = regexp.MustCompile(`^Q[0-9]{1,12}$`)
)

// check reports everything that is wrong with one film.
type check struct {
	report func(Fault)
}

func (c check) wrong(field string, kind FaultKind, args ...any) {
	c.report(Fault{field, kind, args})
}

// Faults is what is wrong with a film, "" if it is valid.
func (m Movie) Faults() string {
	var list []string
	m.validate(func(field, what string) { list = append(list, field+" "+what) })
	return strings.Join(list, "; ")
}

// validate calls wrong for each invalid field.
func (m Movie) validate(wrong func(field, what string)) {
	m.check(func(f Fault) { wrong(f.Field, f.What()) })
}

// Check is everything that is wrong with a film, for programs and pages that say it in
// words of their own. It is what files are held to.
func (m Movie) Check() (list []Fault) {
	m.check(func(f Fault) { list = append(list, f) })
	return list
}

func (m Movie) check(report func(Fault)) {
	c := check{report}
	if c.text("id", m.ID, idMax) && !idForm.MatchString(m.ID) {
		c.wrong("id", FaultID, m.ID)
	}
	c.either("title", m.Title, "title_ru", m.TitleRU, titleMax)
	c.optional("original_title", m.OriginalTitle, titleMax)
	c.number("year", m.Year, yearMin, yearMax)
	c.people("directors", m.Directors, directorsMax)
	c.people("cast", m.Cast, castMax)
	c.codes("countries", m.Countries, "country", countries)
	c.codes("genres", m.Genres, "genre", genres)
	if m.Runtime != 0 {
		c.number("runtime", m.Runtime, 1, runtimeMax)
	}
	c.optional("description", m.Description, descriptionMax)
	c.optional("description_ru", m.DescriptionRU, descriptionMax)
	c.texts("keywords", m.Keywords, keywordsMax, keywordMax)
	c.texts("keywords_ru", m.KeywordsRU, keywordsMax, keywordMax)
	m.checkFurther(c)
}

// checkFurther is check for the rare fields.
func (m Movie) checkFurther(c check) {
	c.texts("other_titles", m.OtherTitles, titlesMax, titleMax)
	c.count("characters", len(m.Characters), castMax)
	for i, x := range m.Characters {
		at := fmt.Sprintf("characters[%d].", i)
		c.either(at+"name", x.Name, at+"name_ru", x.NameRU, nameMax)
		c.optional(at+"actor", x.Actor, nameMax)
	}
	c.count("lines", len(m.Lines), linesMax)
	for i, x := range m.Lines {
		at := fmt.Sprintf("lines[%d].", i)
		c.either(at+"text", x.Text, at+"text_ru", x.TextRU, lineMax)
	}
	c.count("settings", len(m.Settings), settingsMax)
	for i, x := range m.Settings {
		at := fmt.Sprintf("settings[%d].", i)
		c.either(at+"name", x.Name, at+"name_ru", x.NameRU, nameMax)
	}
	c.codes("moods", m.Moods, "mood", moods)
	c.codes("themes", m.Themes, "theme", themes)
	c.codes("languages", m.Languages, "language", languages)
	c.codes("awards", m.Awards, "award", awards)
	if s := m.Series; s != nil {
		c.either("series.name", s.Name, "series.name_ru", s.NameRU, titleMax)
		c.number("series.part", s.Part, 1, partMax)
	}
	if ids := m.IDs; ids != nil {
		c.form("ids.imdb", ids.IMDb, imdbForm, FaultIMDb)
		c.form("ids.kinopoisk", ids.Kinopoisk, kinopoiskForm, FaultKinopoisk)
		c.form("ids.wikidata", ids.Wikidata, wikidataForm, FaultWikidata)
	}
}

// form checks an optional text of a given form.
func (c check) form(field, s string, form *regexp.Regexp, kind FaultKind) {
	if s != "" && !form.MatchString(s) {
		c.wrong(field, kind, Abridge(s))
	}
}

// optional checks a text that may be missing.
func (c check) optional(field, s string, lettersMax int) {
	if s != "" {
		c.text(field, s, lettersMax)
	}
}

// either checks a text in two languages, one of which may be missing.
func (c check) either(field, s, fieldRU, russian string, lettersMax int) {
	if russian == "" {
		c.text(field, s, lettersMax)
		return
	}
	c.optional(field, s, lettersMax)
	c.text(fieldRU, russian, lettersMax)
}

// text requires letters, on one line, without surrounding spaces.
func (c check) text(field, s string, lettersMax int) bool {
	switch letters := utf8.RuneCountInString(s); {
	case s == "":
		c.wrong(field, FaultEmpty)
	case !utf8.ValidString(s) || strings.ContainsRune(s, utf8.RuneError):
		c.wrong(field, FaultUnicode)
	case strings.ContainsFunc(s, unicode.IsControl):
		c.wrong(field, FaultControl)
	case strings.TrimSpace(s) != s:
		c.wrong(field, FaultSpace)
	case letters > lettersMax:
		c.wrong(field, FaultLong, letters, lettersMax)
	default:
		return true
	}
	return false
}

func (c check) number(field string, n, least, most int) {
	if n < least || n > most {
		c.wrong(field, FaultRange, n, least, most)
	}
}

func (c check) count(field string, n, most int) {
	if n > most {
		c.wrong(field, FaultMany, n, most)
	}
}

func (c check) texts(field string, list []string, most, lettersMax int) {
	c.count(field, len(list), most)
	for i, s := range list {
		if at := fmt.Sprintf("%s[%d]", field, i); c.text(at, s, lettersMax) && slices.Contains(list[:i], s) {
			c.wrong(at, FaultTwice, s)
		}
	}
}

func (c check) people(field string, list []Person, most int) {
	c.count(field, len(list), most)
	for i, p := range list {
		at := fmt.Sprintf("%s[%d].", field, i)
		c.either(at+"name", p.Name, at+"name_ru", p.NameRU, nameMax)
	}
}

func (c check) codes(field string, list []string, noun string, known []Label) {
	c.count(field, len(list), codesMax)
	for i, code := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		if _, ok := find(known, code); !ok {
			c.wrong(at, FaultCode, Abridge(code), noun)
		} else if slices.Contains(list[:i], code) {
			c.wrong(at, FaultTwice, code)
		}
	}
}

// Abridge keeps a message short, whatever a text contains: at most 60 characters of it.
func Abridge(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}
