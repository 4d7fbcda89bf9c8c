package catalog

import (
	"maps"
	"math"
	"slices"
	"strings"

	"kassa/catalog/words"
)

// TFIDF is the plain method that any other has to beat: the cosine of tf-idf
// vectors of the words as they are written.
func TFIDF(movies []Movie) Ranker {
	t := tfidf{films: float64(len(movies)), df: make(map[string]float64)}
	counts := make([]map[string]float64, len(movies))
	for i, m := range movies {
		counts[i] = forms(strings.Join(EmbeddingTexts(m), " "))
		for form := range counts[i] {
			t.df[form]++
		}
	}
	for _, count := range counts {
		t.weigh(count)
	}
	return func(text string) ([]Match, error) {
		query := forms(text)
		t.weigh(query)
		ordered := sortedForms(query) // so that equal films get equal sums
		var matches []Match
		for i, film := range counts {
			var s float64
			for _, form := range ordered {
				s += query[form] * film[form]
			}
			if s > 0 {
				matches = append(matches, Match{movies[i].ID, s})
			}
		}
		return matches, nil
	}
}

type tfidf struct {
	films float64
	df    map[string]float64
}

// weigh makes counts of forms a unit vector of tf-idf weights.
func (t tfidf) weigh(count map[string]float64) {
	var square float64
	for _, form := range sortedForms(count) {
		count[form] *= math.Log((t.films + 1) / (t.df[form] + 0.5))
		square += count[form] * count[form]
	}
	for form := range count {
		count[form] /= max(math.Sqrt(square), 1e-9)
	}
}

func forms(text string) map[string]float64 {
	count := make(map[string]float64)
	for _, w := range words.Split(text) {
		count[w.Form]++
	}
	return count
}

func sortedForms(count map[string]float64) []string {
	return slices.Sorted(maps.Keys(count))
}
