package catalog

import (
	"reflect"
	"testing"

	"kassa/catalog/question"
	"kassa/catalog/words"
)

// What is remembered is what would be computed again, also after the films have changed.
func TestRememberedIsAsComputed(t *testing.T) {
	c := newFile(t).open(t)
	films := shipped(t)
	mustImport(t, c, films[:20], small, Report{Added: 20, Embedded: 20})
	check := func() {
		t.Helper()
		v := c.now.Load()
		for _, text := range questions {
			for range 2 {
				if got, want := c.Read(text), question.Read(text, v.vocabulary()); !reflect.DeepEqual(got, want) {
					t.Errorf("%q is read as %+v, want %+v", text, got, want)
				}
			}
			first, again := c.Reasons(text, films[0].ID, films[3].ID), c.Reasons(text, films[0].ID, films[3].ID)
			if !reflect.DeepEqual(first, again) {
				t.Errorf("%q has the reasons %v, and then %v", text, first, again)
			}
		}
		for i, m := range v.movies {
			if !reflect.DeepEqual(v.passages(i), m.passages(words.NewCutter())) {
				t.Errorf("%s has other passages", m.ID)
			}
		}
	}
	check()
	changed := films[0]
	changed.Description = "A lighthouse keeper counts the ships of a winter."
	mustImport(t, c, []Movie{changed}, small, Report{Changed: 1, Embedded: 1})
	check()
	if reasons := c.Reasons("lighthouse keeper", changed.ID)[0]; len(reasons) == 0 || reasons[0].Text != changed.Description {
		t.Errorf("a film that has changed has the reasons %v", reasons)
	}
}
