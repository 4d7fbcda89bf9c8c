package question

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"kassa/catalog/words"
)

// elsewhere.txt has words by what is asked with them instead of a film.
//
//go:embed elsewhere.txt
var elsewhereWords string

// otherKind is what is asked instead of a film.
type otherKind string

// The sections of elsewhere.txt. Words of talk and of other services are known by their
// stems; curses by their beginning, for they have more forms than stems; words of other
// languages as they are.
const (
	talkWords    otherKind = "talk"
	serviceWords otherKind = "service"
	insultWords  otherKind = "insult"
	curses       otherKind = "curse"
	foreignWords otherKind = "foreign"
	addressWords otherKind = "address"
	askingWords  otherKind = "asking"
	storyWords   otherKind = "story"   // of those above, words of stories too
	openings     otherKind = "opening" // of questions about the world, and of small talk; divided by commas
)

var otherWords = readElsewhere(elsewhereWords)

func readElsewhere(text string) map[otherKind]map[string]bool {
	sections := make(map[otherKind]map[string]bool)
	var kind otherKind
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "# "); ok {
			kind = otherKind(name)
			sections[kind] = make(map[string]bool)
			continue
		}
		if kind == openings {
			for phrase := range strings.SplitSeq(line, ",") {
				sections[kind][strings.Join(formsOf(phrase), " ")] = true
			}
			continue
		}
		for _, w := range words.Split(line) {
			switch kind {
			case talkWords, serviceWords, insultWords, storyWords:
				sections[kind][w.Stem] = true
			default:
				sections[kind][w.Form] = true
			}
		}
	}
	return sections
}

// Other is how far a text asks for something else than a film. Up to Mash they are
// shares of the content words.
type Other struct {
	Talk     float64 // greetings, thanks, small talk; 1 without a content word
	Service  float64 // what other services are asked: recipes, weather, sums, facts
	Insult   float64
	Foreign  float64 // words of languages that are neither of the two
	Unknown  float64 // words that neither films nor the two languages have, as they were typed
	Mash     float64 // runs of keys that are words of no language
	Code     float64 // share of characters that sentences do not have
	Question float64 // 1: it is put as a question about the world, or to the machine
	Address  float64 // 1: it is addressed to the machine
	Nothing  bool    // no word describes a film
	Opening  bool    // it begins as questions about the world do, or small talk
}

// ReadOther reads a text, as it was typed, for what it asks instead of a film.
func (v *Vocabulary) ReadOther(text string) Other {
	text = normalize(text)
	o := Other{Code: codeShare(text)}
	list := words.Split(text)
	film, telling, strong, weak := false, 0.0, 0.0, 0.0
	for _, w := range list {
		film = film || filmNouns[w.Stem] || genreNouns[w.Stem] != ""
		if otherWords[addressWords][w.Form] {
			o.Address = 1
		}
		curse := isCurse(w.Form)
		if words.IsStop(w.Form) && !curse || !strings.ContainsFunc(w.Form, isLetterOrDigit) {
			continue
		}
		telling++
		talks, asks := otherWords[talkWords][w.Stem], otherWords[serviceWords][w.Stem] || isQuantity(w.Form)
		insults, foreign := curse || otherWords[insultWords][w.Stem], isForeign(w)
		unknown := !v.knows(w) && scriptOf(w.Form) != none
		mash := unknown && isMash(w.Form)
		part := 1.0
		switch {
		case curse || foreign || mash:
			strong++
		case !talks && !asks && !insults:
		case otherWords[storyWords][w.Stem]:
			part = 0.5
			weak++
		default:
			strong++
		}
		o.Talk += part * one(talks)
		o.Service += part * one(asks)
		o.Insult += part * one(insults)
		o.Foreign += one(foreign)
		o.Mash += one(mash)
		o.Unknown += one(foreign || unknown)
	}
	if film {
		o.Address = 0
	} else if len(list) > 0 && otherWords[askingWords][list[0].Form] && (len(list) > 2 || strings.HasSuffix(strings.TrimSpace(text), "?")) {
		o.Question = 1
	}
	o.Opening = !film && opens(list)
	if telling == 0 {
		o.Talk, o.Nothing = 1, true
		return o
	}
	for _, share := range []*float64{&o.Talk, &o.Service, &o.Insult, &o.Foreign, &o.Unknown, &o.Mash} {
		*share /= telling
	}
	const mostly = 0.7 // of the words
	o.Nothing = !film && strong+weak == telling && (strong >= weak || o.Address == 1) || o.Foreign >= mostly || o.Mash >= mostly || o.Code == 1
	return o
}

