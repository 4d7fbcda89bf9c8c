package catalog

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"kassa/catalog/words"
)

// hashing is a small embedder: every stem has a dimension of its own, by a hash.
type hashing struct {
	model  string
	dims   int
	before func(texts []string) error // called before each batch
	after  func()
}

func (h hashing) ModelVersion() string { return h.model }

func (h hashing) EmbedAll(ctx context.Context, texts []string) ([][]float32, error) {
	if h.before != nil {
		if err := h.before(texts); err != nil {
			return nil, err
		}
	}
	if h.after != nil {
		defer h.after()
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

var small = hashing{model: "small-1", dims: 384}

// given is a catalogue in a file with these films.
func given(t testing.TB, movies []Movie, embed Embedder) *Catalogue {
	t.Helper()
	c := newFile(t).open(t)
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

// stillSame compares a catalogue with another one opened on the same database.
func stillSame(t *testing.T, c *Catalogue, db database) {
	t.Helper()
	again := db.open(t)
	a, b := c.now.Load(), again.now.Load()
	if !reflect.DeepEqual(a.movies, b.movies) || a.version != b.version || !reflect.DeepEqual(filmsWith(a), filmsWith(b)) {
		t.Errorf("in memory %d films, version %s; opened again %d films, version %s, or vectors differ", c.Len(), c.Version(), again.Len(), again.Version())
	}
}

func TestImport(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		c := db.open(t)
		movies := shipped(t)[:172] // what is stored does not depend on the number
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
		stillSame(t, c, db)

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
		stillSame(t, c, db)

		mustImport(t, c, movies, small, Report{Changed: 1, Unchanged: n - 1, Embedded: 1})
		if c.Version() != first {
			t.Error("the old film is back, and the version is another")
		}
	})
}

func TestImportEmbedsWhatAnotherModelHas(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		c := db.open(t)
		movies := shipped(t)[:40]
		large := hashing{model: "large-1", dims: 384}
		mustImport(t, c, movies, small, Report{Added: 40, Embedded: 40})
		mustImport(t, c, movies[:10], large, Report{Unchanged: 10, Embedded: 40}) // the other 30, too
		for _, embed := range []hashing{small, large} {
			ask(t, c, embed, movies[20].Title)
		}

		// After a change under one model, a film must not be found by its old text
		// under another.
		movies[3].Title = "Zanzibar"
		mustImport(t, c, movies, large, Report{Changed: 1, Unchanged: 39, Embedded: 1})
		if filmsWith(c.now.Load())["small-1"][3] {
			t.Error("the film that changed still has its old vector of the other model")
		}
		mustImport(t, c, nil, small, Report{Embedded: 1})
		stillSame(t, c, db)

		if n, err := c.Drop(context.Background(), "small-1"); n != 40 || err != nil {
			t.Errorf("dropped %d vectors, %v", n, err)
		}
		if _, err := c.Nearest(context.Background(), query(t, small, "zanzibar")); !errors.Is(err, ErrModel) {
			t.Errorf("asking with a model that was dropped: %v", err)
		}
		if rows := db.count(t, `SELECT count(*) FROM vectors`); rows != 40 {
			t.Errorf("%d vectors in the database", rows)
		}
	})
}

// A new version of the program may use other texts of a film.
func TestImportEmbedsFilmsOfOtherTextsAgain(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		c := db.open(t)
		movies := shipped(t)[:3]
		mustImport(t, c, movies, small, Report{Added: 3, Embedded: 3})
		before := ask(t, c, small, movies[1].Title)
		db.mustExec(t, `UPDATE vectors SET hash = '\x`+strings.Repeat("00", 32)+`' WHERE movie_id = '`+movies[1].ID+`'`)
		again := db.open(t)
		mustImport(t, again, nil, small, Report{Embedded: 1})
		if after := ask(t, again, small, movies[1].Title); !reflect.DeepEqual(before, after) {
			t.Errorf("found %v, and before %v", after, before)
		}
		stillSame(t, again, db)
	})
}

