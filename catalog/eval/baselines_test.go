package eval

import (
	"math"
	"strings"
	"testing"

	"kassa/catalog"
	"kassa/schema"
	"kassa/schema/schematest"
)

func few() []catalog.Movie {
	return []catalog.Movie{
		{ID: "a-2001", Title: "Ships", Description: "ships sail the sea", Year: 2001},
		{ID: "b-2002", Title: "Forest", Description: "a forest by the sea", Year: 2002},
		{ID: "c-2003", TitleRU: "Лес", DescriptionRU: "леса и корабли", Year: 2003},
	}
}

func answer(t *testing.T, s System, texts ...string) []catalog.Found {
	t.Helper()
	all, err := s.Answer(t.Context(), texts)
	if err != nil {
		t.Fatalf("%s: %v", s.Name, err)
	}
	return all
}

// BM25 by hand: the films have 6, 7 and 5 words, the mean is 6; "ship" is in one of
// them twice, "sea" in two.
func TestBM25(t *testing.T) {
	got := answer(t, BM25(few()), "ship in the sea", "кораблей", "qwerty", "")
	term := func(count, length, films float64) float64 {
		return math.Log(1+(3-films+0.5)/(films+0.5)) * count * 2.2 / (count + 1.2*(0.25+0.75*length/6))
	}
	first, second := term(2, 6, 1)+term(1, 6, 2)+term(1, 6, 2), term(1, 7, 2)+term(1, 7, 2)
	m := got[0].Matches
	if len(m) != 2 || m[0].MovieID != "a-2001" || !near(m[0].Score, first) || m[1].MovieID != "b-2002" || !near(m[1].Score, second) {
		t.Errorf("found %v, want %g and %g", m, first, second)
	}
	if m := got[1].Matches; len(m) != 1 || m[0].MovieID != "c-2003" {
		t.Errorf("by a stem: %v", m)
	}
	if len(got[2].Matches)+len(got[3].Matches) > 0 {
		t.Errorf("found %v", got[2:])
	}
}

// Films with equal scores are ordered by id, and an answer has at most a hundred.
func TestScored(t *testing.T) {
	var movies []catalog.Movie
	for i := range 120 {
		movies = append(movies, catalog.Movie{ID: "film-" + string(rune('z'-i%26)) + string(rune('a'+i/26)), Title: "sea", Year: 2000})
	}
	m := answer(t, TFIDF(movies), "sea")[0].Matches
	if len(m) != Depth || m[0].MovieID != "film-aa" || m[1].MovieID != "film-ab" {
		t.Errorf("%d films, first %v", len(m), m[:2])
	}
}

// Every baseline finds a film by its exact title, in either language, unless another
// film has the title's words more often.
func TestBaselinesFindTitles(t *testing.T) {
	movies := shipped(t)
	url := schematest.Postgres(t)
	for _, s := range []System{BM25(movies), TFIDF(movies), PostgresFullText(url, movies), PostgresTrigram(url, movies)} {
		texts := []string{"Slumdog Millionaire", "Ирония судьбы, или С лёгким паром!", "Hedgehog in the Fog", "Inglourious Basterds"}
		for i, f := range answer(t, s, texts...) {
			want := []string{"slumdog-millionaire-2008", "the-irony-of-fate-1975", "hedgehog-in-the-fog-1975", "inglourious-basterds-2009"}[i]
			if len(f.Matches) == 0 || f.Matches[0].MovieID != want || len(f.Matches) > Depth {
				t.Errorf("%s: %q finds %.60v, want %s", s.Name, texts[i], f.Matches, want)
			}
		}
	}
}

func TestPostgresBaselines(t *testing.T) {
	url := schematest.Postgres(t)
	got := answer(t, PostgresFullText(url, few()), "the ship's forest", "КОРАБЛЯМИ", "the of", "", "qwerty & | !")
	for i, want := range []string{"a-2001 b-2002", "c-2003", "", "", ""} {
		if ids := idsOf(got[i]); ids != want {
			t.Errorf("text %d finds %s, want %s", i, ids, want)
		}
	}
	for text, want := range map[string]string{"forrest": "b-2002", "КАРАБЛИ": "c-2003"} {
		if ids := idsOf(answer(t, PostgresTrigram(url, few()), text)[0]); !strings.HasPrefix(ids, want) {
			t.Errorf("misspelled %s finds %s", text, ids)
		}
	}
	conn, err := schema.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var left int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'`).Scan(&left); err != nil || left != 0 {
		t.Errorf("the database has pg_trgm now: %d, %v", left, err)
	}
}

// The service's own login cannot create an extension: trigrams are left out, and the
// report gives the reason.
func TestTrigramsWithoutTheRight(t *testing.T) {
	url := schematest.Service(t, schematest.Postgres(t))
	r, err := byHand(t, PostgresFullText(url, few()), PostgresTrigram(url, few()))
	if err != nil || len(r.Systems) != 2 || len(r.LeftOut) != 1 || !strings.Contains(r.LeftOut[0].Why, "pg_trgm is not in the database") {
		t.Errorf("%+v, %v", r.LeftOut, err)
	}
}

func idsOf(f catalog.Found) string {
	var ids []string
	for _, m := range f.Matches {
		ids = append(ids, m.MovieID)
	}
	return strings.Join(ids, " ")
}
