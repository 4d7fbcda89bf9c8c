package catalog

import (
	"slices"
	"testing"
)

func TestVocabulary(t *testing.T) {
	other := solaris()
	other.ID, other.Title, other.OriginalTitle, other.Characters = "solaris-2002", "Solaris", "Solaris", nil
	v := given(t, []Movie{rich(), other}, small).Vocabulary()
	for form, want := range map[string]int{"океан": 2, "океаном": 2, "solaris": 2, "kelvin": 1, "kelvins": 0, "зеркало": 1, "grief": 1, "the": 0, "солярис": 2} {
		if got := v.FilmsWithForm(form); got != want {
			t.Errorf("%d films have the form %q, want %d", got, form, want)
		}
		if known := v.Known(form); known != (want > 0 || form == "the") {
			t.Errorf("%q is known: %v", form, known)
		}
	}
	if got := v.FilmsWithStem("океан"); got != 2 {
		t.Errorf("%d films have a sea, want 2", got)
	}
	if !v.Synonyms("sea") || v.Synonyms("соларис") {
		t.Error("the lexicon has the sea, and no such planet")
	}
	forms := make(map[string]int)
	for form, films := range v.Forms() {
		forms[form] = films
	}
	if v.Films() != 2 || forms["solaris"] != 2 || forms["kelvin"] != 1 || forms["the"] != 0 {
		t.Errorf("%d films with forms %v", v.Films(), forms)
	}
	names := slices.Collect(v.Names())
	for _, want := range []Name{
		{FieldTitle, "Солярис", "solaris-2002"}, {FieldPerson, "Andrei Tarkovsky", "solaris-1972"}, {FieldCharacter, "Крис Кельвин", "solaris-1972"},
		{FieldCharacter, "Hari", "solaris-1972"}, {FieldSeries, "Stations", "solaris-1972"},
	} {
		if !slices.Contains(names, want) {
			t.Errorf("%v is not among the names %v", want, names)
		}
	}
}
