package main

import (
	"math"
	"slices"

	"kassa/catalog/lexicon"
	"kassa/catalog/words"
)

// weights are the hyperparameters of the model. They were tuned on the tuning queries,
// and on sentences of each film's description, which had to find the film by its
// keywords. The optimum is flat: half or twice a weight costs 0.01 to 0.03 of the mean
// reciprocal rank.
type weights struct {
	stem    float64 // of the stem itself
	concept float64 // of the lexicon's concepts of the stem
	gram    float64 // of the stem's letters, in runs of gramMin to gramMax
	gramMin int
	gramMax int
	stop    float64 // factor for stop words
}

var chosen = weights{stem: 1, concept: 1, gram: 0.5, gramMin: 3, gramMax: 5, stop: 0.05}

// term is one coordinate of a sparse vector over all features.
type term struct {
	feature int
	weight  float64
}

// A space has the features of words: a stem, the concepts of that stem in the lexicon,
// and its letter n-grams. A word is a sum of weighted features, a text is the sum of
// its words, and the similarity of two texts is that of their sums. Everything else
// only projects this space into few dimensions.
type space struct {
	weights
	films    int            // films that document frequencies are counted over
	numbers  map[string]int // feature name to number
	df       []int          // films that have the feature, by number
	concepts map[string][]link
	stops    map[string]bool // stems of stop words
}

// link is a stem's weight in a concept: 1 for a word, less for a word of a phrase.
type link struct {
	concept string
	part    float64
}

func newSpace(w weights, groups []lexicon.Group, texts [][]string) *space {
	s := &space{weights: w, films: len(texts), numbers: make(map[string]int), concepts: make(map[string][]link), stops: make(map[string]bool)}
	cutter := words.NewCutter()
	for _, g := range groups {
		for _, stem := range g.Stems(cutter) {
			s.concepts[stem.Stem] = append(s.concepts[stem.Stem], link{g.ID, stem.Part})
		}
	}
	for _, film := range texts {
		s.count(film)
	}
	return s
}

// count adds one to the document frequency of every feature of a film.
func (s *space) count(texts []string) {
	seen := make(map[int]bool)
	for _, text := range texts {
		for _, w := range words.Split(text) {
			if words.IsStop(w.Form) {
				s.stops[w.Stem] = true
			}
			for _, name := range s.names(w.Stem) {
				n := s.number(name)
				if !seen[n] {
					seen[n] = true
					s.df[n]++
				}
			}
		}
	}
}

func (s *space) number(name string) int {
	n, ok := s.numbers[name]
	if !ok {
		n = len(s.df)
		s.numbers[name] = n
		s.df = append(s.df, 0)
	}
	return n
}

// names lists all features of a stem.
func (s *space) names(stem string) []string {
	names := []string{"s:" + stem}
	for _, l := range s.concepts[stem] {
		names = append(names, "c:"+l.concept)
	}
	return append(names, s.grams(stem)...)
}

// grams are the letter n-grams of a stem. The start of the word counts as a letter,
// because beginnings of words carry more meaning than endings.
func (s *space) grams(stem string) []string {
	letters := []rune("^" + stem)
	var names []string
	for size := s.gramMin; size <= s.gramMax; size++ {
		for i := 0; i+size <= len(letters); i++ {
			names = append(names, "g:"+string(letters[i:i+size]))
		}
	}
	return names
}

// idf is the inverse document frequency of a feature, rounded to float32, because the
// last bits of a logarithm differ between machines.
func (s *space) idf(n int) float64 {
	return float64(float32(math.Log(float64(s.films+1) / (float64(s.df[n]) + 0.5))))
}

// word is the sparse vector of a whole word, by its stem.
func (s *space) word(stem string) []term {
	v := s.letters(stem)
	n := s.number("s:" + stem)
	v = append(v, term{n, s.stem * s.idf(n)})
	links := s.concepts[stem]
	for _, l := range links {
		n := s.number("c:" + l.concept)
		v = append(v, term{n, s.concept * s.idf(n) * l.part / math.Sqrt(float64(len(links)))})
	}
	return v
}

// letters is the sparse vector of a word by its letters only: the n-grams that some
// film has, scaled like a stem.
func (s *space) letters(stem string) []term {
	grams := s.grams(stem)
	slices.Sort(grams)
	var v []term
	var square float64
	for _, name := range slices.Compact(grams) {
		n := s.number(name)
		v = append(v, term{n, s.idf(n)})
		square += float64(s.idf(n) * s.idf(n)) // the conversion prevents a fused multiply-add
	}
	scale := s.gram * s.idf(s.number("s:"+stem)) / math.Sqrt(max(square, 1e-9))
	for i := range v {
		v[i].weight *= scale
	}
	return v
}

// text is the sparse vector of a text: the sum over its words.
func (s *space) text(text string) map[int]float64 {
	sum := make(map[int]float64)
	for _, w := range words.Split(text) {
		factor := 1.0
		if words.IsStop(w.Form) {
			factor = s.stop
		}
		for _, t := range s.word(w.Stem) {
			sum[t.feature] += float64(factor * t.weight)
		}
	}
	return sum
}

// implies reports whether a word adds nothing to a shorter one: no film has it, and the
// lexicon gives both the same concepts.
func (s *space) implies(shorter, stem string) bool {
	if s.df[s.number("s:"+stem)] > 0 {
		return false
	}
	return slices.EqualFunc(s.concepts[shorter], s.concepts[stem], func(a, b link) bool { return a.concept == b.concept })
}

// faint reports whether a word is in no film and only a part of phrases in the lexicon,
// as the "better" of "better half".
func (s *space) faint(stem string) bool {
	return s.df[s.number("s:"+stem)] == 0 &&
		!slices.ContainsFunc(s.concepts[stem], func(l link) bool { return l.part == 1 })
}
