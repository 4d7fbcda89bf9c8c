package catalog

import (
	"errors"
	"math"
	"strings"
	"testing"
)

const fewQueries = `id	lang	text	films
1	ru	про сны и волчок	Inception (2010)
2	en	hedgehog lost in fog	hedgehog-in-the-fog-1975 | Inception (2010)
`

func TestReadQueries(t *testing.T) {
	queries, err := ReadQueries(strings.NewReader(fewQueries))
	if err != nil || len(queries) != 2 {
		t.Fatalf("%v, %v", queries, err)
	}
	if q := queries[1]; q.Language != "en" || q.Text != "hedgehog lost in fog" || len(q.Expected) != 2 || q.Expected[1] != "Inception (2010)" {
		t.Errorf("second query is %+v", q)
	}
	for _, broken := range []string{"", "id\tlang\ttext\tfilms\n", fewQueries + "3\ten\tno film\n"} {
		if queries, err := ReadQueries(strings.NewReader(broken)); err == nil {
			t.Errorf("%q gives %v", broken, queries)
		}
	}
}

func TestScore(t *testing.T) {
	movies := shipped(t)[:11]
	id := func(i int) string { return movies[i].ID }
	all := func(score float64) (list []Match) {
		for _, m := range movies {
			list = append(list, Match{m.ID, score})
		}
		return list
	}
	for _, tt := range []struct {
		name     string
		matches  []Match
		expected []string
		rank     float64
	}{
		{"first", []Match{{id(3), 0.9}, {id(4), 0.5}}, []string{id(3)}, 1},
		{"second, whatever the order", []Match{{id(4), 0.5}, {id(3), 0.9}}, []string{id(4)}, 2},
		{"the best of several", []Match{{id(3), 0.9}, {id(4), 0.5}}, []string{id(4), id(3)}, 1},
		{"second or third", []Match{{id(3), 0.9}, {id(4), 0.5}, {id(5), 0.5}}, []string{id(4)}, 2.5},
		{"all equal", all(0), []string{id(7)}, 6},
		{"nothing found", nil, []string{id(7)}, 6},
		{"left out, of nine", []Match{{id(3), 0.9}, {id(4), 0.5}}, []string{id(7)}, 7},
	} {
		mrr, recall5, err := Score([]Judged{{Text: "x", Expected: tt.expected}}, movies, func(string) ([]Match, error) { return tt.matches, nil })
		want := 0.0
		if tt.rank <= 5 {
			want = 1
		}
		if err != nil || math.Abs(mrr-1/tt.rank) > 1e-9 || recall5 != want {
			t.Errorf("%s: MRR %g, recall %g, %v; want rank %g", tt.name, mrr, recall5, err, tt.rank)
		}
	}
	if _, _, err := Score([]Judged{{Text: "x", Expected: []string{"Nope (1900)"}}}, movies, TFIDF(movies)); err == nil || !strings.Contains(err.Error(), "Nope") {
		t.Errorf("a film that is not there: %v", err)
	}
	gone := errors.New("gone")
	if _, _, err := Score([]Judged{{Text: "x", Expected: []string{id(0)}}}, movies, func(string) ([]Match, error) { return nil, gone }); !errors.Is(err, gone) {
		t.Errorf("a ranker that fails: %v", err)
	}
}

func TestWriteScores(t *testing.T) {
	movies := shipped(t)
	queries, err := ReadQueries(strings.NewReader(fewQueries))
	if err != nil {
		t.Fatal(err)
	}
	c := given(t, movies, small)
	var out strings.Builder
	err = WriteScores(&out, queries, movies, System{"tf-idf", TFIDF(movies)}, System{"kassa", func(text string) ([]Match, error) {
		q := query(t, small, text)
		q.Limit = c.Len()
		return c.Nearest(t.Context(), q)
	}})
	if err != nil {
		t.Fatal(err)
	}
	table := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(table) != 3 || strings.Join(strings.Fields(table[0]), " ") != "all (2) MRR R@5 en (1) MRR R@5 ru (1) MRR R@5" {
		t.Fatalf("table is\n%s", &out)
	}
	for _, row := range table[1:] {
		if fields := strings.Fields(row); len(fields) != 7 || fields[3] != "1.000" {
			t.Errorf("row is %q, and both find the hedgehog", row)
		}
	}
}
