package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func query(t testing.TB, embed hashing, text string) Query {
	t.Helper()
	vectors, err := embed.EmbedAll(context.Background(), []string{text})
	if err != nil {
		t.Fatal(err)
	}
	return Query{Model: embed.model, Vector: vectors[0], Text: text}
}

func ask(t testing.TB, c *Catalogue, embed hashing, text string) []Match {
	t.Helper()
	matches, err := c.Nearest(context.Background(), query(t, embed, text))
	if err != nil {
		t.Fatal(err)
	}
	return matches
}

func TestNearestFindsByName(t *testing.T) {
	wide := hashing{model: "wide-1", dims: 512}
	c := given(t, shipped(t), wide)
	for text, want := range map[string]string{
		"Inception":       "inception-2010",
		"Начало":          "inception-2010",
		"начало!":         "inception-2010",
		"Фильм «Матрица»": "the-matrix-1999",
		"матрицу с Киану Ривзом":                       "the-matrix-1999",
		"The Matrix, 1999":                             "the-matrix-1999",
		"1+1":                                          "the-intouchables-2011",
		"七人の侍":                                         "seven-samurai-1954",
		"Зеркало Тарковского":                          "mirror-1975",
		"ЁЖИК В ТУМАНЕ":                                "hedgehog-in-the-fog-1975",
		"ежик в тумане":                                "hedgehog-in-the-fog-1975",
		"Иди и смотри":                                 "come-and-see-1985",
		"a heist inside dreams with Leonardo DiCaprio": "inception-2010",
	} {
		if got := ask(t, c, wide, text); got[0].MovieID != want {
			t.Errorf("%q finds %v, want %s first", text, got[:3], want)
		}
	}
}

