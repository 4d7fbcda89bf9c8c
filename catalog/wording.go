package catalog

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"kassa/catalog/words"
)

// How often a word must stand in a film's fields to speak for it. The words of
// a title are few and chosen, those of a description are many.
const (
	weightTitle       = 3
	weightPeople      = 2
	weightYear        = 2
	weightKeyword     = 2
	weightLabel       = 1
	weightDescription = 1

	saturation = 1.2 // BM25's k1: the occurrences that make half of what any number makes
	lengthPart = 0.5 // BM25's b: how much a long text has to say a word more often
)

// A wording is the inverted index over the films' words, of both languages.
// Films are known by their number in the catalogue.
type wording struct {
	films    int
	postings map[string][]posting // stem to films, in their order
	titles   map[string][]int32   // telling stems of a title, joined, to films
	exact    map[string][]int32   // all forms of a title, joined, to films
	longest  int                  // telling stems of the longest title
}

// posting is what one stem says about one film.
type posting struct {
	film   int32
	weight float32 // of BM25F, from 0 to 1, without the rarity of the word
	names  bool    // the stem stands in the title, a name or the year
}

// asked is a query cut into words.
type asked struct {
	words []words.Word // telling ones, each stem once, in the order typed
	stems []string     // telling stems, in the order typed
	exact string       // all forms, joined
	total float64      // rarity of the telling stems together
}

func newWording(movies []Movie) *wording {
	w := &wording{
		films:    len(movies),
		postings: make(map[string][]posting),
		titles:   make(map[string][]int32),
		exact:    make(map[string][]int32),
	}
	cutter := words.NewCutter()
	counts := make([]count, len(movies))
	var all float64
	for i, m := range movies {
		counts[i] = w.count(cutter, m)
		w.entitle(cutter, m, int32(i))
		all += counts[i].length
	}
	for i, c := range counts {
		slack := saturation * (1 - lengthPart + lengthPart*c.length*float64(len(movies))/all)
		for stem, times := range c.times {
			w.postings[stem] = append(w.postings[stem], posting{int32(i), float32(times / (times + slack)), c.names[stem]})
		}
		counts[i] = count{} // a large catalogue need not stand in memory twice
	}
	return w
}

// count is how often the stems stand in a film, weighted by field.
type count struct {
	times  map[string]float64
	names  map[string]bool
	length float64
}

func (w *wording) count(cutter *words.Cutter, m Movie) count {
	c := count{times: make(map[string]float64), names: make(map[string]bool)}
	add := func(weight float64, names bool, texts ...string) {
		for _, text := range texts {
			for _, word := range cutter.Split(text) {
				c.times[word.Stem] += weight
				c.length += weight
				c.names[word.Stem] = c.names[word.Stem] || names
			}
		}
	}
	add(weightTitle, true, m.titles()...)
	add(weightYear, true, strconv.Itoa(m.Year))
	for _, p := range m.people() {
		add(weightPeople, true, p.Name, p.NameRU)
	}
	add(weightKeyword, false, m.Keywords...)
	add(weightKeyword, false, m.KeywordsRU...)
	for _, label := range m.labels() {
		add(weightLabel, false, label.Name, label.NameRU)
	}
	add(weightDescription, false, m.Description, m.DescriptionRU)
	return c
}

// titles are the film's different titles.
func (m Movie) titles() []string {
	titles := []string{m.Title, m.TitleRU}
	if !slices.Contains(titles, m.OriginalTitle) {
		titles = append(titles, m.OriginalTitle)
	}
	return titles
}

// labels are those of its genres and countries.
func (m Movie) labels() []Label {
	var list []Label
	for _, code := range m.Genres {
		if l, ok := Genre(code); ok {
			list = append(list, l)
		}
	}
	for _, code := range m.Countries {
		if l, ok := Country(code); ok {
			list = append(list, l)
		}
	}
	return list
}

func (w *wording) entitle(cutter *words.Cutter, m Movie, film int32) {
	for _, title := range m.titles() {
		q := telling(cutter.Split(title))
		if q.exact != "" {
			w.exact[q.exact] = append(w.exact[q.exact], film)
		}
		if len(q.stems) > 0 {
			key := strings.Join(q.stems, " ")
			w.titles[key] = append(w.titles[key], film)
			w.longest = max(w.longest, len(q.stems))
		}
	}
}

// telling leaves out words that hardly say anything.
func telling(list []words.Word) asked {
	var q asked
	forms := make([]string, len(list))
	for i, word := range list {
		forms[i] = word.Form
		if words.IsStop(word.Form) {
			continue
		}
		if !slices.Contains(q.stems, word.Stem) {
			q.words = append(q.words, word)
		}
		q.stems = append(q.stems, word.Stem)
	}
	q.exact = strings.Join(forms, " ")
	return q
}

// queryWordsMax bounds the words of a query that count.
const queryWordsMax = 200

func (w *wording) ask(text string) asked {
	list := words.Split(text)
	q := telling(list[:min(len(list), queryWordsMax)])
	for _, word := range q.words {
		q.total += w.rarity(word.Stem)
	}
	return q
}

// rarity is the inverse document frequency of a stem. One that no film has is
// the rarest: it keeps films from looking sure that have all the rest.
func (w *wording) rarity(stem string) float64 {
	df := float64(len(w.postings[stem]))
	return math.Log(1 + (float64(w.films)-df+0.5)/(df+0.5))
}

// evidence is what the words of a query say for a film, each from 0 to 1.
type evidence struct {
	wording float32 // share of the query's rarity that the film's words have
	naming  float32 // how sure it is that the film is meant by name
	named   float32 // share of the query's rarity in title, names and year
}

// weigh returns the evidence of a query for every film.
func (w *wording) weigh(q asked) []evidence {
	found := make([]evidence, w.films)
	for _, word := range q.words {
		part := float32(w.rarity(word.Stem) / q.total)
		for _, p := range w.postings[word.Stem] {
			e := &found[p.film]
			e.wording += part * p.weight
			if p.names {
				e.named += part
			}
		}
	}
	for _, film := range w.titled(q.stems) {
		e := &found[film]
		e.naming = min(e.named*e.named, 1)
	}
	for _, film := range w.exact[q.exact] {
		found[film].naming = 1
	}
	return found
}

// titled are the films whose title stands in a query, word beside word.
func (w *wording) titled(stems []string) []int32 {
	var found []int32
	for from := range stems {
		for to := from + 1; to <= min(from+w.longest, len(stems)); to++ {
			found = append(found, w.titles[strings.Join(stems[from:to], " ")]...)
		}
	}
	return found
}

// explanationMax is how many words a person reads as the reason of a match.
const explanationMax = 6

// explain lists the words of a query that a film has, the rarest first.
func (w *wording) explain(text string, film int32) []string {
	list := words.Split(text)
	q := telling(list)
	if slices.Contains(w.exact[q.exact], film) && len(q.words) == 0 {
		q.words = list // a title of words that hardly say anything elsewhere
	}
	has := slices.DeleteFunc(q.words, func(word words.Word) bool {
		_, ok := slices.BinarySearchFunc(w.postings[word.Stem], film, func(p posting, film int32) int { return int(p.film - film) })
		return !ok
	})
	slices.SortStableFunc(has, func(a, b words.Word) int {
		return len(w.postings[a.Stem]) - len(w.postings[b.Stem])
	})
	var typed []string
	for _, word := range has[:min(len(has), explanationMax)] {
		typed = append(typed, word.Typed)
	}
	return typed
}
