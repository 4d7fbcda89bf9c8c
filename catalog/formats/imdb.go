package formats

import (
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"

	"kassa/catalog"
)

// errLeftOut is a row that is no film, or that the options exclude.
var errLeftOut = errors.New("row is left out")

// imdb reads title.basics.tsv of IMDb, with the titles under which films are shown in
// Russia (title.akas.tsv) and the numbers of votes (title.ratings.tsv).
func (s *Source) imdb() iter.Seq2[film, error] {
	return func(yield func(film, error) bool) {
		titles, rejected, err := s.fill("title.akas.tsv", "titleId", func(r record) string {
			if title := clean(r.get("title")); r.get("region") == "RU" && isRussian(title) {
				return title
			}
			return ""
		}, "title", "region")
		if err != nil {
			fail(yield, err)
			return
		}
		votes, more, err := s.fill("title.ratings.tsv", "tconst", func(r record) string { return r.get("numVotes") }, "numVotes")
		if err == nil && votes == nil && s.options.MinVotes > 0 {
			err = errors.New("the votes of IMDb are in title.ratings.tsv, which is not beside the titles")
		}
		if err != nil {
			fail(yield, err)
			return
		}
		for _, p := range append(rejected, more...) {
			if !yield(film{}, p) {
				return
			}
		}
		needs := []string{"tconst", "titleType", "primaryTitle", "originalTitle", "isAdult", "startYear", "runtimeMinutes", "genres"}
		s.rows(tsvRecords, needs, yield, func(r record) (film, error) { return s.imdbFilm(r, titles, votes) })
	}
}

func (s *Source) imdbFilm(r record, titles, votes *table) (film, error) {
	f := film{at: r.at}
	id := r.get("tconst")
	if f.IDs = imdbIDs(id); f.IDs == nil {
		return f, r.at.problem("has the id %q, and it must be tt and digits", catalog.Abridge(id))
	}
	f.ID = id
	types := s.options.Types
	if len(types) == 0 {
		types = DefaultTypes
	}
	if !slices.Contains(types, r.get("titleType")) || r.get("isAdult") == "1" {
		return f, errLeftOut
	}
	if s.options.MinVotes > 0 {
		count, err := votes.first(id)
		if err != nil {
			return f, err
		}
		if number(count) < s.options.MinVotes {
			return f, errLeftOut
		}
	}
	year, err := strconv.Atoi(r.get("startYear"))
	if err != nil {
		return f, r.at.problem("has no year: %q", catalog.Abridge(r.get("startYear")))
	}
	f.Year, f.Runtime = year, minutes(r.get("runtimeMinutes"))
	title := clean(r.get("primaryTitle"))
	inLanguage(title, &f.Title, &f.TitleRU)
	if original := clean(r.get("originalTitle")); original != title {
		f.OriginalTitle = original
	}
	if f.TitleRU == "" {
		if f.TitleRU, err = titles.first(id); err != nil {
			return f, err
		}
	}
	if list := r.get("genres"); list != "" {
		genres(&f.Movie, strings.Split(list, ","))
	}
	return f, nil
}
