package catalog

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// lighthouse is a film that an operator adds.
func lighthouse() Movie {
	m := Movie{ID: "the-keeper-of-the-lamp-2021", Title: "The Keeper of the Lamp", TitleRU: "Хранитель лампы", Year: 2021, Genres: []string{"drama"},
		Description: "A widow keeps a lighthouse and talks to a heron.", DescriptionRU: "Вдова хранит маяк и разговаривает с цаплей.", Keywords: []string{"lighthouse", "heron"}}
	m.normalize()
	return m
}

// edited plans and applies an edit.
func edited(t *testing.T, c *Catalogue, e Edit) Edition {
	t.Helper()
	p, err := c.Plan(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	done, err := c.Apply(t.Context(), p, Edition{Kind: SavedFilm, By: "u_boss"}, small)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// foundFirst is the film that a question finds.
func foundFirst(t *testing.T, c *Catalogue, text string) string {
	t.Helper()
	vectors, err := small.EmbedAll(t.Context(), []string{text})
	if err != nil {
		t.Fatal(err)
	}
	found, err := c.Find(t.Context(), Query{Text: text, Model: small.model, Vector: vectors[0]})
	if err != nil || len(found.Matches) == 0 {
		t.Fatalf("%q finds %v, %v", text, found, err)
	}
	return found.Matches[0].MovieID
}

// A film that is saved is found in every process, with its vector; the edition is undone as
// a whole, and what it undid can come back.
func TestEditions(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		ctx := context.Background()
		c, other := db.open(t), db.open(t)
		movies := shipped(t)[:20]
		mustImport(t, c, movies, small, Report{Added: 20, Embedded: 20})
		before := c.Version()

		film := lighthouse()
		made := edited(t, c, Edit{Films: []Movie{film}})
		if made.Number != 1 || made.Films != 1 {
			t.Errorf("the edition is %+v", made)
		}
		if err := other.catchUp(ctx); err != nil {
			t.Fatal(err)
		}
		for _, process := range []*Catalogue{c, other} {
			if got := foundFirst(t, process, "widow lighthouse heron"); got != film.ID {
				t.Errorf("%s is found first", got)
			}
			if m := process.Models(); len(m) != 1 || m[0].Films != 21 {
				t.Errorf("the models are %+v", m)
			}
		}
		if c.Version() != other.Version() || c.Version() == before {
			t.Errorf("the versions are %s and %s, and %s before", c.Version(), other.Version(), before)
		}

		list, err := c.Editions(ctx, 10)
		if err != nil || len(list) != 1 || list[0].By != "u_boss" || list[0].Kind != SavedFilm || !list[0].Undoable || list[0].At.IsZero() {
			t.Fatalf("the editions are %+v, %v", list, err)
		}
		undone, err := c.Undo(ctx, 1, "u_eve", small)
		if err != nil || undone.Number != 2 || c.Version() != before {
			t.Fatalf("undone as %+v, %v; version %s", undone, err, c.Version())
		}
		if _, err := c.Undo(ctx, 1, "u_eve", small); !errors.Is(err, ErrNoUndo) {
			t.Errorf("an older edition is undone: %v", err)
		}
		if _, err := c.Undo(ctx, 2, "u_eve", small); err != nil || foundFirst(t, c, "widow lighthouse heron") != film.ID {
			t.Errorf("the undo is not undone: %v", err)
		}
	})
}

