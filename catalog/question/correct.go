package question

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"

	"kassa/catalog/words"
)

// corrector replaces words that the catalogue does not know by known ones.
type corrector struct {
	*Vocabulary
	tokens []token
	done   []correction
	scans  int                      // of the vocabulary, for similar words
	sounds map[string]otherAlphabet // by the word's form
}

// otherAlphabet is the word of the other language that one spells, and whether it is known.
type otherAlphabet struct {
	word  string
	known bool
}

// correction is a Correction with the piece of the text in which it was made.
type correction struct {
	Correction
	field int
}

// scansMax limits the work for one text. If more words than that are unknown, they are
// no typing errors.
const scansMax = 40

// correct corrects a text. The order matters: a word in a wrong layout looks like a
// typing error, and a transliterated one like an unknown word of its alphabet.
func (v *Vocabulary) correct(text string) ([]token, []Correction) {
	c := corrector{Vocabulary: v, sounds: make(map[string]otherAlphabet)}
	fields := strings.Fields(text)
	asTyped := unmark(fields)
	c.tokens = cut(strings.Join(c.correctLayout(fields, asTyped), " "))
	for i, t := range c.tokens {
		c.tokens[i].asTyped = asTyped[t.field]
	}
	c.correctAlphabet()
	c.correctAlmostNames()
	c.correctNamesBySound()
	c.correctTransliteration()
	c.correctSpelling()
	slices.SortStableFunc(c.done, func(a, b correction) int { return a.field - b.field })
	var list []Correction
	for _, one := range c.done {
		list = append(list, one.Correction)
	}
	return c.tokens, list
}

func (c *corrector) note(field int, from, to string, kind CorrectionKind) {
	if from != to {
		c.done = append(c.done, correction{Correction{from, to, kind}, field})
	}
}

// near is Vocabulary.near, at most scansMax times for a text.
func (c *corrector) near(form string) (string, bool) {
	if c.scans++; c.scans > scansMax {
		return "", false
	}
	return c.Vocabulary.near(form, len(c.tokens) == 1)
}

// replace replaces a token by words.
func (c *corrector) replace(i int, to string, kind CorrectionKind) {
	t := c.tokens[i]
	to = cmp.Or(c.spelt[to], to)
	c.note(t.field, t.Typed, to, kind)
	var list []token
	for _, w := range words.Split(to) {
		list = append(list, token{Word: w, field: t.field, quoted: t.quoted})
	}
	if len(list) > 0 {
		list[0].breaks = t.breaks
	}
	c.tokens = slices.Replace(c.tokens, i, i+1, list...)
}

const vowels = "aeiouyаеиоуыэюяё"

// ukrainian maps Ukrainian letters to Russian ones.
var ukrainian = strings.NewReplacer("і", "и", "ї", "и", "є", "е", "ґ", "г", "І", "И", "Ї", "И", "Є", "Е", "Ґ", "Г")

// correctAlphabet rewrites words with letters of both alphabets in one of them.
func (c *corrector) correctAlphabet() {
	for i := 0; i < len(c.tokens); i++ {
		t := c.tokens[i]
		if t.asTyped {
			continue
		}
		switch scriptOf(t.Form) {
		case mixed:
			if to, ok := oneAlphabet(t.Typed); ok {
				c.replace(i, to, Letters)
			}
		case cyrillic:
			if to := ukrainian.Replace(t.Typed); to != t.Typed && !c.knows(t.Word) {
				if list := words.Split(to); len(list) == 1 && c.knows(list[0]) {
					c.replace(i, to, Letters)
				}
			}
		}
	}
}

// correctTransliteration writes words in their own alphabet: each word with clear
// sign, and in a text where most words have it, all that are possible.
func (c *corrector) correctTransliteration() {
	for _, from := range []script{latin, cyrillic} {
		whole, contrary := c.isTransliterated(from)
		for i := 0; i < len(c.tokens); i++ {
			w := c.tokens[i].Word
			if scriptOf(w.Form) != from || c.tokens[i].asTyped {
				continue
			}
			to, ok := c.transliterated(w, from)
			known := c.knows(w)
			switch {
			case whole && (ok && (from == latin || c.forms[w.Form] == 0) || from == latin && !known):
			case !ok || known || contrary >= contraryMost || len([]rune(w.Form)) < 4 || c.isTypo(w.Form):
				continue
			}
			c.replace(i, to, Transliteration)
		}
	}
}

// contraryMost is how many words of its own language make a text one of it, in which a
// word is rather one that is not known.
const contraryMost = 2

// isTransliterated reports whether a text mostly is in the letters of the other language,
// and how many of its words are right as they are.
func (c *corrector) isTransliterated(from script) (mostly bool, contrary int) {
	certain, typos := 0, 0
	for _, t := range c.tokens {
		if scriptOf(t.Form) != from || t.asTyped || len([]rune(t.Form)) < 3 {
			continue
		}
		_, ok := c.transliterated(t.Word, from)
		switch known := c.knows(t.Word); {
		case ok && !known && c.isTypo(t.Form):
			typos++
		case ok && !known:
			certain++
		case known && !ok:
			contrary++
		}
	}
	return certain+typos >= 2 && certain+typos > contrary || certain == 1 && contrary == 0, contrary
}

