package catalog

import (
	"slices"
	"strconv"

	"kassa/catalog/words"
)

// Field is the kind of a film's text.
type Field string

// The fields of a film that are searched by words.
const (
	FieldTitle       Field = "title"
	FieldPerson      Field = "person"
	FieldCharacter   Field = "character"
	FieldLine        Field = "line"
	FieldKeyword     Field = "keyword"
	FieldSetting     Field = "setting"
	FieldSeries      Field = "series"
	FieldYear        Field = "year"
	FieldGenre       Field = "genre"
	FieldCountry     Field = "country"
	FieldMood        Field = "mood"
	FieldTheme       Field = "theme"
	FieldLanguage    Field = "language"
	FieldAward       Field = "award"
	FieldFlag        Field = "flag"
	FieldDescription Field = "description"
)

// fieldWeights is the weight of an occurrence by field. A title has few, specific
// words, a description many.
var fieldWeights = map[Field]float32{
	FieldTitle: 3, FieldPerson: 2, FieldCharacter: 2, FieldLine: 2, FieldKeyword: 2, FieldSetting: 2, FieldSeries: 2, FieldYear: 2,
	FieldGenre: 1, FieldCountry: 1, FieldMood: 2, FieldTheme: 2, FieldLanguage: 1, FieldAward: 1, FieldFlag: 1, FieldDescription: 1,
}

// names reports whether a field's words name the film or a person in it.
func (f Field) names() bool {
	switch f {
	case FieldTitle, FieldPerson, FieldCharacter, FieldSeries, FieldYear:
		return true
	}
	return false
}

// texts calls yield with each searched text of a film, in both languages. One of
// them may be empty, and keywords are not translations of each other.
func (m Movie) texts(yield func(f Field, english, russian string)) {
	yield(FieldTitle, m.Title, m.TitleRU)
	if m.OriginalTitle != m.Title && m.OriginalTitle != m.TitleRU {
		yield(FieldTitle, m.OriginalTitle, "")
	}
	for _, title := range m.OtherTitles {
		yield(FieldTitle, title, "")
	}
	year := strconv.Itoa(m.Year)
	yield(FieldYear, year, "")
	for _, p := range m.people() {
		yield(FieldPerson, p.Name, p.NameRU)
	}
	for _, c := range m.Characters {
		yield(FieldCharacter, c.Name, c.NameRU)
	}
	if s := m.Series; s != nil {
		yield(FieldSeries, s.Name, s.NameRU)
	}
	for _, l := range m.Lines {
		yield(FieldLine, l.Text, l.TextRU)
	}
	for _, s := range m.Settings {
		yield(FieldSetting, s.Name, s.NameRU)
	}
	for _, k := range m.Keywords {
		yield(FieldKeyword, k, "")
	}
	for _, k := range m.KeywordsRU {
		yield(FieldKeyword, "", k)
	}
	m.labels(func(f Field, l Label) { yield(f, l.Name, l.NameRU) })
	yield(FieldDescription, m.Description, m.DescriptionRU)
}

// SearchedTexts are all searched texts of a film, in both languages.
func SearchedTexts(m Movie) []string {
	var all []string
	m.texts(func(_ Field, english, russian string) {
		for _, text := range []string{english, russian} {
			if text != "" {
				all = append(all, text)
			}
		}
	})
	return all
}

// labels calls yield with the labels of the film's codes and flags.
func (m Movie) labels(yield func(Field, Label)) {
	for _, list := range []struct {
		field Field
		codes []string
		label func(string) (Label, bool)
	}{
		{FieldGenre, m.Genres, Genre}, {FieldCountry, m.Countries, Country}, {FieldMood, m.Moods, Mood}, {FieldTheme, m.Themes, Theme},
		{FieldLanguage, m.Languages, SpokenLanguage}, {FieldAward, m.Awards, Award},
	} {
		for _, code := range list.codes {
			if l, ok := list.label(code); ok {
				yield(list.field, l)
			}
		}
	}
	for _, flag := range []struct {
		is    bool
		label Label
	}{{m.BlackAndWhite, blackAndWhite}, {m.Silent, silent}, {m.ForChildren, forChildren}} {
		if flag.is {
			yield(FieldFlag, flag.label)
		}
	}
}

// titles are the film's different titles, with numbers in digits and in words.
func (m Movie) titles() []string {
	var titles []string
	for _, title := range append([]string{m.Title, m.TitleRU, m.OriginalTitle}, m.OtherTitles...) {
		if title != "" && !slices.Contains(titles, title) {
			titles = append(titles, title)
			if numbered := words.OtherNumbers(title); numbered != title {
				titles = append(titles, numbered)
			}
		}
	}
	return titles
}
