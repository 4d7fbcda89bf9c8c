package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kassa/catalog/question"
)

// BenchmarkRecall compares the index of pgvector with a scan of all vectors: the share
// of the ten nearest that it finds, and the times of both. The vectors are in clusters,
// separate or overlapping. KASSA_BENCH_FILMS sets other sizes, such as
// 1000,10000,100000; the last takes minutes to fill.
func BenchmarkRecall(b *testing.B) {
	for size := range strings.SplitSeq(cmp.Or(os.Getenv("KASSA_BENCH_FILMS"), "1000,10000"), ",") {
		n, err := strconv.Atoi(size)
		if err != nil {
			b.Fatal(err)
		}
		for _, spread := range []float64{1, 2} {
			b.Run(fmt.Sprintf("%d/spread=%g", n, spread), func(b *testing.B) { benchmarkRecall(b, n, spread) })
		}
	}
}

func benchmarkRecall(b *testing.B, n int, spread float64) {
	ctx := context.Background()
	cloud := newClusters(spread)
	v, building := filled(b, cloud, n)
	var scans, searches []time.Duration
	found, all := 0, 0
	for i := 0; b.Loop(); i++ {
		q := cloud.next()
		start := time.Now()
		exact, err := v.scan(ctx, [][]float32{q})
		if err != nil {
			b.Fatal(err)
		}
		scanning := time.Since(start)
		start = time.Now()
		near, _, err := v.search(ctx, q, searched)
		if err != nil {
			b.Fatal(err)
		}
		searches, scans = append(searches, time.Since(start)), append(scans, scanning)
		want := tenNearest(exact[0])
		all += len(want)
		for _, film := range tenNearest(near) {
			if slices.Contains(want, film) {
				found++
			}
		}
	}
	b.ReportMetric(0, "ns/op") // of a scan and a search together: meaningless
	b.ReportMetric(float64(found)/float64(all), "recall@10")
	b.ReportMetric(quantile(scans, 50), "scan-p50-ms")
	b.ReportMetric(quantile(searches, 50), "index-p50-ms")
	b.ReportMetric(quantile(searches, 99), "index-p99-ms")
	b.ReportMetric(building.Seconds(), "build-s")
}

// PostgreSQL and the embedded default give the same films in the same order: by the words,
// letters and vectors of a question, and by its conditions. BenchmarkRanking asks more
// films.
func TestPostgresRanksAsMemory(t *testing.T) {
	for films, questions := range map[int]int{600: 1000, 5000: 30} {
		t.Run(strconv.Itoa(films), func(t *testing.T) {
			t.Parallel()
			movies := generated(t, films)
			postgres := newPostgres(t).open(t)
			if _, err := postgres.Import(t.Context(), movies, small); err != nil {
				t.Fatal(err)
			}
			memory, err := InMemory(t.Context(), movies, small)
			if err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(11, uint64(films)))
			for range questions {
				q := query(t, small, generatedQuestion(r, movies))
				if r.IntN(4) == 0 {
					q.Conditions = []question.Filter{{Field: question.Years, From: 1960, To: 1989}, {Field: question.Country, Value: "US", Not: true}}
				}
				want, err := memory.Nearest(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				got, err := postgres.Nearest(t.Context(), q)
				if err != nil || len(want) != limitDefault || !sameFilms(got, want) {
					t.Fatalf("%q finds in PostgreSQL\n%v, %v; in memory\n%v", q.Text, got, err, want)
				}
			}
		})
	}
}

// BenchmarkRanking measures a whole search of generated films: exact, as in memory and
// in PostgreSQL with few films, and with the index of pgvector, whose films are ranked
// together with those that are best by their words. It reports the share of the exact
// first ten that the index finds, of questions with the same ten in the same order, the
// times, and the memory of the lexical index.
func BenchmarkRanking(b *testing.B) {
	for size := range strings.SplitSeq(cmp.Or(os.Getenv("KASSA_BENCH_FILMS"), "600,5000"), ",") {
		n, err := strconv.Atoi(size)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(strconv.Itoa(n), func(b *testing.B) { benchmarkRanking(b, n) })
	}
}

func benchmarkRanking(b *testing.B, n int) {
	ctx := context.Background()
	movies := generated(b, n)
	db := newPostgres(b)
	pool := db.open(b).store.(postgresStore).pool
	indexed, err := open(ctx, postgresStore{pool, 1})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := indexed.Import(ctx, movies, small); err != nil {
		b.Fatal(err)
	}
	scanned, err := open(ctx, postgresStore{pool, n + 1})
	if err != nil {
		b.Fatal(err)
	}
	before := heapBytes()
	memory, err := InMemory(ctx, movies, small)
	if err != nil {
		b.Fatal(err)
	}
	held := heapBytes() - before
	r := rand.New(rand.NewPCG(7, uint64(n)))
	var found, same, agreed, all int
	took := make(map[*Catalogue][]time.Duration)
	for b.Loop() {
		q := query(b, small, generatedQuestion(r, movies))
		ask := func(c *Catalogue) []Match {
			start := time.Now()
			matches, err := c.Nearest(ctx, q)
			if err != nil {
				b.Fatal(err)
			}
			took[c] = append(took[c], time.Since(start))
			return matches
		}
		exact, scan, index := ask(memory), ask(scanned), ask(indexed)
		all++
		if sameFilms(exact, scan) {
			agreed++
		}
		if sameFilms(exact, index) {
			same++
		}
		for _, m := range index {
			if slices.ContainsFunc(exact, func(e Match) bool { return e.MovieID == m.MovieID }) {
				found++
			}
		}
	}
	b.ReportMetric(0, "ns/op") // of three searches together: meaningless
	b.ReportMetric(float64(agreed)/float64(all), "scan-same-ten")
	b.ReportMetric(float64(same)/float64(all), "index-same-ten")
	b.ReportMetric(float64(found)/float64(10*all), "index-recall@10")
	b.ReportMetric(quantile(took[memory], 50), "memory-p50-ms")
	b.ReportMetric(quantile(took[scanned], 50), "scan-p50-ms")
	b.ReportMetric(quantile(took[indexed], 50), "index-p50-ms")
	b.ReportMetric(float64(held)/float64(n)/1024, "KiB/film")
}

