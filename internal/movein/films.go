package movein

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"kassa/catalog"
	"kassa/catalog/formats"
)

// filmsPerFile keeps each file far below what the importer reads as a whole.
const filmsPerFile = 10_000

// WriteFilms writes the films into a folder, in the form of the old system's own files, and
// gives a row for each that the importer would leave out.
func WriteFilms(folder string, films []Film) (refused []Row, err error) {
	if len(films) == 0 {
		return nil, nil
	}
	first := map[string]int{} // the place of each file's first film
	for from := 0; from < len(films); from += filmsPerFile {
		name := fmt.Sprintf("films-%d.json", from)
		first[name] = from
		if err := writeFilms(filepath.Join(folder, name), films[from:min(from+filmsPerFile, len(films))]); err != nil {
			return nil, fmt.Errorf("write the films of the old database: %w", err)
		}
	}
	source, err := formats.Open(folder, formats.Options{Format: formats.Seed})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	for _, err := range source.Films() {
		p, isRow := errors.AsType[catalog.Problem](err)
		switch {
		case isRow:
			film := films[first[filepath.Base(p.File)]+p.Line-firstLine]
			refused = append(refused, Row{FilmUnusable, film.ID, 0})
		case err != nil:
			return nil, fmt.Errorf("check the films of the old database: %w", err)
		}
	}
	return refused, nil
}

// firstLine is the line of a file's first film; each film has one line.
const firstLine = 2

func writeFilms(path string, films []Film) error {
	var text bytes.Buffer
	separator := "[\n"
	for _, f := range films {
		line, err := json.Marshal(f)
		if err != nil {
			return err
		}
		text.WriteString(separator)
		text.Write(line)
		separator = ",\n"
	}
	text.WriteString("\n]\n")
	return os.WriteFile(path, text.Bytes(), 0o600)
}
