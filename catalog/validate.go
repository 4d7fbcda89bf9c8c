package catalog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a film. Lengths are in letters, so that Russian is not shorter.
const (
	idMax          = 100
	titleMax       = 300
	nameMax        = 200
	keywordMax     = 200
	descriptionMax = 5000
	directorsMax   = 50
	castMax        = 200
	keywordsMax    = 200
	codesMax       = 30

	yearMin    = 1878 // the first photographs in motion
	yearMax    = 2100
	runtimeMax = 1000 // minutes
)

var idForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// check tells everything that is wrong with one film.
type check struct {
	wrong func(field, what string)
}

// validate calls wrong for each field that is not as it must be.
func (m Movie) validate(wrong func(field, what string)) {
	c := check{wrong}
	if c.text("id", m.ID, idMax) && !idForm.MatchString(m.ID) {
		wrong("id", fmt.Sprintf("is %q, and must be small Latin letters and digits with single hyphens between", m.ID))
	}
	c.text("title", m.Title, titleMax)
	c.text("title_ru", m.TitleRU, titleMax)
	c.text("original_title", m.OriginalTitle, titleMax)
	c.number("year", m.Year, yearMin, yearMax)
	c.people("directors", m.Directors, 1, directorsMax)
	c.people("cast", m.Cast, 0, castMax)
	c.codes("countries", m.Countries, "country", countries)
	c.codes("genres", m.Genres, "genre", genres)
	c.number("runtime", m.Runtime, 1, runtimeMax)
	c.text("description", m.Description, descriptionMax)
	c.text("description_ru", m.DescriptionRU, descriptionMax)
	c.texts("keywords", m.Keywords, keywordsMax)
	c.texts("keywords_ru", m.KeywordsRU, keywordsMax)
}

// text wants letters, on one line, with no space around them.
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

func (c check) count(field string, n, least, most int) {
	switch {
	case n < least:
		c.wrong(field, "is empty")
	case n > most:
		c.wrong(field, fmt.Sprintf("has %d entries, at most %d are allowed", n, most))
	}
}

func (c check) texts(field string, list []string, most int) {
	c.count(field, len(list), 1, most)
	for i, s := range list {
		if at := fmt.Sprintf("%s[%d]", field, i); c.text(at, s, keywordMax) && slices.Contains(list[:i], s) {
			c.wrong(at, fmt.Sprintf("says %q once more", s))
		}
	}
}

func (c check) people(field string, list []Person, least, most int) {
	if list == nil {
		c.wrong(field, "is missing")
		return
	}
	c.count(field, len(list), least, most)
	for i, p := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		c.text(at+".name", p.Name, nameMax)
		c.text(at+".name_ru", p.NameRU, nameMax)
	}
}

func (c check) codes(field string, list []string, noun string, known []Label) {
	c.count(field, len(list), 1, codesMax)
	for i, code := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		if _, ok := find(known, code); !ok {
			c.wrong(at, fmt.Sprintf("is %q, which is not in the list of %s codes", abridge(code), noun))
		} else if slices.Contains(list[:i], code) {
			c.wrong(at, fmt.Sprintf("says %q once more", code))
		}
	}
}

// abridge keeps a message short whatever stood in the file.
func abridge(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}
