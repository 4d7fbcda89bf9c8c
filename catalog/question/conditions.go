package question

import (
	"slices"
	"strconv"

	"kassa/catalog/words"
)

// conditions finds the conditions of a text. A word for a genre or a country is a
// condition if it describes the film ("a french comedy about …"), and not if it belongs
// to the story ("a french spy teaches drama"). So conditions are looked for where the
// film is described: in the noun phrase before "about", "where" and similar words,
// directly after that phrase, and in parts between pauses that contain nothing else.
type conditions struct {
	v      *Vocabulary
	tokens []token
	taken  []bool       // words removed from the text
	bounds []bool       // words that are never searched for: numbers, negated ones, and those of what is taken back
	names  map[int]name // by their first word: people as the catalogue names them
	found  []condition
}

// name replaces some words of the text.
type name struct {
	text  string
	words int
}

func (c *conditions) recognise() {
	if _, n := c.v.title(c.tokens); n == len(c.tokens) || c.v.isCharacter(c.tokens) || c.titleAmongFilmNouns() {
		return // the question is a title or a name, whatever words it is made of
	}
	c.greeting()
	for start := 0; start < len(c.tokens); {
		end := c.partEnd(start)
		c.part(start, end)
		start = end
	}
}

// greeting takes a greeting at the start out of the text: it is no part of the story.
func (c *conditions) greeting() {
	if _, n := c.v.title(c.tokens); n > 0 {
		return // "Hello, I'm Your Aunt!"
	}
	n := 0
	for n < len(c.tokens) && slices.Contains(greetings, c.tokens[n].Form) {
		n++
	}
	if n > 0 && slices.ContainsFunc(c.tokens[n:], func(t token) bool { return !words.IsStop(t.Form) && !otherWords[talkWords][t.Stem] }) {
		for i := range n {
			c.taken[i], c.bounds[i] = true, true
		}
	}
}

var greetings = []string{"hello", "hi", "hey", "good", "morning", "evening", "afternoon", "day", "everyone", "everybody", "there", "guys", "dear", "please",
	"привет", "приветствую", "здравствуите", "здравствуи", "добрыи", "доброе", "доброго", "день", "вечер", "утро", "времени", "суток", "всем", "хаи", "салют", "ребята", "друзья"}

// titleAmongFilmNouns: "the movie Soviet Comedy".
func (c *conditions) titleAmongFilmNouns() bool {
	from, to := 0, len(c.tokens)
	for from < to && (filmNouns[c.tokens[from].Stem] || isArticle(c.tokens[from].Form)) {
		from++
	}
	for to > from && filmNouns[c.tokens[to-1].Stem] {
		to--
	}
	_, n := c.v.title(c.tokens[from:to])
	return n > 0 && n == to-from
}

// partEnd is the first word of the next part of the sentence.
func (c *conditions) partEnd(start int) int {
	for i := start + 1; i < len(c.tokens); i++ {
		if c.tokens[i].breaks || isBut(c.tokens[i].Form) && !c.tokens[i].quoted {
			return i
		}
	}
	return len(c.tokens)
}

// part reads one part of the sentence. In the first one, and in one that begins with a
// word for a film, conditions are mixed with other words; any other part is a condition
// as a whole, or none.
func (c *conditions) part(start, end int) {
	if c.like(start, end) {
		return
	}
	for i := start; i < end && !isOpener(c.tokens[i].Form); i++ {
		if next := c.denied(i, end); next > i {
			i = next - 1
			continue
		}
		if next, ok := c.nounPhrase(i, end); ok {
			c.scattered(c.modifiers(next, end), end)
			return
		}
		if next := c.explicit(i, end); next > i {
			i = c.modifiers(next, end) - 1
		} else if t := c.tokens[i]; !words.IsStop(t.Form) && !isWish(t) && !isArticle(t.Form) {
			break // the story has begun
		}
	}
	found, restore := len(c.found), c.remember()
	i := start
	for i < end && (isBut(c.tokens[i].Form) || isArticle(c.tokens[i].Form) || isWish(c.tokens[i])) {
		i++
	}
	if i = c.modifiers(i, end); i < end || len(c.found) == found {
		restore()
		c.scattered(start, end)
	}
}

// scattered reads conditions that are recognised also inside a story.
func (c *conditions) scattered(i, end int) {
	for ; i < end; i++ {
		for _, read := range []func(int, int) int{c.explicit, c.denied, c.seriesPart} {
			if next := read(i, end); next > i {
				i = next - 1
				break
			}
		}
	}
}

