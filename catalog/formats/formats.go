// Package formats reads the films of other catalogues: Kassa's own JSON and JSON Lines,
// the files of the system that Kassa replaces, MovieLens, IMDb and TMDB. Films are
// streamed, in memory that grows only by some bytes for each; a row that cannot be used
// is reported with its file, line and reason, and the rest is read.
package formats

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"

	"kassa/catalog"
)

// Format is the format of a catalogue's files.
type Format string

// The formats.
const (
	Auto      Format = "auto" // detected by names and first lines of the files
	JSON      Format = "json"
	JSONLines Format = "jsonl"
	Seed      Format = "seed" // of the system that Kassa replaces
	MovieLens Format = "movielens"
	IMDb      Format = "imdb"
	TMDB      Format = "tmdb"
)

// Options select what is read.
type Options struct {
	Format Format
	// Types are the accepted types of IMDb titles; none: DefaultTypes.
	Types []string
	// MinVotes is the minimum number of votes for an IMDb title.
	MinVotes int
}

// DefaultTypes are the types of IMDb titles that are films.
var DefaultTypes = []string{"movie", "tvMovie"}

// Source is a catalogue that is being read. It must be closed.
type Source struct {
	Format Format

	options   Options
	main      []*input // files with a row for each film
	beside    []*input // files with more about them
	tables    []*table
	seen      map[uint64]row // hashes of ids, to where they occurred
	seed      maphash.Seed
	leftOut   int
	readFilms func(*Source) iter.Seq2[film, error]
}

// film is a film with its place.
type film struct {
	catalog.Movie
	at row
}

// row is a place in a file.
type row struct {
	file *input
	line int
}

// problem is a fault of a row.
func (r row) problem(format string, args ...any) catalog.Problem {
	return catalog.Problem{File: r.file.name, Line: r.line, What: fmt.Sprintf(format, args...)}
}

// Merges reports whether films of this source complete the stored ones, as those of all
// formats but Kassa's own do: they have only some of the fields.
func (s *Source) Merges() bool { return s.Format != JSON && s.Format != JSONLines }

// Progress is how many bytes of the main files were read, and their total size.
func (s *Source) Progress() (read, size int64) {
	for _, in := range s.main {
		read += in.read.Load()
		size += in.size
	}
	return read, size
}

// LeftOut is the number of rows that are no films, or that the options exclude.
func (s *Source) LeftOut() int { return s.leftOut }

// Close ends reading.
func (s *Source) Close() error {
	var err error
	for _, in := range append(s.main, s.beside...) {
		err = errors.Join(err, in.close())
	}
	for _, t := range s.tables {
		err = errors.Join(err, t.close())
	}
	return err
}

// Films returns the films. A catalog.Problem is the error of one row, which is left
// out; any other error ends the reading.
func (s *Source) Films() iter.Seq2[catalog.Movie, error] {
	return func(yield func(catalog.Movie, error) bool) {
		for f, err := range s.readFilms(s) {
			if err == nil {
				err = s.check(&f)
			}
			if !yield(f.Movie, err) {
				return
			}
			if _, isRow := errors.AsType[catalog.Problem](err); err != nil && !isRow {
				return
			}
		}
	}
}

// check reports what is wrong with a film, or that it is a duplicate.
func (s *Source) check(f *film) error {
	if what := f.Faults(); what != "" {
		p := f.at.problem("%s", what)
		p.Movie = f.ID
		return p
	}
	keys := []string{f.ID}
	if f.IDs != nil && f.IDs.IMDb != "" && f.IDs.IMDb != f.ID {
		keys = append(keys, f.IDs.IMDb)
	}
	for _, key := range keys {
		hash := maphash.String(s.seed, key)
		if before, ok := s.seen[hash]; ok {
			return f.at.problem("is the film %s, which is at %s:%d already", key, before.file.name, before.line)
		}
		s.seen[hash] = f.at
	}
	return nil
}

// Open opens the files of a catalogue: a file, or a folder that contains them.
func Open(path string, o Options) (*Source, error) {
	files, err := list(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	s := &Source{Format: o.Format, options: o, seen: make(map[uint64]row), seed: maphash.MakeSeed()}
	if s.Format == Auto || s.Format == "" {
		if s.Format, err = detect(path, files); err != nil {
			return nil, err
		}
	}
	layout := layouts[s.Format]
	s.readFilms = layout.read
	for _, name := range layout.choose(files, layout.main) {
		if err = s.add(&s.main, name); err != nil {
			break
		}
	}
	if err == nil && len(s.main) == 0 {
		err = fmt.Errorf("open %s: there is no file %s, as the format %s has it", path, layout.main[0], s.Format)
	}
	for _, pattern := range layout.beside {
		for _, name := range layout.choose(siblings(path, files), []string{pattern}) {
			err = cmp.Or(err, s.add(&s.beside, name))
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Source) add(to *[]*input, name string) error {
	in, err := openInput(name)
	if err == nil {
		*to = append(*to, in)
	}
	return err
}

// side is the additional file that matches a pattern, nil if there is none.
func (s *Source) side(pattern string) *input {
	for _, in := range s.beside {
		if matches(pattern, in.name) {
			return in
		}
	}
	return nil
}

// table creates a table that is closed with the source.
func (s *Source) table() (*table, error) {
	t, err := newTable()
	if err == nil {
		s.tables = append(s.tables, t)
	}
	return t, err
}

// fail yields one error.
func fail(yield func(film, error) bool, err error) { yield(film{}, err) }

// isEnd reports whether an error is the end of a file.
func isEnd(err error) bool { return errors.Is(err, io.EOF) }
