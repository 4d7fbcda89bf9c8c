package web

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"kassa/catalog"
	"kassa/catalog/question"
	"kassa/domain"
)

// reading is how a question was understood, shown to the user who asked it.
type reading struct {
	Corrected  string      // what is searched for instead of what was typed
	AsTyped    string      // words that are searched for as typed
	Back       []takeBack  // corrections that can be taken back
	Conditions []condition // that apply
	Without    string      // conditions that were taken back
}

// Offers reports whether anything can be taken back.
func (r reading) Offers() bool {
	return len(r.Back) > 0 || slices.ContainsFunc(r.Conditions, func(c condition) bool { return len(c.Pieces) > 0 })
}

// takeBack is a form that asks again without some corrections, or without a condition.
type takeBack struct {
	Pieces []string // of the text, to be read as typed
	Label  string
}

// condition is a condition in words, with the form that asks again without it; it has no
// pieces where that cannot be.
type condition struct {
	takeBack
	Words string
}

// takeBackMost is how many corrections have a form each; more are taken back together.
const takeBackMost = 3

// takeBacks are the forms for a question: for each correction, and for all.
func (pc *pageContext) takeBacks(text string, corrections []question.Correction) (list []takeBack) {
	var all []string
	for _, c := range corrections {
		if _, ok := question.AsTyped(text, c.From); ok && !slices.Contains(all, c.From) { // else what was corrected before it is taken back
			all = append(all, c.From)
		}
	}
	if len(all) > takeBackMost {
		return []takeBack{{all, pc.T("answer.as_typed.all")}}
	}
	for _, piece := range all {
		list = append(list, takeBack{[]string{piece}, pc.T("answer.as_typed", pc.T("quoted", piece))})
	}
	if len(all) > 1 {
		list = append(list, takeBack{all, pc.T("answer.as_typed.all")})
	}
	return list
}

func (pc *pageContext) reading(text string, matches []domain.Match) reading {
	if text == "" {
		return reading{}
	}
	read := pc.pages.Films.Read(text)
	var out reading
	if len(read.Corrections) > 0 {
		var from, to []string
		for _, c := range read.Corrections {
			from, to = append(from, pc.T("quoted", c.From)), append(to, pc.T("quoted", c.To))
		}
		out.Corrected = pc.T("answer.corrected", strings.Join(to, ", "), strings.Join(from, ", "))
		out.Back = pc.takeBacks(text, read.Corrections)
	}
	if len(read.AsTyped) > 0 {
		out.AsTyped = pc.T("answer.as_typed.done", pc.T("quoted", strings.Join(read.AsTyped, " ")))
	}
	var films []catalog.Movie
	for _, m := range matches {
		if film, ok := pc.pages.Films.Movie(m.MovieID); ok {
			films = append(films, film)
		}
	}
	out.Conditions = pc.conditions(text, read.Filters, films)
	if len(read.TakenBack) > 0 {
		var without []string
		for _, c := range pc.conditions(text, read.TakenBack, films) {
			without = append(without, pc.T("quoted", c.Words))
		}
		out.Without = pc.T("answer.without.done", strings.Join(without, ", "))
	}
	return out
}

// conditions are the conditions of a question in words, each once: what several words of
// the question say is taken back with all of them.
func (pc *pageContext) conditions(text string, filters []question.Filter, films []catalog.Movie) (list []condition) {
	for _, f := range filters {
		words := f.Typed // includes its negation
		if named := pc.condition(f, films); named != "" {
			if words = named; f.Not {
				words = pc.T("condition.not", named)
			}
		}
		at := slices.IndexFunc(list, func(c condition) bool { return c.Words == words })
		if at < 0 {
			at = len(list)
			list = append(list, condition{takeBack{Label: pc.T("answer.without", pc.T("quoted", words))}, words})
		}
		if _, ok := question.AsTyped(text, f.Piece); ok && !slices.Contains(list[at].Pieces, f.Piece) {
			list[at].Pieces = append(list[at].Pieces, f.Piece)
		}
	}
	return list
}