// What an edit changes is shown before, field by field, and what comes of it is what was
// shown: films are added, changed, removed, or go back to Kassa's own version.
func TestPlan(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		ctx := context.Background()
		c := db.open(t)
		movies := shipped(t)[:5]
		if _, err := newImporting(c.store, small, false, nil).run(ctx, listed(movies)); err != nil { // as the program's own
			t.Fatal(err)
		}
		changed := movies[0]
		changed.Title, changed.Runtime = "Another Title", changed.Runtime+1
		p, err := c.Plan(ctx, Edit{Films: []Movie{lighthouse(), changed, movies[1]}})
		if err != nil || len(p.Changes) != 2 || p.Unchanged != 1 {
			t.Fatalf("%+v, %v", p, err)
		}
		i := slices.IndexFunc(p.Changes, func(x Change) bool { return x.ID == changed.ID })
		want := []FieldChange{{"title", movies[0].Title, "Another Title"}, {"runtime", fmt.Sprint(movies[0].Runtime), fmt.Sprint(changed.Runtime)}}
		if got := p.Changes[i].Fields(); !reflect.DeepEqual(got, want) {
			t.Errorf("the fields are %v, want %v", got, want)
		}
		added, altered, removed := p.Count()
		if added != 1 || altered != 1 || removed != 0 {
			t.Errorf("%d added, %d changed, %d removed", added, altered, removed)
		}
		if _, err := c.Apply(ctx, p, Edition{Kind: TakenUpload, By: "u"}, small); err != nil {
			t.Fatal(err)
		}
		if m, _ := c.Movie(changed.ID); m.Title != "Another Title" {
			t.Errorf("it is called %q", m.Title)
		}

		if _, err := c.Plan(ctx, Edit{Remove: []string{movies[1].ID}}); !errors.Is(err, ErrShipped) {
			t.Errorf("a shipped film: %v", err)
		}
		if _, err := c.Plan(ctx, Edit{Remove: []string{"no-such-film"}}); !errors.Is(err, ErrNoFilm) {
			t.Errorf("no film: %v", err)
		}
		second := lighthouse()
		second.ID, second.Year = "the-keeper-of-the-lamp-2022", 2022
		done := edited(t, c, Edit{Films: []Movie{second}, Whole: true}) // the other two of the operator go
		if done.Films != 3 {
			t.Errorf("%d films changed", done.Films)
		}
		if m, ok := c.Movie(changed.ID); !ok || m.Title != movies[0].Title {
			t.Errorf("Kassa's version is not back: %q", m.Title)
		}
		if _, ok := c.Movie(lighthouse().ID); ok {
			t.Error("the film that the file lacks is there")
		}
		if n := c.Models()[0].Films; n != c.Len() {
			t.Errorf("%d of %d films have a vector", n, c.Len())
		}
	})
}

// A plan that does not begin with what is stored changes nothing at all: another process
// was faster.
func TestStaleEdits(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		ctx := context.Background()
		c, other := db.open(t), db.open(t)
		mustImport(t, c, shipped(t)[:3], small, Report{Added: 3, Embedded: 3})
		mine, theirs := shipped(t)[0], shipped(t)[0]
		mine.Description, theirs.Description = "Mine.", "Theirs."
		p, err := c.Plan(ctx, Edit{Films: []Movie{mine, lighthouse()}})
		if err != nil {
			t.Fatal(err)
		}
		edited(t, other, Edit{Films: []Movie{theirs}})
		if _, err := c.Apply(ctx, p, Edition{Kind: SavedFilm, By: "u"}, small); !errors.Is(err, ErrStale) {
			t.Errorf("the second is %v", err)
		}
		if record, err := c.Record(ctx, mine.ID); err != nil || record.Description != "Theirs." || !record.Own {
			t.Errorf("stored is %q, %v", record.Description, err)
		}
		if _, err := c.Record(ctx, lighthouse().ID); !errors.Is(err, ErrNoFilm) {
			t.Errorf("a part of it was stored: %v", err)
		}
		again, err := c.Plan(ctx, Edit{Films: []Movie{mine, lighthouse()}})
		if err != nil || again.Digest() == p.Digest() {
			t.Errorf("the plan has the same digest, or %v", err)
		}
		// An import by the console is no edition, and makes the last one stale.
		if _, err := (Writer{other.store}).Import(ctx, listed([]Movie{mine}), small); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Undo(ctx, 1, "u", small); !errors.Is(err, ErrStale) {
			t.Errorf("undone over an import: %v", err)
		}
	})
}

// Of old editions only who made them is kept, and they cannot be undone.
func TestEditionsAreBounded(t *testing.T) {
	c := newFile(t).open(t)
	edited(t, c, Edit{Films: []Movie{lighthouse()}})
	_, err := c.store.(sqliteStore).db.Write.ExecContext(t.Context(), `INSERT INTO editions (number, kind, made_by, made_at, films)
		WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < ?) SELECT n, 'undo', 'u', '2026-12-01T00:00:00Z', 0 FROM n`, editionsKept)
	if err != nil {
		t.Fatal(err)
	}
	if changes, err := c.EditionChanges(t.Context(), 1); err != nil || len(changes) != 1 {
		t.Errorf("edition 1 has %d films, %v", len(changes), err)
	}
	film := lighthouse()
	film.Runtime = 90
	if made := edited(t, c, Edit{Films: []Movie{film}}); made.Number != editionsKept+1 {
		t.Errorf("edition %d was made", made.Number)
	}
	if changes, err := c.EditionChanges(t.Context(), 1); err != nil || len(changes) != 0 {
		t.Errorf("edition 1 has %d films, %v", len(changes), err)
	}
	list, err := c.Editions(t.Context(), editionsKept+10)
	if err != nil || len(list) != editionsKept+1 || !list[0].Undoable || list[editionsKept].Undoable || list[editionsKept].By != "u_boss" {
		t.Errorf("%d editions, %v", len(list), err)
	}
}

