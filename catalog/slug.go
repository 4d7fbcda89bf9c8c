package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// latin maps Russian letters to Latin ones, for addresses.
var latin = map[rune]string{'а': "a", 'б': "b", 'в': "v", 'г': "g", 'д': "d", 'е': "e", 'ж': "zh", 'з': "z", 'и': "i", 'й': "y", 'ё': "e", 'к': "k", 'л': "l", 'м': "m", 'н': "n", 'о': "o", 'п': "p", 'р': "r", 'с': "s", 'т': "t",
	'у': "u", 'ф': "f", 'х': "kh", 'ц': "ts", 'ч': "ch", 'ш': "sh", 'щ': "shch", 'ъ': "", 'ы': "y", 'ь': "", 'э': "e", 'ю': "yu", 'я': "ya", 'і': "i", 'є': "ye"}

// Slug is a title or a name in lower-case Latin letters and digits, its words parted by
// hyphens. It is "" for a text in other scripts than Latin and Cyrillic.
func Slug(text string) string {
	var words []string
	for _, word := range strings.FieldsFunc(norm.NFC.String(strings.ToLower(text)), func(r rune) bool { return strings.ContainsRune(" -/.,:", r) }) {
		var s strings.Builder
		for _, r := range word {
			s.WriteString(latinLetters(r))
		}
		if s.Len() > 0 {
			words = append(words, s.String())
		}
	}
	return strings.Join(words, "-")
}

// latinLetters are the letters and digits of a slug for a letter of a text; none for
// other characters.
func latinLetters(r rune) string {
	if to, ok := latin[r]; ok {
		return to
	}
	base, _ := utf8.DecodeRuneInString(norm.NFD.String(string(r))) // without its accent
	if base >= 'a' && base <= 'z' || base >= '0' && base <= '9' {
		return string(base)
	}
	return ""
}

// NewID is the id of a film without one: its title in lower-case Latin letters, and its
// year. A title in other scripts is replaced by its hash.
func NewID(title string, year int) string {
	const most = 80
	name := Slug(title)
	if name == "" || len(name) > most {
		sum := sha256.Sum256([]byte(title))
		name = "film-" + hex.EncodeToString(sum[:6])
	}
	return fmt.Sprintf("%s-%d", name, year)
}
