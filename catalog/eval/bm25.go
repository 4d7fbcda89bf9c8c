package eval

import (
	"math"
	"strings"

	"kassa/catalog"
	"kassa/catalog/words"
)

// BM25 is the standard method over stems with the usual constants, without fields,
// synonyms or anything fitted: an untuned search engine.
func BM25(movies []catalog.Movie) System {
	const k1, b = 1.2, 0.75
	type posting struct {
		film  int
		count float64
	}
	postings := make(map[string][]posting)
	lengths := make([]float64, len(movies))
	var mean float64
	for i, m := range movies {
		for stem, count := range counts(strings.Join(catalog.SearchedTexts(m), " "), stemOf) {
			postings[stem] = append(postings[stem], posting{i, count})
			lengths[i] += count
		}
		mean += lengths[i] / float64(len(movies))
	}
	return scored("bm25", movies, func(text string) []float64 {
		scores := make([]float64, len(movies))
		asked := counts(text, stemOf)
		for _, stem := range sorted(asked) { // so that equal films get equal sums
			have := float64(len(postings[stem]))
			idf := math.Log(1 + (float64(len(movies))-have+0.5)/(have+0.5))
			for _, p := range postings[stem] {
				scores[p.film] += asked[stem] * idf * p.count * (k1 + 1) / (p.count + k1*(1-b+b*lengths[p.film]/mean))
			}
		}
		return scores
	})
}

func stemOf(w words.Word) string { return w.Stem }
