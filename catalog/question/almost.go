package question

import (
	"cmp"
	"slices"
	"unicode/utf8"

	"kassa/catalog/words"
)

// almostIndex finds full names of which one word is typed with a slip, though the slip may
// make another word: «Клин Фёрт», "Mean Gils". Its keys are names with one word left out.
type almostIndex struct {
	names []string
	list  []leftOut // by their keys
}

// leftOut is a name without one of its words.
type leftOut struct {
	key  uint64
	name int32 // its number
	at   int8  // the word
}

// The words of a name that is found so.
const almostMin, almostMax = 2, 5

func (x *almostIndex) add(name string) {
	forms := formsOf(name)
	if len(forms) < almostMin || len(forms) > almostMax {
		return
	}
	for at := range forms {
		x.list = append(x.list, leftOut{keyWithout(forms, at), int32(len(x.names)), int8(at)})
	}
	x.names = append(x.names, name)
}

// sort must be called after the last name was added.
func (x *almostIndex) sort() {
	slices.SortStableFunc(x.list, func(a, b leftOut) int { return cmp.Compare(a.key, b.key) })
}

// keyWithout is a key of words in their order, without one of them.
func keyWithout(forms []string, at int) uint64 {
	key := hashSeed
	for i, form := range forms {
		if i != at {
			for _, r := range form {
				key = hashed(key, r)
			}
		}
		key = hashed(key, ' ')
	}
	return key
}

// find returns the word that is meant at a place of some words, where they are a name
// but for a slip in it; exact: they are a name as they are.
func (x *almostIndex) find(forms []string, at, most int) (word string, exact bool) {
	key := keyWithout(forms, at)
	i, _ := slices.BinarySearchFunc(x.list, key, func(l leftOut, key uint64) int { return cmp.Compare(l.key, key) })
	for ; i < len(x.list) && x.list[i].key == key; i++ {
		if int(x.list[i].at) != at {
			continue
		}
		meant := words.Split(x.names[x.list[i].name])[at]
		switch d := distance([]rune(forms[at]), []rune(meant.Form), most); {
		case d == 0:
			return "", true
		case d <= most:
			most, word = d-1, meant.Typed // the nearest
		}
	}
	return word, false
}

// correctAlmostNames corrects a slip in one word of a full name: where that is no word, or
// where the name is the whole question.
func (c *corrector) correctAlmostNames() {
	forms := make([]string, len(c.tokens))
	for i, t := range c.tokens {
		forms[i] = t.Form
	}
	for i := 0; i < len(c.tokens); i++ {
		if c.tokens[i].asTyped {
			continue
		}
		for n := min(c.run(i, scriptOf(forms[i])), almostMax); n >= almostMin; n-- {
			if at, word, ok := c.almostName(forms[i:i+n], c.tokens[i:i+n]); ok {
				c.replace(i+at, word, Spelling)
				forms[i+at] = c.tokens[i+at].Form
			}
		}
	}
}

func (c *corrector) almostName(forms []string, run []token) (at int, word string, ok bool) {
	const lettersMin = 4 // of a word in the midst of others
	whole := len(run) == len(c.tokens)
	for i, t := range run {
		letters := utf8.RuneCountInString(t.Form)
		if !whole && (letters < lettersMin || c.knows(t.Word)) {
			continue
		}
		found, exact := c.almost.find(forms, i, slips(letters))
		if exact {
			return 0, "", false
		}
		if found != "" && !ok {
			at, word, ok = i, found, true
		}
	}
	return at, word, ok
}

// slips is how many letters of a word may be mistyped.
func slips(letters int) int {
	const longWord = 8
	if letters >= longWord {
		return 2
	}
	return 1
}
