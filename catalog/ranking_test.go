package catalog

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kassa/catalog/question"
)

// first are the films that a question finds by its words only, best first.
func first(t *testing.T, c *Catalogue, text string, limit int) []Match {
	t.Helper()
	matches, err := c.Nearest(context.Background(), Query{Text: text, Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	return matches
}

// A named film comes first, and only a question that is a title has a high confidence.
func TestNames(t *testing.T) {
	c := given(t, shipped(t), small)
	for _, tt := range []struct {
		text, film  string
		least, most float64
	}{
		{"Любовь", "amour-2012", 1, 1},
		{"фильм «Любовь»", "amour-2012", 1, 1},
		{"фильм про любовь", "", 0, 0.8},
		{"про остров", "", 0, 0.8},
		{"братья", "", 0, 0.8},
		{"жить хорошо, а хорошо жить ещё лучше", "", 0, 0.8},
		{"movie Come and See 1985", "come-and-see-1985", 1, 1},
		{"he wants to come and see his mother", "", 0, 0.8},
		{"Alien", "alien-1979", 1, 1},
		{"Aliens", "aliens-1986", 1, 1},
		{"матрицу с киану ривзом", "the-matrix-1999", 0.8, 1},
		{"기생충", "parasite-2019", 1, 1},
		{"लगान", "lagaan-2001", 1, 1},
	} {
		got := first(t, c, tt.text, 1)[0]
		if tt.film != "" && got.MovieID != tt.film || got.Score < tt.least || got.Score > tt.most {
			t.Errorf("%q finds %v, want %s at %g to %g", tt.text, got, tt.film, tt.least, tt.most)
		}
	}
}

// A person's name finds their films.
func TestPeople(t *testing.T) {
	c := given(t, shipped(t), small)
	for text, name := range map[string]string{"Leone": "Sergio Leone", "Рязанов": "Eldar Ryazanov", "фильмы Рязанова": "Eldar Ryazanov", "Евгений Леонов": "Yevgeny Leonov", "Tom Hanks": "Tom Hanks"} {
		read := c.Read(text)
		found, err := c.Nearest(t.Context(), Query{Text: read.Text, Conditions: read.Filters, Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if m, _ := c.Movie(f.MovieID); !slices.ContainsFunc(m.people(), func(p Person) bool { return p.Name == name }) {
				t.Errorf("%q finds %s (%.3f)", text, f.MovieID, f.Score)
			}
		}
	}
}

// A full name counts more than its parts in the names of two people.
func TestFullNames(t *testing.T) {
	one, other := solaris(), solaris()
	one.ID, one.Cast = "one-2001", []Person{{"Anna Smith", "Анна Смит"}, {"John Brown", "Джон Браун"}}
	other.ID, other.Cast = "two-2002", []Person{{"Anna Brown", "Анна Браун"}, {"John Smith", "Джон Смит"}}
	c := given(t, []Movie{one, other}, small)
	for text, want := range map[string]string{"Anna Smith": "one-2001", "Анна Браун": "two-2002", "film with John Smith": "two-2002", "фильм с Джоном Брауном": "one-2001"} {
		if got := first(t, c, text, 2); got[0].MovieID != want || got[0].Score == got[1].Score {
			t.Errorf("%q finds %v, want %s", text, got, want)
		}
	}
}

// A character's name finds its film before films whose actors have the name, or a name
// with the same stem.
func TestNamesOfOneWord(t *testing.T) {
	one, other, third := solaris(), solaris(), solaris()
	one.ID, one.Cast = "one-2001", []Person{{"Anya Smith", "Аня Смит"}, {"Boris Brown", "Борис Браун"}, {"Boris Green", "Борис Грин"}}
	other.ID, other.Cast, other.Characters = "two-2002", nil, []Character{{"Boris", "Борис", ""}, {"Tom", "Том", ""}}
	third.ID, third.Cast, third.Characters = "three-2003", nil, []Character{{"Anna", "Анна", ""}}
	third.Series = &Series{"Three Colours", "Три цвета", 1}
	c := given(t, append(shipped(t), one, other, third), small)
	for text, want := range map[string]string{"Boris": "two-2002", "Борис": "two-2002", "фильм Том": "two-2002", "Анна": "three-2003", "Три цвета": "three-2003"} {
		if got := first(t, c, text, 2); got[0].MovieID != want || got[0].Score == got[1].Score {
			t.Errorf("%q finds %v, want %s", text, got, want)
		}
	}
}

// A famous line finds its film, although all of its words are stop words.
func TestQuotes(t *testing.T) {
	quoted := solaris()
	quoted.ID, quoted.Lines = "quoted-2001", []Line{{"We'll be there, too.", "Жили не тужили, а там как знать!"}}
	c := given(t, append(shipped(t), quoted), small)
	for _, text := range []string{"жили не тужили а там как знать", "we'll be there too", "where he says we'll be there too"} {
		if got := first(t, c, text, 2); got[0].MovieID != "quoted-2001" {
			t.Errorf("%q finds %v", text, got)
		}
	}
	if two, three := first(t, c, "be there", 1)[0].Score, first(t, c, "we'll be there too", 1)[0].Score; two > 0.75 || three < 0.95 {
		t.Errorf("two words of a line have %g, all of it has %g", two, three)
	}
}

// A question finds films by every field.
func TestEveryFieldIsSearched(t *testing.T) {
	c := given(t, append(shipped(t)[:20], rich()), small)
	for text, field := range map[string]Field{
		"Солярис": FieldTitle, "Тарковский": FieldPerson, "Хари Kelvin": FieldCharacter, "we need a mirror": FieldLine,
		"космическая станция": FieldSetting, "Stations": FieldSeries, "grief": FieldTheme, "меланхоличный": FieldMood, "золотая пальмовая ветвь": FieldAward,
		"silent children": FieldFlag, "СССР": FieldCountry, "фантастика": FieldGenre, "psychologist": FieldDescription,
	} {
		if got := first(t, c, text, 1)[0]; got.MovieID != "solaris-1972" {
			t.Errorf("%q finds %v", text, got)
		}
		reasons := c.Reasons(text, "solaris-1972")[0]
		if !slices.ContainsFunc(reasons, func(r Reason) bool { return r.Field == field }) {
			t.Errorf("%q: reasons are %+v, want one of the field %s", text, reasons, field)
		}
	}
}

func TestReasons(t *testing.T) {
	c := given(t, append(shipped(t)[:60], rich()), small)
	for _, tt := range []struct {
		text string
		want []Reason
	}{
		{"where Kris Kelvin floats above an OCEAN", []Reason{{FieldCharacter, "Kris Kelvin", []string{"Kris", "Kelvin"}, false}, {FieldKeyword, "ocean", []string{"OCEAN"}, false}}},
		{"вдовец грустит у моря", []Reason{{FieldKeyword, "океан", []string{"моря"}, true}}},
		{"qwerty", nil},
		{"", nil},
	} {
		got := c.Reasons(tt.text, "solaris-1972")[0]
		if tt.want == nil && len(got) > 0 {
			t.Errorf("%q: %+v, want none", tt.text, got)
		}
		for _, want := range tt.want {
			if !slices.ContainsFunc(got, func(r Reason) bool { return reflect.DeepEqual(r, want) }) {
				t.Errorf("%q: %+v, want %+v among them", tt.text, got, want)
			}
		}
	}
	if got := c.Reasons("ocean", "solaris-1972", "no-such-film"); len(got) != 2 || got[0] == nil || got[1] != nil {
		t.Errorf("a film that is not there has reasons %v", got)
	}
}

// A word that most films have, or a loose synonym of a frequent one, is no reason.
func TestReasonsAreNotFarFetched(t *testing.T) {
	e := explanation{words: []explained{{"man", 0.5, false}, {"house", 2, false}, {"zoetrope", 7, false}}, least: 1.05}
	p := passage{FieldKeyword, "a man in a house with a zoetrope", false, 5}
	for _, tt := range []struct {
		hits   []hit
		reason bool
	}{
		{[]hit{{0, 0, false}}, false},
		{[]hit{{0, 1, true}}, false},
		{[]hit{{0, 0, false}, {0, 1, true}}, true},
		{[]hit{{0, 1, false}}, true},
		{[]hit{{0, 2, true}}, true},
	} {
		if worth := e.worth(tt.hits, p); worth > 0 != tt.reason {
			t.Errorf("%+v are worth %v, want a reason: %v", tt.hits, worth, tt.reason)
		}
	}
}

func TestReasonIn(t *testing.T) {
	m := rich()
	m.OriginalTitle = "Solaristika"
	sentence, _, _ := strings.Cut(m.DescriptionRU, ". ")
	for _, tt := range []struct {
		field                  Field
		text, reader, want, in string
	}{
		{FieldCharacter, "Kris Kelvin", "ru", m.Characters[0].NameRU, "ru"},
		{FieldPerson, m.Directors[0].NameRU, "en", m.Directors[0].Name, "en"},
		{FieldGenre, "фантастика", "en", "Science fiction", "en"},
		{FieldKeyword, m.Keywords[0], "ru", m.Keywords[0], "en"},
		{FieldKeyword, m.KeywordsRU[0], "en", m.KeywordsRU[0], "ru"},
		{FieldTitle, m.Title, "ru", m.TitleRU, "ru"},
		{FieldTitle, "Solaristika", "ru", "Solaristika", ""},
		{FieldDescription, sentence, "en", sentence, "ru"},
	} {
		if text, in := m.ReasonIn(tt.reader, Reason{Field: tt.field, Text: tt.text}); text != tt.want || in != tt.in {
			t.Errorf("%s %q for a reader of %s: %q in %q, want %q in %q", tt.field, tt.text, tt.reader, text, in, tt.want, tt.in)
		}
	}
}

// A vague question gets at most two parts of a series among others; one that names the
// series gets them all.
func TestSeriesGiveWay(t *testing.T) {
	var movies []Movie
	for part := range 5 {
		m := solaris()
		m.ID, m.Title, m.TitleRU, m.OriginalTitle = fmt.Sprintf("zanzibar-%d-2001", part+1), fmt.Sprintf("Zanzibar %d", part+1), "", ""
		m.Series = &Series{"Zanzibar", "Занзибар", part + 1}
		movies = append(movies, m)
	}
	c := given(t, append(shipped(t), movies...), small)
	parts := func(text string, limit int) (n int) {
		for _, m := range first(t, c, text, limit) {
			if movie, _ := c.Movie(m.MovieID); strings.HasPrefix(movie.ID, "zanzibar") {
				n++
			}
		}
		return n
	}
	vague, named := "a psychologist on a station above an ocean", "Zanzibar"
	if got := parts(vague, 5); got != partsMax {
		t.Errorf("%q gets %d parts, want %d", vague, got, partsMax)
	}
	if got := parts(named, 5); got != 5 {
		t.Errorf("%q gets %d parts, want 5", named, got)
	}
	q := Query{Text: vague, Limit: 5, Conditions: []question.Filter{{Field: question.Series, Value: "Zanzibar"}}}
	if got, err := c.Nearest(t.Context(), q); err != nil || len(got) != 5 || slices.ContainsFunc(got, func(m Match) bool { return !strings.HasPrefix(m.MovieID, "zanzibar") }) {
		t.Errorf("where a condition asks for the series, %v are found, %v", got, err)
	}
	if got := first(t, c, vague, c.Len()); len(got) != c.Len() || !slices.IsSortedFunc(got, func(a, b Match) int { return map[bool]int{true: -1}[ordered(a, b)] }) {
		t.Errorf("all films are %d, or not in the order of their scores", len(got))
	}
	if got := first(t, given(t, movies, small), vague, 5); len(got) != 5 {
		t.Errorf("where there are no others, %d are found", len(got))
	}
}

// A question whose words match nothing is answered by its vector only.
func TestVectorAlone(t *testing.T) {
	movies := shipped(t)
	c := given(t, movies, small)
	q := query(t, small, movies[7].Description)
	q.Text = ""
	if got, err := c.Nearest(t.Context(), q); err != nil || got[0].MovieID != movies[7].ID || got[0].Score < 0.5 {
		t.Errorf("found %v, %v", got, err)
	}
}

// Films with few fields are imported, shown and found.
func TestFilmsWithLittle(t *testing.T) {
	english := Movie{ID: "kelp-2001", Title: "Kelp", Year: 2001, Description: "A diver lives in a drowned lighthouse."}
	russian := Movie{ID: "tina-2002", TitleRU: "Тина", Year: 2002, DescriptionRU: "Смотритель маяка разводит пчёл."}
	inEach(t, func(t *testing.T, db database) {
		c := db.open(t)
		mustImport(t, c, append(shipped(t)[:50], english, russian), small, Report{Added: 52, Embedded: 52})
		for text, want := range map[string]string{"водолаз на маяке": "kelp-2001", "lighthouse keeper and bees": "tina-2002", "Тина": "tina-2002"} {
			if got := first(t, c, text, 2); got[0].MovieID != want && got[1].MovieID != want {
				t.Errorf("%q finds %v, want %s", text, got, want)
			}
		}
		if m, _ := c.Movie("tina-2002"); m.TitleIn("en") != "Тина" || m.DescriptionIn("en") == "" {
			t.Errorf("the film is shown as %q", m.TitleIn("en"))
		}
		mustImport(t, c, []Movie{english}, small, Report{Unchanged: 1})
	})
}
