package catalog

import (
	"slices"
	"strings"
	"unicode"

	"kassa/catalog/words"
)

// A nameIndex maps word sequences to the films with that title, or with a person or
// character of that name.
type nameIndex struct {
	exact   map[string][]int32   // all forms of a title, joined, to films
	titles  map[string][]int32   // all stems of a title, joined, to films
	people  map[string][]posting // forms of a name of a person, a character or a series, joined, to films
	cases   map[string][]posting // the same by stems: a name in another case
	quotes  map[string][]int32   // three successive stems of a line, joined, to films
	longest int                  // words of the longest of them
}

func newNameIndex() nameIndex {
	return nameIndex{exact: make(map[string][]int32), titles: make(map[string][]int32), people: make(map[string][]posting), cases: make(map[string][]posting), quotes: make(map[string][]int32)}
}

func (n *nameIndex) add(cutter *words.Cutter, m Movie, film int32) {
	for _, title := range m.titles() {
		list := cutter.Split(title)
		if len(list) == 0 {
			continue
		}
		n.longest = max(n.longest, len(list))
		addFilm(n.exact, joined(list), film)
		addFilm(n.titles, joinedStems(list), film)
		if len(list) > 2 && isArticle(list[0].Form) { // users leave out the article
			addFilm(n.exact, joined(list[1:]), film)
			addFilm(n.titles, joinedStems(list[1:]), film)
		}
	}
	for _, line := range m.Lines {
		for _, text := range [...]string{line.Text, line.TextRU} {
			quoted(cutter.Split(text), func(_ int, key string) { addFilm(n.quotes, key, film) })
		}
	}
	m.texts(func(f Field, english, russian string) {
		if f != FieldPerson && f != FieldCharacter && f != FieldSeries {
			return
		}
		for _, name := range [...]string{english, russian} {
			list := cutter.Split(name)
			if len(list) == 0 {
				continue
			}
			n.longest = max(n.longest, len(list))
			addName(n.people, joined(list), posting{film, fieldWeights[f]})
			addName(n.cases, joinedStems(list), posting{film, fieldWeights[f]})
		}
	})
}

func addName(films map[string][]posting, key string, p posting) {
	if had := films[key]; len(had) == 0 || had[len(had)-1].film != p.film {
		films[key] = append(had, p)
	}
}

func isArticle(form string) bool { return form == "the" || form == "a" || form == "an" }

// quoteWords is how many successive words make a quotation.
const quoteWords = 3

// quoted calls each with every such sequence of words, and its start.
func quoted(list []words.Word, each func(from int, key string)) {
	for from := 0; from+quoteWords <= len(list); from++ {
		each(from, joinedStems(list[from:from+quoteWords]))
	}
}

func addFilm(films map[string][]int32, key string, film int32) {
	if had := films[key]; len(had) == 0 || had[len(had)-1] != film {
		films[key] = append(had, film)
	}
}

func joinedStems(list []words.Word) string {
	stems := make([]string, len(list))
	for i, w := range list {
		stems[i] = w.Stem
	}
	return strings.Join(stems, " ")
}

// runs calls each with every sequence of a question's words that may be a title or a
// name, and with its forms and its stems, joined. These are valid during the call.
func (n *nameIndex) runs(list []words.Word, each func(run []words.Word, forms, stems []byte)) {
	var forms, stems []byte
	for from := range list {
		forms, stems = forms[:0], stems[:0]
		for to := from; to < min(from+n.longest, len(list)); to++ {
			if to > from {
				forms, stems = append(forms, ' '), append(stems, ' ')
			}
			forms, stems = append(forms, list[to].Form...), append(stems, list[to].Stem...)
			each(list[from:to+1], forms, stems)
		}
	}
}

// find calls each with the films of every full name in a question. A name of one word
// is one where nothing else is asked: in a sentence it may be any word.
// A common word is not another form of one.
func (n *nameIndex) find(list []words.Word, common func(stem string) bool, each func(films []posting)) {
	telling := len(bare(list))
	n.runs(list, func(run []words.Word, forms, stems []byte) {
		if len(run) < 2 && telling > 1 {
			return
		}
		films, ok := n.people[string(forms)]
		if !ok && (len(run) > 1 || !common(run[0].Stem)) {
			films, ok = n.cases[string(stems)]
		}
		if ok {
			each(films)
		}
	})
}

