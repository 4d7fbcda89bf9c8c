package question

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"kassa/catalog/words"
)

// Name is a name in both languages; either may be empty.
type Name struct{ Name, NameRU string }

// Title is one film's titles.
type Title struct {
	ID    string
	Texts []string // in all its languages
}

// Source is the content of a catalogue's vocabulary.
type Source struct {
	Words      iter.Seq2[words.Word, int32] // every word of the films and of the lexicon, and how many of them have it; Typed as people spell it
	People     []Name
	Characters []Name
	Series     []Name
	Titles     []Title
}

// Vocabulary is the words of a catalogue, indexed for lookups of misspelled words. It
// is immutable, and safe for concurrent use.
type Vocabulary struct {
	forms   map[string]int32  // normalised word to the number of texts that have it
	spelt   map[string]string // normalised word to its spelling, if that differs
	stems   map[string]bool
	spelled [][]spelled // forms by their number of letters, for near
	// Words by their skeletons, for transliteration in both directions.
	skeletons     map[string]string // of Cyrillic forms
	stemSkeletons map[string]string // of Cyrillic stems, to a form that has it
	soundWords    soundIndex        // Latin forms
	soundNames    soundIndex        // titles and names of several words
	almost        almostIndex       // the same
	nameWords     map[string]bool   // words of titles and names
	people        []person
	nameParts     map[string][]namePart   // a word of a name, in any case, to the people with that name
	nominative    map[string]string       // a declined Russian name, which is no name itself, to the one in the catalogue
	series        map[string][]seriesName // by the first stem of their names, in order
	titles        map[string]string       // all forms of a title, joined, to a film's id
	titleStems    map[string]string       // the same by stems, for titles in other cases
	titleMax      int                     // words of the longest title
	characters    map[string]bool         // all forms of a character's name, joined
}

type seriesName struct {
	name  string
	stems []string // of the words of its name in one language
}

// NewVocabulary reads the source once.
func NewVocabulary(s Source) *Vocabulary {
	v := &Vocabulary{
		forms: make(map[string]int32), spelt: make(map[string]string), stems: make(map[string]bool),
		skeletons: make(map[string]string), stemSkeletons: make(map[string]string),
		nameParts: make(map[string][]namePart), nominative: make(map[string]string), titles: make(map[string]string), titleStems: make(map[string]string),
		series: make(map[string][]seriesName), characters: make(map[string]bool), nameWords: make(map[string]bool),
	}
	stemOf := make(map[string]string)
	for w, times := range s.Words {
		v.forms[w.Form] += times
		if typed := strings.ToLower(w.Typed); typed != w.Form && utf8.RuneCountInString(typed) > 2 {
			v.spelt[w.Form] = typed
		}
		v.stems[w.Stem] = true
		stemOf[w.Form] = w.Stem
	}
	for form, stem := range common {
		if _, known := stemOf[form]; !known {
			stemOf[form] = stem
		}
	}
	v.addPeople(s.People)
	v.addSeries(s.Series)
	v.addTitles(s.Titles)
	v.addCharacters(s.Characters)
	v.addFullNames(s)
	v.index(stemOf)
	return v
}

func (v *Vocabulary) addSeries(series []Name) {
	add := func(name string, stems []string) {
		if len(stems) > 0 {
			v.series[stems[0]] = append(v.series[stems[0]], seriesName{name, stems})
		}
	}
	for _, name := range series {
		for _, text := range []string{name.Name, name.NameRU} {
			stems := stemsOf(text)
			add(cmp.Or(name.Name, name.NameRU), stems)
			if len(stems) > 1 && stems[0] == "the" { // users leave out the article
				add(cmp.Or(name.Name, name.NameRU), stems[1:])
			}
		}
	}
}

func (v *Vocabulary) addTitles(titles []Title) {
	for _, t := range titles {
		for _, text := range t.Texts {
			forms := formsOf(text)
			if len(forms) > 0 {
				v.titles[strings.Join(forms, " ")] = t.ID
				v.titleStems[strings.Join(stemsOf(text), " ")] = t.ID
				v.titleMax = max(v.titleMax, len(forms))
			}
		}
	}
}

func stemsOf(text string) []string {
	var stems []string
	for _, w := range words.Split(text) {
		stems = append(stems, steady(w.Stem))
	}
	return stems
}

// steady drops the vowel that occurs only in some cases of a Russian word: отец, отца.
func steady(stem string) string {
	runes := []rune(stem)
	if n := len(runes); n >= 4 && scriptOf(stem) == cyrillic && strings.ContainsRune("ео", runes[n-2]) && !strings.ContainsRune(vowels, runes[n-1]) && !strings.ContainsRune(vowels, runes[n-3]) {
		return string(runes[:n-2]) + string(runes[n-1])
	}
	return stem
}

func formsOf(text string) []string {
	var forms []string
	for _, w := range words.Split(text) {
		forms = append(forms, w.Form)
	}
	return forms
}

