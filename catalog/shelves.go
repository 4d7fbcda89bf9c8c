package catalog

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kassa/catalog/question"
)

// Shelves are the films sorted by what they have in common. They are those of one moment,
// immutable, and safe for concurrent use.
type Shelves struct {
	All       []*Movie // newest first, as in every shelf
	Genres    []*Shelf // by code; only those with films, as in every list
	Decades   []*Shelf // newest first; the key is the first year, such as "1980"
	Countries []*Shelf // by code
	people    map[string]*PersonShelf
}

// Shelf is the films of a genre, a decade or a country.
type Shelf struct {
	Key   string // the code, or the first year
	Label Label  // without names for a decade
	Films []*Movie
}

// PersonShelf is the films of a person.
type PersonShelf struct {
	Person
	Slug             string
	Directed, Played []*Movie
}

// Films are all films of the person, newest first, each once.
func (p *PersonShelf) Films() []*Movie {
	all := slices.Concat(p.Directed, p.Played)
	slices.SortFunc(all, newestFirst)
	return slices.Compact(all)
}

// Shelves returns the films sorted. They are computed once for each state of the catalogue.
func (c *Catalogue) Shelves() *Shelves { return c.now.Load().shelves() }

// Slug is the person's name in an address. Persons whose names differ in accents only
// have the same.
func (p Person) Slug() string {
	name := cmp.Or(p.Name, p.NameRU)
	if slug := Slug(name); slug != "" {
		return slug
	}
	sum := sha256.Sum256([]byte(name))
	return "person-" + hex.EncodeToString(sum[:6])
}

// Person finds a person by the slug.
func (s *Shelves) Person(slug string) (*PersonShelf, bool) {
	p, ok := s.people[slug]
	return p, ok
}

// People lists the slugs of all persons, sorted.
func (s *Shelves) People() []string { return slices.Sorted(maps.Keys(s.people)) }

// Genre finds a shelf by the genre's code.
func (s *Shelves) Genre(code string) (*Shelf, bool) { return shelfOf(s.Genres, code) }

// Decade finds a shelf by its first year.
func (s *Shelves) Decade(year string) (*Shelf, bool) { return shelfOf(s.Decades, year) }

// Country finds a shelf by the country's code.
func (s *Shelves) Country(code string) (*Shelf, bool) { return shelfOf(s.Countries, code) }

func shelfOf(list []*Shelf, key string) (*Shelf, bool) {
	i := slices.IndexFunc(list, func(s *Shelf) bool { return s.Key == key })
	if i < 0 {
		return nil, false
	}
	return list[i], true
}

// newestFirst orders films by year, and films of a year by id.
func newestFirst(a, b *Movie) int {
	return cmp.Or(cmp.Compare(b.Year, a.Year), strings.Compare(a.ID, b.ID))
}

// DecadeOf is the first year of a film's decade.
func DecadeOf(year int) int { return year - year%10 }

func newShelves(movies []Movie) *Shelves {
	s := &Shelves{All: make([]*Movie, len(movies)), people: map[string]*PersonShelf{}}
	for i := range movies {
		s.All[i] = &movies[i]
	}
	slices.SortFunc(s.All, newestFirst)
	genres, decades, countries := map[string]*Shelf{}, map[string]*Shelf{}, map[string]*Shelf{}
	put := func(shelves map[string]*Shelf, key string, label Label, m *Movie) {
		if shelves[key] == nil {
			shelves[key] = &Shelf{Key: key, Label: label}
		}
		shelves[key].Films = append(shelves[key].Films, m)
	}
	for _, m := range s.All {
		put(decades, fmt.Sprint(DecadeOf(m.Year)), Label{}, m)
		for _, code := range m.Genres {
			if label, ok := Genre(code); ok {
				put(genres, code, label, m)
			}
		}
		for _, code := range m.Countries {
			if label, ok := Country(code); ok {
				put(countries, code, label, m)
			}
		}
		s.addPeople(m)
	}
	byKey := func(a, b *Shelf) int { return strings.Compare(a.Key, b.Key) }
	s.Genres, s.Countries, s.Decades = sorted(genres, byKey), sorted(countries, byKey), sorted(decades, func(a, b *Shelf) int { return byKey(b, a) })
	return s
}

func sorted(shelves map[string]*Shelf, order func(a, b *Shelf) int) []*Shelf {
	list := make([]*Shelf, 0, len(shelves))
	for _, s := range shelves {
		list = append(list, s)
	}
	slices.SortFunc(list, order)
	return list
}

func (s *Shelves) addPeople(m *Movie) {
	shelf := func(p Person) *PersonShelf {
		slug := p.Slug()
		if s.people[slug] == nil {
			s.people[slug] = &PersonShelf{Person: p, Slug: slug}
		}
		return s.people[slug]
	}
	add := func(films *[]*Movie) {
		if n := len(*films); n == 0 || (*films)[n-1] != m { // a film may name a person twice
			*films = append(*films, m)
		}
	}
	for _, p := range m.Directors {
		add(&shelf(p).Directed)
	}
	for _, p := range m.Cast {
		add(&shelf(p).Played)
	}
}

// Similar returns up to limit films that are most like a film, most similar first: by the
// same ranking as for a question that names the film as an example, over the words of its
// keywords, genres, moods and themes. It compares all films, and reads no database. There
// are none for an unknown id.
func (c *Catalogue) Similar(id string, limit int) []Movie {
	v := c.now.Load()
	film, ok := number(v.movies, id)
	if !ok {
		return nil
	}
	numbers, ok := v.similar.Load(film)
	if !ok {
		numbers = v.mostSimilar(film)
		v.similar.Store(film, numbers)
	}
	var list []Movie
	for _, n := range numbers.([]int) {
		if len(list) < limit {
			list = append(list, v.movies[n])
		}
	}
	return list
}

// similarKept is how many similar films are computed for each film.
const similarKept = 12

func (v *view) mostSimilar(film int) []int {
	scores := make([]lexicalScore, len(v.movies))
	weights := DefaultWeights
	v.scoreLike(v.likeText([]question.Filter{{Field: question.Like, Value: v.movies[film].ID}}), weights, scores)
	best := newBest(similarKept, len(v.movies))
	for i, s := range scores {
		fit := rounded((float64(s.words) + weights.Letters*float64(s.letters)) / (1 + weights.Letters))
		if c := (candidate{film: i, score: fit, fit: fit}); i != film && fit > 0 && best.wants(c) {
			best.offer(c)
		}
	}
	slices.SortFunc(best.list, bestFirst)
	numbers := make([]int, len(best.list))
	for i, c := range best.list {
		numbers[i] = c.film
	}
	return numbers
}
