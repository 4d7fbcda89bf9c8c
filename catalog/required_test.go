package catalog

import (
	"encoding/csv"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

func shipped(t testing.TB) []Movie {
	t.Helper()
	movies, err := Shipped()
	if err != nil {
		t.Fatal(err)
	}
	return movies
}

// The list was written apart from the films: what both say is not a slip.
func TestShippedFilmsAreTheRequiredOnes(t *testing.T) {
	file, err := os.Open("testdata/required.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	table := csv.NewReader(file)
	table.Comma = '\t'
	rows, err := table.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	movies := make(map[string]Movie)
	for _, m := range shipped(t) {
		movies[m.Title+strconv.Itoa(m.Year)] = m
	}
	for _, row := range rows[1:] {
		title, titleRU, year, directors := row[0], row[1], row[2], strings.Split(row[3], ", ")
		m, ok := movies[title+year]
		if !ok {
			t.Errorf("%s (%s) is required and not there", title, year)
			continue
		}
		delete(movies, title+year)
		if m.TitleRU != titleRU {
			t.Errorf("%s: Russian title is %q, required is %q", m.ID, m.TitleRU, titleRU)
		}
		var got []string
		for _, p := range m.Directors {
			got = append(got, p.Name)
		}
		slices.Sort(got)
		slices.Sort(directors)
		if !slices.Equal(got, directors) {
			t.Errorf("%s: directors are %q, required are %q", m.ID, got, directors)
		}
	}
	for _, m := range movies {
		t.Errorf("%s is in no row of the list", m.ID)
	}
	if len(rows)-1 != 172 {
		t.Errorf("the list has %d films, want 172", len(rows)-1)
	}
}

func TestShippedTextsHaveTheirMeasure(t *testing.T) {
	for _, m := range shipped(t) {
		for field, text := range map[string]string{"description": m.Description, "description_ru": m.DescriptionRU} {
			if n := len(strings.Fields(text)); n < 40 || n > 60 {
				t.Errorf("%s: %s has %d words, want 40 to 60", m.ID, field, n)
			}
		}
		for field, list := range map[string][]string{"keywords": m.Keywords, "keywords_ru": m.KeywordsRU} {
			if len(list) < 15 {
				t.Errorf("%s: %s has %d entries, want 15 or more", m.ID, field, len(list))
			}
		}
		if id := slug(m); id != m.ID && m.ID != "8-and-a-half-1963" {
			t.Errorf("%s: title and year make %s", m.ID, id)
		}
	}
}

// slug is the id that a title and a year make.
func slug(m Movie) string {
	plain := strings.NewReplacer("é", "e", "ü", "u", "ô", "o", "ä", "a", "'", "", "’", "", "·", "").Replace(strings.ToLower(m.Title))
	parts := strings.FieldsFunc(plain, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return strings.Join(append(parts, strconv.Itoa(m.Year)), "-")
}

func TestShippedTextsAreInTheirScript(t *testing.T) {
	for _, m := range shipped(t) {
		english, russian := textsByLanguage(m)
		for _, text := range russian {
			if !strings.ContainsFunc(text, isCyrillic) && text != "1+1" {
				t.Errorf("%s: %q is not Russian", m.ID, text)
			}
		}
		for _, text := range english {
			if strings.ContainsFunc(text, isCyrillic) {
				t.Errorf("%s: %q is not English", m.ID, text)
			}
		}
		// A Latin letter in a Russian word looks right, and no search finds it.
		for _, text := range slices.Concat(english, russian, []string{m.OriginalTitle}) {
			for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) }) {
				if strings.ContainsFunc(word, isCyrillic) && strings.ContainsFunc(word, isLatin) {
					t.Errorf("%s: %q has letters of two scripts", m.ID, word)
				}
			}
		}
	}
}

func textsByLanguage(m Movie) (english, russian []string) {
	english = append([]string{m.Title, m.Description}, m.Keywords...)
	russian = append([]string{m.TitleRU, m.DescriptionRU}, m.KeywordsRU...)
	for _, p := range m.people() {
		english, russian = append(english, p.Name), append(russian, p.NameRU)
	}
	return english, russian
}

func isCyrillic(r rune) bool { return unicode.Is(unicode.Cyrillic, r) }
func isLatin(r rune) bool    { return unicode.Is(unicode.Latin, r) }

// Both ways: one person with two Russian names, or two spellings of a name in
// Latin letters, would be two people to a search.
func TestShippedPeopleHaveOneName(t *testing.T) {
	russian, latin := make(map[string]string), make(map[string]string)
	for _, m := range shipped(t) {
		for _, p := range m.people() {
			if other, ok := russian[p.Name]; ok && other != p.NameRU {
				t.Errorf("%s: %s is %q here and %q elsewhere", m.ID, p.Name, p.NameRU, other)
			}
			if other, ok := latin[p.NameRU]; ok && other != p.Name {
				t.Errorf("%s: %s is %q here and %q elsewhere", m.ID, p.NameRU, p.Name, other)
			}
			russian[p.Name], latin[p.NameRU] = p.NameRU, p.Name
		}
	}
}
