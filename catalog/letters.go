package catalog

import (
	"math"
	"slices"
	"sync"

	"kassa/catalog/words"
)

// Lengths of letter n-grams.
const (
	runMin = 3
	runMax = 5
)

// A letterIndex finds films by n-grams of three to five letters of their words, for
// words that are misspelled, unknown, or inflected in ways that no stemmer knows. A
// film's vector has for each n-gram its number of occurrences in the film's words,
// weighted by field, times the n-gram's idf.
//
// The n-grams of a film are those of its word forms, so the index maps n-grams to
// forms; the films of a form are in its postings. So 20,000 films need not be listed
// for each of their n-grams.
type letterIndex struct {
	runs   map[string]int32
	forms  [][]int32  // by n-gram
	square []float32  // idf squared, by n-gram
	length []float32  // of a film's vector, by film
	shared *sync.Pool // of *[]float32: a zero for each form
}

// runsOf calls each with the n-grams of a form. Its beginning and its end count as
// letters.
func runsOf(form string, each func(run string)) {
	text := "^" + form + "$"
	starts := make([]int, 0, len(text)+1) // of each letter
	for i := range text {
		starts = append(starts, i)
	}
	starts = append(starts, len(text))
	for size := runMin; size <= runMax; size++ {
		for i := 0; i+size < len(starts); i++ {
			each(text[starts[i]:starts[i+size]])
		}
	}
}

func newLetterIndex(x *lexicalIndex) letterIndex {
	l := letterIndex{runs: make(map[string]int32), length: make([]float32, x.films)}
	l.shared = &sync.Pool{New: func() any {
		buffer := make([]float32, len(x.forms))
		return &buffer
	}}
	byForm := make([][]int32, len(x.forms))
	for f, form := range x.forms {
		runsOf(form.text, func(run string) {
			id, ok := l.runs[run]
			if !ok {
				id = int32(len(l.forms))
				l.runs[run] = id
				l.forms = append(l.forms, nil)
			}
			l.forms[id] = append(l.forms[id], int32(f))
			byForm[f] = append(byForm[f], id)
		})
	}
	layTogether(l.forms)
	films := x.byFilm()
	l.square = make([]float32, len(l.forms))
	count := make([]float32, len(l.forms)) // of the current film, by n-gram
	var met []int32
	vector := func(film int) {
		for _, w := range films[film] {
			for _, run := range byForm[w.film] {
				if count[run] == 0 {
					met = append(met, run)
				}
				count[run] += w.weight
			}
		}
	}
	having := make([]int, len(l.forms)) // films that have the n-gram
	for film := range films {
		vector(film)
		for _, run := range met {
			having[run]++
			count[run] = 0
		}
		met = met[:0]
	}
	for run, n := range having {
		idf := x.idf(n)
		l.square[run] = float32(idf * idf)
	}
	for film := range films {
		vector(film)
		var square float64
		for _, run := range met {
			square += float64(count[run] * count[run] * l.square[run])
			count[run] = 0
		}
		met = met[:0]
		l.length[film] = float32(math.Sqrt(square))
	}
	return l
}

// layTogether puts lists one after the other in memory: what reads many of them waits less
// for it.
func layTogether(lists [][]int32) {
	all := slices.Concat(lists...)
	for i, list := range lists {
		lists[i], all = all[:len(list):len(list)], all[len(list):]
	}
}

// byFilm lists the forms of each film; in this posting, film is the form.
func (x *lexicalIndex) byFilm() [][]posting {
	films := make([][]posting, x.films)
	for f := range x.forms {
		for _, p := range x.forms[f].postings {
			films[p.film] = append(films[p.film], posting{int32(f), p.weight})
		}
	}
	return films
}

// score sets the cosine between the n-grams of a question's content words and those of
// each film.
func (l *letterIndex) score(x *lexicalIndex, q asked, found []lexicalScore) {
	var asked []int32 // n-grams, in order: a sum of floats depends on it
	for _, w := range q.all {
		if words.IsStop(w.Form) {
			continue
		}
		runsOf(w.Form, func(run string) {
			if id, ok := l.runs[run]; ok {
				asked = append(asked, id)
			}
		})
	}
	slices.Sort(asked)
	buffer := l.shared.Get().(*[]float32)
	defer l.shared.Put(buffer)
	shared := *buffer // product of the question's vector with that of each form
	var square float64
	for len(asked) > 0 {
		run, n := asked[0], float32(0)
		for len(asked) > 0 && asked[0] == run {
			asked, n = asked[1:], n+1
		}
		square += float64(n * n * l.square[run])
		for _, f := range l.forms[run] {
			shared[f] += n * l.square[run]
		}
	}
	for f, product := range shared {
		if product > 0 {
			shared[f] = 0
			for _, p := range x.forms[f].postings {
				found[p.film].letters += product * p.weight
			}
		}
	}
	length := float32(math.Sqrt(square))
	for film := range found {
		if s := &found[film]; s.letters > 0 {
			s.letters /= length * l.length[film]
		}
	}
}
