package main

import "strings"

// filmTexts returns the texts that a film is embedded from. The film's vector
// is the mean of their unit vectors, made a unit vector again.
func filmTexts(f Film) []string {
	var names, namesRU []string
	for _, p := range append(f.Directors, f.Cast...) {
		names = append(names, p.Name)
		namesRU = append(namesRU, p.NameRU)
	}
	return []string{
		strings.Join([]string{f.Title, strings.Join(f.Keywords, ", "), strings.Join(f.Genres, ", "), f.Description, strings.Join(names, ", ")}, ". "),
		strings.Join([]string{f.TitleRU, strings.Join(f.KeywordsRU, ", "), f.DescriptionRU, strings.Join(namesRU, ", ")}, ". "),
	}
}
