package eval

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"kassa/catalog"
)

// A measurement by hand: two kinds with a film, two without, a threshold of 0.5.
func byHand(t *testing.T, more ...System) (Report, error) {
	t.Helper()
	movies := []catalog.Movie{{ID: "a-2000", Title: "A", Year: 2000}, {ID: "b-2000", Title: "B", Year: 2000}}
	answers := map[string]catalog.Found{
		"first": found(0.9, "a-2000", "b-2000"), "second": found(0.5, "b-2000", "a-2000"), "refused": found(0.4, "a-2000"),
		"egg": found(0.2, "b-2000"), "mash": found(0.7, "a-2000"), "more mash": found(0.49),
	}
	kassa := OneByOne("kassa", func(_ context.Context, text string) (catalog.Found, error) { return answers[text], nil })
	questions := read(t, `id	lang	kind	query	expected
1	en	plot	first	A (2000)
2	ru	plot	second	A (2000)
3	en	name	refused	A (2000)
4	en	recipe	egg	
5	ru	letters	mash	
6	ru	letters	more mash	
`)
	return Measure(t.Context(), questions, movies, Settings{"model-1", 0.5}, append([]System{kassa}, more...)...)
}

func TestMeasure(t *testing.T) {
	r, err := byHand(t)
	if err != nil {
		t.Fatal(err)
	}
	if r.Questions != 6 || r.WithFilm != 3 || r.Films != 2 || r.Model != "model-1" || r.NotFoundBelow != 0.5 || len(r.Systems) != 1 {
		t.Errorf("report %+v", r)
	}
	mrr := make(map[string]Ranking)
	for _, g := range r.Systems[0].Groups {
		mrr[g.title()] = g
	}
	for name, want := range map[string][3]float64{"all": {2.5 / 3, 2.0 / 3, 3}, "en": {1, 1, 2}, "ru": {0.5, 0, 1}, "plot": {0.75, 0.5, 2}, "name": {1, 1, 1}} {
		if g := mrr[name]; !near(g.MRR.Value, want[0]) || !near(g.Recall1.Value, want[1]) || g.MRR.Of != int(want[2]) || g.Recall5.Value != 1 {
			t.Errorf("%s: %+v, want %v", name, g, want)
		}
	}
	if len(mrr) != 5 {
		t.Errorf("groups of rankings: %+v", mrr)
	}
	charged := make(map[string]Charges)
	for _, g := range r.Charges {
		charged[g.title()] = g
	}
	for name, want := range map[string][4]float64{ // questions, charged, right of charged, number of charged
		"all": {6, 0.5, 1.0 / 3, 3}, "en": {3, 1.0 / 3, 1, 1}, "ru": {3, 2.0 / 3, 0, 2},
		"film meant": {3, 2.0 / 3, 0.5, 2}, "plot": {2, 1, 0.5, 2}, "name": {1, 0, 0, 0},
		"no film meant": {3, 1.0 / 3, 0, 1}, "no film: recipe": {1, 0, 0, 0}, "no film: letters": {2, 0.5, 0, 1},
	} {
		g := charged[name]
		if g.Charged.Of != int(want[0]) || !near(g.Charged.Value, want[1]) || !near(g.Free.Value, 1-want[1]) || !near(g.Right.Value, want[2]) || g.Right.Of != int(want[3]) {
			t.Errorf("%s: %+v, want %v", name, g, want)
		}
	}
	if len(charged) != 9 {
		t.Errorf("groups of charges: %+v", charged)
	}
	for _, c := range r.Certainties {
		want, ok := map[string]Certainty{ // of the three charged ones
			"all almost_certain": {Share: Figure{Value: 1.0 / 3, Of: 3}, Right: Figure{Value: 1, Of: 1}}, "all probable": {Share: Figure{Value: 2.0 / 3, Of: 3}, Right: Figure{Of: 2}}, "all possible": {Share: Figure{Of: 3}},
			"en almost_certain": {Share: Figure{Value: 1, Of: 1}, Right: Figure{Value: 1, Of: 1}}, "ru probable": {Share: Figure{Value: 1, Of: 2}, Right: Figure{Of: 2}},
			"plot almost_certain": {Share: Figure{Value: 0.5, Of: 2}, Right: Figure{Value: 1, Of: 1}}, "plot probable": {Share: Figure{Value: 0.5, Of: 2}, Right: Figure{Of: 1}},
		}[c.title()+" "+string(c.Word)]
		if ok && (!near(c.Share.Value, want.Share.Value) || c.Share.Of != want.Share.Of || !near(c.Right.Value, want.Right.Value) || c.Right.Of != want.Right.Of) {
			t.Errorf("%s, %s: %+v, want %+v", c.title(), c.Word, c, want)
		}
	}
	if len(r.Certainties) != 15 { // all, two languages, one kind that is charged, no film meant
		t.Errorf("words of the confidence: %+v", r.Certainties)
	}
	if r.Calibration.Bins[9].Questions != 1 || r.Calibration.Bins[2].Right != 0 {
		t.Errorf("calibration %+v", r.Calibration)
	}
}

