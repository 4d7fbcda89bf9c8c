package catalog

import (
	"math"
	"slices"
	"strings"
	"sync"

	"kassa/catalog/lexicon"
	"kassa/catalog/words"
)

// Constants of BM25F.
const (
	saturation = 1.2 // k1: at this number of occurrences half of the maximum is reached
	lengthPart = 1.0 // b: length normalisation
)

// A lexicalIndex is the inverted index of the films' words in both languages. Films are
// identified by their number in the catalogue.
//
// Postings are stored once, by form. Those of a stem are the union of those of its
// forms, those of a synonym group of those of its stems; letter n-grams also refer to
// forms.
type lexicalIndex struct {
	films    int
	forms    []form
	formIDs  map[string]int32
	spelt    map[string]string // form with й and ё, where it has them
	stems    []stem
	stemIDs  map[string]int32
	synonyms *synonyms
	members  [][]member // of each group, by its number
	groups   []int      // films that have a word of a group, by the group's number
	slack    []float32  // of BM25F, by film: k1 times the normalised length
	named    [][]int32  // stems of the film's names, in order, by film
	letters  letterIndex
	names    nameIndex
}

// form is a word as written in some film.
type form struct {
	text     string
	stem     int32
	name     bool      // it is in the name of a person or a character
	postings []posting // in the order of films
}

// posting is a film's occurrences of a word, weighted by field.
type posting struct {
	film   int32
	weight float32
}

// stem is the stem of several forms.
type stem struct {
	forms    []int32
	postings []posting // of the forms, one after the other
	films    int       // films that have any of them
}

// member is a stem of a group that films have.
type member struct {
	stem int32
	part float64 // as in lexicon.Stem
}

// synonyms are the groups of a lexicon by the stems of their words.
type synonyms struct {
	groups [][]lexicon.Stem
	links  map[string][]link
	words  []words.Word // of all groups, each form once
}

// link is a stem's membership in a group.
type link struct {
	group int
	part  float64 // as in lexicon.Stem
}

func newSynonyms(groups []lexicon.Group) *synonyms {
	s := &synonyms{groups: make([][]lexicon.Stem, len(groups)), links: make(map[string][]link)}
	cutter := words.NewCutter()
	met := make(map[string]bool)
	for i, g := range groups {
		s.groups[i] = g.Stems(cutter)
		for _, phrase := range g.Phrases {
			for _, w := range cutter.Split(phrase) {
				if !met[w.Form] {
					met[w.Form] = true
					s.words = append(s.words, w)
				}
			}
		}
		for _, stem := range s.groups[i] {
			s.links[stem.Stem] = append(s.links[stem.Stem], link{i, stem.Part})
		}
	}
	return s
}

// shippedSynonyms are those of the built-in lexicon.
var shippedSynonyms = sync.OnceValue(func() *synonyms { return newSynonyms(lexicon.Groups()) })

func newLexicalIndex(movies []Movie, synonyms *synonyms) *lexicalIndex {
	x := &lexicalIndex{
		films:    len(movies),
		formIDs:  make(map[string]int32),
		spelt:    make(map[string]string),
		stemIDs:  make(map[string]int32),
		synonyms: synonyms,
		slack:    make([]float32, len(movies)),
		names:    newNameIndex(),
	}
	b := builder{lexicalIndex: x, cutter: words.NewCutter()}
	var all float64
	for i, m := range movies {
		x.slack[i] = b.add(m, int32(i))
		x.names.add(b.cutter, m, int32(i))
		all += float64(x.slack[i])
	}
	mean := all / float64(max(len(movies), 1))
	for i, length := range x.slack {
		x.slack[i] = float32(saturation * (1 - lengthPart + lengthPart*float64(length)/mean))
	}
	x.layPostings()
	x.countGroups()
	x.letters = newLetterIndex(x)
	return x
}

