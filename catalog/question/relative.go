package question

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"kassa/catalog/words"
)

// Relative gives words that only compare with a film, such as "older" or "что-нибудь
// поновее", the year of that film: they are a condition only with one. Other words, and all
// where the year is not known (0), stay as they are.
func Relative(said string, year int) string {
	sign := 0
	for _, w := range words.Split(said) {
		switch {
		case slices.Contains(older, w.Form):
			sign--
		case slices.Contains(newer, w.Form):
			sign++
		case !slices.Contains(besideThem, w.Form):
			return said
		}
	}
	russian := strings.ContainsFunc(said, func(r rune) bool { return unicode.Is(unicode.Cyrillic, r) })
	switch {
	case year == 0 || sign == 0:
		return said
	case russian && sign < 0:
		return fmt.Sprintf("раньше %d года", year)
	case russian:
		return fmt.Sprintf("позже %d года", year)
	case sign < 0:
		return fmt.Sprintf("older than %d", year)
	}
	return fmt.Sprintf("newer than %d", year)
}

var (
	older      = []string{"older", "earlier", "старше", "постарше", "старее", "постарее", "раньше", "пораньше", "старыи"}
	newer      = []string{"newer", "later", "recent", "новее", "поновее", "позже", "попозже", "новыи"}
	besideThem = []string{"a", "an", "the", "it", "is", "was", "one", "much", "film", "movie", "more", "something", "фильм", "он", "был", "намного", "гораздо", "более", "что", "то", "нибудь"}
)
