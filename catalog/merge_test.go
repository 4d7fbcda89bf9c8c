package catalog

import (
	"context"
	"reflect"
	"slices"
	"testing"
)

// merge fills every field that a film lacks.
func TestMergeFillsEveryField(t *testing.T) {
	whole := reflect.ValueOf(everyField())
	for i := range whole.NumField() {
		name := whole.Type().Field(i).Name
		if whole.Field(i).IsZero() {
			t.Fatalf("the film of this test has no %s", name)
		}
		lacking := everyField()
		lacking.ID = "own-1999"
		reflect.ValueOf(&lacking).Elem().Field(i).SetZero()
		got := reflect.ValueOf(lacking.merge(everyField())).Field(i)
		if name != "ID" && !reflect.DeepEqual(got.Interface(), whole.Field(i).Interface()) {
			t.Errorf("%s became %v", name, got)
		}
	}
	other := Movie{ID: "other-1950", Title: "Other", Year: 1950, Keywords: []string{"none"}, IDs: &IDs{IMDb: "tt9999999", Kinopoisk: "7"}}
	got, want := everyField().merge(other), everyField()
	want.IDs.Kinopoisk = "7"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("merged: %+v", got)
	}
}

func everyField() Movie {
	person := []Person{{"Ann", "Анна"}}
	return Movie{ID: "one-1999", Title: "One", TitleRU: "Один", OriginalTitle: "Uno", OtherTitles: []string{"Eins"}, Year: 1999, Directors: person, Cast: person,
		Countries: []string{"IT"}, Genres: []string{"drama"}, Runtime: 90, Description: "A man.", DescriptionRU: "Человек.",
		Keywords: []string{"man"}, KeywordsRU: []string{"человек"}, Characters: []Character{{Name: "Bo"}}, Lines: []Line{{Text: "So it goes"}},
		Settings: []Setting{{Name: "Rome"}}, Moods: []string{"sad"}, Themes: []string{"love"}, Languages: []string{"it"}, Awards: []string{"oscar"},
		Series: &Series{Name: "Numbers", Part: 1}, IDs: &IDs{IMDb: "tt0000001", Wikidata: "Q1"}, BlackAndWhite: true, Silent: true, ForChildren: true}
}

// A film of another source completes the stored one with its id or IMDb id; the source
// may change what it added before; repeating the import changes nothing.
func TestImportMerges(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		ctx := context.Background()
		c := db.open(t)
		kassa := shipped(t)[0]
		if kassa.IDs == nil || kassa.IDs.IMDb == "" {
			t.Fatal("the film of this test has no IMDb id")
		}
		if _, err := c.importFilms(ctx, []Movie{kassa}, newImporting(c.store, small, false, nil)); err != nil {
			t.Fatal(err)
		}
		merge := func(want Report, movies ...Movie) {
			t.Helper()
			for _, want := range []Report{want, {Unchanged: len(movies)}} {
				if got, err := c.Import(ctx, movies, small, WithMerge()); err != nil || got != want {
					t.Errorf("%+v, %v, want %+v", got, err, want)
				}
			}
		}
		imdb := Movie{ID: kassa.IDs.IMDb, Title: "Another Title", Year: kassa.Year, IDs: &IDs{IMDb: kassa.IDs.IMDb}}
		merge(Report{Unchanged: 1}, imdb) // the shipped film has all that it could add

		bare := Movie{ID: "tt9000001", Title: "Lighthouse Keepers", Year: 1961, IDs: &IDs{IMDb: "tt9000001"}}
		merge(Report{Added: 1, Embedded: 1}, bare)
		tagged := Movie{ID: "ml-7", Title: "The Lighthouse Keepers", Year: 1962, Keywords: []string{"fog"}, IDs: &IDs{IMDb: "tt9000001"}}
		merge(Report{Changed: 1, Embedded: 1}, tagged)
		bare.Runtime = 88
		merge(Report{Changed: 1, Embedded: 1}, bare)
		got, ok := c.Movie("tt9000001")
		if _, twice := c.Movie("ml-7"); !ok || twice || got.Title != bare.Title || got.Year != 1961 || got.Runtime != 88 || !slices.Equal(got.Keywords, tagged.Keywords) {
			t.Errorf("merged: %+v; and the other film is there: %t", got, twice)
		}
		if c.Len() != 2 {
			t.Errorf("%d films", c.Len())
		}
		stillSame(t, c, db)
	})
}

// A Writer does what a Catalogue does, and the Catalogue sees it.
func TestWriter(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		ctx := context.Background()
		movies := shipped(t)[:lookedAtOnce+5]
		c := db.open(t)
		importer := Writer{c.store}
		for _, want := range []Report{{Added: len(movies), Embedded: len(movies)}, {Unchanged: len(movies)}} {
			if got, err := importer.Import(ctx, listed(movies), small); err != nil || got != want {
				t.Errorf("%+v, %v, want %+v", got, err, want)
			}
		}
		if n, err := importer.Len(ctx); n != len(movies) || err != nil {
			t.Errorf("%d films, %v", n, err)
		}
		large := hashing{model: "large-1", dims: 384}
		if got, err := importer.Import(ctx, listed(nil), large); err != nil || got != (Report{Embedded: len(movies)}) {
			t.Errorf("with another model: %+v, %v", got, err)
		}
		if err := c.catchUp(ctx); err != nil || !reflect.DeepEqual(c.Movies(), movies) {
			t.Errorf("the catalogue has other films, %v", err)
		}
		stillSame(t, c, db)
	})
}
