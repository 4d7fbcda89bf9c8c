// Package catalog stores the films: it loads them from JSON, stores them with the
// vectors of their texts, and finds those nearest to a question.
package catalog

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Movie is a film, as in the JSON files. It has English and Russian texts, because
// users ask in both. A film needs an id, a year and a title in one of the languages;
// what else is missing makes it harder to find (see Lacking).
type Movie struct {
	ID            string   `json:"id"` // title and year in lower-case Latin letters, digits and hyphens
	Title         string   `json:"title"`
	TitleRU       string   `json:"title_ru"`
	OriginalTitle string   `json:"original_title"` // in the film's own script
	Year          int      `json:"year"`           // of the premiere
	Directors     []Person `json:"directors"`
	Cast          []Person `json:"cast"`      // most prominent first; may be empty, as in films without actors
	Countries     []string `json:"countries"` // codes, see Country
	Genres        []string `json:"genres"`    // codes, see Genre
	Runtime       int      `json:"runtime"`   // minutes
	Description   string   `json:"description"`
	DescriptionRU string   `json:"description_ru"`
	Keywords      []string `json:"keywords"` // themes, objects, places: what people remember
	KeywordsRU    []string `json:"keywords_ru"`

	OtherTitles   []string    `json:"other_titles,omitempty"` // by which it is known too, in any language, transcriptions included
	Characters    []Character `json:"characters,omitempty"`
	Lines         []Line      `json:"lines,omitempty"`
	Settings      []Setting   `json:"settings,omitempty"`
	Moods         []string    `json:"moods,omitempty"`     // codes, see Mood
	Themes        []string    `json:"themes,omitempty"`    // codes, see Theme
	Languages     []string    `json:"languages,omitempty"` // codes of the spoken languages, see SpokenLanguage
	Awards        []string    `json:"awards,omitempty"`    // codes, see Award
	Series        *Series     `json:"series,omitempty"`
	IDs           *IDs        `json:"ids,omitempty"`
	BlackAndWhite bool        `json:"black_and_white,omitempty"`
	Silent        bool        `json:"silent,omitempty"`
	ForChildren   bool        `json:"for_children,omitempty"`
}

// Person is a director or an actor. One of the names may be missing.
type Person struct {
	Name   string `json:"name"`
	NameRU string `json:"name_ru"`
}

// Character is a main character of a film. One of the names may be missing.
type Character struct {
	Name   string `json:"name"`
	NameRU string `json:"name_ru"`
	Actor  string `json:"actor,omitempty"` // English name, as in the cast
}

// Line is a famous line of a film. One of the texts may be missing.
type Line struct {
	Text   string `json:"text"`
	TextRU string `json:"text_ru"`
}

// Setting is a place or time of the story. One of the names may be missing.
type Setting struct {
	Name   string `json:"name"`
	NameRU string `json:"name_ru"`
}

// Series is what a film is a part of. One of the names may be missing.
type Series struct {
	Name   string `json:"name"`
	NameRU string `json:"name_ru"`
	Part   int    `json:"part"` // from 1
}

// IDs are a film's ids in other databases, in their notation.
type IDs struct {
	IMDb      string `json:"imdb,omitempty"`
	Kinopoisk string `json:"kinopoisk,omitempty"`
	Wikidata  string `json:"wikidata,omitempty"`
}

// either is the text in a language ("ru", and English for all others), or the other one
// if it is missing.
func either(language, english, russian string) string {
	if language == "ru" {
		return cmp.Or(russian, english)
	}
	return cmp.Or(english, russian)
}

// TitleIn returns the title in a language, or in the other one if it has none.
func (m Movie) TitleIn(language string) string { return either(language, m.Title, m.TitleRU) }

// DescriptionIn returns the description in a language, or in the other one if it has none.
func (m Movie) DescriptionIn(language string) string {
	return either(language, m.Description, m.DescriptionRU)
}

// In returns the name in a language, or in the other one if it has none.
func (p Person) In(language string) string { return either(language, p.Name, p.NameRU) }

// In returns the name in a language, or in the other one if it has none.
func (s Series) In(language string) string { return either(language, s.Name, s.NameRU) }

// people are all persons of a film.
func (m Movie) people() []Person { return slices.Concat(m.Directors, m.Cast) }

// normalize makes missing fields uniform: an empty list for a field that every film's
// JSON has, and nil for the others.
func (m *Movie) normalize() {
	for _, list := range []*[]string{&m.Countries, &m.Genres, &m.Keywords, &m.KeywordsRU} {
		*list = append([]string{}, *list...)
	}
	for _, list := range []*[]Person{&m.Directors, &m.Cast} {
		*list = append([]Person{}, *list...)
	}
	for _, list := range []*[]string{&m.OtherTitles, &m.Moods, &m.Themes, &m.Languages, &m.Awards} {
		*list = append([]string(nil), *list...)
	}
	m.Characters = append([]Character(nil), m.Characters...)
	m.Lines = append([]Line(nil), m.Lines...)
	m.Settings = append([]Setting(nil), m.Settings...)
}

// content is the film's stored form, and a hash of it that detects changes.
func (m Movie) content() ([]byte, [sha256.Size]byte, error) {
	m.normalize()
	content, err := json.Marshal(m)
	return content, sha256.Sum256(content), err
}

// EmbeddingTexts returns the texts from which a film is embedded: its content in
// English, the same in Russian, and its people in both. The film's vector is the
// normalised mean of their unit vectors. So a query in either language is compared with
// a text in its own, and a long cast does not outweigh the content. Empty texts are
// left out.
//
// Lists are joined by spaces, because a comma would take a piece of the model's window.
func EmbeddingTexts(m Movie) []string {
	var people, texts []string
	for _, p := range m.people() {
		people = append(people, p.Name, p.NameRU)
	}
	year := strconv.Itoa(m.Year)
	if m.Title != "" || m.Description != "" || len(m.Keywords) > 0 {
		texts = append(texts, join(m.Title, year, join(m.Genres...), join(m.Keywords...), m.Description))
	}
	if m.TitleRU != "" || m.DescriptionRU != "" || len(m.KeywordsRU) > 0 {
		texts = append(texts, join(m.TitleRU, year, join(m.KeywordsRU...), m.DescriptionRU))
	}
	if len(people) > 0 {
		texts = append(texts, join(people...))
	}
	return texts
}

func join(parts ...string) string { return strings.Join(parts, " ") }

// textsHash identifies the texts from which a vector was made.
func (m Movie) textsHash() [sha256.Size]byte {
	return sha256.Sum256([]byte(strings.Join(EmbeddingTexts(m), "\n"))) // no text contains a line end
}
