package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// solaris is a valid film, which tests make invalid.
func solaris() Movie {
	return Movie{
		ID: "solaris-1972", Title: "Solaris", TitleRU: "Солярис", OriginalTitle: "Солярис", Year: 1972,
		Directors: []Person{{"Andrei Tarkovsky", "Андрей Тарковский"}},
		Cast:      []Person{{"Donatas Banionis", "Донатас Банионис"}, {"Natalya Bondarchuk", "Наталья Бондарчук"}},
		Countries: []string{"SU"}, Genres: []string{"drama", "science-fiction"}, Runtime: 167,
		Description:   "A psychologist on a station above a thinking ocean meets his dead wife.",
		DescriptionRU: "Психолог на станции над мыслящим океаном встречает умершую жену.",
		Keywords:      []string{"ocean", "space station"}, KeywordsRU: []string{"океан", "космическая станция"},
	}
}

const solarisJSON = `[
  {
    "id": "solaris-1972",
    "title": "Solaris",
    "title_ru": "Солярис",
    "original_title": "Солярис",
    "year": 1972,
    "directors": [{"name": "Andrei Tarkovsky", "name_ru": "Андрей Тарковский"}],
    "cast": [
      {"name": "Donatas Banionis", "name_ru": "Донатас Банионис"},
      {"name": "Natalya Bondarchuk", "name_ru": "Наталья Бондарчук"}
    ],
    "countries": ["SU"],
    "genres": ["drama", "science-fiction"],
    "runtime": 167,
    "description": "A psychologist on a station above a thinking ocean meets his dead wife.",
    "description_ru": "Психолог на станции над мыслящим океаном встречает умершую жену.",
    "keywords": ["ocean", "space station"],
    "keywords_ru": ["океан", "космическая станция"]
  }
]
`

// rich is a film with every field.
func rich() Movie {
	m := solaris()
	m.OtherTitles = []string{"Solaristics", "Соляристика"}
	m.Characters = []Character{{"Kris Kelvin", "Крис Кельвин", "Donatas Banionis"}, {Name: "Hari"}}
	m.Lines = []Line{{"We need a mirror.", "Нам нужно зеркало."}}
	m.Settings = []Setting{{"a space station", "космическая станция"}}
	m.Moods, m.Themes = []string{"melancholic"}, []string{"memory", "grief"}
	m.Languages, m.Awards = []string{"ru"}, []string{"palme-dor"} // it did not win
	m.Series = &Series{"Stations", "Станции", 1}
	m.IDs = &IDs{"tt0069293", "43911", "Q159638"}
	m.BlackAndWhite, m.Silent, m.ForChildren = true, true, true
	return m
}

// A written film is read with every field, and a film with few fields is valid.
func TestLoadReadsWhatIsWritten(t *testing.T) {
	bare := Movie{ID: "zanzibar-2001", TitleRU: "Занзибар", Year: 2001}
	bare.normalize()
	want := []Movie{rich(), bare}
	content, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	dir := write(t, map[string]string{"a.json": string(content), "b.json": `{"id": "alone-1999", "title": "Alone", "year": 1999, "lines": []}`})
	alone := Movie{ID: "alone-1999", Title: "Alone", Year: 1999}
	alone.normalize()
	got, err := Load(dir)
	if want = append([]Movie{alone}, want...); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("loaded %+v, %v\nwant   %+v", got, err, want)
	}
	typ := reflect.TypeFor[Movie]()
	for i := range typ.NumField() {
		if reflect.ValueOf(rich()).Field(i).IsZero() {
			t.Errorf("the test's film has no %s", typ.Field(i).Name)
		}
	}
}

func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoad(t *testing.T) {
	one := strings.TrimSpace(solarisJSON)
	one = one[1 : len(one)-1]
	for name, content := range map[string]string{
		"an array":             solarisJSON,
		"a single film":        one,
		"a byte order mark":    "\ufeff" + solarisJSON,
		"line ends of Windows": strings.ReplaceAll(solarisJSON, "\n", "\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, map[string]string{"a.json": content, "readme.txt": "not a film"})
			for _, path := range []string{dir, filepath.Join(dir, "a.json")} {
				movies, err := Load(path)
				if err != nil {
					t.Fatal(err)
				}
				if want := []Movie{solaris()}; !reflect.DeepEqual(movies, want) {
					t.Errorf("loaded %+v\nwant   %+v", movies, want)
				}
			}
		})
	}
}

