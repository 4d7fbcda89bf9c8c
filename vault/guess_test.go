package vault

import (
	"strings"
	"testing"
)

// The list has the three thousand commonest passwords and more, each once, as it is
// looked up.
func TestBlocklist(t *testing.T) {
	words := strings.Fields(blocklist)
	if len(words) < 3000 {
		t.Errorf("the list has %d words", len(words))
	}
	seen := map[string]bool{}
	for _, word := range words {
		if seen[word] || word != fold(word) || word != normalized(word) {
			t.Errorf("%q is there twice, or not as it is looked up", word)
		}
		seen[word] = true
	}
}

func TestGuessable(t *testing.T) {
	for _, password := range []string{
		// The commonest of every year, as far as they are long enough.
		"password", "12345678", "123456789", "1234567890", "qwerty123", "iloveyou", "princess", "sunshine", "football", "baseball", "superman", "trustno1",
		"qwertyuiop", "1q2w3e4r", "1qaz2wsx", "abcd1234", "11111111", "00000000", "88888888", "87654321", "1q2w3e4r5t", "password1", "password123", "zxcvbnm1",
		"qazwsxedc", "asdfghjkl", "letmein1", "welcome1", "administrator", "changeme", "computer", "michelle", "jennifer", "jordan23", "liverpool", "starwars",
		"q1w2e3r4", "qwerty12345", "iloveyou1", "charlie1", "passw0rd", "p@ssw0rd", "Pa$$w0rd", "dragon123", "monkey123", "12341234", "1234qwer", "azertyuiop",
		// A word with a year, a number or signs beside it, or with digits for letters.
		"password2024", "summer2025!", "Summer2026", "Winter-2025!", "2025spring", "december2024", "!!monday!!", "tiger1234", "michael1985", "london2012", "!Dragon!99",
		"dr4gon2024", "l0v3rs1999", "M1chael!1", "monkey12345", "shadow777777", "anna12041985", "12.04.1985maria", "sunshine!!!!!!",
		// Dates, walks, repetitions.
		"12041985", "04.12.1985", "1985-04-12", "31/12/1999", "abcdefgh", "zyxwvuts", "qwertyui", "poiuytre", "asdfqwer", "qwertzui", "qwertyasdfgh1234",
		"zxcvbnm,", ";lkjhgfd", "lovelove", "kingkingking", "passwordpassword", "zzzzzzzzzz", "ЫЫЫЫЫЫЫЫ", "123412341234",
		// Russian, in three keyboards.
		"пароль123", "парольпароль", "йцукенгш", "йцукен2024", "привет123", "Наташа1985", "любимая!", "солнышко", "Пётр2024", "александр", "россия2024!", "спартак1922",
		"gfhjkm123", "ghbdtn2024", "yfnfif1985", "cjkysirj", "k.,bvfz", "[kt,2024", "зфыыцщкв", "ыгтыршту", "parol2024", "privet123", "natasha1985", "lyubov2024", "moskva123",
		"kassa2024", "кинопоиск", "кинокино", "касса-2026",
		// What others know.
		"ada.lovelace@example.org", "Ada.Lovelace",
	} {
		if !guessable(normalized(password), "ada.lovelace@example.org") {
			t.Errorf("%q is taken", password)
		}
	}
	for _, password := range []string{
		"a long walk home", "two cats in a box", "correct horse battery staple", "семь слонов на трапеции", "выхухоль", "zq-x7kwv", "iloveyou, said the walrus",
		"ada.lovelace.1815", "zxzxzxzxzx", "tiger83726154", "83726154", "99041985", "12041785", "00121985", "tgvbyhn47x", "summer of 2025", "qwe7rty9uio", "мурзик ест сметану",
		"Tr0ub4dor&3", "hunter2hunter3", "xkjqpwvz", "qwekjhzx", "two cats in a box 1909", "a till by the sea",
	} {
		if guessable(normalized(password), "ada.lovelace@example.org") {
			t.Errorf("%q is refused", password)
		}
	}
}
