package question

import (
	"slices"
	"strings"

	"kassa/catalog/words"
)

func isArticle(form string) bool {
	return slices.Contains([]string{"a", "an", "the", "some", "any", "какои", "нибудь", "то", "что", "something", "anything"}, form)
}

// isOpener reports words after which the story begins.
func isOpener(form string) bool {
	return slices.Contains([]string{"about", "where", "which", "who", "whose", "when", "that", "how", "про", "о", "об", "обо", "где", "котором", "которои", "которых",
		"которыи", "которая", "которые", "которого", "когда", "как", "чтобы", "there", "там"}, form)
}

func isBut(form string) bool {
	return slices.Contains([]string{"but", "но", "only", "только", "except", "кроме"}, form)
}

func isJoin(form string) bool {
	return slices.Contains([]string{"and", "и", "или", "or", "also", "также", "made", "снятыи", "снято", "released", "вышедшии", "was", "were", "is", "that", "которыи"}, form) || isBut(form)
}

// isWish reports words of requesting a film, which begin a question.
func isWish(t token) bool {
	return slices.Contains([]string{"looking", "recommend", "suggest", "want", "good", "best", "nice", "хочу", "хочется", "ищу", "посоветуйте", "посоветуй", "порекомендуйте", "хорошии", "лучшие", "лучшии", "хорошее", "i", "for", "me", "мне", "find"}, t.Form)
}

func isMade(t token) bool {
	return slices.Contains([]string{"made", "shot", "released", "filmed", "снятыи", "снятая", "снято", "сняты", "вышедшии", "выпущенныи", "производства"}, t.Form)
}

func isPlayed(t token) bool {
	return slices.Contains([]string{"starring", "featuring", "directed", "режиссера", "режиссер"}, t.Form)
}

func isAward(t token) bool { _, ok := awardNames[t.Stem]; return ok }

func isNumber(form string) bool { return form != "" && '0' <= form[0] && form[0] <= '9' }

// origin reads "from France", «из Франции», "in French", «на французском языке».
func (c *conditions) origin(i, end int) int {
	at := i
	for at < end && isMade(c.tokens[at]) {
		at++
	}
	if at+1 >= end {
		return i
	}
	n := at + 1
	if c.tokens[n].Form == "the" && n+1 < end {
		n++
	}
	made := at > i
	switch form := c.tokens[at].Form; {
	case form == "from" || form == "из" || made && (form == "in" || form == "в" || form == "во"):
		if codes, ok := countryNames[c.tokens[n].Stem]; ok {
			for n+1 < end && (c.tokens[n+1].Form == "states" || c.tokens[n+1].Form == "штатов" || c.tokens[n+1].Form == "штаты") {
				n++
			}
			c.add(i, n+1, Filter{Field: Country, Value: codes})
			return n + 1
		}
	case form == "in" || form == "на":
		if code, ok := languageNames[c.tokens[n].Stem]; ok && (n+1 == end || c.mayFollow(n+1) || strings.HasPrefix(c.tokens[n+1].Form, "язык") || c.tokens[n+1].Form == "language") {
			if n+1 < end && (strings.HasPrefix(c.tokens[n+1].Form, "язык") || c.tokens[n+1].Form == "language") {
				n++
			}
			c.add(i, n+1, Filter{Field: Language, Value: code})
			return n + 1
		}
	}
	return i
}

// people reads who made the film or plays in it, after a word for a film.
func (c *conditions) people(i, end int) int {
	field, at := Person, i
	switch form := c.tokens[i].Form; form {
	case "by", "от":
		field, at = Director, i+1
	case "with", "с", "со":
		field, at = Actor, i+1
	}
	if name, n := c.v.person(c.tokens[at:end]); n > 0 {
		c.add(i, at+n, Filter{Field: field, Value: name})
		return at + n
	}
	return i
}

