package question

import "strings"

// Keys of the two layouts, at the same indexes, without and with shift.
const (
	keysLatin    = "`qwertyuiop[]asdfghjkl;'zxcvbnm,.~QWERTYUIOP{}ASDFGHJKL:\"ZXCVBNM<>"
	keysCyrillic = "ёйцукенгшщзхъфывапролджэячсмитьбюЁЙЦУКЕНГШЩЗХЪФЫВАПРОЛДЖЭЯЧСМИТЬБЮ"
)

// pauseKeys are the keys of comma and full stop, which are elsewhere on a Russian
// keyboard. Typed on one, they are meant as they are.
const pauseKeysLatin, pauseKeysCyrillic = "?/", ",."

var keyToCyrillic, keyToLatin = keys(keysLatin+pauseKeysLatin, keysCyrillic+pauseKeysCyrillic), keys(keysCyrillic, keysLatin)

func keys(from, to string) map[rune]rune {
	a, b := []rune(from), []rune(to)
	m := make(map[rune]rune, len(a))
	for i := range a {
		m[a[i]] = b[i]
	}
	return m
}

// retyped is a text typed with the same keys in the other layout.
func retyped(s string, table map[rune]rune) string {
	return strings.Map(func(r rune) rune {
		if other, ok := table[r]; ok {
			return other
		}
		return r
	}, s)
}

// russianOf are the spellings of Russian in Latin letters, the longest first. An
// ambiguous letter becomes the most frequent one; skeleton makes the others equal.
var russianOf = strings.NewReplacer(
	"iyu", "ию", "iya", "ия", "iye", "ие", "uyu", "ую", "aya", "ая", "oye", "ое", "yye", "ые", "ogo", "ого", "ego", "его",
	"shch", "щ", "sch", "щ", "zh", "ж", "kh", "х", "ts", "ц", "tz", "ц", "ch", "ч", "sh", "ш",
	"yo", "ё", "jo", "ё", "yu", "ю", "ju", "ю", "ya", "я", "ja", "я", "ye", "е", "je", "е",
	"iy", "ий", "yy", "ый", "ij", "ий", "ia", "ия", "iu", "ию", "ee", "и", "oo", "у", "ck", "к", "ph", "ф",
	"a", "а", "b", "б", "c", "ц", "d", "д", "e", "е", "f", "ф", "g", "г", "h", "х", "i", "и", "j", "й",
	"k", "к", "l", "л", "m", "м", "n", "н", "o", "о", "p", "п", "q", "к", "r", "р", "s", "с", "t", "т",
	"u", "у", "v", "в", "w", "в", "x", "кс", "y", "ы", "z", "з", "'", "ь", "4", "ч", "6", "ш",
)

// Transliterations spell the same Russian word differently, and omit what Latin has no
// letter for. A skeleton is what they have in common.
var (
	skeletonLetters = strings.NewReplacer("ъ", "", "ь", "", "й", "и", "ы", "и", "э", "е", "ё", "ио", "ю", "иу", "я", "иа", "щ", "ш", "тс", "ц", "дж", "ж")
	skeletonVowels  = strings.NewReplacer("ио", "е", "иу", "у", "иа", "а", "ии", "и", "ие", "е")
)

func skeleton(cyrillicWord string) string {
	s := skeletonVowels.Replace(skeletonLetters.Replace(strings.ToLower(cyrillicWord)))
	var out strings.Builder
	var last rune
	for _, r := range s { // a doubled letter is often written once
		if r != last {
			out.WriteRune(r)
		}
		last = r
	}
	return out.String()
}
