package catalog

import (
	"slices"
	"testing"

	"kassa/catalog/question"
)

// Questions that name conditions find films that meet them.
func TestConditions(t *testing.T) {
	c := given(t, shipped(t), small)
	byID := make(map[string]Movie)
	for _, m := range c.Movies() {
		byID[m.ID] = m
	}
	for _, q := range []struct {
		text string
		meet func(Movie) bool
	}{
		{"soviet comedy", func(m Movie) bool { return hasCode(m.Countries, "SU") && hasCode(m.Genres, "comedy") }},
		{"советская комедия", func(m Movie) bool { return hasCode(m.Countries, "SU") && hasCode(m.Genres, "comedy") }},
		{"film before 1950", func(m Movie) bool { return m.Year < 1950 }},
		{"cartoon after 2005", func(m Movie) bool { return m.Year > 2005 && hasCode(m.Genres, "animation") }},
		{"russian films", func(m Movie) bool { return hasCode(m.Countries, "SU") || hasCode(m.Countries, "RU") }},
		{"комедия не про зомби", func(m Movie) bool { return hasCode(m.Genres, "comedy") && m.ID != "shaun-of-the-dead-2004" }},
		{"like Alien but funny", func(m Movie) bool { return m.ID != "alien-1979" }},
		{"Рязанов", func(m Movie) bool {
			return slices.ContainsFunc(m.Directors, func(p Person) bool { return p.NameRU == "Эльдар Рязанов" })
		}},
		{"фильм короче полутора часов", func(m Movie) bool { return m.Runtime <= 90 }},
		{"western not set in America", func(m Movie) bool { return !hasCode(m.Countries, "US") }},
	} {
		read := c.Read(q.text)
		found, err := c.Nearest(t.Context(), Query{Text: read.Text, Conditions: read.Filters, Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if !q.meet(byID[f.MovieID]) {
				t.Errorf("%q finds %s (%.3f)", q.text, f.MovieID, f.Score)
			}
		}
	}
}

func hasCode(list []string, code string) bool { return slices.Contains(list, code) }

// Several countries that are asked for by one word are shown by one.
func TestRegions(t *testing.T) {
	c := given(t, shipped(t), small)
	for text, want := range map[string]string{"asian film about a ghost": "Asia", "скандинавский фильм про зиму": "Scandinavia", "german film about a spy": "Germany"} {
		filters := c.Read(text).Filters
		if len(filters) != 1 {
			t.Fatalf("%q is read as %v", text, filters)
		}
		if region, ok := Region(filters[0].Value); !ok || region.Name != want {
			t.Errorf("%q asks for %q, want %s", text, region.Name, want)
		}
	}
}

// What a record does not say is unknown: the film comes behind those that are known to
// meet the condition, before those that do not.
func TestFulfils(t *testing.T) {
	bare := Movie{ID: "bare-1930", Title: "Bare", Year: 1930}
	known := Movie{ID: "known-1930", Title: "Known", Year: 1930, Runtime: 150, Genres: []string{"drama"}, Directors: []Person{{Name: "Anna Berg"}}, Moods: []string{"dark"}}
	for _, tt := range []struct {
		condition   question.Filter
		bare, known Fulfilment
	}{
		{question.Filter{Field: question.Runtime, To: 120}, Unrecorded, Unmet},
		{question.Filter{Field: question.Runtime, To: 180}, Unrecorded, Met},
		{question.Filter{Field: question.Director, Value: "Anna Berg"}, Unrecorded, Met},
		{question.Filter{Field: question.Director, Value: "Ivan Lee"}, Unrecorded, Unmet},
		{question.Filter{Field: question.Person, Value: "Anna Berg"}, Unrecorded, Met},
		{question.Filter{Field: question.Flag, Value: "silent"}, Unrecorded, Unmet},
		{question.Filter{Field: question.Flag, Value: "black-and-white"}, Unrecorded, Unmet},
		{question.Filter{Field: question.Genre, Value: "comedy"}, Unrecorded, Unmet},
		{question.Filter{Field: question.Genre, Value: "comedy", Not: true}, Met, Met},
		{question.Filter{Field: question.Years, From: 1930, To: 1930}, Met, Met},
		{question.Filter{Field: question.Topic, Value: "war"}, Unrecorded, Unrecorded},
	} {
		if b, k := bare.Fulfils(tt.condition), known.Fulfils(tt.condition); b != tt.bare || k != tt.known {
			t.Errorf("%+v: %d and %d, want %d and %d", tt.condition, b, k, tt.bare, tt.known)
		}
		if b, k := judge(&bare, tt.condition), judge(&known, tt.condition); tt.bare == Unrecorded && (tt.known == Met && b >= k || tt.known == Unmet && b <= k) {
			t.Errorf("%+v: the factors are %v without a record, and %v with one", tt.condition, b, k)
		}
	}
	late := bare
	late.Year = 1994
	if late.Fulfils(question.Filter{Field: question.Flag, Value: "silent"}) != Unmet {
		t.Error("a film of 1994 may be silent")
	}
}

// A condition that is taken back has no part in the ranking: a film that does not meet it
// comes first, where one that does came before.
func TestAConditionTakenBackIsNotApplied(t *testing.T) {
	c, _ := served()
	first := func(text string) string {
		read := c.Read(text)
		found, err := c.Find(t.Context(), Query{Text: read.Text, Typed: text, Conditions: read.Filters, Limit: 5})
		if err != nil {
			t.Fatal(err)
		}
		return found.Matches[0].MovieID
	}
	for _, tt := range []struct{ text, value, with, without string }{
		{"soviet film about a shark", "SU", "amphibian-man-1961", "jaws-1975"},
		{"советский фильм про самураев", "SU", "alexander-nevsky-1938", "rashomon-1950"},
	} {
		filters := c.Read(tt.text).Filters
		at := slices.IndexFunc(filters, func(f question.Filter) bool { return f.Value == tt.value })
		if at < 0 {
			t.Fatalf("%q is read as %+v", tt.text, filters)
		}
		marked, ok := question.AsTyped(tt.text, filters[at].Piece)
		if with, without := first(tt.text), first(marked); !ok || with != tt.with || without != tt.without {
			t.Errorf("%q: %s is first, and %s without the condition (%q)", tt.text, with, without, marked)
		}
	}
}
