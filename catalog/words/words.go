// Package words splits Russian and English texts into words and their stems, as the
// built-in model's tokenizer does, so that the model, the ranking and the displayed
// reasons use the same words.
package words

import (
	"strings"
	"unicode"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/kljensen/snowball/english"
	"github.com/kljensen/snowball/russian"
	"golang.org/x/text/unicode/norm"
)

// Word is one word of a text.
type Word struct {
	Typed string // as in the text, without control characters
	Form  string // normalised as BertNormalizer does: lower case, й is и, ё is е
	Stem  string // normalised snowball stem; a word of few letters is its own stem
}

// Split splits a text as BertNormalizer and BertPreTokenizer do, but without
// punctuation.
func Split(text string) []Word {
	var out []Word
	for _, typed := range cut(text) {
		if w := known(typed); w.Form != "" {
			out = append(out, w)
		}
	}
	return out
}

// What is remembered of words: people ask with the same some thousands, and stemming
// one takes longer than all else that is done with it.
const (
	wordsRemembered = 16384
	rememberedBytes = 48 // of a word that is remembered
)

var remembered = func() *lru.Cache[string, Word] {
	cache, err := lru.New[string, Word](wordsRemembered)
	if err != nil {
		panic(err) // the size is a constant above zero
	}
	return cache
}()

// known is read, from memory where the word was read before.
func known(typed string) Word {
	if len(typed) > rememberedBytes {
		return read(typed)
	}
	w, ok := remembered.Get(typed)
	if !ok {
		w = read(strings.Clone(typed)) // without a copy the whole text would stay in memory
		remembered.Add(w.Typed, w)
	}
	return w
}

func cut(text string) []string { return strings.FieldsFunc(clean(text), isSeparator) }

func read(typed string) Word {
	form := normalize(typed)
	return Word{Typed: typed, Form: form, Stem: stem(typed, form)}
}

// A Cutter splits many texts with a cache of all their words, for catalogues that have
// more words than Split remembers. It is not safe for concurrent use.
type Cutter struct{ met map[string]Word }

// NewCutter returns a Cutter with an empty cache.
func NewCutter() *Cutter { return &Cutter{met: make(map[string]Word)} }

// Split is the function Split.
func (c *Cutter) Split(text string) []Word {
	var out []Word
	for _, typed := range cut(text) {
		w, ok := c.met[typed]
		if !ok {
			w = read(strings.Clone(typed)) // without a copy the whole text would stay in memory
			c.met[w.Typed] = w
		}
		if w.Form != "" {
			out = append(out, w)
		}
	}
	return out
}

// stem stems a Russian word before normalising it, because snowball knows "старый" and
// not "старыи".
func stem(typed, form string) string {
	lower := strings.ReplaceAll(strings.ToLower(norm.NFC.String(typed)), "ё", "е")
	if strings.ContainsFunc(lower, isCyrillic) {
		return normalize(russian.Stem(lower, true))
	}
	return english.Stem(form, true)
}

// normalize normalises a word as BertNormalizer does: decompose, drop marks, lower the
// case.
func normalize(s string) string {
	var out strings.Builder
	for _, r := range norm.NFD.String(s) {
		if !unicode.Is(unicode.Mn, r) {
			out.WriteRune(r)
		}
	}
	return strings.ToLower(out.String())
}

// clean drops control characters, also inside words, as BertNormalizer does.
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

// isSeparator reports spaces and what BERT counts as punctuation: everything in ASCII
// that is neither letter nor digit.
func isSeparator(r rune) bool {
	if r < unicode.MaxASCII {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9')
	}
	return unicode.IsPunct(r) || unicode.Is(unicode.Zs, r)
}

func isCyrillic(r rune) bool { return unicode.Is(unicode.Cyrillic, r) }