// asking are words around a title that only express the request for a film.
var asking = map[string]bool{"film": true, "movie": true, "the": true, "a": true, "фильм": true, "кино": true, "мультфильм": true, "мультик": true, "сериал": true}

// bare are the words of a question without these.
func bare(list []words.Word) []words.Word {
	return slices.DeleteFunc(slices.Clone(list), func(w words.Word) bool { return asking[w.Form] })
}

// Confidence in a title in a question that does not match it completely in the same
// forms.
const (
	inflectedTitle = 0.9 // the whole title, in other forms: "матрицу"
	commonTitle    = 0.2 // one common word, among others or in another form
	quotation      = 0.9 // not a title, but a line that is the whole question
)

// scoreNaming sets the confidence that films are meant by their title: 1 if a title is
// the whole question, else the square of the part of the question that is in the film's
// names; less if the title is one common word or was inflected. A line of a film counts
// as its title.
func (x *lexicalIndex) scoreNaming(q asked, found []lexicalScore) {
	bare := bare(q.all)
	x.names.runs(q.all, func(title []words.Word, forms, stems []byte) {
		films, ok := x.names.titles[string(stems)]
		if !ok {
			return
		}
		exact := x.names.exact[string(forms)]
		whole := len(title) == len(q.all) || len(title) == len(bare) && string(forms) == joined(bare)
		for _, film := range films {
			s := &found[film]
			s.naming = max(s.naming, x.naming(q, title, film, whole, slices.Contains(exact, film)))
		}
	})
}

// scoreQuotes is scoreNaming for famous lines: the square of the part of the question's
// words that are in sequences of a line's words.
func (x *lexicalIndex) scoreQuotes(q asked, found []lexicalScore) {
	covered := make(map[int32]int) // words, by film
	last := make(map[int32]int)    // the word after the last matched sequence
	quoted(q.all, func(from int, key string) {
		for _, film := range x.names.quotes[key] {
			covered[film] += from + quoteWords - max(from, last[film])
			last[film] = from + quoteWords
		}
	})
	for film, n := range covered {
		share := float32(n) / float32(len(q.all))
		found[film].naming = max(found[film].naming, quotation*share*share)
	}
}

func (x *lexicalIndex) naming(q asked, title []words.Word, film int32, whole, exact bool) float32 {
	if whole && exact {
		return 1
	}
	sure := float32(1)
	if !exact {
		sure = x.inflected(title)
	}
	share, others := float32(1), false
	if !whole {
		share, others = x.share(q, title, film)
	}
	if len(title) == 1 && !others && x.common(title[0].Stem) {
		sure *= commonTitle
	}
	return sure * share * share
}

// inflected is the confidence in a title that was typed in other forms. Russian titles
// are inflected; in English another form is another word, if films have it.
func (x *lexicalIndex) inflected(title []words.Word) float32 {
	for _, w := range title {
		if _, known := x.formIDs[w.Form]; known && !isCyrillic(w.Form) {
			return 0
		}
	}
	return inflectedTitle
}

// share is the part of a question that is in a film's names, and whether it contains
// more than the title. Without content words, it is the title's share of all words.
func (x *lexicalIndex) share(q asked, title []words.Word, film int32) (share float32, others bool) {
	if len(q.all) == 0 {
		return 0, false
	}
	if len(q.words) == 0 {
		return float32(len(title)) / float32(len(q.all)), false
	}
	var named, all float64
	for _, w := range q.words {
		idf := x.rarity(w.Stem)
		all += idf
		id, ok := x.stemIDs[w.Stem]
		if !ok {
			continue
		}
		if _, ok := slices.BinarySearch(x.named[film], id); ok {
			named += idf
			others = others || !slices.ContainsFunc(title, func(t words.Word) bool { return t.Stem == w.Stem })
		}
	}
	return float32(named / all), others
}

// commonFilms is how many films must have a word for it to be common.
const commonFilms = 4

// common reports whether a word is common: the lexicon or several films have it.
func (x *lexicalIndex) common(stem string) bool {
	return len(x.synonyms.links[stem]) > 0 || x.filmsOf(stem) >= commonFilms
}

// isCyrillic reports whether a text has a letter of Cyrillic.
func isCyrillic(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Cyrillic, r) })
}