// numbered are n different texts of a JSON array.
func numbered(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = strconv.Quote(strconv.Itoa(i))
	}
	return strings.Join(list, ", ")
}

func TestLoadRefuses(t *testing.T) {
	deep := strings.Repeat("[", 5_000_000)
	for _, tt := range []struct {
		name     string
		old, new string // solarisJSON with old replaced; all of it, if old is ""
		want     string // the whole message, or its beginning if it ends with …
	}{
		{"an unknown field", `"year"`, `"yaer"`, "a.json:7: solaris-1972: yaer is no field of this\na.json:2: solaris-1972: year is missing"},
		{"a field twice", `"runtime": 167`, `"year": 1973`, "a.json:15: solaris-1972: year is given twice"},
		{"a text for a number", "1972,", `"1972",`, `a.json:7: solaris-1972: year is the text "1972", and must be a whole number`},
		{"a fraction", "1972,", `1972.5,`, `a.json:7: solaris-1972: year is the number 1972.5, and must be a whole number`},
		{"a number beyond all", "1972,", `1e999,`, `a.json:7: solaris-1972: year is the number 1e999, and must be a whole number`},
		{"null", `"Solaris"`, `null`, "a.json:4: solaris-1972: title is null, and must be a text"},
		{"a number for a text", `"Solaris"`, `8`, "a.json:4: solaris-1972: title is the number 8, and must be a text"},
		{"an object for a text", `"Solaris"`, `{"en":["Solaris"]}`, "a.json:4: solaris-1972: title is an object, and must be a text"},
		{"a text for an array", `["SU"]`, `"SU"`, `a.json:13: solaris-1972: countries is the text "SU", and must be an array of texts`},
		{"a number among texts", `"ocean"`, `7`, "a.json:18: solaris-1972: keywords[0] is the number 7, and must be a text"},
		{"a text for a person", `{"name": "Donatas Banionis", "name_ru": "Донатас Банионис"}`, `"Donatas Banionis"`, `a.json:10: solaris-1972: cast[0] is the text "Donatas Banionis", and must be a person with name and name_ru`},
		{"a person without a name", `{"name": "Donatas Banionis", "name_ru": "Донатас Банионис"}`, `{}`, "a.json:10: solaris-1972: cast[0].name is missing"},
		{"a person with more", `{"name": "Donatas Banionis"`, `{"age": 48, "name": "Donatas Banionis"`, "a.json:10: solaris-1972: cast[0].age is no field of this"},
		{"no title", `"title": "Solaris",
    "title_ru": "Солярис",`, ``, "a.json:2: solaris-1972: title is missing"},
		{"empty titles", `"title": "Solaris",
    "title_ru": "Солярис",`, `"title": "", "title_ru": "",`, "a.json:4: solaris-1972: title is empty"},
		{"a space before", `"Solaris"`, `" Solaris"`, "a.json:4: solaris-1972: title begins or ends with a space"},
		{"a line's end within", `"Solaris"`, `"Sola\nris"`, "a.json:4: solaris-1972: title holds a control character, such as a line's end"},
		{"half a character", `"Solaris"`, `"Solaris \ud83d"`, "a.json:4: solaris-1972: title holds a character that is not Unicode, or its replacement (U+FFFD)"},
		{"a long title", `"Solaris"`, `"` + strings.Repeat("я", 301) + `"`, "a.json:4: solaris-1972: title has 301 letters, at most 300 are allowed"},
		{"an id with capitals", `"solaris-1972"`, `"Solaris 1972"`, `a.json:3: Solaris 1972: id is "Solaris 1972", and must be small Latin letters and digits with single hyphens between`},
		{"a year before film", "1972,", "1877,", "a.json:7: solaris-1972: year is 1877, and must be from 1878 to 2100"},
		{"a year of science fiction", "1972,", "2101,", "a.json:7: solaris-1972: year is 2101, and must be from 1878 to 2100"},
		{"a runtime below nothing", "167", "-1", "a.json:15: solaris-1972: runtime is -1, and must be from 1 to 1000"},
		{"an endless runtime", "167", "1001", "a.json:15: solaris-1972: runtime is 1001, and must be from 1 to 1000"},
		{"an unknown country", `"SU"`, `"UK"`, `a.json:13: solaris-1972: countries[0] is "UK", which is not in the list of country codes`},
		{"an unknown genre", `"drama"`, `"Drama"`, `a.json:14: solaris-1972: genres[0] is "Drama", which is not in the list of genre codes`},
		{"a genre twice", `"drama"`, `"science-fiction"`, `a.json:14: solaris-1972: genres[1] says "science-fiction" once more`},
		{"a keyword twice", `"space station"`, `"ocean"`, `a.json:18: solaris-1972: keywords[1] says "ocean" once more`},
		{"too many keywords", `"space station"`, numbered(200), "a.json:18: solaris-1972: keywords has 201 entries, at most 200 are allowed"},
		{"far too many keywords", `"space station"`, numbered(2000), "a.json:18: solaris-1972: keywords has more than 1000 entries"},

		{"a character without a name", `"runtime"`, `"characters": [{"actor": "Donatas Banionis"}], "runtime"`, "a.json:15: solaris-1972: characters[0].name is missing"},
		{"a text for a character", `"runtime"`, `"characters": ["Kris"], "runtime"`, `a.json:15: solaris-1972: characters[0] is the text "Kris", and must be a character with name and name_ru`},
		{"a line with more", `"runtime"`, `"lines": [{"text": "We need a mirror.", "by": "Snaut"}], "runtime"`, "a.json:15: solaris-1972: lines[0].by is no field of this"},
		{"a setting twice named", `"runtime"`, `"settings": [{"name": "a", "name": "b"}], "runtime"`, "a.json:15: solaris-1972: settings[0].name is given twice"},
		{"an unknown mood", `"runtime"`, `"moods": ["blue"], "runtime"`, `a.json:15: solaris-1972: moods[0] is "blue", which is not in the list of mood codes`},
		{"an unknown theme", `"runtime"`, `"themes": ["sea", "oceans"], "runtime"`, `a.json:15: solaris-1972: themes[1] is "oceans", which is not in the list of theme codes`},
		{"an unknown language", `"runtime"`, `"languages": ["Russian"], "runtime"`, `a.json:15: solaris-1972: languages[0] is "Russian", which is not in the list of language codes`},
		{"an award twice", `"runtime"`, `"awards": ["palme-dor", "palme-dor"], "runtime"`, `a.json:15: solaris-1972: awards[1] says "palme-dor" once more`},
		{"a list for a series", `"runtime"`, `"series": [], "runtime"`, "a.json:15: solaris-1972: series is an array, and must be an object with name, name_ru and part"},
		{"a series without a part", `"runtime"`, `"series": {"name": "Stations"}, "runtime"`, "a.json:15: solaris-1972: series.part is missing"},
		{"a wrong id elsewhere", `"runtime"`, `"ids": {"imdb": "0069293"}, "runtime"`, `a.json:15: solaris-1972: ids.imdb is "0069293", and must be tt and seven digits or more`},
		{"an id of no list", `"runtime"`, `"ids": {"tmdb": "593"}, "runtime"`, "a.json:15: solaris-1972: ids.tmdb is no field of this"},
		{"a text for a flag", `"runtime"`, `"silent": "no", "runtime"`, `a.json:15: solaris-1972: silent is the text "no", and must be true or false`},

		{"a comma too many", "167,", "167,,", "a.json:15: is not JSON: invalid character ',' at start of value"},
		{"a file cut off", "}\n]\n", "", "a.json:20: is not JSON: the file ends in the middle of a value"},
		{"more after the films", "}\n]\n", "}\n]\n[]", "a.json:22: after the films there is more: an array"},
		{"broken UTF-8", "океан", "оке\xd0", "a.json:17: is not UTF-8"},
		{"an empty file", "", " \n ", "a.json:1: the file is empty"},
		{"no film", "", "[\n]", "a.json:2: there is no film in the file"},
		{"a text", "", `"films"`, `a.json:1: is the text "films", and must be an array of films`},
		{"a list of texts", "", "[\n\"films\"]", "a.json:2: is the text \"films\", and must be a film\n…"},
		{"no JSON", "", "films:\n- solaris", "a.json:1: is not JSON: invalid character 'i' in literal false (expecting 'a')"},
		{"a nest", "", `[{"id":` + deep, "a.json:1: is not JSON: exceeded max depth"},
		{"a nest of films", "", deep, "a.json:1: is not JSON: exceeded max depth"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			content := tt.new
			if tt.old != "" {
				content = strings.Replace(solarisJSON, tt.old, tt.new, 1)
			}
			dir := write(t, map[string]string{"a.json": content})
			movies, err := Load(dir)
			var problems *Problems
			if !errors.As(err, &problems) {
				t.Fatalf("loaded %+v, error %v, want *Problems", movies, err)
			}
			got := strings.ReplaceAll(problems.Error(), dir+string(filepath.Separator), "")
			if begin, cut := strings.CutSuffix(tt.want, "…"); got != begin && !(cut && strings.HasPrefix(got, begin)) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestLoadTellsAllFilesAndDuplicates(t *testing.T) {
	dir := write(t, map[string]string{
		"a.json": solarisJSON,
		"b.json": strings.Replace(solarisJSON, "167", "-1", 1),
		"c.json": "[",
	})
	_, err := Load(dir)
	var problems *Problems
	if !errors.As(err, &problems) {
		t.Fatalf("error is %v, want *Problems", err)
	}
	var got []string
	for _, p := range problems.List {
		got = append(got, fmt.Sprintf("%s:%d:%s", filepath.Base(p.File), p.Line, p.Field))
	}
	want := []string{"b.json:15:runtime", "b.json:3:id", "c.json:1:"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("problems at %q, want %q", got, want)
	}
	if !strings.Contains(err.Error(), "already the id of the film at "+filepath.Join(dir, "a.json")+":2") {
		t.Errorf("%v does not tell where the other film is", err)
	}
	var problem Problem
	if !errors.As(err, &problem) || problem.Field != "runtime" {
		t.Errorf("errors.As gives problem %+v", problem)
	}
}

func TestLoadTellsFiftyProblems(t *testing.T) {
	dir := write(t, map[string]string{"a.json": "[" + strings.TrimSuffix(strings.Repeat("{},\n", 4000), ",\n") + "]"})
	_, err := Load(dir)
	var problems *Problems
	if !errors.As(err, &problems) {
		t.Fatalf("error is %v, want *Problems", err)
	}
	if len(problems.List) != problemsMax || problems.More < giveUpMax || problems.More > giveUpMax+20 {
		t.Errorf("%d problems and %d more, want 50 and some 10,000", len(problems.List), problems.More)
	}
	if problems.List[3].Line != 2 {
		t.Errorf("the second film's first problem is at line %d, want 2: %v", problems.List[14].Line, problems.List[3])
	}
}

func TestLoadRefusesPaths(t *testing.T) {
	dir := write(t, map[string]string{"readme.txt": ""})
	large := filepath.Join(t.TempDir(), "large.json")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, fileBytesMax+1); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir:                          "no file in this folder ends in .json",
		filepath.Join(dir, "x.json"): "no such file",
		large:                        "more than 64 MiB",
	} {
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("load %s: %v, want %q", path, err, want)
		}
	}
}

