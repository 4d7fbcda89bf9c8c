package web

import (
	"fmt"
	"maps"
	"slices"
)

// joined is all texts of a language. A key that two parts have would be one of them by chance.
func joined(parts ...map[string]string) map[string]string {
	all, n := map[string]string{}, 0
	for _, part := range parts {
		maps.Copy(all, part)
		if n += len(part); len(all) < n {
			panic(fmt.Sprintf("web: two parts have texts for the same key, the second of %v", slices.Sorted(maps.Keys(part))))
		}
	}
	return all
}

// englishFilms are the texts of the pages about films in English.
var englishFilms = map[string]string{
	"nav.films":           "Films",
	"films.title":         "All films",
	"films.lead":          "%s in the catalogue, newest first. Choose a genre, a decade or a country, or describe what you remember and let Kassa find it.",
	"films.description":   "%s: films in the Kassa catalogue, with people, moods, famous lines and similar films.",
	"films.genre":         "Genres",
	"films.decade":        "Decades",
	"films.country":       "Countries",
	"films.genre.title":   "Genre: %s",
	"films.decade.title":  "Films of the %ss",
	"films.decade.short":  "%ss",
	"films.country.title": "Country: %s",
	"films.directed":      "Director",
	"films.played":        "Actor",
	"films.next":          "Next page",
	"films.before":        "Previous page",
	"films.page":          "Page %d of %d",

	"home.all":       "See all %s",
	"costs.title":    "What it costs",
	"costs.answer":   "An answer costs %s, whatever the number of films in it.",
	"costs.gift":     "A new wallet starts with %s as a gift.",
	"costs.credit":   "A credit costs %s, so an answer costs %s.",
	"costs.none":     "If nothing is found, or there is no answer in time, the credits come back at once.",
	"costs.refund":   "If none of the films is the right one, you can get the credits back a few times a month.",
	"costs.withdraw": "You can withdraw the credits you bought at any time, the way you paid. Gift credits are spent first and cannot be withdrawn.",
	"costs.sandbox":  "This is a sandbox: buying credits is simulated and costs nothing.",

	"film.poster":     "Poster drawn for the film “%s”",
	"film.original":   "Original title",
	"film.other":      "In Russian",
	"film.as":         "as %s",
	"film.characters": "Characters",
	"film.moods":      "Mood",
	"film.themes":     "Themes",
	"film.settings":   "Setting",
	"film.languages":  "Languages",
	"film.awards":     "Awards",
	"film.series":     "Series",
	"film.lines":      "Famous lines",
	"film.elsewhere":  "Watch or read on",
	"film.similar":    "Similar films",
	"film.ask":        "Ask about another film",
}

// russianFilms are the texts of the pages about films in Russian.
var russianFilms = map[string]string{
	"nav.films":           "Фильмы",
	"films.title":         "Все фильмы",
	"films.lead":          "В каталоге %s, сначала новые. Выберите жанр, десятилетие или страну — или опишите, что запомнилось, и Касса найдёт сама.",
	"films.description":   "%s: фильмы в каталоге Кассы — кто снял и сыграл, настроение, известные фразы, похожие картины.",
	"films.genre":         "Жанры",
	"films.decade":        "Десятилетия",
	"films.country":       "Страны",
	"films.genre.title":   "Жанр: %s",
	"films.decade.title":  "Фильмы %s-х",
	"films.decade.short":  "%s-е",
	"films.country.title": "Страна: %s",
	"films.directed":      "Режиссёр",
	"films.played":        "Актёр",
	"films.next":          "Следующая страница",
	"films.before":        "Предыдущая страница",
	"films.page":          "Страница %d из %d",

	"home.all":       "Посмотреть все %s",
	"costs.title":    "Сколько это стоит",
	"costs.answer":   "Ответ стоит %s, сколько бы фильмов в нём ни было.",
	"costs.gift":     "В новом кошельке уже лежит %s в подарок.",
	"costs.credit":   "Один кредит стоит %s, а ответ — %s.",
	"costs.none":     "Если ничего не нашлось или ответ не успел прийти, кредиты сразу возвращаются.",
	"costs.refund":   "Если среди фильмов нет нужного, кредиты можно вернуть — несколько раз в месяц.",
	"costs.withdraw": "Купленные кредиты можно вывести в любой момент тем же способом, каким вы платили. Подаренные тратятся первыми, и вывести их нельзя.",
	"costs.sandbox":  "Это демонстрационный режим: покупка кредитов условная и ничего не стоит.",

	"film.poster":     "Плакат к фильму «%s», нарисованный Кассой",
	"film.original":   "В оригинале",
	"film.other":      "По-английски",
	"film.as":         "роль: %s",
	"film.characters": "Персонажи",
	"film.moods":      "Настроение",
	"film.themes":     "Темы",
	"film.settings":   "Место и время",
	"film.languages":  "Языки",
	"film.awards":     "Награды",
	"film.series":     "Серия",
	"film.lines":      "Известные фразы",
	"film.elsewhere":  "Посмотреть или почитать",
	"film.similar":    "Похожие фильмы",
	"film.ask":        "Спросить о другом фильме",
}
