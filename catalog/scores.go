package catalog

import (
	"math"

	"kassa/catalog/related"
)

// lexicalScore is a film's score by words, each part from 0 to 1.
type lexicalScore struct {
	words   float32 // share of the question's idf that the film has, by BM25F
	letters float32 // cosine of the letter n-grams
	naming  float32 // confidence that the question is the film's title
}

// score returns the lexical scores of all films.
func (x *lexicalIndex) score(q asked, weights Weights) []lexicalScore {
	found := make([]lexicalScore, x.films)
	x.scoreWords(q, weights, found)
	x.letters.score(x, q, found)
	x.scoreNaming(q, found)
	x.scoreQuotes(q, found)
	return found
}

// synonymsMost limits the weight of a word's synonyms together, so that a film full of
// them counts as having the word in one keyword.
const synonymsMost = 2

func (x *lexicalIndex) scoreWords(q asked, weights Weights, found []lexicalScore) {
	own, other := newTally(x.films), newTally(x.films) // occurrences of a term, and of its synonyms
	for _, t := range q.terms {
		own.add(t.name, 1)
		x.expand(t.stem, weights, func(stem int32, weight float64) {
			switch {
			case weight < 1:
				other.add(x.stems[stem].postings, float32(weight))
			case t.form < 0:
				own.add(x.stems[stem].postings, 1)
			default:
				own.addStrictly(x, stem, t.form)
			}
		})
		for _, film := range other.films {
			own.add([]posting{{film, min(other.sum[film], synonymsMost)}}, 1)
		}
		share := float32(t.idf / q.total)
		for _, film := range own.films {
			found[film].words += share * own.sum[film] / (own.sum[film] + x.slack[film])
		}
		own.clear()
		other.clear()
	}
}

// A tally sums numbers by film.
type tally struct {
	sum   []float32
	films []int32 // that have one
}

func newTally(films int) *tally { return &tally{sum: make([]float32, films)} }

func (t *tally) add(list []posting, weight float32) {
	for _, p := range list {
		if t.sum[p.film] == 0 {
			t.films = append(t.films, p.film)
		}
		t.sum[p.film] += weight * p.weight
	}
}

// otherForm is the weight of another form of a stem if the typed form is in a person's
// name: Leone is not Leon.
const otherForm = 0.25

// addStrictly adds a stem's postings; those of other forms than one count less.
func (t *tally) addStrictly(x *lexicalIndex, stem, form int32) {
	for _, f := range x.stems[stem].forms {
		weight := float32(1)
		if f != form {
			weight = otherForm
		}
		t.add(x.forms[f].postings, weight)
	}
}

func (t *tally) clear() {
	for _, film := range t.films {
		t.sum[film] = 0
	}
	t.films = t.films[:0]
}

// expand calls each with a stem, its synonyms and its related stems that films have, and
// the weight of an occurrence. A stem may come several times.
func (x *lexicalIndex) expand(stem string, weights Weights, each func(stem int32, weight float64)) {
	own, ok := x.stemIDs[stem]
	if ok {
		each(own, 1)
	}
	links := x.synonyms.links[stem]
	for _, l := range links {
		weight := weights.Synonyms * l.part / math.Sqrt(float64(len(links)))
		for _, m := range x.members[l.group] {
			if !ok || m.stem != own {
				each(m.stem, weight*m.part)
			}
		}
	}
	if weights.Related == 0 {
		return
	}
	for _, r := range related.Of(stem) {
		if id, ok := x.stemIDs[r.Stem]; ok {
			each(id, weights.Related*nearness(r))
		}
	}
}

// nearness is what an occurrence of a related stem counts, from 0, where the words have a
// topic in common at most, to 1.
func nearness(r related.Stem) float64 { return float64(r.Close-related.Least) / (1 - related.Least) }