// sameFilms reports whether the films are the same in the same order. The last bits of a
// cosine are not the same in PostgreSQL, so that a score may be rounded the other way.
func sameFilms(a, b []Match) bool {
	const lastDigit = 1.5e-4
	return slices.EqualFunc(a, b, func(a, b Match) bool {
		return a.MovieID == b.MovieID && math.Abs(a.Score-b.Score) < lastDigit
	})
}

// heapBytes is the heap memory in use.
func heapBytes() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// generated are films whose keywords and sentences are drawn from those of the shipped
// ones, the same on each run.
func generated(t testing.TB, n int) []Movie {
	t.Helper()
	source := shipped(t)
	r := rand.New(rand.NewPCG(5, uint64(n)))
	draw := func() Movie { return source[r.IntN(len(source))] }
	movies := make([]Movie, n)
	for i := range movies {
		m := draw()
		m.ID = fmt.Sprintf("film-%07d", i)
		m.Title, m.TitleRU = fmt.Sprintf("%s %d", draw().Keywords[0], i), fmt.Sprintf("%s %d", draw().KeywordsRU[0], i)
		m.OriginalTitle, m.Year = m.Title, 1920+r.IntN(100)
		m.Directors, m.Cast = draw().Directors, draw().Cast
		m.Keywords, m.KeywordsRU = nil, nil
		for range 14 {
			other := draw()
			m.Keywords = append(m.Keywords, other.Keywords[r.IntN(len(other.Keywords))])
			m.KeywordsRU = append(m.KeywordsRU, other.KeywordsRU[r.IntN(len(other.KeywordsRU))])
		}
		slices.Sort(m.Keywords)
		slices.Sort(m.KeywordsRU)
		m.Keywords, m.KeywordsRU = slices.Compact(m.Keywords), slices.Compact(m.KeywordsRU)
		movies[i] = m
	}
	return movies
}

// generatedQuestion is a remembered film: words of its texts, in random order.
func generatedQuestion(r *rand.Rand, movies []Movie) string {
	m := movies[r.IntN(len(movies))]
	text := m.Description + " " + strings.Join(m.Keywords, " ")
	if r.IntN(2) == 0 {
		text = m.DescriptionRU + " " + strings.Join(m.KeywordsRU, " ")
	}
	list := strings.Fields(text)
	asked := make([]string, 4+r.IntN(8))
	for i := range asked {
		asked[i] = list[r.IntN(len(list))]
	}
	return strings.Join(asked, " ")
}

func quantile(took []time.Duration, percent int) float64 {
	slices.Sort(took)
	return float64(took[len(took)*percent/100].Microseconds()) / 1e3
}

func tenNearest(s similarities) []int {
	top := newBest(10, len(s.of))
	for i, x := range s.of {
		top.offer(candidate{film: i, score: float64(x)})
	}
	var films []int
	for _, c := range top.list {
		films = append(films, c.film)
	}
	return films
}

// filled inserts that many vectors into a database, with their index, and returns how
// long the index took to build.
func filled(b *testing.B, cloud *clusters, n int) (*postgresVectors, time.Duration) {
	b.Helper()
	ctx := context.Background()
	db := newPostgres(b)
	s := db.open(b).store.(postgresStore)
	v := &postgresVectors{pool: s.pool, model: "clusters-1", width: len(cloud.centres[0]), count: n, movies: make([]Movie, n), has: make([]bool, n)}
	content := []byte("{}")
	for from := 0; from < n; from += 1000 {
		batch := make([]item, min(1000, n-from))
		for i := range batch {
			v.movies[from+i], v.has[from+i] = Movie{ID: fmt.Sprintf("film-%07d", from+i)}, true
			batch[i] = item{movie: v.movies[from+i], content: content, hash: sha256.Sum256(content), changes: added, vector: cloud.next()}
		}
		if err := s.save(ctx, v.model, batch, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	start := time.Now()
	if _, err := s.pool.Exec(ctx, `SELECT tend_vector_indexes(1)`); err != nil {
		b.Fatal(err)
	}
	return v, time.Since(start)
}

// clusters returns unit vectors around a hundred centres, the same on each run.
type clusters struct {
	random  *rand.Rand
	centres [][]float32
	spread  float64
}

func newClusters(spread float64) *clusters {
	c := &clusters{random: rand.New(rand.NewPCG(1, 2)), spread: spread, centres: make([][]float32, 100)}
	for i := range c.centres {
		c.centres[i] = c.around(make([]float32, 384), 1)
	}
	return c
}

func (c *clusters) around(centre []float32, spread float64) []float32 {
	v := make([]float32, len(centre))
	for i, x := range centre {
		v[i] = x + float32(spread*c.random.NormFloat64())
	}
	return v
}

func (c *clusters) next() []float32 {
	u, err := unit(c.around(c.centres[c.random.IntN(len(c.centres))], c.spread))
	if err != nil {
		panic(err)
	}
	return u
}
