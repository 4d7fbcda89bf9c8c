package question

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"kassa/catalog/words"
)

// normalize composes letters and drops invisible characters: soft hyphens, joiners,
// direction marks, variation selectors, byte order marks. Typographic apostrophes
// become ASCII ones.
func normalize(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || unicode.Is(unicode.Zs, r):
			return ' '
		case r == '’' || r == 'ʼ' || r == '‘' || r == '`':
			return '\''
		case unicode.In(r, unicode.Cf, unicode.Cc, unicode.Variation_Selector) || r == unicode.ReplacementChar || r == '\u034f':
			return -1
		}
		return r
	}, text)
	// A remaining combining mark is a dictionary's stress mark: о́стров.
	return strings.Map(func(r rune) rune {
		if r == '\u0300' || r == '\u0301' {
			return -1
		}
		return r
	}, norm.NFC.String(text))
}

// token is one word of the text, with its context.
type token struct {
	words.Word
	field  int  // number of the space-separated piece that contains it
	breaks bool // after punctuation that ends a part of a sentence
	quoted bool // in quotation marks
	// asTyped: nothing is corrected in it.
	asTyped bool
}

// pauses are the characters that end a part of a sentence.
const pauses = ",.;:!?()—–…\"«»“”„[]"

// cut splits a text into words as the index does, and records pauses and quotes.
func cut(text string) []token {
	var tokens []token
	open := false
	pause := false
	for i, field := range strings.Fields(text) {
		rest := field
		for rest != "" {
			// The characters before the next word of this field.
			from := strings.IndexFunc(rest, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) })
			if from < 0 {
				from = len(rest)
			}
			for _, r := range rest[:from] {
				if strings.ContainsRune("«“„", r) || r == '"' && !open {
					open, pause = true, true
				} else if strings.ContainsRune("»”", r) || r == '"' {
					open, pause = false, true
				}
				pause = pause || strings.ContainsRune(pauses, r) && !(r == '.' && len(tokens) > 0 && abbreviated(tokens[len(tokens)-1].Form))
			}
			if rest[:from] == "-" && (from == len(rest)) {
				pause = true // a lone hyphen is a dash
			}
			rest = rest[from:]
			to := strings.IndexFunc(rest, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
			if to < 0 {
				to = len(rest)
			}
			for _, w := range words.Split(rest[:to]) {
				tokens = append(tokens, token{Word: w, field: i, breaks: pause, quoted: open})
				pause = false
			}
			rest = rest[to:]
		}
	}
	return tokens
}

// abbreviated reports words behind which a full stop ends no sentence: initials and titles.
func abbreviated(form string) bool {
	return utf8.RuneCountInString(form) == 1 && !strings.ContainsAny(form, "0123456789") ||
		slices.Contains([]string{"mr", "mrs", "ms", "dr", "st", "jr", "sr", "lt", "sgt", "capt", "col", "др", "мл", "ст", "св"}, form)
}

// Scripts of a word's letters.
type script int

const (
	none script = iota
	latin
	cyrillic
	mixed
	foreign // any other
)

func scriptOf(s string) script {
	found := none
	for _, r := range s {
		var one script
		switch {
		case unicode.Is(unicode.Latin, r):
			one = latin
		case unicode.Is(unicode.Cyrillic, r):
			one = cyrillic
		case unicode.IsLetter(r):
			return foreign
		default:
			continue
		}
		if found == none {
			found = one
		} else if found != one {
			return mixed
		}
	}
	return found
}

// Letters that look alike, at the same indexes.
const (
	latinLooks    = "aceopxyABCEHKMOPTX"
	cyrillicLooks = "асеорхуАВСЕНКМОРТХ"
)

var toCyrillic, toLatin = looks(latinLooks, cyrillicLooks), looks(cyrillicLooks, latinLooks)

func looks(from, to string) map[rune]rune {
	a, b := []rune(from), []rune(to)
	m := make(map[rune]rune, len(a))
	for i := range a {
		m[a[i]] = b[i]
	}
	return m
}

// oneAlphabet rewrites a word of both alphabets in the one in which all of its letters
// exist.
func oneAlphabet(s string) (string, bool) {
	try := func(table map[rune]rune, keep *unicode.RangeTable) (string, bool) {
		ok := true
		out := strings.Map(func(r rune) rune {
			if !unicode.IsLetter(r) || unicode.Is(keep, r) {
				return r
			}
			other, known := table[r]
			ok = ok && known
			return other
		}, s)
		return out, ok
	}
	if out, ok := try(toCyrillic, unicode.Cyrillic); ok {
		return out, true
	}
	return try(toLatin, unicode.Latin)
}
