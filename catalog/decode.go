package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds against files that are not films at all, and would fill the memory.
const (
	depthMax   = 100    // nesting in values that are skipped; a film needs four
	entriesMax = 1000   // entries of an array that are kept; more than any may have
	giveUpMax  = 10_000 // problems that are counted
)

// errBroken ends the reading of a file; the problem has been told.
var errBroken = errors.New("file cannot be read further")

// A decoder reads the films of one file token by token, because only so it
// knows the line of every field, and can go on after a wrong one.
type decoder struct {
	file     string
	problems *Problems
	places   map[string]string // id to "file:line" of the film, over all files

	content []byte
	json    *json.Decoder
	lines   int // line ends before counted
	counted int // bytes of content
}

// film is what is known of the film being read.
type film struct {
	movie Movie
	line  int
	lines map[string]int  // field to the line of its value
	wrong map[string]bool // fields whose problem is told
}

// decode returns the films of a file. They count only if no problem was added.
func (d *decoder) decode(content []byte) []Movie {
	d.content = bytes.TrimPrefix(content, []byte("\ufeff")) // what some editors of Windows begin a file with
	if at := invalidUTF8(d.content); at >= 0 {
		d.tell(d.lineAt(at), "", "", "is not UTF-8")
		return nil
	}
	if len(bytes.TrimSpace(d.content)) == 0 {
		d.tell(1, "", "", "the file is empty")
		return nil
	}
	d.json = json.NewDecoder(bytes.NewReader(d.content))
	d.json.UseNumber()
	movies, err := d.films()
	if err != nil {
		return nil
	}
	if t, err := d.json.Token(); err != io.EOF {
		d.tell(d.line(), "", "", fmt.Sprintf("after the films there is more: %s", naming(t, err)))
	}
	return movies
}

// films reads an array of films, or a single one.
func (d *decoder) films() ([]Movie, error) {
	t, err := d.token()
	if err != nil {
		return nil, err
	}
	if t == json.Delim('{') {
		m, err := d.film()
		return []Movie{m}, err
	}
	if t != json.Delim('[') {
		d.tell(d.line(), "", "", fmt.Sprintf("is %s, and must be an array of films", naming(t, nil)))
		return nil, errBroken
	}
	var movies []Movie
	for d.json.More() {
		t, err := d.token()
		if err != nil {
			return nil, err
		}
		if t != json.Delim('{') {
			d.tell(d.line(), "", "", fmt.Sprintf("is %s, and must be a film", naming(t, nil)))
			if err := d.skip(t); err != nil {
				return nil, err
			}
			continue
		}
		m, err := d.film()
		if err != nil {
			return nil, err
		}
		movies = append(movies, m)
	}
	if _, err := d.token(); err != nil {
		return nil, err
	}
	if len(movies) == 0 {
		d.tell(d.line(), "", "", "there is no film in the file")
	}
	return movies, nil
}

// film reads a film whose brace is read, and checks it.
func (d *decoder) film() (Movie, error) {
	f := &film{line: d.line(), lines: make(map[string]int), wrong: make(map[string]bool)}
	if err := d.object("", f, f.field); err != nil {
		return Movie{}, err
	}
	f.movie.validate(func(field, what string) {
		if f.wrong[field] {
			return
		}
		line, ok := f.lines[field]
		if !ok {
			line, what = f.above(field), "is missing"
		}
		d.tell(line, f.movie.ID, field, what)
	})
	if id := f.movie.ID; id != "" {
		if first, ok := d.places[id]; ok {
			d.tell(f.lines["id"], id, "id", "is already the id of the film at "+first)
		} else {
			d.places[id] = fmt.Sprintf("%s:%d", d.file, f.line)
		}
	}
	return f.movie, nil
}

// above is the line of what should hold a field that is missing.
func (f *film) above(field string) int {
	if line, ok := f.lines[field[:max(strings.LastIndexByte(field, '.'), 0)]]; ok {
		return line
	}
	return f.line
}

// field gives the place for the value of a field of a film.
func (f *film) field(name string) any {
	m := &f.movie
	switch name {
	case "id":
		return &m.ID
	case "title":
		return &m.Title
	case "title_ru":
		return &m.TitleRU
	case "original_title":
		return &m.OriginalTitle
	case "year":
		return &m.Year
	case "directors":
		return &m.Directors
	case "cast":
		return &m.Cast
	case "countries":
		return &m.Countries
	case "genres":
		return &m.Genres
	case "runtime":
		return &m.Runtime
	case "description":
		return &m.Description
	case "description_ru":
		return &m.DescriptionRU
	case "keywords":
		return &m.Keywords
	case "keywords_ru":
		return &m.KeywordsRU
	}
	return nil
}

// field gives the place for the value of a field of a person.
func (p *Person) field(name string) any {
	switch name {
	case "name":
		return &p.Name
	case "name_ru":
		return &p.NameRU
	}
	return nil
}

