package question

import "strings"

// declined returns the case forms of a Russian name, itself first. For foreign endings,
// and for names that do not decline, it returns only the name.
func declined(form string) []string {
	if scriptOf(form) != cyrillic {
		return []string{form}
	}
	forms := []string{form}
	runes := []rune(form)
	if len(runes) < 3 {
		return forms
	}
	add := func(cutOff int, endings ...string) {
		for _, e := range endings {
			forms = append(forms, string(runes[:len(runes)-cutOff])+e)
		}
	}
	last, last2 := runes[len(runes)-1], string(runes[len(runes)-2:])
	switch { // normalised: й is и
	case last2 == "ии" || last2 == "ыи" || last2 == "ои": // -ий, -ый, -ой
		add(2, "ого", "его", "ому", "ему", "им", "ым", "ом")
		add(1, "я", "ю", "ем", "е") // Алексей-like in -ий: Юрий, Юрия
	case last2 == "ая":
		add(2, "ои", "ую")
	case last2 == "ия":
		add(1, "и", "ю", "еи")
	case last == 'а':
		add(1, "ы", "и", "е", "у", "ои", "еи")
	case last == 'я':
		add(1, "и", "е", "ю", "еи")
	case last == 'ь':
		add(1, "я", "ю", "ем", "е", "и", "ью")
	case last == 'и' && strings.ContainsRune("ае", runes[len(runes)-2]): // -ай, -ей
		add(1, "я", "ю", "ем", "е")
	case strings.ContainsRune("оеиуюыэ", last):
	default:
		add(0, "а", "у", "ом", "ым", "е")
	}
	return forms
}
