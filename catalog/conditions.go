package catalog

import (
	"slices"
	"strings"

	"kassa/catalog/question"
	"kassa/catalog/words"
)

// Factors of a film's score for each condition that it does not meet. Reading may be
// wrong, so no condition excludes a film, except that an example is no answer.
const (
	unmet      = 0.35 // a condition is not met
	unrecorded = 0.8  // the catalogue does not have the field
	nearlyMet  = 0.7  // a year next to the remembered one
	denied     = 0.05 // what was to be avoided is so
	nearDenied = 0.8  // a synonym of it is
)

// conditionPart is the score for meeting all conditions. Without it a question of
// conditions only would find nothing.
const conditionPart = 0.15

// factors returns for each film the factor of its score. nil means that there are no
// conditions.
func (v *view) factors(conditions []question.Filter) []float32 {
	if len(conditions) == 0 {
		return nil
	}
	factors := make([]float32, len(v.movies))
	for i := range factors {
		factors[i] = 1
	}
	for _, c := range conditions {
		if c.Field == question.Topic || c.Field == question.Setting {
			v.judgeTopic(c, factors)
			continue
		}
		for i := range v.movies {
			factors[i] *= judge(&v.movies[i], c)
		}
	}
	return factors
}

// Fulfilment is how a film answers to a condition.
type Fulfilment int

// The film meets the condition or does not, or its record does not say.
const (
	Unmet Fulfilment = iota
	Unrecorded
	Met
)

// Fulfils compares a film with a condition. What a film must not be is Met by a record that
// says nothing of it; topics and places, which are looked for in all texts, are Unrecorded.
func (m Movie) Fulfils(c question.Filter) Fulfilment {
	met := meets(&m, c)
	switch {
	case c.Field == question.Topic || c.Field == question.Setting:
		return Unrecorded
	case c.Not && met == 0 || !c.Not && met == 1:
		return Met
	case !c.Not && met == unrecorded:
		return Unrecorded
	}
	return Unmet
}

func judge(m *Movie, c question.Filter) float32 {
	met := meets(m, c)
	if c.Not {
		return 1 - met*(1-denied)
	}
	if c.Field == question.Like {
		return 1 - met // the example itself
	}
	return met
}

// meets is 1 if a film meets a condition, and less the further it is from that.
func meets(m *Movie, c question.Filter) float32 {
	switch c.Field {
	case question.Genre:
		if c.Value == "family" && m.ForChildren {
			return 1
		}
		return oneOf(m.Genres, c.Value, c.Not)
	case question.Country:
		return oneOf(m.Countries, c.Value, c.Not)
	case question.Language:
		return oneOf(m.Languages, c.Value, c.Not)
	case question.Years:
		return within(m.Year, c)
	case question.Runtime:
		if m.Runtime == 0 {
			return unknownly(c.Not)
		}
		return within(m.Runtime, c)
	case question.Person:
		return hasPerson(m.people(), c)
	case question.Director:
		return hasPerson(m.Directors, c)
	case question.Actor:
		return hasPerson(m.Cast, c)
	case question.Series:
		s := m.Series
		return truth(s != nil && (s.Name == c.Value || s.NameRU == c.Value) && (c.From == 0 || s.Part == c.From), c.Not)
	case question.Flag:
		return hasFlag(m, c)
	case question.Award:
		return truth(slices.ContainsFunc(m.Awards, func(award string) bool { return strings.HasPrefix(award, c.Value) }), c.Not)
	case question.Like:
		return truth(m.ID == c.Value, true)
	}
	return 1
}

// truth is 1 for true. False is 0 only for a negated condition or an example; otherwise
// the film keeps a chance.
func truth(so, strict bool) float32 {
	switch {
	case so:
		return 1
	case strict:
		return 0
	}
	return unmet
}

func unknownly(not bool) float32 {
	if not {
		return 0
	}
	return unrecorded
}

func oneOf(codes []string, wanted string, not bool) float32 {
	if len(codes) == 0 {
		return unknownly(not)
	}
	for one := range strings.SplitSeq(wanted, ",") {
		if slices.Contains(codes, one) {
			return 1
		}
	}
	return truth(false, not)
}