// A system that returns a film that is not in the catalogue is an error with the
// question's line; an unavailable system is left out and listed.
func TestMeasureFails(t *testing.T) {
	gone := errors.New("gone")
	fails := func(err error) System {
		return System{"other", func(context.Context, []string) ([]catalog.Found, error) { return nil, err }}
	}
	if _, err := byHand(t, fails(gone)); !errors.Is(err, gone) || !strings.Contains(err.Error(), "measure other") {
		t.Errorf("a system that fails: %v", err)
	}
	r, err := byHand(t, fails(errUnavailable), TFIDF([]catalog.Movie{{ID: "a-2000", Title: "first", Year: 2000}}))
	if err != nil || len(r.LeftOut) != 1 || r.LeftOut[0].System != "other" || len(r.Systems) != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := Measure(t.Context(), read(t, fewQuestions), shipped(t)[:1], Settings{}, TFIDF(nil)); err == nil || !strings.Contains(err.Error(), "line 2: question 1") {
		t.Errorf("films that are not there: %v", err)
	}
	one := OneByOne("one", func(context.Context, string) (catalog.Found, error) { return catalog.Found{}, gone })
	if _, err := Measure(t.Context(), read(t, fewQuestions), shipped(t), Settings{}, one); !errors.Is(err, gone) || !strings.Contains(err.Error(), "про сны") {
		t.Errorf("a search that fails: %v", err)
	}
}

func TestReportIsWritten(t *testing.T) {
	r, err := byHand(t, TFIDF([]catalog.Movie{{ID: "a-2000", Title: "first", Year: 2000}}))
	if err != nil {
		t.Fatal(err)
	}
	r.LeftOut = []LeftOut{{"postgres trigram", "because"}}
	var out strings.Builder
	if err := r.Write(&out); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, row := range []string{
		"6 questions, 3 of them mean a film; 2 films, model model-1.", "postgres trigram was not measured: because",
		"tf-idf 0.333 [0.000, 1.000] 0.333", "ru 1 0.500 [0.500, 0.500] 0.000 [0.000, 0.000] 1.000", "plot 0.750 0.500",
		"charged from confidence 0.5", "no film: letters 2 0.500 [0.000, 1.000] 0.500 [0.000, 1.000] 0.000 [0.000, 0.000]", "name 1 0.000 [0.000, 0.000] 1.000 [1.000, 1.000] –",
		"0.9 to 1.0 1 0.900 1.000", "0.0 to 0.1 0 – –", "expected calibration error 0.",
	} {
		if !strings.Contains(text, row) {
			t.Errorf("no %q in\n%s", row, &out)
		}
	}
	var again Report
	content, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &again); err != nil || again.Systems[0].Groups[0] != r.Systems[0].Groups[0] || again.Charges[1] != r.Charges[1] {
		t.Errorf("as JSON: %s, %v", content, err)
	}
}
