package catalog

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kassa/catalog/words"
	"kassa/schema"
)

// hashing is a small embedder: every stem is a direction of its own, as far as
// a hash tells stems apart.
type hashing struct {
	model  string
	dims   int
	before func(texts []string) error // called before each batch
}

func (h hashing) ModelVersion() string { return h.model }

func (h hashing) EmbedAll(ctx context.Context, texts []string) ([][]float32, error) {
	if h.before != nil {
		if err := h.before(texts); err != nil {
			return nil, err
		}
	}
	vectors := make([][]float32, len(texts))
	for i, text := range texts {
		vectors[i] = make([]float32, h.dims)
		for _, w := range words.Split(text) {
			if h.dims == 0 {
				break
			}
			sum := fnv.New64a()
			sum.Write([]byte(w.Stem))
			vectors[i][sum.Sum64()%uint64(h.dims)]++
		}
	}
	return vectors, ctx.Err()
}

var small = hashing{model: "small-1", dims: 512}

func openFile(t testing.TB, path string) (*Catalogue, *schema.SQLite) {
	t.Helper()
	db, err := schema.OpenSQLite(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	c, err := Open(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	return c, db
}

func database(t testing.TB) string { return filepath.Join(t.TempDir(), "kassa.db") }

// given is a catalogue that has the films.
func given(t testing.TB, movies []Movie, embed Embedder) *Catalogue {
	t.Helper()
	c, _ := openFile(t, database(t))
	if _, err := c.Import(context.Background(), movies, embed); err != nil {
		t.Fatal(err)
	}
	return c
}

func mustImport(t *testing.T, c *Catalogue, movies []Movie, embed Embedder, want Report) {
	t.Helper()
	got, err := c.Import(context.Background(), movies, embed)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("import reports %+v, want %+v", got, want)
	}
}

// stillSame compares a catalogue with one opened anew on the same file.
func stillSame(t *testing.T, c *Catalogue, path string) {
	t.Helper()
	again, _ := openFile(t, path)
	a, b := c.now.Load(), again.now.Load()
	if !reflect.DeepEqual(a.stored, b.stored) || a.version != b.version {
		t.Errorf("in memory %d films, version %s; opened again %d films, version %s, or vectors differ", c.Len(), c.Version(), again.Len(), again.Version())
	}
}

func TestImport(t *testing.T) {
	path := database(t)
	c, _ := openFile(t, path)
	movies := shipped(t)
	n := len(movies)
	empty := c.Version()

	mustImport(t, c, movies, small, Report{Added: n, Embedded: n})
	first := c.Version()
	if first == empty || len(first) != 12 {
		t.Errorf("version was %q and is %q", empty, first)
	}
	if !reflect.DeepEqual(c.Movies(), movies) {
		t.Error("the films in the catalogue are not those that were imported")
	}
	stillSame(t, c, path)

	mustImport(t, c, movies, small, Report{Unchanged: n})
	mustImport(t, c, movies[:3], small, Report{Unchanged: 3})
	if c.Version() != first {
		t.Error("importing the same again changed the version")
	}

	renamed := slices.Clone(movies)
	renamed[7].Description += " And then the carousel explodes."
	mustImport(t, c, renamed[5:10], small, Report{Changed: 1, Unchanged: 4, Embedded: 1})
	if m, _ := c.Movie(renamed[7].ID); !reflect.DeepEqual(m, renamed[7]) {
		t.Errorf("film is %+v", m)
	}
	if c.Len() != n || c.Version() == first {
		t.Errorf("%d films of %d, version %s and before %s", c.Len(), n, c.Version(), first)
	}
	stillSame(t, c, path)

	mustImport(t, c, movies, small, Report{Changed: 1, Unchanged: n - 1, Embedded: 1})
	if c.Version() != first {
		t.Error("the old film is back, and the version is another")
	}
}

func TestImportEmbedsWhatAnotherModelHas(t *testing.T) {
	path := database(t)
	c, db := openFile(t, path)
	movies := shipped(t)[:40]
	large := hashing{model: "large-1", dims: 768}
	mustImport(t, c, movies, small, Report{Added: 40, Embedded: 40})
	mustImport(t, c, movies[:10], large, Report{Unchanged: 10, Embedded: 40}) // the other 30, too
	for _, embed := range []hashing{small, large} {
		ask(t, c, embed, movies[20].Title)
	}

	// A film that changes under one model must not be found by its old text
	// under the other.
	movies[3].Title = "Zanzibar"
	mustImport(t, c, movies, large, Report{Changed: 1, Unchanged: 39, Embedded: 1})
	if row := c.now.Load().matrices["small-1"].row(3); slices.ContainsFunc(row, func(x float32) bool { return x != 0 }) {
		t.Error("the film that changed still has its old vector of the other model")
	}
	mustImport(t, c, nil, small, Report{Embedded: 1})
	stillSame(t, c, path)

	if n, err := c.KeepModel(context.Background(), "large-1"); n != 40 || err != nil {
		t.Errorf("dropped %d vectors, %v", n, err)
	}
	if _, err := c.Nearest(context.Background(), query(t, small, "zanzibar")); !errors.Is(err, ErrModel) {
		t.Errorf("asking with a model that was dropped: %v", err)
	}
	var rows int
	if err := db.Read.QueryRow(`SELECT count(*) FROM vectors`).Scan(&rows); err != nil || rows != 40 {
		t.Errorf("%d vectors in the database, %v", rows, err)
	}
}

// A new version of the program may embed films from other texts.
func TestImportEmbedsFilmsOfOtherTextsAgain(t *testing.T) {
	path := database(t)
	c, db := openFile(t, path)
	movies := shipped(t)[:3]
	mustImport(t, c, movies, small, Report{Added: 3, Embedded: 3})
	before := ask(t, c, small, movies[1].Title)
	if _, err := db.Write.Exec(`UPDATE vectors SET hash = zeroblob(32), vector = zeroblob(2048) WHERE movie_id = ?`, movies[1].ID); err != nil {
		t.Fatal(err)
	}
	again, _ := openFile(t, path)
	mustImport(t, again, nil, small, Report{Embedded: 1})
	if after := ask(t, again, small, movies[1].Title); !reflect.DeepEqual(before, after) {
		t.Errorf("found %v, and before %v", after, before)
	}
	stillSame(t, again, path)
}

// Two processes on one file: what the other imported is embedded, too, and as
// it is now.
func TestImportBesideAnotherProcess(t *testing.T) {
	path := database(t)
	c, _ := openFile(t, path)
	other, _ := openFile(t, path)
	movies := shipped(t)[:3]
	large := hashing{model: "large-1", dims: 768}
	mustImport(t, c, movies[:1], small, Report{Added: 1, Embedded: 1})
	movies[0].Runtime++
	movies[0].Title = "Zanzibar"
	mustImport(t, other, movies[:2], large, Report{Added: 1, Changed: 1, Embedded: 2})
	mustImport(t, c, movies[2:], small, Report{Added: 1, Embedded: 3})
	if got := ask(t, c, small, "Zanzibar"); got[0] != (Match{movies[0].ID, 1}) {
		t.Errorf("found %v", got)
	}
	stillSame(t, c, path)
}

// A search sees the catalogue before an import or after it, nothing between.
func TestSearchDuringImport(t *testing.T) {
	movies := shipped(t)
	c := given(t, movies[:2*batchFilms], small)
	q := query(t, small, "love and war")
	q.Limit = len(movies)
	imported := make(chan error)
	go func() {
		_, err := c.Import(context.Background(), movies, small)
		imported <- err
	}()
	for {
		matches, err := c.Nearest(context.Background(), q)
		if err != nil {
			t.Error(err)
		}
		if n := len(matches); n != 2*batchFilms && n != len(movies) {
			t.Errorf("a search found %d films", n)
		}
		select {
		case err := <-imported:
			if err != nil {
				t.Error(err)
			}
			if c.Len() != len(movies) {
				t.Errorf("%d films after the import", c.Len())
			}
			return
		default:
		}
	}
}

func TestRemove(t *testing.T) {
	path := database(t)
	c, db := openFile(t, path)
	movies := shipped(t)[:5]
	mustImport(t, c, movies, small, Report{Added: 5, Embedded: 5})
	if n, err := c.Remove(context.Background(), movies[1].ID, movies[3].ID, "no-such-film"); n != 2 || err != nil {
		t.Errorf("removed %d, %v", n, err)
	}
	if _, ok := c.Movie(movies[1].ID); ok || c.Len() != 3 {
		t.Errorf("%d films left", c.Len())
	}
	var rows int
	if err := db.Read.QueryRow(`SELECT count(*) FROM vectors`).Scan(&rows); err != nil || rows != 3 {
		t.Errorf("%d vectors in the database, %v", rows, err)
	}
	stillSame(t, c, path)
	mustImport(t, c, movies, small, Report{Added: 2, Unchanged: 3, Embedded: 2})
}

// An import ends at each batch in turn, before it is embedded and after. What
// is there is whole, in memory as in the file, and the next import does the rest.
func TestImportInterrupted(t *testing.T) {
	movies := shipped(t)[:2*batchFilms+5]
	fault := errors.New("the model went away")
	for stop := range 3 {
		for name, way := range map[string]func(cancel func()) error{
			"fault":  func(func()) error { return fault },
			"cancel": func(cancel func()) error { cancel(); return nil }, // found out only when saving
		} {
			t.Run(fmt.Sprintf("%s at batch %d", name, stop), func(t *testing.T) {
				path := database(t)
				c, _ := openFile(t, path)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				broken, batches := small, 0
				broken.before = func([]string) error {
					if batches++; batches > stop {
						return way(cancel)
					}
					return nil
				}
				report, err := c.Import(ctx, movies, broken)
				if !errors.Is(err, fault) && !errors.Is(err, context.Canceled) {
					t.Fatalf("error is %v", err)
				}
				n := stop * batchFilms
				if want := (Report{Added: n, Embedded: n}); report != want || c.Len() != n {
					t.Errorf("%+v and %d films, want %+v", report, c.Len(), want)
				}
				stillSame(t, c, path)
				again, _ := openFile(t, path)
				mustImport(t, again, movies, small, Report{Added: len(movies) - n, Unchanged: n, Embedded: len(movies) - n})
				stillSame(t, again, path)
			})
		}
	}
}

func TestImportRefuses(t *testing.T) {
	good := shipped(t)[:2]
	bad := slices.Clone(good)
	bad[1].Genres = []string{"Drama"}
	hollow := solaris()
	for _, tt := range []struct {
		name   string
		movies []Movie
		embed  hashing
		want   string
	}{
		{"a film that breaks the rules", bad, small, `genres[0] is "Drama"`},
		{"a film twice", []Movie{good[0], good[1], good[0]}, small, "is given twice (film 3 of 3)"},
		{"missing lists", []Movie{{ID: "x-2000"}}, small, "directors is missing"},
		{"vectors without numbers", []Movie{hollow}, hashing{model: "m"}, "vector cannot be searched with"},
		{"vectors of another length", []Movie{hollow}, hashing{model: "small-1", dims: 64}, "has 64 numbers, others of model small-1 have 512"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := given(t, good, small)
			before := c.Version()
			report, err := c.Import(context.Background(), tt.movies, tt.embed)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
			if report != (Report{}) || c.Version() != before {
				t.Errorf("it reports %+v, and the version was %s and is %s", report, before, c.Version())
			}
		})
	}
}

func TestOpenRefusesWhatWasTamperedWith(t *testing.T) {
	for statement, want := range map[string]string{
		`UPDATE movies SET json = replace(json, '1972', '1973') WHERE id = 'solaris-1972'`: `"solaris-1972" is not what its hash was taken of`,
		`UPDATE vectors SET vector = zeroblob(2048)`:                                       "it is zero",
		`UPDATE vectors SET vector = zeroblob(64) WHERE movie_id = 'solaris-1972'`:         "has 16 numbers",
		`UPDATE vectors SET vector = CAST(x'0000c07f' || zeroblob(2044) AS BLOB)`:          "what is no number",
	} {
		path := database(t)
		c, db := openFile(t, path)
		mustImport(t, c, append(shipped(t)[:1], solaris()), small, Report{Added: 2, Embedded: 2})
		if _, err := db.Write.Exec(statement); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(context.Background(), db); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("after %s: %v, want %q", statement, err, want)
		}
	}
}
