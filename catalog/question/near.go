package question

import (
	"math/bits"
	"unicode/utf8"
)

type spelled struct {
	form  string
	runes []rune
	has   uint64 // letters that occur, by their low bits
}

// spelledMin is the fewest letters that a word must have to be corrected: of
// shorter ones too many are alike.
const spelledMin = 4

func letters(runes []rune) uint64 {
	var has uint64
	for _, r := range runes {
		has |= 1 << (uint32(r) % 64)
	}
	return has
}

// near returns the form that a word was most likely meant to be: the nearest
// by Damerau-Levenshtein distance that begins with the same letter, 1 for short
// words and 2 for long ones; of equals one of the same letters, then the most used.
//
// Where the word is all that was typed, it is rather a name.
func (v *Vocabulary) near(form string, alone bool) (string, bool) {
	return v.within(form, slips(utf8.RuneCountInString(form)), alone)
}

func (v *Vocabulary) within(form string, most int, alone bool) (string, bool) {
	runes := []rune(form)
	if len(runes) < spelledMin {
		return "", false
	}
	has := letters(runes)
	best, bestCost := "", 1<<30
	for n := len(runes) - most; n <= len(runes)+most; n++ {
		if n < spelledMin || n >= len(v.spelled) {
			continue
		}
		for _, s := range v.spelled[n] {
			if bits.OnesCount64(has^s.has) > 2*most {
				continue
			}
			if s.runes[0] != runes[0] && !(s.runes[0] == runes[1] && s.runes[1] == runes[0]) {
				continue // the first letter is mistyped least, and most words differ there only
			}
			d := distance(runes, s.runes, most)
			if d > most {
				continue
			}
			cost := d*1_000_000 - int(min(v.forms[s.form], 100_000))
			if s.has == has && len(s.runes) == len(runes) {
				cost -= 500_000
			}
			if alone && v.nameWords[s.form] {
				cost -= 600_000
			}
			if cost < bestCost {
				best, bestCost = s.form, cost
			}
		}
	}
	return best, best != ""
}

// distance is the number of letters to insert, drop, replace or swap with the
// next to make b of a, or more than most.
func distance(a, b []rune, most int) int {
	prev2, prev, now := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		now[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			now[j] = min(prev[j]+1, now[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], prev2[j-2]+1)
			}
			least = min(least, now[j])
		}
		if least > most {
			return most + 1
		}
		prev2, prev, now = prev, now, prev2
	}
	return prev[len(b)]
}
