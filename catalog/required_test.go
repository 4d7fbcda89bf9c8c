package catalog

import (
	"encoding/csv"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

func shipped(t testing.TB) []Movie {
	t.Helper()
	movies, err := Shipped()
	if err != nil {
		t.Fatal(err)
	}
	return movies
}

// The list was written independently of the films, so an agreement of both is no slip.
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
	if len(rows)-1 != 258 {
		t.Errorf("the list has %d films, want 258", len(rows)-1)
	}
}

// The films are from all decades and many countries.
func TestShippedFilmsAreBalanced(t *testing.T) {
	all, russian, elsewhere := 0, 0, 0
	decades := make(map[int]int)
	genres := make(map[string]int)
	silent := 0
	for _, m := range shipped(t) {
		all++
		decades[m.Year/10*10]++
		switch m.Countries[0] {
		case "SU", "RU":
			russian++
		case "US":
		default:
			elsewhere++
		}
		for _, g := range m.Genres {
			genres[g]++
		}
		if m.Silent {
			silent++
		}
	}
	for what, n := range map[string][2]int{
		"films": {all, 600}, "Soviet and Russian films": {russian, 120}, "films from outside the USA and Russia": {elsewhere, 200},
		"animated films": {genres["animation"], 40}, "documentaries": {genres["documentary"], 5}, "silent films": {silent, 8}, "family films": {genres["family"], 40},
	} {
		if n[0] < n[1] {
			t.Errorf("%d %s, want %d or more", n[0], what, n[1])
		}
	}
	for decade := 1920; decade <= 2020; decade += 10 {
		if decades[decade] < 10 {
			t.Errorf("%d films of the %ds, want 10 or more", decades[decade], decade)
		}
	}
}

func TestShippedTextsHaveTheirMeasure(t *testing.T) {
	for _, m := range shipped(t) {
		for field, text := range map[string]string{"description": m.Description, "description_ru": m.DescriptionRU} {
			if n := len(strings.Fields(text)); n < 35 || n > 85 {
				t.Errorf("%s: %s has %d words, want 35 to 85", m.ID, field, n)
			}
		}
		for field, list := range map[string][]string{"keywords": m.Keywords, "keywords_ru": m.KeywordsRU} {
			if len(list) < 14 {
				t.Errorf("%s: %s has %d entries, want 14 or more", m.ID, field, len(list))
			}
		}
		if id := slug(m); id != m.ID && m.ID != "8-and-a-half-1963" {
			t.Errorf("%s: title and year make %s", m.ID, id)
		}
	}
}

// slug is the id derived from a title and a year.
func slug(m Movie) string {
	plain := strings.NewReplacer("'", "", "’", "", "·", "").Replace(strings.ToLower(m.Title))
	plain = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(plain))
	parts := strings.FieldsFunc(plain, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return strings.Join(append(parts, strconv.Itoa(m.Year)), "-")
}

func TestShippedTextsAreInTheirScript(t *testing.T) {
	for _, m := range shipped(t) {
		english, russian := textsByLanguage(m)
		for _, text := range russian {
			if !isCyrillic(text) && strings.ContainsFunc(text, unicode.IsLetter) && !strings.HasPrefix(text, "The ") && text != "«Por una cabeza»" {
				t.Errorf("%s: %q is not Russian", m.ID, text)
			}
		}
		for _, text := range english {
			if isCyrillic(text) {
				t.Errorf("%s: %q is not English", m.ID, text)
			}
		}
		// A Latin letter in a Russian word looks right, but no search finds the word.
		for _, text := range slices.Concat(english, russian, []string{m.OriginalTitle}) {
			for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) }) {
				if isCyrillic(word) && strings.ContainsFunc(word, isLatin) {
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

func isLatin(r rune) bool { return unicode.Is(unicode.Latin, r) }

// In both directions: two spellings of one person's name, in Russian or in Latin
// letters, would be two people to a search.
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
