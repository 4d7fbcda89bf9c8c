// Package question reads a typed question before the search: it normalises the text,
// corrects a wrong keyboard layout, transliteration and typos, and extracts conditions
// such as a genre, a country, years or a length from the text.
//
// Reading is a pure function of the text and the catalogue's vocabulary. The result
// contains every change, so that a user can undo it.
package question

import (
	"cmp"
	"strings"

	"kassa/catalog/words"
)

// Question is a text that was read.
type Question struct {
	Text        string       // the text to search for: corrected, without its conditions
	Whole       string       // corrected, with its conditions
	Corrections []Correction // in the order of the text
	Filters     []Filter     // in the order of the text
	AsTyped     []string     // words that the text says to read as typed, but for those of TakenBack
	TakenBack   []Filter     // conditions that do not apply because the text says so
}

// Correction is a piece of the text and its replacement.
type Correction struct {
	From string         `json:"from"` // as typed
	To   string         `json:"to"`
	Kind CorrectionKind `json:"kind"`
}

// CorrectionKind is the presumed cause of an error.
type CorrectionKind string

// The kinds of a correction.
const (
	Layout          CorrectionKind = "layout"          // typed with the keyboard in the other language
	Transliteration CorrectionKind = "transliteration" // Russian in Latin letters, or English in Cyrillic ones
	Letters         CorrectionKind = "letters"         // letters of one alphabet among those of the other
	Spelling        CorrectionKind = "spelling"
)

// Filter is a condition on films.
type Filter struct {
	Field Field  `json:"field"`
	Value string `json:"value,omitempty"` // code or name, by field
	From  int    `json:"from,omitempty"`  // years or minutes; 0: no bound
	To    int    `json:"to,omitempty"`    // inclusive
	Not   bool   `json:"not,omitempty"`   // the film must not meet it
	Typed string `json:"typed,omitempty"` // the words of the question
	Piece string `json:"-"`               // the piece of the text that has them, to take it back (AsTyped)
}

// Same reports that two conditions ask for the same, in whatever words.
func (f Filter) Same(g Filter) bool {
	f.Typed, f.Piece, g.Typed, g.Piece = "", "", "", ""
	return f == g
}

// Field is the subject of a condition.
type Field string

// The fields of a condition, with what Value holds.
const (
	Genre    Field = "genre"    // code of a genre
	Country  Field = "country"  // code of a country
	Language Field = "language" // ISO 639-1 code
	Years    Field = "years"    // From, To
	Runtime  Field = "runtime"  // From, To in minutes
	Person   Field = "person"   // director or actor, spelled as in the catalogue
	Director Field = "director"
	Actor    Field = "actor"
	Series   Field = "series" // name of the series; From: the part, 0: any
	Flag     Field = "flag"   // black-and-white, silent, for-children
	Award    Field = "award"  // code of an award, or "oscar"
	Setting  Field = "setting"
	Topic    Field = "topic" // a word in the film's texts; only with Not
	Like     Field = "like"  // id of a film given as an example, which is no answer itself
)

// Read reads a text. The vocabulary is that of the catalogue.
func Read(text string, v *Vocabulary) Question {
	text = normalize(text)
	tokens, corrections := v.correct(text)
	c := conditions{v: v, tokens: tokens, taken: make([]bool, len(tokens)), bounds: make([]bool, len(tokens)), names: make(map[int]name)}
	c.recognise()
	whole, _ := c.except(make([]bool, len(c.tokens)))
	whole = cmp.Or(whole, strings.TrimSpace(text))
	q := Question{Text: cmp.Or(c.rest(), whole), Whole: whole, Corrections: corrections, AsTyped: c.asTyped()}
	q.Filters, q.TakenBack = c.ordered(strings.Fields(text))
	return q
}

// Embedded is the text for the model: the text without its conditions, or the whole
// question where only stop words are left.
func (q Question) Embedded() string {
	for _, w := range words.Split(q.Text) {
		if !words.IsStop(w.Form) {
			return q.Text
		}
	}
	return q.Whole
}
