package catalog

import (
	"cmp"
	"slices"
	"strings"

	"kassa/catalog/words"
)

// Reason is a part of a film that matches a part of a question.
type Reason struct {
	Field   Field    `json:"field"`
	Text    string   `json:"text"`              // the film's text: a name, a keyword, a line, a label, a sentence of the description
	Typed   []string `json:"typed"`             // the words of the question that it matches, as typed or corrected
	Synonym bool     `json:"synonym,omitempty"` // matched by a synonym, or in the other language
}

// ReasonIn is the text of a reason in a language, and the language that it is in: the
// other one if the film has it only in that, and "" if it is not known.
func (m Movie) ReasonIn(language string, r Reason) (text, in string) {
	text = r.Text
	m.texts(func(f Field, english, russian string) {
		switch {
		case f != r.Field || in != "":
		case f == FieldDescription: // sentences are not translated one by one
			if in = "en"; strings.Contains(russian, r.Text) {
				in = "ru"
			}
		case english == r.Text || russian == r.Text:
			text = either(language, english, russian)
			switch text {
			case m.OriginalTitle:
			case russian:
				in = "ru"
			default:
				in = "en"
			}
		}
	})
	return text, in
}

const (
	reasonsMax = 4
	// synonymPart is the weight of a word matched by a synonym, relative to an exact
	// match.
	synonymPart = 0.4
	// A reason has at least one of these, else it is far-fetched: a word that many films
	// have, or a loose synonym of one.
	reasonRarity = 0.15 // rarity of its words, relative to that of a word that no film has
	reasonShare  = 0.25 // part of the whole question, by rarity
)

// Reasons returns for each of some films what in it matches a question, the best first,
// at most four. None means that the film matches by its vector or by letter n-grams
// only, or is not in the catalogue.
func (c *Catalogue) Reasons(text string, movieIDs ...string) [][]Reason {
	v := c.now.Load()
	e := v.index.explanation(v.question(text).Whole)
	all := make([][]Reason, len(movieIDs))
	for i, id := range movieIDs {
		if n, ok := number(v.movies, id); ok {
			all[i] = e.reasons(v.passages(n))
		}
	}
	return all
}

// explanation is a question's words, with what is needed for every film.
type explanation struct {
	words []explained
	terms []wanted // by their stems, and then by word
	least float64  // weight of the words of a reason
}

// explained is a word of a question.
type explained struct {
	typed    string
	rarity   float64
	cyrillic bool
}

// wanted is a stem that matches a word of a question.
type wanted struct {
	stem    string
	word    int // its number
	synonym bool
}

func (x *lexicalIndex) explanation(text string) explanation {
	q := x.ask(text)
	list := q.words
	if len(list) == 0 {
		list = q.all // a title of stop words
	}
	var e explanation
	for i, w := range list {
		e.words = append(e.words, explained{w.Typed, x.rarity(w.Stem), isCyrillic(w.Form)})
		e.terms = append(e.terms, wanted{w.Stem, i, false})
		for _, synonym := range x.synonymsOf(w.Stem) {
			e.terms = append(e.terms, wanted{synonym, i, true})
		}
	}
	all := 0.0
	for _, w := range e.words {
		all += w.rarity
	}
	e.least = min(reasonRarity*x.idf(0), reasonShare*all)
	slices.SortFunc(e.terms, func(a, b wanted) int { return cmp.Or(strings.Compare(a.stem, b.stem), a.word-b.word) })
	return e
}

// passages are the texts of a film that may be reasons.
type passages struct {
	list  []passage
	stems []stemAt // by stem, and then by passage
}

type passage struct {
	field    Field
	text     string
	cyrillic bool
	stems    int // how many different ones it has
}

// stemAt is a stem and a passage that has it.
type stemAt struct {
	stem    string
	passage int
}

