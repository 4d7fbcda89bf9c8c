package formats

import (
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// layout is the files of a format, and how its films are read.
type layout struct {
	main   []string // patterns of the names of files with a row for each film
	beside []string // of files with more about them, which may be missing
	read   func(*Source) iter.Seq2[film, error]
}

var layouts map[Format]layout

func init() { // in init, because the functions use the table
	layouts = map[Format]layout{
		JSON:      {[]string{"*.json"}, nil, (*Source).json},
		JSONLines: {[]string{"*.jsonl", "*.ndjson"}, nil, (*Source).jsonLines},
		Seed:      {[]string{"*.json"}, nil, (*Source).replaced},
		MovieLens: {[]string{"movies.csv"}, []string{"tags.csv", "links.csv"}, (*Source).movieLens},
		IMDb:      {[]string{"title.basics.tsv"}, []string{"title.akas.tsv", "title.ratings.tsv"}, (*Source).imdb},
		TMDB:      {[]string{"movies_metadata.csv", "tmdb_5000_movies.csv", "tmdb_movie_dataset*.csv"}, []string{"keywords.csv", "credits.csv", "tmdb_5000_credits.csv"}, (*Source).tmdb},
	}
}

// matches reports whether the name of a file, which may be compressed, matches a
// pattern.
func matches(pattern, path string) bool {
	name := strings.TrimSuffix(strings.ToLower(filepath.Base(path)), ".gz")
	ok, err := filepath.Match(pattern, name)
	return ok && err == nil
}

// choose returns the files that match a pattern. A single named file is accepted
// whatever its name is.
func (l layout) choose(files, patterns []string) []string {
	var chosen []string
	for _, name := range files {
		if slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) }) {
			chosen = append(chosen, name)
		}
	}
	if len(chosen) == 0 && len(files) == 1 && &patterns[0] == &l.main[0] {
		return files
	}
	return chosen
}

// list is the files of a folder, or the one file that path is.
func list(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	return files, nil
}

// siblings are the files in a path's folder: with movies.csv, links.csv is read too.
func siblings(path string, files []string) []string {
	if len(files) != 1 || files[0] != path {
		return files
	}
	beside, err := list(filepath.Dir(path))
	if err != nil {
		return nil
	}
	return beside
}

// detect determines the format of files by their names, or by the first line of a
// single file.
func detect(path string, files []string) (Format, error) {
	var found []Format
	for _, format := range []Format{IMDb, TMDB, MovieLens, JSONLines, JSON} {
		l := layouts[format]
		if slices.ContainsFunc(files, func(name string) bool {
			return slices.ContainsFunc(l.main, func(p string) bool { return matches(p, name) })
		}) {
			found = append(found, format)
		}
	}
	switch {
	case len(found) > 1:
		return "", fmt.Errorf("%s has files of several formats (%s and %s): name one", path, found[0], found[1])
	case len(found) == 1 && found[0] == JSON:
		return jsonOrSeed(layouts[JSON].choose(files, layouts[JSON].main)[0])
	case len(found) == 1:
		return found[0], nil
	case len(files) != 1:
		return "", fmt.Errorf("%s has no file of a known format (such as films.json, films.jsonl, movies.csv, title.basics.tsv, movies_metadata.csv)", path)
	}
	return detectByHeader(files[0])
}

func detectByHeader(name string) (Format, error) {
	in, err := openInput(name)
	if err != nil {
		return "", err
	}
	defer in.close()
	first, err := in.line()
	if err != nil && !isEnd(err) {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	for _, known := range []struct {
		begins string
		format Format
	}{{"tconst\t", IMDb}, {"movieId,", MovieLens}, {"adult,", TMDB}, {"budget,", TMDB}, {"id,title,vote_average,", TMDB}} {
		if strings.HasPrefix(first, known.begins) {
			return known.format, nil
		}
	}
	if strings.HasPrefix(strings.TrimSpace(first), "[") || strings.HasPrefix(strings.TrimSpace(first), "{") {
		return jsonOrSeed(name)
	}
	return "", fmt.Errorf("%s is of no known format: name it", name)
}

// jsonOrSeed distinguishes Kassa's own films from those of the replaced system, which
// have no id.
func jsonOrSeed(name string) (Format, error) {
	in, err := openInput(name)
	if err != nil {
		return "", err
	}
	defer in.close()
	tokens := json.NewDecoder(in.content)
	for depth := 0; ; {
		t, err := tokens.Token()
		if err != nil {
			return JSON, nil // its reader reports the fault
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			if depth--; t == json.Delim('}') {
				return Seed, nil // the end of the first film, or of an object in it
			}
		case "id", "title_ru", "keywords":
			return JSON, nil
		}
		if depth > 3 {
			return JSON, nil
		}
	}
}
