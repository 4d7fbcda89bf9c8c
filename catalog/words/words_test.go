package words

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSplit(t *testing.T) {
	for text, want := range map[string]string{
		"Ёжики в тумане":        "Ёжики/ежики/ежик в/в/в тумане/тумане/туман",
		"старый Йод":            "старый/старыи/стар Йод/иод/иод",
		"Amélie’s dreams":       "Amélie/amelie/ameli s/s/s dreams/dreams/dream",
		"научно-фантастический": "научно/научно/научн фантастический/фантастическии/фантастическ",
		"1+1":                 "1/1/1 1/1/1",
		"№1 — «Он»…":          "№1/№1/№1 Он/он/он",
		"naïve café, ÉCOLE":   "naïve/naive/naiv café/cafe/cafe ÉCOLE/ecole/ecol",
		"The Godfather, 1972": "The/the/the Godfather/godfather/godfath 1972/1972/1972",
		"Крёстный":            "Крёстный/крестныи/крестн",
		"ИЙ":                  "ИЙ/ии/ии",
		"a\x00b\tc":           "ab/ab/ab c/c/c",
		" .,!? «»—":           "",
		"":                    "",
		"и\u0306од":           "и\u0306од/иод/иод", // й as two characters
	} {
		var got []string
		for _, w := range Split(text) {
			got = append(got, fmt.Sprintf("%s/%s/%s", w.Typed, w.Form, w.Stem))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestIsStop(t *testing.T) {
	for _, text := range []string{"the", "Фильм", "ещё", "который"} {
		if w := Split(text); !IsStop(w[0].Form) {
			t.Errorf("%q has a word that is no stop word", text)
		}
	}
	for _, text := range []string{"shark", "акула"} {
		if w := Split(text); IsStop(w[0].Form) {
			t.Errorf("%q is all stop words", text)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"Ёжик в тумане", "it's O'Hara's", "\xff\u0300", "ииий ъьъ", "'''yyy"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cutter := NewCutter()
		list := Split(text)
		for range 2 { // uncached, and cached
			if again := cutter.Split(text); fmt.Sprint(again) != fmt.Sprint(list) {
				t.Errorf("a cutter gives %q, the function %q", again, list)
			}
		}
		for _, w := range list {
			if w.Form == "" || !utf8.ValidString(w.Form) || !utf8.ValidString(w.Stem) || strings.ContainsAny(w.Typed, " \t\n") {
				t.Errorf("word %q", w)
			}
		}
	})
}

func TestOtherNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"12 стульев": "двенадцать стульев", "Семь самураев": "7 самураев", "Twelve Monkeys": "12 Monkeys", "3 Idiots": "three Idiots", "Alien": "Alien", "1917": "1917",
	} {
		if got := OtherNumbers(text); got != want {
			t.Errorf("%q is also %q, want %q", text, got, want)
		}
	}
}
