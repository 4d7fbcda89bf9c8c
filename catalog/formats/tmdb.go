package formats

import (
	"cmp"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kassa/catalog"
)

// tmdb reads the tables that people have made of The Movie Database: movies_metadata.csv
// with keywords.csv and credits.csv, tmdb_5000_movies.csv with its credits, or one table
// with all of it. Columns hold lists as Python writes them, JSON, or names with commas
// between.
func (s *Source) tmdb() iter.Seq2[film, error] {
	return func(yield func(film, error) bool) {
		words, rejected, err := s.fill("keywords.csv", "id", func(r record) string { return r.get("keywords") }, "keywords")
		if err != nil {
			fail(yield, err)
			return
		}
		credits, key := "credits.csv", "id"
		if s.side(credits) == nil {
			credits, key = "tmdb_5000_credits.csv", "movie_id"
		}
		crews, more, err := s.fill(credits, key, func(r record) string { return r.get("cast") + "\x00" + r.get("crew") }, "cast", "crew")
		if err != nil {
			fail(yield, err)
			return
		}
		for _, p := range append(rejected, more...) {
			if !yield(film{}, p) {
				return
			}
		}
		s.rows(csvRecords, []string{"id", "title", "release_date", "overview", "genres"}, yield, func(r record) (film, error) {
			return tmdbFilm(r, words, crews)
		})
	}
}

func tmdbFilm(r record, words, crews *table) (film, error) {
	f := film{at: r.at}
	id := r.get("id")
	if n := number(id); n <= 0 || strconv.Itoa(n) != id {
		return f, r.at.problem("has the id %q, and it must be a number", catalog.Abridge(id))
	}
	if strings.EqualFold(r.get("adult"), "true") {
		return f, errLeftOut
	}
	f.ID, f.IDs = "tmdb-"+id, imdbIDs(r.get("imdb_id"))
	year, _, _ := strings.Cut(r.get("release_date"), "-")
	var err error
	if f.Year, err = strconv.Atoi(year); err != nil {
		return f, r.at.problem("has no year: %q", catalog.Abridge(r.get("release_date")))
	}
	title := clean(r.get("title"))
	inLanguage(title, &f.Title, &f.TitleRU)
	if original := clean(r.get("original_title")); original != title {
		f.OriginalTitle = original
	}
	f.Runtime = minutes(r.get("runtime"))
	text := shorten(clean(r.get("overview")+" "+r.get("tagline")), descriptionMax)
	inLanguage(text, &f.Description, &f.DescriptionRU)
	if err := tmdbLists(r, &f.Movie, words); err != nil {
		return f, err
	}
	return f, tmdbCredits(r, &f.Movie, crews)
}

// tmdbLists sets what columns have as lists.
func tmdbLists(r record, m *catalog.Movie, words *table) error {
	beside, err := words.first(r.get("id"))
	if err != nil {
		return err
	}
	for _, column := range []struct {
		name, text, key string
		set             func(*catalog.Movie, []string)
	}{
		{"genres", r.get("genres"), "name", genres},
		{"production_countries", r.get("production_countries"), "iso_3166_1", countries},
		{"spoken_languages", r.get("spoken_languages"), "iso_639_1", languages},
		{"keywords", cmp.Or(beside, r.get("keywords")), "name", func(m *catalog.Movie, list []string) { keywords(m, list...) }},
	} {
		if strings.TrimSpace(column.text) == "" {
			continue
		}
		list, err := namesOf(column.text, column.key)
		if err != nil {
			return r.at.problem("the column %s %v: %q", column.name, err, catalog.Abridge(column.text))
		}
		column.set(m, list)
	}
	return nil
}

// namesOf are the names in a column: those of a list of dictionaries, or, in newer tables,
// names with commas between.
func namesOf(text, key string) ([]string, error) {
	if !strings.HasPrefix(strings.TrimSpace(text), "[") {
		return strings.Split(text, ","), nil
	}
	v, err := literal(text)
	return names(v, key), err
}

// voice is what casts add to the name of a character.
var voice = regexp.MustCompile(`\s*\([^)]*\)`)

// tmdbCredits sets who directed and who played whom.
func tmdbCredits(r record, m *catalog.Movie, crews *table) error {
	text, err := crews.first(r.get("id"))
	if err != nil || text == "" {
		return err
	}
	castText, crewText, _ := strings.Cut(text, "\x00")
	cast, castErr := literal(castText)
	crew, crewErr := literal(crewText)
	if err := cmp.Or(castErr, crewErr); err != nil {
		return r.at.problem("its credits: a column %v: %q", err, catalog.Abridge(text))
	}
	m.Cast = people(names(cast, "name"), castMax)
	var directors []string
	members, _ := crew.([]any)
	for _, member := range members {
		if d, ok := member.(map[string]any); ok && d["job"] == "Director" {
			directors = append(directors, fmt.Sprint(d["name"]))
		}
	}
	m.Directors = people(directors, castMax)
	roles, _ := cast.([]any)
	for _, role := range roles {
		d, _ := role.(map[string]any)
		character, _ := d["character"].(string)
		actor, _ := d["name"].(string)
		c := catalog.Character{Actor: shorten(clean(actor), textMax)}
		name := shorten(clean(voice.ReplaceAllString(character, "")), textMax)
		inLanguage(name, &c.Name, &c.NameRU)
		if name != "" && len(m.Characters) < charactersMax && !slices.Contains(m.Characters, c) {
			m.Characters = append(m.Characters, c)
		}
	}
	return nil
}