// builder adds films to an index.
type builder struct {
	*lexicalIndex
	cutter *words.Cutter
	counts []float32 // of the current film, by form
	met    []int32   // forms that the film has
	last   []int32   // the last film that had the stem, plus one, by stem
}

// add adds the next film, and returns its length.
func (b *builder) add(m Movie, film int32) (length float32) {
	var named []int32
	m.texts(func(f Field, english, russian string) {
		weight := fieldWeights[f]
		for _, text := range [...]string{english, russian} {
			for _, w := range b.cutter.Split(text) {
				if words.IsStop(w.Form) {
					continue
				}
				id := b.form(w)
				if b.counts[id] == 0 {
					b.met = append(b.met, id)
				}
				b.counts[id] += weight
				length += weight
				b.forms[id].name = b.forms[id].name || f == FieldPerson || f == FieldCharacter
				if f.names() {
					named = append(named, b.forms[id].stem)
				}
			}
		}
	})
	for _, id := range b.met {
		f := &b.forms[id]
		f.postings = append(f.postings, posting{film, b.counts[id]})
		b.counts[id] = 0
		if b.last[f.stem] != film+1 {
			b.last[f.stem] = film + 1
			b.stems[f.stem].films++
		}
	}
	b.met = b.met[:0]
	slices.Sort(named)
	b.named = append(b.named, slices.Clip(slices.Compact(named)))
	return length
}

// form returns the number of a word's form, and adds it if it is new.
func (b *builder) form(w words.Word) int32 {
	id, ok := b.formIDs[w.Form]
	if ok {
		return id
	}
	stemID, ok := b.stemIDs[w.Stem]
	if !ok {
		stemID = int32(len(b.stems))
		b.stemIDs[w.Stem] = stemID
		b.stems = append(b.stems, stem{})
		b.last = append(b.last, 0)
	}
	id = int32(len(b.forms))
	b.formIDs[w.Form] = id
	if spelt := strings.ToLower(w.Typed); spelt != w.Form {
		b.spelt[w.Form] = spelt
	}
	b.forms = append(b.forms, form{text: w.Form, stem: stemID})
	b.stems[stemID].forms = append(b.stems[stemID].forms, id)
	b.counts = append(b.counts, 0)
	return id
}

// layPostings puts the postings of each stem side by side in memory: a question with
// synonyms reads those of hundreds.
func (x *lexicalIndex) layPostings() {
	all := 0
	for _, f := range x.forms {
		all += len(f.postings)
	}
	list := make([]posting, 0, all)
	for i := range x.stems {
		s, from := &x.stems[i], len(list)
		for _, f := range s.forms {
			at := len(list)
			list = append(list, x.forms[f].postings...)
			x.forms[f].postings = list[at:len(list):len(list)]
		}
		s.postings = list[from:len(list):len(list)]
	}
}

// countGroups finds the members of each group, and counts the films that have any.
func (x *lexicalIndex) countGroups() {
	x.groups, x.members = make([]int, len(x.synonyms.groups)), make([][]member, len(x.synonyms.groups))
	last := make([]int32, x.films) // the last group for which the film was counted, plus one
	for g, stems := range x.synonyms.groups {
		for _, s := range stems {
			id, ok := x.stemIDs[s.Stem]
			if !ok {
				continue
			}
			x.members[g] = append(x.members[g], member{id, s.Part})
			for _, p := range x.stems[id].postings {
				if last[p.film] != int32(g)+1 {
					last[p.film] = int32(g) + 1
					x.groups[g]++
				}
			}
		}
	}
}

// idf is the inverse document frequency for a number of films.
func (x *lexicalIndex) idf(films int) float64 {
	return math.Log(1 + (float64(x.films-films)+0.5)/(float64(films)+0.5))
}

