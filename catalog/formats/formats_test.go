package formats

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"kassa/catalog"
)

var update = flag.Bool("update", false, "write what the samples give into their golden files")

// read reads a source to its end.
func read(t *testing.T, path string, o Options) (movies []catalog.Movie, problems []string, s *Source) {
	t.Helper()
	s, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for m, err := range s.Films() {
		p, isRow := errors.AsType[catalog.Problem](err)
		switch {
		case isRow:
			p.File = filepath.Base(p.File)
			problems = append(problems, strings.ReplaceAll(p.Error(), filepath.Dir(path), "")) // also of an earlier film
		case err != nil:
			t.Fatal(err)
		default:
			movies = append(movies, m)
		}
	}
	return movies, problems, s
}

// Handwritten samples of each format, with the oddities of real files, give the films
// and problems of the golden file.
func TestSamples(t *testing.T) {
	for dir, want := range map[string]struct {
		format  Format
		leftOut int
	}{
		"movielens": {MovieLens, 0}, "imdb": {IMDb, 2}, "tmdb": {TMDB, 1}, "tmdb5000": {TMDB, 0}, "tmdbwide": {TMDB, 1}, "seed": {Seed, 0},
	} {
		t.Run(dir, func(t *testing.T) {
			movies, problems, s := read(t, filepath.Join("testdata", dir), Options{Format: Auto})
			if s.Format != want.format || s.LeftOut() != want.leftOut || !s.Merges() {
				t.Errorf("format %s, %d left out, merges: %t", s.Format, s.LeftOut(), s.Merges())
			}
			var got bytes.Buffer
			lines := json.NewEncoder(&got)
			lines.SetEscapeHTML(false)
			for _, m := range movies {
				lines.Encode(m)
			}
			fmt.Fprintln(&got, strings.Join(problems, "\n"))
			golden := filepath.Join("testdata", dir+".golden")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			content, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(content) {
				t.Errorf("got\n%s\nwant\n%s", got.String(), content)
			}
			if read, size := s.Progress(); read != size || size == 0 {
				t.Errorf("read %d bytes of %d", read, size)
			}
		})
	}
}

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	movieLensHead = "movieId,title,genres\n"
	imdbHead      = "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\tendYear\truntimeMinutes\tgenres\n"
	tmdbHead      = "adult,genres,id,imdb_id,original_title,overview,release_date,runtime,title\n"
	goodLine      = "9,The Good Row (2001),Drama\n"
)

