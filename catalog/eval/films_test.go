package eval

import (
	"reflect"
	"strings"
	"testing"

	"kassa/catalog"
	"kassa/catalog/judged"
)

const fewQuestions = `id	lang	kind	query	expected
1	ru	plot	про сны и волчок	Inception (2010)
2	en	object	hedgehog lost in fog	hedgehog-in-the-fog-1975 | Inception (2010)
3	en	recipe	how to fry an egg	` + "\n"

func read(t *testing.T, text string) []judged.Question {
	t.Helper()
	questions, err := judged.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return questions
}

func shipped(t *testing.T) []catalog.Movie {
	t.Helper()
	movies, err := catalog.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	return movies
}

// Films are named by id, or by title and year in either language.
func TestByID(t *testing.T) {
	movies := []catalog.Movie{
		{ID: "amour-2012", Title: "Amour", TitleRU: "Любовь", Year: 2012},
		{ID: "zanzibar-2001", TitleRU: "Занзибар", Year: 2001},
		{ID: "one-1999", Title: "Twin", Year: 1999}, {ID: "two-1999", Title: "Twin", Year: 1999},
	}
	ask := func(expected ...string) ([]judged.Question, error) {
		return byID([]judged.Question{{ID: "q7", Line: 8, Expected: expected}}, movies)
	}
	got, err := ask("Amour (2012)", "Занзибар (2001)", "two-1999", "Любовь (2012)", "amour-2012")
	if want := []string{"amour-2012", "zanzibar-2001", "two-1999"}; err != nil || !reflect.DeepEqual(got[0].Expected, want) {
		t.Errorf("%v, %v", got, err)
	}
	for film, want := range map[string]string{"Nope (1900)": "not in the catalogue", "Amour (2011)": "not in the catalogue", " (2001)": "not in the catalogue", "Twin (1999)": "several films"} {
		if _, err := ask(film); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "line 8: question q7") {
			t.Errorf("%q: %v", film, err)
		}
	}
}
