package judged

import (
	"reflect"
	"strings"
	"testing"
)

const fewQuestions = `id	lang	kind	query	expected
1	ru	plot	про сны и волчок	Inception (2010)
2	en	object	hedgehog lost in fog	hedgehog-in-the-fog-1975 | Inception (2010)
3	en	recipe	how to fry an egg	` + "\n"

func read(t *testing.T, text string) []Question {
	t.Helper()
	questions, err := Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return questions
}

func TestRead(t *testing.T) {
	want := []Question{
		{"1", "ru", "plot", "про сны и волчок", []string{"Inception (2010)"}, 2},
		{"2", "en", "object", "hedgehog lost in fog", []string{"hedgehog-in-the-fog-1975", "Inception (2010)"}, 3},
		{"3", "en", "recipe", "how to fry an egg", nil, 4},
	}
	if got := read(t, fewQuestions); !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v", got)
	}
	// Quotation marks are part of the text.
	if got := read(t, "id\tlang\tquery\texpected\n1\ten\t\"be\" \"back\tx\n")[0].Text; got != `"be" "back` {
		t.Errorf("quoted: %q", got)
	}
	moved := read(t, "expected\tquery\tlang\tid\r\nInception (2010)\t x \ten\t1\r\n")
	if want := (Question{"1", "en", "", " x ", []string{"Inception (2010)"}, 2}); !reflect.DeepEqual(moved[0], want) {
		t.Errorf("with other columns: %+v", moved[0])
	}
}

// The error for an invalid file names the line and the reason.
func TestReadRefuses(t *testing.T) {
	const header = "id\tlang\tkind\tquery\texpected\n"
	for broken, want := range map[string]string{
		"":                                      "there are none",
		header:                                  "there are none",
		"id\tlang\tkind\tquery\n":               "line 1 does not name the column expected",
		"id\tlang\tquery\texpected\tmood\n":     `line 1 names a column "mood"`,
		"id\tid\tlang\tquery\texpected\n":       "line 1 names the column id twice",
		fewQuestions + "4\ten\tplot\tno film\n": "line 5 has 4 columns, and the first line has 5",
		fewQuestions + "\n":                     "line 5 has 1 columns",
		fewQuestions + "4\ten\t\tx\ty\tz\n":     "line 5 has 6 columns",
		fewQuestions + "3\ten\t\tx\ty\n":        `line 5 has the id "3" of line 4`,
		fewQuestions + "\ten\t\tx\ty\n":         "line 5 has no id",
		fewQuestions + "4\t\t\tx\ty\n":          "line 5 has no lang",
		fewQuestions + "4\ten\t\t \ty\n":        "line 5 has no query",
		fewQuestions + "4\ten\t\tx\ty|\n":       "line 5 expects \"y|\"",
		header + "1\ten\t\t" + strings.Repeat("x", 1<<17) + "\ty\n": "line 2: bufio.Scanner: token too long",
	} {
		if questions, err := Read(strings.NewReader(broken)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q gives %v, %v, want %q", broken, questions, err, want)
		}
	}
}
