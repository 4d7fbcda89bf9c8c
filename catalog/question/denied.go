package question

import (
	"slices"

	"kassa/catalog/words"
)

// denial is the beginning of what a film must not be.
type denial struct {
	word    string // "not", "without", «без»
	from    int    // index of that word
	at      int    // index of the first word of what is denied
	without bool   // the word denies things, as "without" does, and not properties
	relation
}

// relation is what is between the word that denies and what is denied.
type relation int

const (
	direct relation = iota // "not a musical"
	about                  // "not about war"
	with                   // "not with", "not from", "not by"
	set                    // "not set in"
)

// denied reads what the film must not be: "not a musical", "without zombies",
// «не американский», "not set in Paris", «не про войну», «без Тома Круза».
func (c *conditions) denied(i, end int) int {
	d, ok := c.denialAt(i, end)
	if !ok {
		return i
	}
	if name, n := c.v.person(c.tokens[d.at:end]); n > 0 {
		c.add(i, d.at+n, Filter{Field: Person, Value: name, Not: true})
		return d.at + n
	}
	if codes, ok := countryNames[c.tokens[d.at].Stem]; ok {
		if d.word == "no" && i > 0 && !c.tokens[i].breaks && !isJoin(c.tokens[i-1].Form) {
			return i // "in Chile, no Mexico" corrects what is before it
		}
		c.add(i, d.at+1, Filter{Field: Country, Value: codes, Not: true})
		return d.at + 1
	}
	if next := c.deniedProperty(d, end); next > i {
		return next
	}
	return c.deniedWord(d)
}

// almost are words before a denial that denies nothing.
var almost = []string{"almost", "hardly", "nearly", "почти", "practically"}

var (
	withouts = []string{"without", "без", "no", "кроме", "except", "sans"}
	nots     = []string{"not", "не", "non", "isn", "aren", "nothing", "никаких", "ничего"}
	// fillers are words before what is denied.
	fillers = []string{"a", "an", "the", "any", "too", "слишком", "в", "жанре", "всяких", "much", "лишних"}
)

// denialAt reads the words before what is denied; ok: there are any, and something follows.
func (c *conditions) denialAt(i, end int) (d denial, ok bool) {
	d = denial{word: c.tokens[i].Form, from: i, at: i + 1}
	if c.taken[i] || i > 0 && slices.Contains(almost, c.tokens[i-1].Form) {
		return d, false
	}
	d.without = slices.Contains(withouts, d.word)
	if !d.without && !slices.Contains(nots, d.word) {
		return d, false
	}
	if (d.word == "isn" || d.word == "aren") && d.at < end && c.tokens[d.at].Form == "t" {
		d.at++
	}
	skip := func(skipped func(form string) bool) {
		for d.at < end && skipped(c.tokens[d.at].Form) {
			d.at++
		}
	}
	skip(func(form string) bool { return slices.Contains(fillers, form) })
	if d.at >= end {
		return d, false
	}
	switch c.tokens[d.at].Form {
	case "about", "про", "о", "об":
		d.relation, d.at = about, d.at+1
	case "with", "с", "со", "from", "из", "by", "featuring", "starring", "in", "во", "в":
		d.relation, d.at = with, d.at+1
	case "set", "taking":
		d.relation, d.at = set, d.at+1
		skip(func(form string) bool { return slices.Contains([]string{"in", "place", "the"}, form) })
	}
	skip(isArticle)
	return d, d.at < end
}

// deniedProperty reads an adjective, a genre or colour: "not french", "no musical".
func (c *conditions) deniedProperty(d denial, end int) int {
	if d.relation == direct {
		first := len(c.found)
		if next := c.adjective(d.at, end, true); next > d.at {
			for k := d.from; k < d.at; k++ {
				c.taken[k] = true
			}
			c.found[first].from = d.from
			c.found[first].Typed = d.word + " " + c.found[first].Typed
			return next
		}
		if genre := c.genreAt(d.at); genre != "" && (d.at+1 == end || c.mayFollow(d.at+1)) {
			c.add(d.from, d.at+1, Filter{Field: Genre, Value: genre, Not: true})
			return d.at + 1
		}
	}
	if t := c.tokens[d.at]; t.Stem == "цветн" || t.Form == "color" || t.Form == "colour" || t.Form == "coloured" {
		c.add(d.from, d.at+1, Filter{Field: Flag, Value: "black-and-white"})
		return d.at + 1
	}
	return d.from
}

// deniedWord reads any other word, as where the film is not set or what it is not about.
func (c *conditions) deniedWord(d denial) int {
	t := c.tokens[d.at]
	field := Topic
	switch {
	case words.IsStop(t.Form):
		return d.from
	case d.relation == set:
		field = Setting
	case d.relation != about && !(d.without && c.describes(d.from, d.at)):
		return d.from
	}
	c.add(d.from, d.at+1, Filter{Field: field, Value: t.Typed, Not: true})
	return d.at + 1
}

// describes reports that the words before describe the film and not a person in it: "a
// comedy without …", or something that many users avoid, anywhere.
func (c *conditions) describes(i, at int) bool {
	if avoidable[c.tokens[at].Stem] || i == 0 {
		return true
	}
	t := c.tokens[i-1]
	return !c.tokens[i].breaks && (filmNouns[t.Stem] || c.genreAt(i-1) != "" || isBut(t.Form))
}