// within compares a number with bounds. A single year may be off by one.
func within(n int, c question.Filter) float32 {
	switch {
	case n >= c.From && (c.To == 0 || n <= c.To):
		return 1
	case !c.Not && c.From == c.To && (n == c.From-1 || n == c.To+1):
		return nearlyMet
	}
	return truth(false, c.Not)
}

func hasPerson(people []Person, c question.Filter) float32 {
	if len(people) == 0 {
		return unknownly(c.Not)
	}
	return truth(named(people, c.Value), c.Not)
}

// Films of later years are in colour and have sound, but for a few, whose records say so.
const (
	blackAndWhiteLast = 1975
	silentLast        = 1935
)

// hasFlag takes a flag that is not set for unknown where no flag and no mood or theme is
// set at all, as in most imported records, and the film may well be so.
func hasFlag(m *Movie, c question.Filter) float32 {
	kept := m.BlackAndWhite || m.Silent || m.ForChildren || len(m.Moods)+len(m.Themes) > 0
	is, may := false, false
	switch c.Value {
	case "black-and-white":
		is, may = m.BlackAndWhite, m.Year <= blackAndWhiteLast
	case "silent":
		is, may = m.Silent, m.Year <= silentLast
	case "for-children":
		is, may = m.ForChildren || slices.Contains(m.Genres, "family"), slices.Contains(m.Genres, "animation")
	}
	if !is && may && !kept {
		return unknownly(c.Not)
	}
	return truth(is, c.Not)
}

// named reports whether a person has a name, or a name that ends in it.
func named(people []Person, name string) bool {
	return slices.ContainsFunc(people, func(p Person) bool {
		for _, full := range [...]string{p.Name, p.NameRU} {
			if full == name || strings.HasSuffix(full, " "+name) || strings.HasPrefix(full, name+" ") {
				return true
			}
		}
		return false
	})
}

// judgeTopic judges films by the words of their texts.
func (v *view) judgeTopic(c question.Filter, factors []float32) {
	mentions := make([]float32, len(factors)) // how often, by weight of the fields
	related := make([]float32, len(factors))  // 1: the word, less: a synonym
	for _, w := range words.Split(c.Value) {
		v.index.expand(w.Stem, Weights{Synonyms: 1}, func(stem int32, weight float64) {
			for _, p := range v.index.stems[stem].postings {
				related[p.film] = max(related[p.film], float32(weight))
				if weight == 1 {
					mentions[p.film] += p.weight
				}
			}
		})
	}
	for i, s := range related {
		switch {
		case s == 0:
			if !c.Not {
				factors[i] *= unmet
			}
		case c.Not && mentions[i] > 0:
			factors[i] *= max(topicHalf/(topicHalf+mentions[i]), denied)
		case c.Not && s > 0.5:
			factors[i] *= nearDenied
		}
	}
}

// topicHalf is how often a word is in the texts of a film that is about it by half: what is only
// mentioned is no reason to leave it out.
const topicHalf = 1.5

// likeText is what a film is about, in words: what a question that names it as an
// example asks for. It is empty where no condition names one.
func (v *view) likeText(conditions []question.Filter) string {
	var parts []string
	for _, c := range conditions {
		i, ok := number(v.movies, c.Value)
		if c.Field != question.Like || c.Not || !ok {
			continue
		}
		m := v.movies[i]
		parts = append(parts, m.Keywords...)
		parts = append(parts, m.KeywordsRU...)
		m.labels(func(f Field, l Label) {
			if f == FieldGenre || f == FieldMood || f == FieldTheme {
				parts = append(parts, l.Name)
			}
		})
	}
	return strings.Join(parts, " ")
}

// examplePart is the weight of similarity to an example, relative to the question's own
// words.
const examplePart = 0.4

// scoreLike adds the similarity to an example to the scores of the words.
func (v *view) scoreLike(text string, weights Weights, scores []lexicalScore) {
	alike := v.index.score(v.index.ask(text), weights)
	for i := range scores {
		scores[i].words = (1-examplePart)*scores[i].words + examplePart*alike[i].words
		scores[i].letters = (1-examplePart)*scores[i].letters + examplePart*alike[i].letters
	}
}
