package catalog

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Two processes on one database: a film that the other process imported is embedded
// too, in its current form.
func TestImportBesideAnotherProcess(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		c := db.open(t)
		other := db.open(t)
		movies := shipped(t)[:3]
		large := hashing{model: "large-1", dims: 384}
		mustImport(t, c, movies[:1], small, Report{Added: 1, Embedded: 1})
		movies[0].Runtime++
		movies[0].Title = "Zanzibar"
		mustImport(t, other, movies[:2], large, Report{Added: 1, Changed: 1, Embedded: 2})
		mustImport(t, c, movies[2:], small, Report{Added: 1, Embedded: 3})
		if got := ask(t, c, small, "Zanzibar"); got[0] != (Match{movies[0].ID, 1}) {
			t.Errorf("found %v", got)
		}
		stillSame(t, c, db)
	})
}

// A search sees the catalogue as before or after an import, never in between.
func TestSearchDuringImport(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		movies := shipped(t)[:172] // what is stored does not depend on the number
		c := db.open(t)
		mustImport(t, c, movies[:2*batchFilms], small, Report{Added: 2 * batchFilms, Embedded: 2 * batchFilms})
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
	})
}

// Another process's import becomes visible while searches continue; an unavailable
// database is polled again.
func TestFollow(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		movies := shipped(t)[:172] // what is stored does not depend on the number
		c, other := db.open(t), db.open(t)
		mustImport(t, other, movies[:10], small, Report{Added: 10, Embedded: 10})
		if c.Len() != 0 {
			t.Fatal("it saw the other's films without looking")
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- c.Follow(ctx, slog.New(slog.NewTextHandler(t.Output(), nil))) }()
		waitFor(t, func() bool { return c.Version() == other.Version() })
		if got := ask(t, c, small, movies[4].Title); got[0].Score != 1 {
			t.Errorf("found %v", got)
		}
		before := c.now.Load()
		if err := c.catchUp(ctx); err != nil || c.now.Load() != before {
			t.Errorf("it reads all again where nothing changed, %v", err)
		}
		if _, err := other.Remove(ctx, movies[4].ID); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool { return c.Len() == 9 })
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A model that another process has just imported is found without waiting for the next
// poll, because an answer with an unknown model is not retried.
func TestNearestLooksForAnUnknownModel(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		movies := shipped(t)[:3]
		c, other := db.open(t), db.open(t)
		mustImport(t, other, movies, small, Report{Added: 3, Embedded: 3})
		if got := ask(t, c, small, movies[1].Title); got[0].MovieID != movies[1].ID {
			t.Errorf("found %v", got)
		}
	})
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it did not come about in two minutes")
		}
	}
}

// Two processes import overlapping films at once. In any order, each film ends with the
// vector of its own texts.
func TestImportAtOnce(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		movies := shipped(t)[:3*batchFilms]
		both := []*Catalogue{db.open(t), db.open(t)}
		var imports sync.WaitGroup
		for i, c := range both {
			mine := slices.Clone(movies[i*batchFilms : (i+2)*batchFilms])
			for k := range mine {
				mine[k].Description += strings.Repeat(" Zanzibar.", i)
			}
			imports.Go(func() {
				if _, err := c.Import(context.Background(), mine, small); err != nil {
					t.Error(err)
				}
			})
		}
		imports.Wait()
		c := db.open(t)
		if got := filmsWith(c.now.Load())["small-1"]; c.Len() != len(movies) || slices.Contains(got, false) {
			t.Errorf("%d films, with vectors %v", c.Len(), got)
		}
		for _, one := range both {
			if err := one.catchUp(context.Background()); err != nil || one.Version() != c.Version() {
				t.Errorf("it does not see what the other did: %v", err)
			}
		}
		mustImport(t, c, nil, small, Report{})
	})
}

func TestOpenRefusesWhatWasTamperedWith(t *testing.T) {
	const film = ` WHERE id = 'solaris-1972'`
	for statement, want := range map[string]string{
		`UPDATE movies SET json = replace(json, '1972', '1973')` + film:                                           `"solaris-1972" is not what its hash was taken of`,
		`UPDATE vectors SET vector = zeroblob(1536)`:                                                              "it is zero",
		`UPDATE vectors SET vector = zeroblob(64) WHERE movie_id = 'solaris-1972'`:                                "has 16 numbers",
		`UPDATE vectors SET vector = CAST(x'0000c07f' || zeroblob(1532) AS BLOB) WHERE movie_id = 'solaris-1972'`: "what is no number",
	} {
		db := newFile(t)
		mustImport(t, db.open(t), append(shipped(t)[:1], solaris()), small, Report{Added: 2, Embedded: 2})
		db.mustExec(t, statement)
		if _, err := db.tryOpen(t); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("after %s: %v, want %q", statement, err, want)
		}
	}
}