func TestRemove(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		c := db.open(t)
		movies := shipped(t)[:5]
		mustImport(t, c, movies, small, Report{Added: 5, Embedded: 5})
		if n, err := c.Remove(context.Background(), movies[1].ID, movies[3].ID, "no-such-film"); n != 2 || err != nil {
			t.Errorf("removed %d, %v", n, err)
		}
		if _, ok := c.Movie(movies[1].ID); ok || c.Len() != 3 {
			t.Errorf("%d films left", c.Len())
		}
		if rows := db.count(t, `SELECT count(*) FROM vectors`); rows != 3 {
			t.Errorf("%d vectors in the database", rows)
		}
		stillSame(t, c, db)
		mustImport(t, c, movies, small, Report{Added: 2, Unchanged: 3, Embedded: 2})
	})
}

// An import is interrupted at each batch, before it is embedded and after. What is
// stored is complete, in memory and in the file, and the next import does the rest.
func TestImportInterrupted(t *testing.T) {
	movies := shipped(t)[:2*batchFilms+5]
	fault := errors.New("the model went away")
	for stop := range 3 {
		for name, way := range map[string]func(cancel func()) error{
			"fault":  func(func()) error { return fault },
			"cancel": func(cancel func()) error { cancel(); return nil }, // detected only when saving
		} {
			t.Run(fmt.Sprintf("%s at batch %d", name, stop), func(t *testing.T) {
				inEach(t, func(t *testing.T, db database) {
					c := db.open(t)
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
					stillSame(t, c, db)
					again := db.open(t)
					mustImport(t, again, movies, small, Report{Added: len(movies) - n, Unchanged: n, Embedded: len(movies) - n})
					stillSame(t, again, db)
				})
			})
		}
	}
}

func TestImportRefuses(t *testing.T) {
	good := shipped(t)[:2]
	bad := slices.Clone(good)
	bad[1].Genres = []string{"Drama"}
	hollow := solaris()
	inEach(t, func(t *testing.T, db database) {
		c := db.open(t)
		mustImport(t, c, good, small, Report{Added: 2, Embedded: 2})
		before := c.Version()
		for _, tt := range []struct {
			name   string
			movies []Movie
			embed  Embedder
			want   string
		}{
			{"a film that breaks the rules", bad, small, `genres[0] is "Drama"`},
			{"a film twice", []Movie{good[0], good[1], good[0]}, small, "is given twice (film 3 of 3)"},
			{"a film without a title", []Movie{{ID: "x-2000", Year: 2000}}, small, "title is empty"},
			{"vectors without numbers", []Movie{hollow}, hashing{model: "m"}, "vector cannot be searched with"},
			{"vectors of another length", []Movie{hollow}, hashing{model: "small-1", dims: 64}, "has 64 numbers, and those of model small-1 here have 384"},
			{"zeros", []Movie{hollow}, constant{0}, "it is zero, or holds what is no number"},
			{"no number", []Movie{hollow}, constant{float32(math.NaN())}, "it is zero, or holds what is no number"},
			{"infinity", []Movie{hollow}, constant{float32(math.Inf(1))}, "it is zero, or holds what is no number"},
		} {
			report, err := c.Import(context.Background(), tt.movies, tt.embed)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: error is %v, want %q", tt.name, err, tt.want)
			}
			if report != (Report{}) || c.Version() != before {
				t.Errorf("%s: it reports %+v, and the version was %s and is %s", tt.name, report, before, c.Version())
			}
		}
		stillSame(t, c, db)
	})
}

// constant is an embedder that returns one number.
type constant struct{ x float32 }

func (constant) ModelVersion() string { return "small-1" }

func (k constant) EmbedAll(_ context.Context, texts []string) ([][]float32, error) {
	vectors := make([][]float32, len(texts))
	for i := range vectors {
		vectors[i] = slices.Repeat([]float32{k.x}, 384)
	}
	return vectors, nil
}

// If a model's vectors change their length during an import, the catalogue can still be
// opened.
func TestImportRefusesAModelThatChanges(t *testing.T) {
	movies := shipped(t)[:batchFilms+1]
	db := newFile(t)
	c := db.open(t)
	report, err := c.Import(context.Background(), movies, &shrinking{})
	if !errors.Is(err, ErrVector) {
		t.Errorf("error is %v", err)
	}
	if want := (Report{Added: batchFilms, Embedded: batchFilms}); report != want {
		t.Errorf("it reports %+v, want %+v", report, want)
	}
	stillSame(t, c, db)
}

