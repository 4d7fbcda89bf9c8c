package catalog

import (
	"iter"
	"slices"
)

// Lack is something that films may lack, and the consequence.
type Lack struct {
	Code        string // by which pages and the API name it
	What, Worse string
	is          func(Movie) bool
}

var lacks = []Lack{
	{"title_ru", "no Russian title", "it is shown under its English one, and not found by its Russian one",
		func(m Movie) bool { return m.TitleRU == "" }},
	{"title", "no English title", "it is shown under its Russian one, and not found by its English one",
		func(m Movie) bool { return m.Title == "" }},
	{"texts_ru", "no Russian description and keywords", "a question in Russian meets it by names and synonyms only",
		func(m Movie) bool { return m.DescriptionRU == "" && len(m.KeywordsRU) == 0 }},
	{"texts", "no English description and keywords", "a question in English meets it by names and synonyms only",
		func(m Movie) bool { return m.Description == "" && len(m.Keywords) == 0 }},
	{"keywords", "no keywords", "what people remember of it must be in its description to be found",
		func(m Movie) bool { return len(m.Keywords)+len(m.KeywordsRU) == 0 }},
	{"people", "no director and no cast", "it is not found by people", func(m Movie) bool { return len(m.people()) == 0 }},
	{"genres", "no genre", "a question that asks for a genre leaves it out", func(m Movie) bool { return len(m.Genres) == 0 }},
	{"countries", "no country", "a question that asks for a country leaves it out", func(m Movie) bool { return len(m.Countries) == 0 }},
	{"runtime", "no runtime", "a question that asks for a length leaves it out", func(m Movie) bool { return m.Runtime == 0 }},
}

// Is reports whether a film lacks it.
func (l Lack) Is(m Movie) bool { return l.is(m) }

// Lacks lists what films may lack.
func Lacks() []Lack { return slices.Clone(lacks) }

// Lacking counts what films lack and are therefore harder to find.
type Lacking struct {
	films  int
	counts map[string]int // by What
}

// Add counts a film.
func (l *Lacking) Add(m Movie) {
	if l.counts == nil {
		l.counts = make(map[string]int)
	}
	l.films++
	for _, lack := range lacks {
		if lack.is(m) {
			l.counts[lack.What]++
		}
	}
}

// Films is the number of films that were counted.
func (l *Lacking) Films() int { return l.films }

// All returns what films lack, with their number.
func (l *Lacking) All() iter.Seq2[Lack, int] {
	return func(yield func(Lack, int) bool) {
		for _, lack := range lacks {
			if films := l.counts[lack.What]; films > 0 && !yield(lack, films) {
				return
			}
		}
	}
}