// explicit reads conditions that are recognised anywhere: "directed by X", "starring
// X", «режиссёр X».
func (c *conditions) explicit(i, end int) int {
	if isMade(c.tokens[i]) {
		if next := c.years(i, end); next > i {
			return next
		}
		return c.origin(i, end)
	}
	field, at := Field(""), i
	switch form := c.tokens[i].Form; {
	case form == "directed" && i+1 < end && c.tokens[i+1].Form == "by":
		field, at = Director, i+2
	case form == "director", strings.HasPrefix(form, "режиссер"):
		field, at = Director, i+1
	case form == "starring", form == "featuring":
		field, at = Actor, i+1
	case form == "actor", form == "actress", strings.HasPrefix(form, "актер"), strings.HasPrefix(form, "актрис"):
		field, at = Actor, i+1
	case form == "играет", form == "снимается", form == "снялся", form == "снялась":
		field, at = Actor, i+1
	case form == "снял", form == "сняла":
		field, at = Director, i+1
	default:
		return i
	}
	if at < end {
		if name, n := c.v.person(c.tokens[at:end]); n > 0 {
			c.add(i, at+n, Filter{Field: field, Value: name})
			return at + n
		}
	}
	return i
}

// flagAdjective reads "black and white", "silent", "children's" before a noun.
func flagAdjective(tokens []token) (flag string, n int) {
	forms := func(list ...string) bool {
		if len(tokens) < len(list) {
			return false
		}
		for i, f := range list {
			if !strings.HasPrefix(tokens[i].Form, f) {
				return false
			}
		}
		return true
	}
	switch {
	case forms("black", "and", "white"):
		return "black-and-white", 3
	case forms("черно", "бел"), forms("чб", "фильм"):
		return "black-and-white", 2
	case tokens[0].Form == "чб", forms("чернобел"):
		return "black-and-white", 1
	case tokens[0].Form == "silent", slices.Contains([]string{"немои", "немое", "немые", "немого", "немых"}, tokens[0].Form):
		return "silent", 1
	case forms("children", "s"):
		return "for-children", 2
	case tokens[0].Form == "kids", tokens[0].Form == "children", forms("детск"):
		return "for-children", 1
	}
	return "", 0
}

func flagAt(tokens []token) string { flag, _ := flagAdjective(tokens); return flag }

// genrePhrase reads two-word genres.
func genrePhrase(tokens []token) (genre string, n int) {
	if len(tokens) < 2 || tokens[1].breaks {
		return "", 0
	}
	switch tokens[0].Form + " " + tokens[1].Stem {
	case "science fiction", "sci fi", "научная фантастик", "научнои фантастик", "научную фантастик":
		return "science-fiction", 2
	case "film noir", "фильм нуар":
		return "film-noir", 2
	case "rom com":
		return "comedy", 2
	}
	return "", 0
}

// flags reads "for children", «для всей семьи», "in black and white", "with an Oscar".
func (c *conditions) flags(i, end int) int {
	t := c.tokens[i]
	if (t.Form == "for" || t.Form == "для") && i+1 < end {
		n := i + 1
		for n+1 < end && slices.Contains([]string{"the", "whole", "all", "my", "всеи", "моих", "маленьких", "little", "small", "young"}, c.tokens[n].Form) {
			n++
		}
		if slices.Contains([]string{"children", "kids", "family", "детеи", "семьи", "ребенка", "малышеи", "child", "toddlers", "дошкольников"}, c.tokens[n].Form) {
			c.add(i, n+1, Filter{Field: Flag, Value: "for-children"})
			return n + 1
		}
	}
	if t.Form == "in" && i+1 < end {
		if flag, n := flagAdjective(c.tokens[i+1 : end]); flag == "black-and-white" {
			c.add(i, i+1+n, Filter{Field: Flag, Value: flag})
			return i + 1 + n
		}
	}
	n := i
	for n < end && n < i+4 && slices.Contains([]string{"that", "which", "won", "win", "with", "an", "the", "has", "got", "winner", "of", "winning", "best", "picture", "которыи", "получил", "получила", "получивший", "получившии", "взял", "с", "со", "лауреат", "премии", "премией", "золотая", "золотои"}, c.tokens[n].Form) {
		n++
	}
	if n < end && n > i && isAward(c.tokens[n]) {
		value := awardNames[c.tokens[n].Stem]
		n++
		for n < end && slices.Contains([]string{"award", "awards", "for", "best", "picture", "film", "winner", "d", "or", "ветвь", "ветви"}, c.tokens[n].Form) {
			n++
		}
		c.add(i, n, Filter{Field: Award, Value: value})
		return n
	}
	return i
}

