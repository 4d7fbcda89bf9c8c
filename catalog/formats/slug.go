package formats

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"kassa/catalog"
)

// slug is the id of a film without one: its title in lower-case Latin letters, and its
// year. A title in other scripts is replaced by its hash.
func slug(title string, year int) string {
	const most = 80
	name := catalog.Slug(title)
	if name == "" || len(name) > most {
		sum := sha256.Sum256([]byte(title))
		name = "film-" + hex.EncodeToString(sum[:6])
	}
	return fmt.Sprintf("%s-%d", name, year)
}

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