// An upload is its admin's alone, is replaced by the next, and survives the process.
func TestUploadsAreKept(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		ctx := context.Background()
		c := db.open(t)
		u := Upload{ID: "first", By: "u_boss", Name: "films.json", Films: []Movie{lighthouse()}, Problems: []Problem{{File: "films.json", Line: 3, Field: "year", What: "is empty"}}, LeftOut: 2}
		if err := c.KeepUpload(ctx, u); err != nil {
			t.Fatal(err)
		}
		got, err := db.open(t).Upload(ctx, "first", "u_boss")
		if u.At = got.At; err != nil || !reflect.DeepEqual(got, u) || got.At.IsZero() {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := c.Upload(ctx, "first", "u_eve"); !errors.Is(err, ErrNoUpload) {
			t.Errorf("another's: %v", err)
		}
		u.ID = "second"
		if err := c.KeepUpload(ctx, u); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Upload(ctx, "first", "u_boss"); !errors.Is(err, ErrNoUpload) {
			t.Errorf("the former one: %v", err)
		}
	})
}

// An upload whose day is over cannot be taken over, and is deleted.
func TestUploadsEnd(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		ctx := context.Background()
		c := db.open(t)
		now := time.Now().UTC()
		for id, age := range map[string]time.Duration{"old": uploadKept + time.Hour, "young": uploadKept - time.Hour} {
			if err := c.store.keepUpload(ctx, Upload{ID: id, By: id}, now.Add(-age)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Upload(ctx, "old", "old"); !errors.Is(err, ErrNoUpload) {
			t.Errorf("after its day: %v", err)
		}
		if err := c.DropExpired(ctx, now); err != nil {
			t.Fatal(err)
		}
		if _, err := c.store.upload(ctx, "old", "old", time.Time{}); !errors.Is(err, ErrNoUpload) {
			t.Errorf("it is not deleted: %v", err)
		}
		if _, err := c.Upload(ctx, "young", "young"); err != nil {
			t.Errorf("before its day is over: %v", err)
		}
	})
}

// Every shipped film survives its form, and what is wrong in a form is found where it is.
func TestSheets(t *testing.T) {
	for _, m := range shipped(t) {
		back, faults := m.Sheet().Movie()
		m.normalize()
		if len(faults) > 0 || !reflect.DeepEqual(back, m) {
			t.Fatalf("%s comes back as %+v, %v", m.ID, back, faults)
		}
	}
	s := lighthouse().Sheet()
	s["id"] = ""
	if m, faults := s.Movie(); len(faults) > 0 || m.ID != "the-keeper-of-the-lamp-2021" {
		t.Errorf("the id is %q, %v", m.ID, faults)
	}
	s["year"], s["runtime"], s["series"], s["imdb"], s["genres"] = "soon", "-4", "A | Б | В | 1", "tt1", "drama\nnonsense"
	s["cast"], s["lines"], s["description"] = "Ada | Ада\n\n | \nOne | Два | Three", strings.Repeat("a", 501), "two\nlines"
	_, faults := s.Movie()
	got := make(map[string]FaultKind)
	for _, f := range faults {
		got[fmt.Sprintf("%s %d", f.SheetField(), f.Entry())] = f.Kind
	}
	want := map[string]FaultKind{"year 0": FaultNumber, "runtime 0": FaultRange, "series 0": FaultParts, "imdb 0": FaultIMDb, "genres 2": FaultCode,
		"cast 3": FaultParts, "lines 1": FaultLong, "description 0": FaultControl}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the faults are %v, want %v", got, want)
	}
	for field := range want {
		name, _, _ := strings.Cut(field, " ")
		if !slices.Contains(SheetFields(), name) {
			t.Errorf("%s is no field", name)
		}
	}
}