// A film's own title has a high confidence; the same word inside a sentence does not.
func TestScores(t *testing.T) {
	movies := shipped(t)
	c := given(t, movies, small)
	for _, m := range movies {
		for _, title := range m.titles() {
			if got := ask(t, c, small, title); got[0].Score != 1 || !slices.Contains(sure(got), m.ID) {
				t.Errorf("%q: %v, want %s with score 1", title, got[:2], m.ID)
			}
		}
	}
	for _, text := range []string{"брат убил брата из-за наследства", "qwertyuiop asdfgh", "the", ""} {
		q := query(t, small, text)
		q.Vector[0]++ // a text without words
		q.Limit = len(movies)
		matches, err := c.Nearest(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range matches {
			if m.Score < 0 || m.Score > 0.8 || i > 0 && !ordered(matches[i-1], m) {
				t.Errorf("%q: number %d is %v", text, i, m)
			}
		}
	}
}

func sure(matches []Match) []string {
	var ids []string
	for _, m := range matches {
		if m.Score == 1 {
			ids = append(ids, m.MovieID)
		}
	}
	return ids
}

func ordered(a, b Match) bool {
	return a.Score > b.Score || a.Score == b.Score && a.MovieID < b.MovieID
}

func TestNearestIsDeterministic(t *testing.T) {
	one, other := shipped(t)[:20], shipped(t)[:20]
	for i := range other {
		other[i].ID += "-b" // twins: equal except for the id
	}
	c := given(t, slices.Concat(other, one), small)
	first := ask(t, c, small, "a family in a house")
	for i := 0; i < len(first); i += 2 {
		if first[i].Score != first[i+1].Score || first[i].MovieID+"-b" != first[i+1].MovieID {
			t.Errorf("twins are %v and %v", first[i], first[i+1])
		}
	}
	again := given(t, slices.Concat(one, other), small)
	if got := ask(t, again, small, "a family in a house"); !reflect.DeepEqual(got, first) {
		t.Errorf("imported in another order: %v, before %v", got, first)
	}
}

func TestNearestLimits(t *testing.T) {
	c := given(t, shipped(t)[:12], small)
	for limit, want := range map[int]int{-1: 10, 0: 10, 1: 1, 5: 5, 12: 12, math.MaxInt: 12} {
		q := query(t, small, "love")
		q.Limit = limit
		if got, err := c.Nearest(context.Background(), q); err != nil || len(got) != want {
			t.Errorf("limit %d gives %d films, %v; want %d", limit, len(got), err, want)
		}
	}
}

func TestNearestRefuses(t *testing.T) {
	c := given(t, shipped(t)[:3], small)
	nan, inf := make([]float32, 384), make([]float32, 384)
	nan[5] = float32(math.NaN())
	inf[5] = float32(math.Inf(-1))
	for _, tt := range []struct {
		name   string
		model  string
		vector []float32
		want   error
	}{
		{"another model", "small-2", nan, ErrModel},
		{"no model", "", nan, ErrModel},
		{"no vector", "small-1", nil, ErrVector},
		{"a short vector", "small-1", nan[:383], ErrVector},
		{"a zero vector", "small-1", make([]float32, 384), ErrVector},
		{"no number", "small-1", nan, ErrVector},
		{"infinity", "small-1", inf, ErrVector},
	} {
		if got, err := c.Nearest(context.Background(), Query{Model: tt.model, Vector: tt.vector, Text: "love"}); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Nearest(ctx, query(t, small, "love")); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of ctx: %v", err)
	}
	empty := newFile(t).open(t)
	if _, err := empty.Nearest(context.Background(), query(t, small, "love")); !errors.Is(err, ErrModel) {
		t.Errorf("an empty catalogue: %v", err)
	}
}

func TestExplain(t *testing.T) {
	c := given(t, append(shipped(t)[:60], solaris()), small)
	for _, tt := range []struct {
		text, movie string
		want        []string
	}{
		{"Фильм про психолога с ОКЕАНОМ, океаном", "solaris-1972", []string{"ОКЕАНОМ", "психолога"}},
		{"Tarkovsky's station and океан", "solaris-1972", []string{"океан", "Tarkovsky", "station"}},
		{"a film about the movie", "solaris-1972", nil},
		{"qwerty", "solaris-1972", nil},
		{"", "solaris-1972", nil},
		{"океан", "no-such-film", nil},
		{"советская фантастика", "solaris-1972", []string{"фантастика"}},
		{"Solaris Tarkovsky Banionis Bondarchuk psychologist ocean station dead wife", "solaris-1972", nil},
	} {
		got := c.Explain(tt.text, tt.movie)[0]
		if strings.HasPrefix(tt.text, "Solaris Tark") {
			if len(got) != explanationMax || !slices.Contains(got, "Solaris") || slices.Contains(got, "wife") {
				t.Errorf("%q: %q, want the six rarest", tt.text, got)
			}
			continue
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%q for %s: %q, want %q", tt.text, tt.movie, got, tt.want)
		}
	}
}

// randomMatrix has unit rows in random directions.
func randomMatrix(rows, dims int) *matrix {
	random := rand.New(rand.NewPCG(1, uint64(rows)))
	m := newMatrix(rows, dims)
	for i := range rows {
		row := m.row(i)
		for k := range row {
			row[k] = float32(random.NormFloat64())
		}
		u, err := unit(row)
		if err != nil {
			panic(err)
		}
		copy(row, u)
	}
	return m
}

func TestSimilaritiesAgreeWithANaiveScan(t *testing.T) {
	for _, size := range []struct{ rows, dims int }{{1, 1}, {3, 7}, {100, 8}, {500, 100}, {parallelFrom - 1, 384}, {parallelFrom, 384}, {5001, 385}} {
		m := randomMatrix(size.rows, size.dims)
		q := m.row(size.rows / 2)
		got := m.similarities(q)
		type hit struct {
			row int
			sum float64
		}
		naive := make([]hit, size.rows)
		top := newBest(10, size.rows)
		for i := range naive {
			naive[i].row = i
			for k, x := range m.row(i) {
				naive[i].sum += float64(x) * float64(q[k])
			}
			if math.Abs(naive[i].sum-float64(got[i])) > 1e-5 {
				t.Fatalf("%v: row %d has %g, naively %g", size, i, got[i], naive[i].sum)
			}
			top.offer(candidate{film: i, score: naive[i].sum})
		}
		slices.SortFunc(naive, func(a, b hit) int { return cmp.Or(cmp.Compare(b.sum, a.sum), cmp.Compare(a.row, b.row)) })
		slices.SortFunc(top.list, func(a, b candidate) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.film, b.film)) })
		for i, c := range top.list {
			if c.film != naive[i].row {
				t.Errorf("%v: number %d of the best is row %d, naively %d", size, i, c.film, naive[i].row)
			}
		}
	}
}

// The aim is 20 ms for 100,000 films.
func BenchmarkSimilarities(b *testing.B) {
	for _, rows := range []int{172, 10_000, 100_000} {
		m := randomMatrix(rows, 384)
		q := m.row(0)
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				top := newBest(10, rows)
				for i, s := range m.similarities(q) {
					top.offer(candidate{film: i, score: float64(s)})
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1e3, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1e3, "p99-ms")
		})
	}
}