// inflectedRussian reports endings of Russian words that English ones do not sound like.
func inflectedRussian(form string) bool {
	const endingMin = 5 // letters of a word whose ending is one
	return utf8.RuneCountInString(form) >= endingMin && slices.ContainsFunc(russianEndings, func(e string) bool { return strings.HasSuffix(form, e) })
}

var russianEndings = []string{"ть", "ться", "тся", "ает", "ают", "яет", "яют", "ует", "уют", "ого", "его", "ому", "ему", "ами", "ями", "ах", "ях", "ая", "яя", "ую", "юю", "ые", "ых", "ыми", "ыи", "ась", "ось", "ишь", "ешь", "ость", "ение", "ания", "ения"}

// usedMost bounds how much the number of films with a word counts for it.
const usedMost = 4

// transliterated is Vocabulary.transliterated, once for each word of a text.
func (c *corrector) transliterated(w words.Word, from script) (string, bool) {
	key := w.Form
	if from == latin {
		key = w.Typed // letters that the form has lost sound
	}
	found, ok := c.sounds[key]
	if !ok {
		found.word, found.known = c.Vocabulary.transliterated(w, from)
		c.sounds[key] = found
	}
	return found.word, found.known
}

// transliterated is the word of the other language that one spells, and whether it
// is a known one.
func (v *Vocabulary) transliterated(w words.Word, from script) (string, bool) {
	if from == latin {
		return v.inCyrillic(w)
	}
	const lettersMin = 3
	if utf8.RuneCountInString(w.Form) < lettersMin || inflectedRussian(w.Form) || !isSpoken(w.Form) {
		return "", false
	}
	best, least := "", 0
	v.soundWords.find([]string{w.Form}, func(form string, distance int) {
		if len(form) < lettersMin-1 || distance > soundRight*utf8.RuneCountInString(w.Form)/10 {
			return
		}
		if cost := 2*distance - min(bits.Len32(uint32(v.forms[form])), usedMost); best == "" || cost < least {
			best, least = form, cost
		}
	})
	return best, best != ""
}

// isSpoken reports whether a word can be a sound that was written down: it has a vowel, and
// is not of letters held down.
func isSpoken(form string) bool {
	const doubledMost = 1
	doubled, last := 0, rune(0)
	for _, r := range form {
		if r == last {
			doubled++
		}
		last = r
	}
	return doubled <= doubledMost && strings.ContainsAny(form, vowels)
}

// inCyrillic is the Russian word that a Latin one spells, and whether it is known.
func (v *Vocabulary) inCyrillic(w words.Word) (string, bool) {
	to := russianOf.Replace(strings.ToLower(w.Typed))
	list := words.Split(to)
	if len(list) != 1 || scriptOf(list[0].Form) != cyrillic {
		return w.Typed, false
	}
	if v.forms[list[0].Form] > 0 || words.IsStop(list[0].Form) {
		return to, true
	}
	if form, ok := v.skeletons[skeleton(to)]; ok {
		return form, true
	}
	if v.knows(list[0]) {
		return to, true
	}
	if form, ok := v.stemSkeletons[skeleton(list[0].Stem)]; ok && len([]rune(list[0].Stem)) >= 3 {
		return form, true
	}
	return to, false
}

// correctSpelling replaces unknown words by similar known ones, and splits or joins
// words with a missing or additional space.
func (c *corrector) correctSpelling() {
	for i := 0; i < len(c.tokens); i++ {
		t := c.tokens[i]
		if s := scriptOf(t.Form); s != latin && s != cyrillic || t.asTyped || c.knows(t.Word) {
			continue
		}
		if i+1 < len(c.tokens) && !c.tokens[i+1].breaks && c.joined(i) {
			continue
		}
		if i > 0 && !t.breaks && c.joined(i-1) {
			i--
			continue
		}
		if to, ok := c.near(t.Form); ok {
			c.replace(i, to, Spelling)
			continue
		}
		if to, ok := c.parted(t.Form); ok {
			c.replace(i, to, Spelling)
		}
	}
}

// joined joins a token and the next into one known word.
func (c *corrector) joined(i int) bool {
	a, b := c.tokens[i], c.tokens[i+1]
	form := a.Form + b.Form
	if len([]rune(form)) < 5 || c.forms[form] == 0 || a.asTyped || b.asTyped {
		return false
	}
	to := cmp.Or(c.spelt[form], form)
	c.note(a.field, a.Typed+" "+b.Typed, to, Spelling)
	w := words.Split(to)[0]
	c.tokens = slices.Replace(c.tokens, i, i+2, token{Word: w, field: a.field, breaks: a.breaks, quoted: a.quoted})
	return true
}

// parted splits a long word into two known words.
func (v *Vocabulary) parted(form string) (string, bool) {
	runes := []rune(form)
	const partMin = 4 // letters: nearly every word can be composed of shorter words
	for at := partMin; at <= len(runes)-partMin; at++ {
		a, b := string(runes[:at]), string(runes[at:])
		if v.forms[a] > 0 && v.forms[b] > 0 {
			return a + " " + b, true
		}
	}
	return "", false
}