// nounPhrase reads "an old french comedy": adjectives, some of which are conditions,
// and a noun for a film or a genre, which must be its end ("drama teacher" is none). It
// returns the index of the next word.
func (c *conditions) nounPhrase(start, end int) (int, bool) {
	restore := c.remember()
	undo := func() (int, bool) {
		restore()
		return 0, false
	}
	const strangersMax = 2 // other adjectives
	strangers, described, storytelling := 0, false, false
	for i := start; i < end; {
		t := c.tokens[i]
		genre := genreNoun(t)
		isGenre := genre != ""
		if !isGenre || i+1 < end && (filmNouns[c.tokens[i+1].Stem] || c.genreAt(i+1) != "") {
			if next := c.adjective(i, end, false); next > i {
				i, described = next, true
				continue
			}
		}
		switch {
		case filmNouns[t.Stem]:
			if i++; i < end && c.genreAt(i) == "" && !c.mayFollow(i) {
				return undo()
			}
			if i < end && c.genreAt(i) != "" { // фильм ужасов
				continue
			}
			return i, true
		case isGenre:
			if i++; storytelling || i < end && !filmNouns[c.tokens[i].Stem] && c.genreAt(i) == "" && !c.mayFollow(i) {
				return undo()
			}
			c.add(i-1, i, Filter{Field: Genre, Value: genre})
			if i < end && (filmNouns[c.tokens[i].Stem] || c.genreAt(i) != "") {
				continue
			}
			return i, true
		case described && isOpener(t.Form):
			return i, true // «корейский про маньяка»
		case isArticle(t.Form) && i == start, t.Form == "and", t.Form == "и":
			i++
		case strangers < strangersMax && !words.IsStop(t.Form):
			strangers++
			storytelling = described // "a french spy teaches drama", but "a french spy film"
			i++
		default:
			return undo()
		}
	}
	return undo()
}

func (c *conditions) genreAt(i int) string { return genreNoun(c.tokens[i]) }

// genreNoun is the genre that a word names. "Music", of the same stem as "musical",
// names none.
func genreNoun(t token) string {
	if t.Form == "music" {
		return ""
	}
	return genreNouns[t.Stem]
}

// mayFollow reports whether a word may follow the noun for a film.
func (c *conditions) mayFollow(i int) bool {
	t := c.tokens[i]
	if words.IsStop(t.Form) || isNumber(t.Form) || isOpener(t.Form) {
		return true
	}
	if _, n := c.v.person(c.tokens[i:]); n > 0 {
		return true
	}
	for _, m := range []map[string]string{countryAdjectives, genreAdjectives, decadeWords} {
		if _, ok := m[t.Stem]; ok {
			return true
		}
	}
	_, before := bounds[t.Form]
	return before || isPlayed(t) || t.Form == "set" || isMade(t) || flagAt(c.tokens[i:]) != "" || isAward(t)
}

// adjective reads one adjective that is a condition; not: it is negated.
func (c *conditions) adjective(i, end int, not bool) int {
	t := c.tokens[i]
	if flag, n := flagAdjective(c.tokens[i:end]); n > 0 {
		c.add(i, i+n, Filter{Field: Flag, Value: flag, Not: not})
		return i + n
	}
	if genre, n := genrePhrase(c.tokens[i:end]); n > 0 {
		c.add(i, i+n, Filter{Field: Genre, Value: genre, Not: not})
		return i + n
	}
	if codes, ok := countryAdjectives[t.Stem]; ok {
		c.add(i, i+1, Filter{Field: Country, Value: codes, Not: not})
		return i + 1
	}
	if genre, ok := genreAdjectives[t.Stem]; ok {
		c.add(i, i+1, Filter{Field: Genre, Value: genre, Not: not})
		return i + 1
	}
	if from, to, n := decade(c.tokens[i:end]); n > 0 {
		c.add(i, i+n, Filter{Field: Years, From: from, To: to, Not: not})
		return i + n
	}
	if year, ok := year(t.Form); ok && (i+1 == end || filmNouns[c.tokens[min(i+1, end-1)].Stem] || c.genreAt(min(i+1, end-1)) != "") {
		c.add(i, i+1, Filter{Field: Years, From: year, To: year, Not: not})
		return i + 1
	}
	if isAward(t) && i+1 < end && (c.tokens[i+1].Form == "winning" || c.tokens[i+1].Form == "winner") {
		c.add(i, i+2, Filter{Field: Award, Value: awardNames[t.Stem], Not: not})
		return i + 2
	}
	if t.Stem == "оскароносн" {
		c.add(i, i+1, Filter{Field: Award, Value: "oscar", Not: not})
		return i + 1
	}
	return i
}

