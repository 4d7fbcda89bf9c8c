package main

import (
	"strconv"
	"strings"
)

// filmTexts returns the three texts that a film is embedded from: what it is
// about in English, the same in Russian, and its people in both. The film's
// vector is the mean of their unit vectors, made a unit vector again. So a
// query in either language meets a text of its own, and long casts do not
// drown what a film is about.
//
// Lists are joined by spaces and not by commas, for a comma takes a piece of
// the model's window.
func filmTexts(f Film) []string {
	var people []string
	for _, p := range append(f.Directors[:len(f.Directors):len(f.Directors)], f.Cast...) {
		people = append(people, p.Name, p.NameRU)
	}
	year := strconv.Itoa(f.Year)
	return []string{
		join(f.Title, year, join(f.Genres...), join(f.Keywords...), f.Description),
		join(f.TitleRU, year, join(f.KeywordsRU...), f.DescriptionRU),
		join(people...),
	}
}

func join(parts ...string) string { return strings.Join(parts, " ") }
