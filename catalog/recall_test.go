package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkRecall measures the index of pgvector beside a scan of all vectors:
// the share of the ten nearest that it finds, and the times of both. The vectors
// stand in clusters, tight ones or such as overlap. KASSA_BENCH_FILMS names other
// sizes, as in 1000,10000,100000; the last takes minutes to fill.
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
		exact, err := v.scan(ctx, q, scanned)
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
		want := tenNearest(exact)
		all += len(want)
		for _, film := range tenNearest(near) {
			if slices.Contains(want, film) {
				found++
			}
		}
	}
	b.ReportMetric(0, "ns/op") // of a scan and a search together: says nothing
	b.ReportMetric(float64(found)/float64(all), "recall@10")
	b.ReportMetric(quantile(scans, 50), "scan-p50-ms")
	b.ReportMetric(quantile(searches, 50), "index-p50-ms")
	b.ReportMetric(quantile(searches, 99), "index-p99-ms")
	b.ReportMetric(building.Seconds(), "build-s")
}

func quantile(took []time.Duration, percent int) float64 {
	slices.Sort(took)
	return float64(took[len(took)*percent/100].Microseconds()) / 1e3
}

func tenNearest(s similarities) []int {
	top := newBest(10, len(s.of))
	for i, x := range s.of {
		top.offer(i, float64(x))
	}
	var films []int
	for _, c := range top.list {
		films = append(films, c.film)
	}
	return films
}

// filled puts that many vectors into a database, with their index, and tells how
// long it took to build.
func filled(b *testing.B, cloud *clusters, n int) (*postgresVectors, time.Duration) {
	b.Helper()
	ctx := context.Background()
	db := newPostgres(b)
	s := db.open(b).store.(postgresStore)
	v := &postgresVectors{pool: s.pool, model: "clusters-1", count: n, movies: make([]Movie, n), has: make([]bool, n)}
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

// clusters gives unit vectors around a hundred centres, the same each time.
type clusters struct {
	random  *rand.Rand
	centres [][]float32
	spread  float64
}

func newClusters(spread float64) *clusters {
	c := &clusters{random: rand.New(rand.NewPCG(1, 2)), spread: spread, centres: make([][]float32, 100)}
	for i := range c.centres {
		c.centres[i] = c.around(make([]float32, postgresDims), 1)
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
