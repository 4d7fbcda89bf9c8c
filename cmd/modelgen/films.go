package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Film is a film of the catalogue, as its JSON files have it.
type Film struct {
	ID            string   `json:"id"`
	Title         string   `json:"title"`
	TitleRU       string   `json:"title_ru"`
	OriginalTitle string   `json:"original_title"`
	Year          int      `json:"year"`
	Directors     []Person `json:"directors"`
	Cast          []Person `json:"cast"`
	Countries     []string `json:"countries"`
	Genres        []string `json:"genres"`
	Description   string   `json:"description"`
	DescriptionRU string   `json:"description_ru"`
	Keywords      []string `json:"keywords"`
	KeywordsRU    []string `json:"keywords_ru"`
}

// Person is a director or an actor.
type Person struct {
	Name   string `json:"name"`
	NameRU string `json:"name_ru"`
}

// readFilms reads every *.json file of a folder, an array of films each, and
// returns the films in the order of their ids.
func readFilms(dir string) ([]Film, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("find film files in %s: %d found, %w", dir, len(paths), err)
	}
	var films []Film
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read films: %w", err)
		}
		var part []Film
		if err := json.Unmarshal(content, &part); err != nil {
			return nil, fmt.Errorf("read films of %s: %w", filepath.Base(path), err)
		}
		films = append(films, part...)
	}
	slices.SortFunc(films, func(a, b Film) int { return strings.Compare(a.ID, b.ID) })
	return films, nil
}
