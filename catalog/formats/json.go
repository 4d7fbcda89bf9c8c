package formats

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"strings"
	"unicode/utf8"

	"kassa/catalog"
)

// fileMax is the maximum size of a JSON file, which is read as a whole; JSON Lines have
// no limit.
const fileMax = 64 << 20

// whole reads a file of JSON.
func (in *input) whole() ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(in.content, fileMax+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", in.name, err)
	}
	if len(content) > fileMax {
		return nil, fmt.Errorf("read %s: the file has more than %d MiB: write one film a line, as JSON Lines", in.name, fileMax>>20)
	}
	return content, nil
}

// json reads Kassa's own files.
func (s *Source) json() iter.Seq2[film, error] {
	return func(yield func(film, error) bool) {
		for _, in := range s.main {
			content, err := in.whole()
			if err != nil {
				fail(yield, err)
				return
			}
			for m, err := range catalog.Decode(in.name, content) {
				at := row{in, m.Line}
				if !yield(film{m.Movie, at}, err) {
					return
				}
			}
		}
	}
}

// jsonLines reads files with one film per line.
func (s *Source) jsonLines() iter.Seq2[film, error] {
	return func(yield func(film, error) bool) {
		for _, in := range s.main {
			for {
				line, err := in.line()
				if isEnd(err) {
					break
				}
				if err == nil && strings.TrimSpace(line) == "" {
					continue
				}
				if !s.jsonLine(in, line, err, yield) {
					return
				}
			}
		}
	}
}

func (s *Source) jsonLine(in *input, line string, err error, yield func(film, error) bool) bool {
	if err != nil {
		_, isRow := errors.AsType[catalog.Problem](err)
		return yield(film{}, err) && isRow
	}
	for m, err := range catalog.Decode(in.name, []byte(line)) {
		if p, wrong := errors.AsType[catalog.Problem](err); wrong {
			p.Line = in.lines
			err = p
		}
		if !yield(film{m.Movie, in.here()}, err) {
			return false
		}
	}
	return true
}

// replacedFilm is a film in the files of the replaced system.
type replacedFilm struct {
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Year        int      `json:"year"`
	Genres      []string `json:"genres"`
	Director    string   `json:"director"`
	Cast        []string `json:"cast"`
	Rating      any      `json:"rating"`
	Country     string   `json:"country"`
}

// kinds are the types of JSON that a film's fields have.
var kinds = map[reflect.Kind]string{reflect.Int: "a whole number", reflect.String: "a text", reflect.Slice: "an array of texts", reflect.Struct: "an object"}

// replaced reads the files of the system that Kassa replaces: a JSON array of films in
// one language, without ids.
func (s *Source) replaced() iter.Seq2[film, error] {
	return func(yield func(film, error) bool) {
		shipped, err := shippedTitles()
		if err != nil {
			fail(yield, err)
			return
		}
		for _, in := range s.main {
			content, err := in.whole()
			if err != nil {
				fail(yield, err)
				return
			}
			if !elements(in, content, func(at row, element []byte, err error) bool {
				f := film{at: at}
				if err == nil {
					f, err = replacedMovie(at, element, shipped)
				}
				return yield(f, err)
			}) {
				return
			}
		}
	}
}

// elements calls each with every element of an array.
func elements(in *input, content []byte, each func(row, []byte, error) bool) bool {
	tokens := json.NewDecoder(bytes.NewReader(content))
	lines, counted := 1, 0
	line := func(at int) row {
		lines += bytes.Count(content[counted:at], []byte("\n"))
		counted = at
		return row{in, lines}
	}
	if t, err := tokens.Token(); err != nil || t != json.Delim('[') {
		return each(line(0), nil, line(0).problem("is no JSON array of films"))
	}
	for tokens.More() {
		var element json.RawMessage
		if err := tokens.Decode(&element); err != nil {
			end := int(tokens.InputOffset())
			if errors.Is(err, io.ErrUnexpectedEOF) {
				end = len(content)
			}
			at := line(max(counted, end))
			return each(at, nil, at.problem("is not JSON, and the file cannot be read further: %v", err))
		}
		begin := int(tokens.InputOffset()) - len(element)
		if !each(line(begin), element, nil) {
			return false
		}
	}
	if _, err := tokens.Token(); err != nil {
		at := line(len(content))
		return each(at, nil, at.problem("is not JSON: the file ends within the array"))
	}
	return true
}

func replacedMovie(at row, element []byte, shipped map[string]string) (film, error) {
	f := film{at: at}
	var r replacedFilm
	if !utf8.Valid(element) {
		return f, at.problem("is not UTF-8")
	}
	if err := json.Unmarshal(element, &r); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return f, at.problem("%s is of the type %s, and must be %s", cmp.Or(wrong.Field, "it"), wrong.Value, kinds[wrong.Type.Kind()])
		}
		return f, at.problem("is no film: %v", err)
	}
	title := clean(r.Title)
	if title == "" {
		return f, at.problem("has no title")
	}
	f.Year = r.Year
	f.ID = shipped[titleKey(title, r.Year)]
	if f.ID == "" {
		f.ID = catalog.NewID(title, r.Year)
	}
	inLanguage(title, &f.Title, &f.TitleRU)
	inLanguage(shorten(clean(r.Description), descriptionMax), &f.Description, &f.DescriptionRU)
	genres(&f.Movie, r.Genres)
	countries(&f.Movie, strings.Split(r.Country, ","))
	f.Directors, f.Cast = people([]string{r.Director}, castMax), people(r.Cast, castMax)
	return f, nil
}
