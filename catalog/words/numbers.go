package words

import "strings"

// numbers are those that titles have, in both languages.
var numbers = []struct{ digits, english, russian string }{
	{"2", "two", "два"}, {"3", "three", "три"}, {"4", "four", "четыре"}, {"5", "five", "пять"}, {"6", "six", "шесть"}, {"7", "seven", "семь"},
	{"8", "eight", "восемь"}, {"9", "nine", "девять"}, {"10", "ten", "десять"}, {"11", "eleven", "одиннадцать"}, {"12", "twelve", "двенадцать"},
	{"13", "thirteen", "тринадцать"}, {"17", "seventeen", "семнадцать"}, {"20", "twenty", "двадцать"}, {"100", "hundred", "сто"}, {"400", "four hundred", "четыреста"},
}

// OtherNumbers is a text with its small numbers written in the other way: digits as
// words, in the language of the text, and words as digits.
func OtherNumbers(text string) string {
	parts := strings.Fields(text)
	russian := strings.ContainsFunc(text, isCyrillic)
	for i, part := range parts {
		for _, n := range numbers {
			word := n.english
			if russian {
				word = n.russian
			}
			switch strings.ToLower(part) {
			case n.digits:
				parts[i] = word
			case word:
				parts[i] = n.digits
			}
		}
	}
	return strings.Join(parts, " ")
}
