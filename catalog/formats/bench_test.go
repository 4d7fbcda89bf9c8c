package formats

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"kassa/catalog"
	"kassa/catalog/lexicon"
	"kassa/schema"
	"kassa/schema/schematest"
)

// BenchmarkImport imports generated films of MovieLens's form, with two tags and a link
// for each, into both databases, and gives the films a second and the most memory that
// is in use. KASSA_BENCH_FILMS names other sizes, as in 10000,1000000.
func BenchmarkImport(b *testing.B) {
	for size := range strings.SplitSeq(cmp.Or(os.Getenv("KASSA_BENCH_FILMS"), "2000,20000"), ",") {
		films, err := strconv.Atoi(size)
		if err != nil {
			b.Fatal(err)
		}
		dir := generated(b, films)
		b.Run(size+"/embedded", func(b *testing.B) {
			benchmarkImport(b, dir, films, func() catalog.Writer {
				db, err := schema.OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "kassa.db"))
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { db.Close() })
				return catalog.NewWriter(db)
			})
		})
		b.Run(size+"/postgres", func(b *testing.B) {
			benchmarkImport(b, dir, films, func() catalog.Writer {
				pool, err := schema.OpenPostgres(b.Context(), schematest.Postgres(b), 4)
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(pool.Close)
				return catalog.NewPostgresWriter(pool)
			})
		})
	}
}

func benchmarkImport(b *testing.B, dir string, films int, empty func() catalog.Writer) {
	var most uint64
	for b.Loop() {
		w := empty()
		s, err := Open(dir, Options{})
		if err != nil {
			b.Fatal(err)
		}
		var memory runtime.MemStats
		report, err := w.Import(b.Context(), s.Films(), stemless{}, catalog.WithMerge(), catalog.WithProgress(func(done, _ int) {
			if done%(100*32) == 0 {
				runtime.ReadMemStats(&memory)
				most = max(most, memory.HeapInuse)
			}
		}))
		if err != nil || report.Added != films {
			b.Fatalf("%+v, %v", report, err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(films)*float64(b.N)/b.Elapsed().Seconds(), "films/s")
	b.ReportMetric(float64(most)/(1<<20), "MB")
}

// stemless is an embedder that costs nothing.
type stemless struct{}

func (stemless) ModelVersion() string { return "stemless-1" }

func (stemless) EmbedAll(_ context.Context, texts []string) ([][]float32, error) {
	const dims = 384
	vectors := make([][]float32, len(texts))
	for i, text := range texts {
		vectors[i] = make([]float32, dims)
		for word := range strings.FieldsSeq(text) {
			sum := fnv.New32a()
			sum.Write([]byte(word))
			vectors[i][sum.Sum32()%dims]++
		}
	}
	return vectors, nil
}

// generated writes the files of a catalogue.
func generated(b *testing.B, films int) string {
	b.Helper()
	dir := b.TempDir()
	r := rand.New(rand.NewPCG(1, uint64(films)))
	groups := lexicon.Groups()
	word := func() string { return groups[r.IntN(len(groups))].Phrases[0] }
	for name, line := range map[string]func(n int) string{
		"movies.csv": func(n int) string {
			return fmt.Sprintf("%d,\"%s %s, The (%d)\",Drama|Comedy", n, word(), word(), 1930+r.IntN(90))
		},
		"tags.csv":  func(n int) string { return fmt.Sprintf("1,%d,%s,1\n2,%d,%s,1", 1+r.IntN(films), word(), n, word()) },
		"links.csv": func(n int) string { return fmt.Sprintf("%d,%d,%d", n, 30_000_000+n, n) },
	} {
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			b.Fatal(err)
		}
		out := bufio.NewWriter(file)
		fmt.Fprintln(out, map[string]string{"movies.csv": "movieId,title,genres", "tags.csv": "userId,movieId,tag,timestamp", "links.csv": "movieId,imdbId,tmdbId"}[name])
		for n := 1; n <= films; n++ {
			fmt.Fprintln(out, line(n))
		}
		if err := cmp.Or(out.Flush(), file.Close()); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}
