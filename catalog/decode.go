package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Limits for files that are not films, and would fill the memory.
const (
	entriesMax = 1000   // stored entries of an array; more than any field allows
	giveUpMax  = 10_000 // counted problems
)

// errBroken ends the reading of a file; its problem has been reported.
var errBroken = errors.New("file cannot be read further")

// A decoder reads the films of one file value by value, because this gives the line of
// every field, and allows to continue after an invalid one.
type decoder struct {
	file     string
	problems *Problems
	places   map[string]string // id to "file:line" of the film, over all files
	sound    []Decoded         // films without a problem

	content []byte
	json    *jsontext.Decoder
	lines   int // line ends before counted
	counted int // bytes of content up to there
}

// film is the state of the film being read.
type film struct {
	movie Movie
	line  int
	lines map[string]int  // field to the line of its value
	wrong map[string]bool // fields whose problem was reported
}

// lenient are the options with which a doubled member and half of a surrogate pair are
// faults of one field, and not the end of the file.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// decode returns the films of a file. They are valid only if no problem was added.
func (d *decoder) decode(content []byte) []Movie {
	d.content = bytes.TrimPrefix(content, []byte("\ufeff")) // the byte order mark of some Windows editors
	if at := invalidUTF8(d.content); at >= 0 {
		d.report(d.lineAt(at), "", "", "is not UTF-8")
		return nil
	}
	if len(bytes.TrimSpace(d.content)) == 0 {
		d.report(1, "", "", "the file is empty")
		return nil
	}
	d.json = jsontext.NewDecoder(bytes.NewReader(d.content), lenient)
	movies, err := d.films()
	if err != nil {
		return nil
	}
	if len(bytes.TrimSpace(d.content[d.json.InputOffset():])) > 0 {
		if more, line, err := d.value(); err == nil {
			d.report(line, "", "", "after the films there is more: "+naming(more))
		}
	}
	return movies
}

