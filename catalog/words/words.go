// Package words cuts Russian and English texts into words and their stems, in
// the way that the built-in model's tokenizer does, so that the model, the
// ranking and the reasons shown to people speak of the same words.
package words

import (
	"strings"
	"unicode"

	"github.com/kljensen/snowball/english"
	"github.com/kljensen/snowball/russian"
	"golang.org/x/text/unicode/norm"
)

// Word is one word of a text.
type Word struct {
	Typed string // as it stands in the text, without control characters
	Form  string // normalised as BertNormalizer does: lower case, й is и, ё is е
	Stem  string // normalised snowball stem; a word of few letters is its own stem
}

// Split cuts a text as BertNormalizer and BertPreTokenizer do, except that
// punctuation is left out.
func Split(text string) []Word {
	var out []Word
	for _, typed := range cut(text) {
		if w := read(typed); w.Form != "" {
			out = append(out, w)
		}
	}
	return out
}

func cut(text string) []string { return strings.FieldsFunc(clean(text), isSeparator) }

func read(typed string) Word {
	form := normalize(typed)
	return Word{Typed: typed, Form: form, Stem: stem(typed, form)}
}

// A Cutter splits many texts, and remembers the words it met: stemming is
// what takes the time. It is for one goroutine.
type Cutter struct{ met map[string]Word }

// NewCutter returns a Cutter that has met no word.
func NewCutter() *Cutter { return &Cutter{met: make(map[string]Word)} }

// Split is the function Split.
func (c *Cutter) Split(text string) []Word {
	var out []Word
	for _, typed := range cut(text) {
		w, ok := c.met[typed]
		if !ok {
			w = read(strings.Clone(typed)) // else the whole text stays in memory
			c.met[w.Typed] = w
		}
		if w.Form != "" {
			out = append(out, w)
		}
	}
	return out
}

// stem stems Russian before normalising it, for snowball knows "старый" and
// not "старыи".
func stem(typed, form string) string {
	lower := strings.ReplaceAll(strings.ToLower(norm.NFC.String(typed)), "ё", "е")
	if strings.ContainsFunc(lower, isCyrillic) {
		return normalize(russian.Stem(lower, true))
	}
	return english.Stem(form, true)
}

// normalize is BertNormalizer's treatment of a word: decompose, drop marks,
// lower the case.
func normalize(s string) string {
	var out strings.Builder
	for _, r := range norm.NFD.String(s) {
		if !unicode.Is(unicode.Mn, r) {
			out.WriteRune(r)
		}
	}
	return strings.ToLower(out.String())
}

// clean drops control characters, inside words too, as BertNormalizer does.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case r == 0 || r == unicode.ReplacementChar || unicode.IsControl(r):
			return -1
		}
		return r
	}, text)
}

// isSeparator tells spaces and what BERT counts as punctuation, which is all
// of ASCII that is neither letter nor digit.
func isSeparator(r rune) bool {
	if r < unicode.MaxASCII {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9')
	}
	return unicode.IsPunct(r) || unicode.Is(unicode.Zs, r)
}

func isCyrillic(r rune) bool { return unicode.Is(unicode.Cyrillic, r) }