func TestLabels(t *testing.T) {
	for _, list := range [][]Label{genres, countries, moods, themes, awards, languages} {
		for _, l := range list {
			if l.In("en") != l.Name || l.In("ru") != l.NameRU || !isCyrillic(l.NameRU) || isCyrillic(l.Name) {
				t.Errorf("label %+v", l)
			}
		}
	}
	if l, ok := Country("SU"); !ok || l.NameRU != "СССР" {
		t.Errorf("SU is %+v, %v", l, ok)
	}
	if _, ok := Genre("no-such"); ok {
		t.Error("a genre that is not there was found")
	}
}

// For any bytes the result is valid films that read the same again, or problems that
// name the file and a line of it.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{solarisJSON, "", "[", "[{}]", `{"id":"a","cast":[{}]}`, `[{"id":1e99}]`, "\ufeff[]", "[[[[", "\xff", `[{"cast":[1,{"name":2}]}] x`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		var problems Problems
		d := decoder{file: "fuzz.json", problems: &problems, places: make(map[string]string)}
		movies := d.decode(content)
		lines := strings.Count(string(content), "\n") + 1
		for _, p := range problems.List {
			if p.File != "fuzz.json" || p.Line < 1 || p.Line > lines || p.What == "" {
				t.Errorf("problem %+v in a file of %d lines", p, lines)
			}
		}
		if len(problems.List) > 0 {
			return
		}
		if len(movies) == 0 {
			t.Fatal("neither films nor problems")
		}
		if err := checkAll(movies); err != nil {
			t.Fatalf("loaded films break the rules: %v", err)
		}
		again, err := json.Marshal(movies)
		if err != nil {
			t.Fatal(err)
		}
		d = decoder{file: "again.json", problems: &problems, places: make(map[string]string)}
		if second := d.decode(again); !reflect.DeepEqual(movies, second) {
			t.Errorf("read %+v, written and read again %+v, problems %v", movies, second, problems.List)
		}
	})
}