// index prepares the forms for near, and for words of the other alphabet.
func (v *Vocabulary) index(stemOf map[string]string) {
	// In order, so that equal candidates are chosen alike in every process.
	for _, form := range slices.Sorted(maps.Keys(stemOf)) {
		runes := []rune(form)
		for len(v.spelled) <= len(runes) {
			v.spelled = append(v.spelled, nil)
		}
		if len(runes) >= spelledMin {
			v.spelled[len(runes)] = append(v.spelled[len(runes)], spelled{form, runes, letters(runes)})
		}
		switch scriptOf(form) {
		case cyrillic:
			v.prefer(v.skeletons, skeleton(form), form)
			v.prefer(v.stemSkeletons, skeleton(stemOf[form]), form)
		case latin:
			v.soundWords.add(form)
		}
	}
	v.soundWords.sort()
}

func (v *Vocabulary) addNameWords(name string) {
	for _, form := range formsOf(name) {
		v.nameWords[form] = true
	}
}

// addFullNames prepares titles, series and names of several words for being found by
// their sound and with a slip.
func (v *Vocabulary) addFullNames(s Source) {
	added := make(map[string]bool)
	add := func(text string) {
		if text != "" && !added[text] {
			added[text] = true
			v.soundNames.add(text)
			v.almost.add(text)
		}
	}
	for _, t := range s.Titles {
		for _, text := range t.Texts {
			add(text)
			v.addNameWords(text)
			if name, _, ok := strings.Cut(text, ":"); ok { // people leave out what follows
				add(name)
			}
		}
	}
	for _, list := range [][]Name{s.Series, s.People, s.Characters} {
		for _, name := range list {
			for _, text := range []string{name.Name, name.NameRU} {
				v.addNameWords(text)
				if strings.Contains(text, " ") {
					add(text)
				}
			}
		}
	}
	v.soundNames.sort()
	v.almost.sort()
}

// prefer keeps, of the forms with one key, the one with the most texts.
func (v *Vocabulary) prefer(m map[string]string, key, form string) {
	if key == "" {
		return
	}
	if old, ok := m[key]; !ok || v.forms[form] > v.forms[old] {
		m[key] = form
	}
}

// knows reports whether a word, or another form of it, is in the catalogue, is used in
// asking for films, or is common in the two languages.
func (v *Vocabulary) knows(w words.Word) bool {
	return v.forms[w.Form] > 0 || v.stems[w.Stem] || commonStems[w.Stem] || len(v.nameParts[w.Form]) > 0 || words.IsStop(w.Form) || isCondition(w) || v.knowsPrefixed(w) ||
		slices.ContainsFunc(compared(w.Form), func(form string) bool { return v.forms[form] > 0 || common[form] != "" })
}

// knowsForm is knows, but for words of so short a stem that it is also that of others.
func (v *Vocabulary) knowsForm(w words.Word) bool {
	const stemMin = 3 // letters
	return v.forms[w.Form] > 0 || common[w.Form] != "" || utf8.RuneCountInString(w.Stem) >= stemMin && v.knows(w) || words.IsStop(w.Form)
}

// compared is an English adjective without the ending of a comparison: bloodier, slower.
func compared(form string) []string {
	for _, end := range []string{"est", "er"} {
		if rest, ok := strings.CutSuffix(form, end); ok && len(rest) > 2 && scriptOf(form) == latin {
			if body, ok := strings.CutSuffix(rest, "i"); ok {
				return []string{body + "y"}
			}
			return []string{rest, rest + "e"}
		}
	}
	return nil
}

// prefixes make other words of known ones: "оговорил" is no typo of "говорил".
var prefixes = []string{"не", "недо", "пере", "при", "про", "под", "подо", "рас", "раз", "разо", "об", "обо", "от", "ото", "из", "изо", "ис", "вз", "вс", "вос", "воз", "вы", "за", "на", "над", "до", "по", "о", "у", "с", "со", "в", "во", "без", "бес", "пре", "супер",
	"un", "re", "over", "under", "out", "mis", "dis", "non", "super", "in", "anti"}

// knowsPrefixed reports whether a word is a known one with a prefix.
func (v *Vocabulary) knowsPrefixed(w words.Word) bool {
	const lettersMin = 7 // of a prefix of more than two letters and a stem, or of the stem alone and three more
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(w.Stem, p); ok && (len([]rune(rest)) >= lettersMin-3 || len([]rune(rest)) == 3 && len([]rune(p)) >= 4) && (v.stems[rest] || commonStems[rest]) {
			return true
		}
	}
	return false
}

// title finds the longest title at the start of a list of words.
func (v *Vocabulary) title(tokens []token) (id string, n int) {
	return longest(v.titles, tokens[:min(v.titleMax, len(tokens))], func(t token) string { return t.Form })
}

// titleInAnyCase is title, also for declined titles.
func (v *Vocabulary) titleInAnyCase(tokens []token) (id string, n int) {
	if id, n = v.title(tokens); n > 0 {
		return id, n
	}
	return longest(v.titleStems, tokens[:min(v.titleMax, len(tokens))], func(t token) string { return steady(t.Stem) })
}

func longest[V any](titles map[string]V, tokens []token, of func(token) string) (id V, n int) {
	var key strings.Builder
	for i, t := range tokens {
		if i > 0 {
			key.WriteByte(' ')
		}
		key.WriteString(of(t))
		if film, ok := titles[key.String()]; ok {
			id, n = film, i+1
		}
	}
	return id, n
}
