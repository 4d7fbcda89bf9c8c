package catalog

import (
	"slices"
	"strings"
	"testing"
)

func TestShelves(t *testing.T) {
	movies := shipped(t)
	s := newShelves(movies)
	if len(s.All) != len(movies) || !slices.IsSortedFunc(s.All, newestFirst) {
		t.Errorf("%d films of %d, or not the newest first", len(s.All), len(movies))
	}
	for _, list := range [][]*Shelf{s.Genres, s.Decades, s.Countries} {
		for _, shelf := range list {
			if len(shelf.Films) == 0 || !slices.IsSortedFunc(shelf.Films, newestFirst) {
				t.Errorf("the shelf %s has %d films, or not the newest first", shelf.Key, len(shelf.Films))
			}
		}
	}
	if eighties, ok := s.Decade("1980"); !ok || slices.ContainsFunc(eighties.Films, func(m *Movie) bool { return m.Year/10 != 198 }) {
		t.Error("the eighties have other films")
	}
	eastwood, ok := s.Person("clint-eastwood")
	if !ok || len(eastwood.Directed) == 0 || len(eastwood.Played) == 0 || len(eastwood.Films()) >= len(eastwood.Directed)+len(eastwood.Played) {
		t.Errorf("Clint Eastwood: %+v", eastwood)
	}
	for _, m := range movies {
		for _, p := range m.people() {
			who, ok := s.Person(p.Slug())
			if !ok || !slices.ContainsFunc(who.Films(), func(f *Movie) bool { return f.ID == m.ID }) {
				t.Errorf("%s of %s is not listed as %q", p.Name, m.ID, p.Slug())
			}
		}
	}
	if _, ok := s.Genre("cooking"); ok {
		t.Error("there is a genre that no film has")
	}
}

func TestSlug(t *testing.T) {
	for text, want := range map[string]string{"Tom Hanks": "tom-hanks", "Jean-Pierre Léaud": "jean-pierre-leaud", "Сергей Эйзенштейн": "sergey-eyzenshteyn", "O'Toole, P.": "otoole-p", "黒澤明": "", "": ""} {
		if got := Slug(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if a, b := (Person{Name: "黒澤明"}).Slug(), (Person{Name: "三船敏郎"}).Slug(); a == b || !strings.HasPrefix(a, "person-") {
		t.Errorf("names in other scripts are %q and %q", a, b)
	}
}

// Parts of one story are similar, and a film is not similar to itself.
func TestSimilar(t *testing.T) {
	c := &Catalogue{}
	seventies := slices.DeleteFunc(slices.Clone(shipped(t)), func(m Movie) bool { return DecadeOf(m.Year) != 1970 })
	c.now.Store(newView(stored{movies: seventies, hashes: make([][32]byte, len(seventies))}))
	first := c.Similar("the-godfather-1972", 6)
	if len(first) != 6 || first[0].ID != "the-godfather-part-ii-1974" {
		t.Errorf("similar to The Godfather are %v", ids(first))
	}
	if again := c.Similar("the-godfather-1972", 6); !slices.Equal(ids(first), ids(again)) || slices.Contains(ids(first), "the-godfather-1972") {
		t.Errorf("asked again: %v", ids(again))
	}
	if none := c.Similar("no-such-film-1900", 6); none != nil {
		t.Errorf("an unknown film has %v", ids(none))
	}
}

func ids(movies []Movie) (list []string) {
	for _, m := range movies {
		list = append(list, m.ID)
	}
	return list
}