// An invalid row affects no other row, and is reported with its line and reason.
func TestMalformedRows(t *testing.T) {
	for _, tt := range []struct {
		name, file, content string
		want                string // a problem; "" if the row is valid
		films               int
	}{
		{"too few columns", "movies.csv", movieLensHead + "1,Title (1999)\n" + goodLine, "movies.csv:2: has 2 columns, and the first line has 3", 1},
		{"too many columns", "movies.csv", movieLensHead + "1,Title, The (1999),Drama\n" + goodLine, "movies.csv:2: has 4 columns", 1},
		{"a bare quotation mark", "movies.csv", movieLensHead + "1,A \"quoted\" title (1999),Drama\n" + goodLine, `movies.csv:2: is no row of values separated by commas: bare "`, 1},
		{"an open quotation mark", "movies.csv", movieLensHead + "1,\"Open (1999),Drama\n" + goodLine + "10,Next (2002),War\n", "movies.csv:2: has a quotation mark that is not closed", 2},
		{"text behind a quotation mark", "movies.csv", movieLensHead + "1,\"Shut\" up (1999),Drama\n" + goodLine, "movies.csv:2: is no row of values separated by commas", 1},
		{"an open quotation mark at the end", "movies.csv", movieLensHead + goodLine + "1,\"Open (1999),Drama", "movies.csv:3: has a quotation mark that is not closed", 1},
		{"Windows-1251", "movies.csv", movieLensHead + "1,\xc4\xee\xec (1999),Drama\n" + goodLine, "movies.csv:2: is not UTF-8: write the file in it (iconv", 1},
		{"no year", "movies.csv", movieLensHead + "1,Babylon 5,Drama\n" + goodLine, `movies.csv:2: has a title without a year: "Babylon 5"`, 1},
		{"a year alone", "movies.csv", movieLensHead + "1,(1999),Drama\n" + goodLine, "movies.csv:2: ml-1: title is empty", 1},
		{"no id", "movies.csv", movieLensHead + ",Title (1999),Drama\n" + goodLine, `movies.csv:2: has the id "", and it must be a number`, 1},
		{"an id in words", "movies.csv", movieLensHead + "one,Title (1999),Drama\n" + goodLine, `movies.csv:2: has the id "one"`, 1},
		{"an id twice", "movies.csv", movieLensHead + goodLine + goodLine, "movies.csv:3: is the film ml-9, which is at /movies.csv:2 already", 1},
		{"a year before film", "movies.csv", movieLensHead + "1,Title (1212),Drama\n" + goodLine, "movies.csv:2: ml-1: year is 1212, and must be from 1878 to 2100", 1},
		{"a title that is too long", "movies.csv", movieLensHead + "1," + strings.Repeat("x", 301) + " (1999),Drama\n" + goodLine, "movies.csv:2: ml-1: title has 301 letters", 1},
		{"a line without end", "movies.csv", movieLensHead + strings.Repeat("x", lineMax+1) + "\n" + goodLine, "movies.csv:2: the line has more than 1024 KiB", 1},
		{"zeros", "movies.csv", movieLensHead + "1,\x00\x00 (1999),Drama\n" + goodLine, "movies.csv:2: ml-1: title is empty", 1},
		{"an empty line", "movies.csv", movieLensHead + "\n" + goodLine, "", 1},
		{"IMDb: a row cut off", "title.basics.tsv", imdbHead + "tt9000001\tmovie\tCut\n", "title.basics.tsv:2: has 3 columns, and the first line has 9", 0},
		{"IMDb: a wrong id", "title.basics.tsv", imdbHead + "nm9000001\tmovie\tA\tA\t0\t1999\t\\N\t\\N\tDrama\n", `title.basics.tsv:2: has the id "nm9000001", and it must be tt and digits`, 0},
		{"IMDb: no year", "title.basics.tsv", imdbHead + "tt9000001\tmovie\tA\tA\t0\t\\N\t\\N\t\\N\tDrama\n", "title.basics.tsv:2: has no year", 0},
		{"IMDb: no title", "title.basics.tsv", imdbHead + "tt9000001\tmovie\t\\N\t\\N\t0\t1999\t\\N\t\\N\tDrama\n", "title.basics.tsv:2: tt9000001: title is empty", 0},
		{"TMDB: columns that moved", "movies_metadata.csv", tmdbHead + "1997-08-20,[],104.0,x,y,z,Released,,T\n", `movies_metadata.csv:2: has the id "104.0", and it must be a number`, 0},
		{"TMDB: a list cut off", "movies_metadata.csv", tmdbHead + "False,\"[{'id': 1, 'name': 'Dra\",7,,A,B,1999-01-01,80,A\n", "movies_metadata.csv:2: the column genres is neither a list of Python nor one of JSON", 0},
		{"TMDB: no date", "movies_metadata.csv", tmdbHead + "False,[],7,,A,B,,80,A\n", "movies_metadata.csv:2: has no year", 0},
		{"JSON Lines: no JSON", "films.jsonl", "{\"id\": \"a-1999\", \"title\": \"A\", \"year\": 1999}\n{\"id\": \"b\"\n{\"id\": \"c-1999\", \"title\": \"C\", \"year\": 1999}\n", "films.jsonl:2: is not JSON", 2},
		{"JSON Lines: an unknown field", "films.jsonl", "\n{\"id\": \"a-1999\", \"title\": \"A\", \"year\": 1999, \"yaer\": 1}\n", "films.jsonl:2: a-1999: yaer is no field of this", 0},
		{"JSON: one film of two", "films.json", "[{\"id\": \"a-1999\", \"title\": \"A\", \"year\": 1},\n{\"id\": \"b-1999\", \"title\": \"B\", \"year\": 1999}]", "films.json:1: a-1999: year is 1, and must be from 1878 to 2100", 1},
		{"replaced: a year in words", "films.json", "[{\"title\": \"A\", \"year\": \"old\"},\n{\"title\": \"B\", \"year\": 1999}]", "films.json:1: year is of the type string, and must be a whole number", 1},
		{"replaced: the file ends", "films.json", "[{\"title\": \"B\", \"year\": 1999},\n{\"title\"", "films.json:2: is not JSON", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := write(t, map[string]string{tt.file: tt.content})
			movies, problems, _ := read(t, filepath.Join(dir, tt.file), Options{Format: Auto})
			if len(movies) != tt.films {
				t.Errorf("%d films, want %d: %v", len(movies), tt.films, movies)
			}
			if got := strings.Join(problems, "\n"); !strings.HasPrefix(got, tt.want) || len(problems) > 1 || tt.want == "" && got != "" {
				t.Errorf("problems %q, want %q", got, tt.want)
			}
		})
	}
}

// What is no catalogue is refused as a whole, with the reason.
func TestOpenRefuses(t *testing.T) {
	dir := write(t, map[string]string{
		"movies.csv": "a,b\n", "notes.txt": "Dear diary\n", "title.basics.tsv": imdbHead, "broken.csv.gz": "no gzip",
		"empty.csv": "", "headless.csv": "1,Title (1999),Drama\n",
	})
	for _, tt := range []struct {
		path string
		o    Options
		want string
	}{
		{"", Options{Format: Auto}, "has files of several formats (imdb and movielens): name one"},
		{"none.csv", Options{Format: Auto}, "no such file"},
		{"notes.txt", Options{Format: Auto}, "is of no known format: name it"},
		{"empty.csv", Options{Format: Auto}, "is of no known format"},
		{"broken.csv.gz", Options{Format: MovieLens}, "unexpected EOF"},
		{"", Options{Format: TMDB}, "there is no file movies_metadata.csv, as the format tmdb has it"},
		{"movies.csv", Options{Format: MovieLens}, "its first line does not name the column movieId"},
		{"headless.csv", Options{Format: MovieLens}, "its first line does not name the column movieId"},
		{"title.basics.tsv", Options{Format: IMDb, MinVotes: 5}, "which is not beside the titles"},
	} {
		s, err := Open(filepath.Join(dir, tt.path), tt.o)
		if err == nil {
			for _, e := range s.Films() {
				err = errors.Join(err, e)
			}
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s as %s: %v, want %q", tt.path, tt.o.Format, err, tt.want)
		}
	}
}

