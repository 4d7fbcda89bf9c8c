package main

import (
	"strings"
	"unicode"

	"github.com/kljensen/snowball/english"
	"github.com/kljensen/snowball/russian"
	"golang.org/x/text/unicode/norm"
)

// word is one word of a text, as the model's tokenizer cuts it.
type word struct {
	form string // normalised as the tokenizer does: lower case, й is и, ё is е
	stem string // normalised snowball stem; a word of few letters is its own stem
}

// words splits a text as BertNormalizer and BertPreTokenizer do. Punctuation
// is left out: its pieces weigh nothing.
func words(text string) []word {
	var out []word
	for _, field := range strings.FieldsFunc(clean(text), isSeparator) {
		if form := normalize(field); form != "" {
			out = append(out, word{form: form, stem: stem(field, form)})
		}
	}
	return out
}

// stem is the normalised snowball stem of a word. Russian is stemmed before it
// is normalised, for snowball knows "старый" and not "старыи".
func stem(field, form string) string {
	lower := strings.ReplaceAll(strings.ToLower(norm.NFC.String(field)), "ё", "е")
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
