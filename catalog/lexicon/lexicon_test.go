package lexicon

import (
	"reflect"
	"strings"
	"testing"
	"unicode"

	"kassa/catalog/words"
)

func TestRead(t *testing.T) {
	groups, err := Read(strings.NewReader("# concepts\n\nsea\tsea, open sea\tморе,  океан \nrobot\trobot\tробот\r\n"))
	want := []Group{{"sea", []string{"sea", "open sea", "море", "океан"}}, {"robot", []string{"robot", "робот"}}}
	if err != nil || !reflect.DeepEqual(groups, want) {
		t.Errorf("read %q, %v", groups, err)
	}
	for _, broken := range []string{"sea\tsea", "sea\tsea\tморе\tmare", "\tsea\tморе", "sea\t\t,", "sea\tsea\tморе\nsea\tocean\tокеан"} {
		if groups, err := Read(strings.NewReader(broken)); err == nil {
			t.Errorf("%q gives %q", broken, groups)
		}
	}
}

func TestStems(t *testing.T) {
	g := Group{"sea", []string{"open sea", "seas", "a sea of trouble", "море"}}
	want := []Stem{{"open", 0.5}, {"sea", 1}, {"troubl", 0.5}, {"мор", 1}}
	if got := g.Stems(words.NewCutter()); !reflect.DeepEqual(got, want) {
		t.Errorf("stems are %v, want %v", got, want)
	}
}

// Each group has words of both languages, and no word mixes letters of two scripts,
// which would look right but never match.
func TestGroups(t *testing.T) {
	for _, g := range Groups() {
		english, russian := false, false
		for _, phrase := range g.Phrases {
			for _, w := range words.Split(phrase) {
				latin := strings.ContainsFunc(w.Form, func(r rune) bool { return unicode.Is(unicode.Latin, r) })
				cyrillic := strings.ContainsFunc(w.Form, func(r rune) bool { return unicode.Is(unicode.Cyrillic, r) })
				if latin && cyrillic {
					t.Errorf("group %s: %q has letters of two scripts", g.ID, w.Typed)
				}
				english, russian = english || latin, russian || cyrillic
			}
		}
		if !english || !russian {
			t.Errorf("group %s has words of one language only", g.ID)
		}
	}
}
