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
	wrong func(field, what string)
}

// Faults is what is wrong with a film, "" if it is valid.
func (m Movie) Faults() string {
	var list []string
	m.validate(func(field, what string) { list = append(list, field+" "+what) })
	return strings.Join(list, "; ")
}

// validate calls wrong for each invalid field.
func (m Movie) validate(wrong func(field, what string)) {
	c := check{wrong}
	if c.text("id", m.ID, idMax) && !idForm.MatchString(m.ID) {
		wrong("id", fmt.Sprintf("is %q, and must be small Latin letters and digits with single hyphens between", m.ID))
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
	m.validateFurther(c)
}

// validateFurther is validate for the rare fields.
func (m Movie) validateFurther(c check) {
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
		c.form("ids.imdb", ids.IMDb, imdbForm, "tt and seven digits or more")
		c.form("ids.kinopoisk", ids.Kinopoisk, kinopoiskForm, "digits")
		c.form("ids.wikidata", ids.Wikidata, wikidataForm, "Q and digits")
	}
}

// form checks an optional text of a given form.
func (c check) form(field, s string, form *regexp.Regexp, want string) {
	if s != "" && !form.MatchString(s) {
		c.wrong(field, fmt.Sprintf("is %q, and must be %s", Abridge(s), want))
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
	var what string
	switch letters := utf8.RuneCountInString(s); {
	case s == "":
		what = "is empty"
	case !utf8.ValidString(s) || strings.ContainsRune(s, utf8.RuneError):
		what = "holds a character that is not Unicode, or its replacement (U+FFFD)"
	case strings.ContainsFunc(s, unicode.IsControl):
		what = "holds a control character, such as a line's end"
	case strings.TrimSpace(s) != s:
		what = "begins or ends with a space"
	case letters > lettersMax:
		what = fmt.Sprintf("has %d letters, at most %d are allowed", letters, lettersMax)
	default:
		return true
	}
	c.wrong(field, what)
	return false
}

func (c check) number(field string, n, least, most int) {
	if n < least || n > most {
		c.wrong(field, fmt.Sprintf("is %d, and must be from %d to %d", n, least, most))
	}
}

func (c check) count(field string, n, most int) {
	if n > most {
		c.wrong(field, fmt.Sprintf("has %d entries, at most %d are allowed", n, most))
	}
}

func (c check) texts(field string, list []string, most, lettersMax int) {
	c.count(field, len(list), most)
	for i, s := range list {
		if at := fmt.Sprintf("%s[%d]", field, i); c.text(at, s, lettersMax) && slices.Contains(list[:i], s) {
			c.wrong(at, fmt.Sprintf("says %q once more", s))
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
			c.wrong(at, fmt.Sprintf("is %q, which is not in the list of %s codes", Abridge(code), noun))
		} else if slices.Contains(list[:i], code) {
			c.wrong(at, fmt.Sprintf("says %q once more", code))
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
