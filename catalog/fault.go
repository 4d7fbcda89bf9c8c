package catalog

import (
	"fmt"
	"maps"
	"slices"
)

// FaultKind is a kind of fault in a field of a film.
type FaultKind string

// The kinds of faults. A kind is never renamed: the API has them.
const (
	FaultEmpty     FaultKind = "empty"
	FaultUnicode   FaultKind = "not_unicode"
	FaultControl   FaultKind = "control_character"
	FaultSpace     FaultKind = "outer_space"
	FaultLong      FaultKind = "too_long"       // letters, at most
	FaultRange     FaultKind = "out_of_range"   // number, least, most
	FaultMany      FaultKind = "too_many"       // entries, at most
	FaultTwice     FaultKind = "repeated"       // the entry
	FaultCode      FaultKind = "unknown_code"   // the code, what it should be one of
	FaultID        FaultKind = "no_id"          // the text
	FaultIMDb      FaultKind = "no_imdb_id"     // the text
	FaultKinopoisk FaultKind = "no_kinopoisk"   // the text
	FaultWikidata  FaultKind = "no_wikidata"    // the text
	FaultNumber    FaultKind = "not_a_number"   // the text
	FaultParts     FaultKind = "too_many_parts" // of a line of a Sheet: parts, at most
)

// faultTexts are what is wrong, in English, worded to follow the field.
var faultTexts = map[FaultKind]string{
	FaultEmpty:     "is empty",
	FaultUnicode:   "holds a character that is not Unicode, or its replacement (U+FFFD)",
	FaultControl:   "holds a control character, such as a line's end",
	FaultSpace:     "begins or ends with a space",
	FaultLong:      "has %d letters, at most %d are allowed",
	FaultRange:     "is %d, and must be from %d to %d",
	FaultMany:      "has %d entries, at most %d are allowed",
	FaultTwice:     "says %q once more",
	FaultCode:      "is %q, which is not in the list of %s codes",
	FaultID:        "is %q, and must be small Latin letters and digits with single hyphens between",
	FaultIMDb:      "is %q, and must be tt and seven digits or more",
	FaultKinopoisk: "is %q, and must be digits",
	FaultWikidata:  "is %q, and must be Q and digits",
	FaultNumber:    "is %q, and must be a whole number",
	FaultParts:     "has %d parts, at most %d are allowed",
}

// FaultKinds lists the kinds of faults.
func FaultKinds() []FaultKind { return slices.Sorted(maps.Keys(faultTexts)) }

// A Fault is what is wrong with one field of a film.
type Fault struct {
	Field string // such as cast[2].name_ru
	Kind  FaultKind
	Args  []any // that belong to the kind
}

// What is the fault in English, worded to follow the field.
func (f Fault) What() string { return fmt.Sprintf(faultTexts[f.Kind], f.Args...) }
