package question

import (
	"maps"
	"slices"
	"strings"

	"kassa/catalog/words"
)

// condition is a condition that was recognised, and the words that say it.
type condition struct {
	Filter
	from, to int
}

// isTakenBack reports that the text says not to apply a condition: a word of it is to be
// read as typed. It is recognised all the same: its words ask for what is not wanted any
// more, and the rest is read as before.
func (c *conditions) isTakenBack(found condition) bool {
	return slices.ContainsFunc(c.tokens[found.from:found.to], func(t token) bool { return t.asTyped })
}

// add adds a condition, whose words leave the text.
func (c *conditions) add(from, to int, f Filter) {
	found := condition{f, from, to}
	bound := f.Not || f.Field == Years || f.Field == Runtime || f.Field == Like || c.isTakenBack(found)
	var typed []string
	for i := from; i < to; i++ {
		c.taken[i], c.bounds[i] = true, bound
		typed = append(typed, c.tokens[i].Typed)
	}
	found.Typed = strings.Join(typed, " ")
	if f.Field == Person || f.Field == Director || f.Field == Actor {
		c.names[from] = name{f.Value, to - from}
	}
	c.found = append(c.found, found)
}

// remember returns a function that undoes what was recognised since.
func (c *conditions) remember() (restore func()) {
	found, taken, bounds, names := len(c.found), slices.Clone(c.taken), slices.Clone(c.bounds), maps.Clone(c.names)
	return func() {
		c.found, c.taken, c.bounds, c.names = c.found[:found], taken, bounds, names
	}
}

// ordered returns the conditions in the order of the text: those that apply, and those
// that are taken back.
func (c *conditions) ordered(fields []string) (applied, takenBack []Filter) {
	found := slices.Clone(c.found)
	slices.SortStableFunc(found, func(a, b condition) int { return a.from - b.from })
	for _, one := range found {
		if one.Not && slices.ContainsFunc(found, func(o condition) bool { return !o.Not && o.Field == one.Field && o.Value == one.Value }) {
			continue // "horror but no slasher": what is asked for is not denied by its own kind
		}
		first, last := c.tokens[one.from].field, c.tokens[one.to-1].field
		one.Piece = strings.Join(fields[first:last+1], " ")
		if c.isTakenBack(one) {
			takenBack = append(takenBack, one.Filter)
		} else {
			applied = append(applied, one.Filter)
		}
	}
	return applied, takenBack
}

// asTyped are the words that the text says to read as typed, apart from those of
// conditions that are taken back.
func (c *conditions) asTyped() (typed []string) {
	for i, t := range c.tokens {
		if t.asTyped && !slices.ContainsFunc(c.found, func(found condition) bool { return i >= found.from && i < found.to }) {
			typed = append(typed, t.Typed)
		}
	}
	return typed
}

// rest is the text without its conditions. If nothing else describes the film, the
// words for a genre, a country or a name stay: films have these words too.
func (c *conditions) rest() string {
	left, telling := c.except(c.taken)
	if !telling {
		left, _ = c.except(c.bounds)
	}
	return left
}

// except is the text without some of its words, and whether the others contain a
// content word.
func (c *conditions) except(out []bool) (left string, telling bool) {
	var typed []string
	for i := 0; i < len(c.tokens); i++ {
		t := c.tokens[i]
		if out[i] {
			continue
		}
		telling = telling || !words.IsStop(t.Form) && !filmNouns[t.Stem]
		if name, ok := c.names[i]; ok { // in the nominative, as it is searched for
			typed = append(typed, name.text)
			i += name.words - 1
			continue
		}
		typed = append(typed, t.Typed)
	}
	return strings.Join(typed, " "), telling
}
