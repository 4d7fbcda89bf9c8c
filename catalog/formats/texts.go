package formats

import (
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"kassa/catalog"
)

// Limits of what is taken from other catalogues; Kassa's own files may have more.
const (
	descriptionMax = 5000 // letters
	textMax        = 200  // letters of a keyword or a name
	keywordsMax    = 30
	castMax        = 15
	charactersMax  = 10
)

// clean makes a text one line: it resolves HTML character references, spaces, line ends
// and invisible characters.
func clean(text string) string {
	text = html.UnescapeString(text)
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == utf8.RuneError:
			return -1
		}
		return r
	}, text)
	return norm.NFC.String(strings.Join(strings.Fields(text), " "))
}

// shorten cuts a text after a word, if it has more letters.
func shorten(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	cut := string([]rune(text)[:most])
	if space := strings.LastIndexByte(cut, ' '); space > 0 {
		cut = cut[:space]
	}
	return cut
}

// isRussian reports whether more letters of a text are Cyrillic than not.
func isRussian(text string) bool {
	cyrillic, letters := 0, 0
	for _, r := range text {
		if unicode.IsLetter(r) {
			letters++
		}
		if unicode.Is(unicode.Cyrillic, r) {
			cyrillic++
		}
	}
	return 2*cyrillic > letters
}

// inLanguage sets the text for its language.
func inLanguage(text string, english, russian *string) {
	if isRussian(text) {
		*russian = text
	} else {
		*english = text
	}
}

// keywords adds words to a film's keywords, by language, each once.
func keywords(m *catalog.Movie, list ...string) {
	for _, word := range list {
		to := &m.Keywords
		if word = clean(word); isRussian(word) {
			to = &m.KeywordsRU
		}
		if word != "" && utf8.RuneCountInString(word) <= textMax && len(*to) < keywordsMax && !slices.Contains(*to, word) {
			*to = append(*to, word)
		}
	}
}

// people are names, without duplicates.
func people(list []string, most int) []catalog.Person {
	var all []catalog.Person
	for _, name := range list {
		var p catalog.Person
		name = shorten(clean(name), textMax)
		inLanguage(name, &p.Name, &p.NameRU)
		if name != "" && len(all) < most && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// titleYear is a title with its year, as in MovieLens: "Title, The (1999)", or for a
// series "(2006–2012)".
var titleYear = regexp.MustCompile(`^(.*?)\s*\((\d{4})(?:\s*[-–]\s*(?:\d{4})?)?\)$`)

// otherTitle is the title in another language that follows the first one.
var otherTitle = regexp.MustCompile(`^(.*\S)\s*\((?:a\.k\.a\.\s*)?([^()]+)\)$`)

// article is an article that was put behind a title for sorting.
var article = regexp.MustCompile(`(?i)^(.*), (The|A|An|La|Le|Les|L'|Il|Lo|I|Gli|El|Los|Las|Un|Una|Une|Der|Die|Das|Ein|Eine|De|Het|Den|Det|O|Os|As)$`)

// withArticle puts an article back before its title.
func withArticle(title string) string {
	parts := article.FindStringSubmatch(title)
	switch {
	case parts == nil:
		return title
	case strings.HasSuffix(parts[2], "'"):
		return parts[2] + parts[1]
	}
	return parts[2] + " " + parts[1]
}

// number reads a whole number, which some tables write as 81.0; 0 where there is none.
func number(text string) int {
	whole, fraction, _ := strings.Cut(strings.TrimSpace(text), ".")
	n, err := strconv.Atoi(whole)
	if err != nil || strings.Trim(fraction, "0") != "" {
		return 0
	}
	return n
}

// minutes is a length in minutes, 0 where it cannot be one of a film.
func minutes(text string) int {
	const most = 1000
	if n := number(text); n > 0 && n <= most {
		return n
	}
	return 0
}

// imdbForm is an id of IMDb.
var imdbForm = regexp.MustCompile(`^tt[0-9]{7,10}$`)

// imdbIDs are a film's ids with that of IMDb, nil where it is none.
func imdbIDs(id string) *catalog.IDs {
	if !imdbForm.MatchString(id) {
		return nil
	}
	return &catalog.IDs{IMDb: id}
}
