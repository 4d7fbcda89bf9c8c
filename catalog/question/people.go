package question

import (
	"maps"
	"slices"
	"strings"

	"kassa/catalog/words"
)

// person is a director or an actor.
type person struct {
	Name
	films int
}

// namePart is a word of a person's name.
type namePart struct {
	person  int
	russian bool
	part    string // in the nominative
	last    bool   // the surname, or the only name
}

func (v *Vocabulary) addPeople(people []Name) {
	known := make(map[Name]int)
	names := make(map[string]bool)
	for _, p := range people {
		if i, ok := known[p]; ok {
			v.people[i].films++
			continue
		}
		i := len(v.people)
		known[p] = i
		v.people = append(v.people, person{p, 1})
		for _, name := range []string{p.Name, p.NameRU} {
			parts := words.Split(name)
			for at, part := range parts {
				names[part.Form] = true
				for _, form := range declined(part.Form) {
					v.nameParts[form] = append(v.nameParts[form], namePart{i, name == p.NameRU, part.Typed, at == len(parts)-1})
					if _, ok := v.nominative[form]; !ok {
						v.nominative[form] = part.Typed
					}
				}
			}
		}
	}
	maps.DeleteFunc(v.nominative, func(form, _ string) bool { return names[form] })
}

func (v *Vocabulary) addCharacters(characters []Name) {
	for _, c := range characters {
		for _, name := range []string{c.Name, c.NameRU} {
			if forms := formsOf(name); len(forms) > 0 {
				v.characters[strings.Join(forms, " ")] = true
			}
		}
	}
}

// character is how many words at the start of a list are a character's full name.
func (v *Vocabulary) character(tokens []token) (n int) {
	_, n = longest(v.characters, tokens[:min(characterMax, len(tokens))], func(t token) string { return t.Form })
	return n
}

// isCharacter reports whether a list of words is a character's name, and of no other person.
func (v *Vocabulary) isCharacter(tokens []token) bool {
	if len(tokens) == 0 || v.character(tokens) < len(tokens) {
		return false
	}
	_, n := v.person(tokens)
	return n < len(tokens) || n == 1
}

// characterMax is the most words of a character's name that is looked for.
const characterMax = 6

// person finds somebody's name at the start of a list of words, in any case,
// and how many words it takes. A surname alone is enough, a first name
// alone is not. It answers with the whole name, or with the words that several
// people share.
func (v *Vocabulary) person(tokens []token) (name string, n int) {
	const partsMax = 4
	var alive, found map[int]candidate
	for i, t := range tokens[:min(partsMax, len(tokens))] {
		if i > 0 && t.breaks {
			break
		}
		next := make(map[int]candidate)
		for _, part := range v.nameParts[t.Form] {
			before, ok := alive[part.person]
			if i > 0 && !ok {
				continue
			}
			next[part.person] = candidate{append(slices.Clone(before.parts), part.part), before.surname || part.last, part.russian}
		}
		if alive = next; len(alive) == 0 {
			break
		}
		if slices.ContainsFunc(slices.Collect(maps.Values(alive)), func(c candidate) bool { return c.surname }) {
			found, n = alive, i+1
		}
	}
	if n == 1 && tokens[0].ordinary() {
		return "", 0 // black and white, a fall
	}
	if n > 0 && n <= v.character(tokens) && !v.isFullName(found, n) {
		return "", 0 // Bruce Wayne is no person called Bruce
	}
	best, shared := -1, 0
	for _, p := range slices.Sorted(maps.Keys(found)) {
		if found[p].surname && (best < 0 || v.people[p].films > v.people[best].films) {
			best = p
		}
	}
	if best < 0 {
		return "", 0
	}
	for _, c := range found {
		if c.surname && slices.Equal(c.parts, found[best].parts) {
			shared++
		}
	}
	switch {
	case shared > 1:
		return strings.Join(found[best].parts, " "), n
	case found[best].russian:
		return v.people[best].NameRU, n
	}
	return v.people[best].Name.Name, n
}

// candidate is a person whose name some words may be.
type candidate struct {
	parts   []string
	surname bool
	russian bool
}

// isFullName reports whether n words are all of the name of one of some people.
func (v *Vocabulary) isFullName(found map[int]candidate, n int) bool {
	for p, c := range found {
		name := v.people[p].Name.Name
		if c.russian {
			name = v.people[p].NameRU
		}
		if n > 1 && len(formsOf(name)) == n {
			return true
		}
	}
	return false
}

// ordinary reports that a word, written small, is more likely itself than a name.
func (t token) ordinary() bool {
	return (commonStems[t.Stem] || isCondition(t.Word) || words.IsStop(t.Form)) && strings.ToLower(t.Typed) == t.Typed
}
