package formats

import (
	"slices"
	"strings"

	"kassa/catalog"
)

// aliases are genres and countries with other names in other catalogues. Those without
// a code carry no information about a film.
var aliases = map[string]string{
	"sci-fi": "science-fiction", "science fiction": "science-fiction", "film-noir": "film-noir", "children": "family", "children's": "family", "kids": "family", "biopic": "biography",
	"historical": "history", "cartoon": "animation", "anime": "animation", "sports": "sport", "suspense": "thriller",
	"научная фантастика": "science-fiction", "ужас": "horror", "хоррор": "horror", "приключение": "adventure", "исторический": "history", "история": "history",
	"биографический": "biography", "музыкальный": "music", "спортивный": "sport", "спорт": "sport", "криминальный": "crime", "анимация": "animation", "мультфильмы": "animation", "аниме": "animation",
	"документальное": "documentary", "документальное кино": "documentary", "романтика": "romance", "детский": "family", "семейное": "family", "фильм-нуар": "film-noir", "экшен": "action", "экшн": "action",
	"триллеры": "thriller", "комедии": "comedy", "драмы": "drama", "короткометражный": "short", "война": "war", "вестерны": "western",
	"(no genres listed)": "", "imax": "", "adult": "", "tv movie": "", "talk-show": "", "reality-tv": "", "news": "", "game-show": "", "foreign": "",
	"west germany": "DE", "east germany": "DD", "soviet union": "SU", "czechoslovakia": "CS", "yugoslavia": "YU", "usa": "US", "united states of america": "US", "uk": "GB", "england": "GB", "great britain": "GB", "ussr": "SU", "russian federation": "RU", "south korea": "KR", "korea": "KR",
	"америка": "US", "великобритания": "GB", "англия": "GB", "российская федерация": "RU", "корея": "KR", "южная корея": "KR", "чехия": "CZ", "фрг": "DE", "гдр": "DD",
}

// codes maps the labels' lower-case names to their codes.
func codes(labels []catalog.Label) map[string]string {
	all := make(map[string]string)
	for _, l := range labels {
		for _, name := range []string{l.Code, l.Name, l.NameRU} {
			all[strings.ToLower(name)] = l.Code
		}
	}
	return all
}

var (
	genreCodes   = codes(catalog.Genres())
	countryCodes = codes(catalog.Countries())
)

// genres sets the genres of a film. An unknown genre becomes a keyword.
func genres(m *catalog.Movie, list []string) {
	for _, name := range list {
		name = clean(name)
		key := strings.ToLower(name)
		code, known := genreCodes[key]
		if !known {
			code, known = aliases[key]
		}
		switch {
		case !known:
			keywords(m, name)
		case code != "" && !slices.Contains(m.Genres, code):
			m.Genres = append(m.Genres, code)
		}
	}
}

// countries sets the known countries of a film.
func countries(m *catalog.Movie, list []string) {
	for _, name := range list {
		key := strings.ToLower(clean(name))
		code, known := countryCodes[key]
		if !known {
			code = aliases[key]
		}
		if _, ok := catalog.Country(code); ok && !slices.Contains(m.Countries, code) {
			m.Countries = append(m.Countries, code)
		}
	}
}

// languages sets the known languages of a film.
func languages(m *catalog.Movie, list []string) {
	for _, code := range list {
		if _, ok := catalog.SpokenLanguage(code); ok && !slices.Contains(m.Languages, code) {
			m.Languages = append(m.Languages, code)
		}
	}
}
