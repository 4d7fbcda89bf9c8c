package question

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"kassa/catalog/words"
)

// English written by ear and Russian in Latin letters are compared as Russian spells
// the sounds. Vowels are spelled in too many ways to be looked up, so the index is
// over consonants, and what it finds is compared letter by letter.

// soundsOf writes an English word as Russian spells its sounds. At one place the
// first that fits is taken.
var soundsOf = strings.NewReplacer(
	"psych", "сайк", "island", "айленд", "isle", "айл", "eau", "ью", "tion", "шн", "ssion", "шн", "sion", "жн", "cial", "шал", "tial", "шал", "cian", "шан", "cious", "шес", "tious", "шес",
	"ture", "чер", "sure", "жер", "eigh", "ей", "ight", "айт", "igh", "ай", "ough", "о", "augh", "о", "alk", "ок", "ould", "уд", "chr", "кр", "sch", "ш", "tch", "ч", "dge", "дж", "dj", "дж",
	"ck", "к", "ph", "ф", "sh", "ш", "ch", "ч", "th", "з", "wh", "в", "kn", "н", "wr", "р", "qu", "кв", "gh", "г", "gn", "гн",
	"awa", "эвэ", "ewa", "ева", "owa", "ова", "owe", "ауэ", "ows", "оус", "owi", "ови",
	"ee", "и", "ea", "и", "oo", "у", "ou", "ау", "oa", "оу", "ow", "оу", "ew", "ью", "ay", "ей", "ey", "и", "ai", "ей", "ei", "ей", "oi", "ой", "oy", "ой", "ie", "и", "au", "о", "aw", "о",
	"ce", "се", "ci", "си", "cy", "си", "ge", "дже", "gi", "джи", "ya", "я", "yo", "ё", "yu", "ю",
	"a", "а", "b", "б", "c", "к", "d", "д", "e", "е", "f", "ф", "g", "г", "h", "х", "i", "и", "j", "дж",
	"k", "к", "l", "л", "m", "м", "n", "н", "o", "о", "p", "п", "q", "к", "r", "р", "s", "с", "t", "т",
	"u", "а", "v", "в", "w", "в", "x", "кс", "y", "и", "z", "з",
)

// irregular are common words that sound otherwise than they are spelled.
var irregular = map[string]string{
	"one": "ван", "once": "ванс", "who": "ху", "two": "ту", "to": "ту", "eye": "ай", "eyes": "айс", "i": "ай", "you": "ю", "your": "ё", "my": "май", "by": "бай", "why": "вай",
	"are": "ар", "was": "воз", "laugh": "лаф", "tough": "таф", "enough": "инаф", "of": "оф", "do": "ду", "some": "сам", "come": "кам", "love": "лав", "the": "зе", "he": "хи",
	"she": "ши", "we": "ви", "me": "ми", "be": "би", "high": "хай", "woman": "вумен", "women": "вимен", "people": "пипл", "friend": "френд", "friends": "френдс", "girl": "герл",
	"first": "ферст", "world": "ворлд", "war": "вор", "wars": "ворс", "night": "найт", "die": "дай", "lie": "лай", "pie": "пай", "pi": "пай", "blood": "блад", "heart": "харт", "hour": "ауэр", "hours": "ауэрс",
}

// pronunciation is how an English word sounds, in Cyrillic letters.
func pronunciation(word string) string {
	s := strings.ToLower(word)
	if sound, ok := irregular[s]; ok {
		return sound
	}
	return soundsOf.Replace(longVowel(s))
}

// longVowel writes the vowel that a silent e at the end makes long, as it is pronounced.
func longVowel(s string) string {
	plural := strings.HasSuffix(s, "es")
	stem := strings.TrimSuffix(strings.TrimSuffix(s, "s"), "e")
	if strings.HasSuffix(s, "ture") || strings.HasSuffix(s, "sure") {
		return s
	}
	if n := len(stem); n >= 2 && (plural || strings.HasSuffix(s, "e")) && !isLatinVowel(stem[n-1]) && isLatinVowel(stem[n-2]) && (n == 2 || !isLatinVowel(stem[n-3])) {
		soft := strings.NewReplacer("c", "s", "g", "j").Replace(stem[n-1:])
		s = stem[:n-2] + longVowels[stem[n-2]] + soft
		if plural {
			s += "s"
		}
		return s
	}
	if len(s) > 3 && strings.HasSuffix(s, "e") && !strings.ContainsAny(s[len(s)-2:len(s)-1], "cgr") {
		return strings.TrimSuffix(s, "e")
	}
	return s
}

var longVowels = map[byte]string{'a': "ей", 'e': "и", 'i': "ай", 'o': "оу", 'u': "ю", 'y': "ай"}

func isLatinVowel(b byte) bool { return strings.IndexByte("aeiouy", b) >= 0 }

// consonants are what remains of a sound in all spellings: consonants of about the same
// place, without those that are not always pronounced (h, r behind a vowel, l before k).
func consonants(sound string) string {
	runes := []rune(tidySounds.Replace(sound))
	vowel := func(i int) bool { return i >= 0 && i < len(runes) && strings.ContainsRune(vowels, runes[i]) }
	var out []rune
	for i, r := range runes {
		class, ok := soundClasses[r]
		switch {
		case r == 'у' && vowel(i+1) && !vowel(i-1):
			class = 'в' // уиллис, виллис
		case !ok, r == 'р' && !vowel(i+1), r == 'л' && i+1 < len(runes) && runes[i+1] == 'к', r == 'г' && i > 0 && runes[i-1] == 'н':
			continue
		}
		if len(out) == 0 || out[len(out)-1] != class {
			out = append(out, class)
		}
	}
	return string(out)
}

