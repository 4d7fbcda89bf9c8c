// Package catalog keeps the films: it loads them from JSON, stores them with
// the vectors of their texts, and finds those nearest to what somebody asks.
package catalog

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
)

// Movie is a film, as the JSON files have it. English and Russian stand side
// by side, because people ask in either.
type Movie struct {
	ID            string   `json:"id"` // title and year in small Latin letters, digits and hyphens
	Title         string   `json:"title"`
	TitleRU       string   `json:"title_ru"`
	OriginalTitle string   `json:"original_title"` // in the film's own script
	Year          int      `json:"year"`           // of the first showing
	Directors     []Person `json:"directors"`
	Cast          []Person `json:"cast"`      // most prominent first; may be empty, as in films without actors
	Countries     []string `json:"countries"` // codes, see Country
	Genres        []string `json:"genres"`    // codes, see Genre
	Runtime       int      `json:"runtime"`   // minutes
	Description   string   `json:"description"`
	DescriptionRU string   `json:"description_ru"`
	Keywords      []string `json:"keywords"` // themes, objects, places: what people remember
	KeywordsRU    []string `json:"keywords_ru"`
}

// Person is a director or an actor.
type Person struct {
	Name   string `json:"name"`
	NameRU string `json:"name_ru"`
}

// people are all who are named with a film.
func (m Movie) people() []Person { return slices.Concat(m.Directors, m.Cast) }

// content is the film as it is stored, and the hash that tells whether a film
// has changed.
func (m Movie) content() ([]byte, [sha256.Size]byte, error) {
	content, err := json.Marshal(m)
	return content, sha256.Sum256(content), err
}

// EmbeddingTexts returns the texts that a film is embedded from, one for each
// language. The film's vector is the mean of their unit vectors, made a unit
// vector again.
func EmbeddingTexts(m Movie) []string {
	var names, namesRU []string
	for _, p := range m.people() {
		names = append(names, p.Name)
		namesRU = append(namesRU, p.NameRU)
	}
	return []string{
		strings.Join([]string{m.Title, strings.Join(m.Keywords, ", "), strings.Join(m.Genres, ", "), m.Description, strings.Join(names, ", ")}, ". "),
		strings.Join([]string{m.TitleRU, strings.Join(m.KeywordsRU, ", "), m.DescriptionRU, strings.Join(namesRU, ", ")}, ". "),
	}
}