// like reads "like X but Y", «что-то вроде X, только Y»: X is an example.
func (c *conditions) like(start, end int) bool {
	for i := start; i < end; i++ {
		at := i
		switch form := c.tokens[i].Form; {
		case form == "like", form == "вроде", form == "типа", form == "как", form == "наподобие", form == "reminiscent", form == "resembling":
			at = i + 1
		case (form == "similar" || form == "близко" || form == "похоже" || form == "похожии" || form == "похожее" || form == "похожая" || form == "похожие") && i+1 < end && (c.tokens[i+1].Form == "to" || c.tokens[i+1].Form == "на"):
			at = i + 2
		case (form == "духе" || form == "стиле" || form == "vein" || form == "style" || form == "spirit") && i > start:
			if at = i + 1; at < end && c.tokens[at].Form == "of" {
				at++
			}
		default:
			continue
		}
		for at < len(c.tokens) && (isArticle(c.tokens[at].Form) || filmNouns[c.tokens[at].Stem] || c.tokens[at].Form == "film" || c.tokens[at].Form == "в") {
			if _, n := c.v.titleInAnyCase(c.tokens[at:]); n > 0 {
				break
			}
			at++
		}
		if at >= len(c.tokens) {
			continue
		}
		id, n := c.v.titleInAnyCase(c.tokens[at:])
		if n == 0 {
			continue
		}
		// "acts like her", "like brothers": a one-word title must be set apart.
		behind := at + n
		apart := behind == len(c.tokens) || c.tokens[behind].breaks || isBut(c.tokens[behind].Form) || c.tokens[at].quoted || n > 1
		before := i == start || c.describesLike(i)
		if !apart || !before {
			continue
		}
		for k := i + 1; k < behind && k < len(c.tokens); k++ {
			c.taken[k] = true
		}
		c.taken[i] = true
		if i > start && (c.tokens[i-1].Form == "в" || c.tokens[i-1].Form == "in") {
			c.taken[i-1] = true
		}
		c.add(at, behind, Filter{Field: Like, Value: id})
		for behind < len(c.tokens) && isBut(c.tokens[behind].Form) {
			c.taken[behind] = true
			behind++
		}
		if behind < end {
			c.part(c.difference(behind, end), end)
		}
		return true
	}
	return false
}

// difference reads how the film differs from an example, as far as that is conditions:
// "but japanese and much bloodier". It answers with the word behind.
func (c *conditions) difference(start, end int) int {
	restore := c.remember()
	i := c.modifiers(start, end)
	if i < end && !isJoin(c.tokens[i].Form) && !isOpener(c.tokens[i].Form) && !c.tokens[i].breaks && !words.IsStop(c.tokens[i].Form) {
		restore() // a french spy
		return start
	}
	return i
}

// describesLike reports that "like" compares films: it follows a word for a
// film, a genre, "something".
func (c *conditions) describesLike(i int) bool {
	for k := i - 1; k >= 0 && k >= i-2; k-- {
		t := c.tokens[k]
		if filmNouns[t.Stem] || c.genreAt(k) != "" || isArticle(t.Form) || isWish(t) || slices.Contains([]string{"smth", "нечто", "в", "in", "more", "чего", "чтото", "том", "такое", "такои"}, t.Form) {
			return true
		}
	}
	return false
}
