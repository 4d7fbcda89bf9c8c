package web

import (
	"testing"

	"kassa/catalog"
	"kassa/catalog/question"
)

func TestConditionsInWords(t *testing.T) {
	films := []catalog.Movie{{Series: &catalog.Series{Name: "The Godfather", NameRU: "Крёстный отец", Part: 2}, Directors: []catalog.Person{{Name: "Agnès Varda", NameRU: "Аньес Варда"}}}}
	for _, tt := range []struct {
		filter question.Filter
		en, ru string
	}{
		{question.Filter{Field: question.Series, Value: "The Godfather"}, "The Godfather", "Крёстный отец"},
		{question.Filter{Field: question.Series, Value: "Крёстный отец", From: 2}, "The Godfather, part 2", "Крёстный отец, часть 2"},
		{question.Filter{Field: question.Series, Value: "Shrek", From: 2}, "Shrek, part 2", "Shrek, часть 2"},
		{question.Filter{Field: question.Person, Value: "Аньес Варда"}, "Agnès Varda", "Аньес Варда"},
		{question.Filter{Field: question.Director, Value: "Varda"}, "directed by Varda", "режиссёр: Varda"},
		{question.Filter{Field: question.Country, Value: "RU,SU"}, "Russia, Soviet Union", "Россия, СССР"},
		{question.Filter{Field: question.Genre, Value: "film-noir"}, "film noir", "нуар"},
		{question.Filter{Field: question.Genre, Value: "unheard-of"}, "", ""},
		{question.Filter{Field: question.Language, Value: "??"}, "", ""},
		{question.Filter{Field: question.Award, Value: "palme-dor"}, "Palme d'Or", "«Золотая пальмовая ветвь»"},
		{question.Filter{Field: question.Award, Value: "oscar"}, "", ""},
		{question.Filter{Field: question.Flag, Value: "for-children"}, "for children", "для детей"},
		{question.Filter{Field: question.Flag, Value: "silent"}, "silent", "немой"},
		{question.Filter{Field: question.Years, From: 1999, To: 1999}, "1999", "1999"},
		{question.Filter{Field: question.Topic, Value: "зомби"}, "", ""},
	} {
		for language, want := range map[*Language]string{english: tt.en, russian: tt.ru} {
			if got := (&pageContext{layout: layout{Language: language}}).condition(tt.filter, films); got != want {
				t.Errorf("%+v is %q, want %q", tt.filter, got, want)
			}
		}
	}
}
