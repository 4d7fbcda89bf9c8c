package eval

import (
	"maps"
	"math"
	"slices"
	"strings"

	"kassa/catalog"
	"kassa/catalog/words"
)

// TFIDF is the simplest method: the cosine of tf-idf vectors of unstemmed words.
func TFIDF(movies []catalog.Movie) System {
	t := tfidf{films: float64(len(movies)), df: make(map[string]float64)}
	films := make([]map[string]float64, len(movies))
	for i, m := range movies {
		films[i] = counts(strings.Join(catalog.SearchedTexts(m), " "), formOf)
		for form := range films[i] {
			t.df[form]++
		}
	}
	for _, film := range films {
		t.weigh(film)
	}
	return scored("tf-idf", movies, func(text string) []float64 {
		query := counts(text, formOf)
		t.weigh(query)
		ordered := sorted(query) // so that equal films get equal sums
		scores := make([]float64, len(movies))
		for i, film := range films {
			for _, form := range ordered {
				scores[i] += query[form] * film[form]
			}
		}
		return scores
	})
}

type tfidf struct {
	films float64
	df    map[string]float64
}

// weigh turns counts of forms into a unit vector of tf-idf weights.
func (t tfidf) weigh(count map[string]float64) {
	var square float64
	for _, form := range sorted(count) {
		count[form] *= math.Log((t.films + 1) / (t.df[form] + 0.5))
		square += count[form] * count[form]
	}
	for form := range count {
		count[form] /= max(math.Sqrt(square), 1e-9)
	}
}

func formOf(w words.Word) string { return w.Form }

// counts counts the words of a text by key.
func counts(text string, key func(words.Word) string) map[string]float64 {
	count := make(map[string]float64)
	for _, w := range words.Split(text) {
		count[key(w)]++
	}
	return count
}

func sorted(count map[string]float64) []string { return slices.Sorted(maps.Keys(count)) }