var (
	tidySounds   = strings.NewReplacer("дж", "ж", "тч", "ч", "тс", "ц")
	soundClasses = map[rune]rune{'б': 'б', 'п': 'п', 'в': 'в', 'ф': 'в', 'к': 'к', 'г': 'г', 'ж': 'г', 'ш': 'ш', 'щ': 'ш', 'ч': 'ш', 'д': 'д', 'т': 'с', 'с': 'с', 'з': 'с', 'ц': 'с', 'л': 'л', 'м': 'м', 'н': 'н', 'р': 'р'}
)

// soundKey is the key of some sounds together: people part and join words.
func soundKey(sounds []string) uint64 {
	key, last := hashSeed, rune(0)
	for _, s := range sounds {
		for _, r := range consonants(s) {
			if r != last {
				key, last = hashed(key, r), r
			}
		}
	}
	if last == 0 {
		return 0
	}
	return key
}

// hashSeed begins a hash of letters, which is FNV-1a.
const hashSeed uint64 = 14695981039346656037

func hashed(key uint64, r rune) uint64 { return (key ^ uint64(r)) * 1099511628211 }

// Costs of spelling a sound in another way, in tenths of a letter.
const (
	anotherLetter = 10
	anotherVowel  = 3 // or a consonant of the same class
	silentLetter  = 5 // a vowel, or a letter that is not always pronounced
)

// letterSound is what a letter costs.
type letterSound struct {
	letter rune
	class  rune // letters of one class may stand for each other; 0: none
	lost   int  // the cost of leaving it out
}

// vowelClass is the class of all vowels.
const vowelClass = 'а'

// letterSounds are the letters of a skeleton.
func letterSounds(skeleton string) []letterSound {
	list := make([]letterSound, 0, len(skeleton))
	for _, r := range skeleton {
		s := letterSound{r, soundClasses[r], anotherLetter}
		if strings.ContainsRune(vowels, r) {
			s.class, s.lost = vowelClass, silentLetter
		} else if strings.ContainsRune("рхй", r) {
			s.lost = silentLetter
		}
		list = append(list, s)
	}
	return list
}

// soundDistance is how far two spellings of a sound are from each other, in tenths of a
// letter, or more than most.
func soundDistance(a, b []letterSound, most int) int {
	prev, now := make([]int, len(b)+1), make([]int, len(b)+1)
	for j, s := range b {
		prev[j+1] = prev[j] + s.lost
	}
	for _, r := range a {
		now[0] = prev[0] + r.lost
		least := now[0]
		for j, s := range b {
			now[j+1] = min(prev[j]+replaced(r, s), prev[j+1]+r.lost, now[j]+s.lost)
			least = min(least, now[j+1])
		}
		if least > most {
			return least
		}
		prev, now = now, prev
	}
	return prev[len(b)]
}

func replaced(r, s letterSound) int {
	switch {
	case r.letter == s.letter:
		return 0
	case r.class != 0 && r.class == s.class, r.letter == 'у' && s.letter == 'в', r.letter == 'в' && s.letter == 'у':
		return anotherVowel
	}
	return anotherLetter
}

// soundIndex finds titles, names and words by their sound.
type soundIndex struct {
	texts     []string
	skeletons []string   // of their sounds
	list      []sounding // by their keys
}

// sounding is a text with the key of its sound.
type sounding struct {
	key  uint64
	text int32 // its number
}

func (x *soundIndex) add(text string) {
	sounds := soundsOfText(text)
	if key := soundKey(sounds); key != 0 {
		x.list = append(x.list, sounding{key, int32(len(x.texts))})
		x.texts = append(x.texts, text)
		x.skeletons = append(x.skeletons, skeleton(strings.Join(sounds, "")))
	}
}

// sort must be called after the last text was added.
func (x *soundIndex) sort() {
	slices.SortStableFunc(x.list, func(a, b sounding) int { return cmp.Compare(a.key, b.key) })
}

// find calls each with the texts that may sound so, and how far each is: the longer the
// sound, the more they may differ.
func (x *soundIndex) find(sounds []string, each func(text string, distance int)) {
	key := soundKey(sounds)
	i, found := slices.BinarySearchFunc(x.list, key, func(s sounding, key uint64) int { return cmp.Compare(s.key, key) })
	if key == 0 || !found {
		return
	}
	joined := strings.Join(sounds, "")
	asked, most := letterSounds(skeleton(joined)), 2*utf8.RuneCountInString(joined)
	for ; i < len(x.list) && x.list[i].key == key; i++ {
		n := x.list[i].text
		if d := soundDistance(asked, letterSounds(x.skeletons[n]), most); d <= most {
			each(x.texts[n], d)
		}
	}
}

// soundsOfText are the sounds of a text's words, without an article before them.
func soundsOfText(text string) []string {
	if scriptOf(text) == latin && !strings.ContainsFunc(text, isNoSmallLetter) {
		return []string{pronunciation(text)} // a form is no text to be cut
	}
	var sounds []string
	list := words.Split(text)
	for i, w := range list {
		switch {
		case i == 0 && len(list) > 1 && slices.Contains(articles, w.Form):
		case scriptOf(w.Form) == latin:
			sounds = append(sounds, pronunciation(w.Form))
		default:
			sounds = append(sounds, w.Form)
		}
	}
	return sounds
}

func isNoSmallLetter(r rune) bool { return r < 'a' || r > 'z' }

// articles are left out before a title, in English and by ear.
var articles = []string{"the", "a", "an", "зе", "зэ", "зи", "зы", "э", "эн"}