// films reads an array of films, or a single one.
func (d *decoder) films() ([]Movie, error) {
	switch d.json.PeekKind() {
	case '{':
		m, err := d.film()
		return []Movie{m}, err
	case '[':
	default:
		v, line, err := d.value()
		if err != nil {
			return nil, err
		}
		d.report(line, "", "", fmt.Sprintf("is %s, and must be an array of films", naming(v)))
		return nil, errBroken
	}
	var movies []Movie
	err := d.array(func(int) error {
		if d.json.PeekKind() == '{' {
			m, err := d.film()
			movies = append(movies, m)
			return err
		}
		v, line, err := d.value()
		if err == nil {
			d.report(line, "", "", fmt.Sprintf("is %s, and must be a film", naming(v)))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(movies) == 0 {
		d.report(d.line(), "", "", "there is no film in the file")
	}
	return movies, nil
}

// film reads a film, and validates it.
func (d *decoder) film() (Movie, error) {
	before := d.problems.count()
	f := &film{line: d.next(), lines: make(map[string]int), wrong: make(map[string]bool)}
	if err := d.object("", f, reflect.ValueOf(&f.movie).Elem()); err != nil {
		return Movie{}, err
	}
	f.movie.normalize()
	f.movie.validate(func(field, what string) {
		if f.wrong[field] || f.wrong[parent(field)] {
			return
		}
		line, ok := f.lines[field]
		if !ok {
			line, what = f.above(field), "is missing"
		}
		d.report(line, f.movie.ID, field, what)
	})
	if id := f.movie.ID; id != "" {
		if first, ok := d.places[id]; ok {
			d.report(f.lines["id"], id, "id", "is already the id of the film at "+first)
		} else {
			d.places[id] = fmt.Sprintf("%s:%d", d.file, f.line)
		}
	}
	if d.problems.count() == before {
		d.sound = append(d.sound, Decoded{f.movie, f.line})
	}
	return f.movie, nil
}

// above is the line of the value that should contain a missing field.
func (f *film) above(field string) int {
	if line, ok := f.lines[parent(field)]; ok {
		return line
	}
	return f.line
}

// parent is the name of what contains a field: cast[2] for cast[2].name, "" for a field
// of the film.
func parent(field string) string { return field[:max(strings.LastIndexByte(field, '.'), 0)] }

// array reads an array, each entry by a function that gets its index.
func (d *decoder) array(each func(i int) error) error {
	if _, err := d.token(); err != nil {
		return err
	}
	for i := 0; d.json.PeekKind() != ']'; i++ {
		if err := each(i); err != nil {
			return err
		}
	}
	_, err := d.token()
	return err
}

// object reads an object into a struct. at is the object's own name with a dot, or "" for
// the film.
func (d *decoder) object(at string, f *film, to reflect.Value) error {
	if _, err := d.token(); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for d.json.PeekKind() != '}' {
		key, err := d.token()
		if err != nil {
			return err
		}
		field, known := jsonFields[to.Type()][key]
		switch {
		case !known:
			d.fault(f, d.line(), at+Abridge(key), "is no field of this")
		case seen[key]:
			d.fault(f, d.line(), at+key, "is given twice")
		}
		if !known || seen[key] {
			err = d.skip()
		} else {
			err = d.field(at+key, f, to.Field(field))
		}
		if err != nil {
			return err
		}
		seen[key] = true
	}
	_, err := d.token()
	return err
}

// field reads any value, and stores it if it has the right type.
func (d *decoder) field(name string, f *film, to reflect.Value) error {
	f.lines[name] = d.next()
	switch kind := d.json.PeekKind(); {
	case kind == '{' && to.Kind() == reflect.Struct:
		return d.object(name+".", f, to)
	case kind == '{' && to.Kind() == reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		return d.object(name+".", f, to.Elem())
	case kind == '[' && to.Kind() == reflect.Slice:
		return d.list(name, f, to)
	}
	v, line, err := d.value()
	if err != nil {
		return err
	}
	if !jsonKinds[to.Kind()][v.Kind()] || json.Unmarshal(v, to.Addr().Interface(), lenient) != nil {
		d.fault(f, line, name, fmt.Sprintf("is %s, and must be %s", naming(v), describedAs[to.Type()]))
	}
	return nil
}

// list reads an array into a slice.
func (d *decoder) list(name string, f *film, to reflect.Value) error {
	to.Set(reflect.MakeSlice(to.Type(), 0, 0))
	return d.array(func(i int) error {
		if i == entriesMax {
			d.fault(f, d.line(), name, fmt.Sprintf("has more than %d entries", entriesMax))
		}
		if i >= entriesMax {
			return d.skip()
		}
		to.Set(reflect.Append(to, reflect.Zero(to.Type().Elem())))
		return d.field(fmt.Sprintf("%s[%d]", name, i), f, to.Index(i))
	})
}

// token reads the next token. The text is that of a string.
func (d *decoder) token() (text string, err error) {
	t, err := d.json.ReadToken()
	if err != nil {
		return "", d.broken(err)
	}
	return t.String(), d.broken(nil)
}

// value reads a whole value, and returns the line where it begins.
func (d *decoder) value() (v jsontext.Value, line int, err error) {
	line = d.next()
	v, err = d.json.ReadValue()
	return v, line, d.broken(err)
}

func (d *decoder) skip() error { return d.broken(d.json.SkipValue()) }

// broken reports invalid JSON, which ends the file, as does a great number of problems.
func (d *decoder) broken(err error) error {
	if err == nil && d.problems.More <= giveUpMax {
		return nil
	}
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		line, what := d.lineAt(min(int(syntax.ByteOffset), len(d.content))), syntax.Err.Error()
		if errors.Is(err, io.ErrUnexpectedEOF) {
			line, what = d.lineAt(len(d.content)), "the file ends in the middle of a value"
		}
		d.report(line, "", "", "is not JSON: "+what)
	}
	return errBroken
}

func (d *decoder) fault(f *film, line int, field, what string) {
	f.wrong[field] = true
	d.report(line, f.movie.ID, field, what)
}

func (d *decoder) report(line int, movie, field, what string) {
	d.problems.add(Problem{File: d.file, Line: line, Movie: Abridge(movie), Field: field, What: what})
}

// line is the line of the last token's end, which is also that of its beginning,
// because JSON strings contain no raw line ends.
func (d *decoder) line() int { return d.lineAt(int(d.json.InputOffset())) }

// next is the line where the next token begins.
func (d *decoder) next() int {
	at := int(d.json.InputOffset())
	between := len(d.content[at:]) - len(bytes.TrimLeft(d.content[at:], " \t\r\n:,"))
	return d.lineAt(at + between)
}

// lineAt counts from the last position, or from the beginning.
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

// naming describes a value in words.
func naming(v jsontext.Value) string {
	switch v.Kind() {
	case '"':
		text, _ := jsontext.AppendUnquote(nil, v) // half of a surrogate pair becomes U+FFFD
		return fmt.Sprintf("the text %q", Abridge(string(text)))
	case '0':
		return "the number " + Abridge(string(v))
	case '{':
		return "an object"
	case '[':
		return "an array"
	}
	return string(v)
}
