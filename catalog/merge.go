package catalog

import (
	"cmp"
	"context"
)

// merged returns the films, completed by the stored records of the same films.
func (i *importing) merged(ctx context.Context, movies []Movie) ([]Movie, error) {
	var ids, imdb []string
	for _, m := range movies {
		ids = append(ids, m.ID)
		if m.IDs != nil && m.IDs.IMDb != "" {
			imdb = append(imdb, m.IDs.IMDb)
		}
	}
	read, err := i.store.films(ctx, ids, imdb)
	if err != nil {
		return nil, err
	}
	byID, byIMDb := make(map[string]storedFilm), make(map[string]storedFilm)
	for _, f := range read {
		byID[f.ID] = f
		if f.IDs != nil {
			byIMDb[f.IDs.IMDb] = f
		}
	}
	all := make([]Movie, len(movies))
	for n, m := range movies {
		all[n] = m
		there, ok := byID[m.ID]
		switch {
		case ok && there.own:
			all[n] = m.merge(there.Movie)
			continue
		case !ok && m.IDs != nil:
			there, ok = byIMDb[m.IDs.IMDb]
		}
		if ok {
			all[n] = there.merge(m)
		}
	}
	return all, nil
}

// merge is m, completed by another record of the same film. The id is that of m.
func (m Movie) merge(other Movie) Movie {
	m.Title = cmp.Or(m.Title, other.Title)
	m.TitleRU = cmp.Or(m.TitleRU, other.TitleRU)
	m.OriginalTitle = cmp.Or(m.OriginalTitle, other.OriginalTitle)
	m.Year = cmp.Or(m.Year, other.Year)
	m.Runtime = cmp.Or(m.Runtime, other.Runtime)
	m.Description = cmp.Or(m.Description, other.Description)
	m.DescriptionRU = cmp.Or(m.DescriptionRU, other.DescriptionRU)
	m.Directors = orElse(m.Directors, other.Directors)
	m.Cast = orElse(m.Cast, other.Cast)
	m.Countries = orElse(m.Countries, other.Countries)
	m.Genres = orElse(m.Genres, other.Genres)
	m.Keywords = orElse(m.Keywords, other.Keywords)
	m.KeywordsRU = orElse(m.KeywordsRU, other.KeywordsRU)
	m.OtherTitles = orElse(m.OtherTitles, other.OtherTitles)
	m.Characters = orElse(m.Characters, other.Characters)
	m.Lines = orElse(m.Lines, other.Lines)
	m.Settings = orElse(m.Settings, other.Settings)
	m.Moods = orElse(m.Moods, other.Moods)
	m.Themes = orElse(m.Themes, other.Themes)
	m.Languages = orElse(m.Languages, other.Languages)
	m.Awards = orElse(m.Awards, other.Awards)
	m.Series = cmp.Or(m.Series, other.Series)
	m.IDs = mergeIDs(m.IDs, other.IDs)
	m.BlackAndWhite = m.BlackAndWhite || other.BlackAndWhite
	m.Silent = m.Silent || other.Silent
	m.ForChildren = m.ForChildren || other.ForChildren
	return m
}

func orElse[E any](list, other []E) []E {
	if len(list) > 0 {
		return list
	}
	return other
}

func mergeIDs(ids, other *IDs) *IDs {
	if ids == nil || other == nil {
		return cmp.Or(ids, other)
	}
	return &IDs{cmp.Or(ids.IMDb, other.IMDb), cmp.Or(ids.Kinopoisk, other.Kinopoisk), cmp.Or(ids.Wikidata, other.Wikidata)}
}
