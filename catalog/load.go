package catalog

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// fileBytesMax limits the size of a file, so that a wrong path does not fill the
// memory.
const fileBytesMax = 64 << 20

//go:embed films/*.json
var shippedFiles embed.FS

// Shipped returns the built-in films, sorted by id.
func Shipped() ([]Movie, error) {
	names, err := fs.Glob(shippedFiles, "films/*.json")
	if err != nil {
		return nil, err
	}
	return load(names, shippedFiles.Open)
}

// Load reads the films of a JSON file, or of all files of a folder that end in
// .json, and returns them sorted by id. A file holds an array of films, or one
// film. If anything is wrong with any film, the error holds a *Problems with
// all of it, and no film is returned.
func Load(path string) ([]Movie, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("load films: %w", err)
	}
	names := []string{path}
	if info.IsDir() {
		if names, err = jsonFiles(path); err != nil {
			return nil, fmt.Errorf("load films: %w", err)
		}
	}
	return load(names, func(name string) (fs.File, error) { return os.Open(name) })
}

func jsonFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.EqualFold(filepath.Ext(e.Name()), ".json") {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: %w", dir, errNoFiles)
	}
	return names, nil
}

var errNoFiles = errors.New("no file in this folder ends in .json")

// load reads all files before it fails, so that one run reports everything that must be
// corrected.
func load(names []string, open func(string) (fs.File, error)) ([]Movie, error) {
	var movies []Movie
	var problems Problems
	places := make(map[string]string) // id to file and line
	for _, name := range names {
		content, err := read(name, open)
		if err != nil {
			return nil, fmt.Errorf("load films: %w", err)
		}
		d := decoder{file: name, problems: &problems, places: places}
		movies = append(movies, d.decode(content)...)
	}
	if err := problems.err(); err != nil {
		return nil, fmt.Errorf("load films:\n%w", err)
	}
	sortByID(movies)
	return movies, nil
}

// Decoded is a film that was read, with the line of its beginning.
type Decoded struct {
	Movie
	Line int
}

// decodedProblemsMax is how many problems Decode returns.
const decodedProblemsMax = 20_000

// Decode reads the films of a JSON file, an array or one film, and returns the valid
// ones, and a Problem for everything wrong with the others.
func Decode(file string, content []byte) iter.Seq2[Decoded, error] {
	return func(yield func(Decoded, error) bool) {
		problems := Problems{most: decodedProblemsMax}
		d := decoder{file: file, problems: &problems, places: make(map[string]string)}
		d.decode(content)
		if problems.More > 0 {
			problems.List = append(problems.List, Problem{File: file, What: fmt.Sprintf("has %d more problems; what is behind them was not read", problems.More)})
		}
		for _, p := range problems.List {
			if !yield(Decoded{Line: p.Line}, p) {
				return
			}
		}
		for _, m := range d.sound {
			if !yield(m, nil) {
				return
			}
		}
	}
}

func read(name string, open func(string) (fs.File, error)) ([]byte, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(content) > fileBytesMax {
		return nil, fmt.Errorf("read %s: the file has more than %d MiB", name, fileBytesMax>>20)
	}
	return content, nil
}

func sortByID(movies []Movie) {
	slices.SortFunc(movies, func(a, b Movie) int { return strings.Compare(a.ID, b.ID) })
}
