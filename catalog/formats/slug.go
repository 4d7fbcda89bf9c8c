package formats

import (
	"fmt"
	"strings"

	"kassa/catalog"
)

// titleKey is equal for films with the same title and year, in any notation.
func titleKey(title string, year int) string {
	return fmt.Sprint(strings.ReplaceAll(strings.ToLower(title), "ё", "е"), " ", year)
}

// shippedTitles are the shipped films by title and year: a film of another catalogue
// with the same is the same film. Titles of two films are left out.
func shippedTitles() (map[string]string, error) {
	movies, err := catalog.Shipped()
	if err != nil {
		return nil, err
	}
	ids := make(map[string]string)
	for _, m := range movies {
		for _, title := range []string{m.Title, m.TitleRU} {
			key := titleKey(title, m.Year)
			if before, ok := ids[key]; ok && before != m.ID {
				ids[key] = ""
				continue
			}
			ids[key] = m.ID
		}
	}
	return ids, nil
}