// condition writes a condition as text; "" where the typed words are as good. Names are
// in the page's language where a film of the answer has them.
func (pc *pageContext) condition(f question.Filter, films []catalog.Movie) string {
	switch f.Field {
	case question.Genre:
		return strings.ToLower(pc.labels([]string{f.Value}, catalog.Genre))
	case question.Country:
		if region := pc.labels([]string{f.Value}, catalog.Region); region != "" {
			return region
		}
		return pc.labels(strings.Split(f.Value, ","), catalog.Country)
	case question.Language:
		if language := pc.labels([]string{f.Value}, catalog.SpokenLanguage); language != "" {
			return pc.T("condition.language", language)
		}
	case question.Flag:
		return strings.ToLower(pc.labels([]string{f.Value}, catalog.Flag))
	case question.Award:
		return pc.labels([]string{f.Value}, catalog.Award)
	case question.Years:
		return pc.span(f, "condition.since", "condition.until")
	case question.Runtime:
		return pc.span(f, "condition.longer", "condition.shorter")
	case question.Person:
		return pc.named(f.Value, films)
	case question.Director:
		return pc.T("condition.director", pc.named(f.Value, films))
	case question.Actor:
		return pc.T("condition.actor", pc.named(f.Value, films))
	case question.Series:
		name := pc.series(f.Value, films)
		if f.From > 0 {
			return pc.T("condition.part", name, f.From)
		}
		return name
	case question.Like:
		if film, ok := pc.pages.Films.Movie(f.Value); ok {
			return pc.T("condition.like", film.TitleIn(pc.Language.Code))
		}
	}
	return ""
}

// span writes bounds of years or minutes.
func (l *Language) span(f question.Filter, least, most string) string {
	switch {
	case f.From == f.To:
		return strconv.Itoa(f.From)
	case f.To == 0:
		return l.T(least, f.From)
	case f.From == 0:
		return l.T(most, f.To)
	}
	return fmt.Sprintf("%d–%d", f.From, f.To)
}

func (l *Language) named(name string, films []catalog.Movie) string {
	for _, m := range films {
		for _, p := range slices.Concat(m.Directors, m.Cast) {
			if p.Name == name || p.NameRU == name {
				return p.In(l.Code)
			}
		}
	}
	return name
}

func (l *Language) series(name string, films []catalog.Movie) string {
	for _, m := range films {
		if s := m.Series; s != nil && (s.Name == name || s.NameRU == name) {
			return s.In(l.Code)
		}
	}
	return name
}

// passageMost is how many characters of a sentence a reason shows; the card has the
// whole.
const passageMost = 100

// reasons are why a film is in an answer. What the film has only in the other language is
// shown by the words that the user typed; a sentence of the description in the other
// language is left out where the description is shown in the page's language.
func (pc *pageContext) reasons(m catalog.Movie, all []catalog.Reason) []string {
	var list []string
	for _, found := range all {
		words, in := m.ReasonIn(pc.Language.Code, found)
		if found.Field == catalog.FieldDescription && !strings.Contains(m.DescriptionIn(pc.Language.Code), words) {
			continue
		}
		why := shortened(strings.TrimSuffix(words, "."), passageMost)
		if in != "" && in != pc.Language.Code && strings.ContainsFunc(words, unicode.IsLetter) {
			why = pc.T("quoted", strings.Join(found.Typed, " "))
		}
		if !slices.Contains(list, why) {
			list = append(list, why)
		}
	}
	return list
}

// conditionsOf are the conditions of a question that a film meets, and those of which its
// record says nothing, in words.
func (pc *pageContext) conditionsOf(m catalog.Movie, filters []question.Filter) (met, unrecorded []string) {
	for _, f := range filters {
		words := pc.condition(f, []catalog.Movie{m})
		if words == "" || f.Not || f.Field == question.Like {
			continue
		}
		switch m.Fulfils(f) {
		case catalog.Met:
			met = append(met, words)
		case catalog.Unrecorded:
			unrecorded = append(unrecorded, words)
		}
	}
	return met, unrecorded
}