// rarity is the idf of a stem. A stem that no film has is as rare as its synonyms;
// without synonyms it has the maximum, so that films with all the other words do not
// get a high confidence.
func (x *lexicalIndex) rarity(stem string) float64 {
	if id, ok := x.stemIDs[stem]; ok {
		return x.idf(x.stems[id].films)
	}
	films := 0
	for _, l := range x.synonyms.links[stem] {
		films = max(films, x.groups[l.group])
	}
	return x.idf(films)
}

// asked is a question split into words.
type asked struct {
	all   []words.Word
	words []words.Word // content words, each stem once, in the order typed
	terms []term
	total float64 // sum of the terms' idf
}

// term is a search term of BM25F: a content word with its synonyms, or a full name.
type term struct {
	stem string
	form int32     // the typed form, if other forms count less; -1 if they do not
	name []posting // films that have the name; nil for a word
	idf  float64
}

// questionWordsMax is how many words of a question are used.
const questionWordsMax = 200

func (x *lexicalIndex) ask(text string) asked {
	list := words.Split(text)
	q := asked{all: list[:min(len(list), questionWordsMax)]}
	met := make(map[string]bool)
	for _, w := range q.all {
		if !met[w.Stem] && !words.IsStop(w.Form) {
			met[w.Stem] = true
			q.words = append(q.words, w)
			q.terms = append(q.terms, term{stem: w.Stem, form: x.strict(w), idf: x.rarity(w.Stem)})
		}
	}
	x.names.find(q.all, x.common, func(films []posting) {
		q.terms = append(q.terms, term{name: films, idf: x.idf(len(films))})
	})
	for _, t := range q.terms {
		q.total += t.idf
	}
	return q
}

// strict returns the form whose other forms count less, or -1. Russian names are
// inflected, so their other forms count.
func (x *lexicalIndex) strict(w words.Word) int32 {
	if id, ok := x.formIDs[w.Form]; ok && x.forms[id].name && !isCyrillic(w.Form) {
		return id
	}
	return -1
}

// explanationMax is how many words are shown as the reason of a match.
const explanationMax = 6

// explain lists the words of a question that a film has, the rarest first.
func (x *lexicalIndex) explain(q asked, film int32) []string {
	if len(q.words) == 0 && slices.Contains(x.names.exact[joined(q.all)], film) {
		q.words = q.all // a title of stop words
	}
	has := slices.DeleteFunc(slices.Clone(q.words), func(w words.Word) bool { return !x.has(film, w.Stem) && !words.IsStop(w.Form) })
	slices.SortStableFunc(has, func(a, b words.Word) int {
		return x.filmsOf(a.Stem) - x.filmsOf(b.Stem)
	})
	var typed []string
	for _, word := range has[:min(len(has), explanationMax)] {
		typed = append(typed, word.Typed)
	}
	return typed
}

func (x *lexicalIndex) filmsOf(stem string) int {
	if id, ok := x.stemIDs[stem]; ok {
		return x.stems[id].films
	}
	return 0
}

// has reports whether a film has a form of a stem.
func (x *lexicalIndex) has(film int32, stem string) bool {
	id, ok := x.stemIDs[stem]
	if !ok {
		return false
	}
	return slices.ContainsFunc(x.stems[id].forms, func(f int32) bool {
		_, ok := slices.BinarySearchFunc(x.forms[f].postings, film, func(p posting, film int32) int { return int(p.film - film) })
		return ok
	})
}

// hasSynonym reports whether a film has a word of the same meaning.
func (x *lexicalIndex) hasSynonym(film int32, stem string) bool {
	for _, l := range x.synonyms.links[stem] {
		if l.part < 1 {
			continue
		}
		for _, member := range x.synonyms.groups[l.group] {
			if member.Part == 1 && x.has(film, member.Stem) {
				return true
			}
		}
	}
	return false
}

// joined are the forms of words with a space between.
func joined(list []words.Word) string {
	forms := make([]string, len(list))
	for i, w := range list {
		forms[i] = w.Form
	}
	return strings.Join(forms, " ")
}
