package question

import (
	"slices"
	"strings"
	"unicode"
)

// asTypedMark before a word means that it is read as it is typed: nothing is corrected in
// it, and it makes no condition.
const asTypedMark = "!"

// unmark removes the marks from pieces of a text, and reports which had one. A mark
// before no word is none.
func unmark(fields []string) []bool {
	marked := make([]bool, len(fields))
	for i, field := range fields {
		rest, ok := strings.CutPrefix(field, asTypedMark)
		if ok && strings.ContainsFunc(rest, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			fields[i], marked[i] = rest, true
		}
	}
	return marked
}

// AsTyped takes corrections and conditions of a text back: it marks pieces of it, each of
// them the From of a correction or the Piece of a condition, so that they are read as
// typed. It returns false where a piece is not in the text. It depends on the text alone,
// so a repeated request gives the same.
func AsTyped(text string, pieces ...string) (string, bool) {
	text = normalize(text)
	fields, tokens := strings.Fields(text), cut(text)
	marked := unmark(slices.Clone(fields))
	for _, piece := range pieces {
		found := false
		words := cut(normalize(piece))
		for at := range tokens {
			if len(words) == 0 || at+len(words) > len(tokens) || !sameWords(tokens[at:at+len(words)], words) {
				continue
			}
			found = true
			for i := tokens[at].field; i <= tokens[at+len(words)-1].field; i++ {
				if !marked[i] {
					fields[i], marked[i] = asTypedMark+fields[i], true
				}
			}
		}
		if !found {
			return "", false
		}
	}
	return strings.Join(fields, " "), true
}

func sameWords(a, b []token) bool {
	return slices.EqualFunc(a, b, func(a, b token) bool { return a.Typed == b.Typed })
}