// opens reports whether a text begins with one of the openings, maybe behind a greeting.
func opens(list []words.Word) bool {
	const wordsMax = 5
	for len(list) > 0 && slices.Contains(greetings, list[0].Form) && !otherWords[openings][list[0].Form] {
		if opensWith(list, wordsMax) {
			return true
		}
		list = list[1:]
	}
	return opensWith(list, wordsMax)
}

func opensWith(list []words.Word, wordsMax int) bool {
	var key strings.Builder
	for i, w := range list[:min(wordsMax, len(list))] {
		if i > 0 {
			key.WriteByte(' ')
		}
		key.WriteString(w.Form)
		if otherWords[openings][key.String()] {
			return true
		}
	}
	return false
}

// isMash reports random typing: runs of neighbouring keys, letters that
// repeat, words without vowels or with a beginning that no word has.
func isMash(form string) bool {
	const lettersMin = 4
	letters := []rune(form)
	if len(letters) < lettersMin-1 {
		return false
	}
	if !strings.ContainsAny(form, vowels) || strings.ContainsRune("ъьы", letters[0]) {
		return true
	}
	if len(letters) < lettersMin {
		return false
	}
	for n := 1; n <= len(letters)/2; n++ { // йцуйцуйцу
		if repeats(letters, n) {
			return true
		}
	}
	neighbours := 0
	for i, r := range letters[1:] {
		if row := keyRow[r]; row > 0 && (row-keyRow[letters[i]] == 1 || keyRow[letters[i]]-row == 1) {
			neighbours++
		}
	}
	return isTripled(letters) || 3*neighbours >= 2*(len(letters)-1)
}

// isTripled reports a letter three times in a row, which no word has.
func isTripled(letters []rune) bool {
	for i := 2; i < len(letters); i++ {
		if letters[i] == letters[i-1] && letters[i] == letters[i-2] {
			return true
		}
	}
	return false
}

// repeats reports whether n letters are repeated to the end of a word.
func repeats(letters []rune, n int) bool {
	for i := n; i < len(letters); i++ {
		if letters[i] != letters[i-n] {
			return false
		}
	}
	return true
}

// keyRow numbers the keys of both keyboards: neighbours in a row have neighbouring numbers.
var keyRow = func() map[rune]int {
	keys, n := make(map[rune]int), 0
	for _, row := range []string{"qwertyuiop", "asdfghjkl", "zxcvbnm", "ицукенгшщзхъ", "фывапролджэ", "ячсмитьбю"} {
		n += 2
		for _, key := range row {
			keys[key] = n
			n++
		}
	}
	return keys
}()

// isQuantity reports numbers that are no years.
func isQuantity(form string) bool {
	_, isYear := year(form)
	return isNumber(form) && !isYear
}

func isLetterOrDigit(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// isCurse reports words that begin as curses do.
func isCurse(form string) bool {
	const beginningMin, beginningMax = 3, 6 // letters of those in the list
	letters := []rune(form)
	for n := beginningMin; n <= min(len(letters), beginningMax); n++ {
		if otherWords[curses][string(letters[:n])] {
			return true
		}
	}
	return false
}

// isForeign reports words of other languages: by their letters, or because they are common
// in one.
func isForeign(w words.Word) bool {
	if otherWords[foreignWords][w.Form] {
		return true
	}
	return strings.ContainsFunc(strings.ToLower(w.Typed), func(r rune) bool {
		switch {
		case 'a' <= r && r <= 'z', 'а' <= r && r <= 'я', r == 'ё', !unicode.IsLetter(r):
			return false
		}
		return true
	})
}

// codeShare is the share of characters of programs and addresses.
func codeShare(text string) float64 {
	marks, all := 0, 0
	for _, r := range text {
		if unicode.IsSpace(r) {
			continue
		}
		all++
		if strings.ContainsRune(`<>{}[]()=;/\@#$%^&*_|~+`, r) || unicode.IsDigit(r) {
			marks++
		}
	}
	if codeForm.MatchString(text) {
		return 1
	}
	return float64(marks) / float64(max(all, 1))
}

// codeForm is what only programs, commands and addresses have.
var codeForm = regexp.MustCompile(`://|\bwww\.|\w\(["'\[)]|\w\(\w*\[|\w\(\w+\)[:;.]|\(\)|</|<\w+[ .>]|==|\{"|->|=>|\w@\w|\s-[a-z]\s|\s--[a-z]|[a-z]_[a-z]|\w;\s*$|\w:?\\\w`)
