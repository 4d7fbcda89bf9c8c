package domain

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckText refuses a question that cannot be answered, before it is sealed.
func CheckText(text string) error {
	switch {
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return Reject(InvalidText, "the text must be valid UTF-8")
	case !strings.ContainsFunc(text, seenLetterOrNumber):
		return Reject(InvalidText, "the text must have at least one letter or digit")
	case utf8.RuneCountInString(text) > MaxTextRunes:
		return Reject(InvalidText, "the text may have at most %d characters", MaxTextRunes)
	}
	return nil
}

// saidAfter is between a question and what is said beside it: a pause for the reading of
// conditions, and a line of its own for people.
const saidAfter = ";\n"

// Refined is the question of a follow-up: that of the answer before, and on a line of its own
// what the person says beside it; nothing said leaves it as it is. It is refused where it is
// too long, or where what is said has no letter or digit.
func Refined(question, said string) (string, error) {
	if said = strings.Join(strings.Fields(said), " "); said == "" {
		return question, nil
	}
	if err := CheckText(said); err != nil {
		return "", err
	}
	if utf8.RuneCountInString(said) > MaxSaidRunes {
		return "", Reject(InvalidText, "what is added may have at most %d characters", MaxSaidRunes)
	}
	text := question + saidAfter + said
	if utf8.RuneCountInString(text) > MaxTextRunes {
		return "", Reject(InvalidText, "the text may have at most %d characters, with what was said before", MaxTextRunes)
	}
	return text, nil
}

// Said is what a follow-up's question has beside that of an answer before it.
func Said(question, before string) string {
	return strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(question, before), saidAfter), saidAfter, "; ")
}

// checkReason refuses what an auditor could not read in the log: the reason is all
// that is known of why a balance was changed.
func checkReason(s string) error {
	if !readable(s, MaxReasonRunes) || !strings.ContainsFunc(s, seenLetter) {
		return Reject(InvalidReason, "the reason must be one line of at most %d characters that can be seen, with a letter among them", MaxReasonRunes)
	}
	return nil
}

// checkReference refuses a reference that could not be looked up; it may be left out.
func checkReference(s string) error {
	if s != "" && (!readable(s, MaxReferenceRunes) || !strings.ContainsFunc(s, seenLetterOrNumber)) {
		return Reject(InvalidReference, "the reference must be one line of at most %d characters that can be seen, with a letter or a digit among them", MaxReferenceRunes)
	}
	return nil
}

// marksMost is how many combining marks one letter may have: Vietnamese and Hebrew need
// two or three, and many of them cover the lines around the letter.
const marksMost = 4

// readable reports whether a person sees all of the text, on one line, in its order.
func readable(s string, most int) bool {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > most || strings.ContainsFunc(s, invisible) {
		return false
	}
	marks := 0
	for _, r := range s {
		if marks++; !unicode.IsMark(r) {
			marks = 0
		}
		if marks > marksMost {
			return false
		}
	}
	return true
}

// invisible finds characters that are not visible, or that change how others look:
// controls, line breaks, joiners, direction marks, fillers, variation selectors, and
// unassigned code points.
func invisible(r rune) bool {
	return !unicode.IsGraphic(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) ||
		slices.Contains(blanks, r)
}

// blanks are symbols and a letter by their class, and nothing where they are shown:
// BRAILLE PATTERN BLANK, OBJECT REPLACEMENT CHARACTER, MUSICAL SYMBOL NULL NOTEHEAD and
// KHITAN SMALL SCRIPT FILLER.
var blanks = []rune{'\u2800', '\ufffc', '\U0001d159', '\U00016fe4'}

func seenLetter(r rune) bool { return unicode.IsLetter(r) && !invisible(r) }

func seenLetterOrNumber(r rune) bool { return seenLetter(r) || unicode.IsNumber(r) }
