package catalog

import (
	"cmp"
	"math"
	"slices"
	"unicode"

	"kassa/catalog/question"
	"kassa/catalog/words"
)

// Found is the result of a query.
type Found struct {
	Matches []Match // the best first
	// Confidence is the probability that the first film is the one that is meant; 0 if
	// there is none.
	Confidence float64
}

// PerMille is the confidence in a form that is stored: from 1 to 1000, never more than it
// is, and 0 where there is no film.
func (f Found) PerMille() int {
	if len(f.Matches) == 0 {
		return 0
	}
	return max(1, int(f.Confidence*1000))
}

// Certainty is a confidence as people are told it: a word. Its values are stable codes.
type Certainty string

// The words, and from which confidence each is said: chosen on the questions for tuning
// (TestConfidenceIsCalibrated), so that of the films that are almost certain 95 in 100 are right
// at least, and of the probable ones more than half.
const (
	AlmostCertain Certainty = "almost_certain"
	Probable      Certainty = "probable"
	Possible      Certainty = "possible"

	almostCertainFrom = 900 // per mille
	probableFrom      = 500
)

// Certainties are all of them, the surest first.
var Certainties = []Certainty{AlmostCertain, Probable, Possible}

// CertaintyOf is the word for a confidence per mille; "" for 0, which is not known.
func CertaintyOf(perMille int) Certainty {
	switch {
	case perMille >= almostCertainFrom:
		return AlmostCertain
	case perMille >= probableFrom:
		return Probable
	case perMille > 0:
		return Possible
	}
	return ""
}

// The features of an answer from which its confidence is computed, each about 0 to 1.
const (
	featureScore       = iota // of the first film
	featureMargin             // between it and the second
	featureWords              // its score by words
	featureLetters            // by runs of letters
	featureVector             // by vectors
	featureNaming             // by its title
	featureNamed              // share of the question that its names have
	featureKnown              // share of the question's words that films or lexicon have
	featureLength             // telling words of the question: 0 for none, 1 for 20 and more
	featureLetter             // share of letters in the question
	featureMet                // conditions that it meets
	featureLead               // how far it is before the second, as a part of its score
	featureField              // how far it is before those behind the second
	featureCovered            // share of the question's words that it has, by their rarity
	featureAgreed             // its place by vectors alone: 1 for the first
	featureLabelled           // share of its words that are the film's genres, moods and themes
	featureSingle             // 1: the question is one word, and no title
	featureLong               // how long a story the question is: 0 for up to nine words, 1 for 20
	featureLongField          // featureField of a long one
	featureLongCovered        // featureCovered of a long one
	featureTalk               // what the question asks instead of a film, as question.Other has it
	featureService
	featureInsult
	featureForeign
	featureUnknown
	featureMash
	featureCode
	featureQuestion
	featureAddress
	features
)

// confidenceWeights are those of a logistic regression over the features, the last
// one without any: fitted to the questions for tuning (TestConfidenceIsFitted).
var confidenceWeights = [features + 1]float64{2.33, 0.79, 2.10, 1.53, 1.08, -1.11, 1.26, 0.21, 4.08, 0.11, 1.57, 3.29, 3.99, 1.81, 0.67, 0.85, -1.34, -2.17, 0.68, 0.94, -0.32, -1.77, 0.96, -0.24, 0.57, -0.63, -0.08, 0.93, 0.49, -8.76}

// NotFoundBelow is the confidence below which nothing was found: of the questions for
// tuning that have an answer, 3 in 100 are below it.
const NotFoundBelow = 0.09

// confidence is the probability that the first of the found films is meant.
func (r *ranking) confidence(found []Match) float64 {
	if len(found) == 0 {
		return 0
	}
	other := r.vocabulary().ReadOther(r.typed)
	if r.asksNothing(found[0], other) {
		return 0
	}
	return logistic(r.featuresOf(found, other))
}

// asksNothing reports a question of greetings, insults, sums or the like, and nothing
// else, or one about the world, that is neither a film's title nor a line of it.
func (r *ranking) asksNothing(first Match, other question.Other) bool {
	const lineMin, sure = 4, 0.8 // words of a line that is no common phrase, and how much of the question it is
	const named = 0.3            // of "how to train the dragon" a part is a title
	film, _ := number(r.movies, first.MovieID)
	naming := r.lexical[film].naming
	return other.Nothing && naming < 1 && (naming < sure || len(r.asked.all) < lineMin) || other.Opening && naming < named
}

func logistic(f [features]float64) float64 {
	sum := confidenceWeights[features]
	for i, x := range f {
		sum += confidenceWeights[i] * x
	}
	return 1 / (1 + math.Exp(-sum))
}