// A renamed file, and a compressed one, are read like others.
func TestDetect(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write([]byte("\ufeff" + movieLensHead + goodLine))
	w.Close()
	dir := write(t, map[string]string{
		"ml.csv.gz": packed.String(), "imdb.txt": imdbHead + "tt9000001\tmovie\tA\tA\t0\t1999\t\\N\t\\N\tDrama\n",
		"tmdb.csv": tmdbHead + "False,[],7,,A,B,1999-01-01,80,A\n", "seed.txt": `[{"title": "A", "year": 1999}]`, "own.txt": `{"id": "a-1999", "title": "A", "year": 1999}`,
		"own.json": `[{"cast": [{"name": "B"}], "title": "A", "id": "a-1999", "year": 1999}]`, "lines.ndjson": `{"id": "a-1999", "title": "A", "year": 1999}`,
	})
	for name, want := range map[string]Format{"ml.csv.gz": MovieLens, "imdb.txt": IMDb, "tmdb.csv": TMDB, "seed.txt": Seed, "own.txt": JSON, "own.json": JSON, "lines.ndjson": JSONLines} {
		movies, problems, s := read(t, filepath.Join(dir, name), Options{})
		if s.Format != want || len(movies) != 1 || len(problems) > 0 {
			t.Errorf("%s is %s, %d films, %v", name, s.Format, len(movies), problems)
		}
	}
}

// Rows excluded by IMDb's options are no faults.
func TestIMDbOptions(t *testing.T) {
	for _, tt := range []struct {
		o    Options
		want []string
	}{
		{Options{MinVotes: 100}, []string{"tt9000001", "tt9000004"}},
		{Options{MinVotes: 100, Types: []string{"movie"}}, []string{"tt9000001"}},
		{Options{Types: []string{"short"}}, []string{"tt9000003"}},
	} {
		movies, _, _ := read(t, "testdata/imdb", tt.o)
		var got []string
		for _, m := range movies {
			got = append(got, m.ID)
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%+v gives %v", tt.o, got)
		}
	}
}

func TestLiteral(t *testing.T) {
	for text, want := range map[string]any{
		`[]`: []any(nil), ` [ ] `: []any(nil), `{}`: map[string]any{}, `None`: nil, `[True, false, null, -1.5e3]`: []any{true, false, nil, -1500.0},
		`[{'name': "O'Hara", "x": 'a\'b\x41\u0416\n'}]`: []any{map[string]any{"name": "O'Hara", "x": "a'bAЖ\n"}},
		`{"a": "\/\"", 'b': '"'}`:                       map[string]any{"a": `/"`, "b": `"`},
	} {
		got, err := literal(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %#v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "[", "[1", "[1,,2]", "{'a'}", "{1: 2}", "{'a': }", "'open", `'\q'`, "[] x", "__import__('os')", strings.Repeat("[", 1000)} {
		if got, err := literal(text); !errors.Is(err, errLiteral) {
			t.Errorf("%q is %#v, %v", text, got, err)
		}
	}
}

func FuzzLiteral(f *testing.F) {
	for _, seed := range []string{`[{'id': 16, 'name': "O'Hara"}]`, `[[[`, `{'a': None}`, `'\x`, `"\u12`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := literal(text)
		if err == nil {
			names(v, "name")
		}
	})
}

func TestTitles(t *testing.T) {
	for title, want := range map[string]string{"Lantern Keeper, The": "The Lantern Keeper", "Herbe, L'": "L'Herbe", "Plain": "Plain", "Rain, Steam": "Rain, Steam", "Bells, Las": "Las Bells"} {
		if got := withArticle(title); got != want {
			t.Errorf("%q is %q", title, got)
		}
	}
	for title, want := range map[string]string{"Тихий Дон: Часть 2": "tikhiy-don-chast-2-1957", "L'Été — 8½": "lete-8-1957", "七人の侍": "film-", "Ёлки": "elki-1957"} {
		if got := catalog.NewID(title, 1957); !strings.HasPrefix(got, want) {
			t.Errorf("%q is %q", title, got)
		}
	}
	if got := clean("  A&amp;B\r\n\tc\u200b d\x00 "); got != "A&B c d" {
		t.Errorf("cleaned: %q", got)
	}
	if got := shorten("one two three", 9); got != "one two" {
		t.Errorf("shortened: %q", got)
	}
}