// passages are the texts of a film, with the description split into sentences.
func (m Movie) passages(cutter *words.Cutter) passages {
	var all passages
	m.texts(func(f Field, english, russian string) {
		for _, text := range [...]string{english, russian} {
			texts := []string{text}
			if f == FieldDescription {
				texts = strings.SplitAfter(text, ". ")
			}
			for _, text := range texts {
				all.add(f, strings.TrimSpace(text), cutter.Split(text))
			}
		}
	})
	slices.SortFunc(all.stems, func(a, b stemAt) int { return cmp.Or(strings.Compare(a.stem, b.stem), a.passage-b.passage) })
	all.list, all.stems = slices.Clip(all.list), slices.Clip(all.stems)
	return all
}

func (p *passages) add(f Field, text string, list []words.Word) {
	if len(list) == 0 {
		return
	}
	stems := make([]string, len(list))
	for i, w := range list {
		stems[i] = w.Stem
	}
	slices.Sort(stems)
	stems = slices.Compact(stems)
	for _, stem := range stems {
		p.stems = append(p.stems, stemAt{stem, len(p.list)})
	}
	p.list = append(p.list, passage{f, text, isCyrillic(text), len(stems)})
}

// hit is a word of a question that a passage has.
type hit struct {
	passage, word int
	synonym       bool // has only by a synonym
}

// hits are the words that the passages have, by passage and by word.
func (e explanation) hits(p passages) []hit {
	var list []hit
	at := 0
	for _, t := range e.terms {
		for at < len(p.stems) && p.stems[at].stem < t.stem {
			at++
		}
		for _, s := range p.stems[at:] {
			if s.stem != t.stem {
				break
			}
			list = append(list, hit{s.passage, t.word, t.synonym})
		}
	}
	slices.SortFunc(list, func(a, b hit) int {
		switch {
		case a.passage != b.passage:
			return a.passage - b.passage
		case a.word != b.word:
			return a.word - b.word
		case a.synonym == b.synonym:
			return 0
		case b.synonym: // the word itself counts
			return -1
		}
		return 1
	})
	return slices.CompactFunc(list, func(a, b hit) bool { return a.passage == b.passage && a.word == b.word })
}

// reasons takes the passage that explains most of the question, then the next for the
// remaining words. A shorter passage explains better than a longer one.
func (e explanation) reasons(p passages) []Reason {
	left := e.hits(p)
	var found []Reason
	for len(left) > 0 && len(found) < reasonsMax {
		var best []hit
		var most float64
		for from := 0; from < len(left); {
			to := from
			for to < len(left) && left[to].passage == left[from].passage {
				to++
			}
			if worth := e.worth(left[from:to], p.list[left[from].passage]); worth > most {
				best, most = left[from:to], worth
			}
			from = to
		}
		if most == 0 {
			break
		}
		r := e.reason(best, p.list[best[0].passage])
		found = append(found, r)
		left = slices.DeleteFunc(left, func(h hit) bool { return slices.Contains(r.Typed, e.words[h.word].typed) })
	}
	return found
}

// worth is the value of the words that a passage has; 0 if they are no reason.
func (e explanation) worth(hits []hit, p passage) float64 {
	var worth, weight float64
	for _, h := range hits {
		w := e.words[h.word]
		if !h.synonym {
			worth, weight = worth+w.rarity, weight+w.rarity
			continue
		}
		worth, weight = worth+synonymPart*w.rarity, weight+synonymPart*w.rarity
		if w.cyrillic == p.cyrillic { // prefer the question's own language
			worth += synonymPart * w.rarity / 2
		}
	}
	if weight < e.least {
		return 0
	}
	return worth * float64(fieldWeights[p.field]) / float64(p.stems+4)
}

// reason is how a passage matches words of the question.
func (e explanation) reason(hits []hit, p passage) Reason {
	r := Reason{Field: p.field, Text: p.text, Synonym: true}
	for _, h := range hits {
		r.Typed = append(r.Typed, e.words[h.word].typed)
		r.Synonym = r.Synonym && h.synonym
	}
	return r
}

// synonymsOf are the synonyms' stems, sorted.
func (x *lexicalIndex) synonymsOf(stem string) []string {
	var same []string
	for _, l := range x.synonyms.links[stem] {
		if l.part < 1 {
			continue
		}
		for _, member := range x.synonyms.groups[l.group] {
			if member.Part == 1 {
				same = append(same, member.Stem)
			}
		}
	}
	slices.Sort(same)
	return slices.Compact(same)
}