// featuresOf returns the features of an answer.
func (r *ranking) featuresOf(found []Match, other question.Other) [features]float64 {
	film, _ := number(r.movies, found[0].MovieID)
	var f [features]float64
	f[featureScore] = found[0].Score
	f[featureMargin] = found[0].Score
	if len(found) > 1 {
		f[featureMargin] -= found[1].Score
	}
	l := r.lexical[film]
	f[featureWords], f[featureLetters], f[featureNaming] = float64(l.words), float64(l.letters), float64(l.naming)
	if r.weights.Vectors > 0 {
		f[featureVector] = max(float64(r.near[film]), 0)
	}
	named, _ := r.index.share(r.asked, nil, int32(film))
	f[featureNamed] = float64(named)
	known := 0
	for _, w := range r.asked.words {
		if r.index.filmsOf(w.Stem) > 0 || len(r.index.synonyms.links[w.Stem]) > 0 {
			known++
		}
	}
	const manyWords = 20
	if telling := len(r.asked.words); telling > 0 {
		f[featureKnown] = float64(known) / float64(telling)
		f[featureLength] = min(math.Log1p(float64(telling))/math.Log1p(manyWords), 1)
	}
	if len(r.asked.words) == 1 {
		f[featureSingle] = 1 - float64(l.naming)
	}
	f[featureLetter] = letterShare(r.text)
	if r.conditions {
		f[featureMet] = float64(r.factors[film])
	}
	f[featureLead], f[featureField] = r.lead()
	f[featureCovered] = r.covered(int32(film))
	f[featureAgreed] = r.agreed(film)
	f[featureLabelled] = r.labelled(film)
	f[featureLong] = max(f[featureLength]-longFrom, 0) / (1 - longFrom)
	f[featureLongField], f[featureLongCovered] = f[featureLong]*f[featureField], f[featureLong]*f[featureCovered]
	f[featureTalk], f[featureService], f[featureInsult], f[featureForeign] = other.Talk, other.Service, other.Insult, other.Foreign
	f[featureMash], f[featureUnknown], f[featureCode], f[featureQuestion], f[featureAddress] = other.Mash, other.Unknown, other.Code, other.Question, other.Address
	return f
}

// longFrom is the length from which a question is a story. Of a story more is in the
// right film than in others, or the film is not there.
const longFrom = 0.75

// labelled is the share of the question's words that are a film's genres, moods and
// themes, or mean the same: what many films are, and no story.
func (r *ranking) labelled(film int) float64 {
	labels := make(map[string]bool)
	r.movies[film].labels(func(f Field, l Label) {
		if f == FieldGenre || f == FieldMood || f == FieldTheme {
			for _, w := range words.Split(l.Name + " " + l.NameRU) {
				labels[w.Stem] = true
			}
		}
	})
	n := 0
	for _, w := range r.asked.words {
		labelled := labels[w.Stem]
		for _, synonym := range r.index.synonymsOf(w.Stem) {
			labelled = labelled || labels[synonym]
		}
		if labelled {
			n++
		}
	}
	return float64(n) / float64(max(len(r.asked.words), 1))
}

// fieldFilms is how many of the best films are looked at for how far the first is before
// the others.
const fieldFilms = 10

// lead is how far the best score is before the second, and before the mean of those
// behind, as parts of it.
func (r *ranking) lead() (second, field float64) {
	scores := make([]float64, 0, len(r.best.list))
	for _, c := range r.best.list {
		scores = append(scores, c.score)
	}
	slices.SortFunc(scores, func(a, b float64) int { return cmp.Compare(b, a) })
	if len(scores) < 3 || scores[0] == 0 {
		return 1, 1
	}
	rest := scores[2:min(len(scores), fieldFilms)]
	sum := 0.0
	for _, s := range rest {
		sum += s
	}
	return 1 - scores[1]/scores[0], 1 - sum/float64(len(rest))/scores[0]
}

// covered is the share of the question's words, by their rarity, that a film has
// anywhere, or half of it by a synonym.
func (r *ranking) covered(film int32) float64 {
	const bySynonym = 0.5
	var has, all float64
	for _, w := range r.asked.words {
		idf := r.index.rarity(w.Stem)
		all += idf
		switch {
		case r.index.has(film, w.Stem):
			has += idf
		case r.index.hasSynonym(film, w.Stem):
			has += bySynonym * idf
		}
	}
	if all == 0 {
		return 0
	}
	return has / all
}

// agreed is 1 for the film whose vector is nearest, and the less the more are nearer.
func (r *ranking) agreed(film int) float64 {
	if r.weights.Vectors == 0 {
		return 0
	}
	nearer := 0
	for _, x := range r.near {
		if x > r.near[film] {
			nearer++
		}
	}
	return 1 / (1 + math.Log1p(float64(nearer)))
}

// letterShare is the share of letters among what is not space.
func letterShare(text string) float64 {
	letters, all := 0, 0
	for _, c := range text {
		if unicode.IsLetter(c) {
			letters++
		}
		if !unicode.IsSpace(c) {
			all++
		}
	}
	return float64(letters) / float64(max(all, 1))
}
