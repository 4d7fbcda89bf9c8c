package catalog

import (
	"iter"
	"slices"

	"kassa/catalog/words"
)

// Vocabulary is the words and names of a catalogue's films at one moment, for reading
// questions: which words exist, how many films have them, and what is named how. It is
// safe for concurrent use.
type Vocabulary struct{ *view }

// Vocabulary returns that of the current films. It is immutable.
func (c *Catalogue) Vocabulary() Vocabulary { return Vocabulary{c.now.Load()} }

// Films is the number of all films.
func (v Vocabulary) Films() int { return len(v.movies) }

// Known reports whether some film has a normalised word (Form of a words.Word), or
// whether it is a stop word.
func (v Vocabulary) Known(form string) bool {
	_, ok := v.index.formIDs[form]
	return ok || words.IsStop(form)
}

// FilmsWithForm is the number of films that have a word in this form.
func (v Vocabulary) FilmsWithForm(form string) int {
	if id, ok := v.index.formIDs[form]; ok {
		return len(v.index.forms[id].postings)
	}
	return 0
}

// FilmsWithStem is the number of films that have a word of this stem.
func (v Vocabulary) FilmsWithStem(stem string) int { return v.index.filmsOf(stem) }

// Forms iterates over all forms of words except stop words, with the number of films
// that have them, in a fixed order.
func (v Vocabulary) Forms() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for _, f := range v.index.forms {
			if !yield(f.text, len(f.postings)) {
				return
			}
		}
	}
}

// Synonyms reports whether the lexicon has a stem.
func (v Vocabulary) Synonyms(stem string) bool { return len(v.index.synonyms.links[stem]) > 0 }

// Names iterates over the films' titles, people, characters and series, each spelling
// with its field and film, in the order of films.
func (v Vocabulary) Names() iter.Seq[Name] {
	return func(yield func(Name) bool) {
		for i := range v.movies {
			for _, name := range v.movies[i].names() {
				if !yield(name) {
					return
				}
			}
		}
	}
}

// Name is the name of a film, or of a person or character in it.
type Name struct {
	Field   Field // FieldTitle, FieldPerson, FieldCharacter or FieldSeries
	Text    string
	MovieID string
}

func (m *Movie) names() []Name {
	var list []Name
	m.texts(func(f Field, english, russian string) {
		if !f.names() || f == FieldYear {
			return
		}
		for _, text := range [...]string{english, russian} {
			if name := (Name{f, text, m.ID}); text != "" && !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	})
	return list
}
