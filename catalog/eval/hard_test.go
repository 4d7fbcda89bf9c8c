package eval

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kassa/catalog"
)

func rich(t *testing.T) catalog.Movie {
	t.Helper()
	m := shipped(t)[0]
	m.Characters = []catalog.Character{{Name: "Kris Kelvin", NameRU: "Крис Кельвин"}, {Name: "Hari"}}
	m.Lines = []catalog.Line{{Text: "We need a mirror.", TextRU: "Нам нужно зеркало."}}
	m.Settings = []catalog.Setting{{Name: "a space station", NameRU: "космическая станция"}}
	m.Series = &catalog.Series{Name: "Stations", NameRU: "Станции", Part: 1}
	return m
}

// load validates a film as one of an operator's file.
func load(t *testing.T, m catalog.Movie) error {
	t.Helper()
	content, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "film.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = catalog.Load(path)
	return err
}

func TestHardConditions(t *testing.T) {
	m := rich(t)
	for _, c := range HardConditions() {
		got := c.Film(m)
		if err := load(t, got); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		english := []string{got.Title, got.Description, got.Characters[0].Name, got.Lines[0].Text, got.Settings[0].Name, got.Series.Name}
		russian := []string{got.TitleRU, got.DescriptionRU, got.Characters[0].NameRU, got.Lines[0].TextRU, got.Settings[0].NameRU, got.Series.NameRU}
		for i := range english {
			if (english[i] == "") != strings.HasPrefix(c.Name, "Russian") || (russian[i] == "") != strings.HasPrefix(c.Name, "English") {
				t.Errorf("%s: the film has %q and %q", c.Name, english[i], russian[i])
			}
		}
		none := strings.Contains(c.Name, "no keywords")
		if (len(got.Keywords) == 0) != (none || strings.HasPrefix(c.Name, "Russian")) || (len(got.KeywordsRU) == 0) != (none || strings.HasPrefix(c.Name, "English")) {
			t.Errorf("%s: the keywords are %q and %q", c.Name, got.Keywords, got.KeywordsRU)
		}
		if got.Characters[1].Name != "Hari" {
			t.Errorf("%s: a name that only one language has is lost", c.Name)
		}
		if got, want := c.Text("a b c"), "a b c"; got != want && (got != "a c" || !strings.Contains(c.Name, "half")) {
			t.Errorf("%s: the question is %q", c.Name, got)
		}
	}
	if m.Cast[0].NameRU == "" || m.Lines[0].Text == "" || len(m.Keywords) == 0 {
		t.Error("the film itself was changed")
	}
}

func TestMeasureHard(t *testing.T) {
	asked := 0
	got, err := MeasureHard(t.Context(), read(t, fewQuestions), shipped(t), func(changed []catalog.Movie) ([]System, error) {
		none := OneByOne("none", func(context.Context, string) (catalog.Found, error) { asked++; return catalog.Found{}, nil })
		return []System{none, BM25(changed)}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(HardConditions()) || asked != 2*len(got) { // the question without a film is not asked
		t.Fatalf("%d conditions, %d questions: %+v", len(got), asked, got)
	}
	first := got[0].Systems
	if first[0].MRR.Value != 0 || first[0].Gain != nil || first[1].MRR.Value != 1 || *first[1].Gain != (Figure{1, 1, 1, 2}) {
		t.Errorf("%s: %+v", got[0].Name, first)
	}
	var out strings.Builder
	if err := got.Write(&out); err != nil {
		t.Fatal(err)
	}
	table := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	if len(table) != 1+len(HardConditions()) || !strings.HasSuffix(strings.Join(strings.Fields(table[1]), " "), "as they are 0.000 1.000 +1.000 to +1.000") {
		t.Errorf("table is\n%s", &out)
	}
}
