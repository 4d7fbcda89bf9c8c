// Package catalog keeps the films: it loads them from JSON, stores them with
// the vectors of their texts, and finds those nearest to what somebody asks.
package catalog

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strconv"
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

// EmbeddingTexts returns the three texts that a film is embedded from: what it
// is about in English, the same in Russian, and its people in both. The film's
// vector is the mean of their unit vectors, made a unit vector again. So a
// query in either language meets a text of its own, and long casts do not
// drown what a film is about.
//
// Lists are joined by spaces and not by commas, for a comma takes a piece of
// the model's window.
func EmbeddingTexts(m Movie) []string {
	var people []string
	for _, p := range m.people() {
		people = append(people, p.Name, p.NameRU)
	}
	year := strconv.Itoa(m.Year)
	return []string{
		join(m.Title, year, join(m.Genres...), join(m.Keywords...), m.Description),
		join(m.TitleRU, year, join(m.KeywordsRU...), m.DescriptionRU),
		join(people...),
	}
}

func join(parts ...string) string { return strings.Join(parts, " ") }

// textsHash tells whether a vector was made from the film's present texts.
func (m Movie) textsHash() [sha256.Size]byte {
	return sha256.Sum256([]byte(strings.Join(EmbeddingTexts(m), "\n"))) // no text has a line's end
}
