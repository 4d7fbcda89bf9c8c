package catalog

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"kassa/catalog/lexicon"
	"kassa/catalog/question"
)

// BenchmarkLexicon measures what the lexicon is worth by its size: how well films that
// nothing was made for are found (mean reciprocal rank of the invented films for tuning,
// beside the shipped ones, by words and letters without vectors) with an eighth, a quarter,
// a half and all of its groups, with and without related words. One round is enough.
func BenchmarkLexicon(b *testing.B) {
	own := lines(b, "testdata/own-films-tuning.jsonl")
	for _, keywords := range []bool{true, false} {
		movies := append(shipped(b), own...)
		for i := range movies {
			if i >= len(movies)-len(own) && !keywords {
				movies[i].Keywords, movies[i].KeywordsRU = nil, nil
			}
		}
		for _, share := range []int{8, 4, 2, 1} {
			b.Run(fmt.Sprintf("keywords=%v/%d", keywords, share), func(b *testing.B) {
				groups := slices.DeleteFunc(slices.Clone(lexicon.Groups()), func(g lexicon.Group) bool {
					sum := fnv.New32a()
					sum.Write([]byte(g.ID))
					return sum.Sum32()%8 >= uint32(8/share)
				})
				c := withLexicon(movies, groups)
				alone := DefaultWeights
				alone.Related = 0
				for b.Loop() {
					b.ReportMetric(meanReciprocalRank(b, c, &alone), "MRR")
					b.ReportMetric(meanReciprocalRank(b, c, &DefaultWeights), "MRR-related")
				}
				b.ReportMetric(float64(len(groups)), "groups")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// lines reads films, one a line.
func lines(t testing.TB, file string) (movies []Movie) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list := bufio.NewScanner(f)
	for list.Scan() {
		var m Movie
		if err := json.Unmarshal(list.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		movies = append(movies, m)
	}
	if err := list.Err(); err != nil || len(movies) == 0 {
		t.Fatalf("%d films, %v", len(movies), err)
	}
	return movies
}

// withLexicon is a catalogue in memory, without vectors, with other groups of words.
func withLexicon(movies []Movie, groups []lexicon.Group) *Catalogue {
	movies = slices.Clone(movies)
	slices.SortFunc(movies, func(a, b Movie) int { return strings.Compare(a.ID, b.ID) })
	index := newLexicalIndex(movies, newSynonyms(groups))
	v := &view{stored: stored{movies: movies}, index: index, remembered: newRemembered(),
		vocabulary: sync.OnceValue(func() *question.Vocabulary { return newVocabulary(movies, index) })}
	c := &Catalogue{}
	c.now.Store(v)
	return c
}

func meanReciprocalRank(t testing.TB, c *Catalogue, weights *Weights) float64 {
	t.Helper()
	named := make(map[string]string)
	for _, m := range c.now.Load().movies {
		for _, title := range m.titles() {
			named[fmt.Sprintf("%s (%d)", title, m.Year)] = m.ID
		}
		named[m.ID] = m.ID
	}
	sum, asked := 0.0, 0
	for _, q := range judgedQuestions(t, "testdata/judged-own-tuning.tsv") {
		if len(q.Expected) == 0 {
			continue
		}
		read := c.Read(q.Text)
		found, err := c.Nearest(context.Background(), Query{Text: read.Text, Typed: q.Text, Conditions: read.Filters, Limit: 100, Weights: weights})
		if err != nil {
			t.Fatal(err)
		}
		asked++
		if at := slices.IndexFunc(found, func(m Match) bool {
			return slices.ContainsFunc(q.Expected, func(name string) bool { return named[name] == m.MovieID })
		}); at >= 0 {
			sum += 1 / float64(at+1)
		}
	}
	if len(named) == 0 || sum == 0 {
		t.Fatalf("of %d questions none is answered", asked)
	}
	return sum / float64(asked)
}