// object reads the fields of an object whose brace is read. at is the
// object's own name with a dot, or "" for the film.
func (d *decoder) object(at string, f *film, place func(string) any) error {
	seen := make(map[string]bool)
	for d.json.More() {
		t, err := d.token()
		if err != nil {
			return err
		}
		key := t.(string) // the decoder lets nothing else stand here
		name := at + key
		to := place(key)
		switch {
		case to == nil:
			name = at + abridge(key)
			d.fault(f, name, "is no field of this")
		case seen[key]:
			d.fault(f, name, "stands here twice")
			to = nil
		}
		seen[key] = true
		if err := d.value(name, f, to); err != nil {
			return err
		}
	}
	_, err := d.token()
	return err
}

// value reads any value, and stores it if it is of the kind that to points to.
// It skips it if to is nil.
func (d *decoder) value(name string, f *film, to any) error {
	t, err := d.token()
	if err != nil {
		return err
	}
	if to == nil {
		return d.skip(t)
	}
	f.lines[name] = d.line()
	var want string
	switch to := to.(type) {
	case *string:
		s, ok := t.(string)
		if ok {
			*to = s
			return nil
		}
		want = "a text"
	case *int:
		number, _ := t.(json.Number)
		n, err := strconv.Atoi(number.String())
		if err == nil {
			*to = n
			return nil
		}
		want = "a whole number"
	case *[]string:
		if t == json.Delim('[') {
			return list(d, name, f, to, func(i int) error { return d.value(fmt.Sprintf("%s[%d]", name, i), f, &(*to)[i]) })
		}
		want = "an array of texts"
	case *[]Person:
		if t == json.Delim('[') {
			return list(d, name, f, to, func(i int) error { return d.person(fmt.Sprintf("%s[%d]", name, i), f, &(*to)[i]) })
		}
		want = "an array of people"
	}
	d.fault(f, name, fmt.Sprintf("is %s, and must be %s", naming(t, nil), want))
	return d.skip(t)
}

// list reads an array whose bracket is read.
func list[E any](d *decoder, name string, f *film, to *[]E, each func(i int) error) error {
	*to = []E{}
	for i := 0; d.json.More(); i++ {
		if i == entriesMax {
			d.fault(f, name, fmt.Sprintf("has more than %d entries", entriesMax))
		}
		if i >= entriesMax {
			if err := d.value(name, f, nil); err != nil {
				return err
			}
			continue
		}
		*to = append(*to, *new(E))
		if err := each(i); err != nil {
			return err
		}
	}
	_, err := d.token()
	return err
}

func (d *decoder) person(name string, f *film, to *Person) error {
	t, err := d.token()
	if err != nil {
		return err
	}
	f.lines[name] = d.line()
	if t == json.Delim('{') {
		return d.object(name+".", f, to.field)
	}
	d.fault(f, name, fmt.Sprintf("is %s, and must be a person with name and name_ru", naming(t, nil)))
	f.wrong[name+".name"], f.wrong[name+".name_ru"] = true, true
	return d.skip(t)
}

// skip reads to the end of a value whose first token is read.
func (d *decoder) skip(t json.Token) error {
	depth := 0
	for {
		switch t {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
		if depth == 0 {
			return nil
		}
		if depth > depthMax {
			d.tell(d.line(), "", "", fmt.Sprintf("is nested more than %d deep", depthMax))
			return errBroken
		}
		var err error
		if t, err = d.token(); err != nil {
			return err
		}
	}
}

// token reads on; what is not JSON ends the file.
func (d *decoder) token() (json.Token, error) {
	if d.problems.More > giveUpMax {
		return nil, errBroken
	}
	t, err := d.json.Token()
	if err == nil {
		return t, nil
	}
	line := d.line()
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		line = d.lineAt(min(int(syntax.Offset), len(d.content)))
	}
	what := err.Error()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		line, what = d.lineAt(len(d.content)), "the file ends in the middle of a value"
	}
	d.tell(line, "", "", "is not JSON: "+what)
	return nil, errBroken
}

func (d *decoder) fault(f *film, field, what string) {
	f.wrong[field] = true
	d.tell(d.line(), f.movie.ID, field, what)
}

func (d *decoder) tell(line int, movie, field, what string) {
	d.problems.add(Problem{File: d.file, Line: line, Movie: abridge(movie), Field: field, What: what})
}

// line is where the token read last ends. Raw line ends are not allowed in
// JSON texts, so that is where it begins, too.
func (d *decoder) line() int { return d.lineAt(int(d.json.InputOffset())) }

// lineAt counts on from where it was asked before, or from the beginning.
func (d *decoder) lineAt(offset int) int {
	if offset < d.counted {
		d.lines, d.counted = 0, 0
	}
	d.lines += bytes.Count(d.content[d.counted:offset], []byte("\n"))
	d.counted = offset
	return d.lines + 1
}

func invalidUTF8(content []byte) int {
	if utf8.Valid(content) {
		return -1
	}
	for at := 0; ; {
		r, size := utf8.DecodeRune(content[at:])
		if r == utf8.RuneError && size <= 1 {
			return at
		}
		at += size
	}
}

// naming says what a token is, in words.
func naming(t json.Token, err error) string {
	switch t := t.(type) {
	case string:
		return fmt.Sprintf("the text %q", abridge(t))
	case json.Number:
		return "the number " + abridge(t.String())
	case bool:
		return strconv.FormatBool(t)
	case json.Delim:
		switch t {
		case '{':
			return "an object"
		case '[':
			return "an array"
		}
		return t.String()
	}
	if err != nil {
		return err.Error()
	}
	return "null"
}
