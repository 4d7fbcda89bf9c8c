package related

import (
	"slices"
	"strings"
	"testing"
)

// Words of one meaning are related across the languages, and none to itself.
func TestRelatedWords(t *testing.T) {
	for stem, want := range map[string][]string{
		"tooth":    {"dentist", "зуб", "зубн"},
		"marri":    {"wed", "marriag", "свадьб", "жен"},
		"моряк":    {"sailor"},
		"убииц":    {"murder", "killer", "убииств"},
		"submarin": {"подлодк"},
	} {
		var got []string
		for _, r := range Of(stem) {
			got = append(got, r.Stem)
			if r.Close < Least || r.Close > 1 || r.Stem == stem {
				t.Errorf("%s is related to %+v", stem, r)
			}
		}
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("%s is related to %v, want %s among them", stem, got, w)
			}
		}
	}
	for _, stem := range []string{"", "qqqq", "the"} {
		if got := Of(stem); len(got) != 0 {
			t.Errorf("%q is related to %v", stem, got)
		}
	}
}

// The whole table is what its format says: the closest first, at most sixteen of each
// language.
func TestTable(t *testing.T) {
	all, err := read(embedded)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(all.stems) || len(all.stems) < 25_000 {
		t.Errorf("%d stems, in order: %v", len(all.stems), slices.IsSorted(all.stems))
	}
	for _, stem := range all.stems {
		list := all.of(stem)
		if !slices.IsSortedFunc(list, func(a, b Stem) int { return int(255 * (b.Close - a.Close)) }) {
			t.Errorf("%s: %v is not in order", stem, list)
		}
		russian := 0
		for _, r := range list {
			if r.Stem[0] > 'z' {
				russian++
			}
		}
		if russian > 16 || len(list)-russian > 16 {
			t.Errorf("%s has %d related stems, %d of them Russian", stem, len(list), russian)
		}
	}
}

// A damaged file is refused, wherever the damage is.
func TestDamagedTable(t *testing.T) {
	small := "\x02\x00\x00\x00\x04\x00\x00\x00a\nb\n\x01\x01\x00\xff\x00"
	if _, err := read(small); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{
		"", small[:7], small[:11], small[:len(small)-1], small + "\x00",
		strings.Replace(small, "\x02", "\x03", 1),         // stems that are not there
		strings.Replace(small, "b\n", "a\n", 1),           // one twice
		strings.Replace(small, "\x01\x01", "\x01\x02", 1), // a relation to none
	} {
		if _, err := read(file); err == nil {
			t.Errorf("%q is read", file)
		}
	}
}
