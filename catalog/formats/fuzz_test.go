package formats

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kassa/catalog"
)

// Whatever the bytes of a file, reading it ends, films are valid, and problems name a line
// of the file.
func FuzzFiles(f *testing.F) {
	names := map[Format]string{MovieLens: "movies.csv", IMDb: "title.basics.tsv", TMDB: "movies_metadata.csv", Seed: "films.json", JSON: "films.json", JSONLines: "films.jsonl"}
	for format, content := range map[Format]string{
		MovieLens: movieLensHead + goodLine + "1,\"Open\n", IMDb: imdbHead + "tt9000001\tmovie\tA\tA\t0\t1999\t\\N\t\\N\tDrama\n",
		TMDB: tmdbHead + "False,\"[{'name': 'Drama'}]\",7,,A,B,1999-01-01,80,A\n", Seed: `[{"title": "A", "year": 1999}, 1`, JSON: "[{}]", JSONLines: "{}\n[]\n",
	} {
		f.Add(string(format), []byte(content))
	}
	f.Fuzz(func(t *testing.T, format string, content []byte) {
		name, ok := names[Format(format)]
		if !ok {
			return
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path, Options{Format: Format(format)})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		lines := strings.Count(string(content), "\n") + 1
		for m, err := range s.Films() {
			p, isRow := errors.AsType[catalog.Problem](err)
			switch {
			case isRow && (p.File != path || p.Line < 1 || p.Line > lines || p.What == ""):
				t.Errorf("problem %+v in a file of %d lines", p, lines)
			case err == nil && m.Faults() != "":
				t.Errorf("film %+v: %s", m, m.Faults())
			}
		}
	})
}
