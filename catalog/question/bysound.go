package question

import (
	"slices"
	"strings"
	"unicode/utf8"

	"kassa/catalog/words"
)

// correctNamesBySound writes whole titles and full names in their own letters: «зе
// дарк найт», "odin doma", «брюс вилис». The longest counts.
func (c *corrector) correctNamesBySound() {
	for i := 0; i < len(c.tokens); i++ {
		from := scriptOf(c.tokens[i].Form)
		if from != latin && from != cyrillic || c.tokens[i].asTyped {
			continue
		}
		for n := c.run(i, from); n > 0; n-- {
			if to, ok := c.nameBySound(c.tokens[i:i+n], from); ok {
				i += c.replaceRun(i, n, to) - 1
				break
			}
		}
	}
}

// soundRunMax is the most words of a name that is found by its sound.
const soundRunMax = 8

// run is how many words from the i-th may be one name: words of one alphabet without a
// pause, and none that is taken as typed.
func (c *corrector) run(i int, from script) (n int) {
	for n = 1; n < soundRunMax && i+n < len(c.tokens); n++ {
		if t := c.tokens[i+n]; t.breaks || t.asTyped || scriptOf(t.Form) != from {
			break
		}
	}
	return n
}

// nameBySound is the title or name that some words spell by its sound. Words that are
// right as they are spell none, and a name neither begins nor ends with a word like "and".
func (c *corrector) nameBySound(run []token, from script) (best string, ok bool) {
	forms := make([]string, len(run))
	if slices.ContainsFunc(run, func(t token) bool { return isTripled([]rune(t.Form)) }) {
		return "", false
	}
	unknown, strange, telling := 0, 0, 0 // to films and languages; to the languages; all but articles
	for i, t := range run {
		forms[i] = t.Form
		if from == cyrillic && len(run) > 1 && slices.Contains(heardEnglish, t.Form) {
			unknown++
		}
		if i == 0 && len(run) > 1 && slices.Contains(articles, t.Form) {
			continue
		}
		telling++
		hollow := words.IsStop(t.Form) && scriptOf(t.Form) == from
		if hollow && (i == 0 || i == len(run)-1) {
			return "", false
		}
		if !c.knows(t.Word) {
			unknown++
		}
		if !commonStems[t.Stem] && !hollow {
			strange++
		}
	}
	joined := strings.Join(forms, " ")
	if _, title := c.titles[joined]; title || utf8.RuneCountInString(joined) < soundNameMin || unknown == 0 && (from == latin || strange < telling || telling == 1) {
		return "", false
	}
	least := soundRight * utf8.RuneCountInString(joined) / 10
	if unknown == 0 {
		least /= 2
	}
	for _, sounds := range typedSounds(run, from) {
		c.soundNames.find(sounds, func(text string, distance int) {
			own := scriptOf(text) == from
			switch {
			case own && strings.Join(formsOf(text), " ") == joined:
				best, least = "", -1 // it is written as it should be
			case distance > least || own && (from == latin || unknown == 0) || best != "" && distance == least && !own:
			default:
				best, least = text, distance
			}
		})
	}
	if best != "" && len(run) == 1 && c.isTypo(joined) {
		return "", false
	}
	return best, best != ""
}

// soundRight is how far words may be from a name that they spell, in hundredths of a letter
// for each of theirs.
const soundRight = 14

// typedSounds are the ways in which words may sound to who types them in the letters of
// the other language: a "j" is one of two Russian letters.
func typedSounds(run []token, from script) [][]string {
	var typed []string
	for i, t := range run {
		if i > 0 || len(run) == 1 || !slices.Contains(articles, t.Form) {
			typed = append(typed, strings.ToLower(t.Typed))
		}
	}
	if from == cyrillic {
		return [][]string{typed}
	}
	ways := [][]string{russianSounds(typed, "j")}
	if slices.ContainsFunc(typed, func(s string) bool { return strings.Contains(s, "j") }) {
		ways = append(ways, russianSounds(typed, "zh"))
	}
	return ways
}

func russianSounds(typed []string, j string) []string {
	sounds := make([]string, len(typed))
	for i, s := range typed {
		sounds[i] = russianOf.Replace(strings.ReplaceAll(s, "j", j))
	}
	return sounds
}

// heardEnglish are English words by ear that are none in Russian.
var heardEnglish = []string{"зе", "зэ", "оф", "энд", "виз"}

// soundNameMin is the fewest letters of a name that is found by its sound.
const soundNameMin = 5

// replaceRun puts the words of a name in the place of some tokens, and returns how many they are.
func (c *corrector) replaceRun(i, n int, to string) int {
	var typed []string
	for _, t := range c.tokens[i : i+n] {
		typed = append(typed, t.Typed)
	}
	c.note(c.tokens[i].field, strings.Join(typed, " "), to, Transliteration)
	first := c.tokens[i]
	list := cut(to)
	for k := range list {
		list[k].field, list[k].quoted, list[k].breaks = first.field, first.quoted, false
	}
	list[0].breaks = first.breaks
	c.tokens = slices.Replace(c.tokens, i, i+n, list...)
	return len(list)
}
