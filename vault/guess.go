package vault

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"unicode"
)

//go:embed blocklist.txt
var blocklist string

// common are the words of the blocklist, as they are typed and as they come out when
// the keyboard was in the other language: "gfhjkm" is пароль.
var common = sync.OnceValue(func() map[string]bool {
	words := map[string]bool{}
	for word := range strings.FieldsSeq(blocklist) {
		words[word] = true
		words[strings.Map(otherKey, word)] = true
	}
	return words
})

// The same keys with a Latin and a Russian layout.
var latinKeys, russianKeys = []rune("qwertyuiop[]asdfghjkl;'zxcvbnm,."), []rune("йцукенгшщзхъфывапролджэячсмитьбю")

func otherKey(r rune) rune {
	if i := slices.Index(latinKeys, r); i >= 0 {
		return russianKeys[i]
	}
	if i := slices.Index(russianKeys, r); i >= 0 {
		return latinKeys[i]
	}
	return r
}

// rows are the rows of keyboards, and alphabets, forwards and backwards.
var rows = func() (list []string) {
	for _, row := range []string{"12345678901234567890", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "qwertzuiop", "azertyuiop", "abcdefghijklmnopqrstuvwxyz",
		"йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю.", "абвгдежзийклмнопрстуфхцчшщъыьэюя"} {
		backwards := []rune(row)
		slices.Reverse(backwards)
		list = append(list, row, string(backwards))
	}
	return list
}()

// unleet replaces the digits and signs that are used for letters.
var unleet = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

// guessable reports whether the password is among the first that a guesser would try: the
// e-mail itself, a common word, perhaps with a year or a short number beside it or with
// digits for letters, a date, one character over and over, or a walk over the keyboard.
func guessable(password, email string) bool {
	low, email := fold(password), fold(email)
	name, _, _ := strings.Cut(email, "@")
	if low == email || low == name || isDate(strings.Trim(low, " ")) {
		return true
	}
	if unit := unitOf(low); unit != low && (len([]rune(unit)) == 1 || common()[unit]) {
		return true
	}
	for _, word := range []string{low, beside(low, isDigit), beside(low, noLetter)} {
		if common()[word] || common()[unleet.Replace(word)] || isWalk(word) {
			return true
		}
	}
	return false
}

// fold makes letters equal that people do not distinguish.
func fold(s string) string { return strings.ReplaceAll(strings.ToLower(s), "ё", "е") }

// unitOf gives what s repeats, s itself where it repeats nothing.
func unitOf(s string) string {
	for n := 1; n <= len(s)/2; n++ {
		if len(s)%n == 0 && strings.Repeat(s[:n], len(s)/n) == s {
			return s[:n]
		}
	}
	return s
}

// beside strips from a word what a guesser would try beside it: characters that trim finds,
// with a year, a date, a short number or a sequence among them. It gives s itself where
// more is beside the word, or nothing is left.
func beside(s string, trim func(rune) bool) string {
	word := strings.TrimFunc(s, trim)
	before, after, _ := strings.Cut(s, word)
	if word == "" || !weakNumber(before) || !weakNumber(after) {
		return s
	}
	return word
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

func noLetter(r rune) bool { return !unicode.IsLetter(r) }

// weakNumber reports whether the digits in s are among the first that a guesser would try.
func weakNumber(s string) bool {
	digits := strings.Map(func(r rune) rune {
		if isDigit(r) {
			return r
		}
		return -1
	}, s)
	return len(digits) <= len("2026") || isWalk(digits) || unitOf(digits) != digits || isDate(digits)
}

// isDate reports whether s is a day with its century, in digits with or without signs
// between them: 12041985, 12.04.1985, 1985-04-12.
func isDate(s string) bool {
	digits := strings.NewReplacer(".", "", "-", "", "/", "", " ", "").Replace(s)
	if len(digits) != len("12041985") || strings.ContainsFunc(digits, func(r rune) bool { return !isDigit(r) }) {
		return false
	}
	century := func(year string) bool { return strings.HasPrefix(year, "19") || strings.HasPrefix(year, "20") }
	return century(digits[:4]) && isDay(digits[4:]) || century(digits[4:]) && isDay(digits[:4])
}

// isDay reports whether the four digits are a day and a month, in either order.
func isDay(s string) bool {
	a, b := s[:2], s[2:]
	return "01" <= a && a <= "31" && "01" <= b && b <= "12" || "01" <= a && a <= "12" && "01" <= b && b <= "31"
}

// isWalk reports whether s goes along rows of the keyboard or the alphabet, at least four
// steps in each.
func isWalk(s string) bool {
	const least = 4
	for left := []rune(s); len(left) > 0; {
		n := least
		for n <= len(left) && isRun(string(left[:n])) {
			n++
		}
		if n--; n < least {
			return false
		}
		left = left[n:]
	}
	return s != ""
}

func isRun(s string) bool {
	return slices.ContainsFunc(rows, func(row string) bool { return strings.Contains(row, s) })
}
