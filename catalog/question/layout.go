package question

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// retype is a piece of text in the other layout, and what makes it likely.
type retype struct {
	to      string
	unknown bool // as typed it is no word
	known   bool // retyped it is
	words   bool // retyped it looks like words
}

// correctLayout retypes pieces in the other layout: each of which alone shows it,
// and in a text that mostly does, all that could be. Pieces to be taken as typed are not.
func (c *corrector) correctLayout(fields []string, asTyped []bool) []string {
	tries := make([]retype, len(fields))
	certain, contrary, lost := 0, 0, 0 // lost: no word in either layout
	for i, field := range fields {
		if asTyped[i] {
			continue
		}
		tries[i] = c.retype(field)
		switch {
		case tries[i].unknown && tries[i].known && len([]rune(field)) >= 3:
			certain++
		case !tries[i].unknown && !tries[i].known:
			contrary++
		case tries[i].unknown && !tries[i].known:
			lost++
		}
	}
	out := slices.Clone(fields)
	for i, t := range tries {
		if asTyped[i] {
			continue
		}
		alone := t.unknown && t.known && len([]rune(fields[i])) >= 3 && !c.isTypo(fields[i])
		along := certain > contrary && certain >= lost && (t.known || t.unknown && t.words)
		if alone || along {
			c.note(i, fields[i], t.to, Layout)
			out[i] = t.to
		}
	}
	return out
}

// isTypo reports whether a piece is nearly a known word as it was typed.
func (c *corrector) isTypo(field string) bool {
	tokens := cut(field)
	if c.scans++; len(tokens) != 1 || c.scans > scansMax {
		return false
	}
	_, ok := c.within(tokens[0].Form, 1, false)
	return ok
}

func (v *Vocabulary) retype(field string) retype {
	if strings.ContainsAny(field, "0123456789") {
		return retype{to: field}
	}
	table := keyToCyrillic
	switch scriptOf(field) {
	case latin, none:
	case cyrillic:
		table = keyToLatin
	default:
		return retype{to: field}
	}
	unknown := slices.ContainsFunc(cut(field), func(t token) bool { return !v.knows(t.Word) }) || len(cut(field)) == 0
	// A comma or a full stop at the end is a letter, or it is what it seems.
	for _, end := range []int{0, 1} {
		body, tail := field, ""
		if end == 1 {
			body = strings.TrimRight(field, ",.:;!?")
			tail = field[len(body):]
		}
		if t := v.retypeAs(body, tail, table); t.known {
			t.unknown = unknown
			return t
		}
	}
	t := v.retypeAs(strings.TrimRight(field, ",.:;!?"), "", table)
	t.unknown = unknown
	return t
}

func (v *Vocabulary) retypeAs(body, tail string, table map[rune]rune) retype {
	to := retyped(body, table)
	tokens := cut(to)
	t := retype{to: to + tail, words: len(tokens) == 1, known: len(tokens) == 1} // keys of one word are no two words
	letters := 0
	for _, token := range tokens {
		letters += utf8.RuneCountInString(token.Form)
		if s := scriptOf(token.Form); s != latin && s != cyrillic || !strings.ContainsAny(token.Form, vowels) && len([]rune(token.Form)) > 1 {
			t.words = false
		}
		if !v.knowsForm(token.Word) {
			t.known = false
		}
	}
	if letters < utf8.RuneCountInString(strings.ReplaceAll(to, "'", "")) {
		t.known = false // keys of a word are no punctuation
	}
	return t
}