// modifiers reads all conditions that follow a word for a film, and returns the index
// of the first word that is none.
func (c *conditions) modifiers(i, end int) int {
	for i < end {
		next := i
		if isJoin(c.tokens[i].Form) && i+1 < end {
			next++
		}
		after := c.modifier(next, end)
		if after == next {
			break
		}
		i = after
	}
	return i
}

func (c *conditions) modifier(i, end int) int {
	for _, read := range []func(int, int) int{c.years, c.runtime, c.explicit, c.origin, c.flags, c.describing, c.people, c.denied, c.seriesPart} {
		if next := read(i, end); next > i {
			return next
		}
	}
	if codes, ok := countryNames[c.tokens[i].Stem]; ok {
		c.add(i, i+1, Filter{Field: Country, Value: codes})
		return i + 1
	}
	if genre := c.genreAt(i); genre != "" && (i+1 == end || c.mayFollow(i+1)) {
		c.add(i, i+1, Filter{Field: Genre, Value: genre})
		return i + 1
	}
	return i
}

// describing reads an adjective after the noun that it describes, or alone. In English
// "family" and "war" are nouns there.
func (c *conditions) describing(i, end int) int {
	stem := c.tokens[i].Stem
	if _, ok := genreAdjectives[stem]; ok && scriptOf(stem) == latin && (i+1 == end || !filmNouns[c.tokens[i+1].Stem] && c.genreAt(i+1) == "") {
		return i
	}
	return c.adjective(i, end, false)
}

// seriesPart reads which part of a series is meant: "second part of The
// Godfather", "the second Alien", «Крёстный отец 2», «Брат, вторая часть». The
// name of the series stays in the text.
func (c *conditions) seriesPart(i, end int) int {
	if part, n := c.ordinal(i, end); n > 0 {
		last := end
		if n == 1 { // without "part" it is directly before the name
			last = min(i+2, end)
		}
		for j := i + n; j < last; j++ {
			if name, _ := c.seriesAt(j, end); name != "" {
				c.add(i, i+n, Filter{Field: Series, Value: name, From: part})
				return i + n
			}
		}
	}
	name, n := c.seriesAt(i, end)
	if at := i + n; name != "" && at < len(c.tokens) {
		part, used := c.ordinal(at, len(c.tokens))
		if used == 0 && at < end {
			const partsMax = 30
			number, ok := numbers[c.tokens[at].Form]
			if digits, err := strconv.Atoi(c.tokens[at].Form); err == nil {
				number, ok = float64(digits), true
			}
			if ok && number == float64(int(number)) && number >= 1 && number <= partsMax && !isArticle(c.tokens[at].Form) {
				part, used = int(number), 1
			}
		} else if used == 1 {
			used = 0 // "Rocky: first he trains, …"
		}
		if used > 0 {
			c.add(at, at+used, Filter{Field: Series, Value: name, From: part})
			return at + used
		}
	}
	return i
}

// ordinal reads "second", or "second part" and "second film".
func (c *conditions) ordinal(i, end int) (part, n int) {
	part, err := strconv.Atoi(ordinals[c.tokens[i].Stem])
	if err != nil {
		return 0, 0
	}
	if i+1 < end {
		if s := c.tokens[i+1].Stem; s == "part" || s == "част" || filmNouns[s] {
			return part, 2
		}
	}
	return part, 1
}

// seriesAt is the series whose name begins at a word, and the number of its words.
func (c *conditions) seriesAt(i, end int) (name string, n int) {
	if i >= end {
		return "", 0
	}
	for _, s := range c.v.series[steady(c.tokens[i].Stem)] {
		if len(s.stems) > n && c.hasStems(i, end, s.stems) {
			name, n = s.name, len(s.stems)
		}
	}
	return name, n
}

func (c *conditions) hasStems(i, end int, stems []string) bool {
	if i+len(stems) > end {
		return false
	}
	for k, stem := range stems {
		if steady(c.tokens[i+k].Stem) != stem {
			return false
		}
	}
	return true
}
