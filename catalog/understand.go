package catalog

import (
	"strings"

	"kassa/catalog/question"
	"kassa/catalog/words"
)

// Read reads a question with the words of the films as they are now: what is
// searched for, what was corrected in it, and its conditions. Its lists are shared: read only.
func (c *Catalogue) Read(text string) question.Question {
	return c.now.Load().question(text)
}

// newVocabulary is the vocabulary for reading questions: all words of the films and of
// the lexicon.
func newVocabulary(movies []Movie, index *lexicalIndex) *question.Vocabulary {
	source := question.Source{Words: func(yield func(words.Word, int32) bool) {
		stems := make([]string, len(index.stems))
		for stem, id := range index.stemIDs {
			stems[id] = stem
		}
		for _, f := range index.forms {
			if !yield(words.Word{Typed: index.spelt[f.text], Form: f.text, Stem: stems[f.stem]}, int32(len(f.postings))) {
				return
			}
		}
		for _, w := range index.synonyms.words {
			w.Typed = strings.ToLower(w.Typed)
			if !yield(w, 1) {
				return
			}
		}
	}}
	series := make(map[question.Name]bool)
	for _, m := range movies {
		for _, p := range m.people() {
			source.People = append(source.People, question.Name(p))
		}
		for _, ch := range m.Characters {
			source.Characters = append(source.Characters, question.Name{Name: ch.Name, NameRU: ch.NameRU})
		}
		source.Titles = append(source.Titles, question.Title{ID: m.ID, Texts: m.titles()})
		if s := m.Series; s != nil {
			if name := (question.Name{Name: s.Name, NameRU: s.NameRU}); !series[name] {
				series[name] = true
				source.Series = append(source.Series, name)
			}
		}
	}
	return question.NewVocabulary(source)
}
