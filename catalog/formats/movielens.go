package formats

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"kassa/catalog"
)

// movieLens reads movies.csv of MovieLens, with users' tags (tags.csv) as keywords, and
// the ids of IMDb (links.csv).
func (s *Source) movieLens() iter.Seq2[film, error] {
	return func(yield func(film, error) bool) {
		tags, rejected, err := s.fill("tags.csv", "movieId", func(r record) string { return strings.ToLower(clean(r.get("tag"))) }, "tag")
		if err != nil {
			fail(yield, err)
			return
		}
		links, more, err := s.fill("links.csv", "movieId", func(r record) string { return r.get("imdbId") }, "imdbId")
		if err != nil {
			fail(yield, err)
			return
		}
		for _, p := range append(rejected, more...) {
			if !yield(film{}, p) {
				return
			}
		}
		s.rows(csvRecords, []string{"movieId", "title", "genres"}, yield, func(r record) (film, error) {
			return movieLensFilm(r, tags, links)
		})
	}
}

func movieLensFilm(r record, tags, links *table) (film, error) {
	f := film{at: r.at}
	id := r.get("movieId")
	if n := number(id); n <= 0 || strconv.Itoa(n) != id {
		return f, r.at.problem("has the id %q, and it must be a number", catalog.Abridge(id))
	}
	f.ID = "ml-" + id
	parts := titleYear.FindStringSubmatch(clean(r.get("title")))
	if parts == nil {
		return f, r.at.problem("has a title without a year: %q", catalog.Abridge(r.get("title")))
	}
	f.Year, _ = strconv.Atoi(parts[2])
	title := parts[1]
	if other := otherTitle.FindStringSubmatch(title); other != nil {
		title, f.OriginalTitle = other[1], withArticle(other[2])
	}
	inLanguage(withArticle(title), &f.Title, &f.TitleRU)
	genres(&f.Movie, strings.Split(r.get("genres"), "|"))
	given, err := tags.of(id)
	if err != nil {
		return f, err
	}
	keywords(&f.Movie, frequent(given)...)
	imdb, err := links.first(id)
	if err != nil {
		return f, err
	}
	if imdb != "" && !strings.HasPrefix(imdb, "tt") {
		imdb = "tt" + imdb
	}
	f.IDs = imdbIDs(imdb)
	return f, nil
}

// frequent are the distinct words, the most frequent first.
func frequent(list []string) []string {
	count := make(map[string]int)
	for _, word := range list {
		count[word]++
	}
	return slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(count[b]-count[a], strings.Compare(a, b))
	})
}

// fill reads an additional file into a table; nil if the file is missing. It returns
// the rows that cannot be read.
func (s *Source) fill(name, key string, text func(record) string, needs ...string) (*table, []catalog.Problem, error) {
	in := s.side(name)
	if in == nil {
		return nil, nil, nil
	}
	read := csvRecords
	if matches("*.tsv", in.name) {
		read = tsvRecords
	}
	rows, err := read(in, append(needs, key)...)
	if err != nil {
		return nil, nil, err
	}
	t, err := s.table()
	if err != nil {
		return nil, nil, err
	}
	var rejected []catalog.Problem
	rows.each(func(r record, wrong error) bool {
		if p, isRow := wrong.(catalog.Problem); isRow {
			if len(rejected) < sideProblemsMax {
				rejected = append(rejected, p)
			}
			return true
		}
		if err = wrong; err == nil {
			if value := text(r); value != "" {
				err = t.add(r.get(key), value)
			}
		}
		return err == nil
	})
	return t, rejected, err
}

// sideProblemsMax is how many rows of an additional file are reported.
const sideProblemsMax = 10_000

// rows returns the films of the rows of the main files.
func (s *Source) rows(read func(*input, ...string) (*records, error), needs []string, yield func(film, error) bool, each func(record) (film, error)) {
	for _, in := range s.main {
		rows, err := read(in, needs...)
		if err != nil {
			fail(yield, err)
			return
		}
		more := true
		rows.each(func(r record, err error) bool {
			f := film{at: r.at}
			if err == nil {
				f, err = each(r)
			}
			if err == errLeftOut {
				s.leftOut++
				return true
			}
			more = yield(f, err)
			return more
		})
		if !more {
			return
		}
	}
}