type shrinking struct{ calls int }

func (*shrinking) ModelVersion() string { return "shrinking-1" }

func (s *shrinking) EmbedAll(ctx context.Context, texts []string) ([][]float32, error) {
	s.calls++
	return hashing{dims: 512 >> s.calls}.EmbedAll(ctx, texts)
}

// An operator's version of a film stays, whatever the program ships; other films follow
// the program.
func TestOwnVersionsStay(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		ctx := context.Background()
		movies := shipped(t)
		c := db.open(t)
		n := len(movies)
		importAll := func(c *Catalogue, want Report) {
			t.Helper()
			if got, err := c.ImportShipped(ctx, small); err != nil || got != want {
				t.Errorf("shipped films: %+v, %v, want %+v", got, err, want)
			}
		}
		importAll(c, Report{Added: n, Embedded: n})

		own := slices.Clone(movies[:3])
		own[1].Title = "Zanzibar"
		mustImport(t, c, own, small, Report{Changed: 1, Unchanged: 2, Embedded: 1})
		importAll(c, Report{Unchanged: n})
		importAll(db.open(t), Report{Unchanged: n})
		if m, _ := c.Movie(own[1].ID); m.Title != "Zanzibar" {
			t.Errorf("the own version became %q", m.Title)
		}
		// Under another model the own version is embedded, not the shipped one.
		if _, err := c.ImportShipped(ctx, hashing{model: "large-1", dims: 384}); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, c, hashing{model: "large-1", dims: 384}, "Zanzibar"); got[0] != (Match{own[1].ID, 1}) {
			t.Errorf("found %v", got[0])
		}
		stillSame(t, c, db)

		// An older release shipped another text of a film without an own version.
		older := slices.Clone(movies[:1])
		older[0].Runtime++
		if _, err := c.importFilms(ctx, older, newImporting(c.store, small, false, nil)); err != nil {
			t.Fatal(err)
		}
		importAll(c, Report{Changed: 1, Unchanged: n - 1, Embedded: 1})

		// Another process imports an own version after this one has planned.
		how := newImporting(c.store, small, false, nil)
		items, err := how.plan(ctx, older)
		if err != nil {
			t.Fatal(err)
		}
		own[0].Title = "Timbuktu"
		mustImport(t, db.open(t), own[:1], small, Report{Changed: 1, Embedded: 1})
		if err := errors.Join(how.add(ctx, items), how.flush(ctx)); err != nil {
			t.Fatal(err)
		}
		again := db.open(t)
		if m, _ := again.Movie(own[0].ID); m.Title != "Timbuktu" || !filmsWith(again.now.Load())["small-1"][0] {
			t.Errorf("the own version became %q, or has no vector", m.Title)
		}
	})
}

// A remote embedder answers in any order; films are stored in theirs, and progress only
// grows.
func TestImportInFlight(t *testing.T) {
	movies := shipped(t)[:172] // what is stored does not depend on the number
	c := newFile(t).open(t)
	var mu sync.Mutex
	running, most := 0, 0
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	far := small
	far.before = func([]string) error {
		mu.Lock()
		if running++; running == 3 {
			open() // the first three are released together
		}
		most = max(most, running)
		mu.Unlock()
		<-gate
		return nil
	}
	far.after = func() { mu.Lock(); running--; mu.Unlock() }
	var seen []int
	report, err := c.Import(context.Background(), movies, far, WithInFlight(3), WithProgress(func(done, total int) {
		if total != len(movies) {
			t.Errorf("%d films of %d are to be done", total, len(movies))
		}
		seen = append(seen, done)
	}))
	if want := (Report{Added: len(movies), Embedded: len(movies)}); err != nil || report != want {
		t.Errorf("%+v, %v", report, err)
	}
	if want := (len(movies) + batchFilms - 1) / batchFilms; len(seen) != want+1 || seen[0] != 0 || seen[want] != len(movies) || !slices.IsSorted(seen) {
		t.Errorf("progress was %v", seen)
	}
	if most != 3 || running != 0 {
		t.Errorf("at most %d calls at once, %d still under way", most, running)
	}
	if want := given(t, movies, small); want.Version() != c.Version() {
		t.Error("the films are others than one call at a time gives")
	}
}
